"""Mail ends up as files that are whole, each once, whatever happens on the way."""

import mailbox
import os
import runpy
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, get_args

import pytest

from msoauth import private_files
from msoauth.errors import InputError, MailError
from msoauth.mail import mbox, saving
from msoauth.mail.fetch import Format, open_store
from msoauth.mail.files import stored_mail
from tests.mail.fake_pop3 import FakePop3, fetch, make_messages, subjects

FORMATS: tuple[Format, ...] = get_args(Format)
every_format = pytest.mark.parametrize("kind", FORMATS)


def kept(place: Path, kind: Format) -> list[bytes]:
    """The messages that a mail program would find, as bytes, in any order."""
    if kind == "eml":
        return sorted(file.read_bytes() for file in place.glob("*.eml"))
    if kind == "maildir":
        return sorted(
            file.read_bytes() for inner in ("new", "cur") for file in (place / inner).iterdir()
        )
    if not place.exists():
        return []
    raw = place.read_bytes()
    pieces = [piece for piece in raw.split(b"\n\nFrom MAILER-DAEMON ") if piece]
    assert not raw or raw.startswith(b"From MAILER-DAEMON ")
    assert raw.endswith(b"\n\n") or not raw
    return sorted(piece.partition(b"\n")[2].rstrip(b"\n") for piece in pieces)


def as_kept(raw: bytes, kind: Format) -> bytes:
    if kind != "mbox":
        return raw
    lines = raw.replace(b"\r\n", b"\n").split(b"\n")
    return b"\n".join(
        b">" + line if line.lstrip(b">").startswith(b"From ") else line for line in lines
    ).rstrip(b"\n")


def expected(mails: list[tuple[str, bytes]], kind: Format) -> list[bytes]:
    return sorted(as_kept(raw, kind) for _uid, raw in mails)


@every_format
def test_each_message_is_there_once_and_a_second_retrieval_asks_for_new_ones_only(
    tmp_path: Path, kind: Format
) -> None:
    place = tmp_path / "mail" / "box"
    mails = make_messages(7)
    first = list(fetch(FakePop3(mails).session, to=place, format=kind))
    assert kept(place, kind) == expected(mails, kind)
    mails += make_messages(3, first=7)
    box = FakePop3(mails)
    second = list(fetch(box.session, to=place, format=kind))
    assert sorted(box.handed_over) == [8, 9, 10]
    assert kept(place, kind) == expected(mails, kind)
    assert len(first) == 7
    assert subjects(second) == sorted(f"Brief {n}" for n in range(10))


@every_format
def test_when_the_line_breaks_what_came_whole_is_kept_and_told(
    tmp_path: Path, kind: Format
) -> None:
    place = tmp_path / "box"
    mails = make_messages(6)
    rows: list[object] = []
    with pytest.raises(MailError, match="the line broke"):
        rows.extend(fetch(FakePop3(mails, breaks_after=4).session, to=place, format=kind))
    box = FakePop3(mails)
    rows = list(fetch(box.session, to=place, format=kind))
    assert len(box.handed_over) == 2
    assert len(rows) == 6
    assert kept(place, kind) == expected(mails, kind)


class Crash(BaseException):
    """The computer stops: from a certain call to the system on, nothing happens any more."""


class System:
    """Counts what is asked of the operating system, and stops at a chosen call."""

    NAMES = ("open", "write", "replace", "unlink", "fsync", "link", "close")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stops_at: int) -> None:
        self.left = stops_at
        for name in self.NAMES:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name), name))
        monkeypatch.setattr(saving, "syncfs", None)

    def _counted(self, real: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if name == "close" and self.left <= 0:
                real(*arguments)  # a process that ended has let go of everything
                raise Crash
            self.left -= 1
            if self.left <= 0:
                if name == "write" and self.left == 0:  # half of it still went out
                    descriptor, data = arguments
                    real(descriptor, bytes(data)[: len(data) // 2])
                raise Crash
            return real(*arguments, **options)

        return call


@every_format
@pytest.mark.parametrize(
    "count", [3, pytest.param(40, marks=[pytest.mark.release, pytest.mark.timeout(1800)])]
)
def test_a_crash_at_any_moment_leaves_no_half_message_and_loses_none(
    tmp_path: Path, kind: Format, count: int
) -> None:
    mails = make_messages(count)
    whole = expected(mails, kind)
    for stops_at in range(1, 500 * count):
        place = tmp_path / f"{stops_at}" / "box"
        with pytest.MonkeyPatch.context() as patched:
            system = System(patched, stops_at)
            with suppress(Crash):
                list(fetch(FakePop3(mails).session, to=place, format=kind))
        if kind != "mbox":  # whose half is mended by the next start
            folders = [place] if kind == "eml" else [place / "new", place / "cur"]
            for file in (f for folder in folders if folder.exists() for f in folder.iterdir()):
                if file.is_file() and not file.name.startswith("."):
                    assert file.read_bytes() in whole
        list(fetch(FakePop3(mails).session, to=place, format=kind))
        assert kept(place, kind) == whole, f"after a crash at call {stops_at}"
        assert not list(place.parent.rglob("*part-*"))
        if system.left > 0:
            break
    else:
        raise AssertionError("it never came through")
    assert stops_at > 10


@every_format
def test_one_id_for_two_messages_loses_neither_and_one_message_with_a_new_id_is_kept_once(
    tmp_path: Path, kind: Format
) -> None:
    place = tmp_path / "box"
    one, two, three = (raw for _uid, raw in make_messages(3))
    for mails in (
        [("same", one), ("same", two), ("other", three)],
        [("same", one), ("same", two), ("other", three)],
        [("other", three), ("same", two), ("same", one)],
        [("anew1", one), ("anew2", two), ("anew3", three)],  # the server numbered them anew
    ):
        rows = list(fetch(FakePop3(mails).session, to=place, format=kind))
        assert len(rows) == 3
        assert kept(place, kind) == expected(mails, kind)


@every_format
def test_two_retrievals_into_one_place_do_not_mix(tmp_path: Path, kind: Format) -> None:
    with open_store(tmp_path / "box", kind), pytest.raises(InputError, match="already"):
        list(fetch(FakePop3(make_messages(1)).session, to=tmp_path / "box", format=kind))


@every_format
def test_whoever_stops_in_the_middle_keeps_what_is_whole(tmp_path: Path, kind: Format) -> None:
    place = tmp_path / "box"
    mails = make_messages(3)
    rows = fetch(FakePop3(mails).session, to=place, format=kind)
    next(rows)
    rows.close()
    found = kept(place, kind)
    assert found
    assert set(found) <= set(expected(mails, kind))


def test_the_mbox_is_what_pythons_own_reader_reads_and_other_programs_mail_stays(
    tmp_path: Path,
) -> None:
    place = tmp_path / "box"
    theirs = b"From me@contoso.example Mon Nov  2 10:00:00 2026\nSubject: Theirs\n\nhello\n\n"
    place.write_bytes(theirs)
    list(fetch(FakePop3(make_messages(4)).session, to=place, format="mbox"))
    assert place.read_bytes().startswith(theirs)
    with closing(mailbox.mbox(place)) as box:
        found = [str(message["Subject"]) for message in box]
    assert found == ["Theirs", "Brief 3", "Brief 2", "Brief 1", "Brief 0"]


def test_a_plan_is_carried_out_also_when_others_wrote_after_the_crash(tmp_path: Path) -> None:
    place = tmp_path / "box"
    store = mbox.MboxStore(place)
    with pytest.MonkeyPatch.context() as patched, store:
        replace = os.replace

        def replaced(*names: str) -> None:  # the plan is there, and nothing is appended yet
            replace(*names)
            raise Crash

        patched.setattr(os, "replace", replaced)
        row = next(fetch(FakePop3(make_messages(1)).session))
        with suppress(Crash):
            store.commit([(store.stage([make_messages(1)[0][1]]), row)])
    theirs = b"From me Mon Nov  2 10:00:00 2026\nSubject: Theirs\n\nhello\n\n"
    place.write_bytes(theirs)
    with mbox.MboxStore(place):
        pass
    with closing(mailbox.mbox(place)) as box:
        assert [str(message["Subject"]) for message in box] == ["Theirs", "Brief 0"]


def test_a_lock_of_a_mail_program_is_respected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "box"
    (tmp_path / "box.lock").write_bytes(b"")
    monkeypatch.setattr(mbox, "LOCK_SECONDS", 0.0)
    with pytest.raises(InputError, match=r"box\.lock"):
        list(fetch(FakePop3(make_messages(1)).session, to=place, format="mbox"))


def test_stored_mail_is_told_again_with_and_without_its_index(tmp_path: Path) -> None:
    rows = list(fetch(FakePop3(make_messages(4)).session, to=tmp_path))
    again = stored_mail(tmp_path, 10)
    assert subjects(again) == subjects(rows)
    index = tmp_path / ".msoauth-index"
    index.write_bytes(b'{"uidl": \n\xff\x00' + index.read_bytes()[:-9])
    assert subjects(stored_mail(tmp_path, 10)) == subjects(rows)
    index.unlink()
    assert subjects(stored_mail(tmp_path, 10)) == subjects(rows)
    assert stored_mail(tmp_path / "nowhere", 10) == []


def test_a_place_that_cannot_be_written_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for kind in FORMATS:
        with pytest.raises(InputError, match="cannot be written"):
            list(
                fetch(FakePop3(make_messages(1)).session, to=tmp_path / "file" / "box", format=kind)
            )


@every_format
def test_a_disk_that_fills_up_is_told_and_what_was_whole_stays(
    tmp_path: Path, kind: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "box"
    mails = make_messages(4)
    list(fetch(FakePop3(mails[:2]).session, to=place, format=kind))

    def full(*_about: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        patched.setattr(saving, "syncfs", None)
        with pytest.raises(MailError, match="No space left"):
            list(fetch(FakePop3(mails).session, to=place, format=kind))
    assert set(expected(mails[:2], kind)) <= set(kept(place, kind))
    list(fetch(FakePop3(mails).session, to=place, format=kind))
    assert kept(place, kind) == expected(mails, kind)


def test_files_are_written_byte_for_byte_where_a_system_tells_text_from_binary(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    binary = 1 << 30
    monkeypatch.setattr(os, "O_BINARY", binary, raising=False)  # as Windows has it
    create = runpy.run_path(str(private_files.__file__))["create"]
    flags: list[int] = []
    real = os.open

    def remember(file: str, given: int, *rights: int) -> int:
        flags.append(given)
        return real(file, given & ~binary, *rights)

    monkeypatch.setattr(os, "open", remember)
    os.close(create(tmp_path / "message"))
    assert flags[0] & binary

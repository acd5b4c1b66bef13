"""Mail ends up as files that are whole, each once, whatever happens on the way."""

import io
import mailbox
import os
import runpy
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, get_args

import pytest

from msoauth import private_files
from msoauth.errors import InputError, LocalError, MailError
from msoauth.mail import stores
from msoauth.mail.messages import MessageSummary
from msoauth.mail.stores import Format, open_store, stored_mail
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
    if kind == "eml":
        return raw
    if kind == "maildir":
        return raw.replace(b"\r\n", b"\n")
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


Buffered = io.BufferedReader | io.BufferedWriter | io.BufferedRandom


class System:
    """Counts what is asked of the operating system, and stops at a chosen call."""

    NAMES = ("open", "replace", "rename", "unlink", "remove", "fsync", "link", "close")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stops_at: int) -> None:
        self.left = stops_at
        self.files: list[Buffered] = []
        for name in self.NAMES:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name), name))
        monkeypatch.setattr(os, "fdopen", self._opened)
        monkeypatch.setattr(mailbox, "open", self._opened, raising=False)

    def _counted(self, real: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if name == "close" and self.left <= 0:
                real(*arguments)  # a process that ended has let go of everything
                raise Crash
            self.spend()
            return real(*arguments, **options)

        return call

    def spend(self) -> None:
        self.left -= 1
        if self.left <= 0:
            raise Crash

    def close(self) -> None:
        """Let go of everything, as a process that ended."""
        for file in self.files:
            file.raw.close()

    def _opened(self, file: int | str, mode: str) -> "Buffered":
        if self.left <= 0:
            raise Crash
        raw = CountedFile(self, file, mode.replace("b", ""))
        kinds: dict[str, type[Buffered]] = {"rb": io.BufferedReader, "wb": io.BufferedWriter}
        self.files.append(kinds.get(mode, io.BufferedRandom)(raw))
        return self.files[-1]


class CountedFile(io.FileIO):
    """A file of which half of the last write still goes out."""

    def __init__(self, system: System, file: int | str, mode: str) -> None:
        super().__init__(file, mode)
        self.system = system

    def write(self, data: Any) -> int:
        if self.system.left <= 0:
            return len(data)  # what a buffer held never gets out
        try:
            self.system.spend()
        except Crash:
            super().write(bytes(data)[: len(data) // 2])
            raise
        return super().write(data)

    def truncate(self, size: int | None = None) -> int:
        self.system.spend()
        return super().truncate(size)


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
        system.close()
        for lock in place.parent.glob("box.lock*"):
            if lock.name == "box.lock":
                os.utime(lock, (0, 0))  # after five minutes it is a leftover for every program
            else:
                lock.unlink()  # named after the process and the second: no other run meets it
        if kind != "mbox":  # whose torn end the next start cuts off
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


THEIRS = b"From me@contoso.example Mon Nov  2 10:00:00 2026\nSubject: Theirs\n\nhello\n\n"


def _interrupted(place: Path, mails: list[tuple[str, bytes]], moment: str) -> None:
    """Retrieve into an mbox until *moment*, a method of ``mailbox.mbox``, is called; then the process is gone."""

    def stops(*_about: object) -> None:
        raise Crash

    with pytest.MonkeyPatch.context() as patched, suppress(Crash):
        patched.setattr(mailbox.mbox, moment, stops)
        patched.setattr(mailbox.mbox, "unlock", lambda _box: None)
        list(fetch(FakePop3(mails).session, to=place, format="mbox"))


@pytest.mark.parametrize(
    ("moment", "torn"), [("add", 0), ("flush", 0), ("flush", 9), ("flush", 90)]
)
def test_a_torn_batch_is_cut_off_and_mail_that_others_appended_after_it_stays(
    tmp_path: Path, moment: str, torn: int
) -> None:
    place, mails = tmp_path / "box", make_messages(5)
    place.write_bytes(THEIRS)
    list(fetch(FakePop3(mails[:2]).session, to=place, format="mbox"))
    before = place.read_bytes()
    _interrupted(place, mails, moment)
    assert Path(f"{place}.lock").exists()
    appended = place.read_bytes()
    assert (appended == before) is (moment == "add")
    place.write_bytes(appended[: len(appended) - torn] + (b"\n" if torn else b"") + THEIRS)
    rows = list(fetch(FakePop3(mails).session, to=place, format="mbox"))
    assert len(rows) == 5
    assert place.read_bytes().startswith(before + THEIRS)
    with closing(mailbox.mbox(place)) as box:
        found = sorted(str(message["Subject"]) for message in box)
    assert found == [*(f"Brief {n}" for n in range(5)), "Theirs", "Theirs"]


def test_an_mbox_that_others_wrote_anew_after_the_crash_is_left_as_it_is(tmp_path: Path) -> None:
    place, mails = tmp_path / "box", make_messages(3)
    list(fetch(FakePop3(mails[:1]).session, to=place, format="mbox"))
    _interrupted(place, mails, "flush")
    theirs = THEIRS * 9
    place.write_bytes(theirs)
    list(fetch(FakePop3(mails).session, to=place, format="mbox"))
    assert place.read_bytes().startswith(theirs)
    with closing(mailbox.mbox(place)) as box:
        found = [str(message["Subject"]) for message in box]
    assert found == ["Theirs"] * 9 + ["Brief 2", "Brief 1"]  # the first was stored, and taken away


def test_an_mbox_that_another_program_replaces_meanwhile_gets_the_mail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "box"
    monkeypatch.setattr(stores, "BATCH_MESSAGES", 1)
    rows = fetch(FakePop3(make_messages(2)).session, to=place, format="mbox")
    next(rows)
    (tmp_path / "new").write_bytes(THEIRS)
    (tmp_path / "new").replace(place)
    list(rows)
    with closing(mailbox.mbox(place)) as box:
        assert [str(message["Subject"]) for message in box] == ["Theirs", "Brief 0"]


def test_a_lock_of_a_mail_program_is_respected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "box"
    (tmp_path / "box.lock").write_bytes(b"")
    monkeypatch.setattr(stores, "LOCK_SECONDS", 0.0)
    with pytest.raises(InputError, match=r"box\.lock"):
        list(fetch(FakePop3(make_messages(1)).session, to=place, format="mbox"))


def test_a_maildir_is_read_by_pythons_own_reader_and_a_message_that_was_moved_is_not_fetched_again(
    tmp_path: Path,
) -> None:
    mails = make_messages(4)
    list(fetch(FakePop3(mails).session, to=tmp_path, format="maildir"))
    box = mailbox.Maildir(tmp_path, create=False)
    for key in list(box.keys()):
        message = box.get_message(key)
        if message["Subject"] == "Brief 1":
            box.remove(key)
            continue
        message.set_subdir("cur")  # as a mail program does with what was read
        message.set_flags("S")
        box[key] = message
    (tmp_path / ".msoauth-index").write_bytes((tmp_path / ".msoauth-index").read_bytes()[:-30])
    again = FakePop3(mails)
    rows = list(fetch(again.session, to=tmp_path, format="maildir"))
    assert subjects(rows) == [f"Brief {n}" for n in range(4)]
    assert again.handed_over == []
    assert len(box) == 3


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
        with pytest.raises(LocalError, match="No space left") as told:
            list(fetch(FakePop3(mails).session, to=place, format=kind))
        assert told.value.fix
    assert set(expected(mails[:2], kind)) <= set(kept(place, kind))
    list(fetch(FakePop3(mails).session, to=place, format=kind))
    assert kept(place, kind) == expected(mails, kind)


@every_format
def test_a_scanner_that_holds_a_new_file_for_a_moment_is_waited_for(
    tmp_path: Path, kind: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    denials = iter([PermissionError(13, "Access is denied")] * 2)
    real = os.replace

    def denied(source: str, target: str) -> None:  # as Windows says while a virus scanner reads it
        for denial in denials:
            raise denial
        real(source, target)

    monkeypatch.setattr(os, "replace", denied)
    place, mails = tmp_path / "box", make_messages(2)
    list(fetch(FakePop3(mails).session, to=place, format=kind))
    assert kept(place, kind) == expected(mails, kind)
    private_files.write(tmp_path / "file", b"x")
    assert next(denials, None) is None
    assert (tmp_path / "file").read_bytes() == b"x"


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


@pytest.mark.parametrize("kind", ["eml", "maildir", "mbox"])
def test_a_message_that_a_virus_scanner_removes_is_that_messages_loss_alone(
    tmp_path: Path, kind: Format
) -> None:
    place = tmp_path / "box"
    with open_store(place, kind) as store:
        for uidl in ("clean", "infected", "clean too"):
            staged = store.stage([f"Subject: {uidl}\r\n\r\n{uidl}\r\n".encode()])
            if uidl == "infected":
                Path(staged.file).unlink()
            store.add(staged, MessageSummary(uidl, None, "", "", uidl, 10))
        rows = {row.uidl: row for row in store.commit()}
        assert {uidl: row.status for uidl, row in rows.items()} == {
            "clean": "retrieved",
            "infected": "missing",
            "clean too": "retrieved",
        }
        assert "virus scanner" in rows["infected"].reply
    with open_store(place, kind) as store:
        assert [store.has(uidl) for uidl in rows] == [True, False, True]

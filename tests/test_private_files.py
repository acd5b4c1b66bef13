"""What msoauth writes can be read by the user alone, from its first byte, and goes nowhere but where it belongs."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from msoauth import lab, private_files
from msoauth.checks.mail import fetch_mail, mail_folder
from msoauth.cli import files
from msoauth.errors import InputError, LocalError, StoreError
from msoauth.mail.messages import MessageSummary
from msoauth.mail.stores import Format, open_store
from msoauth.model import Account, Firm
from msoauth.practice import PracticeTenant
from msoauth.store import Workspace
from msoauth.store.export import export_workspace

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes and planted links are POSIX's")

PASSPHRASE = "a passphrase of a file"
FIRM = Firm("Contoso Legal", "contoso.example", "11111111-2222-4333-8444-555555555555")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_file_is_the_users_alone_from_its_first_byte_and_nobody_else_is_contacted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "everything"
    place.mkdir(0o700)
    monkeypatch.delenv("MSOAUTH_PASSPHRASE")  # so that there is a key file too
    command = [sys.executable, "-m", "tests.every_file", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"files": [], "contacted": []}


@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o277, 0o777])
def test_the_umask_decides_nothing(tmp_path: Path, umask: int) -> None:
    program = (
        "import os, sys; from pathlib import Path; from msoauth import private_files\n"
        "os.umask(int(sys.argv[2])); folder = Path(sys.argv[1], 'a', 'b')\n"
        "private_files.make_folder(folder); private_files.write(folder / 'file', b'x')\n"
        "private_files.prepare_database(folder / 'database')"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path), str(umask)], check=True)
    assert {mode(tmp_path / "a"), mode(tmp_path / "a/b")} == {0o700}
    assert {mode(file) for file in (tmp_path / "a/b").iterdir()} == {0o600}


def test_a_file_that_others_could_read_is_narrowed_when_it_is_opened(tmp_path: Path) -> None:
    file = tmp_path / "old"
    file.write_bytes(b"x")
    file.chmod(0o664)
    os.close(private_files.open_private(file, os.O_RDWR | os.O_CREAT))
    assert mode(file) == 0o600


# The workspace's folder


@pytest.mark.parametrize("rights", [0o755, 0o777, 0o711, 0o770])
def test_an_existing_folder_is_narrowed_with_one_notice(tmp_path: Path, rights: int) -> None:
    folder = tmp_path / "workspace"
    with Workspace.open(folder) as workspace:
        workspace.firms.add(FIRM)
    folder.chmod(rights)
    (folder / "msoauth.db").chmod(0o644)
    with Workspace.open(folder) as workspace:
        [notice] = workspace.warnings
        assert str(folder) in notice
        assert len(workspace.firms) == 1
    assert mode(folder) == 0o700
    assert mode(folder / "msoauth.db") == 0o600
    with Workspace.open(folder) as workspace:
        assert workspace.warnings == ()


def test_a_folder_for_everybody_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    with pytest.raises(StoreError, match="other users of this computer"):
        Workspace.open(tmp_path / "tmp")
    assert mode(tmp_path / "tmp") == 0o1777
    assert list((tmp_path / "tmp").iterdir()) == []
    with pytest.raises(StoreError, match="cannot be opened"):
        Workspace.open(f"sqlite:///{tmp_path / 'tmp'}/msoauth.db")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_where_the_file_system_keeps_no_permissions_a_warning_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "workspace"
    folder.mkdir()
    folder.chmod(0o777)
    monkeypatch.setattr(os, "fchmod", lambda *_about: None)
    for _twice in range(2):
        with Workspace.open(folder) as workspace:
            [warning] = workspace.warnings
            assert "keeps no permissions" in warning


# Links that somebody planted


@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-journal"])
def test_the_database_is_not_written_through_a_link(tmp_path: Path, end: str) -> None:
    folder, victim = tmp_path / "workspace", tmp_path / "victim"
    folder.mkdir(0o700)
    (folder / f"msoauth.db{end}").symlink_to(victim)
    with pytest.raises(StoreError, match="cannot be opened"):
        Workspace.open(folder)
    assert not victim.exists()


@pytest.mark.parametrize(
    "planted", ["mail", "mail/anna.lindqvist@contoso.example", "mail/other/../x"]
)
def test_mail_is_not_written_through_a_link_in_the_workspace(tmp_path: Path, planted: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    account = Account("anna.lindqvist@contoso.example", FIRM.name)
    with Workspace.open(tmp_path / "workspace") as workspace:
        workspace.firms.add(FIRM)
        workspace.accounts.add(account)
        (workspace.folder / "mail/other").mkdir(parents=True) if ".." in planted else None
        link = Path(os.path.normpath(workspace.folder / planted))
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(victim)
        place = link if ".." in planted else mail_folder(workspace, account)
        with pytest.raises(InputError, match="cannot be written"):
            next(iter(fetch_mail(workspace, account, to=place)))
    assert list(victim.iterdir()) == []


def _store_one(place: Path, form: Format) -> None:
    with open_store(place, form) as store:
        store.add(store.stage([b"x"]), MessageSummary("uid", None, "", "", "", 1))
        store.commit()


@pytest.mark.parametrize("form", ["eml", "maildir", "mbox"])
def test_no_file_beside_stored_mail_is_followed(tmp_path: Path, form: Format) -> None:
    """Whoever may write in the folder knows the names of index, lock, Maildir's folders and the file of sizes."""
    names = {
        "eml": (".msoauth-index", ".msoauth.lock"),
        "maildir": (".msoauth-index", ".msoauth.lock", "new", "cur", "tmp"),
        "mbox": (".box.msoauth-index", ".box.msoauth-lock", ".box.msoauth-batch", "box"),
    }
    for number, name in enumerate(names[form]):
        folder, victim = tmp_path / str(number), tmp_path / f"victim-{number}"
        folder.mkdir()
        if name in ("new", "cur", "tmp"):
            victim.mkdir()
        else:
            victim.write_bytes(b'{"offset": 0, "lines": []}\n')
        before = victim.stat()
        (folder / name).symlink_to(victim)
        with pytest.raises((InputError, LocalError)):
            _store_one(folder / "box" if form == "mbox" else folder, form)
        assert (victim.stat().st_mtime_ns, victim.stat().st_size) == (
            before.st_mtime_ns,
            before.st_size,
        )


@pytest.mark.parametrize(
    "name", ["notebooks", "notebooks/1 First.ipynb", "notebooks/.msoauth-notebooks.json"]
)
def test_notebooks_are_not_copied_through_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    shipped, victim, mine = tmp_path / "shipped", tmp_path / "victim", tmp_path / "mine"
    shipped.mkdir()
    (shipped / "1 First.ipynb").write_text('{"cells": []}', encoding="utf-8")
    monkeypatch.setattr(lab, "shipped_notebooks", lambda: shipped)
    (mine / name).parent.mkdir(parents=True)
    (mine / name).symlink_to(victim)
    if name == "notebooks":
        victim.mkdir()
        with pytest.raises(OSError, match="through a symbolic link"):
            lab.copy_notebooks(mine / "notebooks")
        assert list(victim.iterdir()) == []
    else:
        lab.copy_notebooks(mine / "notebooks")
        assert not victim.exists()


@pytest.mark.parametrize("rights", [0o777, 0o1777])
@pytest.mark.parametrize("linked", ["report", "folder/report"])
def test_what_a_user_names_is_not_written_through_a_link_that_others_may_have_planted(
    tmp_path: Path, rights: int, linked: str
) -> None:
    shared, victim = tmp_path / "shared", tmp_path / "victim"
    shared.mkdir()
    shared.chmod(rights)
    victim.mkdir()
    (victim / "report").write_bytes(b"the victim's")
    (shared / linked.partition("/")[0]).symlink_to(
        victim / "report" if linked == "report" else victim
    )
    account = Account("anna@contoso.example", FIRM.name)
    with Workspace.open(tmp_path / "workspace") as workspace:
        workspace.firms.add(FIRM)
        for attempt in (
            files.check_writable,
            lambda file: files.write(file, b"a report"),
            lambda file: next(iter(fetch_mail(workspace, account, to=file))),
            lambda file: next(iter(fetch_mail(workspace, account, to=file, format="mbox"))),
        ):
            with pytest.raises(InputError, match="cannot be written"):
                attempt(shared / linked)
    assert (victim / "report").read_bytes() == b"the victim's"
    assert list(victim.iterdir()) == [victim / "report"]


def test_a_link_to_such_a_link_is_not_followed_either(tmp_path: Path) -> None:
    shared, victim, mine = tmp_path / "shared", tmp_path / "victim", tmp_path / "mine"
    shared.mkdir()
    shared.chmod(0o1777)
    victim.write_bytes(b"the victim's")
    (shared / "planted").symlink_to(victim)
    mine.symlink_to(Path("shared") / "planted")
    with pytest.raises(InputError, match="cannot be written"):
        files.write(mine, b"a report")
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(InputError, match="cannot be written"):
        files.write(tmp_path / "round", b"a report")
    assert victim.read_bytes() == b"the victim's"


def test_an_export_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "whole").symlink_to(tmp_path / "victim")  # which is not there
    with (
        Workspace.open(tmp_path / "workspace") as workspace,
        pytest.raises(InputError, match="already"),
    ):
        export_workspace(workspace, tmp_path / "whole", PASSPHRASE)
    assert not (tmp_path / "victim").exists()


def test_the_practice_tenants_files_are_its_users_alone() -> None:
    with PracticeTenant() as tenant:
        folder = tenant.endpoints_file.parent
        assert mode(folder) == 0o700
        assert {mode(file) for file in folder.iterdir()} == {0o600}


# Names from outside text

HOSTILE = [
    *("..", ".", "", " ", "../../etc/passwd", "/etc/passwd", "a/../../b@c.example", "C:evil", "C:\\evil", "\\\\host\\x"),
    *("a\0b", "nul", "NUL.txt", "com1.eml", "COM¹", "con .x", "LPT9", "name.", "name ", "x" * 5000, "ä" * 200, "a\nb"),
    *("\u202egpj.exe", "\ud800", "~", "-rf", "aux@contoso.example", "a*b?c|d<e>f\"g:h"),
]  # fmt: skip


@given(st.text(max_size=300))
@example("anna@contoso.example")
def test_a_name_from_outside_is_one_plain_name(text: str) -> None:
    name = private_files.safe_name(text)
    assert 0 < len(name.encode()) <= 200
    assert name == name.strip(" .")
    assert name.isprintable()
    assert not set(name) & set('<>:"/\\|?*')
    assert not private_files.is_device(name)
    assert private_files.safe_name(name) == name


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_stays_in_its_folder(text: str, tmp_path: Path) -> None:
    with Workspace.open(tmp_path / "workspace") as workspace:
        folder = mail_folder(workspace, Account(text, FIRM.name))
        assert folder.parent == workspace.folder / "mail"
        assert folder.name not in ("", ".", "..")
        assert "\0" not in str(folder)
        private_files.make_folder(folder)
    stem = private_files.file_stem(text)
    assert Path(f"msoauth-{stem}.zip").name == f"msoauth-{stem}.zip"
    assert len(stem) <= 80
    assert stem.isprintable()


def test_ordinary_addresses_keep_their_folders_names_and_no_two_texts_share_one() -> None:
    for address in ("anna@contoso.example", "o'brien+x@contoso.example", "jürgen@müller.example"):
        assert private_files.safe_name(address) == address
    names = [private_files.safe_name(text) for text in [*HOSTILE, "a/b", "a\\b", "a-b", "a:b"]]
    assert len(set(names)) == len(names)


def test_windows_devices_are_known_with_endings_and_in_any_case() -> None:
    assert all(map(private_files.is_device, ("con", "Nul.txt", "COM1.tar.gz", "lpt³", "aux .x")))
    assert not any(map(private_files.is_device, ("console", "com", "com10", "null", "anna")))

"""The vault and the whole workspace change their place: all of it, or nothing, whatever ends the program."""

import os
import secrets
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

import msoauth
from msoauth.clouds import US_GOV
from msoauth.errors import InputError, StoreError, VaultError
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.store import Secret, Workspace, archive, export, schema, vault_key
from tests.postgres import Server

OLD, NEW = "a passphrase for tests", "quite another passphrase"
MARKER = "planted~marker.4711-secret-value"
FIRM = Firm(
    "Contoso Legal",
    "contoso.example",
    "11111111-2222-4333-8444-555555555555",
    cloud=US_GOV,
    secret_expires=date(2027, 5, 31),
)
ADDRESS = "anna@contoso.example"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cheap keys and small pieces: what is tested here does not depend on them."""
    monkeypatch.setattr(archive, "SCRYPT_N", 2**8)
    monkeypatch.setattr(vault_key, "COST", vault_key.ScryptCost(2**8, 8, 1))
    monkeypatch.setattr(archive, "PIECE_BYTES", 4096)


def filled(folder: Path, findings: int = 3) -> Workspace:
    workspace = Workspace.open(folder, passphrase=OLD)
    workspace.firms.add(FIRM, secret=MARKER)
    workspace.accounts.add(
        Account(ADDRESS, FIRM.name, login="a.m@contoso.example", protocol="imap")
    )
    workspace.tokens.save(ADDRESS, f"tokens {MARKER}", signed_in_as="a.m@contoso.example")
    workspace.settings.set("firm", FIRM.name)
    at = datetime(2026, 11, 25, 9, tzinfo=UTC)
    workspace.journal.append(
        *(
            Finding("a.b", Signal.PASSED, f"Nr. {n} – ä", at=at, firm=FIRM.name)
            for n in range(findings)
        )
    )
    return workspace


def opens(folder: Path, passphrase: str) -> bool:
    with Workspace.open(folder, passphrase=passphrase) as workspace:
        try:
            return workspace.firms.secret(FIRM.name) == Secret(MARKER)
        except VaultError:
            return False


def contents(workspace: Workspace) -> tuple[object, ...]:
    return (
        workspace.firms.list(),
        workspace.accounts.list(),
        workspace.firms.secret(FIRM.name),
        workspace.tokens.load(ADDRESS),
        workspace.tokens.status(ADDRESS),
        workspace.settings.get("firm"),
        list(workspace.journal.findings()),
    )


# The vault


def test_another_passphrase_opens_everything_and_the_old_one_nothing(tmp_path: Path) -> None:
    with filled(tmp_path) as workspace:
        workspace.vault.change("passphrase", NEW)
        assert workspace.tokens.load(ADDRESS) == f"tokens {MARKER}"
        workspace.firms.set_secret(FIRM.name, "sealed after the change")
        workspace.firms.set_secret(FIRM.name, MARKER)
    assert opens(tmp_path, NEW)
    assert not opens(tmp_path, OLD)


def test_the_source_moves_between_passphrase_file_and_keyring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, str] = {}
    monkeypatch.setattr("keyring.set_password", lambda _s, name, value: kept.update({name: value}))
    monkeypatch.setattr("keyring.get_password", lambda _s, name: kept.get(name))
    monkeypatch.setattr("keyring.delete_password", lambda _s, name: kept.pop(name))
    with filled(tmp_path) as workspace:
        workspace.vault.change("file")
        assert workspace.vault.source == "file"
        assert len(list(tmp_path.glob("*.key"))) == 1
        workspace.vault.change("keyring")
        assert (len(kept), list(tmp_path.glob("*.key"))) == (1, [])
        monkeypatch.setenv("MSOAUTH_PASSPHRASE", "")
        with Workspace.open(tmp_path) as again:
            assert again.firms.secret(FIRM.name) == Secret(MARKER)
        workspace.vault.change("passphrase", NEW)
        assert kept == {}
    assert opens(tmp_path, NEW)


def test_without_a_keyring_nothing_changes(tmp_path: Path) -> None:
    with filled(tmp_path) as workspace, pytest.raises(VaultError, match="no keyring"):
        workspace.vault.change("keyring")
    assert opens(tmp_path, OLD)


def test_who_cannot_open_the_vault_cannot_change_it(tmp_path: Path) -> None:
    filled(tmp_path).close()
    with (
        Workspace.open(tmp_path, passphrase="none of the passphrases") as workspace,
        pytest.raises(VaultError),
    ):
        workspace.vault.change("passphrase", NEW)
    assert opens(tmp_path, OLD)


def test_of_two_changes_at_once_one_is_told_that_it_changed_nothing(tmp_path: Path) -> None:
    with filled(tmp_path) as one, Workspace.open(tmp_path, passphrase=OLD) as two:
        two.vault.data_key()
        real = secrets.token_hex

        def named(size: int) -> str:
            patched.undo()
            one.vault.change("passphrase", NEW)  # the other has looked, and has not written yet
            return real(size)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(secrets, "token_hex", named)
            with pytest.raises(VaultError, match="Another program changed the vault"):
                two.vault.change("file")
    assert opens(tmp_path, NEW)
    assert list(tmp_path.glob("*.key")) == []


# The whole workspace


def test_everything_comes_along_and_is_sealed_on_the_way(tmp_path: Path) -> None:
    file = tmp_path / "contoso.msoauth"
    with filled(tmp_path / "old") as workspace:
        before = contents(workspace)
        count = export.export_workspace(workspace, file, NEW)
    assert count >= 7
    assert MARKER.encode() not in file.read_bytes()
    assert FIRM.name.encode() not in file.read_bytes()
    if os.name == "posix":
        assert file.stat().st_mode & 0o077 == 0
    with Workspace.open(tmp_path / "new", passphrase="the other computer's") as workspace:
        assert export.import_workspace(workspace, file, NEW) == ()
        assert contents(workspace) == before
        workspace.journal.append(Finding("c.d", Signal.PASSED, "goes on"))
        assert len(list(workspace.journal.findings())) == 4
    assert opens(tmp_path / "new", "the other computer's")
    assert not opens(tmp_path / "new", OLD)


def test_a_workspace_without_secrets_travels_too(tmp_path: Path) -> None:
    file = tmp_path / "x"
    with Workspace.open(tmp_path / "old") as old:
        old.firms.add(FIRM)
        export.export_workspace(old, file, NEW)
    with Workspace.open(tmp_path / "new") as new:
        export.import_workspace(new, file, NEW)
        assert new.firms.list() == [FIRM]
        new.firms.set_secret(FIRM.name, MARKER)
        assert new.firms.secret(FIRM.name) == Secret(MARKER)


def test_an_endpoints_files_certificates_that_did_not_come_along_are_told(tmp_path: Path) -> None:
    import dataclasses

    cloud = dataclasses.replace(US_GOV, name="own", ca_file="/nowhere/ca.pem")
    file = tmp_path / "x"
    with Workspace.open(tmp_path / "old") as old:
        old.firms.add(dataclasses.replace(FIRM, cloud=cloud))
        export.export_workspace(old, file, NEW)
    with Workspace.open(tmp_path / "new") as new:
        assert "/nowhere/ca.pem" in export.import_workspace(new, file, NEW)[0]


def test_what_cannot_be_exported_leaves_no_file(tmp_path: Path) -> None:
    with filled(tmp_path / "old") as workspace:
        with pytest.raises(InputError, match="12 characters"):
            export.export_workspace(workspace, tmp_path / "x", "short")
        (tmp_path / "there").touch()
        with pytest.raises(InputError, match="there already"):
            export.export_workspace(workspace, tmp_path / "there", NEW)
        with pytest.raises(StoreError, match="cannot be written"):
            export.export_workspace(workspace, tmp_path / "no" / "folder" / "x", NEW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "there"]


def test_a_wrong_passphrase_a_cut_a_changed_and_a_foreign_file_import_nothing(
    tmp_path: Path,
) -> None:
    file = tmp_path / "x"
    with filled(tmp_path / "old", findings=5000) as workspace:
        export.export_workspace(workspace, file, NEW)
    whole = file.read_bytes()
    changed = bytearray(whole)
    changed[-20] ^= 1
    cases = {
        "The passphrase is not the one": (whole, "not the passphrase"),
        "damaged or cut off": (whole[:-30], NEW),
        "damaged": (bytes(changed), NEW),
        "damaged or": (whole + b"more", NEW),
        "not a workspace": (b"PK\x03\x04 something else entirely", NEW),
        "not a workspace that": (whole[:10], NEW),
    }
    with Workspace.open(tmp_path / "new") as new:
        for said, (content, passphrase) in cases.items():
            file.write_bytes(content)
            with pytest.raises((VaultError, InputError), match=said):
                export.import_workspace(new, file, passphrase)
            assert new.firms.list() == []
            assert list(new.journal.findings()) == []
        with pytest.raises(InputError, match="cannot be read"):
            export.import_workspace(new, tmp_path / "nowhere", NEW)
        file.write_bytes(whole)
        export.import_workspace(new, file, NEW)
        with pytest.raises(InputError, match="in use already"):
            export.import_workspace(new, file, NEW)
        assert len(list(new.journal.findings())) == 5000


def test_a_file_of_a_newer_layout_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled(tmp_path / "old") as workspace, monkeypatch.context() as later:
        later.setattr(schema, "VERSION", schema.VERSION + 1)
        export.export_workspace(workspace, tmp_path / "x", NEW)
    with Workspace.open(tmp_path / "new") as new, pytest.raises(StoreError, match="update msoauth"):
        export.import_workspace(new, tmp_path / "x", NEW)


def test_pieces_cannot_be_put_in_another_order(tmp_path: Path) -> None:
    file = tmp_path / "x"
    with file.open("wb") as out:
        writer = archive.ArchiveWriter(out, NEW)
        for byte in (b"a", b"b", b"c"):
            writer.write(byte * 300_000)
        writer.finish()
    whole = file.read_bytes()
    with file.open("rb") as source:
        assert (
            b"".join(archive.read_archive(source, NEW))
            == b"a" * 300_000 + b"b" * 300_000 + b"c" * 300_000
        )
    size = 4 + 4096 + 16
    one, two = whole[24 : 24 + size], whole[24 + size : 24 + 2 * size]
    file.write_bytes(whole[:24] + two + one + whole[24 + 2 * size :])
    with file.open("rb") as source, pytest.raises(VaultError):
        list(archive.read_archive(source, NEW))


@pytest.mark.real("postgresql")
@pytest.mark.xdist_group("postgresql")
def test_a_workspace_moves_into_postgresql_and_out_again(tmp_path: Path, server: Server) -> None:
    with filled(tmp_path / "old") as workspace:
        before = contents(workspace)
        export.export_workspace(workspace, tmp_path / "one", NEW)
    with Workspace.open(server.new_database(), passphrase="the team's passphrase") as team:
        export.import_workspace(team, tmp_path / "one", NEW)
        assert contents(team) == before
        team.journal.append(Finding("c.d", Signal.PASSED, "goes on", firm=FIRM.name))
        team.vault.change("passphrase", "the team's next passphrase")
        before = contents(team)
        assert len(list(team.journal.findings())) == 4
        export.export_workspace(team, tmp_path / "two", NEW)
    with Workspace.open(tmp_path / "back", passphrase=OLD) as workspace:
        export.import_workspace(workspace, tmp_path / "two", NEW)
        assert contents(workspace) == before


# Whatever ends the program

_CHILD = """
import os, pathlib, shutil, sys
from sqlalchemy import event
from msoauth.store import Workspace, archive, export, vault_key
archive.SCRYPT_N = 2**8
vault_key.COST = vault_key.ScryptCost(2**8, 8, 1)
start, what, old, *more = sys.argv[1:]
for step in range(1, 200):
    folder = pathlib.Path(f"{start}-{step:03}")
    if pathlib.Path(start).exists():
        shutil.copytree(start, folder)
    child = os.fork()
    if not child:
        workspace = Workspace.open(folder, passphrase=old)
        count = 0
        def end(*_about):
            global count
            count += 1
            if count == step:
                os._exit(9)  # like SIGKILL: no clean-up of any kind runs
        event.listen(workspace.database.engine, "before_cursor_execute", end)
        event.listen(workspace.database.engine, "commit", end)
        if what == "change":
            workspace.vault.change("passphrase", more[0])
        elif what == "rotate":
            workspace.vault.change(rotate=True)
        else:
            export.import_workspace(workspace, pathlib.Path(more[0]), more[1])
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(folder, status, flush=True)
    if status != 9:
        sys.exit(status)
"""


def killed_everywhere(*arguments: str) -> list[Path]:
    """The workspaces that a child left that was ended at its first step, its second, and so on to its own end."""
    run = subprocess.run(
        [sys.executable, "-c", _CHILD, *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(msoauth.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return [Path(line.rpartition(" ")[0]) for line in run.stdout.splitlines()]


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@needs_fork
def test_a_change_that_is_killed_leaves_the_old_key_or_the_new(tmp_path: Path) -> None:
    filled(tmp_path / "w").close()
    left = killed_everywhere(str(tmp_path / "w"), "change", OLD, NEW)
    found = [(opens(folder, OLD), opens(folder, NEW)) for folder in left]
    assert set(found) == {(True, False), (False, True)}
    assert found == sorted(found, reverse=True)  # first the old key, from one step on the new
    assert len(found) > 3


@needs_fork
def test_an_import_that_is_killed_leaves_nothing_or_all(tmp_path: Path) -> None:
    file = tmp_path / "x"
    with filled(tmp_path / "old") as workspace:
        export.export_workspace(workspace, file, NEW)
    left = killed_everywhere(str(tmp_path / "w"), "import", OLD, str(file), NEW)
    found = []
    for folder in left:
        with Workspace.open(folder, passphrase=OLD) as workspace:
            rows = len(list(workspace.journal.findings()))
            found.append((len(workspace.firms.list()), rows))
    assert set(found) == {(0, 0), (1, 3)}
    assert found == sorted(found)
    assert len(found) > 10
    assert opens(left[-1], OLD)

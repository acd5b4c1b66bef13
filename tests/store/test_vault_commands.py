"""``msoauth vault`` and ``msoauth workspace``: from one computer's folder to another's."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from msoauth.cli import main
from msoauth.model import Account, Firm
from msoauth.store import Secret, Workspace, parcel

SECRET = "planted~marker.4711-secret-value"
FIRM = Firm("Contoso", "contoso.example", "11111111-2222-4333-8444-555555555555")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setattr(parcel, "_SCRYPT_N", 2**8)

    def run(*arguments: str, said: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(said))
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        shown = capsys.readouterr()
        assert SECRET not in shown.out + shown.err
        return int(ended.value.code or 0), shown.out, shown.err

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Workspace.open(tmp_path / "workspace") as workspace:
        workspace.firms.add(FIRM, SECRET)
        workspace.accounts.add(Account("anna@contoso.example", "Contoso"))
    return tmp_path


def test_a_passphrase_is_changed_and_the_old_one_opens_nothing(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "a passphrase" in run("vault", "show")[1]
    status, _out, err = run("vault", "passphrase", "--passphrase-stdin", said="short\n")
    assert (status, "12 characters" in err) == (2, True)
    status, out, _err = run(
        "vault", "passphrase", "--passphrase-stdin", said="a longer passphrase\n"
    )
    assert (status, "Set MSOAUTH_PASSPHRASE" in out) == (0, True)
    status, _out, err = run(
        "vault", "passphrase", "--passphrase-stdin", said="yet another passphrase\n"
    )
    assert (status, "is not the one of this workspace" in err) == (2, True)
    monkeypatch.setenv("MSOAUTH_PASSPHRASE", "a longer passphrase")
    status, out, err = run("vault", "source", "file")
    assert (status, "key file" in out, "whoever copies this folder" in err) == (0, True, True)
    status, _out, err = run("vault", "source", "keyring")
    assert (status, "no keyring" in err) == (2, True)
    monkeypatch.delenv("MSOAUTH_PASSPHRASE")
    with Workspace.open(folder / "workspace") as workspace:
        assert workspace.firms.secret("Contoso") == Secret(SECRET)


def test_a_workspace_is_taken_to_another_folder(run: Run, folder: Path) -> None:
    file, words = str(folder / "taken.msoauth"), "a passphrase for the journey\n"
    status, out, _err = run("workspace", "export", file, "--passphrase-stdin", said=words)
    assert (status, "holds the workspace" in out) == (0, True)
    status, _out, err = run("workspace", "import", file, "--passphrase-stdin", said=words)
    assert (status, "in use already" in err) == (2, True)
    there = ("--workspace", str(folder / "there"))
    status, _out, err = run(
        *there, "workspace", "import", file, "--passphrase-stdin", said="none of the passphrases\n"
    )
    assert (status, "not the one of this file" in err) == (2, True)
    status, out, _err = run(*there, "workspace", "import", file, "--passphrase-stdin", said=words)
    assert (status, "Firms: 1, accounts: 1" in out) == (0, True)
    with Workspace.open(folder / "there") as workspace:
        assert workspace.firms.secret("Contoso") == Secret(SECRET)


def test_no_passphrase_changes_nothing(run: Run, folder: Path) -> None:
    file = folder / "x"
    status, _out, err = run("workspace", "export", str(file), "--passphrase-stdin")
    assert (status, "No passphrase was given" in err, file.exists()) == (2, True, False)

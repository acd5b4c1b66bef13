"""``msoauth vault`` and ``msoauth workspace``: from one computer's folder to another's."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from msoauth.cli import main
from msoauth.model import Account, Firm
from msoauth.store import Secret, Workspace, archive, vault_key

SECRET = "planted~marker.4711-secret-value"
FIRM = Firm("Contoso", "contoso.example", "11111111-2222-4333-8444-555555555555")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setattr(archive, "SCRYPT_N", 2**8)
    monkeypatch.setattr(vault_key, "COST", vault_key.ScryptCost(2**8, 8, 1))

    def run(*arguments: str, said: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(said.encode())))
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
    assert "Whoever knows the old passphrase" in out
    assert out.endswith("To do so: msoauth vault rotate\n")
    status, _out, err = run(
        "vault", "passphrase", "--passphrase-stdin", said="yet another passphrase\n"
    )
    assert (status, "is not the one of this workspace" in err) == (2, True)
    monkeypatch.setenv("MSOAUTH_PASSPHRASE", "a longer passphrase")
    with Workspace.open(folder / "workspace") as workspace:
        assert workspace.firms.secret("Contoso") == Secret(SECRET)


def test_the_source_is_moved_away_from_a_passphrase_and_back(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, _err = run("vault", "source", "file")
    assert (status, "key file" in out, "1 secret or token is encrypted" in out) == (0, True, True)
    assert "Unset MSOAUTH_PASSPHRASE" in out
    for command in (
        ("firm", "secret", "Contoso", "--secret-stdin"),
        ("vault", "rotate"),
        ("audit",),
    ):
        status, out, err = run(*command, said="another~made-up-secret\n")
        assert (status, out) == (2, ""), command
        assert err.count("\n") == 1
        assert "MSOAUTH_PASSPHRASE is set, but" in err
        assert "run msoauth vault passphrase" in err
    status, out, err = run("vault", "show")
    assert (status, "The key comes from a key file" in out) == (0, True)
    assert "MSOAUTH_PASSPHRASE is set, but" in err
    assert run("vault", "source", "keyring")[::2] == (
        2,
        "This computer offers no keyring that keeps what is put into it.\n",
    )
    status, out, err = run("vault", "passphrase")  # as the error said, and it asks nothing
    assert (status, err) == (0, "")
    assert "● The key comes from the passphrase in MSOAUTH_PASSPHRASE now." in out
    assert "1 secret or token is encrypted with a new key" in out
    assert not list((folder / "workspace").glob("*.key"))
    with Workspace.open(folder / "workspace") as workspace:
        assert workspace.firms.secret("Contoso") == Secret(SECRET)


def test_without_a_passphrase_the_note_about_a_key_file_names_the_file_and_the_way_out(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("vault", "source", "file")[0] == 0
    monkeypatch.setenv("MSOAUTH_PASSPHRASE", "")
    _status, _out, err = run("firm", "list")
    [file] = (folder / "workspace").glob("*.key")
    assert f"Note: The key that protects secrets and tokens is in the file {file}: anyone" in err
    assert "msoauth vault passphrase" in err
    words = "planted~passphrase~of~one\n"
    status, out, _err = run("vault", "passphrase", "--passphrase-stdin", said=words)
    assert (status, "Set MSOAUTH_PASSPHRASE to it" in out, "new key" in out) == (0, True, True)


def test_everything_is_encrypted_anew_on_demand(run: Run, folder: Path) -> None:
    status, out, _err = run("vault", "rotate")
    assert status == 0
    assert out.startswith("● 1 secret or token is encrypted with a new key.\n")
    for told in (
        "Older copies",
        "New client secret",
        "msoauth firm secret NAME",
        "Revoke sessions",
    ):
        assert told in out
    with Workspace.open(folder / "workspace") as workspace:
        assert workspace.firms.secret("Contoso") == Secret(SECRET)
    empty = ("--workspace", str(folder / "empty"))
    status, out, err = run(*empty, "vault", "rotate")
    assert (status, out, "Nothing is sealed in this workspace yet" in err) == (2, "", True)


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


class Terminal(io.TextIOWrapper):
    """A keyboard with somebody at it."""

    def isatty(self) -> bool:
        return True


def test_where_there_is_no_terminal_one_sentence_says_what_to_use(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    sentence = "There is no terminal to ask on; use --passphrase-stdin.\n"
    moved = tmp_path / "moved.msoauth"
    assert run("vault", "passphrase", said="a longer passphrase\n") == (2, "", sentence)
    assert run("workspace", "export", str(moved)) == (2, "", sentence)
    assert not moved.exists()
    words = "a passphrase for the journey\n"
    assert run("workspace", "export", str(moved), "--passphrase-stdin", said=words)[0] == 0
    there = ("--workspace", str(folder / "there"))
    assert run(*there, "workspace", "import", str(moved)) == (2, "", sentence)
    assert run("firm", "remove", "Contoso") == (
        2,
        "",
        "There is no terminal to ask on; use --yes.\n",
    )
    with Workspace.open(folder / "workspace") as workspace:
        assert [firm.name for firm in workspace.firms.list()] == ["Contoso"]


def test_what_cannot_be_exported_or_imported_is_said_before_a_passphrase_is_asked_for(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "msoauth.cli.prompts.read_hidden", lambda *_a, **_k: pytest.fail("it was asked for")
    )
    foreign = tmp_path / "holiday.jpg"
    foreign.write_bytes(b"\xff\xd8\xff\xe0 a picture")
    there = ("--workspace", str(tmp_path / "there"))
    for arguments, why in [
        (("workspace", "export", str(foreign)), "holiday.jpg is there already"),
        (("workspace", "export", str(tmp_path / "no" / "x")), "cannot be written: "),
        (("workspace", "export", str(foreign / "x")), "cannot be written: "),
        ((*there, "workspace", "import", str(foreign)), "This is not a workspace that msoauth"),
        ((*there, "workspace", "import", str(tmp_path / "no")), "no cannot be read: "),
        ((*there, "workspace", "import", str(tmp_path)), f"{tmp_path.name} cannot be read: "),
    ]:
        status, out, err = run(*arguments)
        assert (status, out, why in err) == (2, "", True), err
    ours = tmp_path / "ours.msoauth"
    with ours.open("wb") as file:
        archive.ArchiveWriter(file, "any passphrase").finish()
    status, _out, err = run("workspace", "import", str(ours))
    assert (status, "in use already" in err) == (2, True)


@pytest.mark.parametrize("answer", ["y", "n"])
def test_a_new_passphrase_is_asked_for_until_it_is_twice_the_same_and_a_new_key_is_offered(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    typed = iter(["a longer passphrase", "a longer passphrse", *["another passphrase"] * 2, answer])
    monkeypatch.setattr(io, "TextIOWrapper", Terminal)
    monkeypatch.setattr("typer.prompt", lambda *_a, **_k: next(typed))
    status, out, err = run("vault", "passphrase")
    assert (status, err) == (0, "The two were not the same; try again.\n")
    assert ("● 1 secret or token" in out) == (answer == "y")
    assert ("msoauth vault rotate" in out) == (answer == "n")
    monkeypatch.setenv("MSOAUTH_PASSPHRASE", "another passphrase")
    with Workspace.open(folder / "workspace") as workspace:
        assert workspace.firms.secret("Contoso") == Secret(SECRET)


def test_a_firm_is_forgotten_only_after_a_yes(run: Run, folder: Path) -> None:
    status, _out, err = run("firm", "remove", "Contoso", said="n\n")
    assert (status, err) == (130, "Nothing was changed.\n")
    assert run("firm", "remove", "Contoso", said="y\n")[0] == 0


def test_a_database_that_cannot_be_reached_is_told_in_well_formed_sentences(run: Run) -> None:
    pytest.importorskip("psycopg")
    place = "postgresql+psycopg://msoauth@127.0.0.1:1/x"
    status, out, err = run("--workspace", place, "firm", "list")
    assert (status, out) == (2, "")
    assert "cannot be opened: " in err
    assert not re.search(r"[.?!:] ?\.", err)
    assert err.rstrip().endswith((".", "?"))


def test_a_workspace_that_is_a_file_is_told_without_numbers_of_errors(
    run: Run, tmp_path: Path
) -> None:
    place = tmp_path / "letter.docx"
    place.write_text("Dear Sirs", encoding="utf-8")
    status, _out, err = run("--workspace", str(place), "firm", "list")
    assert (status, "cannot be opened: Not a directory." in err) == (2, True), err


@pytest.mark.parametrize(
    "place",
    [
        "http://contoso.example",
        "mysql://office:geheim4711@contoso.example/mail",
        "postgresql+psycopg://office:geheim4711@contoso.example:port/mail",
        "://",
    ],
)
def test_an_address_that_is_no_database_is_told_without_its_password(run: Run, place: str) -> None:
    status, _out, err = run("--workspace", place, "firm", "list")
    assert (status, "neither a folder nor an address like postgresql" in err) == (2, True), err
    assert "geheim4711" not in err

"""Wrong input on the command line: exit status 2, one line on stderr, no traceback, nothing changed."""

import io
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

import msoauth
from msoauth.cli import main, usage
from msoauth.model import Firm
from msoauth.store import Workspace

GOOD = ("--tenant", "contoso.example", "--client-id", "11111111-2222-4333-8444-555555555555")
SECRET = "Zk98Q~planted-marker-value-for-the-tests_0001"

Run = Callable[..., tuple[int, str, str]]


def msoauth_command(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "msoauth", *arguments],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(msoauth.__file__).parents[1])},
        check=False,
    )


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """A command in this process, in an empty folder and without a terminal."""
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"))
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    yield run
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("firm", "show", "Nobody"),
        ("firm", "add", "Contoso Legal", "--tenant", "not a tenant!", "--client-id", GOOD[3]),
        (
            "firm",
            "add",
            "Contoso Legal",
            "--tenant",
            "contoso.example",
            "--client-id",
            "anna@contoso.example",
        ),
        ("firm", "add", "Contoso Legal", *GOOD, "--secret-expires", "tomorrow"),
        ("firm", "add", "Contoso Legal", *GOOD, "--cloud", "no-such-file.json"),
        ("account", "add", "anna@contoso.example", "--firm", "Nobody"),
        ("account", "import", "no-such-file.csv", "--firm", "Nobody"),
        ("fetch", "nobody@contoso.example"),
        ("sign-in", "nobody@contoso.example"),
        ("journal", "--since", "yesterday"),
        ("practice", "serve", "--scenario", "no-such-scenario"),
        ("practice", "serve", "--scenario", "pop-off@nobody@contoso.example"),
        ("practice", "serve", "--scenario", "clock-ahead@contoso.example"),
        ("practice", "serve", "--people-base", "office"),
        ("practice", "serve", "--clock", "soon"),
        ("practice", "serve", "--clock", "-99999d"),
        ("practice", "serve", "--accounts", "99999999999"),
        ("practice", "serve", "--firms", "0"),
        ("practice", "serve", "--firms", "Müller Recht, Muller Recht"),
        ("practice", "enrol", "no-such-file.json"),
        ("explain", ""),
        ("audit", "--workers", "0"),
        ("audit", "--workers", "many"),
        ("audit", "--csv", "no-such-folder/audit.csv"),
        ("letter", "--form", "pdf"),
        ("letter", "--colour"),
        ("firm", "show"),
        ("vault", "source", "cloud"),
        ("vault", "passphrase"),
        ("workspace", "export", "moved.msoauth"),
    ],
    ids=" ".join,
)
def test_unusable_input_is_one_line_and_status_2(
    run: Run, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    status, out, err = run(*arguments)
    assert status == 2, err
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err
    sentences = err.strip().partition(" Help: msoauth ")[0]
    assert re.search(r"(?<![.?!])[.?!]\)?$|: msoauth [a-z ]+$", sentences), "one whole sentence"
    assert "Value error" not in err
    assert not list(tmp_path.glob("*.msoauth"))


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("Input should be greater than or equal to 1", "it must be greater than or equal to 1."),
        ("Input should be a valid integer, unable to parse string as an integer", "it must be a valid integer."),
        ("Value error, 'pdf' is not one of 'text', 'html'.", "'pdf' is not one of 'text', 'html'."),
        ("0 is not in the range 1<=x<=512.", "0 is not in the range 1<=x<=512."),
        ("'x' is not a valid integer range", "'x' is not a valid integer range."),
    ],
)  # fmt: skip
def test_old_and_new_typer_complain_in_whole_sentences(said: str, sentence: str) -> None:
    wrong = typer.BadParameter(said, param_hint="'--form'")
    assert usage.error_message(wrong) == f"Invalid value for '--form': {sentence}"


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        (("firm", "add", "X", "--tenant", "no tenant!", "--client-id", GOOD[3]), "--tenant: "),
        (("firm", "add", "X", *GOOD[:2], "--client-id", "anna"), "--client-id: "),
        (("firm", "add", "X", *GOOD, "--redirect-uri", "gopher://x"), "--redirect-uri: "),
        (("firm", "add", "X", *GOOD, "--cloud", "moon"), "--cloud: The cloud “moon” is neither"),
        (("account", "add", "anna", "--firm", "X"), "ADDRESS: This address has no domain"),
        (("account", "add", "a@x.example", "--firm", "X", "--login", "anna"), "--login: This address"),
        (("account", "add", "a@x.example", "--firm", "Nobody"), "--firm: There is no firm “Nobody”"),
        (("firm", "show", "Nobody"), "There is no firm “Nobody”"),
        (("fetch", "nobody@x.example"), "There is no account nobody@x.example"),
        (("practice", "serve", "--people-base", "office"), "--people-base: “office” is not"),
        (("practice", "serve", "--scenario", "nonsense"), "--scenario: There is no scenario “nonsense”"),
        (("practice", "serve", "--clock", "soon"), "--clock: The clock offset “soon”"),
        (("practice", "serve", "--firms", "0"), "--firms: There can be 1 to"),
        (("practice", "serve", "--bundle", "no.zip"), "The bundle no.zip cannot be read"),
        (("practice", "enrol", "no.json"), "The endpoints file no.json cannot be read: No such file"),
        (("journal", "--since", "soon"), "--since: “soon” is not a date"),
        (("firm", "add", "X", *GOOD, "--secret-expires", "soon"), "--secret-expires: The end date “soon”"),
        (("audit", "--csv", "no/x.csv"), "no/x.csv cannot be written: "),
        (("audit", "--share"), "--share: Several computers share"),
        (("account", "import", "no.csv", "--firm", "X"), "no.csv cannot be read: "),
    ],
    ids=" ".join,
)  # fmt: skip
def test_the_sentence_names_the_option_whose_value_is_wrong(
    run: Run, arguments: tuple[str, ...], begins: str
) -> None:
    with Workspace.open() as workspace:
        workspace.firms.add(Firm("X", "contoso.example", GOOD[3]))
    status, _out, err = run(*arguments)
    assert status == 2
    assert err.startswith(begins)


def test_a_port_that_is_taken_is_one_line_and_status_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = msoauth_command("practice", "serve", "--port-base", str(port))
    assert done.returncode == 2, done.stderr
    assert f"Port {port} of this computer cannot be taken" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_secret_id_in_place_of_the_value_is_refused_and_not_echoed() -> None:
    pasted = "0b1c2d3e-4f50-4607-8899-aabbccddeeff"
    done = msoauth_command(
        "firm", "add", "Contoso Legal", *GOOD, "--secret-stdin", stdin=pasted + "\n"
    )
    assert done.returncode == 2
    assert "Value" in done.stderr
    assert pasted not in done.stderr


def test_a_firm_is_added_listed_shown_and_removed_without_its_secret_ever_showing() -> None:
    outputs = []
    for arguments in (
        ("firm", "add", "Contoso Legal", *GOOD, "--secret-stdin", "--secret-expires", "2027-05-31"),
        ("firm", "list"),
        ("firm", "list", "--json"),
        ("firm", "show", "contoso legal", "--json"),
        ("account", "add", "anna@contoso.example", "--firm", "Contoso Legal"),
        ("account", "list", "--json"),
        ("firm", "remove", "Contoso Legal", "--yes"),
    ):
        done = msoauth_command(*arguments, stdin=f"  {SECRET}\r\n")
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout + done.stderr)
    assert SECRET not in "".join(outputs)
    assert "2027-05-31" in outputs[1]


def test_the_same_firm_or_account_twice_is_refused() -> None:
    assert msoauth_command("firm", "add", "Contoso Legal", *GOOD).returncode == 0
    again = msoauth_command("firm", "add", "CONTOSO LEGAL", *GOOD)
    assert again.returncode == 2
    assert len(again.stderr.strip().splitlines()) == 1
    assert (
        msoauth_command(
            "account", "add", "anna@contoso.example", "--firm", "Contoso Legal"
        ).returncode
        == 0
    )
    assert (
        msoauth_command(
            "account", "add", "Anna@Contoso.example", "--firm", "Contoso Legal"
        ).returncode
        == 2
    )


def test_accounts_are_imported_line_by_line_and_a_bad_line_stops_no_other(tmp_path: Path) -> None:
    assert msoauth_command("firm", "add", "Contoso Legal", *GOOD).returncode == 0
    sheet = tmp_path / "accounts.csv"
    sheet.write_text(
        "address;retrieve\nanna@contoso.example;pop3\nno address;pop3\nmax@contoso.example;imap\n",
        encoding="utf-8",
    )
    done = msoauth_command("account", "import", str(sheet), "--firm", "Contoso Legal")
    assert done.returncode == 1
    assert "line 3" in done.stdout
    assert done.stdout.endswith("Added: 2, not added: 1.\n")
    listed = msoauth_command("account", "list", "--json").stdout
    assert "anna@contoso.example" in listed
    assert "max@contoso.example" in listed


def test_the_command_line_loads_nothing_heavy_before_a_command_needs_it() -> None:
    heavy = ["jinja2", "msal", "pandas", "requests", "sqlalchemy", "tornado"]
    script = f"import sys, msoauth.cli; print([m for m in {heavy!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_version() -> None:
    assert msoauth_command("--version").stdout.strip() == f"msoauth {msoauth.__version__}"


def test_a_file_that_is_no_bundle_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "holiday.zip"
    file.write_bytes(b"not a zip at all")
    done = msoauth_command("practice", "serve", "--bundle", str(file))
    assert done.returncode == 2
    assert done.stderr.strip() == "holiday.zip is not a support bundle of msoauth."
    assert done.stdout == ""

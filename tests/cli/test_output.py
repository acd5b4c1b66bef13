"""What people see: whole values in every terminal, German words, and a sentence when something is amiss."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from msoauth import redact
from msoauth.cli import main, tables
from msoauth.cli.output import show_finding
from msoauth.errors import AuthError
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.store import Workspace
from msoauth.texts import use_language

TENANT = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
CLIENT = "11111111-2222-4333-8444-555555555555"
ANNA = "anna.lindqvist@contoso.example"
BROKEN = Finding(
    "sign-in.present",
    Signal.FAILED,
    "nobody is there",
    evidence="535 5.7.3 unsuccessful",
    cause="session-missing",
    who="user",
    fix=("Sign in.",),
    ids={"correlation_id": "4711"},
    firm="Contoso",
    account=ANNA,
    run="r1",
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """A command in this process."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return run


@pytest.fixture(autouse=True)
def _in_english() -> Iterator[None]:
    yield
    use_language("en")


@pytest.fixture
def _known() -> None:
    with Workspace.open() as workspace:
        workspace.firms.add(Firm("Contoso [Legal]", TENANT, CLIENT))
        workspace.accounts.add(Account(ANNA, "Contoso [Legal]"))
        workspace.journal.append(BROKEN, BROKEN)


@pytest.fixture(params=[40, 80, 200])
def terminal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A terminal of that many columns."""
    width: int = request.param

    def screen(**_how: bool) -> Console:
        return Console(
            file=sys.stdout, width=width, force_terminal=True, soft_wrap=True, color_system=None
        )

    monkeypatch.setattr(tables, "console", screen)
    return width


@pytest.mark.usefixtures("_known")
def test_no_id_and_no_address_is_cut_off_on_any_terminal(run: Run, terminal: int) -> None:
    for command, values in [
        (("firm", "list"), (TENANT, CLIENT, "Contoso [Legal]")),
        (("firm", "show", "contoso [legal]"), (TENANT, CLIENT, "http://localhost")),
        (("account", "list"), (ANNA, "pop3", "not yet")),
    ]:
        status, out, _err = run(*command)
        assert status == 0
        assert all(value in out for value in values)
        assert max(map(len, out.splitlines())) <= max(terminal, 46)


@pytest.mark.usefixtures("_known")
def test_a_list_in_a_file_has_one_line_for_each_row(run: Run) -> None:
    _status, out, _err = run("firm", "list")
    assert [line for line in out.splitlines() if "Contoso [Legal]" in line and CLIENT in line]


@pytest.mark.usefixtures("_known")
def test_the_journal_names_run_and_mailbox_once(run: Run) -> None:
    _status, out, _err = run("journal")
    assert out.count(ANNA) == 1
    assert out.count("sign-in.present") == 2


def test_a_finding_is_told_in_the_words_of_people_and_in_german() -> None:
    said = {}
    for language in ("en", "de"):
        use_language(language)
        screen = Console(file=io.StringIO(), width=200)
        show_finding(BROKEN, screen)
        said[language] = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "Who can fix it: the user" in said["en"]
    assert "(session-missing)" in said["en"]
    assert "correlation id 4711" in said["en"]
    for word in ("Der Server sagte: 535", "Ursache: ", "(session-missing)", "der Benutzer"):
        assert word in said["de"]


@pytest.mark.usefixtures("_known")
def test_a_journal_that_is_asked_for_what_there_is_not_says_so(run: Run) -> None:
    for asked in (("--since", "2099-01-01"), ("--account", "nobody@contoso.example")):
        assert "There is no such finding." in run("journal", *asked)[1]


@pytest.mark.usefixtures("_known")
def test_a_folder_for_an_mbox_is_refused_before_anybody_is_asked(run: Run, tmp_path: Path) -> None:
    status, _out, err = run("fetch", ANNA, "--format", "mbox", "--to", str(tmp_path))
    assert (status, err) == (2, f"--to: {tmp_path} is a folder; for mbox name a file.\n")


def test_a_refusal_that_no_command_expects_is_a_failure_with_its_remedy(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_a: object, **_k: object) -> None:
        raise AuthError("The client secret is wrong.", cause="secret-invalid", evidence="AADSTS7")

    monkeypatch.setattr(Workspace, "open", refused)
    status, out, err = run("firm", "list")
    assert (status, out) == (1, "")
    assert "AADSTS7" in err
    assert "(secret-invalid). Who can fix it: you" in err


def test_a_language_that_there_is_not_is_refused(run: Run) -> None:
    assert run("--lang", "fr", "firm", "list") == (2, "", "--lang: “fr” is neither en nor de.\n")


def test_help_has_no_value_behind_options_that_take_none(run: Run) -> None:
    for command in ((), ("firm",), ("diagnose",)):
        assert "<bool>" not in run(*command, "--help")[1]


def test_no_arguments_show_the_help_and_nothing_else(run: Run) -> None:
    _status, out, err = run()
    assert "Usage: msoauth" in out
    assert err == ""


def _process(*arguments: str, stdout: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "msoauth", *arguments]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, encoding="utf-8"
    )


def test_a_reader_that_has_seen_enough_is_left_in_peace() -> None:
    with _process("practice", "scenarios", "--json", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 130


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_one_sentence() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        with _process("practice", "scenarios", "--json", stdout=full) as process:
            assert process.stderr is not None
            said = process.stderr.read()
    finally:
        os.close(full)
    assert said == "This could not be carried out: No space left on device.\n"
    assert process.returncode == 2


def test_a_fault_of_ours_is_a_sentence_without_secrets(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "planted~marker.4711-secret-value"
    redact.remember(secret)

    def broken(*_a: object, **_k: object) -> None:
        raise KeyError(secret)

    monkeypatch.setattr(Workspace, "open", broken)
    status, out, err = run("firm", "list")
    assert (status, out) == (3, "")
    assert err.startswith("There is a fault in msoauth itself; please report it: KeyError: ")
    assert "test_output.py:" in err
    assert secret not in err
    assert len(err.splitlines()) == 1


def test_a_report_of_some_firms_for_machines_and_for_people(run: Run, tmp_path: Path) -> None:
    with Workspace.open() as workspace:
        for name in ("Contoso", "Fabrikam", "Tailspin"):
            workspace.firms.add(Firm(name, TENANT, CLIENT))
            workspace.accounts.add(Account(f"anna@{name.lower()}.example", name))
        refused = Finding(
            "smtp.login",
            Signal.FAILED,
            "it was refused",
            cause="smtp-auth-disabled-mailbox",
            who="tenant-admin",
            firm="Contoso",
            account="anna@contoso.example",
        )
        workspace.journal.append(refused)
    two = ("audit", "--no-run", "--firm", "Contoso", "--firm", "fabrikam")
    code, out, err = run(*two, "--json")
    objects = [json.loads(line) for line in out.splitlines()]
    assert [(o["account"], o["signal"]) for o in objects] == [
        ("anna@contoso.example", "failed"),
        ("anna@fabrikam.example", "not-run"),
    ]
    assert code == 1
    assert "2 accounts" in err
    code, out, _err = run(*two, "--csv", str(tmp_path / "two.csv"))
    assert "→ 1. Microsoft 365 admin center" in out
    assert "msoauth letter --firm Contoso" in out
    assert "tailspin" not in (tmp_path / "two.csv").read_text(encoding="utf-8").lower()


def test_reports_go_through_links_and_into_devices_as_they_are(run: Run, tmp_path: Path) -> None:
    with Workspace.open() as workspace:
        workspace.firms.add(Firm("Contoso", TENANT, CLIENT))
        workspace.accounts.add(Account(ANNA, "Contoso"))
    real = tmp_path / "real.html"
    link = tmp_path / "link.html"
    link.symlink_to(real)
    for file in (link, Path(os.devnull)):
        assert run("record", "Contoso", "--to", str(file))[0] == 0
        assert run("audit", "--no-run", "--html", str(file))[0] in (0, 3)
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8").startswith("<!")
    assert not Path(os.devnull).is_file()
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".part"] == []


def test_json_stays_json_beside_the_words_for_people(run: Run) -> None:
    with Workspace.open() as workspace:
        workspace.firms.add(Firm("Contoso", TENANT, CLIENT))
    assert (
        json.loads(run("--lang", "de", "firm", "show", "Contoso", "--json")[1])["name"] == "Contoso"
    )


def test_help_is_in_german_too_and_in_english_again(run: Run) -> None:
    whole = run("--lang", "de", "--help")[1]
    assert "Den Benutzer eines Postfachs" in whole
    assert "Diese Hilfe zeigen." in whole
    assert "Kanzleien und ihre App-Registrierungen" in run("--lang", "de", "firm", "--help")[1]
    audit = " ".join(run("--lang", "de", "audit", "--help")[1].split())
    assert "Nur diese Kanzlei" in audit
    # cron writes commands into its log and its mails: the passphrase is in none.
    assert " MSOAUTH_PASSPHRASE=... 15 2 * * * /PFAD/ZU/msoauth audit --html" in audit
    assert "Every check for one account" in run("--help")[1]

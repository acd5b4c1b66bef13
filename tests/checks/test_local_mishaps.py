"""What goes wrong on this computer is told as that: no steps about Microsoft's sign-in log, nothing for the firm's IT."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import msoauth
from msoauth import passphrase
from msoauth.checks import DIAGNOSE, Check, Context, Outcome, run
from msoauth.cli import main
from msoauth.enrol import enrol
from msoauth.errors import InputError, LocalError, MsoauthError, NothingToDoError, StoreError
from msoauth.model import Finding, Signal
from msoauth.practice import PracticeTenant
from msoauth.reports.letter import letter
from msoauth.store import Workspace
from msoauth.ui import html

FIRM = "Contoso Legal"
ANNA = "anna.lindqvist@contoso.example"
FOREIGN = ("sign-in log", "Entra", "the firm's IT", "TLS 1.2", "correlation")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A workspace's folder; the practice tenant that its users are signed in to, with its CA file, is beside it."""
    monkeypatch.setenv(passphrase.VARIABLE, "the right passphrase")
    with PracticeTenant(accounts=1) as tenant:
        with Workspace.open(tmp_path / "workspace") as workspace:
            list(enrol(workspace, tenant.endpoints_file))
            (tmp_path / "ca").write_text(str(workspace.firms[FIRM].cloud.ca_file))
        yield tmp_path


def remove_ca_file(place: Path) -> None:
    Path((place / "ca").read_text()).unlink()


def diagnose(place: Path) -> list[Finding]:
    with Workspace.open(place / "workspace") as workspace:
        account = workspace.accounts[ANNA]
        return list(run(DIAGNOSE, Context(workspace, workspace.firms[FIRM], account)))


def assert_local(findings: list[Finding]) -> list[Finding]:
    wrong = [f for f in findings if f.signal in (Signal.FAILED, Signal.ERROR)]
    assert wrong
    for finding in wrong:
        assert (finding.signal, finding.cause, finding.who) == (Signal.ERROR, None, "")
        shown = f"{finding.summary} {finding.fix} {finding.links} {html.findings([finding])}"
        assert not [words for words in FOREIGN if words in shown]
    return wrong


def test_a_missing_ca_file_is_named_and_no_server_is_blamed(place: Path) -> None:
    remove_ca_file(place)
    wrong = assert_local(diagnose(place))
    assert {f.check for f in wrong} >= {"network.authority", "network.pop3", "network.smtp"}
    assert all("ca.pem" in f.summary and "practice serve" in f.fix[1] for f in wrong)
    with Workspace.open(place / "workspace") as workspace, pytest.raises(NothingToDoError):
        letter(workspace, workspace.firms[FIRM])


@pytest.mark.parametrize(
    ("words", "status"),
    [(("diagnose", ANNA), 3), (("firm", "check", FIRM), 3), (("fetch", ANNA), 2), (("audit",), 3), (("send-test", ANNA), 3)],
)  # fmt: skip
def test_the_command_line_says_so_too(
    place: Path, words: tuple[str, ...], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    remove_ca_file(place)
    with pytest.raises(SystemExit) as ended:
        main(["--workspace", str(place / "workspace"), *words])
    shown = "".join(capsys.readouterr())
    assert ended.value.code == status
    assert "certificates to trust" in shown
    assert "practice serve" in shown
    assert not [text for text in (*FOREIGN, "The server said") if text in shown]


def test_a_wrong_passphrase_is_no_refusal(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(passphrase.VARIABLE, "quite another passphrase")
    wrong = assert_local(diagnose(place))
    assert any("MSOAUTH_PASSPHRASE" in finding.summary for finding in wrong)


def test_an_operating_systems_refusal_is_told_in_its_words(place: Path) -> None:
    def act(_context: Context) -> Outcome:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/home/anna/mail")

    with Workspace.open(place / "workspace") as workspace:
        [finding] = run(
            [Check("a.disk", lambda: "", act)], Context(workspace, workspace.firms[FIRM])
        )
    assert_local([finding])
    assert "/home/anna/mail: No space left" in finding.summary


@pytest.mark.parametrize(
    "error",
    [LocalError("The disk is full.", fix=("Make room.",)), StoreError("The disk is full.", evidence="13"),
     InputError("no.json is not there.")],
)  # fmt: skip
def test_a_panel_gives_no_steps_of_the_catalogue(error: MsoauthError) -> None:
    shown = html.failure(error, msoauth.Firm("Contoso", "contoso.example", "-"))
    assert error.summary in shown
    assert not [words for words in (*FOREIGN, "server's own words") if words in shown]
    assert all(step in shown for step in getattr(error, "fix", ()))

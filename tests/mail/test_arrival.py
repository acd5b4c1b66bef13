"""A test mail that does not arrive is red, and the wait is for a mailbox that can be read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from msoauth import texts
from msoauth.checks.mail import send_test
from msoauth.cli import main
from msoauth.enrol import enrol
from msoauth.errors import InputError
from msoauth.model import Account, Finding, Signal
from msoauth.practice import PracticeTenant
from msoauth.practice.state import Mailbox
from msoauth.store import Workspace

ANNA, MAX, FIRM = "anna.lindqvist@contoso.example", "max.weiss@contoso.example", "Contoso Legal"


@dataclass
class Office:
    """A practice tenant, and a workspace to which all its users are signed in."""

    tenant: PracticeTenant
    workspace: Workspace

    def send(self, to: str | None = None, seconds: float = 0.0) -> list[Finding]:
        account = self.workspace.accounts[ANNA]
        found = send_test(self.workspace, account, to=to, round_trip=True, arrival_seconds=seconds)
        return list(found)

    def mailbox(self, address: str) -> Mailbox:
        boxes = (firm.mailbox(address) for firm in self.tenant.state.tenants.values())
        return next(box for box in boxes if box is not None)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with PracticeTenant() as tenant, Workspace.open(tmp_path / "workspace") as workspace:
        list(enrol(workspace, tenant.endpoints_file))
        yield Office(tenant, workspace)


@pytest.mark.parametrize(
    ("scenario", "folder"),
    [("mail-to-junk", "junk email"), ("inbox-rule", "archive"), ("forwarding", None)],
)
def test_a_mail_that_does_not_arrive_is_red_with_the_likely_places_in_order(
    office: Office, scenario: str, folder: str | None
) -> None:
    office.tenant.scenarios.start(f"{scenario}@{ANNA}")
    sent, arrival = office.send()
    assert sent.signal is Signal.PASSED
    assert (arrival.signal, arrival.cause) == (Signal.FAILED, "mail-not-arrived")
    places = ("Junk Email", "Rules", "Quarantine", "Message trace", "forwarded")
    assert [place for place, step in zip(places, arrival.fix, strict=True) if place in step] == [*places]  # fmt: skip
    box = office.mailbox(ANNA)
    assert not [m for m in box.messages if m.received is not None]
    if folder:
        assert len(box.folders[folder].messages) == 1


def test_the_steps_are_in_german_too(office: Office) -> None:
    office.tenant.scenarios.start("mail-to-junk")
    texts.use_language("de")
    try:
        steps = office.send()[1].fix
    finally:
        texts.use_language("en")
    for place, step in zip(("Junk", "Regeln", "Quarantäne", "ablaufverfolgung", "weitergeleitet"), steps, strict=True):  # fmt: skip
        assert place in step


def test_the_command_line_ends_with_1(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.tenant.scenarios.start("inbox-rule")
    with pytest.raises(SystemExit) as ended:
        main(["--workspace", str(office.workspace.folder), "send-test", ANNA, "--round-trip", "--wait", "0", "--json"])  # fmt: skip
    assert ended.value.code == 1
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["cause"] for line in shown] == [None, "mail-not-arrived"]


def test_a_mail_to_another_mailbox_of_the_workspace_is_waited_for_there(office: Office) -> None:
    assert [f.signal for f in office.send(MAX.upper(), 20.0)] == [Signal.PASSED] * 2
    office.tenant.scenarios.start(f"forwarding@{MAX}")
    arrival = office.send(MAX)[1]
    assert (arrival.signal, arrival.cause) == (Signal.FAILED, "mail-not-arrived")
    assert MAX in arrival.summary
    assert [f.signal for f in office.send(ANNA, 20.0)] == [Signal.PASSED] * 2


@pytest.mark.parametrize("to", ["someone@elsewhere.example", "new@contoso.example"])
def test_a_mailbox_that_cannot_be_read_is_refused_before_anything_is_sent(
    office: Office, to: str, capsys: pytest.CaptureFixture[str]
) -> None:
    office.workspace.accounts.add(
        Account("new@contoso.example", FIRM)
    )  # nobody has signed in to it
    with pytest.raises(InputError, match="cannot be seen") as refused:
        office.send(to)
    assert to in refused.value.summary
    assert not office.mailbox(ANNA).sent
    with pytest.raises(SystemExit) as ended:
        main(["--workspace", str(office.workspace.folder), "send-test", ANNA, "--round-trip", "--to", to])  # fmt: skip
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1

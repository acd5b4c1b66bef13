"""Silence is no success: what the server lists is retrieved, there already, missing, refused, or only a notice."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import msoauth
from msoauth.checks.mail import fetch_mail
from msoauth.cli import main
from msoauth.enrol import enrol
from msoauth.mail.messages import MessageSummary, summary_of
from msoauth.mail.stores import Format
from msoauth.mail.structure import scan
from msoauth.model import Finding, RetrievalProtocol, Signal
from msoauth.practice import PracticeTenant
from msoauth.practice.state import Mailbox
from msoauth.store import Workspace
from tests.mail.fake_pop3 import FakePop3, fetch

ANNA = "anna.lindqvist@contoso.example"
NEWEST = "Klageschrift Contoso ./. Fabrikam"
every_protocol = pytest.mark.parametrize("protocol", ["pop3", "imap"])
every_fault = pytest.mark.parametrize(
    ("fault", "status", "cause"),
    [
        ("message.withheld", "missing", "message-missing"),
        ("message.refused", "refused", "message-missing"),
        ("message.placeholder", "placeholder", "message-placeholder"),
        ("message.scanning", "placeholder", "message-placeholder"),
    ],
)


class Office:
    """A practice tenant, a workspace to which its users are signed in, and Anna's mailbox with five mails."""

    def __init__(self, tenant: PracticeTenant, workspace: Workspace, folder: Path) -> None:
        self.tenant, self.workspace, self.folder = tenant, workspace, folder
        boxes = (firm.mailbox(ANNA) for firm in tenant.state.tenants.values())
        self.mailbox: Mailbox = next(box for box in boxes if box is not None)
        del self.mailbox.messages[4:]
        self.mailbox.deliver(
            f"From: Court <court@fabrikam.example>\r\nSubject: {NEWEST}\r\nDate: Mon, 2 Nov 2026 10:00:00 +0100\r\n"
            "Message-ID: <klage@fabrikam.example>\r\nReceived: from a by b; Mon, 2 Nov 2026 10:00:01 +0100\r\n\r\nx\r\n".encode()
        )

    def use(self, protocol: RetrievalProtocol, fault: str = "") -> None:
        self.workspace.accounts.replace(replace(self.workspace.accounts[ANNA], protocol=protocol))
        if fault:
            self.tenant.state.faults.set(fault, aim=ANNA)

    def fetch(self, **options: object) -> tuple[list[MessageSummary], Finding]:
        found: list[Finding] = []
        options = {"to": self.folder, **options}
        account = self.workspace.accounts[ANNA]
        rows = list(fetch_mail(self.workspace, account, on_finding=found.append, **options))  # type: ignore[arg-type]
        return rows, found[0]

    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.eml"))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with PracticeTenant() as tenant, Workspace.open(tmp_path / "workspace") as workspace:
        list(enrol(workspace, tenant.endpoints_file))
        yield Office(tenant, workspace, tmp_path / "mail")


@every_protocol
@every_fault
def test_what_is_listed_and_not_handed_over_is_told_kept_apart_and_asked_for_again(
    office: Office, protocol: RetrievalProtocol, fault: str, status: str, cause: str
) -> None:
    office.use(protocol, fault)
    rows, finding = office.fetch()
    assert sorted(row.status for row in rows) == sorted(["retrieved"] * 4 + [status])
    [odd] = [row for row in rows if row.status == status]
    assert len(office.files()) == 4
    assert finding.cause == cause
    assert finding.signal is (Signal.WARNING if status == "placeholder" else Signal.FAILED)
    assert finding.fix
    assert (
        f"4 messages retrieved, 1 {'with' if status == 'placeholder' else status}"
        in finding.summary
    )
    assert odd.uidl in finding.evidence
    if fault != "message.placeholder":  # whose header is the notice's own
        assert NEWEST in finding.evidence
    if status in ("missing", "refused"):
        number = "RETR 5: " if protocol == "pop3" else f"UID FETCH {odd.uidl.partition('-')[2]}: "
        assert odd.reply.startswith(number)
        assert odd.reply in finding.evidence
    notices = list((office.folder / "notices").glob("*.eml"))
    assert len(notices) == (status == "placeholder")

    again, _finding = office.fetch()
    assert sorted(row.status for row in again) == sorted(["already"] * 4 + [status])

    office.tenant.state.faults.clear(fault)
    rows, finding = office.fetch()
    assert sorted(row.status for row in rows) == ["already"] * 4 + ["retrieved"]
    assert (finding.signal, finding.cause) == (Signal.PASSED, None)
    assert "1 message retrieved, 4 there already" in finding.summary
    assert len(office.files()) == 5
    assert not list(office.folder.glob("notices/*"))


@every_protocol
@every_fault
def test_the_command_line_names_them_and_ends_with_1(
    office: Office,
    capsys: pytest.CaptureFixture[str],
    protocol: RetrievalProtocol,
    fault: str,
    status: str,
    cause: str,
) -> None:
    office.use(protocol, fault)
    words = ["--workspace", str(office.workspace.folder), "fetch", ANNA, "--to", str(office.folder)]
    for more in ([], ["--json"]):
        with pytest.raises(SystemExit) as ended:
            main([*words, *more])
        assert ended.value.code == 1
        out, err = capsys.readouterr()
        told = (err if more else out).partition("asked for again next time:")[2]
        assert told.count("\n  ") == 1
        if more:
            statuses = sorted(json.loads(line)["status"] for line in out.splitlines())
            assert statuses == sorted(["already"] * 4 + [status])
    office.tenant.state.faults.clear(fault)
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert not ended.value.code
    assert "asked for again" not in capsys.readouterr().out


def test_python_sees_the_status_too(office: Office) -> None:
    office.use("imap", "message.withheld")
    table = msoauth.fetch(office.workspace, ANNA, progress=False)
    assert sorted(table["status"]) == ["missing"] + ["retrieved"] * 4
    rows = list(msoauth.iter_messages(office.workspace, ANNA))
    assert sorted(row.as_json()["status"] for row in rows) == ["already"] * 4 + ["missing"]


@pytest.mark.parametrize("kind", ["eml", "maildir", "mbox"])
def test_a_notice_is_no_mail_in_any_format(office: Office, tmp_path: Path, kind: Format) -> None:
    office.use("pop3", "message.placeholder")
    place = tmp_path / "place" / "box"
    for _turn in range(2):
        office.fetch(to=place, format=kind)
    content = b"".join(
        file.read_bytes()
        for file in place.parent.rglob("*")
        if file.is_file() and "notices" not in str(file) and "msoauth" not in file.suffixes[-1:]
    )
    assert b"couldn't retrieve" not in content
    kept = [f for f in place.parent.rglob("*.eml") if "notices" in str(f.parent)]
    assert [b"couldn't retrieve" in file.read_bytes() for file in kept] == [True]


@every_protocol
def test_headers_alone_tell_it_as_far_as_they_can(
    office: Office, protocol: RetrievalProtocol
) -> None:
    office.use(protocol)
    rows, finding = office.fetch(headers_only=True)
    assert {row.status for row in rows} == {"retrieved"}
    assert finding.signal is Signal.PASSED


def test_what_was_expunged_meanwhile_is_left_out(office: Office) -> None:
    office.use("imap")
    account = office.workspace.accounts[ANNA]
    office.tenant.state.faults.set("message.withheld", aim=ANNA)
    rows = fetch_mail(office.workspace, account, to=None, limit=5)
    first = next(rows)  # the list is read; now another program deletes the mail that is withheld
    assert first.status == "retrieved"
    del office.mailbox.messages[-1]
    assert {row.status for row in rows} == {"retrieved"}


@pytest.mark.parametrize(
    ("head", "is_notice"),
    [
        ("From: Microsoft Exchange Server\nSubject: Retrieval using the POP3 protocol failed for the following message: 5", True),
        ("From: Microsoft Exchange Server 2010 <x@contoso.example>\nSubject: Retrieval using the IMAP4 protocol failed for the\n following message: 15541", True),
        ("From: microsoft@unknown\nSubject: Retrieval using the IMAP4 protocol failed for the following message: 752", True),
        ("From: Microsoft Exchange Server\nSubject: Fehler beim Abrufen der Nachricht 5", True),
        ("Received: by a; Mon, 2 Nov 2026 10:00:01 +0100\nFrom: anna@contoso.example\nSubject: Retrieval using the POP3 protocol failed for the following message: 5", False),
        ("From: anna@contoso.example\nSubject: Re: Retrieval using the POP3 protocol failed for the following message: 5", False),
        ("Received: by a; x\nMessage-ID: <1@b>\nFrom: Microsoft Exchange Server <x@y>\nSubject: Undeliverable", False),
        ("From: anna@contoso.example\nSubject: Safe Attachments Scan In Progress", False),
    ],
)  # fmt: skip
def test_a_notice_of_a_failed_conversion_is_known_by_its_header(head: str, is_notice: bool) -> None:
    row = summary_of("1", scan([head.replace("\n", "\r\n").encode() + b"\r\n\r\nx\r\n"]))
    assert (row.status == "placeholder") is is_notice


@pytest.mark.parametrize(
    ("part", "is_notice"),
    [
        ('Content-Type: message/rfc822; name="Safe Attachments Scan In Progress"', True),
        ("Content-Type: message/rfc822\n\nSubject: Safe Attachments Scan In Progress", True),
        ("Content-Type: message/rfc822\nContent-Disposition: attachment; filename=\"ATP Scan In Progress.eml\"", True),
        ("Content-Type: message/rfc822\n\nSubject: Re: Safe Attachments Scan In Progress", False),
        ("Content-Type: application/pdf; name=brief.pdf", False),
    ],
)  # fmt: skip
def test_a_notice_of_a_scan_is_known_by_its_attachment(part: str, is_notice: bool) -> None:
    text = (
        "Received: by a; x\nMessage-ID: <1@b>\nFrom: court@fabrikam.example\nContent-Type: multipart/mixed; boundary=b\n\n"
        f"--b\n\nHello\n--b\n{part}\n\nx\n--b--\n"
    )
    row = summary_of("1", scan([text.replace("\n", "\r\n").encode()]))
    assert (row.status == "placeholder") is is_notice


def test_an_empty_answer_is_no_mail(tmp_path: Path) -> None:
    box = FakePop3([("a", b"Subject: one\r\n\r\nx\r\n"), ("b", b"")])
    for to in (tmp_path, None):
        rows = list(fetch(box.session, to=to))
        assert {row.uidl: row.status for row in rows} == {"a": "retrieved", "b": "missing"}
    assert len(list(tmp_path.glob("*.eml"))) == 1

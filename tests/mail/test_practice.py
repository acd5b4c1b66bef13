"""The practice tenant's shared mailbox, throttling and breaks, through what the faces call."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from msoauth.checks.mail import fetch_mail, send_test
from msoauth.errors import MailError
from msoauth.identity import access_tokens
from msoauth.mail.retry import Retry
from msoauth.mail.sasl import xoauth2
from msoauth.mail.smtp import SmtpSession
from msoauth.mail.transcript import Transcript
from msoauth.model import Finding, Signal
from tests.checks.cases import ANNA, Case, running

pytestmark = pytest.mark.xdist_group("mail-practice")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with running(tmp_path_factory.mktemp("mail")) as made:
        yield made


@pytest.fixture
def faults(case: Case) -> Iterator[list[str]]:
    """Names of faults to clear at the end."""
    names: list[str] = []
    yield names
    for name in names:
        case.tenant.state.faults.clear(name)


@pytest.mark.parametrize("kind", ["pop3", "imap", "shared", "app-only"])
def test_a_mailbox_is_retrieved_and_again_without_asking(
    case: Case, tmp_path: Path, kind: str
) -> None:
    account = case.signed_in_account(kind)
    told: list[Finding] = []
    first = list(fetch_mail(case.workspace, account, to=tmp_path, on_finding=told.append))
    assert first
    assert len(list(tmp_path.glob("*.eml"))) == len(first)
    again = list(fetch_mail(case.workspace, account, to=tmp_path, on_finding=told.append))
    assert sorted(row.uidl for row in again) == sorted(row.uidl for row in first)
    assert [finding.signal for finding in told] == [Signal.PASSED, Signal.PASSED]


def test_a_shared_mailbox_is_sent_from_by_the_user_who_signed_in(case: Case) -> None:
    account = case.signed_in_account("shared")
    findings = list(send_test(case.workspace, account, subject="Grüße", round_trip=True))
    assert [finding.signal for finding in findings][-2:] == [Signal.PASSED, Signal.PASSED]


def test_exchange_gets_the_token_on_one_line_that_no_transcript_shows(case: Case) -> None:
    account = case.signed_in_account("pop3")
    cloud = case.workspace.firms.get(account.firm).cloud
    token = access_tokens.access_token(case.workspace, account).value
    transcript = Transcript()
    with SmtpSession.open(
        cloud.smtp, account.user, token, transcript=transcript, ca_file=cloud.ca_file
    ) as session:
        session.check_sender(account.address)
    said = [entry.text for entry in transcript.entries if entry.direction == "C"]
    assert f"AUTH XOAUTH2 [XOAUTH2 string of {account.user}]" in said
    assert "AUTH XOAUTH2" not in said
    assert token not in transcript.text()
    assert xoauth2(account.user, token)[:60] not in transcript.text()


def test_sending_as_another_needs_the_right_to(case: Case) -> None:
    account = case.signed_in_account("pop3")
    allowed = list(send_test(case.workspace, account, sender="office@contoso.example"))
    assert allowed[-1].signal is Signal.PASSED, allowed[-1]
    refused = list(send_test(case.workspace, account, sender="max.weiss@contoso.example"))
    assert refused[-1].cause == "send-as-denied"


def test_a_throttled_server_is_reported_as_such_and_not_as_a_broken_account(
    case: Case, faults: list[str]
) -> None:
    account = case.signed_in_account("pop3")
    faults.append("smtp.throttled")
    case.tenant.state.faults.set("smtp.throttled")
    waits: list[Retry] = []
    findings = list(
        send_test(case.workspace, account, to=ANNA, retry_seconds=1.5, on_retry=waits.append)
    )
    assert (findings[-1].cause, findings[-1].signal) == ("throttled", Signal.WARNING)
    assert waits


def test_a_server_that_has_time_again_gets_the_mail_once(case: Case, faults: list[str]) -> None:
    account = case.signed_in_account("pop3")
    faults.append("smtp.busy")
    case.tenant.state.faults.set("smtp.busy")
    findings = list(
        send_test(
            case.workspace,
            account,
            retry_seconds=30,
            on_retry=lambda _wait: case.tenant.state.faults.clear("smtp.busy"),
            round_trip=True,
        )
    )
    assert findings[-1].signal is Signal.PASSED


@pytest.mark.parametrize(("kind", "protocol"), [("pop3", "pop3"), ("imap", "imap")])
def test_after_a_drop_the_retrieval_goes_on(
    case: Case, tmp_path: Path, faults: list[str], kind: str, protocol: str
) -> None:
    account = case.signed_in_account(kind)
    everything = list(fetch_mail(case.workspace, account))
    faults.append(f"{protocol}.drop")
    case.tenant.state.faults.set(f"{protocol}.drop")
    rows = list(
        fetch_mail(
            case.workspace,
            account,
            to=tmp_path,
            on_retry=lambda _wait: case.tenant.state.faults.clear(f"{protocol}.drop"),
        )
    )
    assert len(rows) == len(everything)


def test_imap_told_to_back_off_says_so(case: Case, faults: list[str]) -> None:
    account = case.signed_in_account("imap")
    faults.append("imap.throttled")
    case.tenant.state.faults.set("imap.throttled")
    told: list[Finding] = []
    with pytest.raises(MailError) as failure:
        list(fetch_mail(case.workspace, account, retry_seconds=0, on_finding=told.append))
    assert failure.value.cause == "throttled"
    assert failure.value.retry_after
    assert (told[0].cause, told[0].signal) == ("throttled", Signal.WARNING)

"""A firm with two mailboxes and what a diagnosis found of them, without any server."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from msoauth.explaining import for_cause
from msoauth.mail.transcript import Transcript
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.store import Workspace

TENANT = "5b1e2f0c-1111-4222-8333-0123456789ab"
CLIENT = "7d3c9a52-4444-4555-8666-ba9876543210"
FIRM = Firm("Müller & Partner", TENANT, CLIENT)
ANNA = Account("anna.o'brien@mueller-partner.example", FIRM.name)
OFFICE = Account("office@mueller-partner.example", FIRM.name, login=ANNA.address)
WORDS = (
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox."
)


def finding(
    account: Account | None,
    check: str,
    signal: Signal = Signal.PASSED,
    cause: str | None = None,
    *,
    evidence: str = "",
    minutes: int = 0,
) -> Finding:
    """A finding as a run makes it."""
    known = for_cause(cause, firm=FIRM, account=account) if cause else None
    return Finding(
        check=check,
        signal=signal,
        summary=f"{check} {signal}",
        evidence=evidence,
        cause=cause,
        fix=known.fix if known else (),
        who=known.who if known else "",
        links=known.links if known else (),
        ids={"trace_id": "t-4711"} if cause else {},
        seconds=0.25,
        at=datetime.now(UTC) + timedelta(minutes=minutes),
        firm=FIRM.name,
        account=account.address if account else "",
        run="run-1",
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.open(tmp_path / "workspace") as opened:
        opened.firms.add(FIRM)
        opened.accounts.add(ANNA)
        opened.accounts.add(OFFICE)
        yield opened


@pytest.fixture
def transcript() -> Transcript:
    made = Transcript()
    made.client(f"AUTH XOAUTH2 [XOAUTH2 string of {ANNA.address}]")
    made.server(WORDS)
    made.seconds["greeting"] = 0.5
    return made

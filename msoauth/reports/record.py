"""Writes the onboarding record of a firm: what was registered, permitted, set up and tested, and what is open."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

from msoauth.addresses import key
from msoauth.auditing.status import status
from msoauth.explaining import for_cause
from msoauth.identity.client import scopes_for
from msoauth.judgement import days_left, is_problem, proven_signal, secret_signal
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.redact import redact
from msoauth.reports.document import Document, write_document
from msoauth.reports.latest_findings import latest_findings
from msoauth.store import Workspace
from msoauth.texts import _

_TEST_CHECKS = (
    "pop3.login",
    "imap.login",
    "smtp.login",
    "smtp.send",
    "mail.round-trip",
    "mail.retrieve",
)


def record(workspace: Workspace, firm: Firm, *, today: date | None = None) -> Document:
    """Write the record of a firm from the workspace and its journal. It contains no secret.

    What does not work yet is listed as an open point, so a record can be written at any time.
    """
    accounts = workspace.accounts.list(firm.name)
    latest = latest_findings(workspace, firm.name)
    statuses = status(workspace, firm=firm.name).accounts
    signals = {
        account_status.account: proven_signal(
            account_status.issue, _findings_of(account_status.account, latest)
        )
        for account_status in statuses
    }
    today = today or datetime.now(UTC).date()
    return write_document(
        "record",
        _("Onboarding record: {firm}").format(firm=firm.name),
        firm=firm,
        accounts=accounts,
        signals=signals,
        failing=sum(signals[account] is not Signal.PASSED for account in accounts),
        today=today,
        utc=UTC,
        has_secret=workspace.firms.has_secret(firm.name),
        secret_days=days_left(firm.secret_expires, today) if firm.secret_expires else None,
        permissions=_permissions(firm, accounts),
        tokens={account: workspace.tokens.status(account.address) for account in accounts},
        tests=[
            (account, finding)
            for account in accounts
            for finding in _findings_of(account, latest)
            if finding.check in _TEST_CHECKS
        ],
        open_points=_open_points(workspace, firm, signals, latest, today),
    )


def _permissions(firm: Firm, accounts: Sequence[Account]) -> list[str]:
    """The permissions that the app needs for these accounts."""
    if firm.access == "app-only":
        return ["POP.AccessAsApp", "IMAP.AccessAsApp", "SMTP.SendAsApp"]
    return [
        *sorted({scope for account in accounts for scope in scopes_for(account, firm.cloud)}),
        "offline_access",
    ]


def _findings_of(account: Account, latest: Mapping[str, list[Finding]]) -> list[Finding]:
    return latest.get(key(account.address), [])


def _open_points(
    workspace: Workspace,
    firm: Firm,
    signals: Mapping[Account, Signal],
    latest: Mapping[str, list[Finding]],
    today: date,
) -> list[str]:
    """What remains to be done, one sentence each."""
    points = []
    if workspace.firms.has_secret(firm.name):
        if firm.secret_expires is None:
            points.append(
                _("Note down the end date of the client secret (Certificates & secrets).")
            )
        elif secret_signal(days_left(firm.secret_expires, today)) is not Signal.PASSED:
            points.append(
                _("Renew the client secret before {date}.").format(date=firm.secret_expires)
            )
    points += _problems(firm.name, latest.get("", []))
    for account, signal in signals.items():
        if firm.access == "delegated" and workspace.tokens.status(account.address) is None:
            points.append(
                _("{address}: the user has not signed in yet.").format(address=account.address)
            )
            continue
        points += (problems := _problems(account.address, _findings_of(account, latest)))
        if not problems and signal is not Signal.PASSED:
            points.append(
                _("{address}: retrieving and sending were not tested yet.").format(
                    address=account.address
                )
            )
    return points


def _problems(address: str, findings: Sequence[Finding]) -> list[str]:
    """The problems among *findings*, one sentence each."""
    return [
        _("{address}: {check}: {summary}").format(
            address=address,
            check=f.check,
            summary=for_cause(f.cause).title if f.cause else redact(f.summary),
        )
        for f in findings
        if is_problem(f)
    ]

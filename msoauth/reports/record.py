"""Writes the onboarding record of a firm: what was registered, permitted, set up and tested, and what is open."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

from msoauth.auditing.status import status
from msoauth.explaining import for_cause
from msoauth.identity.client import scopes_for
from msoauth.judgement import days_left, is_problem, proven_signal, secret_signal
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.redact import redact
from msoauth.reports.document import Block, Cell, Document, Heading, Items, Paragraph, Table
from msoauth.reports.latest_findings import latest_findings
from msoauth.store import Workspace
from msoauth.texts import _, ngettext

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
    page = Document(_("Onboarding record: {firm}").format(firm=firm.name))
    open_points = _open_points(workspace, firm, signals, latest, today)
    failing = sum(signals[account] is not Signal.PASSED for account in accounts)
    if accounts and not failing:
        verdict = ngettext(
            "The mailbox works: mail can be retrieved and sent with OAuth 2.0.",
            "All {n} mailboxes work: mail can be retrieved and sent with OAuth 2.0.",
            len(accounts),
        )
    else:
        verdict = _("{good} of {n} mailboxes work; what is missing is told under “Open points”.")
    page.add(
        Paragraph(verdict.format(n=len(accounts), good=len(accounts) - failing)),
        Paragraph(
            _("Made on {date} with msoauth. This page holds no secret, password or token.").format(
                date=today.isoformat()
            ),
            quiet=True,
        ),
        Heading(_("App registration")),
        Table((_("What"), _("Value")), tuple(_registration_rows(workspace, firm, today))),
        Heading(_("Permissions")),
        *_permissions(firm, accounts),
        Heading(_("Mailboxes")),
    )
    if accounts:
        mailbox_headers = (
            _("Mailbox"),
            _("Result"),
            _("Retrieved over"),
            _("Signed in as"),
            _("Signed in on"),
        )
        page.add(
            Table(mailbox_headers, tuple(_mailbox_row(workspace, a, signals[a]) for a in accounts))
        )
        page.add(Heading(_("Test results")))
        test_rows = [row for a in accounts for row in _test_rows(a, _findings_of(a, latest))]
        if test_rows:
            test_headers = (
                _("Mailbox"),
                _("Name of the check"),
                _("Result"),
                _("What was found"),
                _("When (UTC)"),
                _("Ids"),
            )
            page.add(Table(test_headers, tuple(test_rows)))
        else:
            page.add(Paragraph(_("Nothing was tested yet.")))
    else:
        page.add(Paragraph(_("No mailbox has been added yet.")))
    page.add(Heading(_("Open points")))
    page.add(Items(tuple(open_points)) if open_points else Paragraph(_("None.")))
    return page


def _registration_rows(workspace: Workspace, firm: Firm, today: date) -> list[tuple[Cell, ...]]:
    """The firm's app registration as rows of names and values."""
    has_secret = workspace.firms.has_secret(firm.name)
    rows: list[tuple[Cell, ...]] = [
        (_("Firm"), firm.name),
        (_("Directory (tenant) ID"), firm.tenant),
        (_("Application (client) ID"), firm.client_id),
        (_("Redirect URI"), firm.redirect_uri),
        (_("Cloud"), firm.cloud.label),
        (
            _("Access"),
            _("each user signs in (delegated)") if firm.access == "delegated" else _("the app itself (app-only)"),
        ),
        (_("Client secret"), _("stored, sealed") if has_secret else _("none (public client)")),
    ]  # fmt: skip
    if has_secret:
        ends = firm.secret_expires
        rows.append(
            (
                _("Secret's end date"),
                _("not noted down")
                if ends is None
                else _("{date}, in {days} days").format(date=ends, days=days_left(ends, today)),
            )
        )
    return rows


def _permissions(firm: Firm, accounts: Sequence[Account]) -> list[Block]:
    """The permissions that the app needs for these accounts."""
    if firm.access == "app-only":
        return [
            Paragraph(_("Application permissions of Office 365 Exchange Online:")),
            Items(("POP.AccessAsApp", "IMAP.AccessAsApp", "SMTP.SendAsApp")),
        ]
    scopes = sorted({scope for a in accounts for scope in scopes_for(a, firm.cloud)})
    return [
        Paragraph(_("Delegated permissions that the sign-in asks for; they reach the signed-in user's own mail:")),
        Items((*scopes, "offline_access")),
    ]  # fmt: skip


def _findings_of(account: Account, latest: Mapping[str, list[Finding]]) -> list[Finding]:
    return latest.get(account.address.strip().casefold(), [])


def _mailbox_row(workspace: Workspace, account: Account, signal: Signal) -> tuple[Cell, ...]:
    """An account as a row of the table of mailboxes."""
    token = workspace.tokens.status(account.address)
    return (
        account.address,
        signal,
        account.protocol.upper(),
        token.signed_in_as if token else _("not yet"),
        f"{token.signed_in_at:%Y-%m-%d}" if token else "–",
    )


def _test_rows(account: Account, findings: Sequence[Finding]) -> list[tuple[Cell, ...]]:
    """The findings of the checks that log in, send and retrieve, as rows."""
    return [
        (
            account.address,
            finding.check,
            finding.signal,
            redact(finding.summary),
            f"{finding.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            "; ".join(f"{k.replace('_', ' ')} {v}" for k, v in finding.ids.items())
            or _("run {run}").format(run=finding.run),
        )
        for finding in findings
        if finding.check in _TEST_CHECKS
    ]


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

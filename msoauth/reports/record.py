"""The onboarding record: what was registered, permitted, set up and tested, for both files."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from msoauth.explaining import for_cause
from msoauth.identity.client import scopes_for
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.redact import redact
from msoauth.reports.document import Block, Cell, Document, Heading, Items, Paragraph, Table
from msoauth.reports.standing import latest
from msoauth.store import Workspace
from msoauth.texts import _, ngettext

_TESTS = ("pop3.login", "imap.login", "smtp.login", "smtp.send", "mail.round-trip", "mail.retrieve")
_BAD = (Signal.FAILED, Signal.ERROR)


def record(workspace: Workspace, firm: Firm, *, today: date | None = None) -> Document:
    """The record of a firm as one page, out of the workspace and its journal. It holds no secret.

    What is not in order yet is told as an open point, so a record can be made at any time.
    """
    accounts = workspace.accounts.list(firm.name)
    standing = latest(workspace, firm.name)
    today = today or datetime.now(UTC).date()
    page = Document(_("Onboarding record: {firm}").format(firm=firm.name))
    open_points = _open_points(workspace, firm, accounts, standing, today)
    bad = sum(
        _status(standing.get(a.address.casefold(), [])) is not Signal.PASSED for a in accounts
    )
    if accounts and not bad:
        said = ngettext(
            "The mailbox works: mail can be retrieved and sent with OAuth 2.0.",
            "All {n} mailboxes work: mail can be retrieved and sent with OAuth 2.0.",
            len(accounts),
        )
    else:
        said = _("{good} of {n} mailboxes work; what is missing is told under “Open points”.")
    page.add(
        Paragraph(said.format(n=len(accounts), good=len(accounts) - bad)),
        Paragraph(
            _("Made on {date} with msoauth. This page holds no secret, password or token.").format(
                date=today.isoformat()
            ),
            quiet=True,
        ),
        Heading(_("App registration")),
        Table((_("What"), _("Value")), tuple(_registration(workspace, firm, today))),
        Heading(_("Permissions")),
        *_permissions(firm, accounts),
        Heading(_("Mailboxes")),
    )  # fmt: skip
    if accounts:
        head = (
            _("Mailbox"),
            _("Result"),
            _("Retrieved over"),
            _("Signed in as"),
            _("Signed in on"),
        )
        page.add(Table(head, tuple(_account(workspace, a, standing) for a in accounts)))
        page.add(Heading(_("Test results")))
        tests = [row for a in accounts for row in _tests(a, standing.get(a.address.casefold(), []))]
        if tests:
            asked = (_("Mailbox"), _("Name of the check"), _("Result"), _("What was found"), _("When (UTC)"), _("Ids"))  # fmt: skip
            page.add(Table(asked, tuple(tests)))
        else:
            page.add(Paragraph(_("Nothing was tested yet.")))
    else:
        page.add(Paragraph(_("No mailbox has been added yet.")))
    page.add(Heading(_("Open points")))
    page.add(Items(tuple(open_points)) if open_points else Paragraph(_("None.")))
    return page


def _registration(
    workspace: Workspace, firm: Firm, today: date
) -> list[tuple[Cell, ...]]:  # fmt: skip
    has_secret = workspace.firms.has_secret(firm.name)
    rows: list[tuple[Cell, ...]] = [
        (_("Firm"), firm.name),
        (_("Directory (tenant) ID"), firm.tenant),
        (_("Application (client) ID"), firm.client_id),
        (_("Redirect URI"), firm.redirect_uri),
        (_("Cloud"), firm.cloud.name),
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
                else _("{date}, in {days} days").format(date=ends, days=(ends - today).days),
            )
        )
    return rows


def _permissions(firm: Firm, accounts: Sequence[Account]) -> list[Block]:
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


def _status(findings: Sequence[Finding]) -> Signal:
    """Green only where both ways were tried and no check is red."""
    signals = [f.signal for f in findings]
    for bad in _BAD:
        if bad in signals:
            return bad
    passed = {f.check for f in findings if f.signal is Signal.PASSED}
    both = passed & {"pop3.login", "imap.login", "mail.retrieve"} and passed & {
        "smtp.login",
        "smtp.send",
    }
    if not both:
        return Signal.NOT_RUN
    return Signal.WARNING if any(f.signal is Signal.WARNING and f.cause for f in findings) else Signal.PASSED  # fmt: skip


def _account(
    workspace: Workspace, account: Account, standing: dict[str, list[Finding]]
) -> tuple[Cell, ...]:  # fmt: skip
    status = workspace.tokens.status(account.address)
    return (
        account.address,
        _status(standing.get(account.address.casefold(), [])),
        account.retrieve.upper(),
        status.signed_in_as if status else _("not yet"),
        f"{status.signed_in_at:%Y-%m-%d}" if status else "–",
    )


def _tests(account: Account, findings: Sequence[Finding]) -> list[tuple[Cell, ...]]:
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
        if finding.check in _TESTS
    ]


def _open_points(
    workspace: Workspace,
    firm: Firm,
    accounts: Sequence[Account],
    standing: dict[str, list[Finding]],
    today: date,
) -> list[str]:
    points = []
    if workspace.firms.has_secret(firm.name):
        if firm.secret_expires is None:
            points.append(
                _("Note down the end date of the client secret (Certificates & secrets).")
            )
        elif (firm.secret_expires - today).days <= 60:
            points.append(
                _("Renew the client secret before {date}.").format(date=firm.secret_expires)
            )
    for account in accounts:
        findings = standing.get(account.address.casefold(), [])
        if firm.access == "delegated" and workspace.tokens.status(account.address) is None:
            points.append(
                _("{address}: the user has not signed in yet.").format(address=account.address)
            )
            continue
        broken = [
            f for f in findings if f.signal in _BAD or (f.signal is Signal.WARNING and f.cause)
        ]
        points += [
            _("{address}: {check}: {summary}").format(
                address=account.address,
                check=f.check,
                summary=for_cause(f.cause).title if f.cause else redact(f.summary),
            )
            for f in broken
        ]
        if not broken and _status(findings) is Signal.NOT_RUN:
            points.append(
                _("{address}: retrieving and sending were not tested yet.").format(
                    address=account.address
                )
            )
    return points

"""Writes the request to a firm's IT: what only an administrator can fix, for one mailbox or all, ready to be sent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from msoauth.errors import InputError
from msoauth.explaining import for_cause
from msoauth.explaining.links import link
from msoauth.model import Account, Finding, Firm, Link, Signal
from msoauth.redact import redact
from msoauth.reports.document import Code, Document, Heading, Items, Links, Paragraph, Table
from msoauth.reports.latest_findings import latest_findings
from msoauth.store import Workspace
from msoauth.texts import _, ngettext

# Causes that the catalogue assigns to the consultant, but that the firm's IT can fix as well: the network, and a login
# that Exchange refuses without a reason, which is nearly always a setting or a licence.
_ALSO_ITS = frozenset(
    {
        "dns-failed", "connect-refused", "connect-timeout", "tls-untrusted", "tls-failed", "proxy-required",
        "mail-login-rejected",
    }
)  # fmt: skip

# How an Exchange administrator verifies the fix (facts F2, F4). For other causes checking again is enough.
_VERIFY = {
    "smtp-auth-disabled-mailbox": (
        "Get-CASMailbox -Identity {mailbox} | Format-List Name,SmtpClientAuthenticationDisabled",
    ),
    "smtp-auth-disabled-tenant": (
        "Get-CASMailbox -Identity {mailbox} | Format-List Name,SmtpClientAuthenticationDisabled",
    ),
    "pop-disabled": ("Get-CASMailbox -Identity {mailbox} | Format-List Name,PopEnabled",),
    "imap-disabled": ("Get-CASMailbox -Identity {mailbox} | Format-List Name,ImapEnabled",),
    "mail-login-rejected": (
        "Get-CASMailbox -Identity {mailbox} | Format-List Name,PopEnabled,ImapEnabled,SmtpClientAuthenticationDisabled",
    ),
    "mailbox-missing": ("Get-EXOMailbox -Identity {mailbox} | Format-List PrimarySmtpAddress",),
    "send-as-denied": ("Get-RecipientPermission -Identity {mailbox}",),
    "service-principal-missing": (
        "Get-ServicePrincipal | Format-List AppId,ObjectId,DisplayName",
        "Get-MailboxPermission -Identity {mailbox}",
    ),
}

_CONNECT = {  # facts F1
    "usgov": "Connect-ExchangeOnline -ExchangeEnvironmentName O365USGovGCCHigh",
    "china": "Connect-ExchangeOnline -ExchangeEnvironmentName O365China",
}

_SHOWN = 200  # mailboxes that a list for people names; the commands name them all


@dataclass(frozen=True)
class Letter:
    """A letter, as a mail or in any form of :class:`~msoauth.reports.document.Document`."""

    subject: str
    document: Document

    def eml(self, to: str = "") -> bytes:
        """A draft that mail programs open for sending (``.eml``).

        Args:
            to: The recipient, if known.
        """
        mail = EmailMessage()
        mail["Subject"] = _one_line(self.subject)
        if to:
            mail["To"] = _one_line(to)
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["X-Unsent"] = "1"  # Outlook opens it as a draft
        mail.set_content(self.document.text())
        mail.add_alternative(self.document.html(), subtype="html")
        return mail.as_bytes()


def for_it(cause: str, who: str) -> bool:
    """Whether the firm's IT can fix a problem, so that a letter asks for it.

    Args:
        who: Who can fix it, as a finding says.
    """
    return who == "tenant-admin" or cause in _ALSO_ITS


def letter(
    workspace: Workspace, firm: Firm, account: Account | None = None, *, cause: str | None = None
) -> Letter:
    """The letter about the latest findings of one account or of the whole firm.

    Args:
        cause: Ask only to fix this.

    Raises:
        InputError: there are no findings yet, or nothing in them is for the firm's IT.
    """
    latest = latest_findings(workspace, firm.name, account)
    if not latest:
        raise InputError(
            _("There are no findings of {firm} yet: diagnose an account first.").format(
                firm=firm.name
            )
        )
    asked = [
        finding
        for address in sorted(latest)
        for finding in latest[address]
        if finding.signal in (Signal.FAILED, Signal.WARNING) and cause in (None, finding.cause)
    ]
    return of_findings(firm, asked)


def of_findings(firm: Firm, findings: Iterable[Finding]) -> Letter:
    """The letter about these findings.

    Raises:
        InputError: nothing in them is for the firm's IT.
    """
    by_cause: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.cause and for_it(finding.cause, finding.who):
            by_cause.setdefault(finding.cause, []).append(finding)
    if not by_cause:
        raise InputError(
            _("Nothing in the latest findings of {firm} is for the firm's IT to mend.").format(
                firm=firm.name
            )
        )
    document = Document(
        _("Request to the Microsoft 365 administrators of {firm}").format(firm=firm.name)
    )
    document.add(
        Paragraph(
            _(
                "We are setting up mail retrieval and sending over POP3, IMAP and SMTP with OAuth 2.0 for mailboxes of {firm}."
            ).format(firm=firm.name)
            + " "
            + ngettext(
                "Our checks found one thing that only your IT can mend. Please do what is described below, or tell us whom to ask.",
                "Our checks found {n} things that only your IT can mend. Please do what is described below, or tell us whom to ask.",
                len(by_cause),
            ).format(n=len(by_cause))
        ),
        Paragraph(
            _("This letter holds no password and no secret, and none is needed to do what it asks for."),
            quiet=True,
        ),
        Table(
            (_("Where"), _("Value")),
            (
                (_("Directory (tenant) ID"), firm.tenant),
                (_("Application (client) ID"), firm.client_id),
                (_("Last checked (UTC)"), f"{max(f.at for rows in by_cause.values() for f in rows).astimezone(UTC):%Y-%m-%d %H:%M}"),
            ),
        ),
    )  # fmt: skip
    for number, (cause, rows) in enumerate(by_cause.items(), 1):
        document.add(*_request(number, firm, cause, rows))
    if firm.access == "delegated":
        document.add(*_consent(len(by_cause) + 1, firm))
    document.add(
        Heading(_("When it is done")),
        Paragraph(
            _(
                "Please answer this letter. Changes in Exchange Online and Entra ID take some minutes, up to an hour; then we check again on our side and tell you what came of it."
            )
        ),
    )
    subject = ngettext(
        "Microsoft 365: one change for mail with OAuth ({firm})",
        "Microsoft 365: {n} changes for mail with OAuth ({firm})",
        len(by_cause),
    ).format(n=len(by_cause), firm=firm.name)
    return Letter(subject, document)


def _request(
    number: int, firm: Firm, cause: str, rows: Sequence[Finding]
) -> list[Heading | Paragraph | Items | Code | Links]:
    mailboxes = sorted({row.account for row in rows if row.account}, key=str.casefold)
    one = Account(mailboxes[0], firm.name) if len(mailboxes) == 1 else None
    known = for_cause(cause, firm=firm, account=one)
    title = known.title
    if len(mailboxes) > 1:
        title = _("{title}: {n} mailboxes").format(title=title, n=len(mailboxes))
    parts: list[Heading | Paragraph | Items | Code | Links] = [
        Heading(f"{number}. {title}"),
        Paragraph(known.meaning),
    ]
    if mailboxes:
        parts += [Heading(ngettext("Mailbox", "Mailboxes", len(mailboxes)), 3), _listed(mailboxes)]
    parts += [Heading(_("What to do"), 3), Items(known.fix, ordered=True)]
    commands = _commands(firm, cause, mailboxes)
    if commands:
        heading = ngettext("Or with PowerShell", "Or with PowerShell, for all of them at once", len(mailboxes) or 1)  # fmt: skip
        parts += [Heading(heading, 3), Code(commands, "powershell")]
    parts.append(Heading(_("How to verify"), 3))
    verify = [line.replace("{mailbox}", _MAILBOX) for line in _VERIFY.get(cause, ())]
    if verify:
        parts.append(Code(_script(firm, verify, mailboxes), "powershell"))
    parts.append(Paragraph(_("We verify it on our side by the same check that failed: {checks}.").format(
        checks=", ".join(sorted({row.check for row in rows}))
    )))  # fmt: skip
    if known.links:
        parts += [Heading(_("Straight to the page"), 3), Links(known.links)]
    parts += _said(rows)
    return parts


_MAILBOX = "$mailbox"
_STAND_IN = "mailbox@stand-in.invalid"  # an address for the catalogue, which would quote a variable


def _commands(firm: Firm, cause: str, mailboxes: Sequence[str]) -> str:
    """The catalogue's commands that change something, for each of the mailboxes."""
    known = for_cause(cause, firm=firm, account=Account(_STAND_IN, firm.name))
    lines = [line.replace(_STAND_IN, _MAILBOX) for line in known.powershell]
    changing = [line for line in lines if not line.startswith(("Get-", "Test-"))]
    return _script(firm, changing, mailboxes) if changing else ""


def _script(firm: Firm, lines: Sequence[str], mailboxes: Sequence[str]) -> str:
    each = [line for line in lines if _MAILBOX in line]
    once = [line for line in lines if _MAILBOX not in line]
    script = [_CONNECT.get(firm.cloud.name, "Connect-ExchangeOnline"), *once]
    if each and mailboxes:
        quoted = [f"'{address.replace(chr(39), chr(39) * 2)}'" for address in mailboxes]
        if len(quoted) == 1:
            script += [line.replace(_MAILBOX, quoted[0]) for line in each]
        else:
            script += ["$mailboxes = @(", ",\n".join(f"    {q}" for q in quoted), ")"]
            script += ["foreach ($mailbox in $mailboxes) {", *(f"    {line}" for line in each), "}"]
    elif each:
        script += [line.replace(_MAILBOX, "<mailbox>") for line in each]
    return "\n".join(script)


def _listed(mailboxes: Sequence[str]) -> Items:
    shown = tuple(mailboxes[:_SHOWN])
    more = len(mailboxes) - len(shown)
    if more:
        shown += (_("and {n} more (the commands name them all)").format(n=more),)
    return Items(shown)


def _said(rows: Sequence[Finding]) -> list[Heading | Paragraph | Items | Code | Links]:
    newest = max(rows, key=lambda row: row.at)
    words = redact(newest.evidence).strip()[:1500]
    lines = [words] if words else []
    lines += [f"{name.replace('_', ' ')}: {value}" for name, value in newest.ids.items()]
    if not lines:
        return []
    when = _("What the server said ({check}, {at} UTC)").format(
        check=newest.check, at=f"{newest.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    )
    return [Heading(when, 3), Code("\n".join(lines))]


def _consent(number: int, firm: Firm) -> list[Heading | Paragraph | Links]:
    consent: Link = replace(link("admin-consent", firm), text=_("Grant admin consent"))
    return [
        Heading(_("{n}. Consent for all users, with one click").format(n=number)),
        Paragraph(
            _(
                "If it has not been done yet: an administrator who opens this link and accepts spares every user the question whether the app may use the mailbox. It is needed where users may not consent themselves."
            )
        ),
        Links((consent,)),
    ]


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]

"""Writes the letter to a firm's IT department: the problems that it can fix, for one mailbox or all, ready to be sent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from msoauth.errors import NothingToDoError
from msoauth.explaining import Explanation, commands_about, of_finding, of_shared_problem
from msoauth.explaining.links import link
from msoauth.microsoft_changes import complete
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.redact import redact
from msoauth.reports.consent import known_consent
from msoauth.reports.document import Document, write_document
from msoauth.reports.latest_findings import latest_findings
from msoauth.sanitize import one_line
from msoauth.shells import powershell_string
from msoauth.store import Workspace
from msoauth.texts import _, ngettext

# Causes that the catalogue assigns to the consultant, who sets this up with msoauth, but that the IT department can fix as well: the network, and a
# login that Exchange rejects without a reason, which is nearly always a setting or a licence.
_ALSO_FIXABLE_BY_IT = frozenset(
    {
        "dns-failed", "connect-refused", "connect-timeout", "tls-untrusted", "tls-failed", "proxy-required",
        "mail-login-rejected",
    }
)  # fmt: skip

# Commands by which an Exchange administrator verifies the fix (facts F2, F4). Other causes need only our own check.
_VERIFY = {
    "smtp-auth-disabled-mailbox": (
        "Get-CASMailbox -Identity {smtp_mailbox} | Format-List Name,SmtpClientAuthenticationDisabled",
    ),
    "smtp-auth-disabled-tenant": (
        "Get-CASMailbox -Identity {smtp_mailbox} | Format-List Name,SmtpClientAuthenticationDisabled",
    ),
    "pop-disabled": ("Get-CASMailbox -Identity {mailbox} | Format-List Name,PopEnabled",),
    "imap-disabled": ("Get-CASMailbox -Identity {mailbox} | Format-List Name,ImapEnabled",),
    "mail-login-rejected": (
        "Get-CASMailbox -Identity {mailbox} | Format-List Name,PopEnabled,ImapEnabled,SmtpClientAuthenticationDisabled",
    ),
    "mailbox-missing": ("Get-EXOMailbox -Identity {mailbox} | Format-List PrimarySmtpAddress",),
    "full-access-missing": ("Get-EXOMailboxPermission -Identity {mailbox}",),
    "send-as-denied": ("Get-RecipientPermission -Identity {sender}",),
    "service-principal-missing": (
        "Get-ServicePrincipal | Format-List AppId,ObjectId,DisplayName",
        "Get-MailboxPermission -Identity {mailbox}",
    ),
}

# Signing in to Exchange Online PowerShell in a national cloud (facts F1).
_CONNECT = {
    "usgov": "Connect-ExchangeOnline -ExchangeEnvironmentName O365USGovGCCHigh",
    "china": "Connect-ExchangeOnline -ExchangeEnvironmentName O365China",
}

_CONSENT = "admin-consent-required"
_MAX_LISTED = 200  # mailboxes that the letter's list names; its commands name them all


@dataclass(frozen=True)
class Letter:
    """A letter, as a mail or in any form of :class:`~msoauth.reports.document.Document`."""

    subject: str
    document: Document

    def eml(self, to: str = "") -> bytes:
        """The letter as a draft in a file (``.eml``) that mail programs open for sending.

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


def fixable_by_it_department(cause: str, responsible: str) -> bool:
    """Whether the firm's IT department can fix a problem, so that a letter asks for it.

    Args:
        responsible: The ``who`` of the finding or of the cause: an id such as ``tenant-admin``.
    """
    return responsible == "tenant-admin" or cause in _ALSO_FIXABLE_BY_IT


def letter(
    workspace: Workspace, firm: Firm, account: Account | None = None, *, cause: str | None = None
) -> Letter:
    """Write the letter about the latest findings of one account or of the whole firm.

    Args:
        cause: Limit the letter to this cause; None for all of them.

    Raises:
        NothingToDoError: there are no findings yet, or the IT department can fix none of them.
    """
    latest = latest_findings(workspace, firm.name, account)
    if not latest:
        raise NothingToDoError(
            _("There are no findings of {firm} yet: diagnose an account first.").format(
                firm=firm.name
            )
        )
    to_fix = [
        finding
        for address in sorted(latest)
        for finding in latest[address]
        if finding.signal in (Signal.FAILED, Signal.WARNING) and cause in (None, finding.cause)
    ]
    accounts = workspace.accounts.list(firm.name)
    return of_findings(
        firm,
        to_fix,
        {known.address: known for known in accounts},
        ask_for_consent=known_consent(workspace, firm) not in ("all", "each"),
    )


def of_findings(
    firm: Firm,
    findings: Iterable[Finding],
    accounts: Mapping[str, Account] | None = None,
    *,
    ask_for_consent: bool = True,
) -> Letter:
    """Write the letter about these findings; what an administrator must consent to comes first.

    Args:
        accounts: The accounts by address, so that a command can name who signs in for another's mailbox.
        ask_for_consent: Also ask for an administrator's consent, where no finding does.

    Raises:
        NothingToDoError: the IT department can fix none of them.
    """
    by_cause: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.cause and fixable_by_it_department(finding.cause, finding.who):
            by_cause.setdefault(finding.cause, []).append(finding)
    if not by_cause:
        raise NothingToDoError(
            _("Nothing in the latest findings of {firm} is for the firm's IT to mend.").format(
                firm=firm.name
            )
        )
    # Nobody can sign in before an administrator has consented, so this is the first thing to ask for.
    causes = sorted(by_cause, key=lambda cause: cause != _CONSENT)
    requests = [_request(firm, cause, by_cause[cause], accounts or {}) for cause in causes]
    ask_for_consent = ask_for_consent and firm.access == "delegated" and _CONSENT not in by_cause
    consent = replace(link("admin-consent", firm), text=_("Grant admin consent"))
    document = write_document(
        "letter",
        _("Request to the Microsoft 365 administrators of {firm}").format(firm=firm.name),
        firm=firm,
        checked=max(request.newest.at for request in requests).astimezone(UTC),
        requests=requests,
        max_listed=_MAX_LISTED,
        module=complete("{change:exchange-module-3-10}"),
        consent=consent if ask_for_consent else None,
        utc=UTC,
    )
    subject = ngettext(
        "Microsoft 365: one change for mail with OAuth ({firm})",
        "Microsoft 365: {n} changes for mail with OAuth ({firm})",
        len(by_cause),
    ).format(n=len(by_cause), firm=firm.name)
    return Letter(subject, document)


@dataclass(frozen=True)
class _Request:
    """What is asked for about one cause.

    Attributes:
        commands: The PowerShell script that fixes it; empty if there is none.
        verify: The one that shows whether it is fixed; empty if only our own checks do.
        checks: The checks that failed.
        newest: The newest of the findings.
        response: What the server answered then, with its ids.
    """

    title: str
    explanation: Explanation
    mailboxes: Sequence[str]
    commands: str
    verify: str
    checks: Sequence[str]
    newest: Finding
    response: str


def _request(
    firm: Firm, cause: str, findings: Sequence[Finding], accounts: Mapping[str, Account]
) -> _Request:
    """What is wrong, for which mailboxes, how to fix it, and how to verify the fix."""
    mailboxes = sorted(
        {finding.account for finding in findings if finding.account}, key=str.casefold
    )
    explanation = _explanation(firm, findings, accounts)
    title = explanation.title
    if len(mailboxes) > 1:
        title = _("{title}: {n} mailboxes").format(title=title, n=len(mailboxes))
    newest = max(findings, key=lambda finding: finding.at)
    evidence = redact(newest.evidence).strip()[:1500]
    ids = [f"{name.replace('_', ' ')}: {value}" for name, value in newest.ids.items()]
    return _Request(
        title,
        explanation,
        mailboxes,
        _commands(firm, findings, accounts),
        _commands(firm, findings, accounts, _VERIFY.get(cause, ())),
        sorted({finding.check for finding in findings}),
        newest,
        "\n".join([*([evidence] if evidence else []), *ids]),
    )


def _explanation(
    firm: Firm, findings: Sequence[Finding], accounts: Mapping[str, Account]
) -> Explanation:
    """The steps that fit a finding, or what the findings of several mailboxes have in common."""
    first = findings[0]
    if len({finding.account for finding in findings}) == 1:
        return of_finding(first, firm=firm, account=accounts.get(first.account))
    return of_shared_problem(findings, firm=firm)


_MAILBOX = "$mailbox"  # the PowerShell variable of the loop over mailboxes
# The catalogue quotes addresses for PowerShell and would spoil the variable: it is given this one, which needs no quotes,
# and the variable takes its place afterwards.
_PLACEHOLDER_ADDRESS = "mailbox@stand-in.invalid"


def _commands(
    firm: Firm,
    findings: Sequence[Finding],
    accounts: Mapping[str, Account],
    templates: Sequence[str] | None = None,
) -> str:
    """A script of commands for each of the findings; empty if there are none.

    A mailbox whose own user signs in goes into a loop. Where another user signs in, or sends in another's name, each
    command names the role that it is about.

    Args:
        templates: Commands; None for those of the catalogue that fix it.
    """
    own: dict[str, None] = {}
    lines: dict[str, None] = {}
    for finding in findings:
        account = accounts.get(finding.account)
        loops = bool(finding.account) and finding.sender in ("", finding.account)
        if loops and finding.login in ("", finding.account) and not (account and account.login):
            own[finding.account] = None
            account = Account(_PLACEHOLDER_ADDRESS, firm.name)
            finding = replace(finding, account="", details=_without_roles(finding))
        if templates is None:
            found = of_finding(finding, firm=firm, account=account).powershell
            # Those that only read do not fix anything.
            commands = [one for one in found if not one.startswith(("Get-", "Test-", "Connect-Mg"))]
        else:
            commands = list(commands_about(finding, templates, firm=firm, account=account))
        lines |= dict.fromkeys(one.replace(_PLACEHOLDER_ADDRESS, _MAILBOX) for one in commands)
    return _script(firm, list(lines), list(own)) if lines else ""


def _without_roles(finding: Finding) -> dict[str, str]:
    return {n: v for n, v in finding.details.items() if n not in ("mailbox", "login", "sender")}


def _script(firm: Firm, lines: Sequence[str], mailboxes: Sequence[str]) -> str:
    """A PowerShell script that connects to Exchange and runs the lines, those that name a mailbox for each of them."""
    per_mailbox = [line for line in lines if _MAILBOX in line]
    one_off = [line for line in lines if _MAILBOX not in line]
    script = [_CONNECT.get(firm.cloud.name, "Connect-ExchangeOnline"), *one_off]
    if per_mailbox and mailboxes:
        quoted = [*map(powershell_string, mailboxes)]
        if len(quoted) == 1:
            script += [line.replace(_MAILBOX, quoted[0]) for line in per_mailbox]
        else:
            script += ["$mailboxes = @(", ",\n".join(f"    {q}" for q in quoted), ")"]
            script += [
                "foreach ($mailbox in $mailboxes) {",
                *(f"    {line}" for line in per_mailbox),
                "}",
            ]
    elif per_mailbox:
        script += [line.replace(_MAILBOX, "<mailbox>") for line in per_mailbox]
    return "\n".join(script)


def _one_line(text: str) -> str:
    return one_line(" ".join(text.split()))[:300]

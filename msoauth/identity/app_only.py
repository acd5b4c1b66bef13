"""Writes the steps for app-only access: what an administrator sets up in Entra and Exchange so that an app may open
mailboxes to which nobody signs in."""

from collections.abc import Sequence
from dataclasses import dataclass

from msoauth.claims import read_unverified
from msoauth.identity import access_tokens
from msoauth.model import Account, Firm
from msoauth.store import Workspace
from msoauth.texts import _

PERMISSIONS = ("POP.AccessAsApp", "IMAP.AccessAsApp", "SMTP.SendAsApp")

# Connect-ExchangeOnline's name of a cloud (facts F1); another place's endpoints file has none.
_ENVIRONMENTS = {"usgov": "O365USGovGCCHigh", "china": "O365China"}
_PLACEHOLDER = "<Object ID of the enterprise application>"


@dataclass(frozen=True, slots=True)
class ExchangeSteps:
    """What the firm's Exchange administrator does (facts A5, F4).

    Attributes:
        steps: In words, in order.
        commands: The PowerShell of it, a line each.
        verify: The PowerShell that shows whether it was done.
    """

    steps: tuple[str, ...]
    commands: tuple[str, ...]
    verify: tuple[str, ...]

    def text(self) -> str:
        """All of it, to be copied into a mail."""
        words = [f"{number}. {step}" for number, step in enumerate(self.steps, 1)]
        shows = _("# What was done shows:")
        return "\n".join([*words, "", *self.commands, "", shows, *self.verify])


def service_principal(workspace: Workspace, firm: Firm) -> str:
    """The object ID of the app's service principal, read from a token of the app; empty if the token is unreadable.

    It is the Object ID of the *enterprise application*. The app registration has another one: with that,
    ``New-ServicePrincipal`` succeeds and every login fails (facts A5).

    Raises:
        AuthError: the app gets no token.
    """
    said = read_unverified(access_tokens.app_token(workspace, firm).value)
    return said.object_id if said is not None else ""


def exchange_steps(firm: Firm, accounts: Sequence[Account], object_id: str = "") -> ExchangeSteps:
    """The steps for this firm and these mailboxes.

    Args:
        object_id: As :func:`service_principal` returns it; empty for a placeholder.
    """
    known = object_id or _PLACEHOLDER
    environment = _ENVIRONMENTS.get(firm.cloud.name)
    mailboxes = ", ".join(_quoted(account.address) for account in accounts) or "'user@firm.example'"
    steps = [
        _(
            "In the Entra admin center: App registrations → the app → API permissions → Add a permission → APIs my "
            "organization uses → Office 365 Exchange Online → Application permissions: tick {permissions}."
        ).format(permissions=", ".join(PERMISSIONS)),
        _("On the same page press “Grant admin consent for …”."),
        _(
            "As Exchange administrator run the commands below: they make the app known to Exchange and give it "
            "access to the mailboxes, and to no others."
        ),
    ]
    if not object_id:
        steps.insert(
            2,
            _(
                "Take the Object ID from Enterprise applications → the app → Overview (not from App registrations: "
                "that one is another)."
            ),
        )
    connect = f"Connect-ExchangeOnline -Organization {_quoted(firm.tenant)}"
    if environment:
        connect += f" -ExchangeEnvironmentName {environment}"
    return ExchangeSteps(
        steps=tuple(steps),
        commands=(
            "Install-Module -Name ExchangeOnlineManagement",
            connect,
            f"New-ServicePrincipal -AppId {_quoted(firm.client_id)} -ObjectId {_quoted(known)} -DisplayName {_quoted(firm.name)}",
            f"{mailboxes} | ForEach-Object {{ Add-MailboxPermission -Identity $_ -User {_quoted(known)} -AccessRights FullAccess }}",
        ),
        verify=(
            "Get-ServicePrincipal | Format-List AppId,ObjectId,DisplayName",
            f"{mailboxes} | ForEach-Object {{ Get-MailboxPermission -Identity $_ -User {_quoted(known)} }}",
        ),
    )


def _quoted(text: str) -> str:
    """*text* as a PowerShell string literal in which nothing is expanded."""
    plain = "".join(c for c in text if c.isprintable())
    for mark in "'‘’‚‛":  # PowerShell takes the typographic ones for quotes too
        plain = plain.replace(mark, mark * 2)
    return f"'{plain}'"

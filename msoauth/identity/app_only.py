"""Writes the steps for app-only access: what an administrator sets up in Entra and Exchange so that an app may open
mailboxes to which nobody signs in."""

from collections.abc import Sequence
from dataclasses import dataclass

from msoauth.claims import read_unverified
from msoauth.identity import access_tokens
from msoauth.microsoft_changes import complete
from msoauth.model import Account, Firm
from msoauth.shells import powershell_string
from msoauth.store import Workspace
from msoauth.texts import _

PERMISSIONS = ("POP.AccessAsApp", "IMAP.AccessAsApp", "SMTP.SendAsApp")

# Connect-ExchangeOnline's name of a cloud (facts F1); a cloud from an endpoints file has none.
_EXCHANGE_ENVIRONMENTS = {"usgov": "O365USGovGCCHigh", "china": "O365China"}
# RBAC's filter for the mailboxes of a group (facts A5).
_GROUP_FILTER = "MemberOfGroup -eq '<distinguished name of the group>'"
_PLACEHOLDER = "<Object ID of the enterprise application>"


@dataclass(frozen=True, slots=True)
class ExchangeSteps:
    """What the firm's Exchange administrator does (facts A5, F4).

    Attributes:
        steps: What to do, in order, for people.
        commands: The same in PowerShell, a line each.
        verify: The PowerShell that shows whether it was done.
    """

    steps: tuple[str, ...]
    commands: tuple[str, ...]
    verify: tuple[str, ...]

    def script(self) -> str:
        """The commands, and under a heading those that show what was done."""
        return "\n".join([*self.commands, "", _("# What was done shows:"), *self.verify])

    def text(self) -> str:
        """All of it, to be copied into a mail."""
        numbered = [f"{number}. {step}" for number, step in enumerate(self.steps, 1)]
        return "\n".join([*numbered, "", self.script()])


def service_principal(workspace: Workspace, firm: Firm) -> str:
    """The object ID of the app's service principal, read from a token of the app; empty if the token is unreadable.

    It is the Object ID of the *enterprise application*. The app registration has another one: with that,
    ``New-ServicePrincipal`` succeeds and every login fails (facts A5).

    Raises:
        AuthError: the app gets no token.
    """
    claims = read_unverified(access_tokens.app_token(workspace, firm).value)
    return claims.object_id if claims is not None else ""


def exchange_steps(firm: Firm, accounts: Sequence[Account], object_id: str = "") -> ExchangeSteps:
    """The steps for this firm and these mailboxes.

    Args:
        object_id: As :func:`service_principal` returns it; empty for a placeholder.
    """
    id_or_placeholder = object_id or _PLACEHOLDER
    environment = _EXCHANGE_ENVIRONMENTS.get(firm.cloud.name)
    mailboxes = (
        ", ".join(powershell_string(account.address) for account in accounts)
        or "'user@firm.example'"
    )
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
        complete("{change:exchange-module-3-10}"),
        _(
            "If the app also sends as another mailbox than the one it opens, run the command with SendAs for that "
            "mailbox too."
        ),
        _(
            "If the app only sends, RBAC for Applications is the safer way: leave SMTP.SendAsApp and FullAccess out, "
            "and run the last two commands instead. For POP and IMAP there is no such role."
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
    application, principal = powershell_string(firm.client_id), powershell_string(id_or_placeholder)
    connect = f"Connect-ExchangeOnline -Organization {powershell_string(firm.tenant)}"
    if environment:
        connect += f" -ExchangeEnvironmentName {environment}"
    return ExchangeSteps(
        steps=tuple(steps),
        commands=(
            "Install-Module -Name ExchangeOnlineManagement",
            connect,
            f"New-ServicePrincipal -AppId {application} -ObjectId {principal} -DisplayName {powershell_string(firm.name)}",
            f"{mailboxes} | ForEach-Object {{ Add-MailboxPermission -Identity $_ -User {principal} -AccessRights FullAccess }}",
            # Commented out: most firms need neither (facts A5).
            _("# Only if mail is sent as another mailbox:"),
            f"# Add-RecipientPermission -Identity '<mailbox of the sender>' -Trustee {principal} -AccessRights SendAs",
            _("# Only if the app sends and retrieves nothing, in place of FullAccess:"),
            f"# New-ManagementScope -Name 'msoauth' -RecipientRestrictionFilter {powershell_string(_GROUP_FILTER)}",
            f"# New-ManagementRoleAssignment -Name 'msoauth' -Role 'Application SMTP.SendAsApp' -App {application} -CustomResourceScope 'msoauth'",
        ),
        verify=(
            "Get-ServicePrincipal | Format-List AppId,ObjectId,DisplayName",
            f"{mailboxes} | ForEach-Object {{ Get-MailboxPermission -Identity $_ -User {principal} }}",
            f"Get-RecipientPermission -Trustee {principal}",
        ),
    )

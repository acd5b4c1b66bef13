"""The admin center's settings as data: the path of each, its label, and its possible values (facts F5)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from msoauth.practice.consent_policies import LOW
from msoauth.practice.registrations import EXEMPTION
from msoauth.practice.state import MANAGED_CONSENT


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a setting: its code in forms, its label, and the value itself.

    Attributes:
        good: True is shown green, False red, None in neither colour.
        verb: The text of the button that sets it, where "Set to …" would read badly.
    """

    code: str
    label: str
    value: Any
    good: bool | None = None
    verb: str = ""

    @property
    def button(self) -> str:
        """The text of the button that sets it."""
        return self.verb or f"Set to {self.label}"


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting with a few possible values.

    Attributes:
        path: Area and attribute, as in scenarios: ``policies.user_consent``.
    """

    path: str
    label: str
    choices: tuple[Choice, ...]

    def current(self, value: Any) -> Choice | None:
        """The choice that is set; None for a value that no choice has."""
        return next((choice for choice in self.choices if choice.value == value), None)

    def choice(self, code: str) -> Choice | None:
        """The choice of that code."""
        return next((choice for choice in self.choices if choice.code == code), None)


def _switch(
    on: str = "Yes",
    off: str = "No",
    *,
    good: bool | None = None,
    verbs: tuple[str, str] = ("", ""),
) -> tuple[Choice, ...]:
    """A switch; *good* says which side is the healthy one, *verbs* what the buttons for on and off say."""
    return (
        Choice("on", on, True, good, verbs[0]),
        Choice("off", off, False, None if good is None else not good, verbs[1]),
    )


def _lifetime() -> Iterator[Choice]:
    yield Choice("none", "Off", None)
    for days in (30, 90, 180, 365):
        yield Choice(str(days), f"{days} days", days)


_ALL = (
    Setting("app.sign_in_audience", "Supported account types", (
        Choice("single", "Single tenant", "AzureADMyOrg"),
        Choice("multiple", "Multiple Entra ID tenants", "AzureADMultipleOrgs"),
        Choice("all", "Any Entra ID tenant and personal Microsoft accounts", "AzureADandPersonalMicrosoftAccount"),
        Choice("personal", "Personal Microsoft accounts only", "PersonalMicrosoftAccount"),
    )),
    Setting("app.is_fallback_public_client", "Allow public client flows", _switch()),
    Setting("app.groups_claim", "Token configuration: groups claim", _switch("Added", "None", good=False, verbs=("Add groups claim", "Remove"))),
    Setting("app.deleted", "App registration", (
        Choice("off", "Registered", False, True, "Restore app registration"), Choice("on", "Deleted", True, False, "Delete"),
    )),
    Setting("app.verified_publisher", "Publisher verification", _switch("Verified publisher", "Not verified", verbs=("Verify the publisher", "Remove the verification"))),
    Setting("app.management_policy", "Application policies: this app", (
        Choice("tenant", "As the organization says", None), Choice("exempt", "Excluded", EXEMPTION),
    )),
    Setting("principal.account_enabled", "Enabled for users to sign-in?", _switch(good=True)),
    Setting("principal.app_role_assignment_required", "Assignment required?", _switch()),
    Setting("policies.user_consent", "User consent for applications", (
        Choice("off", "Do not allow user consent", ""),
        Choice("low", "Allow user consent for apps from verified publishers, for selected permissions", LOW),
        Choice("managed", "Let Microsoft manage your consent settings (Recommended)", MANAGED_CONSENT),
    )),
    Setting("policies.consent_requests", "Users can request admin consent to apps they are unable to consent to", _switch()),
    Setting("policies.security_defaults", "Security defaults", _switch("Enabled", "Disabled", verbs=("Enable", "Disable"))),
    Setting("organisation.smtp_client_authentication_disabled", "Turn off SMTP AUTH protocol for your organization", _switch()),
    Setting("organisation.exchange_online", "Exchange Online subscription", _switch("Active", "None", good=True, verbs=("Subscribe", "Cancel subscription"))),
    Setting("policies.block_passwords", "Block password addition", _switch("On", "Off")),
    Setting("policies.max_password_days", "Restrict max password lifetime", tuple(_lifetime())),
    Setting("policies.max_certificate_days", "Restrict max certificate lifetime", tuple(_lifetime())),
    Setting("organisation.deprovisioned", "Tenant", (
        Choice("off", "Active", False, True, "Restore the tenant"), Choice("on", "Deprovisioned", True, False, "Deprovision"),
    )),
    Setting("organisation.premium", "Microsoft Entra ID P1", _switch("Active", "None", verbs=("Subscribe", "Cancel subscription"))),
    Setting("user.account_enabled", "Sign-in", _switch("Allowed", "Blocked", good=True, verbs=("Unblock sign-in", "Block sign-in"))),
    Setting("user.licensed", "License: Microsoft 365 Business Standard, with Exchange Online", _switch("Assigned", "Unassigned", good=True, verbs=("Assign", "Unassign"))),
    Setting("user.mfa_required", "Per-user multifactor authentication", _switch("Enforced", "Disabled", verbs=("Enforce", "Disable"))),
    Setting("user.mfa_registered", "Authentication methods: second factor", _switch("Registered", "None", verbs=("Register", "Remove"))),
    Setting("user.password_expired", "Must change password at next sign-in", _switch(good=False)),
    Setting("user.guest_of", "User type", (
        Choice("member", "Member", None, True, "Make a member"),
        Choice("external", "External, not invited", "live.com", False, "Make external (live.com)"),
    )),
    Setting("user.admin", "Roles", _switch("Global Administrator", "User (no admin access)", verbs=("Make Global Administrator", "Remove the role"))),
    Setting("user.synchronized", "Sync status", _switch("Synced from on-premises", "In cloud", verbs=("Sync from on-premises", "Make a cloud user"))),
    Setting("mailbox.kind", "Recipient type", (
        Choice("user", "User mailbox", "user", True, "Convert to regular mailbox"),
        Choice("shared", "Shared mailbox", "shared", True, "Convert to shared mailbox"),
        Choice("room", "Room", "room", None, "Convert to room"),
        Choice("group", "Microsoft 365 group", "group", None, "Replace by a Microsoft 365 group"),
        Choice("list", "Distribution list", "list", None, "Replace by a distribution list"),
        Choice("contact", "Mail contact", "contact", None, "Replace by a contact"),
        Choice("on-premises", "Mailbox on the firm's own server", "on-premises", None, "Move to the firm's own server"),
    )),
    Setting("mailbox.smtp_client_authentication_disabled", "Authenticated SMTP", (
        Choice("on", "On", False, True), Choice("off", "Off", True, False), Choice("inherit", "As the organization says", None),
    )),
    Setting("mailbox.pop_enabled", "POP", _switch("On", "Off", good=True)),
    Setting("mailbox.imap_enabled", "IMAP", _switch("On", "Off", good=True)),
    Setting("mailbox.busy", "Another POP session", _switch("Holds the mailbox", "None", good=False, verbs=("Let one hold the mailbox", "End that session"))),
    Setting("mailbox.moved", "Move request", _switch("In progress", "None", good=False, verbs=("Start moving", "Complete the move"))),
    Setting("mailbox.trusted_lists_only", "Junk email: only trust safe senders", _switch("On", "Off", good=False)),
    Setting("mailbox.inbox_rule", "Inbox rule: move all mail to", (
        Choice("none", "No rule", "", True, "Delete the rule"), Choice("archive", "Archive", "Archive", False),
    )),
    Setting("mailbox.forwarding_smtp_address", "Email forwarding", (
        Choice("none", "Off", "", True), Choice("on", "someone@elsewhere.example", "someone@elsewhere.example", False),
    )),
)  # fmt: skip

SETTINGS = {setting.path: setting for setting in _ALL}


@dataclass(frozen=True, slots=True)
class Listing:
    """A setting that is a list to which people add and from which they remove.

    Attributes:
        path: As in `Setting`.
        field: What is typed in, for people.
    """

    path: str
    label: str
    field: str


LISTINGS = {
    listing.path: listing
    for listing in (
        Listing("app.web_redirect_uris", "Web", "Redirect URI"),
        Listing("app.public_client_redirect_uris", "Mobile and desktop applications", "Redirect URI"),
        Listing("app.spa_redirect_uris", "Single-page application", "Redirect URI"),
        Listing("principal.assigned_users", "Users and groups", "User"),
        Listing("principal.smtp_scope", "Application SMTP.SendAsApp (RBAC for Applications)", "Mailbox"),
        Listing("policies.low_impact_permissions", "Permission classifications: low impact", "Permission"),
        Listing("user.aliases", "Aliases", "Address"),
        Listing("mailbox.full_access", "Read and manage (Full Access)", "User or service principal"),
        Listing("mailbox.send_as", "Send as", "User or service principal"),
    )
}  # fmt: skip

"""Permissions of Microsoft Graph and Exchange Online: names, ids and descriptions (facts A4, A5, G3).

The descriptions are those of the consent page as far as they are public; they are unverified.
"""

from dataclasses import dataclass
from functools import cache

from msoauth.practice.state import EXCHANGE_APP_ID, GRAPH_APP_ID

RESOURCE_NAMES = {EXCHANGE_APP_ID: "Office 365 Exchange Online", GRAPH_APP_ID: "Microsoft Graph"}


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission as its resource offers it.

    Attributes:
        kind: ``Scope`` for delegated and ``Role`` for application permissions, as in Graph.
        says: The description on the consent page.
        admin_only: Only an administrator may consent to it.
    """

    resource: str
    value: str
    kind: str
    id: str
    says: str
    admin_only: bool = False


_POP, _IMAP, _SMTP = (
    "Read and write access to your mail via POP",
    "Read and write access to your mail via IMAP",
    "Send mail from your mailbox using SMTP AUTH",
)

PERMISSIONS = (
    Permission(EXCHANGE_APP_ID, "POP.AccessAsUser.All", "Scope", "fb698133-92fa-453e-a9ed-688e10f2e5ac", _POP),
    Permission(EXCHANGE_APP_ID, "IMAP.AccessAsUser.All", "Scope", "195adc35-e27b-454b-a7ed-1ecdffa1c09f", _IMAP),
    Permission(EXCHANGE_APP_ID, "SMTP.Send", "Scope", "76faac2a-0f20-42f1-928a-50de5b9dbe52", _SMTP),
    Permission(EXCHANGE_APP_ID, "EWS.AccessAsUser.All", "Scope", "3b5f3d61-589b-4a3c-a359-5dd4b5ee5bd5", "Access your mailboxes via Exchange Web Services"),
    # The id is from one public permission table.
    Permission(EXCHANGE_APP_ID, "EAS.AccessAsUser.All", "Scope", "266d2589-20b5-4f91-9a03-89247d1be8da", "Access your mailboxes via Exchange ActiveSync"),
    Permission(EXCHANGE_APP_ID, "User.Read", "Scope", "6223a6d3-53ef-4f8f-982a-895b39483c61", "Sign you in and read your profile"),
    Permission(EXCHANGE_APP_ID, "POP.AccessAsApp", "Role", "cb842b43-da6e-4506-86fe-bb12199c656d", "Read and write all mailboxes via POP", True),
    Permission(EXCHANGE_APP_ID, "IMAP.AccessAsApp", "Role", "5e5addcd-3e8d-4e90-baf5-964efab2b20a", "Read and write all mailboxes via IMAP", True),
    # No official document names this id (facts J10).
    Permission(EXCHANGE_APP_ID, "SMTP.SendAsApp", "Role", "7146a1f0-8703-45b3-9eae-527a64c00995", "Send mail from all mailboxes via SMTP AUTH", True),
    Permission(EXCHANGE_APP_ID, "full_access_as_app", "Role", "dc890d15-9560-4a4c-9b7f-a736ec74ec40", "Use Exchange Web Services with full access to all mailboxes", True),
    Permission(EXCHANGE_APP_ID, "Exchange.ManageAsApp", "Role", "dc50a0fb-09a3-484d-be87-e023b12c6440", "Manage Exchange as application", True),
    Permission(GRAPH_APP_ID, "POP.AccessAsUser.All", "Scope", "d7b7f2d9-0f45-4ea1-9d42-e50810c06991", _POP),
    Permission(GRAPH_APP_ID, "IMAP.AccessAsUser.All", "Scope", "652390e4-393a-48de-9484-05f9b1212954", _IMAP),
    Permission(GRAPH_APP_ID, "SMTP.Send", "Scope", "258f6531-6087-4cc4-bb90-092c5fb3ed3f", _SMTP),
    Permission(GRAPH_APP_ID, "offline_access", "Scope", "7427e0e9-2fba-42fe-b0c0-848c9e6a8182", "Maintain access to data you have given it access to"),
    Permission(GRAPH_APP_ID, "openid", "Scope", "37f7f235-527c-4136-accd-4a02d197296e", "Sign you in"),
    Permission(GRAPH_APP_ID, "profile", "Scope", "14dad69e-099b-42c9-810b-d002981feec1", "View your basic profile"),
    Permission(GRAPH_APP_ID, "email", "Scope", "64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0", "View your email address"),
    Permission(GRAPH_APP_ID, "User.Read", "Scope", "e1fe6dd8-ba31-4d61-89e7-88639da4683d", "Sign you in and read your profile"),
    Permission(GRAPH_APP_ID, "Application.Read.All", "Scope", "c79f8feb-a9db-4090-85f9-90d820caa0eb", "Read applications", True),
    Permission(GRAPH_APP_ID, "Application.Read.All", "Role", "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30", "Read all applications", True),
    Permission(GRAPH_APP_ID, "Application.ReadWrite.All", "Scope", "bdfbf15f-ee85-4955-8675-146e8e5296b5", "Read and write all applications", True),
    # The id is from memory, not verified against Microsoft's documentation.
    Permission(GRAPH_APP_ID, "Policy.ReadWrite.Authorization", "Scope", "edd3c878-b384-41fd-95ad-e7407dd775be", "Read and write your organization's authorization policy", True),
    Permission(GRAPH_APP_ID, "Policy.Read.PermissionGrant", "Scope", "414de6ea-2d92-462f-b120-6e2a809a6d01", "Read consent and permission grant policies", True),
    Permission(GRAPH_APP_ID, "Directory.Read.All", "Scope", "06da0dbc-49e2-44d2-8312-53f166ab848a", "Read directory data", True),
    Permission(GRAPH_APP_ID, "Directory.Read.All", "Role", "7ab1d382-f21e-4acd-a863-ba3e13f7da61", "Read directory data", True),
    Permission(GRAPH_APP_ID, "DelegatedPermissionGrant.Read.All", "Scope", "a197cdc4-a8e8-4d49-9d35-4ca7c83887b4", "Read delegated permission grants", True),
    Permission(GRAPH_APP_ID, "DelegatedPermissionGrant.Read.All", "Role", "81b4724a-58aa-41c1-8a55-84ef97466587", "Read all delegated permission grants", True),
    # The delegated ids of the next two, and all of groups, contacts, places and Organization.Read.All, are from memory,
    # not verified against Microsoft's documentation.
    Permission(GRAPH_APP_ID, "AuditLog.Read.All", "Scope", "e4c9e354-4dc5-45b8-9e7c-e1393b0b1a20", "Read audit log data", True),
    Permission(GRAPH_APP_ID, "AuditLog.Read.All", "Role", "b0afded3-3588-46d8-8b3d-9842eff778da", "Read all audit log data", True),
    Permission(GRAPH_APP_ID, "User.Read.All", "Scope", "a154be20-db9c-4678-8ab7-66f6cc099a59", "Read all users' full profiles", True),
    Permission(GRAPH_APP_ID, "User.Read.All", "Role", "df021288-bdef-4463-88db-98f22de89214", "Read all users' full profiles", True),
    Permission(GRAPH_APP_ID, "GroupMember.Read.All", "Scope", "bc024368-1153-4739-b217-4326f2e966d0", "Read group memberships", True),
    Permission(GRAPH_APP_ID, "OrgContact.Read.All", "Scope", "08432d1b-5911-483c-86df-7980af5cdee0", "Read organizational contacts", True),
    Permission(GRAPH_APP_ID, "Place.Read.All", "Scope", "cb8f45a0-5c2e-4ea1-b803-84b870a7d7ec", "Read all company places"),
    Permission(GRAPH_APP_ID, "Organization.Read.All", "Scope", "4908d5b9-3fb2-4b1e-9336-1888b7937185", "Read organization information", True),
    Permission(GRAPH_APP_ID, "Organization.Read.All", "Role", "498476ce-e0fe-48b0-b801-37ba7e2685c6", "Read organization information", True),
    # The ids of the two application permissions are from memory, not verified; those of the delegated ones are in the facts.
    Permission(GRAPH_APP_ID, "Policy.Read.All", "Scope", "572fea84-0151-49b2-9301-11cb16974376", "Read your organization's policies", True),
    Permission(GRAPH_APP_ID, "Policy.Read.All", "Role", "246dd0d5-5bd0-4def-940b-0421030a5b68", "Read your organization's policies", True),
    Permission(GRAPH_APP_ID, "Policy.Read.ConditionalAccess", "Scope", "633e0fce-8c58-4cfb-9495-12bbd5a24f7c", "Read your organization's conditional access policies", True),
    Permission(GRAPH_APP_ID, "Policy.Read.ConditionalAccess", "Role", "37730810-e9ba-4e46-b07e-8ca78d182097", "Read your organization's conditional access policies", True),
    Permission(GRAPH_APP_ID, "Mail.Read", "Scope", "570282fd-fa5c-430d-a7fd-fc8dc98a9dca", "Read your mail"),
    Permission(GRAPH_APP_ID, "Mail.Send", "Scope", "e383f46e-2787-4529-855e-0e479a3ffac0", "Send mail as you"),
)  # fmt: skip


def permission(resource: str, value: str, kind: str = "Scope") -> Permission | None:
    """The permission of that name on a resource (its app id), or None."""
    return _by_name().get((resource, value, kind))


def offered(resource: str, kind: str) -> tuple[Permission, ...]:
    """All permissions of a resource of one kind."""
    return tuple(p for p in PERMISSIONS if p.resource == resource and p.kind == kind)


@cache
def names(resource: str, kind: str = "Scope") -> frozenset[str]:
    """The names of a resource's permissions of one kind."""
    return frozenset(p.value for p in offered(resource, kind))


@cache
def _by_name() -> dict[tuple[str, str, str], Permission]:
    return {(p.resource, p.value, p.kind): p for p in PERMISSIONS}

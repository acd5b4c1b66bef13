"""The practice tenant's simulation of Graph: users, licences and the organization in Graph's shape.

Users follow facts G1 and G2; what is marked unverified is from memory, not from Microsoft's documentation.
"""

from uuid import UUID, uuid5

from msoauth.practice.conditional_access import GLOBAL_ADMINISTRATOR
from msoauth.practice.graph.objects import stable_guid, stable_id
from msoauth.practice.graph.query import Row
from msoauth.practice.state import Group, Mailbox, Tenant, User

# The licence and its Exchange service plan. From memory, not verified against Microsoft's documentation.
SKU_NAME, SKU_ID = "O365_BUSINESS_PREMIUM", "f245ecc8-75af-4f8e-b61f-27d8114de5f3"
PLAN_NAME, PLAN_ID = "EXCHANGE_S_STANDARD", "9aaf7827-d63c-4b61-89c3-182f06f82e5c"


def user(tenant: Tenant, entry: User) -> Row:
    """A user, with one licence that includes Exchange Online, or without a licence."""
    given_name, _space, surname = entry.display_name.partition(" ")
    # A licence alone creates no mailbox here, and without one Exchange does not show the mailbox.
    mailbox = tenant.own_mailbox(entry)
    if mailbox is not None and mailbox.kind == "user" and not entry.licensed:
        mailbox = None
    return {
        "id": entry.id,
        "accountEnabled": entry.account_enabled,
        "displayName": entry.display_name,
        "givenName": given_name,
        "surname": surname or None,
        "mail": mailbox.address if mailbox else None,
        "mailNickname": entry.upn.partition("@")[0],
        "userPrincipalName": entry.upn,
        "userType": "Guest" if entry.guest_of else "Member",
        "onPremisesSyncEnabled": entry.synchronized or None,
        "proxyAddresses": [f"SMTP:{mailbox.address}", *(f"smtp:{a}" for a in entry.aliases)]
        if mailbox
        else [],
        "assignedLicenses": [{"disabledPlans": [], "skuId": SKU_ID}] if entry.licensed else [],
        "assignedPlans": [
            {
                "assignedDateTime": None,
                "capabilityStatus": "Enabled",
                "service": "exchange",
                "servicePlanId": PLAN_ID,
            }
        ]
        if entry.licensed
        else [],
        "usageLocation": "US",
    }


def recipients(tenant: Tenant, *kinds: str) -> list[Mailbox]:
    """The recipients of these kinds."""
    return [box for box in tenant.mailboxes.values() if box.kind in kinds]


def groups(tenant: Tenant) -> list[Row]:
    """Microsoft 365 groups, distribution lists and security groups (graph-docs: resources/group.md)."""
    rows = [
        _group(tenant, box.address, unified=box.kind == "group")
        for box in recipients(tenant, "group", "list")
    ]
    return rows + [security_group(group) for group in tenant.groups]


def _group(tenant: Tenant, address: str, *, unified: bool) -> Row:
    name = address.partition("@")[0]
    return {
        "id": stable_guid(tenant.tenant_id, "group", address),
        "displayName": name,
        "groupTypes": ["Unified"] if unified else [],
        "mail": address,
        "mailEnabled": True,
        "mailNickname": name,
        "proxyAddresses": [f"SMTP:{address}"],
        "securityEnabled": False,
        "visibility": "Private" if unified else None,
    }


def security_group(entry: Group) -> Row:
    """A security group without mail."""
    return {
        "id": entry.id,
        "displayName": entry.display_name,
        "groupTypes": [],
        "mail": None,
        "mailEnabled": False,
        "mailNickname": entry.id[:8],
        "proxyAddresses": [],
        "securityEnabled": True,
        "visibility": None,
    }


def contacts(tenant: Tenant) -> list[Row]:
    """Organisational contacts (graph-docs: resources/orgcontact.md)."""
    return [
        {
            "id": stable_guid(tenant.tenant_id, "contact", box.address),
            "displayName": box.address.partition("@")[0],
            "mail": box.address,
            "mailNickname": box.address.partition("@")[0],
            "proxyAddresses": [f"SMTP:{box.address}"],
        }
        for box in recipients(tenant, "contact")
    ]


def room(tenant: Tenant, box: Mailbox) -> Row:
    """A room (graph-docs: resources/room.md)."""
    return {
        "id": stable_guid(tenant.tenant_id, "room", box.address),
        "displayName": box.address.partition("@")[0],
        "emailAddress": box.address,
        "bookingType": "standard",
        "capacity": 6,
    }


def license_details(entry: User) -> list[Row]:
    """The licences of a user with their service plans (shape unverified)."""
    if not entry.licensed:
        return []
    plan = {
        "servicePlanId": PLAN_ID,
        "servicePlanName": PLAN_NAME,
        "provisioningStatus": "Success",
        "appliesTo": "User",
    }
    return [
        {
            "id": stable_id(entry.id, SKU_ID),
            "skuId": SKU_ID,
            "skuPartNumber": SKU_NAME,
            "servicePlans": [plan],
        }
    ]


def memberships(tenant: Tenant, entry: User, *, named: bool) -> list[Row]:
    """The groups and directory roles that a user belongs to, each with its type.

    Args:
        named: The caller may read more than their ids; all other properties are null otherwise.
    """
    found: list[Row] = [
        {
            "@odata.type": "#microsoft.graph.group",
            "id": group.id,
            "deletedDateTime": None,
            "description": None,
            "displayName": group.display_name,
        }
        for group in tenant.groups
        if entry.id in group.members
    ]
    # The id of a role differs from tenant to tenant, that of its template does not (facts K2.1).
    found += [
        {
            "@odata.type": "#microsoft.graph.directoryRole",
            "id": str(uuid5(UUID(tenant.tenant_id), role)),
            "deletedDateTime": None,
            "description": None,
            "displayName": "Global Administrator" if role == GLOBAL_ADMINISTRATOR else None,
            "roleTemplateId": role,
        }
        for role in sorted(entry.roles)
    ]
    if named:
        return found
    return [
        {name: value if name in ("@odata.type", "id") else None for name, value in row.items()}
        for row in found
    ]


def organization(tenant: Tenant) -> Row:
    """The tenant (shape unverified)."""
    return {
        "id": tenant.tenant_id,
        "deletedDateTime": None,
        "displayName": tenant.name,
        "countryLetterCode": "US",
        "tenantType": "AAD",
        "verifiedDomains": [
            {
                "capabilities": "Email, OfficeCommunicationsOnline",
                "isDefault": domain == tenant.domain,
                "isInitial": domain == tenant.domain,
                "name": domain,
                "type": "Managed",
            }
            for domain in (tenant.domain, *tenant.other_domains)
        ],
        "assignedPlans": [
            {
                "assignedDateTime": None,
                "capabilityStatus": "Enabled" if tenant.exchange_online else "Deleted",
                "service": "exchange",
                "servicePlanId": PLAN_ID,
            }
        ],
    }


def subscribed_skus(tenant: Tenant) -> list[Row]:
    """The licences that the tenant has bought (shape unverified)."""
    used = sum(1 for entry in tenant.users.values() if entry.licensed)
    return [
        {
            "id": f"{tenant.tenant_id}_{SKU_ID}",
            "appliesTo": "User",
            "capabilityStatus": "Enabled" if tenant.exchange_online else "Deleted",
            "consumedUnits": used,
            "prepaidUnits": {"enabled": len(tenant.users), "suspended": 0, "warning": 0},
            "skuId": SKU_ID,
            "skuPartNumber": SKU_NAME,
            "servicePlans": [
                {
                    "appliesTo": "User",
                    "provisioningStatus": "Success",
                    "servicePlanId": PLAN_ID,
                    "servicePlanName": PLAN_NAME,
                }
            ],
        }
    ]

"""Users, licences and the organization as Graph shows them (facts G1, G2)."""

from msoauth.practice.graph.objects import stable_id
from msoauth.practice.graph.query import Row
from msoauth.practice.state import Tenant, User

# Ids of licences and of their Exchange service plan are not in the facts (memory, unverified).
SKU = ("O365_BUSINESS_PREMIUM", "f245ecc8-75af-4f8e-b61f-27d8114de5f3")
PLAN = ("EXCHANGE_S_STANDARD", "9aaf7827-d63c-4b61-89c3-182f06f82e5c")


def user(tenant: Tenant, known: User) -> Row:
    """A user. Licences: one that has Exchange Online in it, or none."""
    given, _blank, family = known.display_name.partition(" ")
    mailbox = tenant.mailbox(known.upn) if known.licensed else None
    return {
        "id": known.id,
        "accountEnabled": known.account_enabled,
        "displayName": known.display_name,
        "givenName": given,
        "surname": family or None,
        "mail": known.upn if mailbox else None,
        "mailNickname": known.upn.partition("@")[0],
        "userPrincipalName": known.upn,
        "userType": "Guest" if known.guest_of else "Member",
        "proxyAddresses": [f"SMTP:{known.upn}", *(f"smtp:{alias}" for alias in known.aliases)]
        if mailbox
        else [],
        "assignedLicenses": [{"disabledPlans": [], "skuId": SKU[1]}] if known.licensed else [],
        "assignedPlans": [
            {
                "assignedDateTime": None,
                "capabilityStatus": "Enabled",
                "service": "exchange",
                "servicePlanId": PLAN[1],
            }
        ]
        if known.licensed
        else [],
        "usageLocation": "US",
    }


def license_details(known: User) -> list[Row]:
    """The licences of a user with their service plans (shape from memory, unverified)."""
    if not known.licensed:
        return []
    plan = {
        "servicePlanId": PLAN[1],
        "servicePlanName": PLAN[0],
        "provisioningStatus": "Success",
        "appliesTo": "User",
    }
    return [
        {
            "id": stable_id(known.id, SKU[1]),
            "skuId": SKU[1],
            "skuPartNumber": SKU[0],
            "servicePlans": [plan],
        }
    ]


def organization(tenant: Tenant) -> Row:
    """The tenant (shape from memory, unverified)."""
    return {
        "id": tenant.tenant_id,
        "deletedDateTime": None,
        "displayName": tenant.name,
        "countryLetterCode": "US",
        "tenantType": "AAD",
        "verifiedDomains": [
            {
                "capabilities": "Email, OfficeCommunicationsOnline",
                "isDefault": True,
                "isInitial": True,
                "name": tenant.domain,
                "type": "Managed",
            }
        ],
        "assignedPlans": [
            {
                "assignedDateTime": None,
                "capabilityStatus": "Enabled" if tenant.exchange_online else "Deleted",
                "service": "exchange",
                "servicePlanId": PLAN[1],
            }
        ],
    }


def subscribed_skus(tenant: Tenant) -> list[Row]:
    """What the tenant has bought (shape from memory, unverified)."""
    used = sum(1 for known in tenant.users.values() if known.licensed)
    return [
        {
            "id": f"{tenant.tenant_id}_{SKU[1]}",
            "appliesTo": "User",
            "capabilityStatus": "Enabled" if tenant.exchange_online else "Deleted",
            "consumedUnits": used,
            "prepaidUnits": {"enabled": len(tenant.users), "suspended": 0, "warning": 0},
            "skuId": SKU[1],
            "skuPartNumber": SKU[0],
            "servicePlans": [
                {
                    "appliesTo": "User",
                    "provisioningStatus": "Success",
                    "servicePlanId": PLAN[1],
                    "servicePlanName": PLAN[0],
                }
            ],
        }
    ]

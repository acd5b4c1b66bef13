"""The practice tenant's simulation of Graph: Conditional Access and security defaults as Graph shows them (facts K2.7)."""

from msoauth.practice.conditional_access import ConditionalAccessPolicy
from msoauth.practice.graph.objects import graph_time
from msoauth.practice.graph.query import Row
from msoauth.practice.state import Tenant

# The one id that this object has in every tenant.
_SECURITY_DEFAULTS_ID = "00000000-0000-0000-0000-000000000005"
_DESCRIPTION = (
    "Security defaults is a set of basic identity security mechanisms recommended by Microsoft. When enabled, these "
    "recommendations will be automatically enforced in your organization. Administrators and users will be better "
    "protected from common identity related attacks."
)
# The order of Graph's list, and of the comma-separated text of transferMethods.
_CLIENT_APP_TYPES = (
    *("all", "browser", "mobileAppsAndDesktopClients", "exchangeActiveSync", "other"),
)
_TRANSFER_METHODS = ("deviceCodeFlow", "authenticationTransfer")


def security_defaults(tenant: Tenant) -> Row:
    """The identitySecurityDefaultsEnforcementPolicy."""
    return {
        "description": _DESCRIPTION,
        "displayName": "Security Defaults",
        "id": _SECURITY_DEFAULTS_ID,
        "isEnabled": tenant.policies.security_defaults,
    }


def policies(tenant: Tenant) -> list[Row]:
    """The conditionalAccessPolicy objects of a tenant."""
    return [policy(entry) for entry in tenant.policies.conditional_access]


def policy(entry: ConditionalAccessPolicy) -> Row:
    """A conditionalAccessPolicy; that of Microsoft's own has no other mark than its name here (unverified)."""
    flows = ",".join(m for m in _TRANSFER_METHODS if m in entry.transfer_methods)
    return {
        "id": entry.id,
        "templateId": None,
        "displayName": entry.display_name,
        "createdDateTime": graph_time(entry.created),
        "modifiedDateTime": graph_time(entry.modified) if entry.modified else None,
        "state": entry.state,
        "sessionControls": _session_controls(entry),
        "conditions": {
            "userRiskLevels": [],
            "signInRiskLevels": [],
            "clientAppTypes": [t for t in _CLIENT_APP_TYPES if t in entry.client_app_types],
            "platforms": None,
            "locations": None,
            "devices": None,
            "clientApplications": None,
            "authenticationFlows": {"transferMethods": flows} if flows else None,
            "applications": {
                "includeApplications": sorted(entry.include_applications) or ["None"],
                "excludeApplications": sorted(entry.exclude_applications),
                "includeUserActions": [],
                "includeAuthenticationContextClassReferences": [],
                "applicationFilter": None,
            },
            "users": {
                "includeUsers": sorted(entry.include_users),
                "excludeUsers": sorted(entry.exclude_users),
                "includeGroups": sorted(entry.include_groups),
                "excludeGroups": sorted(entry.exclude_groups),
                "includeRoles": sorted(entry.include_roles),
                "excludeRoles": sorted(entry.exclude_roles),
            },
        },
        "grantControls": {
            "operator": entry.operator,
            "builtInControls": list(entry.built_in_controls),
            "customAuthenticationFactors": [],
            "termsOfUse": [],
            "authenticationStrength": None,
        }
        if entry.built_in_controls
        else None,
    }


def _session_controls(entry: ConditionalAccessPolicy) -> Row | None:
    """The sign-in frequency in whole days or hours, or ``everyTime`` (the shape is unverified: not in the facts)."""
    if entry.sign_in_frequency is None:
        return None
    hours = max(1, round(entry.sign_in_frequency.total_seconds() / 3600))
    every_time = not entry.sign_in_frequency
    in_days = hours % 24 == 0
    return {
        "signInFrequency": {
            "isEnabled": True,
            "type": None if every_time else "days" if in_days else "hours",
            "value": None if every_time else hours // 24 if in_days else hours,
            "frequencyInterval": "everyTime" if every_time else "timeBased",
            "authenticationType": "primaryAndSecondaryAuthentication",
        },
    }

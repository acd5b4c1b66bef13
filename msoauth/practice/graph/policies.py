"""The practice tenant's simulation of Graph: consent settings and app management policies (facts K2.5, K2.7)."""

from msoauth.practice import permissions
from msoauth.practice.consent_policies import ConditionSet, ConsentPolicy, assigned
from msoauth.practice.graph.query import Row
from msoauth.practice.registrations import AppManagementPolicy
from msoauth.practice.state import Tenant


def authorization_policy(tenant: Tenant) -> Row:
    """The authorizationPolicy, whose ``permissionGrantPoliciesAssigned`` says what users may consent to."""
    for_self = [f"ManagePermissionGrantsForSelf.{policy}" for policy in assigned(tenant)]
    resource_specific = (
        "ManagePermissionGrantsForOwnedResource.microsoft-dynamically-managed-permissions-for-"
    )
    return {
        "id": "authorizationPolicy",
        "allowInvitesFrom": "everyone",
        "allowedToSignUpEmailBasedSubscriptions": True,
        "allowedToUseSSPR": True,
        "allowEmailVerifiedUsersToJoinOrganization": False,
        "allowUserConsentForRiskyApps": None,
        "blockMsolPowerShell": False,
        "displayName": "Authorization Policy",
        "description": "Used to manage authorization related settings across the company.",
        "guestUserRoleId": "10dae51f-b6af-4016-8d66-8c2a99b929b3",
        "defaultUserRolePermissions": {
            "allowedToCreateApps": True,
            "allowedToCreateSecurityGroups": True,
            "allowedToCreateTenants": True,
            "allowedToReadBitlockerKeysForOwnedDevice": True,
            "allowedToReadOtherUsers": True,
            "permissionGrantPoliciesAssigned": [
                *for_self,
                *(f"{resource_specific}{place}" for place in ("team", "chat")),
            ],
        },
    }


def admin_consent_requests(tenant: Tenant) -> Row:
    """The adminConsentRequestPolicy; values besides ``isEnabled`` are those of a new workflow, from memory, unverified."""
    return {
        "isEnabled": tenant.policies.consent_requests,
        "notifyReviewers": True,
        "remindersEnabled": True,
        "requestDurationInDays": 30,
        "version": 0,
        "reviewers": [],
    }


def consent_policy(policy: ConsentPolicy) -> Row:
    """A permissionGrantPolicy; its condition sets have paths of their own."""
    return {
        "id": policy.id,
        "displayName": policy.display_name,
        "description": policy.description,
    }


def condition_set(tenant: Tenant, conditions: ConditionSet) -> Row:
    """A permissionGrantConditionSet."""
    return {
        "id": conditions.id,
        "permissionClassification": conditions.classification,
        "permissionType": conditions.permission_type,
        "resourceApplication": conditions.resource,
        "permissions": list(conditions.permissions),
        "clientApplicationIds": list(conditions.clients),
        "clientApplicationTenantIds": [tenant.tenant_id] if conditions.own_apps_only else ["all"],
        "clientApplicationPublisherIds": ["all"],
        "clientApplicationsFromVerifiedPublisherOnly": conditions.verified_publishers_only,
    }


def classifications(tenant: Tenant, resource: str) -> list[Row]:
    """The delegatedPermissionClassifications of one API."""
    return [
        {
            "id": permission.id,
            "permissionId": permission.id,
            "permissionName": permission.value,
            "classification": "low",
        }
        for permission in permissions.offered(resource, "Scope")
        if permission.id in tenant.policies.low_impact_permissions
    ]


def _restrictions(policy: AppManagementPolicy) -> Row:
    """An appManagementConfiguration: a rule that is off is in it with the state ``disabled``."""
    created = policy.restricted_since
    since = created.strftime("%Y-%m-%dT%H:%M:%SZ") if created else None

    def restriction(kind: str, days: int | None, *, on: bool) -> Row:
        return {
            "restrictionType": kind,
            "state": "enabled" if on else "disabled",
            "maxLifetime": f"P{days}D" if days is not None else None,
            "restrictForAppsCreatedAfterDateTime": since,
        }

    passwords, certificates = policy.max_password_days, policy.max_certificate_days
    return {
        # The portal's two switches are for passwords and symmetric keys together (Microsoft's page on these policies).
        "passwordCredentials": [
            *(
                restriction(kind, None, on=policy.block_passwords)
                for kind in ("passwordAddition", "symmetricKeyAddition")
            ),
            *(
                restriction(kind, passwords, on=passwords is not None)
                for kind in ("passwordLifetime", "symmetricKeyLifetime")
            ),
        ],
        "keyCredentials": [
            restriction("asymmetricKeyLifetime", certificates, on=certificates is not None)
        ],
    }


def default_app_management(tenant: Tenant) -> Row:
    """The tenantAppManagementPolicy; it always exists, and is off while it restricts nothing."""
    policy = tenant.policies.app_management
    return {
        "id": policy.id,
        "displayName": policy.display_name,
        "description": "Default tenant policy that enforces app management restrictions on applications and service principals.",
        "isEnabled": policy != AppManagementPolicy(),
        "applicationRestrictions": _restrictions(policy),
        "servicePrincipalRestrictions": {"passwordCredentials": [], "keyCredentials": []},
    }


def app_management(policy: AppManagementPolicy) -> Row:
    """An appManagementPolicy, which single apps have in place of the tenant's."""
    return {
        "id": policy.id,
        "displayName": policy.display_name,
        "description": "",
        "isEnabled": True,
        "restrictions": _restrictions(policy),
    }

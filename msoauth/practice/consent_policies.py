"""The consent policies of a tenant: which permissions its users may grant an app themselves (facts L1, K2.7, K5.2).

A policy lets a user consent when one of its *includes* matches the request and none of its *excludes* does; of the
policies that are assigned to the users, one that does is enough.
"""

from dataclasses import dataclass, replace
from functools import cache

from msoauth.practice import permissions
from msoauth.practice.permissions import Permission
from msoauth.practice.registrations import AppRegistration
from msoauth.practice.state import EXCHANGE_APP_ID, GRAPH_APP_ID, MANAGED_CONSENT, Tenant

LOW, LEGACY = "microsoft-user-default-low", "microsoft-user-default-legacy"
_MAIL_APPS = "microsoft-user-default-allow-consent-apps"

# Apple Mail, Spark, eM Client, Samsung's and Android's mail, Thunderbird.
EXEMPT_APPS = (
    "f8d98a96-0999-43f5-8af3-69971c7bb423",
    "b50c1dbd-1855-4e54-b07c-d3c3029e93d3",
    "e9a7fea1-1cc0-4cd9-a31b-9137ca5deedd",
    "8acd33ea-7197-4a96-bc33-d7cc7101262f",
    "2cee05de-2b8f-45a2-8289-2a06ca32c4c8",
    "9e5f94bc-e8a4-4e73-b8be-63364c29d753",
)
# What users may not consent to where Microsoft manages consent. SMTP.Send and Graph's own POP and IMAP are not on it.
# Of Graph's permissions only those that the practice tenant offers; the eight that were added in July 2026 are unknown.
MANAGED_EXCLUDES = {
    EXCHANGE_APP_ID: (
        *("EAS.AccessAsUser.All", "EWS.AccessAsUser.All"),
        *("IMAP.AccessAsUser.All", "POP.AccessAsUser.All"),
    ),
    GRAPH_APP_ID: ("Mail.Read",),
}


@dataclass(frozen=True, slots=True)
class ConditionSet:
    """Conditions that a request for one permission must all meet; ``all`` and ``any`` match everything.

    Attributes:
        permission_type: ``delegated``, ``delegatedUserConsentable`` (no administrator is needed for it) or ``application``.
        classification: ``low``, or ``all``.
        resource: The app id of the API.
        permissions: Ids of permissions.
        own_apps_only: Only apps that are registered in this tenant.
    """

    id: str
    permission_type: str = "delegated"
    classification: str = "all"
    resource: str = "any"
    permissions: tuple[str, ...] = ("all",)
    clients: tuple[str, ...] = ("all",)
    own_apps_only: bool = False
    verified_publishers_only: bool = False

    def matches(self, tenant: Tenant, app: AppRegistration, permission: Permission) -> bool:
        """Whether the consent of a user of *tenant* to that permission for *app* meets all of it."""
        types = {"application"} if permission.kind == "Role" else {"delegated"}
        if permission.kind == "Scope" and not permission.admin_only:
            types.add("delegatedUserConsentable")
        return (
            self.permission_type in types
            and (
                self.classification == "all"
                or permission.id in tenant.policies.low_impact_permissions
            )
            and self.resource in ("any", permission.resource)
            and not {"all", permission.id}.isdisjoint(self.permissions)
            and not {"all", app.app_id.lower()}.isdisjoint(self.clients)
            and (not self.own_apps_only or any(own is app for own in tenant.apps))
            and (app.verified_publisher or not self.verified_publishers_only)
        )


@dataclass(frozen=True, slots=True)
class ConsentPolicy:
    """A permissionGrantPolicy."""

    id: str
    display_name: str
    description: str
    includes: tuple[ConditionSet, ...]
    excludes: tuple[ConditionSet, ...] = ()


@cache
def built_in() -> dict[str, ConsentPolicy]:
    """The policies for users' consent that every tenant has, by id.

    Their descriptions are Microsoft's; display names and the ids of the condition sets are unverified.
    """
    # "for client apps from verified publishers or registered in the same tenant" (Microsoft's page on the policy).
    low = ConditionSet("low-verified", classification="low", verified_publishers_only=True)
    own = replace(
        low,
        id="low-own-apps",
        verified_publishers_only=False,
        own_apps_only=True,
    )
    everything = ConditionSet("user-consentable", permission_type="delegatedUserConsentable")
    needs_admin = tuple(
        ConditionSet(f"managed-{number}", resource=resource, permissions=_ids(resource, names))
        for number, (resource, names) in enumerate(MANAGED_EXCLUDES.items(), 1)
    )
    mail_apps = tuple(
        replace(one, id=f"mail-apps-{number}", clients=EXEMPT_APPS)
        for number, one in enumerate(needs_admin, 1)
    )
    policies = (
        ConsentPolicy(
            LOW,
            "Default User Low Risk Policy",
            "All low risk permissions consentable by member type users by default.",
            (low, own),
        ),
        ConsentPolicy(
            LEGACY,
            "Default User Legacy Policy",
            "All user consentable permissions.",
            (everything,),
        ),
        ConsentPolicy(
            MANAGED_CONSENT,
            "Microsoft User Default Recommended Policy",
            "Permissions consentable based on Microsoft's current recommendations.",
            (everything,),
            needs_admin,
        ),
        ConsentPolicy(
            _MAIL_APPS,
            "Microsoft User Default Allow Consent Apps Policy",
            "Popular mail clients consentable for users",
            mail_apps,
        ),
    )
    return {policy.id: policy for policy in policies}


def _ids(resource: str, names: tuple[str, ...]) -> tuple[str, ...]:
    found = (permissions.permission(resource, name) for name in names)
    return tuple(permission.id for permission in found if permission)


def assigned(tenant: Tenant) -> tuple[str, ...]:
    """The ids of the policies that are assigned to the tenant's users; none where they may not consent at all."""
    setting = tenant.policies.user_consent
    if setting == MANAGED_CONSENT:  # the exemption of the mail apps belongs to it (facts K2.7)
        return (MANAGED_CONSENT, _MAIL_APPS)
    return (setting,) if setting else ()


def user_may_consent(tenant: Tenant, app: AppRegistration, permission: Permission) -> bool:
    """Whether a user of *tenant* who is no administrator may grant the app this permission."""
    policies = built_in()

    def met(conditions: tuple[ConditionSet, ...]) -> bool:
        return any(one.matches(tenant, app, permission) for one in conditions)

    return not permission.admin_only and any(
        met(policies[id_].includes) and not met(policies[id_].excludes) for id_ in assigned(tenant)
    )

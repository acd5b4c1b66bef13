"""The practice tenant's Graph paths: the function that answers each, with the permissions it requires (facts G1)."""

from collections.abc import Callable

from msoauth.practice import consent_policies
from msoauth.practice.graph import conditional_access, objects, policies, signins, users
from msoauth.practice.graph.caller import Caller, GraphError
from msoauth.practice.graph.query import Row
from msoauth.practice.registrations import AppManagementPolicy, AppRegistration, ServicePrincipal
from msoauth.practice.state import EXCHANGE_APP_ID, GRAPH_APP_ID, PracticeState, Tenant, User

_APPS = ("Application.Read.All", "Directory.Read.All", "Application.ReadWrite.All")
# The docs say Directory.Read.All, newer projects the other one (facts J11): either is accepted.
_GRANTS = ("Directory.Read.All", "DelegatedPermissionGrant.Read.All")
_USERS = ("User.Read.All", "Directory.Read.All")
# Not in the facts: from memory, not verified against Microsoft's documentation.
_ORGANIZATION = ("Organization.Read.All", "Directory.Read.All")
_GROUPS = ("GroupMember.Read.All", "Group.Read.All", "Directory.Read.All")
_CONTACTS = ("OrgContact.Read.All", "Directory.Read.All")
_PLACES = ("Place.Read.All",)
_BASIC = ("User.Read", *_USERS)
_POLICIES = ("Policy.Read.All", "Policy.Read.ConditionalAccess")

Reader = Callable[[PracticeState, Caller, str], list[Row] | Row]


def _applications(_state: PracticeState, who: Caller, _key: str) -> list[Row]:
    who.require(*_APPS)
    return objects.applications(who.tenant)


def find_application(
    who: Caller, key: str, *needed: str, open_to_itself: bool = False
) -> AppRegistration:
    """The registration of that object id or client id.

    Args:
        needed: Permissions of which one is needed.
        open_to_itself: The app itself needs none.

    Raises:
        GraphError: 403 or 404.
    """
    app = next(
        (
            a
            for a in who.tenant.apps
            if key.lower() in (a.app_id.lower(), a.object_id) and not a.deleted
        ),
        None,
    )
    itself = app is not None and who.user is None and app.app_id == who.app_id
    if not (open_to_itself and itself):
        who.require(*needed)
    if app is None:
        raise GraphError.missing(key)
    return app


def _application(_state: PracticeState, who: Caller, key: str) -> Row:
    # An app reads its own registration without any permission (facts G1).
    return objects.application(who.tenant, find_application(who, key, *_APPS, open_to_itself=True))


def _principals(state: PracticeState, who: Caller, _key: str) -> list[Row]:
    who.require(*_APPS)
    own = [_principal_row(state, who.tenant, p) for p in who.tenant.principals]
    return own + [objects.resource_principal(who.tenant, r) for r in _resources(who.tenant)]


def _resources(tenant: Tenant) -> list[str]:
    """A tenant without Exchange Online may have no service principal of it (facts G3)."""
    return [r for r in tenant.resource_ids if r == GRAPH_APP_ID or tenant.exchange_online]


def _principal_row(state: PracticeState, tenant: Tenant, principal: ServicePrincipal) -> Row:
    owner = next((f for f in state.tenants.values() if principal.app in f.apps), tenant)
    return objects.service_principal(principal, owner.tenant_id)


def _find_principal(who: Caller, key: str) -> ServicePrincipal | None:
    key_lower = key.lower()
    matches = (p for p in who.tenant.principals if key_lower in (p.object_id, p.app.app_id.lower()))
    return next(matches, None)


def _principal(state: PracticeState, who: Caller, key: str) -> Row:
    principal = _find_principal(who, key)
    if not (principal and who.user is None and principal.app.app_id == who.app_id):
        who.require(*_APPS)
    if principal is not None:
        return _principal_row(state, who.tenant, principal)
    for resource in _resources(who.tenant):
        if key.lower() in (resource, who.tenant.resource_ids[resource]):
            return objects.resource_principal(who.tenant, resource)
    raise GraphError.missing(key)


def _own_principal(who: Caller, key: str) -> ServicePrincipal | None:
    """The app's service principal; None for one of Microsoft's, which holds no grants here.

    Raises:
        GraphError: there is none of that id.
    """
    principal = _find_principal(who, key)
    if principal is None and key.lower() not in (
        EXCHANGE_APP_ID,
        GRAPH_APP_ID,
        *who.tenant.resource_ids.values(),
    ):
        raise GraphError.missing(key)
    return principal


def _grants(_state: PracticeState, who: Caller, _key: str) -> list[Row]:
    who.require(*_GRANTS)
    return objects.grants(who.tenant)


def _grants_of(_state: PracticeState, who: Caller, key: str) -> list[Row]:
    who.require(*_GRANTS)
    principal = _own_principal(who, key)
    rows = objects.grants(who.tenant) if principal else []
    return [row for row in rows if principal and row["clientId"] == principal.object_id]


def _roles_of(_state: PracticeState, who: Caller, key: str) -> list[Row]:
    who.require(*_APPS)
    principal = _own_principal(who, key)
    return objects.role_assignments(who.tenant, principal) if principal else []


def _assignments_to(_state: PracticeState, who: Caller, key: str) -> list[Row]:
    who.require(*_APPS)
    principal = _own_principal(who, key)
    if principal is not None:
        return objects.assigned_to(who.tenant, principal)
    resource = next(r for r, id_ in who.tenant.resource_ids.items() if key.lower() in (r, id_))
    every = [row for p in who.tenant.principals for row in objects.role_assignments(who.tenant, p)]
    return [row for row in every if row["resourceId"] == who.tenant.resource_ids[resource]]


def _users(_state: PracticeState, who: Caller, _key: str) -> list[Row]:
    who.require(*_USERS)
    return [users.user(who.tenant, user) for user in who.tenant.users.values()]


def _groups(_state: PracticeState, who: Caller, _key: str) -> list[Row]:
    who.require(*_GROUPS)
    return users.groups(who.tenant)


def _contacts(_state: PracticeState, who: Caller, _key: str) -> list[Row]:
    who.require(*_CONTACTS)
    return users.contacts(who.tenant)


def _room(_state: PracticeState, who: Caller, key: str) -> Row:
    who.require(*_PLACES, admin=False)
    box = who.tenant.mailbox(key)
    if box is None or box.kind != "room":
        raise GraphError.missing(key)
    return users.room(who.tenant, box)


def _find_user(who: Caller, key: str) -> User:
    """The user of that id or name; oneself without further permission.

    Raises:
        GraphError: 403 or 404.
    """
    key_lower = key.lower()
    user = who.tenant.users.get(key_lower) or next(
        (user for user in who.tenant.users.values() if user.id == key_lower), None
    )
    if user is not None and user is who.user:
        who.require(*_BASIC, admin=False)
        return user
    who.require(*_USERS)
    if user is None:
        raise GraphError.missing(key)
    return user


def _user(_state: PracticeState, who: Caller, key: str) -> Row:
    return users.user(who.tenant, _find_user(who, key))


def _licenses(_state: PracticeState, who: Caller, key: str) -> list[Row]:
    return users.license_details(_find_user(who, key))


def _me(_state: PracticeState, who: Caller, _key: str) -> Row:
    if who.user is None:
        raise GraphError(
            400, "BadRequest", "/me request is only valid with delegated authentication flow."
        )
    who.require(*_BASIC, admin=False)
    return users.user(who.tenant, who.user)


def _my_licenses(state: PracticeState, who: Caller, key: str) -> list[Row]:
    _me(state, who, key)
    return users.license_details(who.user) if who.user else []


def _organization(_state: PracticeState, who: Caller, _key: str) -> list[Row]:
    who.require(*_ORGANIZATION, "User.Read", admin=False)
    return [users.organization(who.tenant)]


def _skus(_state: PracticeState, who: Caller, _key: str) -> list[Row]:
    who.require(*_ORGANIZATION)
    return users.subscribed_skus(who.tenant)


def _check_log(who: Caller) -> None:
    who.require("AuditLog.Read.All")
    if not who.tenant.premium:
        raise GraphError(
            403,
            "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
            "Neither tenant is B2C or tenant doesn't have premium license",
        )


def _signins(state: PracticeState, who: Caller, _key: str, *, beta: bool = False) -> list[Row]:
    _check_log(who)
    # Who may not read policies does not see which ones were applied (the permissions are in the documentation of beta).
    with_policies = bool(who.permissions & set(_POLICIES))
    return signins.rows(state, who.tenant, beta=beta, with_policies=with_policies)


def _beta_signins(state: PracticeState, who: Caller, key: str) -> list[Row]:
    return _signins(state, who, key, beta=True)


def _signin(state: PracticeState, who: Caller, key: str) -> Row:
    found = next((row for row in _signins(state, who, key) if row["id"] == key.lower()), None)
    if found is None:
        raise GraphError.missing(key)
    return found


def _policies(_state: PracticeState, who: Caller, _key: str) -> list[Row]:
    who.require_policy(*_POLICIES)
    return conditional_access.policies(who.tenant)


def _policy(state: PracticeState, who: Caller, key: str) -> Row:
    found = next((row for row in _policies(state, who, key) if row["id"] == key.lower()), None)
    if found is None:
        raise GraphError.missing(key)
    return found


def _security_defaults(_state: PracticeState, who: Caller, _key: str) -> Row:
    who.require_policy("Policy.Read.All")
    return conditional_access.security_defaults(who.tenant)


def _memberships(_state: PracticeState, who: Caller, key: str) -> list[Row]:
    user = _find_user(who, key)
    # Who may read no directory data sees the ids alone (facts K2.7).
    named = "Directory.Read.All" in who.permissions
    return users.memberships(who.tenant, user, named=named)


def _my_memberships(state: PracticeState, who: Caller, key: str) -> list[Row]:
    _me(state, who, key)
    return _memberships(state, who, who.user.upn) if who.user else []


def _of_type(kind: str, read: Callable[[PracticeState, Caller, str], list[Row]]) -> Reader:
    """The same list, cast to one type: only objects of it, and the type is not said again."""

    def reader(state: PracticeState, who: Caller, key: str) -> list[Row]:
        found = [row for row in read(state, who, key) if row["@odata.type"].endswith(f".{kind}")]
        return [{name: row[name] for name in row if name != "@odata.type"} for row in found]

    return reader


_MEMBER_OF = r"(?:transitiveMemberOf|memberOf)"
# -- policies


def _authorization_policy(_state: PracticeState, who: Caller, _key: str) -> Row:
    who.require("Policy.Read.All")
    return policies.authorization_policy(who.tenant)


def _admin_consent_requests(_state: PracticeState, who: Caller, _key: str) -> Row:
    who.require("Policy.Read.All")
    return policies.admin_consent_requests(who.tenant)


def _beta_authorization_policy(state: PracticeState, who: Caller, key: str) -> Row:
    """As in the beta version, where another property holds the assigned policies (facts L1)."""
    row = _authorization_policy(state, who, key)
    permissions = dict(row["defaultUserRolePermissions"])
    assigned = permissions.pop("permissionGrantPoliciesAssigned")
    return {
        **row,
        "defaultUserRolePermissions": permissions,
        "permissionGrantPolicyIdsAssignedToDefaultUserRole": assigned,
    }


def _consent_policies(_state: PracticeState, who: Caller, _key: str) -> list[Row]:
    who.require("Policy.Read.PermissionGrant")
    return [policies.consent_policy(policy) for policy in consent_policies.built_in().values()]


def _find_consent_policy(who: Caller, key: str) -> consent_policies.ConsentPolicy:
    who.require("Policy.Read.PermissionGrant")
    policy = consent_policies.built_in().get(key.lower())
    if policy is None:
        raise GraphError.missing(key)
    return policy


def _consent_policy(_state: PracticeState, who: Caller, key: str) -> Row:
    return policies.consent_policy(_find_consent_policy(who, key))


def _includes(_state: PracticeState, who: Caller, key: str) -> list[Row]:
    policy = _find_consent_policy(who, key)
    return [policies.condition_set(who.tenant, one) for one in policy.includes]


def _excludes(_state: PracticeState, who: Caller, key: str) -> list[Row]:
    policy = _find_consent_policy(who, key)
    return [policies.condition_set(who.tenant, one) for one in policy.excludes]


def _classifications(_state: PracticeState, who: Caller, key: str) -> list[Row]:
    # The least permission is from memory, not verified against Microsoft's documentation.
    who.require("Policy.Read.PermissionGrant", *_APPS)
    resource = next(
        (r for r in _resources(who.tenant) if key.lower() in (r, who.tenant.resource_ids[r])), ""
    )
    if not resource and _find_principal(who, key) is None:
        raise GraphError.missing(key)
    return policies.classifications(who.tenant, resource)


def _default_app_management(_state: PracticeState, who: Caller, _key: str) -> Row:
    who.require("Policy.Read.All")
    return policies.default_app_management(who.tenant)


def _own_app_management(who: Caller) -> list[AppManagementPolicy]:
    who.require("Policy.Read.All")
    assigned = (app.management_policy for app in who.tenant.apps)
    return list({policy.id: policy for policy in assigned if policy}.values())


def _app_managements(_state: PracticeState, who: Caller, _key: str) -> list[Row]:
    return [policies.app_management(policy) for policy in _own_app_management(who)]


def _app_management(_state: PracticeState, who: Caller, key: str) -> Row:
    found = [policy for policy in _own_app_management(who) if policy.id == key.lower()]
    if not found:
        raise GraphError.missing(key)
    return policies.app_management(found[0])


def _applies_to(state: PracticeState, who: Caller, key: str) -> list[Row]:
    _app_management(state, who, key)
    return [
        objects.application(who.tenant, app)
        for app in who.tenant.apps
        if app.management_policy is not None and app.management_policy.id == key.lower()
    ]


def _app_management_of(_state: PracticeState, who: Caller, key: str) -> list[Row]:
    policy = find_application(who, key, "Policy.Read.All").management_policy
    return [policies.app_management(policy)] if policy else []


_ID = r"(?:\(appId='([^']+)'\))"

PATHS: tuple[tuple[str, Reader], ...] = (
    (r"applications", _applications),
    (rf"applications{_ID}", _application),
    (r"applications/([^/]+)", _application),
    (rf"applications{_ID}/appManagementPolicies", _app_management_of),
    (r"applications/([^/]+)/appManagementPolicies", _app_management_of),
    (r"servicePrincipals", _principals),
    (rf"servicePrincipals{_ID}", _principal),
    (r"servicePrincipals/([^/]+)", _principal),
    (rf"servicePrincipals{_ID}/oauth2PermissionGrants", _grants_of),
    (r"servicePrincipals/([^/]+)/oauth2PermissionGrants", _grants_of),
    (rf"servicePrincipals{_ID}/appRoleAssignments", _roles_of),
    (r"servicePrincipals/([^/]+)/appRoleAssignments", _roles_of),
    (rf"servicePrincipals{_ID}/appRoleAssignedTo", _assignments_to),
    (r"servicePrincipals/([^/]+)/appRoleAssignedTo", _assignments_to),
    (rf"servicePrincipals{_ID}/delegatedPermissionClassifications", _classifications),
    (r"servicePrincipals/([^/]+)/delegatedPermissionClassifications", _classifications),
    (r"oauth2PermissionGrants", _grants),
    (r"policies/authorizationPolicy", _authorization_policy),
    (r"policies/adminConsentRequestPolicy", _admin_consent_requests),
    (r"policies/permissionGrantPolicies", _consent_policies),
    (r"policies/permissionGrantPolicies/([^/]+)", _consent_policy),
    (r"policies/permissionGrantPolicies/([^/]+)/includes", _includes),
    (r"policies/permissionGrantPolicies/([^/]+)/excludes", _excludes),
    (r"policies/defaultAppManagementPolicy", _default_app_management),
    (r"policies/appManagementPolicies", _app_managements),
    (r"policies/appManagementPolicies/([^/]+)", _app_management),
    (r"policies/appManagementPolicies/([^/]+)/appliesTo", _applies_to),
    (r"me", _me),
    (r"me/licenseDetails", _my_licenses),
    (r"users", _users),
    (r"users/([^/]+)", _user),
    (r"users/([^/]+)/licenseDetails", _licenses),
    (r"groups", _groups),
    (r"contacts", _contacts),
    (r"places/([^/]+)/microsoft\.graph\.room", _room),
    (r"organization", _organization),
    (r"subscribedSkus", _skus),
    (rf"users/([^/]+)/{_MEMBER_OF}", _memberships),
    (rf"me/{_MEMBER_OF}", _my_memberships),
    *(
        (rf"{whose}/{_MEMBER_OF}/microsoft\.graph\.{kind}", _of_type(kind, read))
        for whose, read in ((r"users/([^/]+)", _memberships), ("me", _my_memberships))
        for kind in ("group", "directoryRole")
    ),
    (r"auditLogs/signIns", _signins),
    (r"auditLogs/signIns/([^/]+)", _signin),
    (r"identity/conditionalAccess/policies", _policies),
    (r"identity/conditionalAccess/policies/([^/]+)", _policy),
    (r"policies/identitySecurityDefaultsEnforcementPolicy", _security_defaults),
)

# What the beta version answers otherwise.
BETA_PATHS: tuple[tuple[str, Reader], ...] = (
    (r"auditLogs/signIns", _beta_signins),
    # The shorter path is documented for v1.0 and taken here too; the longer one is that of older projects.
    (r"policies/authorizationPolicy(?:/authorizationPolicy)?", _beta_authorization_policy),
)

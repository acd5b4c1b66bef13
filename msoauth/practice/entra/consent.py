"""Consent: which permissions are still missing, who may grant them, and granting them (facts D6, B4)."""

from dataclasses import dataclass

from msoauth.practice import permissions
from msoauth.practice.consent_policies import user_may_consent
from msoauth.practice.entra import scopes
from msoauth.practice.entra.clients import Client
from msoauth.practice.entra.refusals import RefusalError
from msoauth.practice.permissions import Permission
from msoauth.practice.registrations import ConsentRequest
from msoauth.practice.state import GRAPH_APP_ID, PracticeState, Tenant, User


@dataclass(frozen=True, slots=True)
class RequestedPermissions:
    """The permissions that an app requests in one tenant.

    Attributes:
        permissions: Delegated and application permissions that consent would grant.
        oidc: The OpenID scopes beside them.
    """

    permissions: tuple[Permission, ...]
    oidc: frozenset[str]

    @property
    def sentences(self) -> list[str]:
        """The permissions in words, as the consent page lists them."""
        basic = [permissions.permission(GRAPH_APP_ID, name) for name in sorted(self.oidc)]
        sentences = [p.says for p in (*self.permissions, *(p for p in basic if p))]
        return list(dict.fromkeys(sentences))


def requested_permissions(client: Client, scope: str) -> RequestedPermissions:
    """The permissions that a delegated request asks for; of every resource that it names.

    Raises:
        RefusalError: the scope is wrong.
    """
    parsed = scopes.read(scope, client.tenant, client.app)
    if any(".default" in part.names for part in parsed.resources):
        _check_registered(client)
    requested = [
        permissions.permission(part.resource, name)
        for part in parsed.consentable()
        for name in sorted(scopes.delegated(part, client.app).names)
    ]
    return RequestedPermissions(tuple(p for p in requested if p), parsed.oidc)


def _check_registered(client: Client) -> None:
    """Check, as ``.default`` makes Entra do, that every permission that the registration lists exists (facts L12).

    Raises:
        RefusalError: one does not.
    """
    app = client.app
    for resource, name, kind in app.required:
        if permissions.permission(resource, name, kind) is None:
            shown = permissions.RESOURCE_NAMES.get(resource, resource)
            raise RefusalError(
                65006, resource=resource, shown=shown, app=app.app_id, name=app.display_name
            )


def registered(client: Client, resource: str = "") -> RequestedPermissions:
    """The permissions that the registration lists, of one resource or of all: what an administrator grants."""
    registered_permissions = [
        permissions.permission(r, name, kind)
        for r, name, kind in client.app.required
        if not resource or r == resource
    ]
    return RequestedPermissions(tuple(p for p in registered_permissions if p), frozenset())


def for_admin(client: Client, scope: str) -> RequestedPermissions:
    """The permissions that an administrator is asked for at ``/v2.0/adminconsent``.

    ``<resource>/.default`` means all that the registration lists of that resource.

    Raises:
        RefusalError: the scope is wrong.
    """
    parsed = scopes.read(scope, client.tenant, client.app)
    if ".default" in parsed.first.names:
        return registered(client, parsed.first.resource)
    return requested_permissions(client, scope)


def missing(client: Client, user: User, requested: RequestedPermissions) -> bool:
    """Whether the user must consent to something first."""
    return any(p.value not in client.consented(user.id, p.resource) for p in requested.permissions)


def admin_must(
    client: Client, tenant: Tenant, user: User, requested: RequestedPermissions, *, again: bool
) -> bool:
    """Whether only an administrator may grant it, because the tenant's policies do not let the user (facts L1).

    Args:
        again: The page is asked for (``prompt=consent``), so that what was granted before counts as well.
    """
    return not user.admin and any(
        not user_may_consent(tenant, client.app, p)
        for p in requested.permissions
        if again or p.value not in client.consented(user.id, p.resource)
    )


def grant(
    client: Client, tenant: Tenant, user: User | None, requested: RequestedPermissions
) -> None:
    """Record the consent of *user*, or of the administrator for all users (None).

    The first consent creates the enterprise application of an app from another tenant.
    """
    principal = tenant.principal_of(client.app.app_id) or tenant.enroll(client.app)
    for permission in requested.permissions:
        if permission.kind == "Role":
            grants = principal.app_roles
        elif user is None:
            grants = principal.admin_consent
        else:
            grants = principal.user_consent.setdefault(user.id, {})
        grants.setdefault(permission.resource, set()).add(permission.value)


def request(
    state: PracticeState,
    client: Client,
    tenant: Tenant,
    user: User,
    requested: RequestedPermissions,
    why: str,
) -> None:
    """Put a request into *Admin consent requests*; a second one for the same app replaces the first."""
    requests = [r for r in tenant.consent_requests if (r.user_id, r.app) != (user.id, client.app)]
    values = [(p.resource, p.value) for p in requested.permissions]
    requests.append(
        ConsentRequest(client.app, user.id, values, why.strip()[:500], state.clock.now())
    )
    tenant.consent_requests[:] = requests

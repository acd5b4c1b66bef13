"""Read the *scope* parameter of a request: resources, permissions, OpenID scopes (facts A3, A4, D5)."""

import re
from dataclasses import dataclass

from msoauth.practice import permissions
from msoauth.practice.entra.refusals import RefusalError
from msoauth.practice.registrations import AppRegistration
from msoauth.practice.state import EXCHANGE_APP_ID, GRAPH_APP_ID, Tenant

OIDC = frozenset({"openid", "profile", "email", "offline_access"})
GRAPH = "https://graph.microsoft.com"

# What a resource may be called in a scope; the token's audience follows the name that was used (facts B5).
RESOURCES = {
    "https://outlook.office.com": EXCHANGE_APP_ID,
    "https://outlook.office365.com": EXCHANGE_APP_ID,
    "https://ps.outlook.com": EXCHANGE_APP_ID,
    EXCHANGE_APP_ID: EXCHANGE_APP_ID,
    GRAPH: GRAPH_APP_ID,
    GRAPH_APP_ID: GRAPH_APP_ID,
}


@dataclass(frozen=True, slots=True)
class RequestedScopes:
    """The scopes requested of one resource: its app id, its name as the client wrote it, short scope names."""

    resource: str
    uri: str
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Scopes:
    """The scope of one request: OpenID scopes, and the resources in the order of their first mention."""

    oidc: frozenset[str]
    resources: tuple[RequestedScopes, ...]
    text: str

    @property
    def first(self) -> RequestedScopes:
        """The resource that a refresh gives a token for when the scope names several (facts A3)."""
        return self.resources[0]

    def consentable(self) -> tuple[RequestedScopes, ...]:
        """All resources, for the authorize endpoint, where several may be asked for one by one (facts A4).

        Raises:
            RefusalError: ``.default`` of one beside another.
        """
        if len(self.resources) > 1 and any(".default" in a.names for a in self.resources):
            words = " ".join(word for word in self.text.split() if word not in OIDC)
            raise RefusalError(70011, scope=words)
        return self.resources

    def single(self) -> RequestedScopes:
        """The one resource that may be asked for at the token endpoint.

        Raises:
            RefusalError: there are several.
        """
        if len(self.resources) > 1:
            words = " ".join(word for word in self.text.split() if word not in OIDC)
            raise RefusalError(28000, scope=words)
        return self.first


def read(text: str, tenant: Tenant | None, app: AppRegistration) -> Scopes:
    """Read the scopes of a request; one without resource means Microsoft Graph.

    Args:
        tenant: The tenant; None while who signs in decides it, and whether it has Exchange is unknown.

    Raises:
        RefusalError: an unknown resource or scope, a malformed one, or ``.default`` beside others.
    """
    words = text.split()
    by_resource: dict[str, tuple[str, set[str]]] = {}
    for word in words:
        if word in OIDC:
            continue
        uri, _slash, name = word.rpartition("/")
        uri = uri.rstrip("/") or GRAPH
        if not re.fullmatch(r"[\w.]+", name):
            raise RefusalError(70011, scope=word)
        resource = RESOURCES.get(uri, "")
        exists = tenant is None or tenant.exchange_online or resource != EXCHANGE_APP_ID
        if not resource or not exists:
            raise RefusalError(500011, resource=uri, tenant=tenant.name if tenant else "common")
        if name != ".default" and name not in permissions.names(resource):
            raise RefusalError(650053, name=app.display_name, scope=name, resource=resource)
        by_resource.setdefault(resource, (uri, set()))[1].add(name)
    if any(".default" in names and len(names) > 1 for _uri, names in by_resource.values()):
        raise RefusalError(70011, scope=" ".join(word for word in words if word not in OIDC))
    requested = tuple(
        RequestedScopes(resource, uri, frozenset(names))
        for resource, (uri, names) in by_resource.items()
    )
    oidc = frozenset(word for word in words if word in OIDC)
    return Scopes(oidc, requested or (RequestedScopes(GRAPH_APP_ID, GRAPH, frozenset()),), text)


def delegated(requested: RequestedScopes, app: AppRegistration) -> RequestedScopes:
    """The same with ``.default`` replaced by the delegated permissions that the registration lists.

    Raises:
        RefusalError: it lists none of that resource.
    """
    if ".default" not in requested.names:
        return requested
    names = {n for r, n, kind in app.required if r == requested.resource and kind == "Scope"}
    if not names:
        raise RefusalError(
            650057,
            app=app.app_id,
            name=app.display_name,
            resource=requested.uri,
            resource_app=requested.resource,
            listed=", ".join(sorted({r for r, _n, _kind in app.required})),
        )
    return RequestedScopes(requested.resource, requested.uri, frozenset(names))

"""What Entra knows of an application: is it there, who is it, where may answers go, what may be asked?"""

import hmac
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from msoauth.practice.entra.refusals import RefusalError
from msoauth.practice.state import EXCHANGE_APP_ID, GRAPH_APP_ID, AppRegistration, Firm, World

OIDC_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
OUTLOOK = ("https://outlook.office.com", "https://outlook.office365.com")
GRAPH = "https://graph.microsoft.com"

# Delegated scopes that exist on each resource (facts A4, G3).
EXISTING = {
    EXCHANGE_APP_ID: {"POP.AccessAsUser.All", "IMAP.AccessAsUser.All", "SMTP.Send", "EWS.AccessAsUser.All", "User.Read"},
    GRAPH_APP_ID: {
        "POP.AccessAsUser.All", "IMAP.AccessAsUser.All", "SMTP.Send", "User.Read", "User.Read.All", "Mail.Read", "Mail.Send",
        "Application.Read.All", "Directory.Read.All", "DelegatedPermissionGrant.Read.All", "AuditLog.Read.All",
    },
}  # fmt: skip

_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_DOMAIN = re.compile(r"(?:[a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}", re.IGNORECASE)


def tenant(world: World, name: str) -> Firm | None:
    """The tenant that a path names; None for /common and /organizations.

    Raises:
        RefusalError: there is no such tenant, or it cannot be one.
    """
    if name.lower() in ("common", "organizations"):
        return None
    firm = world.firm(name)
    if firm is not None and not firm.deprovisioned:
        return firm
    number = 90002 if _GUID.fullmatch(name) or _DOMAIN.fullmatch(name) else 900023
    raise RefusalError(number, tenant=name)


def application(world: World, firm: Firm | None, client_id: str, path_tenant: str) -> Firm:
    """The tenant whose app *client_id* is.

    Raises:
        RefusalError: no such app there, it is disabled, or single-tenant and called through /common.
    """
    if not client_id:
        raise RefusalError(900144, parameter="client_id")
    candidates = [firm] if firm is not None else list(world.firms.values())
    owner = next((f for f in candidates if f.app.app_id.lower() == client_id.lower()), None)
    if owner is None:
        raise RefusalError(700016, app=client_id, tenant=firm.name if firm else path_tenant)
    if firm is None and owner.app.sign_in_audience == "AzureADMyOrg":
        raise RefusalError(50194, app=owner.app.app_id, name=owner.app.display_name)
    if not owner.principal.account_enabled:
        raise RefusalError(7000112, app=owner.app.app_id, name=owner.app.display_name)
    return owner


def _same(registered: str, asked: str) -> bool:
    """Whether two redirect URIs match: the port of localhost is ignored, the path is exact (facts C1)."""
    if registered == asked:
        return True
    try:
        ours, theirs = urlsplit(registered), urlsplit(asked)
        ports = (ours.port, theirs.port)
    except ValueError:
        return False
    local = ours.hostname in ("localhost", "127.0.0.1")
    return (
        ours.scheme == theirs.scheme
        and ours.hostname == theirs.hostname
        and (local or ports[0] == ports[1])
        and ours.path == theirs.path
        and ours.query == theirs.query
    )


def platform(app: AppRegistration, uri: str) -> str:
    """The platform (``web``, ``public`` or ``spa``) under which *uri* is registered.

    When it is registered twice, Web wins (unverified).

    Raises:
        RefusalError: it is not registered.
    """
    if not (app.web_redirect_uris or app.public_client_redirect_uris or app.spa_redirect_uris):
        raise RefusalError(500113)
    for name, uris in (
        ("web", app.web_redirect_uris),
        ("spa", app.spa_redirect_uris),
        ("public", app.public_client_redirect_uris),
    ):
        if any(_same(registered, uri) for registered in uris):
            return name
    raise RefusalError(50011, uri=uri, app=app.app_id)


def authenticate(firm: Firm, form: dict[str, str], kind: str, now: float) -> str:
    """Authenticate a client (facts C4); returns ``appidacr``: ``0`` public, ``1`` secret.

    Args:
        kind: ``web``, ``public`` or ``spa``, the platform that the grant came through.

    Raises:
        RefusalError: a secret is missing, forbidden, wrong or expired.
    """
    given = form.get("client_secret", "")
    if kind == "public":
        if given:
            raise RefusalError(700025)
        return "0"
    if kind == "spa":
        raise RefusalError(9002327)
    if not given:
        raise RefusalError(7000218)
    matching = [
        s for s in firm.app.secrets if hmac.compare_digest(s.value.encode(), given.encode())
    ]
    if not matching:
        raise RefusalError(7000215, app=firm.app.app_id)
    if all(secret.end.timestamp() <= now for secret in matching):
        raise RefusalError(7000222, app=firm.app.app_id)
    return "1"


@dataclass(frozen=True, slots=True)
class Asked:
    """Scopes of one request: the resource's app id, its URI as the client wrote it, short names, OIDC scopes."""

    resource: str
    uri: str
    names: frozenset[str]
    oidc: frozenset[str]


def scopes(text: str, firm: Firm) -> Asked:
    """Read the *scope* of a request; a scope without resource means Microsoft Graph (facts A4).

    Raises:
        RefusalError: several resources at once, an unknown resource or scope, or none at all.
    """
    words = text.split()
    oidc = frozenset(word for word in words if word in OIDC_SCOPES)
    found: dict[tuple[str, str], set[str]] = {}
    for word in words:
        if word in OIDC_SCOPES:
            continue
        uri, _slash, name = word.rpartition("/")
        uri = uri.rstrip("/") or GRAPH
        if not name or not re.fullmatch(r"[\w.]+", name):
            raise RefusalError(70011, scope=word)
        resource = EXCHANGE_APP_ID if uri in OUTLOOK else GRAPH_APP_ID if uri == GRAPH else ""
        if not resource or (resource == EXCHANGE_APP_ID and not firm.exchange_online):
            raise RefusalError(500011, resource=uri, tenant=firm.name)
        if name != ".default" and name not in EXISTING[resource]:
            raise RefusalError(650053, name=firm.app.display_name, scope=name, resource=resource)
        found.setdefault((resource, uri), set()).add(name)
    if len({resource for resource, _uri in found}) > 1:
        raise RefusalError(28000, scope=" ".join(w for w in words if w not in OIDC_SCOPES))
    if not found:
        return Asked(GRAPH_APP_ID, GRAPH, frozenset(), oidc)
    (resource, uri), _names = next(iter(found.items()))
    names = set().union(*found.values())
    if ".default" in names:
        names = {
            name for r, name, kind in firm.app.required if r == resource and kind == "Scope"
        } or {".default"}
    return Asked(resource, uri, frozenset(names), oidc)

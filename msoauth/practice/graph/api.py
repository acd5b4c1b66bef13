"""Graph's addresses, and what is read there (facts G1). Nothing can be written."""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import UTC
from email.utils import format_datetime
from typing import Any
from uuid import UUID, uuid4

import tornado.web

from msoauth.practice.graph import objects, query, signins
from msoauth.practice.graph.caller import Caller, GraphError, caller
from msoauth.practice.graph.objects import Row
from msoauth.practice.state import (
    EXCHANGE_APP_ID,
    GRAPH_APP_ID,
    Firm,
    ServicePrincipal,
    User,
    World,
)
from msoauth.practice.tokens import Signer

_APPS = ("Application.Read.All", "Directory.Read.All")
# The docs say Directory.Read.All, newer projects the other one (facts J11): either is taken.
_GRANTS = ("Directory.Read.All", "DelegatedPermissionGrant.Read.All")
_USERS = ("User.Read.All", "Directory.Read.All")
# Not in the facts (memory, unverified).
_ORGANIZATION = ("Organization.Read.All", "Directory.Read.All")
_BASIC = ("User.Read", *_USERS)

Read = Callable[["Graph", Caller, str], list[Row] | Row]


class Graph(tornado.web.RequestHandler):
    """``/graph/v1.0/…``."""

    world: World
    signer: Signer

    def initialize(self, world: World, signer: Signer) -> None:
        self.world, self.signer = world, signer

    def set_default_headers(self) -> None:
        self.set_header("Server", "practice")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("Content-Type", "application/json;odata.metadata=minimal;charset=utf-8")

    async def prepare(self) -> None:
        self.set_header("Date", format_datetime(self.world.clock.now(), usegmt=True))
        if self.world.latency:
            await asyncio.sleep(self.world.latency)

    def get(self, path: str) -> None:
        who: Caller | None = None
        try:
            who = caller(self.world, self.signer, self.request.headers.get("Authorization", ""))
            for pattern, read in _PATHS:
                if match := re.fullmatch(pattern, path.strip("/"), re.IGNORECASE):
                    found = read(self, who, (match.groups() or ("",))[0])
                    self._answer(path.strip("/"), found)
                    self._note(who, path, "success")
                    return
            raise GraphError.bad_request(f"Resource not found for the segment '{path[:60]}'.")
        except query.QueryError as bad:
            self._refuse(GraphError.bad_request(str(bad)), who, path)
        except GraphError as refused:
            self._refuse(refused, who, path)

    def _only_get(self, path: str) -> None:
        refused = GraphError(
            405,
            "Request_BadRequest",
            "Specified HTTP method is not allowed for the request target.",
        )
        self._refuse(refused, None, path)

    post = patch = put = delete = _only_get

    # -- answers -----------------------------------------------------------------------------

    def query(self) -> query.Query:
        """The request's OData options.

        Raises:
            QueryError: they cannot be read.
        """
        arguments = self.request.query_arguments
        return query.read({n: v[-1].decode("utf-8", "replace") for n, v in arguments.items()})

    def _answer(self, path: str, found: list[Row] | Row) -> None:
        root = f"https://{self.request.host}/graph/v1.0"
        name = re.sub(
            r"\(.*", "", path.split("/")[-1] if isinstance(found, list) else path.split("/")[0]
        )
        options = self.query()
        if isinstance(found, dict):
            context = f"{root}/$metadata#{name}/$entity"
            self.finish(json.dumps({"@odata.context": context, **options.shorten(found)}))
            return
        rows, count, after = options.page(found)
        answer: Row = {"@odata.context": f"{root}/$metadata#{name}"}
        if options.count:
            answer["@odata.count"] = count
        if after is not None:
            answer["@odata.nextLink"] = self._next(f"{root}/{path}", after)
        answer["value"] = rows
        self.finish(json.dumps(answer))

    def _next(self, url: str, after: int) -> str:
        from urllib.parse import urlencode

        kept = {
            name: values[-1].decode("utf-8", "replace")
            for name, values in self.request.query_arguments.items()
            if name != "$skiptoken"
        }
        return f"{url}?{urlencode({**kept, '$skiptoken': after}, safe='$')}"

    def _refuse(self, refused: GraphError, who: Caller | None, path: str) -> None:
        sent = self.request.headers.get("client-request-id", "")
        request_id = str(uuid4())
        inner = {
            "date": self.world.clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "request-id": request_id,
            "client-request-id": sent if _is_guid(sent) else request_id,
        }
        self.set_status(refused.status)
        if refused.status == 401:
            self.set_header(
                "WWW-Authenticate",
                'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"',
            )
        error = {"code": refused.code, "message": refused.message, "innerError": inner}
        self.finish(json.dumps({"error": error}))
        self._note(who, path, str(refused), inner["client-request-id"], request_id)

    def _note(
        self, who: Caller | None, path: str, outcome: str, correlation: str = "", trace: str = ""
    ) -> None:
        self.world.note(
            "graph",
            f"GET /{path[:80]}: {outcome}",
            firm=who.firm.name if who else "",
            user=who.user.upn if who and who.user else "",
            correlation_id=correlation,
            trace_id=trace,
            app_id=who.app_id if who else "",
        )

    def write_error(self, status_code: int, **_more: Any) -> None:
        self.finish(
            json.dumps({"error": {"code": "UnknownError", "message": f"HTTP {status_code}"}})
        )


def _is_guid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


# -- what is read ---------------------------------------------------------------------------------


def _applications(_graph: Graph, who: Caller, _key: str) -> list[Row]:
    who.need(*_APPS)
    return objects.applications(who.firm)


def _application(_graph: Graph, who: Caller, key: str) -> Row:
    app = next(
        (a for a in who.firm.apps if key.lower() in (a.app_id.lower(), a.object_id) and not a.deleted), None
    )  # fmt: skip
    if not (app and who.user is None and app.app_id == who.app_id):
        who.need(*_APPS)  # an app reads its own registration without any permission (facts G1)
    if app is None:
        raise GraphError.missing(key)
    return objects.application(who.firm, app)


def _principals(graph: Graph, who: Caller, _key: str) -> list[Row]:
    who.need(*_APPS)
    own = [_principal_row(graph, who.firm, p) for p in who.firm.principals]
    return own + [objects.resource_principal(who.firm, r) for r in _resources(who.firm)]


def _resources(firm: Firm) -> list[str]:
    """A tenant without Exchange Online may have no service principal of it (facts G3)."""
    return [r for r in firm.resource_ids if r == GRAPH_APP_ID or firm.exchange_online]


def _principal_row(graph: Graph, firm: Firm, principal: ServicePrincipal) -> Row:
    owner = next((f for f in graph.world.firms.values() if principal.app in f.apps), firm)
    return objects.service_principal(principal, owner.tenant_id)


def _find_principal(who: Caller, key: str) -> ServicePrincipal | None:
    wanted = key.lower()
    found = (p for p in who.firm.principals if wanted in (p.object_id, p.app.app_id.lower()))
    return next(found, None)


def _principal(graph: Graph, who: Caller, key: str) -> Row:
    found = _find_principal(who, key)
    if not (found and who.user is None and found.app.app_id == who.app_id):
        who.need(*_APPS)
    if found is not None:
        return _principal_row(graph, who.firm, found)
    for resource in _resources(who.firm):
        if key.lower() in (resource, who.firm.resource_ids[resource]):
            return objects.resource_principal(who.firm, resource)
    raise GraphError.missing(key)


def _own_principal(who: Caller, key: str) -> ServicePrincipal | None:
    """The app's service principal; None for one of Microsoft's, which holds no grants here.

    Raises:
        GraphError: there is none of that id.
    """
    found = _find_principal(who, key)
    if found is None and key.lower() not in (
        EXCHANGE_APP_ID, GRAPH_APP_ID, *who.firm.resource_ids.values()
    ):  # fmt: skip
        raise GraphError.missing(key)
    return found


def _grants(_graph: Graph, who: Caller, _key: str) -> list[Row]:
    who.need(*_GRANTS)
    return objects.grants(who.firm)


def _grants_of(_graph: Graph, who: Caller, key: str) -> list[Row]:
    who.need(*_GRANTS)
    found = _own_principal(who, key)
    rows = objects.grants(who.firm) if found else []
    return [row for row in rows if found and row["clientId"] == found.object_id]


def _roles_of(_graph: Graph, who: Caller, key: str) -> list[Row]:
    who.need(*_APPS)
    found = _own_principal(who, key)
    return objects.role_assignments(who.firm, found) if found else []


def _assigned(_graph: Graph, who: Caller, key: str) -> list[Row]:
    who.need(*_APPS)
    found = _own_principal(who, key)
    if found is not None:
        return objects.assigned_to(who.firm, found)
    resource = next(r for r, id_ in who.firm.resource_ids.items() if key.lower() in (r, id_))
    every = [row for p in who.firm.principals for row in objects.role_assignments(who.firm, p)]
    return [row for row in every if row["resourceId"] == who.firm.resource_ids[resource]]


def _users(_graph: Graph, who: Caller, _key: str) -> list[Row]:
    who.need(*_USERS)
    return [objects.user(who.firm, user) for user in who.firm.users.values()]


def _find_user(who: Caller, key: str) -> User:
    """The user of that id or name; oneself without further permission.

    Raises:
        GraphError: 403 or 404.
    """
    wanted = key.lower()
    found = who.firm.users.get(wanted) or next(
        (user for user in who.firm.users.values() if user.id == wanted), None
    )
    if found is not None and found is who.user:
        who.need(*_BASIC, admin=False)
        return found
    who.need(*_USERS)
    if found is None:
        raise GraphError.missing(key)
    return found


def _user(_graph: Graph, who: Caller, key: str) -> Row:
    return objects.user(who.firm, _find_user(who, key))


def _licenses(_graph: Graph, who: Caller, key: str) -> list[Row]:
    return objects.license_details(_find_user(who, key))


def _me(_graph: Graph, who: Caller, _key: str) -> Row:
    if who.user is None:
        raise GraphError(
            400, "BadRequest", "/me request is only valid with delegated authentication flow."
        )
    who.need(*_BASIC, admin=False)
    return objects.user(who.firm, who.user)


def _my_licenses(graph: Graph, who: Caller, key: str) -> list[Row]:
    _me(graph, who, key)
    return objects.license_details(who.user) if who.user else []


def _organization(_graph: Graph, who: Caller, _key: str) -> list[Row]:
    who.need(*_ORGANIZATION, "User.Read", admin=False)
    return [objects.organization(who.firm)]


def _skus(_graph: Graph, who: Caller, _key: str) -> list[Row]:
    who.need(*_ORGANIZATION)
    return objects.subscribed_skus(who.firm)


def _signins(graph: Graph, who: Caller, _key: str) -> list[Row]:
    who.need("AuditLog.Read.All")
    if not who.firm.premium:
        raise GraphError(
            403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
            "Neither tenant is B2C or tenant doesn't have premium license",
        )  # fmt: skip
    return signins.rows(graph.world, who.firm)


_ID = r"(?:\(appId='([^']+)'\))"

_PATHS: tuple[tuple[str, Read], ...] = (
    (r"applications", _applications),
    (rf"applications{_ID}", _application),
    (r"applications/([^/]+)", _application),
    (r"servicePrincipals", _principals),
    (rf"servicePrincipals{_ID}", _principal),
    (r"servicePrincipals/([^/]+)", _principal),
    (rf"servicePrincipals{_ID}/oauth2PermissionGrants", _grants_of),
    (r"servicePrincipals/([^/]+)/oauth2PermissionGrants", _grants_of),
    (rf"servicePrincipals{_ID}/appRoleAssignments", _roles_of),
    (r"servicePrincipals/([^/]+)/appRoleAssignments", _roles_of),
    (rf"servicePrincipals{_ID}/appRoleAssignedTo", _assigned),
    (r"servicePrincipals/([^/]+)/appRoleAssignedTo", _assigned),
    (r"oauth2PermissionGrants", _grants),
    (r"me", _me),
    (r"me/licenseDetails", _my_licenses),
    (r"users", _users),
    (r"users/([^/]+)", _user),
    (r"users/([^/]+)/licenseDetails", _licenses),
    (r"organization", _organization),
    (r"subscribedSkus", _skus),
    (r"auditLogs/signIns", _signins),
)


class UserInfo(Graph):
    """``/graph/oidc/userinfo`` of OpenID Connect (facts A2)."""

    def get(self, path: str = "") -> None:
        try:
            who = caller(self.world, self.signer, self.request.headers.get("Authorization", ""))
            row = _me(self, who, path)
            self.finish(
                json.dumps({"sub": row["id"], "name": row["displayName"], "email": row["mail"]})
            )
        except GraphError as refused:
            self._refuse(refused, None, "oidc/userinfo")


def routes(world: World, signer: Signer) -> list[tuple[str, type[Graph], dict[str, Any]]]:
    """Graph's addresses."""
    shared = {"world": world, "signer": signer}
    return [(r"/graph/v1\.0/(.+)", Graph, shared), (r"/graph/oidc/(userinfo)", UserInfo, shared)]

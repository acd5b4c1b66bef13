"""The practice tenant's Graph endpoint, with OData answers; little can be changed by it (facts G1)."""

import json
import re
from datetime import UTC
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from msoauth.practice.entra.issue import pairwise
from msoauth.practice.graph import query, signins, users
from msoauth.practice.graph.caller import Caller, GraphError, caller
from msoauth.practice.graph.query import Row
from msoauth.practice.graph.reads import BETA_PATHS, PATHS
from msoauth.practice.graph.writes import WRITES
from msoauth.practice.http import ProgramEndpoint
from msoauth.practice.registrations import guid
from msoauth.practice.state import PracticeState
from msoauth.practice.tokens import Signer

# What is no directory object: every query is answered at once, and the context names the whole path.
_NOT_DIRECTORY = ("auditlogs/", "identity/", "policies/")


class Graph(ProgramEndpoint):
    """``/graph/v1.0/…`` and, with the same objects and the sign-ins of programs too, ``/graph/beta/…``."""

    signer: Signer

    def initialize(self, state: PracticeState, signer: Signer) -> None:
        self.state, self.signer = state, signer
        self.set_header("Content-Type", "application/json;odata.metadata=minimal;charset=utf-8")

    def get(self, version: str, path: str) -> None:
        who: Caller | None = None
        try:
            who = caller(self.state, self.signer, self.request.headers.get("Authorization", ""))
            for pattern, read in (*BETA_PATHS, *PATHS) if version == "beta" else PATHS:
                if match := re.fullmatch(pattern, path.strip("/"), re.IGNORECASE):
                    result = read(self.state, who, (match.groups() or ("",))[0])
                    self._answer(version, path.strip("/"), result)
                    self._log_request(who, path, "success")
                    return
            raise GraphError.bad_request(f"Resource not found for the segment '{path[:60]}'.")
        except query.AdvancedQueryError as error:
            self._refuse(GraphError(400, "Request_UnsupportedQuery", str(error)), who, path)
        except query.QueryError as error:
            self._refuse(GraphError.bad_request(str(error)), who, path)
        except GraphError as error:
            self._refuse(error, who, path)

    def post(self, version: str, path: str, /) -> None:
        writes = (
            (re.fullmatch(pattern, path, re.IGNORECASE), write)
            for method, pattern, write in WRITES
            if method == self.request.method
        )
        match, write = next(((m, w) for m, w in writes if m), (None, None))
        if match is None or write is None:
            self._only_get(version, path)
            return
        who: Caller | None = None
        try:
            who = caller(self.state, self.signer, self.request.headers.get("Authorization", ""))
            key = next(filter(None, match.groups()), "")
            result = write(self.state, who, key, self._json())
            if result is None:
                self.set_status(204)
                self.finish()
            else:
                # In the cases that the facts show, the context names the type that was made.
                kind = "microsoft.graph.passwordCredential"
                context = f"https://{self.request.host}/graph/{version}/$metadata#{kind}"
                self.finish(json.dumps({"@odata.context": context, **result}))
            self._log_request(who, path, "success")
        except GraphError as error:
            self._refuse(error, who, path)

    def _json(self) -> dict[str, Any]:
        """The JSON object in the request's body.

        Raises:
            GraphError: it is none.
        """
        try:
            body = json.loads(self.request.body or b"{}")
        except ValueError:
            body = None
        if not isinstance(body, dict):
            # The wording is from memory, not verified.
            raise GraphError(400, "BadRequest", "Unable to read JSON request payload.")
        return body

    def _only_get(self, _version: str, path: str) -> None:
        error = GraphError(
            405,
            "Request_BadRequest",
            "Specified HTTP method is not allowed for the request target.",
        )
        self._refuse(error, None, path)

    patch = post
    put = delete = _only_get

    # -- answers -----------------------------------------------------------------------------

    def query(self, version: str, path: str) -> query.Query:
        """The request's OData options.

        Raises:
            QueryError: they cannot be read.
        """
        arguments = {
            name: values[-1].decode("utf-8", "replace")
            for name, values in self.request.query_arguments.items()
        }
        eventual = self.request.headers.get("ConsistencyLevel", "").lower() == "eventual"
        if path.lower() != "auditlogs/signins":
            full = eventual and (query.counts(arguments) or "$search" in arguments)
            return query.read(
                arguments, advanced_allowed=full or path.lower().startswith(_NOT_DIRECTORY)
            )
        beta = version == "beta"
        filterable = signins.BETA_FILTERABLE if beta else signins.FILTERABLE
        read = query.read(
            {"$top": "1000", **arguments},
            advanced_allowed=True,
            filterable=filterable,
            most=signins.PAGE,
        )
        if any(name != "createdDateTime" for name, _descends in read.order):
            raise query.QueryError("Unsupported sort property for $orderby.")
        return read

    def _answer(self, version: str, path: str, result: list[Row] | Row) -> None:
        root = f"https://{self.request.host}/graph/{version}"
        options = self.query(version, path)
        if isinstance(result, dict):
            context = f"{root}/$metadata#{_context(path)}"
            self.finish(
                json.dumps({"@odata.context": context, **options.select_properties(result)})
            )
            return
        if path.lower() == "auditlogs/signins" and version == "beta":
            result = signins.of_kinds(result, options)
        rows, count, after = options.page(result)
        whole = path.lower().startswith(_NOT_DIRECTORY)
        name = path if whole else re.sub(r"\(.*", "", path.split("/")[-1])
        answer: Row = {"@odata.context": f"{root}/$metadata#{name}"}
        if options.count:
            answer["@odata.count"] = count
        if after is not None:
            answer["@odata.nextLink"] = self._next(f"{root}/{path}", after)
        answer["value"] = rows
        self.finish(json.dumps(answer))

    def _next(self, url: str, after: str) -> str:
        parameters = {
            name: values[-1].decode("utf-8", "replace")
            for name, values in self.request.query_arguments.items()
            if name != "$skiptoken"
        }
        return f"{url}?{urlencode({**parameters, '$skiptoken': after}, safe='$')}"

    def _refuse(self, error: GraphError, who: Caller | None, path: str) -> None:
        client_request_id = self.request.headers.get("client-request-id", "")
        request_id = str(uuid4())
        inner = {
            "date": self.state.clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "request-id": request_id,
            "client-request-id": guid(client_request_id) or request_id,
        }
        self.set_status(error.status)
        if error.status == 401:
            self.set_header(
                "WWW-Authenticate",
                'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"',
            )
        body = {"code": error.code, "message": error.message, "innerError": inner}
        self.finish(json.dumps({"error": body}))
        self._log_request(who, path, str(error), inner["client-request-id"], request_id)

    def _log_request(
        self, who: Caller | None, path: str, outcome: str, correlation: str = "", trace: str = ""
    ) -> None:
        self.state.log_event(
            "graph",
            f"{self.request.method} /{path[:80]}: {outcome}",
            tenant=who.tenant.name if who else "",
            user=who.user.upn if who and who.user else "",
            correlation_id=correlation,
            trace_id=trace,
            app_id=who.app_id if who else "",
        )

    def write_error(self, status_code: int, **_more: Any) -> None:
        self.finish(
            json.dumps({"error": {"code": "UnknownError", "message": f"HTTP {status_code}"}})
        )


def _context(path: str) -> str:
    """What the context of a single object names."""
    if path.lower().startswith(_NOT_DIRECTORY):
        parent, _slash, last = path.rpartition("/")
        if last.lower() == "identitysecuritydefaultsenforcementpolicy":
            return path  # facts K2.7: without what other single objects have
        return f"{path if parent.lower() == 'policies' else parent}/$entity"
    return f"{re.sub(r'[(].*', '', path.split('/')[0])}/$entity"


class UserInfo(Graph):
    """``/graph/oidc/userinfo`` of OpenID Connect (facts A2), with the values of the ID token."""

    def get(self, _version: str, path: str) -> None:
        try:
            who = caller(self.state, self.signer, self.request.headers.get("Authorization", ""))
            if who.user is None or not who.permissions & {"openid", "User.Read"}:
                raise GraphError.denied()
            row = users.user(who.tenant, who.user)
            claims = {
                "sub": pairwise(who.user.id, who.app_id),
                "name": row["displayName"],
                "family_name": row["surname"],
                "given_name": row["givenName"],
                "picture": f"https://{self.request.host}/graph/v1.0/me/photo/$value",
                "email": row["mail"],
            }
            self.finish(json.dumps({name: value for name, value in claims.items() if value}))
        except GraphError as error:
            self._refuse(error, None, f"oidc/{path}")

    post = get


def routes(state: PracticeState, signer: Signer) -> list[tuple[str, type[Graph], dict[str, Any]]]:
    """Graph's addresses."""
    shared = {"state": state, "signer": signer}
    return [
        (r"/graph/(v1\.0|beta)/(.+)", Graph, shared),
        (r"/graph/(oidc)/(userinfo)", UserInfo, shared),
    ]

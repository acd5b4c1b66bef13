"""The HTTP client for Microsoft Graph: one tenant, read with an administrator's token, each path at most once."""

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from msoauth import redact
from msoauth.clouds import Cloud
from msoauth.errors import AuthError
from msoauth.explaining import explain
from msoauth.graph import objects
from msoauth.graph.objects import (
    Application,
    Assigned,
    DirectoryUser,
    Grant,
    ServicePrincipal,
    SignInEntry,
)
from msoauth.identity import http
from msoauth.identity.auth_errors import transport_error
from msoauth.identity.discovery import retry_after
from msoauth.store import Secret
from msoauth.texts import _

_MAX_PAGES = 200  # of a list; the rest is not read


class Graph:
    """A reader of one tenant's configuration.

    Args:
        token: The administrator's access token for Graph; kept in this object only.
        signed_in_as: Who the administrator is.
    """

    def __init__(self, cloud: Cloud, token: str, *, signed_in_as: str = "") -> None:
        redact.remember(token)
        self.cloud = cloud
        self.token = Secret(token)
        self.signed_in_as = signed_in_as
        self._replies: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Graph({self.signed_in_as or '?'})"

    def application(self, client_id: str) -> Application | None:
        """The app registration of that client ID, or None when this directory has none.

        Raises:
            AuthError: it may not be read, or Graph did not answer.
        """
        found = self._object(f"applications(appId='{quote(client_id, safe='')}')")
        return None if found is None else objects.application(found)

    def service_principal(self, app_id: str) -> ServicePrincipal | None:
        """The enterprise application of that app ID, or None.

        Raises:
            AuthError: it may not be read, or Graph did not answer.
        """
        found = self._object(f"servicePrincipals(appId='{quote(app_id, safe='')}')")
        if found is None:
            return None
        return ServicePrincipal(
            object_id=str(found.get("id", "")),
            name=str(found.get("displayName") or ""),
            enabled=found.get("accountEnabled") is not False,
            assignment_required=found.get("appRoleAssignmentRequired") is True,
        )

    def permissions(self, resource_app_id: str) -> dict[str, str]:
        """Names of a resource's permissions by id, delegated and application; empty without such a resource.

        They are read from the tenant, because many published lists confuse Graph's with Exchange's (facts G3).

        Raises:
            AuthError: they may not be read, or Graph did not answer.
        """
        found = self._object(f"servicePrincipals(appId='{resource_app_id}')") or {}
        return {
            str(entry.get("id", "")): str(entry.get("value", ""))
            for kind in ("oauth2PermissionScopes", "appRoles")
            for entry in objects.dicts(found.get(kind))
        }

    def grants(self, principal_id: str) -> list[Grant]:
        """The delegated consents that an enterprise application was given.

        Raises:
            AuthError: they may not be read, or Graph did not answer.
        """
        rows = self._list(
            f"servicePrincipals/{quote(principal_id, safe='')}/oauth2PermissionGrants"
        )
        return [
            Grant(
                principal_id=""
                if row.get("consentType") == "AllPrincipals"
                else str(row.get("principalId") or ""),
                resource_id=str(row.get("resourceId", "")),
                scopes=frozenset(str(row.get("scope") or "").split()),
            )
            for row in rows
        ]

    def assigned_to(self, principal_id: str) -> list[Assigned]:
        """Who is assigned to an enterprise application.

        Raises:
            AuthError: it may not be read, or Graph did not answer.
        """
        rows = self._list(f"servicePrincipals/{quote(principal_id, safe='')}/appRoleAssignedTo")
        return [
            Assigned(
                str(row.get("principalId", "")),
                str(row.get("principalType", "")),
                str(row.get("principalDisplayName", "")),
            )
            for row in rows
        ]

    def roles(self, principal_id: str, resource_id: str) -> set[str]:
        """Ids of the application permissions of a resource that an enterprise application was granted.

        Raises:
            AuthError: they may not be read, or Graph did not answer.
        """
        rows = self._list(f"servicePrincipals/{quote(principal_id, safe='')}/appRoleAssignments")
        return {str(r.get("appRoleId", "")) for r in rows if r.get("resourceId") == resource_id}

    def sign_ins(self, client_id: str, upn: str) -> list[SignInEntry]:
        """The latest sign-ins of a user to an app, newest first; the log needs Entra ID P1 (facts G1).

        Raises:
            AuthError: it may not be read, or Graph did not answer.
        """
        chosen = quote(f"appId eq '{client_id}'", safe="'")
        answer = self._get(f"{self.cloud.graph}v1.0/auditLogs/signIns?$filter={chosen}&$top=50")
        found = [objects.sign_in(row) for row in objects.dicts((answer or {}).get("value"))]
        own = [one for one in found if one.user.casefold() == upn.casefold()]
        return sorted(own, key=lambda one: one.at or datetime.min.replace(tzinfo=UTC), reverse=True)

    def user(self, upn: str) -> DirectoryUser | None:
        """The user of that name, or None.

        Raises:
            AuthError: it may not be read, or Graph did not answer.
        """
        wanted = "id,accountEnabled,userPrincipalName,mail,proxyAddresses,assignedPlans"
        found = self._object(f"users/{quote(upn, safe='@')}?$select={wanted}")
        return None if found is None else objects.user(found)

    # Below: HTTP

    def _object(self, path: str) -> dict[str, Any] | None:
        """The JSON object at *path*, or None when there is none."""
        found: dict[str, Any] | None = self._once(path, self._get)
        return found

    def _list(self, path: str) -> list[dict[str, Any]]:
        """The rows of the list at *path*, of all pages."""
        return list(self._once(path, lambda url: list(self._pages(url))))

    def _once(self, path: str, read: Callable[[str], Any]) -> Any:
        with self._lock:  # several checks ask for the same thing at the same time
            if path not in self._replies:
                self._replies[path] = read(f"{self.cloud.graph}v1.0/{path}")
            return self._replies[path]

    def _pages(self, url: str) -> Iterator[dict[str, Any]]:
        place = urlsplit(self.cloud.graph).netloc
        for _page in range(_MAX_PAGES):
            answer = self._get(url) or {}
            yield from objects.dicts(answer.get("value"))
            url = str(answer.get("@odata.nextLink") or "")
            if urlsplit(url).netloc != place:  # the token goes to Graph and nowhere else
                return

    def _get(self, url: str) -> dict[str, Any] | None:
        what = _("Reading from Microsoft Graph")
        with http.session(self.cloud) as session:
            try:
                reply = session.get(
                    url,
                    headers={"Authorization": f"Bearer {self.token.reveal()}"},
                    allow_redirects=False,
                )
            except requests.RequestException as problem:
                raise transport_error(problem, what) from None
        try:
            answer = reply.json()
        except ValueError:
            answer = None
        answer = answer if isinstance(answer, dict) else {}
        if reply.status_code == 200:
            return answer
        error = answer.get("error")
        error = error if isinstance(error, dict) else {}
        if reply.status_code == 404 and error.get("code") in (
            "Request_ResourceNotFound",
            "ResourceNotFound",
        ):
            return None
        raise _error_from_reply(reply, error, what)


def _error_from_reply(reply: requests.Response, error: Mapping[str, Any], what: str) -> AuthError:
    words = f"{error.get('code') or f'HTTP {reply.status_code}'}: {error.get('message') or reply.reason or ''}"
    inner = error.get("innerError") or error.get("innererror")
    inner = inner if isinstance(inner, dict) else {}
    ids = {
        name: str(inner[key])
        for name, key in (
            ("correlation_id", "client-request-id"),
            ("request_id", "request-id"),
            ("timestamp", "date"),
        )
        if inner.get(key)
    }
    if reply.status_code in (401, 403):
        cause, why = "graph-forbidden", _("the signed-in administrator may not read this")
    elif reply.status_code == 429:
        cause, why = "throttled", _("too many requests")
    elif reply.status_code >= 500:
        cause, why = "service-unavailable", _("a passing fault")
    else:
        cause, why = explain(words).cause, _("it was refused")
    return AuthError(
        _("{what}: {why}.").format(what=what, why=why),
        cause=cause,
        evidence=redact.redact(words)[:1000],
        ids=ids,
        retriable=cause in ("throttled", "service-unavailable"),
        retry_after=retry_after(reply),
    )

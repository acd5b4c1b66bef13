"""The HTTP client for Microsoft Graph: reads one tenant with an administrator's token, each path at most once."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import responses
from itertools import islice
from typing import Any
from urllib.parse import quote, urlsplit

from urllib3.exceptions import HTTPError

from msoauth import redact
from msoauth.addresses import ascii_form
from msoauth.clouds import Cloud
from msoauth.errors import AuthError, AuthPermissionError
from msoauth.explaining import explain
from msoauth.graph import conditional_access, objects, policies
from msoauth.graph.conditional_access import Memberships, Policy
from msoauth.graph.objects import (
    Application,
    Assignment,
    DirectoryUser,
    Grant,
    Recipient,
    ServicePrincipal,
    SignInEntry,
)
from msoauth.graph.policies import ConsentPolicy, SecretRules, UserConsent
from msoauth.identity import http
from msoauth.identity.auth_errors import transport_error
from msoauth.identity.discovery import retry_after
from msoauth.store import Secret
from msoauth.texts import _

_SIGN_INS = 10  # latest sign-ins of each kind that are read
_MAX_PAGES = 200  # of a list; later pages are not read
_USER = (
    "id,accountEnabled,userPrincipalName,mail,proxyAddresses,assignedPlans,onPremisesSyncEnabled"
)


def _has_address(address: str) -> str:
    """A filter for objects that have this address among their mail addresses; Graph compares it without case."""
    text = f"smtp:{ascii_form(address)}".replace("'", "''")
    return quote(f"proxyAddresses/any(x:x eq '{text}')", safe="'()/:,@")


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
        """The app registration with that client ID, or None if this tenant has none.

        Raises:
            AuthError: it may not be read, or Graph did not answer.
        """
        entity = self._object(f"applications(appId='{quote(client_id, safe='')}')")
        return None if entity is None else objects.application(entity)

    def service_principal(self, app_id: str) -> ServicePrincipal | None:
        """The enterprise application with that app ID, or None if this tenant has none.

        Raises:
            AuthError: it may not be read, or Graph did not answer.
        """
        entity = self._object(f"servicePrincipals(appId='{quote(app_id, safe='')}')")
        return None if entity is None else objects.service_principal(entity)

    def permissions(self, resource_app_id: str) -> dict[str, str]:
        """The names of a resource's delegated and application permissions by id; empty if there is no such resource.

        They are read from the tenant, because many published lists confuse Graph's ids with Exchange's (facts G3).

        Raises:
            AuthError: they may not be read, or Graph did not answer.
        """
        entity = self._object(f"servicePrincipals(appId='{resource_app_id}')") or {}
        return {
            str(entry.get("id", "")): str(entry.get("value", ""))
            for kind in ("oauth2PermissionScopes", "appRoles")
            for entry in objects.dicts(entity.get(kind))
        }

    def classifications(self, resource_id: str) -> dict[str, str]:
        """How the directory classifies a resource's delegated permissions (``low``, ``medium``, ``high``), by their ids.

        Args:
            resource_id: The object id of the resource's service principal.

        Raises:
            AuthError: it may not be read, or Graph did not answer.
        """
        rows = self._list(
            f"servicePrincipals/{quote(resource_id, safe='')}/delegatedPermissionClassifications"
        )
        return {
            str(row.get("permissionId", "")): str(row.get("classification", "")) for row in rows
        }

    def user_consent(self) -> UserConsent | None:
        """What the directory lets its users consent to themselves, or None when it does not say.

        The conditions of each policy are there only as far as they may be read.

        Raises:
            AuthError: the setting may not be read, or Graph did not answer.
        """
        ids = policies.assigned_policies(self._object("policies/authorizationPolicy") or {})

        def conditions(id_: str, kind: str) -> list[dict[str, Any]] | None:
            path = f"policies/permissionGrantPolicies/{quote(id_, safe='')}/{kind}"
            try:
                return self._list(path)
            except AuthError as error:
                if error.cause != "graph-forbidden":
                    raise
                return None

        if ids is None:
            return None
        return UserConsent(
            tuple(
                ConsentPolicy(id_, conditions(id_, "includes"), conditions(id_, "excludes"))
                for id_ in ids
            )
        )

    def secret_rules(self, application: Application) -> SecretRules:
        """What the app's own app management policy, or else the directory's, says of new client secrets (facts K2.5).

        Raises:
            AuthError: it may not be read, or Graph did not answer.
        """
        own = self._list(
            f"applications/{quote(application.object_id, safe='')}/appManagementPolicies"
        )
        enabled = [policy for policy in own if policy.get("isEnabled") is True]
        if enabled:  # it takes the place of the directory's, and inherits nothing
            return policies.secret_rules(enabled[0], application.created, own=True)
        default = self._object("policies/defaultAppManagementPolicy") or {}
        return policies.secret_rules(default, application.created, own=False)

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

    def assignments(self, principal_id: str) -> list[Assignment]:
        """The users and groups that are assigned to an enterprise application.

        Raises:
            AuthError: it may not be read, or Graph did not answer.
        """
        rows = self._list(f"servicePrincipals/{quote(principal_id, safe='')}/appRoleAssignedTo")
        return [
            Assignment(
                str(row.get("principalId", "")),
                str(row.get("principalType", "")),
                str(row.get("principalDisplayName", "")),
            )
            for row in rows
        ]

    def roles(self, principal_id: str, resource_id: str) -> set[str]:
        """The ids of the application permissions that an enterprise application was granted on a resource.

        Raises:
            AuthError: they may not be read, or Graph did not answer.
        """
        rows = self._list(f"servicePrincipals/{quote(principal_id, safe='')}/appRoleAssignments")
        return {str(r.get("appRoleId", "")) for r in rows if r.get("resourceId") == resource_id}

    def conditional_access(self) -> list[Policy]:
        """The tenant's Conditional Access policies.

        Raises:
            AuthError: they may not be read, or Graph did not answer.
        """
        return [
            conditional_access.policy(row)
            for row in self._list("identity/conditionalAccess/policies")
        ]

    def security_defaults(self) -> bool:
        """Whether security defaults are on.

        Raises:
            AuthError: that may not be read, or Graph did not answer.
        """
        entity = self._object("policies/identitySecurityDefaultsEnforcementPolicy") or {}
        return entity.get("isEnabled") is True

    def memberships(self, user_id: str) -> Memberships:
        """The groups and directory roles of a user, those of nested groups too.

        Without a permission for roles Graph shows them without their names (facts K2.7): then they are not known.

        Raises:
            AuthError: they may not be read, or Graph did not answer.
        """
        rows = self._list(f"users/{quote(user_id, safe='')}/transitiveMemberOf")
        roles = [row for row in rows if str(row.get("@odata.type")).endswith(".directoryRole")]
        groups = [row for row in rows if str(row.get("@odata.type")).endswith(".group")]
        templates = frozenset(str(row.get("roleTemplateId") or "") for row in roles)
        return Memberships(
            frozenset(str(row.get("id")) for row in groups), None if "" in templates else templates
        )

    def sign_ins(self, client_id: str, upn: str, user_id: str = "") -> list[SignInEntry]:
        """The latest sign-ins of a user to an app, newest first; the log needs Entra ID P1 (facts G1).

        Those that a program did for the user are in the beta version of Graph only, one kind at a time; where that
        cannot answer, the interactive ones of v1.0 are given.

        Args:
            user_id: The user's object id, which outlives a new user name; empty to look for the name.

        Raises:
            AuthError: it may not be read, or Graph did not answer.
        """
        # The log has user names in lower case.
        name = upn.lower().replace("'", "''")
        whose = f"userId eq '{user_id}'" if user_id else f"userPrincipalName eq '{name}'"
        mine = f"{whose} and appId eq '{client_id}'"
        entries: list[SignInEntry] = []
        try:
            for kind in ("interactiveUser", "nonInteractiveUser"):
                entries += self._sign_ins(
                    "beta", f"{mine} and signInEventTypes/any(t: t eq '{kind}')"
                )
        except AuthError as error:
            if error.cause != "unknown":
                raise
            entries = self._sign_ins("v1.0", mine)
        return sorted(
            entries, key=lambda entry: entry.at or datetime.min.replace(tzinfo=UTC), reverse=True
        )

    def _sign_ins(self, version: str, condition: str) -> list[SignInEntry]:
        """The first sign-ins that meet a condition; a page of them may be empty and yet not the last one."""
        condition = quote(condition, safe="'()/:")
        where = f"$filter={condition}&$top={_SIGN_INS}"
        rows = self._pages(f"{self.cloud.graph}{version}/auditLogs/signIns?{where}")
        return [objects.sign_in(row) for row in islice(rows, _SIGN_INS)]

    def user(self, upn: str) -> DirectoryUser | None:
        """The user with that user principal name, or None if there is none.

        Raises:
            AuthError: it may not be read, or Graph did not answer.
        """
        entity = self._object(f"users/{quote(ascii_form(upn), safe='@')}?$select={_USER}")
        return None if entity is None else objects.user(entity)

    def find_user(self, name: str) -> DirectoryUser | None:
        """The user of that user name or, if there is none, to whose mailbox that address belongs.

        Raises:
            AuthError: it may not be read, or Graph did not answer.
        """
        return self.user(name) or self.user_with_address(name)

    def user_with_address(self, address: str) -> DirectoryUser | None:
        """The user to whose mailbox an address belongs, primary or not, in whatever domain; None if there is none.

        Raises:
            AuthError: it may not be read, or Graph did not answer.
        """
        rows = self._list(f"users?$filter={_has_address(address)}&$select={_USER}")
        return next(map(objects.user, rows), None)

    def groups_of(self, user_id: str) -> set[str]:
        """The ids of the groups whose direct member a user is; nested ones do not count for assignment.

        Raises:
            AuthError: they may not be read, or Graph did not answer.
        """
        rows = self._list(f"users/{quote(user_id, safe='')}/memberOf?$select=id")
        return {str(row.get("id", "")) for row in rows}

    def recipient(self, address: str) -> Recipient | None:
        """The group, distribution list or contact to which an address belongs; None if there is none.

        Raises:
            AuthError: they may not be read, or Graph did not answer.
        """
        has_address = f"$filter={_has_address(address)}"
        properties = "id,displayName,mail,proxyAddresses"
        groups = f"groups?{has_address}&$select={properties},groupTypes,mailEnabled,securityEnabled"
        found = next(map(objects.group, self._list(groups)), None)
        if found is not None:
            return found
        rows = self._list(f"contacts?{has_address}&$select={properties}")
        return next(map(objects.contact, rows), None)

    def is_room(self, address: str) -> bool:
        """Whether an address is that of a room; False also where rooms may not be read.

        Raises:
            AuthError: Graph did not answer.
        """
        try:
            entity = self._object(
                f"places/{quote(ascii_form(address), safe='@')}/microsoft.graph.room"
            )
        except AuthError as error:
            if error.cause != "graph-forbidden":
                raise
            return False
        return entity is not None

    # HTTP

    def _object(self, path: str) -> dict[str, Any] | None:
        """The JSON object at *path*, or None if Graph answers that there is none."""
        entity: dict[str, Any] | None = self._read_once(path, self._get)
        return entity

    def _list(self, path: str) -> list[dict[str, Any]]:
        """The rows of all pages of the list at *path*."""
        return list(self._read_once(path, lambda url: list(self._pages(url))))

    def _read_once(self, path: str, read: Callable[[str], Any]) -> Any:
        with self._lock:  # concurrent checks need the same objects
            if path not in self._replies:
                self._replies[path] = read(f"{self.cloud.graph}v1.0/{path}")
            return self._replies[path]

    def _pages(self, url: str) -> Iterator[dict[str, Any]]:
        """The rows of a list, page by page."""
        graph_host = urlsplit(self.cloud.graph).netloc
        for _page in range(_MAX_PAGES):
            page = self._get(url) or {}
            yield from objects.dicts(page.get("value"))
            url = str(page.get("@odata.nextLink") or "")
            if urlsplit(url).netloc != graph_host:  # never send the token to another host
                return

    def _get(self, url: str) -> dict[str, Any] | None:
        """Request a URL, and return the JSON object of the reply; None if Graph answers that there is none.

        Raises:
            AuthError: it may not be read, or Graph did not answer.
        """
        action = _("Reading from Microsoft Graph")
        authorization = {"Authorization": f"Bearer {self.token.reveal()}"}
        try:
            reply = http.get(self.cloud, url, headers=authorization)
        except HTTPError as failure:
            raise transport_error(failure, action) from None
        return object_from_reply(reply, action)


def object_from_reply(reply: http.Reply, action: str) -> dict[str, Any] | None:
    """The JSON object in Graph's reply; None if Graph answers that there is none.

    Args:
        action: What was tried, as a noun phrase for people.

    Raises:
        AuthError: the reply is an error, with its cause and ids.

    >>> object_from_reply(http.Reply(200, {}, '{"id": "1"}'), "Reading the user")
    {'id': '1'}
    >>> none = '{"error": {"code": "Request_ResourceNotFound", "message": "Resource does not exist …"}}'
    >>> object_from_reply(http.Reply(404, {}, none), "Reading the user")
    >>> refusal = '''{"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges …",
    ...     "innerError": {"date": "2026-11-23T18:00:00", "request-id": "a1b2"}}}'''
    >>> object_from_reply(http.Reply(403, {}, refusal), "Reading the user")
    Traceback (most recent call last):
    msoauth.errors.AuthPermissionError: Reading the user: the signed-in administrator may not read this.
    """
    try:
        body = reply.json()
    except ValueError:
        body = None
    body = body if isinstance(body, dict) else {}
    status = reply.status_code
    if status == HTTPStatus.OK:
        return body
    error = body.get("error")
    error = error if isinstance(error, dict) else {}
    code = error.get("code")
    if status == HTTPStatus.NOT_FOUND and code in ("Request_ResourceNotFound", "ResourceNotFound"):
        return None
    evidence = f"{code or f'HTTP {status}'}: {error.get('message') or responses.get(status, '')}"
    inner_error = error.get("innerError") or error.get("innererror")
    inner_error = inner_error if isinstance(inner_error, dict) else {}
    ids = {
        name: str(inner_error[key])
        for name, key in (
            ("correlation_id", "client-request-id"),
            ("request_id", "request-id"),
            ("timestamp", "date"),
        )
        if inner_error.get(key)
    }
    kind = AuthError
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        kind = AuthPermissionError
        cause, reason = "graph-forbidden", _("the signed-in administrator may not read this")
    elif status == HTTPStatus.TOO_MANY_REQUESTS:
        cause, reason = "throttled", _("too many requests")
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        cause, reason = "service-unavailable", _("a passing fault")
    else:
        cause, reason = explain(evidence).cause, _("it was refused")
    raise kind(
        _("{what}: {why}.").format(what=action, why=reason),
        cause=cause,
        evidence=redact.redact(evidence, 1000),
        ids=ids,
        retriable=cause in ("throttled", "service-unavailable"),
        retry_after=retry_after(reply),
    )

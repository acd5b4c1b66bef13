"""Looks up a tenant's OpenID Connect discovery document, which says where its endpoints are, and reads such replies."""

import re
import threading
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from urllib3.exceptions import HTTPError

from msoauth import clouds
from msoauth.clouds import Cloud
from msoauth.errors import AuthError
from msoauth.identity import http
from msoauth.identity.auth_errors import error_from_reply, transport_error
from msoauth.redact import redact
from msoauth.texts import _

_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_KEEP_SECONDS = 3600.0
_CAUSES: dict[int, str] = {
    HTTPStatus.TOO_MANY_REQUESTS: "throttled",
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "proxy-required",
}
# By the document's address and the cloud's CA file: when it was received (time.monotonic), and its content.
_documents: dict[tuple[str, str | None], tuple[float, dict[str, Any]]] = {}
_documents_lock = threading.Lock()


def configuration(
    cloud: Cloud, tenant: str, *, fresh: bool = False, reply: http.Reply | None = None
) -> dict[str, Any]:
    """The discovery document of a tenant; cached for an hour, unless *fresh*.

    Args:
        reply: The reply of :func:`discovery_url`, if that was just requested.

    Raises:
        AuthError: the tenant does not exist, or the authority cannot be reached.
    """
    url = discovery_url(cloud, tenant)
    with _documents_lock:
        received, document = _documents.get((url, cloud.ca_file), (0.0, None))
    if document and not fresh and time.monotonic() - received < _KEEP_SECONDS:
        return document
    what = _("Looking up the directory {tenant}").format(tenant=tenant)
    try:
        reply = reply or http.get(cloud, url)
    except HTTPError as error:
        raise transport_error(error, what) from None
    document = configuration_from_reply(cloud, reply, what)
    with _documents_lock:
        _documents[url, cloud.ca_file] = (time.monotonic(), document)
    return document


def tenant_id(document: Mapping[str, Any]) -> str:
    """The directory (tenant) ID in a discovery document, in lower case; empty if it is for any directory."""
    names = (str(document.get(entry, "")) for entry in ("issuer", "token_endpoint"))
    return next((match[0].lower() for name in names if (match := _GUID.search(name))), "")


def discovery_url(cloud: Cloud, tenant: str) -> str:
    """The URL of a tenant's discovery document."""
    return f"{cloud.authority}{tenant}/v2.0/.well-known/openid-configuration"


def configuration_from_reply(cloud: Cloud, reply: http.Reply, what: str) -> dict[str, Any]:
    """The discovery document in a reply from :func:`discovery_url`.

    Args:
        what: What was tried, as a noun phrase for people.

    Raises:
        AuthError: the tenant does not exist, or the answer is no such document.

    >>> document = '''{"issuer": "https://login.microsoftonline.com/5d1e8d5c-1b1f-4c0a-9d0c-1f2e3d4c5b6a/v2.0",
    ...     "authorization_endpoint": "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/authorize",
    ...     "token_endpoint": "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token"}'''
    >>> tenant_id(configuration_from_reply(clouds.GLOBAL, http.Reply(200, {}, document), "Looking it up"))
    '5d1e8d5c-1b1f-4c0a-9d0c-1f2e3d4c5b6a'
    """
    answer = json_from_reply(reply, what)
    if "error" in answer or "authorization_endpoint" not in answer:
        raise error_from_reply(answer, what)
    _refuse_other_hosts(cloud, answer, what)
    return answer


def _refuse_other_hosts(cloud: Cloud, document: Mapping[str, Any], what: str) -> None:
    """Refuse a document that would have secrets sent to a host that nobody has seen.

    Microsoft's clouds may name one another's: a tenant of the US government asked for at the global host is one.
    """
    known = {cloud.host, *(other.host for other in clouds.BY_NAME.values() if cloud.is_microsoft)}
    for entry in ("token_endpoint", "device_authorization_endpoint"):
        host = clouds.host_of(str(document.get(entry) or cloud.authority))
        if host not in known:
            raise AuthError(
                _(
                    "{what}: the sign-in service names another host ({host}) for tokens. Nothing was sent there."
                ).format(what=what, host=host[:200])
            )


def json_from_reply(reply: http.Reply, what: str) -> dict[str, Any]:
    """The JSON object in the authority's reply, even an OAuth error, unless the status is 429 or 5xx.

    Raises:
        AuthError: the reply is not JSON (a proxy's page, say), or it is 429 or 5xx, in whatever form.

    >>> json_from_reply(http.Reply(400, {}, '{"error": "invalid_grant"}'), "Asking for a token")
    {'error': 'invalid_grant'}
    >>> try:
    ...     json_from_reply(http.Reply(429, {"Retry-After": "7"}, "Too Many Requests"), "Asking for a token")
    ... except AuthError as error:
    ...     print(error.cause, error.retriable, error.retry_after)
    throttled True 7.0
    """
    try:
        data = reply.json()
    except ValueError:
        data = None
    status = reply.status_code
    outage = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS
    if isinstance(data, dict) and not outage:
        return data
    default_cause = "service-unavailable" if outage else "unknown"
    cause = _CAUSES.get(status, default_cause)
    if isinstance(data, dict) and "error" in data:
        error = error_from_reply(data, what)
        error.cause = cause if error.cause == "unknown" else error.cause
    else:
        template = (
            _("{what}: the sign-in service is busy or down (HTTP {status}); try again later.")
            if outage
            else _("{what}: the answer (HTTP {status}) is not what a sign-in service sends.")
        )
        evidence = redact(reply.text, 500)
        error = AuthError(template.format(what=what, status=status), cause=cause, evidence=evidence)
    error.retriable, error.retry_after = outage, retry_after(reply)
    raise error


def retry_after(reply: http.Reply) -> float | None:
    """The seconds to wait by the Retry-After header, which may also be a date (RFC 9110); None without one."""
    text = reply.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None

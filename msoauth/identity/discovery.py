"""Looks up a tenant's OpenID Connect discovery document, which says where its endpoints are, and reads such replies."""

import threading
import time
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from msoauth.clouds import Cloud
from msoauth.errors import AuthError
from msoauth.identity import http
from msoauth.identity.auth_errors import error_from_reply, transport_error
from msoauth.redact import redact
from msoauth.texts import _

_KEEP_SECONDS = 3600.0
# By the document's address and the cloud's CA file: when it came (time.monotonic), and what it says.
_documents: dict[tuple[str, str | None], tuple[float, dict[str, Any]]] = {}
_documents_lock = threading.Lock()


def configuration(cloud: Cloud, tenant: str, *, fresh: bool = False) -> dict[str, Any]:
    """The discovery document of a tenant; kept for an hour, unless *fresh*.

    Raises:
        AuthError: the tenant does not exist, or the authority cannot be reached.
    """
    url = discovery_url(cloud, tenant)
    with _documents_lock:
        received, document = _documents.get((url, cloud.ca_file), (0.0, None))
    if document and not fresh and time.monotonic() - received < _KEEP_SECONDS:
        return document
    what = _("Looking up the directory {tenant}").format(tenant=tenant)
    with http.session(cloud) as session:
        try:
            reply = session.get(url)
        except requests.RequestException as problem:
            raise transport_error(problem, what) from None
    return configuration_from_reply(cloud, tenant, reply)


def discovery_url(cloud: Cloud, tenant: str) -> str:
    """Where the discovery document of a tenant is."""
    return f"{cloud.authority}{tenant}/v2.0/.well-known/openid-configuration"


def configuration_from_reply(cloud: Cloud, tenant: str, reply: http.AnyReply) -> dict[str, Any]:
    """The discovery document in a reply from :func:`discovery_url`; kept from now on.

    Raises:
        AuthError: the tenant does not exist, or the answer is no such document.
    """
    what = _("Looking up the directory {tenant}").format(tenant=tenant)
    answer = json_from_reply(reply, what)
    if "error" in answer or "authorization_endpoint" not in answer:
        raise error_from_reply(answer, what)
    with _documents_lock:
        _documents[discovery_url(cloud, tenant), cloud.ca_file] = (time.monotonic(), answer)
    return answer


def json_from_reply(reply: http.AnyReply, what: str) -> dict[str, Any]:
    """The JSON object in the authority's reply; one with ``error`` in it too, unless it is 429 or 5xx.

    Raises:
        AuthError: the reply is not JSON (a proxy's page, say), or it is 429 or 5xx, in whatever form.
    """
    try:
        answer = reply.json()
    except ValueError:
        answer = None
    status = reply.status_code
    outage = status >= 500 or status == 429
    if isinstance(answer, dict) and not outage:
        return answer
    otherwise = "service-unavailable" if outage else "unknown"
    cause = {429: "throttled", 407: "proxy-required"}.get(status, otherwise)
    if isinstance(answer, dict) and "error" in answer:
        error = error_from_reply(answer, what)
        error.cause = cause if error.cause == "unknown" else error.cause
    else:
        said = (
            _("{what}: the sign-in service is busy or down (HTTP {status}); try again later.")
            if outage
            else _("{what}: the answer (HTTP {status}) is not what a sign-in service sends.")
        )
        evidence = redact(reply.text[:500])
        error = AuthError(said.format(what=what, status=status), cause=cause, evidence=evidence)
    error.retriable, error.retry_after = outage, retry_after(reply)
    raise error


def retry_after(reply: http.AnyReply) -> float | None:
    """The seconds of a Retry-After header, which may also name a date (RFC 9110)."""
    text = reply.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None

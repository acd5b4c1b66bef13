"""Asks the authority, without any user, whether the directory, the app, its secret and its redirect URI exist."""

import re
import secrets
from html import unescape
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from urllib3.exceptions import HTTPError

from msoauth.clouds import Cloud
from msoauth.errors import AuthError
from msoauth.explaining import explain
from msoauth.identity import http
from msoauth.identity.auth_errors import as_auth_errors, error_from_reply, ids_of, transport_error
from msoauth.identity.client import Client
from msoauth.identity.discovery import (
    configuration,
    json_from_reply,
    tenant_id,
)
from msoauth.model import Firm
from msoauth.redact import redact
from msoauth.store import Secret
from msoauth.texts import _

_TAGS = re.compile(
    r"<(?:script|style)\b.{0,20000}?</(?:script|style)>|<[^>]{0,2000}>", re.IGNORECASE | re.DOTALL
)


_REDIRECTIONS = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)


def discover(cloud: Cloud, tenant: str, reply: http.Reply | None = None) -> str:
    """Look up the directory (tenant) ID of a tenant by its ID or one of its domains.

    Args:
        reply: The reply of :func:`discovery_url`, if that was just requested; None to request it now.

    Raises:
        AuthError: there is no such directory in this cloud, or the authority cannot be reached.
    """
    return tenant_id(configuration(cloud, tenant, fresh=True, reply=reply)) or tenant


def client_credentials_probe(firm: Firm, secret: Secret | None) -> None:
    """Check that the app exists and that its secret is accepted, by asking for a token of the app itself.

    Such a token needs no permission. Without a secret a device code is asked for, which an unknown app does not get.

    Raises:
        AuthError: the app is unknown or disabled, or its secret is wrong or expired.
    """
    what = _("Checking the application")
    app = Client(firm, secret).app
    with as_auth_errors(what):
        reply: dict[str, Any] = (
            app.initiate_device_flow([firm.cloud.scope("SMTP.Send")])
            if secret is None
            else app.acquire_token_for_client([firm.cloud.app_scope])
        )
    if "user_code" in reply or "access_token" in reply:
        return
    error = error_from_reply(reply, what)
    if error.cause not in _CAUSES_AFTER_THE_SECRET:
        raise error


# Entra refuses for one of these only after it accepted the secret; what is missing matters to app-only access alone.
_CAUSES_AFTER_THE_SECRET = frozenset(
    {
        *("permission-not-registered", "resource-missing"),
        *("admin-consent-required", "consent-required"),
    }
)


def redirect_probe(firm: Firm) -> None:
    """Check the redirect URI, by asking for a sign-in without any user (``prompt=none``).

    A registered URI is redirected to, with an error; an unknown one is refused on a page.

    Raises:
        AuthError: the redirect URI, the app or the directory was refused.
    """
    what = _("Checking the redirect URI {uri}").format(uri=firm.redirect_uri)
    endpoint = configuration(firm.cloud, firm.tenant)["authorization_endpoint"]
    if endpoint.startswith("/"):  # a path on Binder's proxy, which only a browser can follow
        endpoint = f"{firm.authority}/oauth2/v2.0/authorize"
    state = secrets.token_urlsafe(12)
    parameters = {
        "client_id": firm.client_id,
        "response_type": "code",
        "redirect_uri": firm.redirect_uri,
        "scope": f"{firm.cloud.scope('SMTP.Send')} offline_access",
        "response_mode": "query",
        "prompt": "none",
        "state": state,
        "code_challenge": secrets.token_urlsafe(32),
        "code_challenge_method": "S256",
    }
    try:
        reply = http.get(firm.cloud, endpoint, params=parameters)
    except HTTPError as error:
        raise transport_error(error, what) from None
    check_redirection(reply, what)


def check_redirection(reply: http.Reply, what: str) -> None:
    """Check that the reply to :func:`redirect_probe` proves that the redirect URI is registered.

    Args:
        what: What was tried, as a noun phrase for people.

    Raises:
        AuthError: the redirect URI, the app or the directory was refused.

    >>> location = "http://localhost/?error=login_required&error_description=AADSTS50058&state=s"
    >>> check_redirection(http.Reply(302, {"Location": location}, ""), "Checking the redirect URI")
    >>> page = "<p>AADSTS50011: The redirect URI 'http://localhost' specified in the request does not match …</p>"
    >>> try:
    ...     check_redirection(http.Reply(200, {}, page), "Checking the redirect URI")
    ... except AuthError as error:
    ...     print(error.cause)
    redirect-mismatch
    """
    if reply.status_code in _REDIRECTIONS and "Location" in reply.headers:
        answer = {k: v[0] for k, v in parse_qs(urlsplit(reply.headers["Location"]).query).items()}
        # Nobody is signed in: exactly that answer, at our own address, proves that the address is registered.
        if (
            answer.get("error") in ("login_required", "interaction_required", "consent_required")
            or "code" in answer
        ):
            return
        raise error_from_reply(answer, what)
    if reply.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status_code in (
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
        HTTPStatus.TOO_MANY_REQUESTS,
    ):
        json_from_reply(reply, what)
    page = redact(" ".join(unescape(_TAGS.sub(" ", reply.text)).split()), 200_000)
    match = re.search(r"AADSTS\d{4,9}\b.{0,600}", page)
    text = match[0] if match else page[:600]
    explanation = explain(text)
    raise AuthError(
        _("{what}: {title}.").format(what=what, title=explanation.title.rstrip(".")),
        cause=explanation.cause,
        evidence=text,
        ids=ids_of({}, page),
    )

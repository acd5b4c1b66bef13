"""Turns a sign-in service's error replies, and requests that got no reply, into an AuthError with its cause."""

import json
import re
import socket
import ssl
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from urllib3 import exceptions

from msoauth.errors import AuthConnectionError, AuthError, AuthTimeoutError
from msoauth.explaining import explain
from msoauth.redact import remember
from msoauth.texts import _

# Texts and numbers change without notice; only `error` is a contract (entra-docs: reference-error-codes.md).
_TEMPORARY = frozenset({"temporarily_unavailable", "server_error", "service_unavailable"})
_TEMPORARY_CAUSES = frozenset({"service-unavailable", "throttled"})
_ID = re.compile(
    r"(Trace ID|Correlation ID|Timestamp): ?([0-9A-Za-z:. -]{19,40}?)(?=\s*(?:Trace ID|Correlation ID|Timestamp|$|\r|\n|\.))"
)


def error_from_reply(answer: Mapping[str, Any], what: str) -> AuthError:
    """The AuthError for an OAuth error reply, with the cause that its text shows.

    Args:
        answer: The token endpoint's JSON, or the query of a redirect.
        what: What was tried, as a clause for people.

    >>> answer = {
    ...     "error": "invalid_grant",
    ...     "error_description": "AADSTS50173: The provided grant has expired due to it being revoked, a fresh auth token is "
    ...     "needed. Trace ID: 0b9c7c3e-0000-4000-8000-000000000000 Correlation ID: 4c6b2f10-0000-4000-8000-000000000000",
    ...     "error_codes": [50173],
    ... }
    >>> error = error_from_reply(answer, "Renewing the token")
    >>> error.cause, error.retriable, sorted(error.ids)
    ('refresh-revoked', False, ['correlation_id', 'trace_id'])
    """
    description = str(answer.get("error_description") or answer.get("error") or "")
    code = str(answer.get("error", ""))
    explanation = explain(f"{code}: {description}")
    cause = explanation.cause
    if cause == "unknown" and code in ("access_denied", "authorization_declined"):
        cause = "consent-declined"
    claims = answer.get("claims")
    return AuthError(
        _("{what}: {title}.").format(what=what, title=explanation.title.rstrip(".")),
        cause=cause,
        evidence=description,
        ids=ids_of(answer, description),
        retriable=code in _TEMPORARY or cause in _TEMPORARY_CAUSES,
        # A JSON text, in some captures an object (facts B2).
        claims=json.dumps(claims)
        if isinstance(claims, dict)
        else claims
        if isinstance(claims, str)
        else None,
    )


def ids_of(answer: Mapping[str, Any], description: str) -> dict[str, str]:
    """The trace id, correlation id and timestamp, from the JSON's own keys or else from the description."""
    ids = {
        key: str(answer[key])
        for key in ("correlation_id", "trace_id", "timestamp")
        if answer.get(key)
    }
    for name, value in _ID.findall(description):
        ids.setdefault(name.lower().replace(" ", "_"), value.strip())
    return ids


def transport_error(error: exceptions.HTTPError, what: str) -> AuthError:
    """The error for a request that got no reply, with the cause that its exception shows.

    Args:
        what: What was tried, as a noun phrase for people.
    """
    auth_error = getattr(error, "error", None)
    if isinstance(auth_error, AuthError):  # a reply that was read already (OutageError)
        return auth_error
    kind, cause, why = _why_no_reply(error)
    details = {}
    if isinstance(error, exceptions.ProxyError):
        says = _what_the_proxy_says(error)
        why, details = _proxy_reasons()[says], {"proxy_says": says}
        if proxy := getattr(error, "proxy", ""):
            why, details["proxy"] = f"{why} ({proxy})", proxy
    texts = [str(e) for e in chain(error)]
    text = texts[0] if len(texts[0]) < 500 else texts[-1]
    return kind(
        _("{what}: {why}.").format(what=what, why=why),
        cause=cause,
        evidence=text,
        retriable=cause == "connect-timeout",
        details=details,
    )


_PROXY_STATUS = re.compile(r"Tunnel connection failed: (\d{3})")


def _what_the_proxy_says(error: exceptions.ProxyError) -> str:
    """What came of the proxy: ``407``, ``dead``, ``socks``, ``socks-package``, another status, or ``refused``."""
    causes = list(chain(error))
    if any(isinstance(e, ImportError) for e in causes):
        return "socks-package"
    status = next((m[1] for e in causes if (m := _PROXY_STATUS.search(str(e)))), "")
    if status:
        return status
    # PySocks raises these where the proxy answered and did not connect (its other ones say that nothing answered).
    if any(type(e).__name__ in ("SOCKS5AuthError", "SOCKS5Error", "SOCKS4Error") for e in causes):
        return "socks"
    lost = (ConnectionError, TimeoutError, socket.gaierror, exceptions.ConnectTimeoutError)
    refused = (exceptions.NewConnectionError, *lost)
    return "dead" if any(isinstance(e, refused) for e in causes) else "refused"


def _proxy_reasons() -> Mapping[str, str]:
    reasons = {
        "407": _("the proxy wants to be signed in to"),
        "dead": _("the proxy does not answer"),
        "socks": _("the SOCKS proxy did not make the connection"),
        "socks-package": _("a SOCKS proxy needs the Python package PySocks"),
    }
    return defaultdict(lambda: _("the proxy refused it"), reasons)


def _why_no_reply(error: exceptions.HTTPError) -> tuple[type[AuthError], str, str]:
    """The kind, the cause, and the reason for people; by types alone, because systems word their errors in their own language."""
    found = tuple(type(e) for e in chain(error))

    def has(*kinds: type[BaseException]) -> bool:
        return any(issubclass(kind, kinds) for kind in found)

    match error:
        case exceptions.ProxyError():
            return AuthConnectionError, "proxy-required", _("the proxy refused it")
        case exceptions.SSLError():
            untrusted = has(ssl.SSLCertVerificationError)
            cause = "tls-untrusted" if untrusted else "tls-failed"
            return AuthError, cause, _("the TLS connection failed")
        case exceptions.NameResolutionError():
            return AuthConnectionError, "dns-failed", _("its name does not resolve")
        case exceptions.NewConnectionError() if has(ConnectionRefusedError):
            return AuthConnectionError, "connect-refused", _("the port refuses connections")
        case exceptions.NewConnectionError():
            return AuthConnectionError, "connect-timeout", _("the server could not be reached")
        case exceptions.TimeoutError():
            return AuthTimeoutError, "connect-timeout", _("nothing answered in time")
        case exceptions.ProtocolError():
            return AuthConnectionError, "tls-failed", _("the connection was cut off")
    return AuthError, "unknown", _("the request failed")


def chain(error: BaseException) -> Iterator[BaseException]:
    """*error* and the exceptions that it was raised for, from the outermost to the innermost."""
    current: BaseException | None = error
    for _depth in range(9):
        if current is None:
            return
        yield current
        inner = (getattr(current, "reason", None), *current.args[::-1])
        wrapped = next((e for e in inner if isinstance(e, BaseException)), None)
        current = wrapped or current.__cause__ or current.__context__


def unreadable_reply(what: str, error: Exception | None = None) -> AuthError:
    """The error for a reply in which there is no token that can be read."""
    return AuthError(
        _("{what}: the answer holds no token that can be read.").format(what=what),
        evidence=type(error).__name__ if error else "",
    )


@contextmanager
def as_auth_errors(what: str) -> Iterator[None]:
    """Turn what msal raises for a token request inside the block into an AuthError.

    Args:
        what: What was tried, as a noun phrase for people.
    """
    try:
        yield
    except exceptions.HTTPError as error:
        raise transport_error(error, what) from None
    except (ValueError, LookupError, TypeError) as error:
        raise unreadable_reply(what, error) from None


def access_token_in(reply: Mapping[str, Any], what: str) -> str:
    """The access token in a token endpoint's reply; its tokens are redacted wherever they turn up from now on.

    Raises:
        AuthError: the reply is an error, or holds no access token.
    """
    if "error" in reply:
        raise error_from_reply(reply, what)
    token = reply.get("access_token")
    if not isinstance(token, str):
        raise unreadable_reply(what)
    remember(token, reply.get("refresh_token"), reply.get("id_token"))
    return token

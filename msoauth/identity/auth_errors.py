"""Turns a sign-in service's error replies, and requests that got no reply, into an AuthError with its cause."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests

from msoauth.errors import AuthError
from msoauth.explaining import explain
from msoauth.redact import redact, remember
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
    """
    description = str(answer.get("error_description") or answer.get("error") or "")
    evidence = redact(description)
    code = str(answer.get("error", ""))
    explanation = explain(f"{code}: {description}")
    cause = explanation.cause
    if cause == "unknown" and code in ("access_denied", "authorization_declined"):
        cause = "consent-declined"
    claims = answer.get("claims")
    return AuthError(
        _("{what}: {title}.").format(what=what, title=explanation.title.rstrip(".")),
        cause=cause,
        evidence=evidence[:4000],
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


def transport_error(error: requests.RequestException, what: str) -> AuthError:
    """The error for a request that got no reply, with the cause that its exception shows.

    Args:
        what: What was tried, as a noun phrase for people.
    """
    auth_error = getattr(error, "error", None)
    if isinstance(auth_error, AuthError):  # a reply that was read already (OutageError)
        return auth_error
    text = redact(_error_text(error))
    exceptions = requests.exceptions
    # Tried in order: the type of the exception, and a pattern in its text.
    cases: tuple[tuple[type[Exception], str, str, str], ...] = (
        (exceptions.ProxyError, "", "proxy-required", _("the proxy refused it")),
        (exceptions.SSLError, "certificate.*verify|verify.*certificate", "tls-untrusted", _("the TLS connection failed")),
        (exceptions.SSLError, "", "tls-failed", _("the TLS connection failed")),
        (exceptions.Timeout, "", "connect-timeout", _("nothing answered in time")),
        (exceptions.ConnectionError, _UNRESOLVED, "dns-failed", _("its name does not resolve")),
        (exceptions.ConnectionError, "refused|10061", "connect-refused", _("the port refuses connections")),
        (exceptions.ConnectionError, _CUT_OFF, "tls-failed", _("the connection was cut off")),
        (exceptions.ConnectionError, "", "connect-timeout", _("the server could not be reached")),
        (Exception, "", "unknown", _("the request failed")),
    )  # fmt: skip
    cause, why = next(
        (cause, why)
        for kind, pattern, cause, why in cases
        if isinstance(error, kind) and re.search(pattern, text, re.IGNORECASE | re.DOTALL)
    )
    return AuthError(
        _("{what}: {why}.").format(what=what, why=why),
        cause=cause,
        evidence=text[:1000],
        retriable=cause == "connect-timeout",
    )


_UNRESOLVED = "resolve|getaddrinfo|name or service|nodename|no address associated"
_CUT_OFF = "reset|aborted|closed|eof|disconnect"


def _error_text(error: BaseException) -> str:
    """The text of *error* or, where that is long, of the innermost exception that requests and urllib3 wrapped in it."""
    texts = [str(error)]
    current: BaseException | None = error
    while current is not None:
        reason = getattr(current, "reason", None) or (current.args[0] if current.args else None)
        current = (
            reason
            if isinstance(reason, BaseException)
            else current.__cause__ or current.__context__
        )
        if current is not None:
            texts.append(str(current))
        if len(texts) > 8:
            break
    return texts[0] if len(texts[0]) < 500 else texts[-1]


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
    except requests.RequestException as error:
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

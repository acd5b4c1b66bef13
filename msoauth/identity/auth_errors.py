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
    """The error for a reply with ``error`` in it.

    Args:
        answer: The token endpoint's JSON, or the query of a redirect.
        what: What was tried, as a clause for people.
    """
    description = str(answer.get("error_description") or answer.get("error") or "")
    evidence = redact(description)
    code = str(answer.get("error", ""))
    known = explain(f"{code}: {description}")
    cause = known.cause
    if cause == "unknown" and code in ("access_denied", "authorization_declined"):
        cause = "consent-declined"
    claims = answer.get("claims")
    return AuthError(
        _("{what}: {title}.").format(what=what, title=known.title.rstrip(".")),
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
    """Trace id, correlation id and timestamp: of the JSON's own keys, else out of the text."""
    ids = {
        key: str(answer[key])
        for key in ("correlation_id", "trace_id", "timestamp")
        if answer.get(key)
    }
    for name, value in _ID.findall(description):
        ids.setdefault(name.lower().replace(" ", "_"), value.strip())
    return ids


def transport_error(problem: requests.RequestException, what: str) -> AuthError:
    """The error for a request that got no reply, with the cause that its exception shows.

    Args:
        what: What was tried, as a noun phrase for people.
    """
    said = getattr(problem, "error", None)
    if isinstance(said, AuthError):  # a reply that was read already (OutageError)
        return said
    words = redact(_innermost(problem))
    raised = requests.exceptions
    # The first whose type and pattern fit.
    cases: tuple[tuple[type[Exception], str, str, str], ...] = (
        (raised.ProxyError, "", "proxy-required", _("the proxy refused it")),
        (raised.SSLError, "certificate.*verify|verify.*certificate", "tls-untrusted", _("the TLS connection failed")),
        (raised.SSLError, "", "tls-failed", _("the TLS connection failed")),
        (raised.Timeout, "", "connect-timeout", _("nothing answered in time")),
        (raised.ConnectionError, _UNRESOLVED, "dns-failed", _("its name does not resolve")),
        (raised.ConnectionError, "refused|10061", "connect-refused", _("the port refuses connections")),
        (raised.ConnectionError, _CUT_OFF, "tls-failed", _("the connection was cut off")),
        (raised.ConnectionError, "", "connect-timeout", _("the server could not be reached")),
        (Exception, "", "unknown", _("the request failed")),
    )  # fmt: skip
    cause, why = next(
        (cause, why)
        for kind, pattern, cause, why in cases
        if isinstance(problem, kind) and re.search(pattern, words, re.IGNORECASE | re.DOTALL)
    )
    return AuthError(
        _("{what}: {why}.").format(what=what, why=why),
        cause=cause,
        evidence=words[:1000],
        retriable=cause == "connect-timeout",
    )


_UNRESOLVED = "resolve|getaddrinfo|name or service|nodename|no address associated"
_CUT_OFF = "reset|aborted|closed|eof|disconnect"


def _innermost(problem: BaseException) -> str:
    """The last of the nested causes that requests and urllib3 wrap around one another."""
    texts = [str(problem)]
    seen: BaseException | None = problem
    while seen is not None:
        reason = getattr(seen, "reason", None) or (seen.args[0] if seen.args else None)
        seen = reason if isinstance(reason, BaseException) else seen.__cause__ or seen.__context__
        if seen is not None:
            texts.append(str(seen))
        if len(texts) > 8:
            break
    return texts[0] if len(texts[0]) < 500 else texts[-1]


def unreadable_reply(what: str, problem: Exception | None = None) -> AuthError:
    """The error for a reply in which there is no token that can be read."""
    return AuthError(
        _("{what}: the answer holds no token that can be read.").format(what=what),
        evidence=type(problem).__name__ if problem else "",
    )


@contextmanager
def as_auth_errors(what: str) -> Iterator[None]:
    """Turn what msal raises for a token request inside the block into an AuthError.

    Args:
        what: What was tried, as a noun phrase for people.
    """
    try:
        yield
    except requests.RequestException as problem:
        raise transport_error(problem, what) from None
    except (ValueError, LookupError, TypeError) as problem:
        raise unreadable_reply(what, problem) from None


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

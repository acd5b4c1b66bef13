"""What a request means that got no answer: which link is broken between here and the sign-in service."""

import requests

from msoauth.errors import AuthError
from msoauth.redact import redact
from msoauth.texts import _


def unanswered(problem: requests.RequestException, what: str) -> AuthError:
    """What a failed request means, as an error with its cause.

    Args:
        what: What was tried, as a noun phrase for people.
    """
    said = getattr(problem, "error", None)
    if isinstance(said, AuthError):  # an answer that was judged already
        return said
    words = redact(_innermost(problem))
    causes: tuple[tuple[type[BaseException], str, str], ...] = (
        (requests.exceptions.ProxyError, "proxy-required", _("the proxy refused it")),
        (requests.exceptions.SSLError, "tls", _("the TLS connection failed")),
        (requests.exceptions.Timeout, "connect-timeout", _("nothing answered in time")),
        (requests.exceptions.ConnectionError, "connection", _("the server could not be reached")),
    )
    cause, why = "unknown", _("the request failed")
    for kind, name, sentence in causes:
        if isinstance(problem, kind):
            cause, why = name, sentence
            break
    lower = words.lower()
    if cause == "tls":
        cause = "tls-untrusted" if "certificate" in lower and "verify" in lower else "tls-failed"
    elif cause == "connection":
        if any(
            hint in lower
            for hint in (
                "resolve",
                "getaddrinfo",
                "name or service",
                "nodename",
                "no address associated",
            )
        ):
            cause, why = "dns-failed", _("its name does not resolve")
        elif any(hint in lower for hint in ("refused", "10061")):
            cause, why = "connect-refused", _("the port refuses connections")
        elif any(hint in lower for hint in ("reset", "aborted", "closed", "eof", "disconnect")):
            cause, why = "tls-failed", _("the connection was cut off")
        else:
            cause = "connect-timeout"
    return AuthError(
        _("{what}: {why}.").format(what=what, why=why),
        cause=cause,
        evidence=words[:1000],
        retriable=cause in _PASSING,
    )


_PASSING = frozenset({"connect-timeout"})


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

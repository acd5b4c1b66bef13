"""The authority's refusals, as errors that carry their cause."""

import json
import re
from collections.abc import Mapping
from typing import Any

from msoauth.errors import AuthError
from msoauth.explaining import explain
from msoauth.redact import redact
from msoauth.texts import _

# Texts and numbers change without notice; only `error` is a contract (entra-docs: reference-error-codes.md).
_TEMPORARY = frozenset({"temporarily_unavailable", "server_error", "service_unavailable"})
_TEMPORARY_CAUSES = frozenset({"service-unavailable", "throttled"})
_ID = re.compile(
    r"(Trace ID|Correlation ID|Timestamp): ?([0-9A-Za-z:. -]{19,40}?)(?=\s*(?:Trace ID|Correlation ID|Timestamp|$|\r|\n|\.))"
)


def refusal(answer: Mapping[str, Any], what: str) -> AuthError:
    """The error for an answer with ``error`` in it.

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

"""Entra's refusals as one exception: AADSTS number, OAuth error value and text, out of refusals.toml (facts D)."""

import tomllib
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Self
from uuid import uuid4

from msoauth.practice.conditional_access import AppliedPolicy, SignInFacts
from msoauth.practice.registrations import guid

# Throttling and outages; everything else is 400, or 401 for the client itself (facts B2).
_UNAVAILABLE = {"temporarily_unavailable": 503, "server_error": 500}


@cache
def _texts() -> dict[int, dict[str, Any]]:
    text = files("msoauth.practice.entra").joinpath("refusals.toml").read_text(encoding="utf-8")
    return {int(number): row for number, row in tomllib.loads(text).items()}


def meaning(number: int) -> str | None:
    """The text of an AADSTS number with its placeholders; None for an unknown number."""
    row = _texts().get(number)
    return f"AADSTS{number}: {row['text'].replace('{{', '{').replace('}}', '}')}" if row else None


def stamp(moment: float) -> str:
    """A moment as the texts write it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


class RefusalError(Exception):
    """A request that Entra refuses, under its AADSTS number.

    Attributes:
        error: The OAuth error value.
        page_only: Shown in the browser and never sent to the app (facts B4).
        claims: The claims challenge of a Conditional Access policy, as a JSON string; or empty.
        user: The user name, where the request told it.
        sign_in: What policies looked at, where it came so far.
        applied: What each policy said.
    """

    def __init__(
        self, number: int, *, error: str = "", text: str = "", claims: str = "", **values: object
    ) -> None:
        row = _texts()[number]
        self.number = number
        self.error: str = error or row["error"]
        self.suberror: str = row.get("suberror", "")
        self.page_only: bool = row.get("page", False)
        self.claims = claims
        self.user = ""
        self.sign_in: SignInFacts | None = None
        self.applied: tuple[AppliedPolicy, ...] = ()
        self.text = f"AADSTS{number}: {text or row['text'].format(**values)}"
        super().__init__(self.text)

    def after(self, sign_in: SignInFacts, applied: tuple[AppliedPolicy, ...]) -> Self:
        """The same refusal, with what policies said before it."""
        self.sign_in, self.applied = sign_in, applied
        return self

    @property
    def status(self) -> int:
        """The HTTP status (facts B2)."""
        return 401 if self.error == "invalid_client" else _UNAVAILABLE.get(self.error, 400)

    def as_json(self, now: datetime, correlation_id: str = "") -> dict[str, Any]:
        """The answer of the token endpoint (facts B2), with new ids; since 2023, blanks separate them in the text.

        Args:
            correlation_id: The client's own ``client-request-id``, or empty. That it comes back is unverified.
        """
        trace_id, correlation = str(uuid4()), guid(correlation_id) or str(uuid4())
        stamp = now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        answer: dict[str, Any] = {
            "error": self.error,
            "error_description": f"{self.text} Trace ID: {trace_id} Correlation ID: {correlation} Timestamp: {stamp}",
            "error_codes": [self.number],
            "timestamp": stamp,
            "trace_id": trace_id,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.number}",
        }
        if self.suberror:
            answer["suberror"] = self.suberror
        if self.claims:
            answer["claims"] = self.claims
        return answer

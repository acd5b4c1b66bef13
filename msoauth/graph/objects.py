"""Parses Graph's JSON into dataclasses; any property may be absent (facts G2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class SecretEntry:
    """An entry of *Certificates & secrets*.

    Attributes:
        hint: The first three characters of the value, by which one sees which secret is in use.
        ends: Its end, UTC, or None.
    """

    key_id: str
    name: str
    hint: str
    ends: datetime | None


@dataclass(frozen=True, slots=True)
class Application:
    """An app registration, as far as mail is concerned.

    Attributes:
        required: *API permissions*, a wish list: (resource app id, permission id, ``Scope`` or ``Role``).
        public_client_flows: *Allow public client flows*; absent counts as No.
    """

    object_id: str
    name: str
    audience: str
    web: tuple[str, ...]
    public: tuple[str, ...]
    spa: tuple[str, ...]
    public_client_flows: bool
    required: frozenset[tuple[str, str, str]]
    secrets: tuple[SecretEntry, ...]
    disabled_by_microsoft: str


@dataclass(frozen=True, slots=True)
class ServicePrincipal:
    """An enterprise application."""

    object_id: str
    name: str
    enabled: bool
    assignment_required: bool


@dataclass(frozen=True, slots=True)
class Grant:
    """A consent: by an administrator for everybody (``principal_id`` empty), or of one user."""

    principal_id: str
    resource_id: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Assigned:
    """Who is assigned to an enterprise application: a ``User`` or a ``Group``."""

    principal_id: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class DirectoryUser:
    """A user of the directory.

    Attributes:
        addresses: Mail address and proxy addresses, in lower case.
        exchange: Whether an Exchange Online plan is enabled; None when Graph does not say.
    """

    id: str
    upn: str
    enabled: bool
    addresses: frozenset[str]
    exchange: bool | None


@dataclass(frozen=True, slots=True)
class SignInEntry:
    """A line of the sign-in log.

    Attributes:
        code: The AADSTS number; 0 when it succeeded.
        reason: Microsoft's words, without the number.
    """

    user: str
    code: int
    reason: str
    at: datetime | None
    correlation_id: str


def application(found: Mapping[str, Any]) -> Application:
    """An app registration out of its JSON."""

    def uris(platform: str) -> tuple[str, ...]:
        part = found.get(platform)
        listed = part.get("redirectUris") if isinstance(part, dict) else None
        return tuple(map(str, listed)) if isinstance(listed, list) else ()

    return Application(
        object_id=str(found.get("id", "")),
        name=str(found.get("displayName") or ""),
        audience=str(found.get("signInAudience") or ""),
        web=uris("web"),
        public=uris("publicClient"),
        spa=uris("spa"),
        public_client_flows=found.get("isFallbackPublicClient") is True,
        required=frozenset(
            (str(of.get("resourceAppId", "")), str(one.get("id", "")), str(one.get("type", "")))
            for of in dicts(found.get("requiredResourceAccess"))
            for one in dicts(of.get("resourceAccess"))
        ),
        secrets=tuple(
            SecretEntry(
                str(entry.get("keyId", "")),
                str(entry.get("displayName") or ""),
                str(entry.get("hint") or ""),
                parse_time(entry.get("endDateTime")),
            )
            for entry in dicts(found.get("passwordCredentials"))
        ),
        disabled_by_microsoft=str(found.get("disabledByMicrosoftStatus") or ""),
    )


def user(found: Mapping[str, Any]) -> DirectoryUser:
    """A user out of its JSON."""
    addresses = {str(found.get("mail") or "").lower()}
    listed = found.get("proxyAddresses")
    for entry in listed if isinstance(listed, list) else ():
        kind, _colon, address = str(entry).partition(":")
        if kind.lower() == "smtp":
            addresses.add(address.lower())
    plans = found.get("assignedPlans")
    exchange = None
    if isinstance(plans, list):
        exchange = any(
            str(plan.get("service", "")).lower() == "exchange"
            and plan.get("capabilityStatus") == "Enabled"
            for plan in dicts(plans)
        )
    return DirectoryUser(
        id=str(found.get("id", "")),
        upn=str(found.get("userPrincipalName") or ""),
        enabled=found.get("accountEnabled") is not False,
        addresses=frozenset(addresses - {""}),
        exchange=exchange,
    )


def sign_in(row: Mapping[str, Any]) -> SignInEntry:
    """A line of the sign-in log out of its JSON."""
    status = row.get("status")
    status = status if isinstance(status, dict) else {}
    code = status.get("errorCode")
    return SignInEntry(
        user=str(row.get("userPrincipalName") or ""),
        code=code if isinstance(code, int) else 0,
        reason=str(status.get("failureReason") or ""),
        at=parse_time(row.get("createdDateTime")),
        correlation_id=str(row.get("correlationId") or ""),
    )


def dicts(value: object) -> list[dict[str, Any]]:
    """The JSON objects in *value*; none if it is no list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def parse_time(value: object) -> datetime | None:
    """A Graph date: ISO 8601 in UTC, with up to seven fractional digits (facts G2)."""
    text = str(value or "")
    whole, dot, rest = text.partition(".")
    digits = rest.rstrip("Zz")[:6]
    try:
        return datetime.fromisoformat(
            f"{whole}.{digits}+00:00" if dot and digits else whole.removesuffix("Z") + "+00:00"
        ).astimezone(UTC)
    except ValueError:
        return None

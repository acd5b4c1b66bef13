"""Parses Graph's JSON into dataclasses; any property may be absent (facts G2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from msoauth.addresses import key, readable


@dataclass(frozen=True, slots=True)
class SecretEntry:
    """An entry of *Certificates & secrets*.

    Attributes:
        hint: The first three characters of the value, which tell which secret is in use.
        ends: When it expires, in UTC; None if Graph does not say.
    """

    key_id: str
    name: str
    hint: str
    ends: datetime | None


@dataclass(frozen=True, slots=True)
class Application:
    """An app registration, as far as mail is concerned.

    Attributes:
        required: *API permissions*, which are requested, not granted: (resource app id, permission id, ``Scope`` or
            ``Role``).
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
    created: datetime | None
    disabled_by_microsoft: str


@dataclass(frozen=True, slots=True)
class ServicePrincipal:
    """An enterprise application.

    Attributes:
        home: The id of the directory in which the app is registered; empty when Graph does not say.
        reply_urls: The app's redirect URIs, of all platforms.
        publisher: The id of its verified publisher; empty for none.
    """

    object_id: str
    name: str
    enabled: bool
    assignment_required: bool
    home: str
    reply_urls: tuple[str, ...]
    publisher: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A delegated consent: by an administrator for all users (``principal_id`` is empty), or by one user."""

    principal_id: str
    resource_id: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Assignment:
    """An assignment to an enterprise application: of a ``User`` or a ``Group`` (*kind*)."""

    principal_id: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class DirectoryUser:
    """A user of the directory.

    Attributes:
        addresses: Mail address and proxy addresses, in the form in which addresses are compared.
        exchange: Whether an Exchange Online plan is enabled; None when Graph does not say.
        primary: The primary address; empty where there is none.
        synchronized: The user comes from the firm's own Active Directory.
    """

    id: str
    upn: str
    enabled: bool
    addresses: frozenset[str]
    exchange: bool | None
    primary: str = ""
    synchronized: bool = False


@dataclass(frozen=True, slots=True)
class SignInEntry:
    """An entry of the sign-in log.

    Attributes:
        code: The AADSTS number; 0 if the sign-in succeeded.
        reason: Microsoft's message, without the number.
        interactive: On a page; otherwise a program did it for the user, as when it renews a token.
        policies: The names of the Conditional Access policies that were not satisfied, where they may be read.
    """

    user: str
    code: int
    reason: str
    at: datetime | None
    correlation_id: str
    interactive: bool = True
    policies: tuple[str, ...] = ()


def application(entity: Mapping[str, Any]) -> Application:
    """Parse an app registration."""

    def uris(platform: str) -> tuple[str, ...]:
        section = entity.get(platform)
        values = section.get("redirectUris") if isinstance(section, dict) else None
        return tuple(map(str, values)) if isinstance(values, list) else ()

    return Application(
        object_id=str(entity.get("id", "")),
        name=str(entity.get("displayName") or ""),
        audience=str(entity.get("signInAudience") or ""),
        web=uris("web"),
        public=uris("publicClient"),
        spa=uris("spa"),
        public_client_flows=entity.get("isFallbackPublicClient") is True,
        required=frozenset(
            (
                str(resource.get("resourceAppId", "")),
                str(permission.get("id", "")),
                str(permission.get("type", "")),
            )
            for resource in dicts(entity.get("requiredResourceAccess"))
            for permission in dicts(resource.get("resourceAccess"))
        ),
        secrets=tuple(
            SecretEntry(
                str(entry.get("keyId", "")),
                str(entry.get("displayName") or ""),
                str(entry.get("hint") or ""),
                parse_time(entry.get("endDateTime")),
            )
            for entry in dicts(entity.get("passwordCredentials"))
        ),
        created=parse_time(entity.get("createdDateTime")),
        disabled_by_microsoft=str(entity.get("disabledByMicrosoftStatus") or ""),
    )


def service_principal(entity: Mapping[str, Any]) -> ServicePrincipal:
    """Parse an enterprise application."""
    uris, publisher = entity.get("replyUrls"), entity.get("verifiedPublisher")
    return ServicePrincipal(
        object_id=str(entity.get("id", "")),
        name=str(entity.get("displayName") or ""),
        enabled=entity.get("accountEnabled") is not False,
        assignment_required=entity.get("appRoleAssignmentRequired") is True,
        home=str(entity.get("appOwnerOrganizationId") or ""),
        reply_urls=tuple(map(str, uris)) if isinstance(uris, list) else (),
        publisher=str(publisher.get("verifiedPublisherId") or "")
        if isinstance(publisher, dict)
        else "",
    )


def user(entity: Mapping[str, Any]) -> DirectoryUser:
    """Parse a user."""
    primary, addresses = mail_addresses(entity)
    plans = entity.get("assignedPlans")
    exchange = None
    if isinstance(plans, list):
        exchange = any(
            str(plan.get("service", "")).lower() == "exchange"
            and plan.get("capabilityStatus") == "Enabled"
            for plan in dicts(plans)
        )
    return DirectoryUser(
        id=str(entity.get("id", "")),
        upn=readable(str(entity.get("userPrincipalName") or "")),
        enabled=entity.get("accountEnabled") is not False,
        addresses=addresses,
        exchange=exchange,
        primary=primary,
        synchronized=entity.get("onPremisesSyncEnabled") is True,
    )


def mail_addresses(entity: Mapping[str, Any]) -> tuple[str, frozenset[str]]:
    """The primary address of a user, group or contact as it is written there, and all its addresses to compare with.

    In ``proxyAddresses``, ``SMTP:`` in capitals marks the primary one.
    """
    primary = str(entity.get("mail") or "")
    found = [primary]
    entries = entity.get("proxyAddresses")
    for entry in entries if isinstance(entries, list) else ():
        kind, _colon, address = str(entry).partition(":")
        if kind.lower() == "smtp":
            found.append(address)
        if kind == "SMTP":
            primary = address
    return readable(primary), frozenset(key(address) for address in found if address)


@dataclass(frozen=True, slots=True)
class Recipient:
    """What an address belongs to that is no user: a ``group``, a ``list`` (distribution) or a ``contact`` (*kind*)."""

    kind: str
    name: str
    primary: str


def group(entity: Mapping[str, Any]) -> Recipient:
    """Parse a group: a mail-enabled one that is neither a Microsoft 365 nor a security group is a distribution list."""
    types = entity.get("groupTypes")
    unified = isinstance(types, list) and "Unified" in types
    kind = "group" if unified or entity.get("securityEnabled") is True else "list"
    return Recipient(kind, str(entity.get("displayName") or ""), mail_addresses(entity)[0])


def contact(entity: Mapping[str, Any]) -> Recipient:
    """Parse an organisational contact."""
    return Recipient("contact", str(entity.get("displayName") or ""), mail_addresses(entity)[0])


def sign_in(entry: Mapping[str, Any]) -> SignInEntry:
    """Parse an entry of the sign-in log."""
    status = entry.get("status")
    status = status if isinstance(status, dict) else {}
    code = status.get("errorCode")
    return SignInEntry(
        user=str(entry.get("userPrincipalName") or ""),
        code=code if isinstance(code, int) else 0,
        reason=str(status.get("failureReason") or ""),
        at=parse_time(entry.get("createdDateTime")),
        correlation_id=str(entry.get("correlationId") or ""),
        interactive=entry.get("isInteractive") is not False,
        policies=tuple(
            str(policy.get("displayName") or "")
            for policy in dicts(entry.get("appliedConditionalAccessPolicies"))
            if policy.get("result") == "failure"
        ),
    )


def dicts(value: object) -> list[dict[str, Any]]:
    """The JSON objects in the list *value*; none if it is not a list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def parse_time(value: object) -> datetime | None:
    """Parse a Graph date, which is ISO 8601 in UTC with up to seven fractional digits (facts G2); None if invalid."""
    text = str(value or "")
    whole, dot, fraction = text.partition(".")
    digits = fraction.rstrip("Zz")[:6]
    try:
        return datetime.fromisoformat(
            f"{whole}.{digits}+00:00" if dot and digits else whole.removesuffix("Z") + "+00:00"
        ).astimezone(UTC)
    except ValueError:
        return None

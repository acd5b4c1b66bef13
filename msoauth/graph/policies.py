"""Judges a directory's policies by Graph's JSON: what users may consent to, and which secrets may be added.

"Facts" are numbered sections in ``docs/facts``: L1 and K2.7 for consent, K2.5 and L7 for secrets.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from msoauth.graph.objects import dicts, parse_time

LOW, LEGACY, MANAGED, MAIL_APPS = (
    "microsoft-user-default-low",
    "microsoft-user-default-legacy",
    "microsoft-user-default-recommended",
    "microsoft-user-default-allow-consent-apps",
)
_FOR_SELF = "managepermissiongrantsforself."
# What was known of the two policies that Microsoft manages, for where their conditions may not be read (facts L1, K5.2):
# permissions of Exchange Online that need an administrator, and the mail apps that are exempt from that.
_NEED_ADMIN = frozenset(
    f"{protocol}.AccessAsUser.All" for protocol in ("EAS", "EWS", "IMAP", "POP")
)
_EXEMPT_APPS = frozenset(
    {
        "f8d98a96-0999-43f5-8af3-69971c7bb423",
        "b50c1dbd-1855-4e54-b07c-d3c3029e93d3",
        "e9a7fea1-1cc0-4cd9-a31b-9137ca5deedd",
        "8acd33ea-7197-4a96-bc33-d7cc7101262f",
        "2cee05de-2b8f-45a2-8289-2a06ca32c4c8",
        "9e5f94bc-e8a4-4e73-b8be-63364c29d753",
    }
)


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """A user's consent to one delegated permission, of a kind that users may consent to at all.

    Attributes:
        client_id, home, publisher: The app: its client ID, the directory in which it is registered, and the id of its
            verified publisher (empty for none).
        resource, permission_id, name: The permission: the app id of its API, its id and its name.
        classification: ``low``, ``medium``, ``high``, or empty when it is not classified.
    """

    client_id: str
    home: str
    publisher: str
    resource: str
    permission_id: str
    name: str
    classification: str = ""


@dataclass(frozen=True, slots=True)
class ConsentPolicy:
    """A policy that is assigned to the directory's users.

    Attributes:
        includes, excludes: Its condition sets as Graph has them; None when they may not be read.
    """

    id: str
    includes: Sequence[Mapping[str, Any]] | None
    excludes: Sequence[Mapping[str, Any]] | None

    def allows(self, request: ConsentRequest) -> bool | None:
        """Whether it lets a user consent; None when that cannot be told."""
        if self.includes is None or self.excludes is None:
            known: dict[str, bool] = {
                LOW: False,  # what is classified as low is known only to who may read it
                LEGACY: True,
                MANAGED: request.name not in _NEED_ADMIN,
                MAIL_APPS: request.client_id.lower() in _EXEMPT_APPS,
            }
            return known.get(self.id)
        return any(_matches(one, request) for one in self.includes) and not any(
            _matches(one, request) for one in self.excludes
        )


def _matches(conditions: Mapping[str, Any], request: ConsentRequest) -> bool:
    """Whether a request meets all conditions of a permissionGrantConditionSet; what is absent has its default."""

    def among(name: str, *values: str) -> bool:
        listed = conditions.get(name)
        allowed = {str(one).lower() for one in listed} if isinstance(listed, list) else {"all"}
        return not allowed.isdisjoint({"all", *(value.lower() for value in values if value)})

    classification = str(conditions.get("permissionClassification") or "all").lower()
    resource = str(conditions.get("resourceApplication") or "any").lower()
    kind = str(conditions.get("permissionType") or "").lower()
    verified_only = conditions.get("clientApplicationsFromVerifiedPublisherOnly") is True
    return (
        kind in ("delegated", "delegateduserconsentable")
        and classification in ("all", request.classification)
        and resource in ("any", request.resource.lower())
        and among("permissions", request.permission_id)
        and among("clientApplicationIds", request.client_id)
        and among("clientApplicationTenantIds", request.home)
        and among("clientApplicationPublisherIds", request.publisher)
        and (bool(request.publisher) or not verified_only)
    )


@dataclass(frozen=True, slots=True)
class UserConsent:
    """The directory's setting for users' consent.

    Attributes:
        policies: Those that are assigned to all users; none where users may not consent at all.
    """

    policies: tuple[ConsentPolicy, ...]

    def allows(self, request: ConsentRequest) -> bool | None:
        """Whether a user may consent: one policy that lets them is enough. None when that cannot be told."""
        answers = {policy.allows(request) for policy in self.policies}
        return True if True in answers else None if None in answers else False


def assigned_policies(authorization_policy: Mapping[str, Any]) -> list[str] | None:
    """The ids of the consent policies that an authorizationPolicy assigns to all users; None when it does not say."""
    permissions = authorization_policy.get("defaultUserRolePermissions")
    permissions = permissions if isinstance(permissions, dict) else {}
    # Where it is in the beta version, another property holds the same list (facts L1).
    assigned = permissions.get(
        "permissionGrantPoliciesAssigned",
        authorization_policy.get("permissionGrantPolicyIdsAssignedToDefaultUserRole"),
    )
    if not isinstance(assigned, list):
        return None
    return [
        str(one)[len(_FOR_SELF) :] for one in assigned if str(one).lower().startswith(_FOR_SELF)
    ]


# Secrets


@dataclass(frozen=True, slots=True)
class SecretRules:
    """What an app management policy says of new client secrets of one app; what is there already stays valid.

    Attributes:
        policy: The policy's display name.
        own: It is the app's own policy, and not the directory's for all apps.
        forbidden: No secret may be added.
        longest: How long a new one may be valid; None for no limit.
        longest_certificate: The same for a certificate.
    """

    policy: str = ""
    own: bool = False
    forbidden: bool = False
    longest: timedelta | None = None
    longest_certificate: timedelta | None = None


def secret_rules(policy: Mapping[str, Any], created: datetime | None, *, own: bool) -> SecretRules:
    """Read the rules for an app that was created at *created* from its policy; nothing is restricted by one that is off."""
    if policy.get("isEnabled") is not True:
        return SecretRules()
    restrictions = policy.get("restrictions" if own else "applicationRestrictions")
    restrictions = restrictions if isinstance(restrictions, dict) else {}
    nested = restrictions.get("applicationRestrictions")  # as in the beta version
    restrictions = nested if isinstance(nested, dict) else restrictions

    def longest(kind: str, credentials: str) -> timedelta | None:
        rows = _in_force(dicts(restrictions.get(credentials)), kind, created)
        return min(filter(None, (duration(row.get("maxLifetime")) for row in rows)), default=None)

    passwords = dicts(restrictions.get("passwordCredentials"))
    return SecretRules(
        policy=str(policy.get("displayName") or ""),
        own=own,
        forbidden=bool(_in_force(passwords, "passwordAddition", created)),
        longest=longest("passwordLifetime", "passwordCredentials"),
        longest_certificate=longest("asymmetricKeyLifetime", "keyCredentials"),
    )


def _in_force(
    rows: Iterable[Mapping[str, Any]], kind: str, created: datetime | None
) -> list[Mapping[str, Any]]:
    """The restrictions of one kind that count for an app of that age; older answers have no state."""

    def applies(row: Mapping[str, Any]) -> bool:
        since = parse_time(row.get("restrictForAppsCreatedAfterDateTime"))
        return since is None or created is None or created >= since

    return [
        row
        for row in rows
        if row.get("restrictionType") == kind
        and row.get("state", "enabled") == "enabled"
        and applies(row)
    ]


_DURATION = re.compile(
    r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?)?"
)
_SECONDS = (365 * 86400, 30 * 86400, 7 * 86400, 86400, 3600, 60, 1)


def duration(value: object) -> timedelta | None:
    """Parse an ISO 8601 duration, with a year of 365 and a month of 30 days; None if invalid or beyond reason."""
    match = _DURATION.fullmatch(str(value or ""))
    if match is None or not any(match.groups()):
        return None
    try:
        return timedelta(
            seconds=sum(int(n or 0) * s for n, s in zip(match.groups(), _SECONDS, strict=True))
        )
    except OverflowError:
        return None

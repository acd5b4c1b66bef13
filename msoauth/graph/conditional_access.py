"""Reads Conditional Access policies out of Graph's JSON, and judges what they mean for a sign-in (facts K1.8, K2.7).

A policy applies, does not apply, or cannot be judged from here: where a condition depends on the place, the computer or
the risk, or where the user's groups and roles could not be read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ENABLED, REPORT_ONLY = "enabled", "enabledForReportingButNotEnforced"
BROWSER, NATIVE = "browser", "mobileAppsAndDesktopClients"
DEVICE_CODE = "deviceCodeFlow"
_DEVICE = frozenset({"compliantDevice", "domainJoinedDevice"})
_APP = frozenset({"approvedApplication", "compliantApplication"})  # which no app of a firm's own is


@dataclass(frozen=True, slots=True)
class Policy:
    """A Conditional Access policy.

    Attributes:
        conditions: Whom and what it includes and excludes, by Graph's names in lower case without ``include``:
            ``users``, ``exclude users``, ``groups`` …
        client_app_types: ``all``, ``browser``, ``mobileAppsAndDesktopClients``, ``exchangeActiveSync``, ``other``.
        transfer_methods: The authentication flows that it is for; empty for all.
        controls: What a sign-in must satisfy: one of them, or with *all_controls* each.
        undecidable: Conditions of which nothing is known here, such as ``locations``.
        for_users: It is for people; others are for apps, or for registering a second factor or a device.
    """

    id: str
    name: str
    state: str
    conditions: Mapping[str, frozenset[str]]
    client_app_types: frozenset[str]
    transfer_methods: frozenset[str]
    controls: frozenset[str]
    all_controls: bool
    sign_in_frequency: bool
    undecidable: tuple[str, ...]
    for_users: bool


@dataclass(frozen=True, slots=True)
class Memberships:
    """The groups and directory roles (template ids) of a user; None where they could not be read."""

    groups: frozenset[str] | None = None
    roles: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in, as far as policies look at it.

    Attributes:
        user_id: The user's object id; None for any user.
        apps: The names by which policies can mean what is asked for: app ids, ``Office365``.
        client_app_type: ``browser`` for an app with a secret, ``mobileAppsAndDesktopClients`` for one without.
        transfer_method: ``deviceCodeFlow``, or empty.
    """

    user_id: str | None
    memberships: Memberships
    apps: frozenset[str]
    client_app_type: str
    transfer_method: str = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """What enabled policies mean for a sign-in.

    Attributes:
        blocks: Policies that refuse it whatever the user does.
        devices: Policies that refuse it but on a computer that the organisation manages.
        factors: Policies that ask for more on the page: multifactor authentication, terms of use.
        frequencies: Policies that end it after a while.
        possible: Policies of which it cannot be said whether they apply.
    """

    blocks: tuple[Policy, ...] = ()
    devices: tuple[Policy, ...] = ()
    factors: tuple[Policy, ...] = ()
    frequencies: tuple[Policy, ...] = ()
    possible: tuple[Policy, ...] = ()

    @property
    def policies(self) -> frozenset[str]:
        """The ids of all of them."""
        groups = (self.blocks, self.devices, self.factors, self.frequencies, self.possible)
        return frozenset(policy.id for group in groups for policy in group)


def effect(policies: Iterable[Policy], attempt: Attempt, state: str = ENABLED) -> Effect:
    """What the policies that are in that state mean for a sign-in."""
    found: dict[str, list[Policy]] = {name: [] for name in Effect.__dataclass_fields__}
    for policy in policies:
        applies = _applies(policy, attempt) if policy.state == state else False
        if applies is None:
            found["possible"].append(policy)
        elif applies:
            for kind in _effects(policy):
                found[kind].append(policy)
    return Effect(**{kind: tuple(members) for kind, members in found.items()})


def _effects(policy: Policy) -> Iterable[str]:
    controls = policy.controls
    if policy.sign_in_frequency:
        yield "frequencies"
    if not controls:
        return
    factors = controls - _DEVICE - _APP - {"block"}
    if "block" in controls:
        yield "blocks"
    elif policy.all_controls:
        if controls & _APP:
            yield "blocks"
        if controls & _DEVICE:
            yield "devices"
        if factors:
            yield "factors"
    elif factors:  # one control is enough, and this one is open to everybody
        yield "factors"
    else:
        yield "devices" if controls & _DEVICE else "blocks"


def _applies(policy: Policy, attempt: Attempt) -> bool | None:
    """Whether a policy applies to a sign-in; None when that cannot be said."""
    named = policy.conditions
    if not policy.for_users or not policy.client_app_types & {"all", attempt.client_app_type}:
        return False
    if policy.transfer_methods and attempt.transfer_method not in policy.transfer_methods:
        return False
    apps = attempt.apps | {"All"}
    if not named["applications"] & apps or named["exclude applications"] & apps:
        return False
    included, excluded = _is_among("", policy, attempt), _is_among("exclude ", policy, attempt)
    if included is False or excluded is True:
        return False
    return None if included is None or excluded is None or policy.undecidable else True


def _is_among(prefix: str, policy: Policy, attempt: Attempt) -> bool | None:
    """Whether the user is among the included or excluded ones; None when that cannot be said."""
    known = attempt.memberships
    users = None if attempt.user_id is None else frozenset({attempt.user_id})
    listed = policy.conditions
    if "All" in listed[f"{prefix}users"]:
        return True
    # Guests have no mailbox of their own here.
    people = listed[f"{prefix}users"] - {"None", "GuestsOrExternalUsers"}
    answers = [
        _overlap(people, users),
        _overlap(listed[f"{prefix}groups"], known.groups),
        _overlap(listed[f"{prefix}roles"], known.roles),
    ]
    return True if True in answers else None if None in answers else False


def _overlap(listed: frozenset[str], own: frozenset[str] | None) -> bool | None:
    if not listed:
        return False
    return None if own is None else bool(listed & own)


def policy(entity: Mapping[str, Any]) -> Policy:
    """Parse a conditionalAccessPolicy; any property may be absent."""
    conditions = _object(entity.get("conditions"))
    apps, users = _object(conditions.get("applications")), _object(conditions.get("users"))
    grant = _object(entity.get("grantControls"))
    session = _object(entity.get("sessionControls"))
    controls = {*_texts(grant.get("builtInControls"))}
    controls |= {f"terms of use {text}" for text in _texts(grant.get("termsOfUse"))}
    controls |= {*_texts(grant.get("customAuthenticationFactors"))}
    if grant.get("authenticationStrength"):
        controls.add("mfa")
    methods = str(_object(conditions.get("authenticationFlows")).get("transferMethods") or "")
    elsewhere = ("includeUserActions", "includeAuthenticationContextClassReferences")
    undecidable = [
        name
        for name in ("platforms", "locations", "devices", "userRiskLevels", "signInRiskLevels")
        if conditions.get(name)
    ]
    if apps.get("applicationFilter"):
        undecidable.append("applicationFilter")
    return Policy(
        id=str(entity.get("id") or ""),
        name=str(entity.get("displayName") or ""),
        state=str(entity.get("state") or ""),
        conditions={
            f"{'exclude ' if kind == 'exclude' else ''}{what.lower()}": frozenset(
                _texts(holder.get(f"{kind}{what}"))
            )
            for holder, names in ((users, ("Users", "Groups", "Roles")), (apps, ("Applications",)))
            for what in names
            for kind in ("include", "exclude")
        },
        client_app_types=frozenset(_texts(conditions.get("clientAppTypes"))) or frozenset({"all"}),
        transfer_methods=frozenset(filter(None, (part.strip() for part in methods.split(",")))),
        controls=frozenset(controls),
        all_controls=str(grant.get("operator") or "").upper() == "AND",
        sign_in_frequency=_object(session.get("signInFrequency")).get("isEnabled") is True,
        undecidable=tuple(undecidable),
        for_users=not _object(conditions.get("clientApplications"))
        and not any(apps.get(name) for name in elsewhere),
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []

"""Conditional Access policies with the properties that Graph shows, and what they require of a sign-in (facts K2.7).

Conditions that depend on risk, location, platform or a device's registration are not here: no computer is known to a
practice tenant, and none has a place. Of the session controls there is the sign-in frequency alone (facts D9).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from msoauth.practice.registrations import new_id

ENABLED, DISABLED, REPORT_ONLY = "enabled", "disabled", "enabledForReportingButNotEnforced"
STATES = (ENABLED, DISABLED, REPORT_ONLY)
ALL, GUESTS = "All", "GuestsOrExternalUsers"
BROWSER, NATIVE, LEGACY = "browser", "mobileAppsAndDesktopClients", "other"
DEVICE_CODE = "deviceCodeFlow"
BLOCK, MFA = "block", "mfa"
DEVICE_CONTROLS = frozenset({"compliantDevice", "domainJoinedDevice"})
APP_CONTROLS = frozenset({"approvedApplication", "compliantApplication"})
REGISTRATION = "registration"  # security defaults: the user has registered a second factor (no control of Graph's)
MANAGED = "Microsoft-managed: "  # how the names of Microsoft's own policies begin


@dataclass(slots=True)
class ConditionalAccessPolicy:
    """A policy; its attributes are Graph's properties, in Python's spelling.

    Attributes:
        state: ``enabled``, ``disabled`` (*Off*) or ``enabledForReportingButNotEnforced`` (*Report-only*).
        include_users: Object ids, ``All`` or ``GuestsOrExternalUsers``.
        include_roles: Template ids of directory roles.
        include_applications: App ids of resources, ``All``, ``Office365`` or ``MicrosoftAdminPortals``.
        client_app_types: ``all``, ``browser``, ``mobileAppsAndDesktopClients``, ``exchangeActiveSync``, ``other``.
        transfer_methods: The condition *Authentication flows*: ``deviceCodeFlow``, ``authenticationTransfer``.
        built_in_controls: What the sign-in must satisfy: one of them (``OR``) or each (``AND``); ``block`` cannot be.
        sign_in_frequency: A session control: how old a sign-in may be.
    """

    display_name: str
    state: str = ENABLED
    include_users: set[str] = field(default_factory=lambda: {ALL})
    exclude_users: set[str] = field(default_factory=set)
    include_groups: set[str] = field(default_factory=set)
    exclude_groups: set[str] = field(default_factory=set)
    include_roles: set[str] = field(default_factory=set)
    exclude_roles: set[str] = field(default_factory=set)
    include_applications: set[str] = field(default_factory=lambda: {ALL})
    exclude_applications: set[str] = field(default_factory=set)
    client_app_types: set[str] = field(default_factory=lambda: {"all"})
    transfer_methods: set[str] = field(default_factory=set)
    operator: str = "OR"
    built_in_controls: tuple[str, ...] = ()
    sign_in_frequency: timedelta | None = None
    created: datetime = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    modified: datetime | None = None
    id: str = field(default_factory=new_id)

    @property
    def microsoft_managed(self) -> bool:
        """Microsoft made it: an administrator can switch it and exclude users, not delete or rename it (facts K1.8)."""
        return self.display_name.startswith(MANAGED)

    def applies_to(self, sign_in: "SignInFacts") -> bool:
        """Whether the sign-in meets every condition, in whatever state the policy is; exclusions win."""
        if (
            sign_in.users & self.exclude_users
            or sign_in.groups & self.exclude_groups
            or sign_in.roles & self.exclude_roles
        ):
            return False
        if not (
            sign_in.users & self.include_users
            or sign_in.groups & self.include_groups
            or sign_in.roles & self.include_roles
        ):
            return False
        if not self.client_app_types & {"all", sign_in.client_app_type}:
            return False
        if self.transfer_methods and sign_in.transfer_method not in self.transfer_methods:
            return False
        if not sign_in.apps & self.include_applications:
            return False
        # Since 2026 a policy for all resources covers these sign-ins in spite of its exclusions (facts, changes 1.6).
        all_resources = ALL in self.include_applications and sign_in.baseline_scopes_only
        return all_resources or not sign_in.apps & self.exclude_applications

    def unmet_by(self, sign_in: "SignInFacts") -> tuple[str, ...]:
        """The grant controls that the sign-in still has to satisfy."""
        missing = tuple(c for c in self.built_in_controls if c not in sign_in.satisfied)
        one_is_enough = self.operator == "OR" and len(missing) < len(self.built_in_controls)
        return () if one_is_enough else missing


@dataclass(frozen=True, slots=True)
class SignInFacts:
    """What policies look at in a sign-in.

    Attributes:
        user_id: The user's object id.
        users: The names by which a policy can mean the user: the id, ``All``, and ``GuestsOrExternalUsers`` for one.
        resource: App id of the resource that a token is asked for.
        apps: The names by which a policy can mean the resource or the app that asks: app ids, ``All``, ``Office365``.
        client_app_type: ``browser``, ``mobileAppsAndDesktopClients``, or ``other`` (a password, no modern sign-in).
        transfer_method: ``deviceCodeFlow`` for a sign-in by device code and all that came of it; or empty.
        baseline_scopes_only: Only OpenID scopes and ``User.Read`` are asked for.
        satisfied: The grant controls that the sign-in satisfies: ``mfa``.
        age: Seconds since the user signed in interactively.
    """

    user_id: str
    users: frozenset[str]
    groups: frozenset[str]
    roles: frozenset[str]
    resource: str
    apps: frozenset[str]
    client_app_type: str
    transfer_method: str = ""
    baseline_scopes_only: bool = False
    satisfied: frozenset[str] = frozenset()
    age: float = 0.0


@dataclass(frozen=True, slots=True)
class AppliedPolicy:
    """What one policy says about one sign-in.

    Attributes:
        result: As in the sign-in log: ``success``, ``failure``, ``notApplied``, ``notEnabled``, ``reportOnlySuccess`` …
        unmet: The grant controls that are missing, of a policy that applies.
        too_old: The sign-in is older than the policy's sign-in frequency.
    """

    policy: ConditionalAccessPolicy
    result: str
    unmet: tuple[str, ...] = ()
    too_old: bool = False


def evaluate(
    policies: Iterable[ConditionalAccessPolicy], sign_in: SignInFacts
) -> tuple[AppliedPolicy, ...]:
    """What each policy says about a sign-in, in their order; nothing else decides it.

    >>> policy = ConditionalAccessPolicy("Block", built_in_controls=("block",))
    >>> everybody = frozenset({"All"})
    >>> facts = SignInFacts("1", everybody, frozenset(), frozenset(), "2", everybody, "browser")
    >>> [(said.result, said.unmet) for said in evaluate([policy], facts)]
    [('failure', ('block',))]
    """
    return tuple(_applied(policy, sign_in) for policy in policies)


def _applied(policy: ConditionalAccessPolicy, sign_in: SignInFacts) -> AppliedPolicy:
    if policy.state == DISABLED:
        return AppliedPolicy(policy, "notEnabled")
    report_only = policy.state == REPORT_ONLY
    if not policy.applies_to(sign_in):
        return AppliedPolicy(policy, "reportOnlyNotApplied" if report_only else "notApplied")
    unmet = policy.unmet_by(sign_in)
    frequency = policy.sign_in_frequency
    too_old = frequency is not None and sign_in.age > frequency.total_seconds()
    failed = bool(unmet) or too_old
    if report_only:
        # What the user could still do is an interruption, not a failure.
        interrupted = MFA in unmet and (policy.operator == "OR" or len(unmet) == 1)
        outcome = "Interrupted" if interrupted else "Failure" if failed else "Success"
        return AppliedPolicy(policy, f"reportOnly{outcome}", unmet, too_old)
    return AppliedPolicy(policy, "failure" if failed else "success", unmet, too_old)


# The directory roles that must always give a second factor, as far as their template ids are known (facts K2.1).
GLOBAL_ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"
PRIVILEGED_ROLES = frozenset(
    {
        GLOBAL_ADMINISTRATOR,
        "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3",  # Application Administrator
        "158c047a-c907-4556-b7ef-446551a6b5f7",  # Cloud Application Administrator
        "29232cdf-9323-42fd-ade2-1d097af3e4de",  # Exchange Administrator
        "194ae4cb-b126-40b2-bd5b-6091b380977d",  # Security Administrator
        "b1be1c3e-b65d-4f19-8427-f6fa0d97feb9",  # Conditional Access Administrator
        "e8611ab8-c189-46e8-94e1-60213ab1f814",  # Privileged Role Administrator
        "fe930be7-5e62-47db-91af-98c3a49a38b1",  # User Administrator
    }
)

# Security defaults in the form of policies. Users besides administrators are asked for the second factor when Microsoft
# finds it necessary, which no document makes exact: here they must have registered one, and are not asked (unverified).
SECURITY_DEFAULTS = (
    ConditionalAccessPolicy(
        "Security defaults: block legacy authentication",
        client_app_types={"exchangeActiveSync", LEGACY},
        built_in_controls=(BLOCK,),
    ),
    ConditionalAccessPolicy(
        "Security defaults: multifactor authentication for administrators",
        include_users=set(),
        include_roles=set(PRIVILEGED_ROLES),
        built_in_controls=(MFA,),
    ),
    ConditionalAccessPolicy(
        "Security defaults: registration",
        client_app_types={BROWSER, NATIVE},
        built_in_controls=(REGISTRATION,),
    ),
)


def microsoft_managed(state: str = REPORT_ONLY) -> list[ConditionalAccessPolicy]:
    """The policies that Microsoft puts into a tenant with Entra ID P1, report-only at first (facts K1.8).

    Those for risky sign-ins (Entra ID P2) and for phishing-resistant methods are left out: nothing here is risky, and
    every second factor is the same.
    """
    return [
        ConditionalAccessPolicy(
            f"{MANAGED}Block legacy authentication",
            state,
            client_app_types={"exchangeActiveSync", LEGACY},
            built_in_controls=(BLOCK,),
        ),
        ConditionalAccessPolicy(
            f"{MANAGED}Block device code flow",
            state,
            transfer_methods={DEVICE_CODE},
            built_in_controls=(BLOCK,),
        ),
        ConditionalAccessPolicy(
            f"{MANAGED}Multifactor authentication for admins accessing Microsoft Admin Portals",
            state,
            include_users=set(),
            include_roles=set(PRIVILEGED_ROLES),
            include_applications={"MicrosoftAdminPortals"},
            built_in_controls=(MFA,),
        ),
        ConditionalAccessPolicy(
            f"{MANAGED}Multifactor authentication for all users",
            state,
            built_in_controls=(MFA,),
        ),
    ]

"""Check whether a user may get tokens for an app: blocked users, policies, assignment (facts D6 to D9)."""

import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass

from msoauth.practice import conditional_access
from msoauth.practice.conditional_access import (
    APP_CONTROLS,
    BLOCK,
    BROWSER,
    DEVICE_CODE,
    DEVICE_CONTROLS,
    MFA,
    NATIVE,
    REGISTRATION,
    SECURITY_DEFAULTS,
    AppliedPolicy,
    SignInFacts,
)
from msoauth.practice.entra.clients import Client
from msoauth.practice.entra.refusals import RefusalError, stamp
from msoauth.practice.entra.scopes import OIDC, RequestedScopes
from msoauth.practice.state import EXCHANGE_APP_ID, GRAPH_APP_ID, Tenant, User

HIDDEN = "{EmailHidden}"  # what Entra writes instead of addresses in texts that reach the app
_BASELINE = OIDC | {"User.Read"}
# The applications that a policy can mean as one, as far as mail is concerned (Microsoft Graph is not among them).
_SUITES = {EXCHANGE_APP_ID: ("Office365",)}


@dataclass(frozen=True, slots=True)
class SignIn:
    """How a user comes: through which kind of app, with what proof.

    Attributes:
        platform: ``web``, ``public`` or ``spa``.
        amr: The authentication methods so far: ``pwd``, ``mfa``.
        device: By device code.
        signed_in: When the user signed in interactively, and ``now``, in seconds since the epoch.
        interactive: On a page, where more can be asked for.
        renewal: By a refresh token.
        password: By user name and password at the token endpoint (ROPC).
    """

    platform: str
    amr: list[str]
    device: bool = False
    signed_in: float = 0.0
    now: float = 0.0
    interactive: bool = False
    renewal: bool = False
    password: bool = False


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What policies said about a sign-in that they did not refuse.

    Attributes:
        second_factor: The number of what a page still has to ask for: 50076 (the code), 50079 (to register); or 0.
        too_old: The browser's session is older than a policy's sign-in frequency allows.
    """

    facts: SignInFacts
    applied: tuple[AppliedPolicy, ...]
    second_factor: int = 0
    too_old: bool = False


LOCK_AFTER = 10  # wrong passwords, as Entra's smart lockout
LOCK_SECONDS = 60.0


def check_password(user: User, password: str, now: float) -> None:
    """Check the user's password; too many wrong ones lock the account for a while.

    Raises:
        RefusalError: it is wrong, or the account is locked.
    """
    if user.locked_until > now:
        raise RefusalError(50053)
    if not hmac.compare_digest(password.encode(), user.password.encode()):
        user.failed_tries += 1
        if user.failed_tries >= LOCK_AFTER:
            user.failed_tries, user.locked_until = 0, now + LOCK_SECONDS
        raise RefusalError(50126)
    user.failed_tries = 0


def not_in_tenant(client: Client, tenant: Tenant, name: str, idp: str) -> RefusalError:
    """The refusal of an account that another tenant or provider (*idp*) manages."""
    app = client.app
    return RefusalError(
        50020, user=name, idp=idp, tenant=tenant.name, app=app.app_id, name=app.display_name
    )


def check_access(
    client: Client, tenant: Tenant, user: User, requested: RequestedScopes, sign_in: SignIn
) -> Evaluation:
    """Check that the user may get tokens for this app.

    Args:
        requested: The resource that tokens are asked for. How Entra judges a request for several is not known (facts,
            changes 1.6): the first one counts here.

    Raises:
        RefusalError: the account is disabled or external, a policy refuses it, or it is not assigned to the app.
    """
    app = client.app
    client.check_enabled()
    if not user.account_enabled:
        raise RefusalError(50057)
    if user.guest_of is not None:
        raise not_in_tenant(client, tenant, user.upn, user.guest_of)
    evaluation = _check_policies(client, tenant, user, requested, sign_in)
    principal = client.principal
    if (
        principal is not None
        and principal.app_role_assignment_required
        and user.id not in tenant.assigned_ids(principal)
    ):
        refusal = RefusalError(50105, name=app.display_name, app=app.app_id, user=HIDDEN)
        raise refusal.after(evaluation.facts, evaluation.applied)
    return evaluation


def _check_policies(
    client: Client, tenant: Tenant, user: User, requested: RequestedScopes, sign_in: SignIn
) -> Evaluation:
    """Evaluate security defaults, Conditional Access and per-user multifactor authentication, in this order."""
    facts = _facts(client, tenant, user, requested, sign_in)
    policies = tenant.policies
    applied = conditional_access.evaluate(policies.conditional_access, facts)
    defaults = (
        conditional_access.evaluate(SECURITY_DEFAULTS, facts) if policies.security_defaults else ()
    )
    failed = [said for said in (*defaults, *applied) if said.result == "failure"]
    needed = {_number(said, facts, user, sign_in) for said in failed if said.unmet}
    if policies.security_defaults and sign_in.password:
        needed.add(530035)
    if user.mfa_required and MFA not in facts.satisfied:
        needed.add(50076 if user.mfa_registered else 50079)
    number = next((known for known in _ORDER if known in needed), 0)
    too_old = [said for said in failed if said.too_old]
    second_factor = number in _SECOND_FACTOR
    if sign_in.interactive and (not number or second_factor):
        return Evaluation(facts, applied, number, bool(too_old))
    if number:
        claims = "" if number == 530036 else challenge(tenant, [s for s in failed if s.unmet])
        resource = requested.resource or EXCHANGE_APP_ID
        text = "" if number != 530036 or _for_all(failed) else _FLOW_CHECKED
        refusal = RefusalError(number, resource=resource, text=text, claims=claims)
        raise refusal.after(facts, applied)
    if sign_in.renewal:
        frequencies = [said.policy.sign_in_frequency for said in too_old]
        shortest = min((f for f in frequencies if f is not None), default=None)
        if shortest is not None:
            issued, lifetime = stamp(sign_in.signed_in), int(shortest.total_seconds())
            raise RefusalError(70043, issued=issued, lifetime=lifetime).after(facts, applied)
    return Evaluation(facts, applied)


def _facts(
    client: Client, tenant: Tenant, user: User, requested: RequestedScopes, sign_in: SignIn
) -> SignInFacts:
    native = sign_in.platform == "public"
    # That a policy for a confidential client's own app id covers what it asks of Exchange is unverified.
    own = () if native else (client.app.app_id,)
    satisfied = {MFA, REGISTRATION} if MFA in sign_in.amr else set()
    if user.mfa_registered:
        satisfied.add(REGISTRATION)
    return tenant.sign_in_facts(
        user,
        requested.resource,
        (*_SUITES.get(requested.resource, ()), *own),
        NATIVE if native else BROWSER,
        transfer_method=DEVICE_CODE if sign_in.device else "",
        baseline_scopes_only=requested.resource == GRAPH_APP_ID and requested.names <= _BASELINE,
        satisfied=frozenset(satisfied),
        age=sign_in.now - sign_in.signed_in,
    )


# Where several policies refuse, what nobody can satisfy comes first, and what a page can ask for last.
_SECOND_FACTOR = (50079, 50076)
_ORDER = (530036, 53003, 530035, 53002, 530003, 53000, 53001, 50097, *_SECOND_FACTOR)
_FLOW_CHECKED = (
    "The refresh token is invalid due to authentication flow checks by Conditional Access."
)


def _number(said: AppliedPolicy, facts: SignInFacts, user: User, sign_in: SignIn) -> int:
    """The AADSTS number of a policy that is not satisfied (facts D8).

    Which number Entra gives for which missing device is not documented; this follows the texts, and is unverified.
    """
    unmet = frozenset(said.unmet)
    by_choice = said.policy.operator == "OR"
    if BLOCK in unmet:
        return 530036 if sign_in.renewal and said.policy.transfer_methods else 53003
    if unmet & {MFA, REGISTRATION} and (by_choice or len(unmet) == 1):
        return 50076 if user.mfa_registered else 50079
    devices = unmet & DEVICE_CONTROLS
    if not devices:
        return 53002 if unmet & APP_CONTROLS else 53003
    if facts.transfer_method or devices == DEVICE_CONTROLS:
        return 530003
    if "compliantDevice" in devices:
        return 53000
    # A joined device proves itself to the token endpoint, which asks for that.
    return 50097 if sign_in.renewal else 53001


def _for_all(failed: Iterable[AppliedPolicy]) -> bool:
    """Whether a policy that blocks a flow does so for all resources: its refresh tokens are of no use any more."""
    return any(
        said.policy.transfer_methods
        and conditional_access.ALL in said.policy.include_applications
        and not said.policy.exclude_applications
        for said in failed
    )


def challenge(tenant: Tenant, failed: Iterable[AppliedPolicy]) -> str:
    """The claims challenge that names the policies (facts B2), or the tenant where none of them is a policy."""
    own = {policy.id for policy in tenant.policies.conditional_access}
    ids = [said.policy.id for said in failed if said.policy.id in own] or [tenant.tenant_id]
    claims = {"access_token": {"capolids": {"essential": True, "values": ids}}}
    return json.dumps(claims, separators=(",", ":"))

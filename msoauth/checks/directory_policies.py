"""Checks what Conditional Access and security defaults mean for a sign-in; only with an administrator's sign-in."""

import contextlib
import json
from collections.abc import Iterable, Sequence

from msoauth.checks.context import Context, Outcome
from msoauth.checks.directory_app import define_check, graph_client, has_graph, quoted
from msoauth.errors import AuthError
from msoauth.graph import EXCHANGE_APP_ID
from msoauth.graph.conditional_access import (
    BROWSER,
    DEVICE_CODE,
    ENABLED,
    NATIVE,
    REPORT_ONLY,
    Attempt,
    Memberships,
    Policy,
    effect,
)
from msoauth.model import Signal
from msoauth.texts import _


def _policies(context: Context) -> Outcome:
    """What policies mean for the user's sign-in in a browser, and whether one by code is blocked."""
    graph = graph_client(context)
    try:
        policies, defaults = graph.conditional_access(), graph.security_defaults()
    except AuthError as error:
        if error.cause != "graph-forbidden":
            raise
        return Outcome(
            _(
                "Conditional Access and security defaults cannot be read (this needs the permission Policy.Read.All and a reader's role)"
            ),
            Signal.WARNING,
            evidence=error.evidence,
        )
    attempt = _attempt(context)
    found = effect(policies, attempt)
    by_code = effect(policies, _by_code(attempt))
    code_only = [policy for policy in by_code.blocks if policy not in found.blocks]
    sentences = [
        (found.blocks, _("this sign-in is blocked by {policies}")),
        (
            found.devices,
            _("only a computer that the organization manages is admitted by {policies}"),
        ),
        (found.factors, _("a second factor is asked for by {policies}")),
        (code_only, _("signing in with a code is blocked by {policies}")),
        (found.frequencies, _("a new sign-in is required after some time by {policies}")),
        (
            found.possible,
            _(
                "{policies} may apply as well, depending on the place, the computer, or the user's groups"
            ),
        ),
    ]
    said = [text.format(policies=_names(which)) for which, text in sentences if which]
    if defaults:
        said.append(
            _(
                "security defaults are on: each user must have registered a second factor, and Exchange may refuse SMTP"
            )
        )
    evidence = "\n".join(
        f"{policy.state}: {policy.name} ({policy.id})"
        for state in (ENABLED, REPORT_ONLY)
        for policy in _concerned(policies, attempt, state)
    )
    summary = "; ".join(said) or _("no Conditional Access policy restricts this sign-in")
    if found.blocks:
        return Outcome(summary, Signal.FAILED, "conditional-access", evidence)
    if found.devices:
        return Outcome(summary, Signal.WARNING, "conditional-access", evidence)
    return Outcome(summary, evidence=evidence)


def _concerned(policies: Sequence[Policy], attempt: Attempt, state: str) -> list[Policy]:
    """The policies in that state that say anything about the sign-in, in a browser or by code, each once."""
    by_code = effect(policies, _by_code(attempt), state)
    concerned = effect(policies, attempt, state).policies | by_code.policies
    return [policy for policy in policies if policy.id in concerned]


def _attempt(context: Context) -> Attempt:
    """The user's sign-in in a browser."""
    graph, firm = graph_client(context), context.firm
    user = graph.find_user(context.mailbox.user) if context.account else None
    memberships = Memberships()
    if user is not None:
        # What may not be read is not known; policies for groups or roles are then told as possible.
        with contextlib.suppress(AuthError):
            memberships = graph.memberships(user.id)
    has_secret = context.workspace.firms.has_secret(firm.name)
    return Attempt(
        user.id if user else None,
        memberships,
        frozenset({EXCHANGE_APP_ID, "Office365", *([firm.client_id] if has_secret else [])}),
        BROWSER if has_secret else NATIVE,
    )


def _by_code(attempt: Attempt) -> Attempt:
    """The same by device code, which the app takes part in without its secret."""
    apps = frozenset({EXCHANGE_APP_ID, "Office365"})
    return Attempt(attempt.user_id, attempt.memberships, apps, NATIVE, DEVICE_CODE)


def _names(policies: Iterable[Policy]) -> str:
    return quoted(policy.name for policy in policies)


def name_policies(context: Context, error: AuthError) -> AuthError:
    """The same refusal with the names of the policies behind it, where an administrator has signed in.

    A claims challenge names them by their ids (facts B2); the refusal of what came of a device code has none.
    """
    if context.graph is None or error.cause not in (
        "conditional-access",
        "flow-blocked",
        "mfa-required",
    ):
        return error
    ids = _ids(error.claims)
    try:
        behind = [
            policy
            for policy in context.graph.conditional_access()
            if policy.id in ids
            or (
                error.cause == "flow-blocked"
                and policy.state == ENABLED
                and "block" in policy.controls
                and DEVICE_CODE in policy.transfer_methods
            )
        ]
    except AuthError:
        return error
    if not behind:
        return error
    return AuthError(
        _("{summary} Policy: {policies}.").format(summary=error.summary, policies=_names(behind)),
        cause=error.cause,
        evidence=error.evidence,
        ids=error.ids,
        retriable=error.retriable,
        retry_after=error.retry_after,
        claims=error.claims,
    )


def _ids(claims: str | None) -> frozenset[str]:
    """The ids of the policies in a claims challenge; older samples call the member ``polids``."""
    try:
        asked = json.loads(claims or "{}").get("access_token", {})
        listed = [asked[name]["values"] for name in ("capolids", "polids") if name in asked]
        return frozenset(str(policy_id) for values in listed for policy_id in values)
    except (AttributeError, KeyError, TypeError, ValueError):
        return frozenset()


POLICY_CHECKS = (
    define_check(
        "policies",
        lambda: _("Policies for the sign-in"),
        _policies,
        lambda: _("What do Conditional Access and security defaults require of this sign-in?"),
        applies=lambda context: has_graph(context) and context.firm.access == "delegated",
        needs=("network.graph", "registration.directory"),
    ),
)

"""Signs the user of a mailbox in, and stores the tokens when it was the right user.

:func:`start` → what to show (``url``, ``code``, ``message``) → ``wait`` → who signed in; ``cancel`` at any time.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from msoauth.addresses import ascii_form
from msoauth.errors import AuthError, DestinationError, InputError, VaultError
from msoauth.identity import sign_in_history
from msoauth.identity.client import Client, scopes_for
from msoauth.identity.environment import Flow, FlowChoice, choose_flow
from msoauth.identity.flows import SignIn, SignInRequest, begin
from msoauth.identity.signed_in_user import (
    is_renamed,
    signed_in_person,
    verify_signed_in_user,
    with_stored_ids,
)
from msoauth.judgement import clock_is_wrong
from msoauth.model import Account, Firm
from msoauth.store import Workspace
from msoauth.store.tokens import TokenStatus
from msoauth.texts import _


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A successful sign-in, whose tokens are stored.

    Attributes:
        warning: What will go wrong later, or empty.
    """

    address: str
    signed_in_as: str
    warning: str = ""


def start(
    workspace: Workspace,
    account: Account,
    flow: Flow | None = None,
    *,
    open_browser: bool = True,
    claims: str | None = None,
    force_prompt: bool = False,
) -> SignIn[SignedIn]:
    """Start a sign-in.

    Args:
        flow: ``browser`` (the answer comes back to this computer), ``device`` (a code to enter on any computer)
            or ``paste`` (the user sends back the address at which the browser ended); None for the one that
            can work here (:func:`propose_flow`).
        open_browser: Open the system's browser (``browser`` only).
        claims: A claims challenge to pass on; None for the one stored after an earlier refusal, if any.
        force_prompt: Ask for name and password even if the browser has a session, because another account signed in before.

    Raises:
        AuthError: the authority refused or cannot be reached.
        InputError: this flow cannot work with this firm's registration.
    """
    firm = workspace.firms.get(account.firm)
    if firm.access == "app-only":
        raise InputError(_("{firm} uses app-only access: nobody signs in.").format(firm=firm.name))
    choice = FlowChoice(flow, "") if flow else propose_flow(workspace, account)
    tokens = workspace.tokens.status(account.address)
    request = SignInRequest(
        account.user,
        scopes_for(account, firm.cloud),
        partial(_store, workspace, account),
        partial(_record, workspace, firm, account),
        prompt="login" if force_prompt else None if tokens else "select_account",
        login_hint=ascii_form(account.user) if tokens or force_prompt else None,
        claims=claims or sign_in_history.pending_challenge(workspace, account),
    )
    secret = workspace.firms.secret(firm)
    return begin(firm, secret, request, choice, open_browser=open_browser)


def _store(
    workspace: Workspace, account: Account, client: Client, reply: dict[str, Any]
) -> SignedIn:
    """Store the tokens, if they belong to the right user."""
    actual = signed_in_person(client, reply)
    earlier = workspace.tokens.status(account.address)
    # Where its tokens cannot be read any more, nothing shows who that was.
    with suppress(DestinationError, VaultError):
        if earlier and (cache := workspace.tokens.load(account, client.firm)):
            earlier = with_stored_ids(earlier, cache)
    verified = verify_signed_in_user(client, account, actual, reply, earlier)
    if verified != account:
        workspace.accounts.replace(verified)
    user = actual.user_name
    with workspace.tokens.lock(verified.address):
        workspace.tokens.save(
            verified, client.serialized(), signed_in_as=user, person=actual, firm=client.firm
        )
    renamed = earlier if is_renamed(account, actual, earlier) else None
    return SignedIn(verified.address, user, _warning(client, reply, user, renamed))


def _warning(client: Client, reply: dict[str, Any], user: str, renamed: TokenStatus | None) -> str:
    warnings = []
    if renamed is not None:
        text = _("{old} has a new user name, {new}; it is noted for this mailbox now.")
        warnings.append(text.format(old=renamed.signed_in_as, new=user))
    if not reply.get("refresh_token"):
        warnings.append(
            _(
                "No refresh token was granted (offline_access is missing): this will stop working in about an hour."
            )
        )
    ahead = client.seconds_ahead
    if clock_is_wrong(ahead):
        sentence = (
            _(
                "This computer's clock is {minutes} minutes ahead of Microsoft's: set it right, or good tokens will look expired."
            )
            if ahead > 0
            else _(
                "This computer's clock is {minutes} minutes behind Microsoft's: set it right, or expired tokens will look good."
            )
        )
        warnings.append(sentence.format(minutes=round(abs(ahead) / 60)))
    return " ".join(warnings)


def _record(workspace: Workspace, firm: Firm, account: Account, error: AuthError | None) -> None:
    """Record how the sign-in ended; a success clears the claims challenge, and a refusal may bring a new one."""
    sign_in_history.record(workspace, firm, account, error)
    if error is None or error.claims:
        sign_in_history.keep_challenge(workspace, account, error.claims if error else None)


def propose_flow(workspace: Workspace, account: Account) -> FlowChoice:
    """The flow that can work here for this account, and why."""
    firm = workspace.firms.get(account.firm)
    return choose_flow(
        firm,
        has_secret=workspace.firms.has_secret(firm.name),
        challenged=sign_in_history.pending_challenge(workspace, account) is not None,
    )


def alternative_flow(flow: Flow, error: AuthError) -> Flow | None:
    """The flow to offer after *flow* was refused; None if no other may work.

    A policy can block the device code alone (facts B3), and an app with a secret gets none by it (facts C2).
    """
    return "paste" if flow == "device" and error.cause in _CAUSES_FOR_ANOTHER_FLOW else None


_CAUSES_FOR_ANOTHER_FLOW = frozenset(
    {"flow-blocked", "conditional-access", "secret-required", "mfa-required", "unknown"}
)


def fixed_by_signing_in(cause: str) -> bool:
    """Whether a renewal that was refused for this cause works again once the user has signed in."""
    return cause in _FIXED_BY_SIGNING_IN


_FIXED_BY_SIGNING_IN = frozenset(
    {
        *("refresh-expired", "refresh-revoked", "session-missing", "code-expired", "account-wrong"),
        *("consent-required", "consent-declined", "scope-missing", "audience-wrong"),
        *("token-expired", "mfa-required", "password-expired", "password-wrong"),
        *("flow-blocked", "user-external"),
    }
)

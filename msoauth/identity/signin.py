"""Signing a user in: three ways, one interface.

``start`` → what to show (``url``, ``code``, ``message``) → ``wait`` → who signed in. ``cancel`` at any time.
Nothing is stored unless the right user signed in and the tokens were granted.
"""

import hmac
import secrets
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import requests

from msoauth import redact
from msoauth.errors import AuthError, InputError
from msoauth.identity import sign_in_history, signed_in_user
from msoauth.identity.auth_errors import error_from_reply, transport_error
from msoauth.identity.authority import Client, scopes_for
from msoauth.model import Account, Firm
from msoauth.store import Workspace
from msoauth.texts import _

if TYPE_CHECKING:
    from msoauth.identity.environment import Choice

Via = Literal["browser", "device", "paste"]

TIME_LIMIT = 300.0  # seconds from the start to the answer, for the way that waits for this computer's browser
SKEW_SECONDS = (
    300.0  # a clock that is wrong by more makes good tokens look expired, and dead ones good
)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sign-in that was stored.

    Attributes:
        warning: What will go wrong later, or empty.
    """

    address: str
    signed_in_as: str
    warning: str = ""


class SignIn:
    """A sign-in under way.

    Attributes:
        via: The way.
        url: The address to open.
        code: The code to enter there (device only).
        message: One sentence for the user.
        expires_at: When it ends by itself, on the clock of ``time.monotonic``.
    """

    via: Via
    code: str = ""

    def __init__(self, workspace: Workspace, account: Account, firm: Firm, client: Client) -> None:
        self._workspace = workspace
        self._account = account
        self._firm = firm
        self._client = client
        self.url = ""
        self.message = ""
        self.expires_at = time.monotonic() + TIME_LIMIT

    @property
    def seconds_left(self) -> float:
        """Seconds until it ends by itself."""
        return max(0.0, self.expires_at - time.monotonic())

    def wait(self, timeout: float | None = None) -> SignedIn:
        """Wait for the user, then store the tokens.

        Args:
            timeout: Seconds to wait at most; None for the time limit of the sign-in itself.

        Raises:
            AuthError: it was refused, cancelled or abandoned, or somebody else signed in; nothing is stored.
        """
        try:
            done = self._wait(timeout)
        except AuthError as refused:
            self._ended(refused)
            raise
        self._ended(None)
        return done

    def _wait(self, timeout: float | None) -> SignedIn:
        """Wait in this way."""
        raise NotImplementedError

    def _ended(self, refused: AuthError | None) -> None:
        """Write down what came of it."""
        sign_in_history.record(self._workspace, self._firm, self._account, refused)

    def cancel(self) -> None:
        """End it; a waiting thread gets an AuthError. May be called at any time and more than once."""
        raise NotImplementedError

    def paste(self, text: str) -> None:  # noqa: ARG002 - the way that takes one overrides this
        """Give the address at which the user's browser ended (the *paste* way only).

        Raises:
            InputError: this way takes no address, or the text holds none.
        """
        raise InputError(_("This way of signing in needs no address to be pasted."))

    def _redeem(self, flow: dict[str, Any], answer: dict[str, str]) -> SignedIn:
        """Turn the browser's answer into stored tokens."""
        redact.remember(answer.get("code"), flow.get("code_verifier"))
        what = _("The sign-in of {user}").format(user=self._account.user)
        if not hmac.compare_digest(answer.get("state", "").encode(), flow["state"].encode()):
            raise AuthError(
                _("The browser's answer does not belong to this sign-in; start again."),
                cause="state-mismatch",
            )
        if "error" in answer:
            raise error_from_reply(answer, what)
        try:
            result = self._client.app.acquire_token_by_auth_code_flow(flow, answer)
        except requests.RequestException as problem:
            raise transport_error(problem, what) from None
        except RuntimeError as problem:  # msal: the nonce in the ID token is another one
            raise AuthError(
                _("The token does not belong to this sign-in; start again."),
                cause="state-mismatch",
                evidence=redact.redact(str(problem))[:500],
            ) from None
        except (ValueError, LookupError, TypeError) as problem:
            raise unreadable(what, problem) from None
        try:
            return self._store(result, what)
        except AuthError as refused:
            if (
                refused.cause == "refresh-expired"
            ):  # AADSTS70008 says the same of codes, and this was one
                refused.cause = "code-expired"
            raise

    def _store(self, result: dict[str, Any], what: str) -> SignedIn:
        """Keep the tokens, if they are those of the right user."""
        if "error" in result:
            refused = error_from_reply(result, what)
            sign_in_history.keep_challenge(self._workspace, self._account, refused.claims)
            raise refused
        if not isinstance(result.get("access_token"), str):
            raise unreadable(what, None)
        redact.remember(result["access_token"], result.get("refresh_token"), result.get("id_token"))
        actual = signed_in_user.user_name(result)
        account = signed_in_user.verify_signed_in_user(self._client, self._account, actual)
        if account != self._account:
            self._workspace.accounts.replace(account)
        with self._workspace.tokens.lock(account.address):
            self._workspace.tokens.save(
                account.address, self._client.serialized(), signed_in_as=actual
            )
        sign_in_history.keep_challenge(self._workspace, account, None)
        return SignedIn(account.address, actual, self._warning(result))

    def _warning(self, result: dict[str, Any]) -> str:
        said = []
        if not result.get("refresh_token"):
            said.append(
                _(
                    "No refresh token was granted (offline_access is missing): this will stop working in about an hour."
                )
            )
        ahead = self._client.seconds_ahead
        if abs(ahead) > SKEW_SECONDS:
            sentence = (
                _("This computer's clock is {minutes} minutes ahead of Microsoft's: set it right, or good tokens will look expired.")
                if ahead > 0
                else _("This computer's clock is {minutes} minutes behind Microsoft's: set it right, or expired tokens will look good.")
            )  # fmt: skip
            said.append(sentence.format(minutes=round(abs(ahead) / 60)))
        return " ".join(said)

    def _scopes(self) -> list[str]:
        """What is asked for."""
        return scopes_for(self._account, self._firm.cloud)

    def _begin_code_flow(
        self, redirect_uri: str, response_mode: str, *, claims: str | None, another: bool
    ) -> dict[str, Any]:
        """Ask msal for the address to open, with PKCE.

        A first sign-in shows the account picker, so that several accounts can be set up one after another
        in one browser. When it is known who signs in again, the name is given instead: Entra allows either
        ``prompt=select_account`` or ``login_hint``, not both (entra-docs: v2-oauth2-auth-code-flow.md). After
        somebody else signed in, ``prompt=login`` asks for name and password whatever session the browser has.
        """
        known = self._workspace.tokens.status(self._account.address)
        with warnings.catch_warnings():
            # msal prefers form_post; only with `query` does an address that is sent back hold the answer.
            warnings.simplefilter("ignore", UserWarning)
            flow: dict[str, Any] = self._client.app.initiate_auth_code_flow(
                self._scopes(),
                redirect_uri=redirect_uri,
                state=new_state(),
                prompt="login" if another else None if known else "select_account",
                login_hint=self._account.user if known or another else None,
                response_mode=response_mode,
                claims_challenge=claims,
            )
        redact.remember(flow["code_verifier"])
        self.url = flow["auth_uri"]
        return flow


def new_state() -> str:
    """A state that nobody guesses, and that tells when it was made."""
    return f"{secrets.token_urlsafe(18)}.{int(time.time()):x}"


def state_age(state: str) -> float | None:
    """Seconds since a state was made by :func:`new_state`, or None when it was not."""
    try:
        made = int(state.rpartition(".")[2], 16)
    except ValueError:
        return None
    age = time.time() - made
    return age if -SKEW_SECONDS < age < 366 * 86400 else None


def unreadable(what: str, problem: Exception | None) -> AuthError:
    """The failure of an answer in which there is no token that can be read."""
    return AuthError(
        _("{what}: the answer holds no token that can be read.").format(what=what),
        evidence=type(problem).__name__ if problem else "",
    )


def start(
    workspace: Workspace,
    account: Account,
    via: Via | None = None,
    *,
    open_browser: bool = True,
    claims: str | None = None,
    another: bool = False,
) -> SignIn:
    """Start a sign-in.

    Args:
        via: ``browser`` (the answer comes back to this computer), ``device`` (a code to enter on any computer)
            or ``paste`` (the user sends back the address at which the browser ended); None for the one that
            can work here (:func:`propose`).
        open_browser: Open the system's browser (the ``browser`` way only).
        claims: A claims challenge to be passed on; None for the one that the last refusal brought, if any.
        another: Ask for name and password even when the browser has a session: another account signed in before.

    Raises:
        AuthError: the authority refused or cannot be reached.
        InputError: this way cannot work with this firm's registration.
    """
    from msoauth.identity.browser import BrowserSignIn
    from msoauth.identity.device import DeviceSignIn
    from msoauth.identity.paste import PasteSignIn

    firm = workspace.firms.get(account.firm)
    if firm.access == "app-only":
        raise InputError(_("{firm} uses app-only access: nobody signs in.").format(firm=firm.name))
    via = via or propose(workspace, account).via
    claims = claims or sign_in_history.pending_challenge(workspace, account)
    # The device code flow has no redirect URI, so the app counts as public there (facts C2, C4).
    secret = None if via == "device" else workspace.firms.secret(firm.name)
    client = Client(firm, secret)
    if via == "browser":
        return BrowserSignIn(
            workspace,
            account,
            firm,
            client,
            open_browser=open_browser,
            claims=claims,
            another=another,
        )
    if via == "device":
        return DeviceSignIn(workspace, account, firm, client, claims=claims)
    return PasteSignIn(workspace, account, firm, client, claims=claims, another=another)


def propose(workspace: Workspace, account: Account) -> "Choice":
    """The way of signing in that can work here for this account, and why."""
    from msoauth.identity.environment import choose

    firm = workspace.firms.get(account.firm)
    return choose(
        firm,
        has_secret=workspace.firms.has_secret(firm.name),
        challenged=sign_in_history.pending_challenge(workspace, account) is not None,
    )


def other_way(via: Via, refused: AuthError) -> Via | None:
    """The way to offer after *via* was refused, where another may work.

    A policy can block the device code alone (facts B3), and an app with a secret gets none by it (facts C2).
    """
    if via == "device" and refused.cause in _DEVICE_ONLY:
        return "paste"
    return None


_DEVICE_ONLY = frozenset(
    {"flow-blocked", "conditional-access", "secret-required", "mfa-required", "unknown"}
)


def mended_by_signing_in(cause: str) -> bool:
    """Whether a renewal that was refused for this cause works again once the user has signed in."""
    return cause in _SIGN_IN_MENDS


_SIGN_IN_MENDS = frozenset(
    {
        *("refresh-expired", "refresh-revoked", "session-missing", "code-expired", "account-wrong"),
        *(
            "consent-required",
            "consent-declined",
            "scope-missing",
            "audience-wrong",
            "token-expired",
        ),
        *("mfa-required", "password-expired", "password-wrong", "flow-blocked", "user-external"),
    }
)

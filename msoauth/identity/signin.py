"""Signing a user in: three ways, one interface.

``start`` → what to show (``url``, ``code``, ``message``) → ``wait`` → who signed in. ``cancel`` at any time.
Nothing is stored unless the right user signed in and the tokens were granted.
"""

import time
from dataclasses import dataclass
from typing import Any, Literal

import requests

from msoauth import redact
from msoauth.claims import from_mapping
from msoauth.errors import AuthError, InputError
from msoauth.identity import http
from msoauth.identity.authority import Client, scopes_for
from msoauth.identity.refusals import refusal
from msoauth.model import Account, Firm
from msoauth.store import Workspace
from msoauth.texts import _

Via = Literal["browser", "device", "paste"]

TIME_LIMIT = 300.0  # seconds from the start to the answer, for the ways that wait for a browser


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
        raise NotImplementedError

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
        if "error" in answer:
            raise refusal(answer, what)
        try:
            result = self._client.app.acquire_token_by_auth_code_flow(flow, answer)
        except ValueError as problem:
            raise AuthError(
                _("The browser's answer does not belong to this sign-in; start again."),
                cause="state-mismatch",
                evidence=redact.redact(str(problem))[:500],
            ) from None
        except RuntimeError as problem:  # msal: the nonce in the ID token is another one
            raise AuthError(
                _("The token does not belong to this sign-in; start again."),
                cause="state-mismatch",
                evidence=redact.redact(str(problem))[:500],
            ) from None
        except requests.RequestException as problem:
            raise http.failure(problem, what) from None
        return self._store(result, what)

    def _store(self, result: dict[str, Any], what: str) -> SignedIn:
        if "error" in result:
            raise refusal(result, what)
        redact.remember(
            result.get("access_token"), result.get("refresh_token"), result.get("id_token")
        )
        said = from_mapping(result.get("id_token_claims") or {})
        account = self._account
        if said.user.casefold() != account.user.casefold():
            raise AuthError(
                _("{actual} signed in, but {wanted} was expected; nothing was stored.").format(
                    actual=said.user or _("somebody without a name"), wanted=account.user
                ),
                cause="account-wrong",
                evidence=_("signed in: {actual}").format(actual=said.user),
            )
        warning = ""
        if not result.get("refresh_token"):
            warning = _(
                "No refresh token was granted (offline_access is missing): this will stop working in about an hour."
            )
        with self._workspace.tokens.lock(account.address):
            self._workspace.tokens.save(
                account.address, self._client.serialized(), signed_in_as=said.user
            )
        return SignedIn(account.address, said.user, warning)

    def _begin_code_flow(
        self, redirect_uri: str, response_mode: str, claims: str | None
    ) -> dict[str, Any]:
        """Ask msal for the address to open, with PKCE.

        A first sign-in shows the account picker, so that several accounts can be set up one after another
        in one browser. When it is known who signs in again, the name is given instead: Entra allows either
        ``prompt=select_account`` or ``login_hint``, not both (entra-docs: v2-oauth2-auth-code-flow.md).
        """
        known = self._workspace.tokens.status(self._account.address)
        flow: dict[str, Any] = self._client.app.initiate_auth_code_flow(
            scopes_for(self._account, self._firm.cloud),
            redirect_uri=redirect_uri,
            prompt=None if known else "select_account",
            login_hint=self._account.user if known else None,
            response_mode=response_mode,
            claims_challenge=claims,
        )
        redact.remember(flow["code_verifier"])
        self.url = flow["auth_uri"]
        return flow


def start(
    workspace: Workspace,
    account: Account,
    via: Via = "browser",
    *,
    open_browser: bool = True,
    claims: str | None = None,
) -> SignIn:
    """Start a sign-in.

    Args:
        via: ``browser`` (the answer comes back to this computer), ``device`` (a code to enter on any computer)
            or ``paste`` (the user sends back the address at which the browser ended).
        open_browser: Open the system's browser (the ``browser`` way only).
        claims: A claims challenge from an earlier refusal, to be passed on.

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
    # The device code flow has no redirect URI, so the app counts as public there (facts C2, C4).
    secret = None if via == "device" else workspace.firms.secret(firm.name)
    client = Client(firm, secret)
    try:
        if via == "browser":
            return BrowserSignIn(
                workspace, account, firm, client, open_browser=open_browser, claims=claims
            )
        if via == "device":
            return DeviceSignIn(workspace, account, firm, client, claims=claims)
        return PasteSignIn(workspace, account, firm, client, claims=claims)
    except BaseException:
        client.close()
        raise

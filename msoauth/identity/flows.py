"""Signs users in by one of three flows (browser, device code, pasted address), behind one interface.

:func:`begin` starts a :class:`SignIn`; the caller shows its ``url``, ``code`` and ``message`` and then calls ``wait``.
Whom the sign-in is for, what it asks for and what becomes of the tokens is in its :class:`SignInRequest`, so that the
user of a mailbox and an administrator sign in by the same code.
"""

import hmac
import math
import os
import secrets
import threading
import time
import warnings
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from urllib3.exceptions import HTTPError

from msoauth import redact, waiting
from msoauth.errors import AuthError, AuthTimeoutError, CancelledError, InputError
from msoauth.identity.auth_errors import (
    access_token_in,
    as_auth_errors,
    error_from_reply,
    transport_error,
    unreadable_reply,
)
from msoauth.identity.client import Client
from msoauth.identity.environment import LOOPBACK, Flow, FlowChoice, has_screen
from msoauth.identity.loopback import Listener
from msoauth.identity.pasted_address import find_replies
from msoauth.judgement import CLOCK_SKEW_SECONDS
from msoauth.model import Firm
from msoauth.store import Secret
from msoauth.texts import _

BROWSER_SECONDS = 300.0  # from the start to the answer of this computer's browser
# A link that is sent by mail takes its time. The code in the answer lives ten minutes (facts B6).
PASTE_SECONDS = 3600.0
OPEN_SECONDS = 3.0  # some browsers keep the program that opened them waiting until they are closed

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class SignInRequest(Generic[Result]):
    """Who is to sign in, and for what.

    Attributes:
        user: Who is to sign in, for people: a user name or a description.
        scopes: What is asked for, without ``offline_access``, which msal adds.
        on_tokens: Gets the token endpoint's reply; what it returns is what :meth:`SignIn.wait` returns.
        on_end: Gets the error in which the sign-in ended, or None when it succeeded.
        prompt, login_hint: As OpenID Connect defines them; not used by the device code.
        claims: A claims challenge to be passed on.
    """

    user: str
    scopes: list[str]
    on_tokens: Callable[[Client, dict[str, Any]], Result]
    on_end: Callable[[AuthError | None], None] = lambda _error: None
    prompt: str | None = "select_account"
    login_hint: str | None = None
    claims: str | None = None


class SignIn(Generic[Result]):
    """A sign-in under way: of the user of a mailbox, or of an administrator.

    Attributes:
        flow: ``browser``, ``device`` or ``paste``.
        user: Who is to sign in, for people: a user name or a description.
        reason: Why this flow was chosen, as a sentence; empty when the caller named it.
        url: The address to open.
        code: The code to enter there (``device`` only).
        message: One sentence for the user.
    """

    flow: Flow
    code: str = ""

    def __init__(self, client: Client, request: SignInRequest[Result], reason: str) -> None:
        self.user = request.user
        self.reason = reason
        self.url = ""
        self.message = ""
        self._client = client
        self._request = request
        self._what = _("The sign-in of {user}").format(user=request.user)
        self._cancelled = threading.Event()
        self._set_lifetime(BROWSER_SECONDS)

    def __repr__(self) -> str:
        code = _("Code: {code}").format(code=self.code) if self.code else ""
        return "\n".join(line for line in (self.message, self.url, code) if line)

    def _repr_html_(self) -> str:
        from markupsafe import Markup

        page = Markup(
            '<p>{}</p><p><a href="{}" target="_blank" rel="noopener noreferrer">{}</a></p>'
        ).format(self.message, self.url, self.url)
        return str(page + (Markup("<p><code>{}</code></p>").format(self.code) if self.code else ""))

    @property
    def seconds_left(self) -> float:
        """Seconds until the sign-in expires, by the server's clock as soon as a reply has told the server's time.

        A clock of this computer that is wrong, or set while the user signs in, does not change it. Each reply to a
        poll for the device code tells the time again, so that a computer that slept does not go on counting.
        """
        return max(0.0, self._lifetime - (self._client.server_time() - self._started))

    def wait(self, timeout: float | None = None) -> Result:
        """Wait for the user, then hand over the tokens.

        Args:
            timeout: Seconds to wait at most; None for the time limit of the sign-in itself.

        Raises:
            CancelledError: :meth:`cancel` was called.
            AuthError: it was refused or abandoned, or somebody else signed in; nothing is stored.
        """
        try:
            reply = self._reply(math.inf if timeout is None else time.monotonic() + timeout)
            self._raise_if_cancelled()
            access_token_in(reply, self._what)
            result = self._request.on_tokens(self._client, reply)
        except AuthError as error:
            self._request.on_end(error)
            raise
        except KeyboardInterrupt:  # the way to cancel at a terminal
            self._request.on_end(_cancelled())
            raise
        finally:
            self._close()
        self._request.on_end(None)
        return result

    def cancel(self) -> None:
        """Cancel the sign-in; a waiting thread gets a CancelledError. May be called at any time, and more than once."""
        self._cancelled.set()
        self._close()

    def paste(self, text: str) -> None:  # noqa: ARG002 - the flow that takes one overrides this
        """Pass on the address at which the user's browser ended (the ``paste`` flow only).

        Raises:
            InputError: this flow takes no address, or the text holds none.
        """
        raise InputError(_("This way of signing in needs no address to be pasted."))

    def _reply(self, deadline: float) -> dict[str, Any]:
        """The token endpoint's reply, waited for until *deadline* of ``time.monotonic``."""
        raise NotImplementedError

    def _close(self) -> None:
        """Release what the flow holds open; may be called more than once."""

    def _set_lifetime(self, seconds: float) -> None:
        self._lifetime, self._started = seconds, self._client.server_time()

    def _remaining(self, deadline: float) -> float:
        return min(self.seconds_left, deadline - time.monotonic())

    def _raise_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise _cancelled()


def _cancelled() -> CancelledError:
    return CancelledError(_("The sign-in was cancelled."))


class CodeFlowSignIn(SignIn[Result]):
    """A sign-in by the authorization code flow with PKCE (RFC 7636), wherever the browser's answer comes from."""

    _answered: threading.Event

    def _begin(self, redirect_uri: str, response_mode: str) -> None:
        """Set ``url``, the address to open.

        A first sign-in shows the account picker, so that several accounts can be set up one after another
        in one browser. When it is known who signs in again, the name is given instead: Entra allows either
        ``prompt=select_account`` or ``login_hint``, not both (entra-docs: v2-oauth2-auth-code-flow.md). After
        somebody else signed in, ``prompt=login`` asks for name and password whatever session the browser has.
        """
        with warnings.catch_warnings():
            # msal prefers form_post; only with `query` does an address that is sent back hold the answer.
            warnings.simplefilter("ignore", UserWarning)
            self._msal_flow: dict[str, Any] = self._client.app.initiate_auth_code_flow(
                self._request.scopes,
                redirect_uri=redirect_uri,
                state=new_state(),
                prompt=self._request.prompt,
                login_hint=self._request.login_hint,
                response_mode=response_mode,
                claims_challenge=self._request.claims,
            )
        redact.remember(self._msal_flow["code_verifier"])
        self.url = self._msal_flow["auth_uri"]

    def _answer(self) -> dict[str, str]:
        """The fields of the browser's answer; called when it has arrived."""
        raise NotImplementedError

    def _timeout_message(self) -> str:
        """The error message for a sign-in that nobody completed in time."""
        raise NotImplementedError

    def _reply(self, deadline: float) -> dict[str, Any]:
        while not self._answered.wait(waiting.STEP):
            self._raise_if_cancelled()
            if self._remaining(deadline) <= 0:
                raise AuthTimeoutError(self._timeout_message(), cause="code-expired")
        self._raise_if_cancelled()
        answer = self._answer()
        redact.remember(answer.get("code"))
        if not hmac.compare_digest(
            answer.get("state", "").encode(), self._msal_flow["state"].encode()
        ):
            raise AuthError(
                _("The browser's answer does not belong to this sign-in; start again."),
                cause="state-mismatch",
            )
        if "error" in answer:
            raise error_from_reply(answer, self._what)
        try:
            with as_auth_errors(self._what):
                reply: dict[str, Any] = self._client.app.acquire_token_by_auth_code_flow(
                    self._msal_flow, answer
                )
        except RuntimeError as problem:  # msal: the nonce in the ID token is another one
            raise AuthError(
                _("The token does not belong to this sign-in; start again."),
                cause="state-mismatch",
                evidence=redact.redact(str(problem), 500),
            ) from None
        if "error" in reply:
            error = error_from_reply(reply, self._what)
            if error.cause == "refresh-expired":  # AADSTS70008 says the same of codes
                error.cause = "code-expired"
            raise error
        return reply


class BrowserSignIn(CodeFlowSignIn[Result]):
    """A sign-in in the system's browser, with a listener on the loopback interface for its answer (RFC 8252)."""

    flow = "browser"

    def __init__(
        self, client: Client, request: SignInRequest[Result], reason: str, *, open_browser: bool
    ) -> None:
        super().__init__(client, request, reason)
        registered = client.firm.redirect_uri
        parts = urlsplit(registered)
        if parts.scheme != "http" or parts.hostname not in LOOPBACK:
            raise InputError(
                _(
                    "The redirect URI {uri} does not lead to this computer: use the “paste” way."
                ).format(uri=registered),
                field="redirect_uri",
            )
        self._listener = Listener(parts.hostname, parts.port, parts.path or "/")
        self._answered = self._listener.answered
        try:
            # Entra ignores the port of localhost; the path must be as registered (facts C1).
            self._begin(f"http://{parts.hostname}:{self._listener.port}{parts.path}", "form_post")
            self._listener.listen(self._msal_flow["state"])
        except BaseException:
            self._listener.close()
            raise
        self.message = _("Sign in as {user} in the browser.").format(user=request.user)
        if open_browser and not _open(self.url):
            self.message = _(
                "No browser could be opened here: open the address yourself and sign in as {user}."
            ).format(user=request.user)

    def _answer(self) -> dict[str, str]:
        answer = self._listener.answer
        if answer is None:  # the listener was closed
            raise _cancelled()
        return answer

    def _timeout_message(self) -> str:
        return _("Nobody signed in within {minutes} minutes; start again.").format(
            minutes=round(BROWSER_SECONDS / 60)
        )

    def _close(self) -> None:
        self._listener.close()


def _open(url: str) -> bool:
    """Open *url* in the system's browser, and return whether that seems to have worked."""
    if not has_screen(os.environ):
        return False  # or a text browser would take over this terminal
    results: list[bool] = []

    def ask() -> None:
        try:
            results.append(webbrowser.open(url))
        except (webbrowser.Error, OSError):
            results.append(False)

    thread = threading.Thread(target=ask, name="browser", daemon=True)
    thread.start()
    thread.join(OPEN_SECONDS)
    return results[0] if results else True


class PasteSignIn(CodeFlowSignIn[Result]):
    """A sign-in in a browser elsewhere, which ends on an address that does not load; that address is pasted here."""

    flow = "paste"

    def __init__(self, client: Client, request: SignInRequest[Result], reason: str) -> None:
        super().__init__(client, request, reason)
        self._answered = threading.Event()
        self._pasted: dict[str, str] = {}
        self._begin(client.firm.redirect_uri, "query")
        self._set_lifetime(PASTE_SECONDS)
        self.message = _(
            "Send this link to {user}. After signing in, the browser ends on a page that does not load: "
            "its whole address comes back to you and is pasted here."
        ).format(user=request.user)

    def paste(self, text: str) -> None:
        """See :meth:`SignIn.paste`; takes the address out of whatever mail programs put around it."""
        problem = (
            self._accept_answer(text)
            if self.seconds_left > 0
            else _(
                "The link is older than {minutes} minutes, so this answer no longer counts; start again."
            ).format(minutes=round(PASTE_SECONDS / 60))
        )
        if problem:
            raise InputError(problem, field="paste", cause="state-mismatch")

    def _accept_answer(self, text: str) -> str:
        """Accept the answer to this sign-in from *text*; return what is wrong with the text, or nothing (``""``)."""
        own_state: str = self._msal_flow["state"]
        other_states = []
        for fields in find_replies(text):
            state = fields.get("state", "")
            # Only the beginning is compared: mail programs may glue text to the end of the address.
            if hmac.compare_digest(state[: len(own_state)].encode(), own_state.encode()):
                redact.remember(fields.get("code"))
                self._pasted = {**fields, "state": own_state}
                self._answered.set()
                return ""
            other_states.append(state)
        if not other_states:
            return _(
                "In this text there is no address with an answer in it; copy the whole address line of the browser."
            )
        if not any(other_states):
            return _(
                "The address is not whole: its “state” is missing. Copy the whole address line of the browser."
            )
        ages = [age for state in other_states if (age := _state_age(state)) is not None]
        if ages:
            return _(
                "This is the answer to another link, made {minutes} minutes ago; only the newest link counts."
            ).format(minutes=max(0, round(min(ages) / 60)))
        return _(
            "This answer does not belong to this sign-in: send the link again and use the address that comes of it."
        )

    def _answer(self) -> dict[str, str]:
        return self._pasted

    def _timeout_message(self) -> str:
        return _("No address was pasted in time; start again.")


def new_state() -> str:
    """A state that nobody can guess, and that contains the time of its creation."""
    return f"{secrets.token_urlsafe(18)}.{int(time.time()):x}"


def _state_age(state: str) -> float | None:
    """Seconds since :func:`new_state` created *state*; None if it did not."""
    try:
        created = int(state.rpartition(".")[2], 16)
    except ValueError:
        return None
    age = time.time() - created
    return age if -CLOCK_SKEW_SECONDS < age < 366 * 86400 else None


class DeviceSignIn(SignIn[Result]):
    """A sign-in by a code that the user enters on any computer (RFC 8628), at the address that the server names."""

    flow = "device"

    def __init__(self, client: Client, request: SignInRequest[Result], reason: str) -> None:
        super().__init__(client, request, reason)
        self._what = _("The sign-in of {user} by code").format(user=request.user)
        try:
            flow: dict[str, Any] = client.app.initiate_device_flow(
                request.scopes, claims_challenge=request.claims
            )
        except HTTPError as error:
            raise transport_error(error, self._what) from None
        except ValueError as error:
            raise AuthError(
                _("This sign-in service knows no device codes."), evidence=str(error)
            ) from None
        if "error" in flow:
            raise error_from_reply(flow, self._what)
        needed = ("user_code", "device_code", "verification_uri")
        if not all(isinstance(flow.get(key), str) for key in needed):
            raise unreadable_reply(self._what)
        redact.remember(flow.get("device_code"))
        self._msal_flow = flow
        self.url = flow["verification_uri"]
        self.code = flow["user_code"]
        self.message = flow.get("message", "")
        self._set_lifetime(float(flow["expires_in"]))

    def _reply(self, deadline: float) -> dict[str, Any]:
        """Poll as often as the server allows, and continue after an outage."""
        while True:
            reply, pause = self._poll()
            if reply is not None:
                return reply
            waiting.wait(self._cancelled, min(pause, self._remaining(deadline)))
            self._raise_if_cancelled()
            if self._remaining(deadline) <= 0:
                raise AuthTimeoutError(
                    _("Nobody entered the code in time; start again."), cause="code-expired"
                )

    def _poll(self) -> tuple[dict[str, Any] | None, float]:
        """The server's reply, or None while nobody has signed in; and the seconds until it may be asked again.

        ``slow_down`` makes msal lengthen the interval that the flow carries (RFC 8628).
        """
        try:
            with warnings.catch_warnings(), as_auth_errors(self._what):
                # The interval is kept here, to the second.
                warnings.simplefilter("ignore", UserWarning)
                reply: dict[str, Any] = self._client.app.acquire_token_by_device_flow(
                    self._msal_flow, exit_condition=lambda _flow: True
                )
        except AuthError as error:
            if not error.retriable:
                raise
            return None, error.retry_after or 2 * self._interval
        if reply.get("error") in ("authorization_pending", "slow_down"):
            return None, self._interval
        return reply, 0.0

    @property
    def _interval(self) -> float:
        return max(1.0, float(self._msal_flow["interval"]))


def begin(
    firm: Firm,
    secret: Secret | None,
    request: SignInRequest[Result],
    choice: FlowChoice,
    *,
    open_browser: bool,
) -> SignIn[Result]:
    """Begin a sign-in by the chosen flow.

    Args:
        secret: The app's client secret. The device code flow does not use it: it has no redirect URI, so that the app
            counts as a public client there (facts C2, C4).
        open_browser: Open the system's browser (``browser`` only).

    Raises:
        AuthError: the authority refused or cannot be reached.
        InputError: this flow cannot work with this firm's registration.
    """
    if choice.flow == "device":
        return DeviceSignIn(Client(firm, None), request, choice.reason)
    client = Client(firm, secret)
    if choice.flow == "browser":
        return BrowserSignIn(client, request, choice.reason, open_browser=open_browser)
    return PasteSignIn(client, request, choice.reason)

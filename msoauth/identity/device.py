"""The device way: a code that the user enters on any computer, for a lawyer on the telephone."""

import threading
import time
import warnings
from typing import Any

import requests

from msoauth import redact
from msoauth.errors import AuthError
from msoauth.identity.auth_errors import error_from_reply, transport_error
from msoauth.identity.authority import Client
from msoauth.identity.signin import SignedIn, SignIn, unreadable
from msoauth.model import Account, Firm
from msoauth.store import Workspace
from msoauth.texts import _

_NEEDED = ("user_code", "device_code", "verification_uri")


class DeviceSignIn(SignIn):
    """A sign-in by device code (RFC 8628). The server's own address and code are shown, as it says."""

    via = "device"

    def __init__(
        self,
        workspace: Workspace,
        account: Account,
        firm: Firm,
        client: Client,
        *,
        claims: str | None,
    ) -> None:
        super().__init__(workspace, account, firm, client)
        self._cancelled = threading.Event()
        self._what = _("The sign-in of {user} by code").format(user=account.user)
        try:
            flow: dict[str, Any] = client.app.initiate_device_flow(
                self._scopes(), claims_challenge=claims
            )
        except requests.RequestException as problem:
            raise transport_error(problem, self._what) from None
        except ValueError as problem:
            raise AuthError(
                _("This sign-in service knows no device codes."), evidence=str(problem)[:300]
            ) from None
        if "error" in flow:
            raise error_from_reply(flow, self._what)
        if not all(isinstance(flow.get(key), str) for key in _NEEDED):
            raise unreadable(self._what, None)
        redact.remember(flow.get("device_code"))
        self._flow = flow
        self.url = flow["verification_uri"]
        self.code = flow["user_code"]
        self.message = flow.get("message", "")
        self.expires_at = time.monotonic() + float(flow.get("expires_in", 900))

    def _wait(self, timeout: float | None) -> SignedIn:
        """See :meth:`SignIn.wait`; asks the server as often as it allows, and goes on after an outage."""
        deadline = (
            self.expires_at if timeout is None else min(self.expires_at, time.monotonic() + timeout)
        )
        while True:
            result, pause = self._ask()
            if result is not None:
                return self._store(result, self._what)
            self._cancelled.wait(min(pause, max(0.0, deadline - time.monotonic())))
            if self._cancelled.is_set():
                raise AuthError(_("The sign-in was cancelled."), cause="consent-declined")
            if time.monotonic() >= deadline:
                raise AuthError(
                    _("Nobody entered the code in time; start again."), cause="code-expired"
                )

    def _ask(self) -> tuple[dict[str, Any] | None, float]:
        """What the server says, or None while nobody has signed in; and the seconds until it may be asked again.

        ``slow_down`` makes msal lengthen the interval that the flow carries (RFC 8628).
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", UserWarning
                )  # the interval is kept here, to the second
                result: dict[str, Any] = self._client.app.acquire_token_by_device_flow(
                    self._flow, exit_condition=lambda _flow: True
                )
        except requests.RequestException as problem:
            failure = transport_error(problem, self._what)
            if not failure.retriable:
                raise failure from None
            return None, failure.retry_after or 2 * self._interval
        except (ValueError, LookupError, TypeError) as problem:
            raise unreadable(self._what, problem) from None
        if result.get("error") in ("authorization_pending", "slow_down"):
            return None, self._interval
        return result, 0.0

    @property
    def _interval(self) -> float:
        return max(1.0, float(self._flow.get("interval", 5)))

    def cancel(self) -> None:
        """See :meth:`SignIn.cancel`."""
        self._cancelled.set()

"""The device way: a code that the user enters on any computer, for a lawyer on the telephone."""

import threading
import time
from typing import Any

import requests

from msoauth import redact
from msoauth.errors import AuthError
from msoauth.identity import http
from msoauth.identity.authority import Client, scopes_for
from msoauth.identity.refusals import refusal
from msoauth.identity.signin import SignedIn, SignIn
from msoauth.model import Account, Firm
from msoauth.store import Workspace
from msoauth.texts import _


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
                scopes_for(account, firm.cloud), claims_challenge=claims
            )
        except requests.RequestException as problem:
            raise http.failure(problem, self._what) from None
        except ValueError as problem:
            raise AuthError(
                _("This sign-in service knows no device codes."), evidence=str(problem)[:300]
            ) from None
        if "user_code" not in flow:
            raise refusal(flow, self._what)
        redact.remember(flow.get("device_code"))
        self._flow = flow
        self.url = flow["verification_uri"]
        self.code = flow["user_code"]
        self.message = flow.get("message", "")
        self.expires_at = time.monotonic() + float(flow.get("expires_in", 900))

    def wait(self, timeout: float | None = None) -> SignedIn:
        """See :meth:`SignIn.wait`."""
        deadline = (
            self.expires_at if timeout is None else min(self.expires_at, time.monotonic() + timeout)
        )

        def over(_flow: dict[str, Any]) -> bool:
            return self._cancelled.is_set() or time.monotonic() >= deadline

        try:
            result = self._client.app.acquire_token_by_device_flow(self._flow, exit_condition=over)
        except requests.RequestException as problem:
            raise http.failure(problem, self._what) from None
        finally:
            self._client.close()
        if self._cancelled.is_set():
            raise AuthError(_("The sign-in was cancelled."), cause="consent-declined")
        if result.get("error") == "authorization_pending":
            raise AuthError(
                _("Nobody entered the code in time; start again."), cause="code-expired"
            )
        return self._store(result, self._what)

    def cancel(self) -> None:
        """See :meth:`SignIn.cancel`."""
        self._cancelled.set()
        self._flow["expires_at"] = 0

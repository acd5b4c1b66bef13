"""The browser way: the system's browser, and a listener on the loopback interface for its answer (RFC 8252)."""

import os
import sys
import threading
import time
import webbrowser
from typing import Any
from urllib.parse import urlsplit

from msoauth.errors import AuthError, InputError
from msoauth.identity.authority import Client
from msoauth.identity.environment import LOOPBACK, has_screen
from msoauth.identity.loopback import Listener
from msoauth.identity.signin import TIME_LIMIT, SignedIn, SignIn
from msoauth.model import Account, Firm
from msoauth.store import Workspace
from msoauth.texts import _

_TICK = 0.25  # seconds; Windows delivers Ctrl-C only between waits
OPEN_SECONDS = 3.0


class BrowserSignIn(SignIn):
    """A sign-in whose answer comes to a listener on this computer."""

    via = "browser"

    def __init__(
        self,
        workspace: Workspace,
        account: Account,
        firm: Firm,
        client: Client,
        *,
        open_browser: bool,
        claims: str | None,
        another: bool,
    ) -> None:
        super().__init__(workspace, account, firm, client)
        parts = urlsplit(firm.redirect_uri)
        if parts.scheme != "http" or parts.hostname not in LOOPBACK:
            raise InputError(
                _(
                    "The redirect URI {uri} does not lead to this computer: use the “paste” way."
                ).format(uri=firm.redirect_uri),
                field="redirect_uri",
            )
        self._cancelled = threading.Event()
        self._listener = Listener(parts.hostname, parts.port, parts.path or "/")
        try:
            # Entra ignores the port of localhost; the path must be as registered (facts C1).
            redirect_uri = f"http://{parts.hostname}:{self._listener.port}{parts.path}"
            self._flow: dict[str, Any] = self._begin_code_flow(
                redirect_uri, "form_post", claims=claims, another=another
            )
            self._listener.listen(self._flow["state"])
        except BaseException:
            self._listener.close()
            raise
        self.message = _("Sign in as {user} in the browser.").format(user=account.user)
        if open_browser and not _open(self.url):
            self.message = _(
                "No browser could be opened here: open the address yourself and sign in as {user}."
            ).format(user=account.user)

    def _wait(self, timeout: float | None) -> SignedIn:
        """See :meth:`SignIn.wait`."""
        deadline = (
            self.expires_at if timeout is None else min(self.expires_at, time.monotonic() + timeout)
        )
        try:
            while not self._listener.answered.wait(_TICK):
                if self._cancelled.is_set():
                    raise AuthError(_("The sign-in was cancelled."), cause="consent-declined")
                if time.monotonic() >= deadline:
                    raise AuthError(
                        _("Nobody signed in within {minutes} minutes; start again.").format(
                            minutes=round(TIME_LIMIT / 60)
                        ),
                        cause="code-expired",
                    )
            if self._listener.answer is None:
                raise AuthError(_("The sign-in was cancelled."), cause="consent-declined")
            return self._redeem(self._flow, self._listener.answer)
        finally:
            self._listener.close()

    def cancel(self) -> None:
        """See :meth:`SignIn.cancel`."""
        self._cancelled.set()
        self._listener.close()


def _open(url: str) -> bool:
    """Have the system's browser show *url*; whether that seems to have worked."""
    if sys.platform == "linux" and not has_screen(os.environ):
        return False  # or a browser for terminals would take this one over
    opened: list[bool] = []

    def ask() -> None:
        try:
            opened.append(webbrowser.open(url))
        except (webbrowser.Error, OSError):
            opened.append(False)

    # Some browsers keep the caller until they are closed.
    asking = threading.Thread(target=ask, name="browser", daemon=True)
    asking.start()
    asking.join(OPEN_SECONDS)
    return opened[0] if opened else True

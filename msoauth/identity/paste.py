"""The paste way: the user's browser ends on an address that does not load, and that address comes back by mail."""

import html
import re
import threading
import time
import warnings
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from msoauth.errors import AuthError, InputError
from msoauth.identity.authority import Client
from msoauth.identity.signin import SignedIn, SignIn
from msoauth.model import Account, Firm
from msoauth.store import Workspace
from msoauth.texts import _

PASTE_TIME_LIMIT = 1800.0  # seconds; a link that is sent by mail takes its time. The code in the answer lives 10 minutes.

_ADDRESS = re.compile(r"https?://[^\s<>\"']{1,16000}", re.IGNORECASE)


class PasteSignIn(SignIn):
    """A sign-in whose answer is pasted. Works when nothing else does."""

    via = "paste"

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
        self._ready = threading.Event()
        self._answer: dict[str, str] | None = None
        with warnings.catch_warnings():
            # msal prefers form_post; only with `query` does the address hold the answer.
            warnings.simplefilter("ignore", UserWarning)
            self._flow: dict[str, Any] = self._begin_code_flow(firm.redirect_uri, "query", claims)
        self.expires_at = time.monotonic() + PASTE_TIME_LIMIT
        self.message = _(
            "Send this link to {user}. After signing in, the browser ends on a page that does not load: "
            "its whole address comes back to you and is pasted here."
        ).format(user=account.user)

    def paste(self, text: str) -> None:
        """See :meth:`SignIn.paste`; takes the address out of whatever mail programs put around it."""
        for found in _addresses(text):
            fields = {
                name: values[0]
                for name, values in parse_qs(urlsplit(found).query, max_num_fields=50).items()
            }
            if "code" in fields or "error" in fields:
                self._answer = fields
                self._ready.set()
                return
        raise InputError(
            _(
                "In this text there is no address with an answer in it; copy the whole address line of the browser."
            ),
            field="paste",
        )

    def wait(self, timeout: float | None = None) -> SignedIn:
        """See :meth:`SignIn.wait`."""
        deadline = (
            self.expires_at if timeout is None else min(self.expires_at, time.monotonic() + timeout)
        )
        try:
            while not self._ready.wait(0.25):
                if time.monotonic() >= deadline:
                    raise AuthError(
                        _("No address was pasted in time; start again."), cause="code-expired"
                    )
            if self._answer is None:
                raise AuthError(_("The sign-in was cancelled."), cause="consent-declined")
            return self._redeem(self._flow, self._answer)
        finally:
            self._client.close()

    def cancel(self) -> None:
        """See :meth:`SignIn.cancel`."""
        self._ready.set()
        self._client.close()


def _addresses(text: str) -> list[str]:
    """Every address in *text*, also when it was broken over lines, quoted, or escaped as HTML or as a safe link."""
    text = html.unescape(text[:200_000]).replace("=\r\n", "").replace("=\n", "")
    unquoted = re.sub(
        r"\r?\n[>\s]*", "", text
    )  # an address broken over lines, perhaps behind quote marks
    found = []
    for variant in (text, unquoted):
        for address in _ADDRESS.findall(variant):
            found.append(address.rstrip(">.,;)]"))
            # Mail gateways wrap links: the original stands in the parameter `url`.
            inner = parse_qs(urlsplit(address).query).get("url", [""])[0]
            found.extend(_ADDRESS.findall(unquote(inner)) if inner else [])
    return sorted(found, key=len, reverse=True)

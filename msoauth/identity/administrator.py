"""An administrator's sign-in to Microsoft Graph: to read the directory now, and to be forgotten.

The token is never stored: it is held by the sign-in itself, which the caller lets go. The administrator signs in
to the firm's own app, and may be asked to consent to the four reading permissions.
"""

from typing import Any

from msoauth import redact
from msoauth.errors import AuthError
from msoauth.identity import signed_in_user
from msoauth.identity.auth_errors import error_from_reply
from msoauth.identity.authority import Client
from msoauth.identity.browser import BrowserSignIn
from msoauth.identity.device import DeviceSignIn
from msoauth.identity.environment import choose
from msoauth.identity.paste import PasteSignIn
from msoauth.identity.signin import SignedIn, SignIn, Via, unreadable
from msoauth.model import Account, Firm
from msoauth.store import Workspace
from msoauth.texts import _

# The least that lets us read an app, what it was granted, users, and the sign-in log (facts G1). Without a resource before it a
# scope is Graph's, in every cloud (facts A4).
SCOPES = (
    "Application.Read.All",
    "DelegatedPermissionGrant.Read.All",
    "User.Read.All",
    "AuditLog.Read.All",
)


class AdministratorSignIn(SignIn):
    """A sign-in that stores nothing.

    Attributes:
        token: The access token for Graph, once :meth:`wait` has returned.
        signed_in_as: Who the administrator is.
    """

    token: str = ""
    signed_in_as: str = ""

    def _scopes(self) -> list[str]:
        return list(SCOPES)

    def _ended(self, refused: AuthError | None) -> None:
        """Nothing is written down of it."""

    def _store(self, result: dict[str, Any], what: str) -> SignedIn:
        if "error" in result:
            raise error_from_reply(result, what)
        if not isinstance(result.get("access_token"), str):
            raise unreadable(what, None)
        redact.remember(result["access_token"], result.get("refresh_token"), result.get("id_token"))
        self.token, self.signed_in_as = result["access_token"], signed_in_user.user_name(result)
        return SignedIn("", self.signed_in_as)


class _Browser(AdministratorSignIn, BrowserSignIn):
    pass


class _Device(AdministratorSignIn, DeviceSignIn):
    pass


class _Paste(AdministratorSignIn, PasteSignIn):
    pass


def start(
    workspace: Workspace, firm: Firm, via: Via | None = None, *, open_browser: bool = True
) -> AdministratorSignIn:
    """Start the sign-in of an administrator; nothing of it is ever stored.

    Args:
        via: As for :func:`msoauth.identity.signin.start`; None for the way that can work here.
        open_browser: Open the system's browser (the ``browser`` way only).

    Raises:
        AuthError: the authority refused or cannot be reached.
        InputError: this way cannot work with this firm's registration.
    """
    if via is None:
        has_secret = workspace.firms.has_secret(firm.name)
        via = choose(firm, has_secret=has_secret, challenged=False).via
    somebody = Account("", firm.name, login=_("an administrator of {firm}").format(firm=firm.name))
    client = Client(firm, None if via == "device" else workspace.firms.secret(firm.name))
    if via == "browser":
        return _Browser(
            workspace, somebody, firm, client, open_browser=open_browser, claims=None, another=False
        )  # fmt: skip
    if via == "device":
        return _Device(workspace, somebody, firm, client, claims=None)
    return _Paste(workspace, somebody, firm, client, claims=None, another=False)

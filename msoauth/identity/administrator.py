"""Signs an administrator in to Microsoft Graph, so that the directory can be read; the token is never stored.

``wait`` returns the token, and the caller discards it after use. The administrator signs in to the
firm's own app, and may be asked to consent to the reading permissions.
"""

from dataclasses import dataclass, field
from typing import Any

from msoauth.identity.client import Client
from msoauth.identity.environment import Flow, FlowChoice, choose_flow
from msoauth.identity.flows import SignIn, SignInRequest, begin
from msoauth.identity.signed_in_user import signed_in_person
from msoauth.model import Firm
from msoauth.store import Workspace
from msoauth.texts import _

# The least permissions that let us read an app, its grants, users, the sign-in log, and the policies that decide about
# consent, sign-ins and secrets (facts G1, K2.2). A scope with no resource
# in front of it is Graph's, in every cloud (facts A4).
SCOPES = (
    "Application.Read.All",
    "DelegatedPermissionGrant.Read.All",
    "User.Read.All",
    "GroupMember.Read.All",
    "OrgContact.Read.All",
    "Place.Read.All",
    "AuditLog.Read.All",
    "Policy.Read.All",
    "Policy.Read.PermissionGrant",
)


@dataclass(frozen=True, slots=True)
class AdministratorToken:
    """An access token for Graph, and the user name of its administrator."""

    value: str = field(repr=False)
    signed_in_as: str


def start(
    workspace: Workspace, firm: Firm, flow: Flow | None = None, *, open_browser: bool = True
) -> SignIn[AdministratorToken]:
    """Start the sign-in of an administrator; nothing of it is ever stored.

    Args:
        flow: As for :func:`msoauth.identity.signin.start`; None for one that works here.
        open_browser: Open the system's browser (``browser`` only).

    Raises:
        AuthError: the authority refused or cannot be reached.
        InputError: this flow cannot work with this firm's registration.
    """
    secret = workspace.firms.secret(firm)
    choice = FlowChoice(flow, "") if flow else choose_flow(firm, has_secret=secret is not None)
    description = _("an administrator of {firm}").format(firm=firm.name)
    request = SignInRequest(description, list(SCOPES), _token)
    return begin(firm, secret, request, choice, open_browser=open_browser)


def _token(client: Client, reply: dict[str, Any]) -> AdministratorToken:
    return AdministratorToken(reply["access_token"], signed_in_person(client, reply).user_name)

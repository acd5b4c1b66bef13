"""Builds links to pages of the sign-in service: for an administrator's consent, and for ending a browser's session."""

from collections.abc import Iterable
from urllib.parse import quote, urlencode

from msoauth.identity.client import scopes_for
from msoauth.identity.discovery import configuration
from msoauth.model import Account, Firm

# The causes that an administrator's consent removes.
CONSENT_CAUSES = frozenset(
    {"admin-consent-required", "consent-required", "permission-not-registered"}
)

# The resource whose /.default names POP and IMAP permissions of an app in the global cloud (facts A5); for the national
# clouds none is documented, so the resource of the token is used (unverified).
_GLOBAL_APP_SCOPE = "https://ps.outlook.com/.default"


def admin_consent_link(firm: Firm, accounts: Iterable[Account] = ()) -> str:
    """The page on which an administrator consents for all users (facts A2, B4).

    Afterwards the browser is redirected to the redirect URI with ``admin_consent=True`` or ``error=…``; nothing has
    to listen there.

    Args:
        accounts: The firm's mailboxes; they decide whether POP, IMAP or both are asked for.

    Raises:
        AuthError: the authority of an endpoints file cannot be reached.
    """
    parameters = {
        "client_id": firm.client_id,
        "redirect_uri": firm.redirect_uri,
        "scope": _scope(firm, accounts),
        "state": "admin-consent",
    }
    return f"{_endpoint(firm)}?{urlencode(parameters, quote_via=quote)}"


def _scope(firm: Firm, accounts: Iterable[Account]) -> str:
    if firm.access == "app-only":
        return _GLOBAL_APP_SCOPE if firm.cloud.name == "global" else firm.cloud.app_scope
    mailboxes = list(accounts) or [Account("", firm.name)]
    scopes = [scope for account in mailboxes for scope in scopes_for(account, firm.cloud)]
    return " ".join([*sorted(set(scopes)), "offline_access"])


def _endpoint(firm: Firm) -> str:
    if firm.cloud.is_microsoft:
        return f"{firm.authority}/v2.0/adminconsent"
    # With an endpoints file, the sign-in pages may be on another host than the token endpoint.
    sign_in_page = str(configuration(firm.cloud, firm.tenant)["authorization_endpoint"])
    return sign_in_page.replace("/oauth2/v2.0/authorize", "/v2.0/adminconsent")


def sign_out_link(firm: Firm) -> str:
    """The page that ends the browser's session at Microsoft (facts A2).

    Raises:
        AuthError: the authority cannot be reached.
    """
    end_session = configuration(firm.cloud, firm.tenant).get("end_session_endpoint")
    endpoint = str(end_session or f"{firm.authority}/oauth2/v2.0/logout")
    return f"{endpoint}?{urlencode({'client_id': firm.client_id})}"

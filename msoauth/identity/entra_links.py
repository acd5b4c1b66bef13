"""Links to pages of the sign-in service: where an administrator consents, and where a browser's session ends."""

from collections.abc import Iterable
from urllib.parse import quote, urlencode

from msoauth.identity.client import scopes_for
from msoauth.identity.discovery import configuration
from msoauth.model import Account, Firm

# The causes that an administrator's consent removes.
CONSENT_CAUSES = frozenset(
    {"admin-consent-required", "consent-required", "permission-not-registered"}
)

# The resource whose /.default names POP and IMAP permissions of an app in the global cloud (facts A5); nothing is
# known of the national clouds, where the resource of the token is taken instead (unverified).
_GLOBAL_APP_SCOPE = "https://ps.outlook.com/.default"


def admin_consent_link(firm: Firm, accounts: Iterable[Account] = ()) -> str:
    """The page on which an administrator consents for all users (facts A2, B4).

    Afterwards the browser is redirected to the redirect URI with ``admin_consent=True`` or ``error=…``; nobody has
    to listen there.

    Args:
        accounts: The firm's mailboxes; they decide whether POP, IMAP or both are asked for.

    Raises:
        AuthError: the authority of an endpoints file cannot be reached.
    """
    asked = {
        "client_id": firm.client_id,
        "redirect_uri": firm.redirect_uri,
        "scope": _scope(firm, accounts),
        "state": "admin-consent",
    }
    return f"{_endpoint(firm)}?{urlencode(asked, quote_via=quote)}"


def _scope(firm: Firm, accounts: Iterable[Account]) -> str:
    if firm.access == "app-only":
        return _GLOBAL_APP_SCOPE if firm.cloud.name == "global" else firm.cloud.app_scope
    kept = list(accounts) or [Account("", firm.name)]
    scopes = [scope for account in kept for scope in scopes_for(account, firm.cloud)]
    return " ".join([*sorted(set(scopes)), "offline_access"])


def _endpoint(firm: Firm) -> str:
    if firm.cloud.is_microsoft:
        return f"{firm.authority}/v2.0/adminconsent"
    # An endpoints file's sign-in pages may be at another place than its token endpoint.
    pages = str(configuration(firm.cloud, firm.tenant)["authorization_endpoint"])
    return pages.replace("/oauth2/v2.0/authorize", "/v2.0/adminconsent")


def sign_out_link(firm: Firm) -> str:
    """The page that ends the browser's session at Microsoft (facts A2).

    Raises:
        AuthError: the authority cannot be reached.
    """
    known = configuration(firm.cloud, firm.tenant).get("end_session_endpoint")
    endpoint = str(known or f"{firm.authority}/oauth2/v2.0/logout")
    return f"{endpoint}?{urlencode({'client_id': firm.client_id})}"

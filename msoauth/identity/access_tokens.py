"""Access tokens without anybody signing in: from the account's cache, or renewed."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msal
import requests

from msoauth import redact
from msoauth.errors import AuthError
from msoauth.identity import sign_in_history
from msoauth.identity.auth_errors import error_from_reply, transport_error, unreadable_reply
from msoauth.identity.client import Client, reused_client, scopes_for
from msoauth.judgement import CLOCK_SKEW_SECONDS
from msoauth.model import Account, Firm
from msoauth.store import Workspace
from msoauth.texts import _


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token, and when it ends (UTC)."""

    value: str = field(repr=False)
    expires: datetime


def access_token(workspace: Workspace, account: Account, *, force: bool = False) -> AccessToken:
    """An access token for the account's mail.

    The account's own cache is loaded, renewed and stored alone, under a lock that holds across processes.

    Args:
        force: Renew even when the cache holds a good one; only that proves the grant behind it.

    Raises:
        AuthError: nobody has signed in, or the renewal was refused (``retriable`` tells which may pass).
    """
    firm = workspace.firms.get(account.firm)
    if firm.access == "app-only":
        return app_token(workspace, firm)
    with workspace.tokens.lock(account.address):
        cache = workspace.tokens.load(account.address)
        if cache is None:
            raise AuthError(
                _("{user} has not signed in yet.").format(user=account.user),
                cause="session-missing",
            )
        what = _("Renewing the token of {user}").format(user=account.user)
        # A grant by device code has no redirect URI behind it and belongs to the public side of the app;
        # which side it was cannot be seen, so a refusal for presenting a secret is answered without one.
        secret = workspace.firms.secret(firm.name)
        with reused_client(firm, secret, cache) as client:
            result = _silent(client, account, firm, what, force=force)
            if secret is None or not _without_secret(result):
                return _stored(workspace, account, client, result, what)
        with reused_client(firm, None, cache) as public:
            result = _silent(public, account, firm, what, force=force)
            return _stored(workspace, account, public, result, what)


def _without_secret(result: dict[str, Any]) -> bool:
    """Whether the refusal says that this grant is to be renewed without a secret (AADSTS700025)."""
    return result.get("error") == "invalid_client" and 700025 in result.get("error_codes", ())


def _silent(
    client: Client, account: Account, firm: Firm, what: str, *, force: bool
) -> dict[str, Any]:
    known = client.app.get_accounts()
    if not known:
        raise AuthError(
            _("{user} has not signed in yet.").format(user=account.user), cause="session-missing"
        )
    try:
        result = client.app.acquire_token_silent_with_error(
            scopes_for(account, firm.cloud),
            account=known[0],
            force_refresh=force or _from_the_future(client),
        )
    except requests.RequestException as problem:
        raise _for_now(transport_error(problem, what)) from None
    except (ValueError, LookupError, TypeError) as problem:
        raise unreadable_reply(what, problem) from None
    if result is None:
        raise AuthError(
            _("There is no refresh token for {user}: sign in again.").format(user=account.user),
            cause="refresh-expired",
        )
    answer: dict[str, Any] = result
    return answer


def _from_the_future(client: Client) -> bool:
    """Whether the cached token was got while this computer's clock was ahead: its end cannot be relied on."""
    now = time.time() + CLOCK_SKEW_SECONDS
    return any(
        float(entry.get("cached_at") or 0) > now
        for entry in client.cache.search(msal.TokenCache.CredentialType.ACCESS_TOKEN)
    )


# The network between here and the authority says nothing of the grant: the renewal is tried again.
_NETWORK = frozenset(
    {"dns-failed", "connect-refused", "connect-timeout", "tls-failed", "proxy-required"}
)


def _for_now(failure: AuthError) -> AuthError:
    failure.retriable = failure.retriable or failure.cause in _NETWORK
    return failure


def _stored(
    workspace: Workspace, account: Account, client: Client, result: dict[str, Any], what: str
) -> AccessToken:
    if "error" in result:
        refused = error_from_reply(result, what)
        if not refused.retriable:
            sign_in_history.keep_challenge(workspace, account, refused.claims)
        raise refused
    if not isinstance(result.get("access_token"), str):
        raise unreadable_reply(what)
    redact.remember(result["access_token"])
    if client.cache.has_state_changed:
        workspace.tokens.save(account.address, client.serialized())
    return _token(result)


def app_token(workspace: Workspace, firm: Firm) -> AccessToken:
    """A token for the app itself (client credentials).

    Raises:
        AuthError: there is no secret, or the authority refused.
    """
    secret = workspace.firms.secret(firm.name)
    what = _("Getting a token for the app of {firm}").format(firm=firm.name)
    if secret is None:
        raise AuthError(_("App-only access needs a client secret."), cause="secret-required")
    client = Client(firm, secret)
    try:
        result = client.app.acquire_token_for_client([firm.cloud.app_scope])
    except requests.RequestException as problem:
        raise _for_now(transport_error(problem, what)) from None
    except (ValueError, LookupError, TypeError) as problem:
        raise unreadable_reply(what, problem) from None
    if "error" in result:
        raise error_from_reply(result, what)
    if not isinstance(result.get("access_token"), str):
        raise unreadable_reply(what)
    redact.remember(result["access_token"])
    return _token(result)


def _token(result: dict[str, Any]) -> AccessToken:
    seconds = float(result.get("expires_in") or 0)  # a number from Entra, a text from some others
    return AccessToken(result["access_token"], datetime.fromtimestamp(time.time() + seconds, UTC))

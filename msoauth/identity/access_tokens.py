"""Gets access tokens without anybody signing in: from the account's token cache, or renewed by its refresh token."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import msal

from msoauth.addresses import same
from msoauth.claims import body_of
from msoauth.errors import AuthError
from msoauth.identity import sign_in_history
from msoauth.identity.auth_errors import access_token_in, as_auth_errors
from msoauth.identity.client import Client, reused_client, scopes_for
from msoauth.identity.signed_in_user import signed_in_person
from msoauth.judgement import CLOCK_SKEW_SECONDS
from msoauth.model import Account, Firm, Person
from msoauth.store import Workspace
from msoauth.texts import _


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token.

    Attributes:
        expires: When it expires (UTC).
        person: Who the ID token that came with it names; None where none came, and for app-only access.
        earlier: Who the stored tokens were of before, with no user name.
    """

    value: str = field(repr=False)
    expires: datetime
    person: Person | None = None
    earlier: Person | None = None


def access_token(
    workspace: Workspace, account: Account, *, firm: Firm | None = None, force: bool = False
) -> AccessToken:
    """Get an access token for the account's mail.

    Only the account's own cache is loaded, renewed and stored, under a lock that holds across processes.

    Args:
        firm: The account's firm, whose mail servers the token is for; None for what is stored now.
        force: Renew even when the cache holds a good one; only a renewal proves that the grant still works.

    Raises:
        AuthError: nobody has signed in, or the renewal was refused (``retriable`` tells whether it may pass).
        DestinationError: where the tokens go was changed since they were stored, and nobody has confirmed that.
    """
    firm = firm or workspace.firms.get(account.firm)
    if firm.access == "app-only":
        return app_token(workspace, firm)
    with workspace.tokens.lock(account.address):
        cache = workspace.tokens.load(account, firm)
        if cache is None:
            raise AuthError(
                _("{user} has not signed in yet.").format(user=account.user),
                cause="session-missing",
            )
        what = _("Renewing the token of {user}").format(user=account.user)
        # A grant by device code belongs to the app as a public client, and Entra refuses to renew it with the secret.
        # A cache does not show how its grant was obtained, so the secret is left out only after that refusal.
        secret = workspace.firms.secret(firm)
        with reused_client(firm, secret, cache) as client:
            earlier = _stored_person(client)
            result = _acquire_silently(client, account, firm, what, force=force)
            if secret is None or not _must_omit_secret(result):
                return _store(workspace, account, client, result, what, earlier)
        with reused_client(firm, None, cache) as public:
            result = _acquire_silently(public, account, firm, what, force=force)
            return _store(workspace, account, public, result, what, earlier)


def _must_omit_secret(result: dict[str, Any]) -> bool:
    """Whether the refusal says that this grant is to be renewed without a secret (AADSTS700025)."""
    return result.get("error") == "invalid_client" and 700025 in result.get("error_codes", ())


def _acquire_silently(
    client: Client, account: Account, firm: Firm, what: str, *, force: bool
) -> dict[str, Any]:
    accounts = client.app.get_accounts()
    if not accounts:
        raise AuthError(
            _("{user} has not signed in yet.").format(user=account.user), cause="session-missing"
        )
    with _network_retriable(what):
        result = client.app.acquire_token_silent_with_error(
            scopes_for(account, firm.cloud),
            account=accounts[0],
            force_refresh=force or _cached_by_a_fast_clock(client),
        )
    if result is None:
        raise AuthError(
            _("There is no refresh token for {user}: sign in again.").format(user=account.user),
            cause="offline-access-missing",
        )
    reply: dict[str, Any] = result
    return reply


def _cached_by_a_fast_clock(client: Client) -> bool:
    """Whether the cached token was obtained while this computer's clock was ahead, so that its expiry is wrong."""
    now = time.time() + CLOCK_SKEW_SECONDS
    return any(
        float(entry.get("cached_at") or 0) > now
        for entry in client.cache.search(msal.TokenCache.CredentialType.ACCESS_TOKEN)
    )


_NETWORK_CAUSES = frozenset(
    {"dns-failed", "connect-refused", "connect-timeout", "tls-failed", "proxy-required"}
)


@contextmanager
def _network_retriable(what: str) -> Iterator[None]:
    """As :func:`as_auth_errors`, with network errors retriable, because they say nothing about the grant."""
    try:
        with as_auth_errors(what):
            yield
    except AuthError as error:
        error.retriable = error.retriable or error.cause in _NETWORK_CAUSES
        raise


def _store(
    workspace: Workspace,
    account: Account,
    client: Client,
    reply: dict[str, Any],
    what: str,
    earlier: Person,
) -> AccessToken:
    """Store the renewed cache, or the claims challenge of a refusal, which the next sign-in has to pass on."""
    try:
        token = _token(reply, what)
        person = signed_in_person(client, {"id_token_claims": _identity(client, reply)})
        token = replace(token, person=person, earlier=earlier)
    except AuthError as error:
        if not error.retriable:
            sign_in_history.keep_challenge(workspace, account, error.claims)
        raise
    if client.cache.has_state_changed:
        # A user name that is not the noted one is left to the check that tells of it.
        noted = person.user_name if same(person.user_name, account.user) else ""
        workspace.tokens.save(
            account,
            client.serialized(),
            person=replace(earlier, user_name=noted),
            firm=client.firm,
        )
    return token


def _stored_person(client: Client) -> Person:
    """Whose the stored tokens are, by the ids that msal keeps of the account."""
    for account in client.app.get_accounts():
        object_id, tenant_id = account.get("local_account_id"), account.get("realm")
        return Person(str(object_id or ""), str(tenant_id or "").casefold(), "")
    return Person("", "", "")


def _identity(client: Client, reply: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The claims of the ID token in a reply; if the access token came from the cache, those of the cached one."""
    if claims := reply.get("id_token_claims"):
        return dict(claims)
    cached = client.cache.search(msal.TokenCache.CredentialType.ID_TOKEN)
    return next((body_of(str(entry.get("secret", ""))) for entry in cached), None)


def app_token(workspace: Workspace, firm: Firm) -> AccessToken:
    """Get a token for the app itself (client credentials).

    Raises:
        AuthError: there is no secret, or the authority refused.
    """
    secret = workspace.firms.secret(firm)
    what = _("Getting a token for the app of {firm}").format(firm=firm.name)
    if secret is None:
        raise AuthError(_("App-only access needs a client secret."), cause="secret-required")
    with _network_retriable(what):
        reply = Client(firm, secret).app.acquire_token_for_client([firm.cloud.app_scope])
    return _token(reply, what)


def _token(reply: dict[str, Any], what: str) -> AccessToken:
    value = access_token_in(reply, what)
    seconds = float(reply.get("expires_in") or 0)  # a number from Entra, a text from some others
    return AccessToken(value, datetime.fromtimestamp(time.time() + seconds, UTC))

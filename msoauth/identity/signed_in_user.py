"""Verifies that the user who signed in is the one whose mailbox is being set up."""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import msal
from urllib3.exceptions import HTTPError

from msoauth import redact
from msoauth.addresses import key, readable, same
from msoauth.claims import from_mapping
from msoauth.errors import AuthError
from msoauth.identity import http
from msoauth.identity.client import Client
from msoauth.identity.discovery import tenant_id
from msoauth.model import Account, Person
from msoauth.store.tokens import TokenStatus
from msoauth.texts import _

_TIMEOUT = 10.0  # seconds
NOBODY = Person("", "", "")


def signed_in_person(client: Client, reply: Mapping[str, Any]) -> Person:
    """Who the ID token of a reply that *client* got names; ``NOBODY`` where there is none.

    The token came from the authority itself over TLS, which stands for its signature (OpenID Connect Core 3.1.3.7). That
    it was issued to this app and by the firm's directory is verified here: msal leaves both to its caller. The access
    token is none of our business, and tells nothing.

    Raises:
        AuthError: it was issued to another app (``state-mismatch``) or by another directory (``user-external``).
    """
    body = reply.get("id_token_claims")
    if not body:
        return NOBODY
    firm, claims = client.firm, from_mapping(body)
    audience = body.get("aud")
    apps = audience if isinstance(audience, list) else [audience]
    if firm.client_id.casefold() not in [str(app).casefold() for app in apps]:
        raise AuthError(
            _("The ID token was issued to another app ({app}), not to that of {firm}.").format(
                app=claims.audience[:200], firm=firm.name
            ),
            cause="state-mismatch",
        )
    wanted, issuer = tenant_id(client.document), str(body.get("iss") or "")
    if not wanted and claims.tenant_id:
        raise AuthError(
            _(
                "“{tenant}” stands for any directory, so nobody can tell whose user signed in: enter the ID of the "
                "directory of {firm}."
            ).format(tenant=firm.tenant, firm=firm.name),
            cause="app-not-multitenant",
        )
    # Entra names its directory by tid in every ID token; another server may have its issuer's name only.
    same = (
        claims.tenant_id.casefold() == wanted
        if claims.tenant_id
        else issuer == client.document["issuer"]
    )
    if not same:
        raise AuthError(
            _(
                "{user} signed in at another directory ({actual}), not at that of {firm} ({wanted})."
            ).format(
                user=claims.user or _("somebody without a name"),
                actual=(claims.tenant_id or issuer or "–")[:200],
                firm=firm.name,
                wanted=wanted or firm.tenant,
            ),
            cause="user-external",
        )
    return Person(claims.object_id, claims.tenant_id.casefold(), readable(claims.user))


def is_renamed(account: Account, actual: Person, earlier: TokenStatus | None) -> bool:
    """Whether *actual* is who signed in for the account before, under a user name that has changed since.

    Whom somebody has noted as its user after that sign-in is another matter.
    """
    return (
        earlier is not None
        and bool(actual.object_id and actual.user_name)
        # Without the earlier ids nothing shows that it is the same person and not somebody else.
        and (actual.object_id, actual.tenant_id) == (earlier.object_id, earlier.tenant_id)
        and same(earlier.signed_in_as, account.user)
        and not same(actual.user_name, account.user)
    )


def with_stored_ids(earlier: TokenStatus, cache: str) -> TokenStatus:
    """What is known of an earlier sign-in, with the ids in its stored tokens if msoauth kept none at that time."""
    if earlier.object_id:
        return earlier
    stored = msal.SerializableTokenCache()
    stored.deserialize(cache)
    for known in stored.search(msal.TokenCache.CredentialType.ACCOUNT):
        return replace(
            earlier,
            object_id=known.get("local_account_id"),
            tenant_id=str(known.get("realm") or "").casefold(),
        )
    return earlier


def with_login(account: Account, user_name: str) -> Account:
    """The account with that user name noted as the one who signs in."""
    return replace(account, login=None if same(user_name, account.address) else user_name)


def verify_signed_in_user(
    client: Client,
    account: Account,
    actual: Person,
    reply: Mapping[str, Any],
    earlier: TokenStatus | None = None,
) -> Account:
    """Check that *actual*, who signed in, is the user of *account*, and return the account to store.

    A user whose user name differs from the mailbox's address is accepted when the ID token or Graph lists that address
    among the user's own, and so is the one who signed in before and was renamed since; the returned account then has
    the user name as its login. For a shared mailbox the account itself says who signs in.

    Args:
        reply: The token endpoint's.
        earlier: The last sign-in for this account, if there was one.

    Raises:
        AuthError: somebody else signed in (``account-wrong``).
    """
    if same(actual.user_name, account.user):
        return account
    if is_renamed(account, actual, earlier):
        return with_login(account, actual.user_name)
    wanted = key(account.address)
    if (
        actual.user_name
        and account.login is None
        and (wanted in _addresses_in(reply) or wanted in _own_addresses(client))
    ):
        return with_login(account, actual.user_name)
    raise AuthError(
        _("{actual} signed in, but {wanted} was expected; nothing was stored.").format(
            actual=actual.user_name or _("somebody without a name"), wanted=account.user
        ),
        cause="account-wrong",
        details={"signed_in_as": actual.user_name},
    )


# Claims that the directory may be set to add to ID tokens (entra-docs: optional-claims-reference.md).
_ADDRESS_CLAIMS = ("upn", "email", "verified_primary_email", "verified_secondary_email")


def _addresses_in(reply: Mapping[str, Any]) -> frozenset[str]:
    """The user's addresses that the ID token of a reply shows, in the form in which addresses are compared."""
    claims = reply.get("id_token_claims") or {}
    values = [claims.get(name) for name in _ADDRESS_CLAIMS]
    texts = [text for value in values for text in (value if isinstance(value, list) else [value])]
    return frozenset(key(text) for text in texts if isinstance(text, str))


def _own_addresses(client: Client) -> frozenset[str]:
    """The addresses of the user whose tokens *client* holds, from Graph; empty when Graph may not be read.

    ``GET /me`` needs User.Read (facts G1), to which consent for mail does not extend: where nobody consented to
    it, the authority refuses, and the user name alone decides.
    """
    accounts = client.app.get_accounts()
    try:
        # Without a resource a scope is Graph's (facts A4).
        result = (
            client.app.acquire_token_silent(["User.Read"], account=accounts[0])
            if accounts
            else None
        )
        if not result or "access_token" not in result:
            return frozenset()
        redact.remember(result["access_token"])
        reply = http.get(
            client.firm.cloud,
            f"{client.firm.cloud.graph}v1.0/me",
            params={"$select": "userPrincipalName,mail,proxyAddresses"},
            headers={"Authorization": f"Bearer {result['access_token']}"},
            timeout=_TIMEOUT,
        )
    except (HTTPError, ValueError):
        return frozenset()
    return addresses_from_reply(reply)


def addresses_from_reply(reply: http.Reply) -> frozenset[str]:
    """The user name and the addresses, in lower case, in Graph's reply about a user; none in a refusal.

    >>> me = '''{"userPrincipalName": "anna@contoso.example", "mail": "Anna.Lindqvist@contoso.example",
    ...     "proxyAddresses": ["SMTP:Anna.Lindqvist@contoso.example", "smtp:al@contoso.example", "SIP:anna@…"]}'''
    >>> sorted(addresses_from_reply(http.Reply(200, {}, me)))
    ['al@contoso.example', 'anna.lindqvist@contoso.example', 'anna@contoso.example']
    """
    try:
        me = reply.json() if reply.status_code == HTTPStatus.OK else {}
    except ValueError:
        return frozenset()
    if not isinstance(me, dict):
        return frozenset()
    addresses = [me.get("userPrincipalName"), me.get("mail")]
    addresses += [
        text[5:]
        for text in me.get("proxyAddresses") or ()
        if isinstance(text, str) and text[:5].casefold() == "smtp:"
    ]
    return frozenset(key(text) for text in addresses if isinstance(text, str))

"""Issue tokens: access tokens for Exchange and Graph, ID tokens, refresh tokens (facts B1, B5, B6)."""

import base64
import hashlib
import hmac
import json
import secrets
from collections import OrderedDict
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from msoauth.practice.entra.clients import Client
from msoauth.practice.entra.refusals import RefusalError
from msoauth.practice.entra.scopes import RequestedScopes
from msoauth.practice.registrations import ServicePrincipal
from msoauth.practice.state import Tenant, User
from msoauth.practice.tokens import Signer

ACCESS_MIN, ACCESS_MAX = 3600, 5400  # Entra draws 60 to 90 minutes at random
ID_SECONDS = 3600
_USES_KEPT = 50_000

# Template ids of Global Administrator and of the role that every member has; from memory, not verified.
_ADMIN, _MEMBER = "62e90394-69f5-4237-9190-012177145e10", "b79fbf4d-3ef9-4689-8143-76b194e85509"


@dataclass(frozen=True, slots=True)
class Grant:
    """The grant behind a refresh token: it is bound to user and client, not to a resource (facts A3).

    Attributes:
        home: Tenant id of the user.
        platform: ``web``, ``public`` or ``spa``: how the client that got it must authenticate.
        signed_in: When the user last signed in interactively, in seconds since the epoch.
        issued: When this refresh token was issued.
        scope: What the first request asked for: what a refresh without a scope gets (RFC 6749, 6).
        device: The sign-in was one by device code (the session stays "protocol tracked", facts D8).
    """

    app_id: str
    home: str
    upn: str
    oid: str
    platform: str
    amr: list[str]
    signed_in: float
    issued: float
    scope: str
    device: bool = False


_GRANT = tuple(field.name for field in fields(Grant))  # asdict() would copy every value deeply


class Issuer:
    """Signs tokens, and reads the refresh tokens that it issued."""

    def __init__(self, signer: Signer) -> None:
        self.signer = signer
        self._refresh_key = secrets.token_bytes(32)
        self._used: OrderedDict[str, float] = OrderedDict()

    # -- access tokens -----------------------------------------------------------------------

    def access_token(
        self,
        client: Client,
        tenant: Tenant,
        user: User,
        requested: RequestedScopes,
        names: list[str],
        amr: list[str],
        acr: str,
        now: int,
    ) -> tuple[str, int]:
        """A user's access token and its lifetime in seconds."""
        given_name, _blank, surname = user.display_name.partition(" ")
        common, seconds = self._common(client, tenant, requested.uri, acr, now)
        claims = (
            common
            | {
                "acr": "1",
                "amr": amr,
                "family_name": surname or given_name,
                "given_name": given_name,
                "idtyp": "user",
                "ipaddr": "203.0.113.7",  # an address for documentation: the real one is always loopback here
                "name": user.display_name,
                "oid": user.id,
                "puid": f"1003{hashlib.sha256(user.id.encode()).hexdigest()[:12].upper()}",
                "scp": " ".join(names),
                "sub": pairwise(user.id, requested.resource),
                "unique_name": user.upn,
                "upn": user.upn,
                "wids": [_ADMIN, _MEMBER] if user.admin else [_MEMBER],
            }
        )
        if client.app.groups_claim:
            # The ids of up to 200 groups fit into a token (facts B5); this user is in as many.
            digests = (
                hashlib.md5(f"{user.id} {n}".encode(), usedforsecurity=False) for n in range(200)
            )
            claims["groups"] = [str(UUID(bytes=digest.digest())) for digest in digests]
        return self.signer.sign(claims), seconds

    def app_token(
        self,
        client: Client,
        tenant: Tenant,
        principal: ServicePrincipal,
        requested: RequestedScopes,
        acr: str,
        now: int,
    ) -> tuple[str, int]:
        """An access token without a user, and its lifetime; without any role the claim is simply absent (facts A3)."""
        common, seconds = self._common(client, tenant, requested.uri, acr, now)
        claims = common | {
            "idtyp": "app",
            "oid": principal.object_id,
            "sub": principal.object_id,
        }
        if roles := sorted(principal.app_roles.get(requested.resource, ())):
            claims["roles"] = roles
        return self.signer.sign(claims), seconds

    def _common(
        self, client: Client, tenant: Tenant, audience: str, acr: str, now: int
    ) -> tuple[dict[str, Any], int]:
        seconds = ACCESS_MIN + secrets.randbelow(ACCESS_MAX - ACCESS_MIN + 1)
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{tenant.tenant_id}/",
            "iat": now - 300,
            "nbf": now - 300,
            "exp": now + seconds,
            "aio": secrets.token_urlsafe(33),
            "app_displayname": client.app.display_name,
            "appid": client.app.app_id,
            "appidacr": acr,
            "idp": f"https://sts.windows.net/{tenant.tenant_id}/",
            "rh": f"1.{secrets.token_urlsafe(30)}.",
            "tid": tenant.tenant_id,
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
        }
        return claims, seconds

    # -- ID tokens ---------------------------------------------------------------------------

    def id_token(
        self,
        client: Client,
        tenant: Tenant,
        user: User,
        oidc: frozenset[str],
        host: str,
        nonce: str,
        now: int,
    ) -> str:
        """An ID token for the client (v2.0); *host* is the authority's, as discovery names the issuer."""
        claims = {
            "aud": client.app.app_id,
            "iss": issuer(host, tenant.tenant_id),
            "iat": now,
            "nbf": now,
            "exp": now + ID_SECONDS,
            "name": user.display_name,
            "oid": user.id,
            "preferred_username": user.upn,
            "rh": f"1.{secrets.token_urlsafe(30)}.",
            "sub": pairwise(user.id, client.app.app_id),
            "tid": tenant.tenant_id,
            "uti": secrets.token_urlsafe(16),
            "ver": "2.0",
        }
        optional = {"nonce": nonce, "email": user.upn if "email" in oidc else ""}
        return self.signer.sign(claims | {name: value for name, value in optional.items() if value})

    # -- refresh tokens ----------------------------------------------------------------------

    def refresh_token(self, grant: Grant) -> str:
        """A refresh token that holds its own state, so that ten thousand of them need no table."""
        body = json.dumps(
            {name: getattr(grant, name) for name in _GRANT} | {"jti": secrets.token_hex(8)}
        ).encode()
        text = base64.urlsafe_b64encode(body).rstrip(b"=").decode()
        return f"1.AXkA{text}.{self._mac(text)}"

    def read_refresh(self, token: str) -> Grant:
        """The grant behind a refresh token.

        Raises:
            RefusalError: it is truncated, mangled, or not issued here.
        """
        text, _dot, mac = token.removeprefix("1.AXkA").rpartition(".")
        if not token.startswith("1.AXkA") or not hmac.compare_digest(
            mac.encode(), self._mac(text).encode()
        ):
            raise RefusalError(9002313)
        body: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        body.pop("jti")
        return Grant(**body)

    def last_used(self, token: str, grant: Grant) -> float:
        """When the token was last used, or else issued: it expires after 90 days without use (facts B6)."""
        return self._used.get(token[-43:], grant.issued)

    def note_use(self, token: str, now: float) -> None:
        """Remember that the token was used; of very many, the ones used longest ago are forgotten."""
        self._used[token[-43:]] = now
        self._used.move_to_end(token[-43:])
        if len(self._used) > _USES_KEPT:
            self._used.popitem(last=False)

    def _mac(self, text: str) -> str:
        digest = hmac.new(self._refresh_key, text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def issuer(host: str, tenant: str) -> str:
    """The issuer of ID tokens; the template ``{tenantid}`` stands for a tenant that is not known yet."""
    return f"https://{host}/{tenant}/v2.0"


def pairwise(user_id: str, audience: str) -> str:
    """The *sub* claim: another one for every audience."""
    digest = hashlib.sha256(f"{user_id}{audience}".encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

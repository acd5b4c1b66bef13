"""Authenticating a caller of Graph by its token, and checking permissions and roles (facts G4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msoauth.practice.registrations import ServicePrincipal
from msoauth.practice.state import GRAPH_APP_ID, PracticeState, Tenant, User
from msoauth.practice.tokens import Signer, TokenRefusedError

AUDIENCES = frozenset({"https://graph.microsoft.com", GRAPH_APP_ID})
CLOCK_SKEW = 300  # seconds by which a token's nbf may lie ahead


class GraphError(Exception):
    """A refusal in Graph's shape: HTTP status, code, message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status, self.code, self.message = status, code, message

    @classmethod
    def unauthenticated(cls, message: str) -> "GraphError":
        """401: the token is invalid, expired or of another issuer."""
        return cls(401, "InvalidAuthenticationToken", message)

    @classmethod
    def denied(cls) -> "GraphError":
        """403: permission or role is missing."""
        message = "Insufficient privileges to complete the operation."
        return cls(403, "Authorization_RequestDenied", message)

    @classmethod
    def scopes_missing(cls) -> "GraphError":
        """403: a permission to read policies is missing (facts K2.8)."""
        message = (
            "You cannot perform the requested operation, required scopes are missing in the token."
        )
        return cls(403, "AccessDenied", message)

    @classmethod
    def missing(cls, what: str) -> "GraphError":
        """404: no such object (the wording is from memory, facts G4)."""
        message = f"Resource '{what}' does not exist or one of its queried reference-property objects are not present."
        return cls(404, "Request_ResourceNotFound", message)

    @classmethod
    def bad_request(cls, message: str) -> "GraphError":
        """400: a query that cannot be read."""
        return cls(400, "Request_BadRequest", message)


@dataclass(frozen=True, slots=True)
class Caller:
    """The app, tenant and user of an accepted token; *user* is None for an app without a user."""

    tenant: Tenant
    app_id: str
    permissions: frozenset[str]
    user: User | None

    @property
    def principal(self) -> ServicePrincipal | None:
        """The enterprise application that called."""
        return self.tenant.principal_of(self.app_id)

    def require_policy(self, *either: str) -> None:
        """Check that the caller may read policies; a missing permission and a missing role are told apart.

        What a user without a role is told is unverified.

        Raises:
            GraphError: 403.
        """
        if not self.permissions & set(either):
            raise GraphError.scopes_missing()
        self.require(*either)

    def require(self, *either: str, admin: bool = True) -> None:
        """Check that the caller may read this.

        Args:
            either: Permissions of which one is enough.
            admin: A user also needs a directory role that may read this.

        Raises:
            GraphError: 403.
        """
        if not self.permissions & set(either):
            raise GraphError.denied()
        if admin and self.user is not None and not self.user.admin:
            raise GraphError.denied()


def caller(state: PracticeState, signer: Signer, header: str) -> Caller:
    """The app and user that the Authorization header's token belongs to.

    Raises:
        GraphError: 401.
    """
    scheme, _blank, token = header.partition(" ")
    if scheme.lower() != "bearer" or not header:
        raise GraphError.unauthenticated("Access token is empty.")
    if not token.strip():
        raise GraphError.unauthenticated("Bearer access token is empty.")
    if token.count(".") != 2:
        raise GraphError.unauthenticated("CompactToken parsing failed with error code: 80049217")
    try:
        claims = signer.verify(token.strip())
    except TokenRefusedError:
        raise GraphError.unauthenticated("Access token validation failure.") from None
    if str(claims.get("aud", "")).rstrip("/") not in AUDIENCES:
        # The wording is from memory (facts G4).
        raise GraphError.unauthenticated("Access token validation failure. Invalid audience.")
    now = state.clock.time()
    if float(claims.get("exp", 0)) <= now or float(claims.get("nbf", 0)) > now + CLOCK_SKEW:
        raise GraphError.unauthenticated("Access token has expired or is not yet valid.")
    return _caller_of(state, claims)


def _caller_of(state: PracticeState, claims: Mapping[str, Any]) -> Caller:
    tenant = state.tenant(str(claims.get("tid", "")))
    if tenant is None or tenant.deprovisioned:
        raise GraphError.unauthenticated("Access token validation failure.")
    app_id = str(claims.get("appid", ""))
    if claims.get("idtyp") == "app":
        return Caller(tenant, app_id, frozenset(claims.get("roles", ())), None)
    user = tenant.users.get(str(claims.get("upn", "")).lower())
    if user is None or not user.account_enabled:
        raise GraphError.unauthenticated("Access token validation failure.")
    return Caller(tenant, app_id, frozenset(str(claims.get("scp", "")).split()), user)

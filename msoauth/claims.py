"""Reads the claims of a token without verifying its signature: for hints, never for trust.

Microsoft asks clients to treat access tokens as opaque, and those of personal accounts are not JWTs
at all: whatever cannot be read is simply absent.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class UnverifiedClaims:
    """Claims of an access or ID token that nobody has verified.

    Attributes:
        audience: ``aud``; the resource the token is for.
        scopes: ``scp``, short names such as ``POP.AccessAsUser.All``; empty for app-only tokens.
        roles: ``roles`` of an app-only token.
        tenant_id: ``tid``; empty where the token has none.
        object_id: ``oid``: of the user, or of the app's service principal in an app-only token.
        user: ``upn``, else ``preferred_username``, else ``unique_name``; empty for app-only tokens.
    """

    audience: str
    scopes: frozenset[str]
    roles: frozenset[str]
    user: str
    object_id: str
    tenant_id: str = ""


def read_unverified(token: str) -> UnverifiedClaims | None:
    """The claims of *token*, or None when it is not a readable JWT."""
    body = body_of(token)
    return None if body is None else from_mapping(body)


def body_of(token: str) -> dict[str, Any] | None:
    """The claims of *token* as the JSON object that it holds, or None when it is not a readable JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        body = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def from_mapping(body: Mapping[str, Any]) -> UnverifiedClaims:
    """The claims in a JSON object that is already decoded, such as MSAL's ``id_token_claims``."""
    roles = body.get("roles")
    user = body.get("upn") or body.get("preferred_username") or body.get("unique_name") or ""
    return UnverifiedClaims(
        audience=str(body.get("aud", "")),
        scopes=frozenset(str(body.get("scp", "")).split()),
        roles=frozenset(map(str, roles)) if isinstance(roles, list) else frozenset(),
        user=str(user),
        object_id=str(body.get("oid", "")),
        tenant_id=str(body.get("tid") or ""),
    )

"""Replacing a client secret without anybody signing in again."""

from datetime import date

from msoauth.identity.probe import client_credentials_probe
from msoauth.model import Firm
from msoauth.store import Secret, Workspace


def replace_secret(
    workspace: Workspace, firm: Firm, value: str, *, expires: date | None = None
) -> None:
    """Check a new client secret at the authority and, only when it was accepted, store it in the old one's place.

    Refresh tokens of users stay good: they are bound to user and app, not to the secret.

    Raises:
        AuthError: the new secret was refused or could not be checked; the old one stays.
    """
    new = Secret(value)
    client_credentials_probe(firm, new)
    workspace.firms.set_secret(firm.name, new, expires=expires)

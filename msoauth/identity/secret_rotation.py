"""Replacing a client secret without anybody signing in again."""

from collections.abc import Callable
from datetime import date

from msoauth.errors import AuthError, CancelledError
from msoauth.identity.probes import client_credentials_probe
from msoauth.model import Firm
from msoauth.store import Secret, Workspace
from msoauth.texts import _

# Seconds before the second and third try: a secret that was just made is unknown to some of Microsoft's servers
# for a while (facts M1: AADSTS7000215, mended by trying again after 10 seconds).
PAUSES = (5.0, 10.0)


def replace_secret(
    workspace: Workspace,
    firm: Firm,
    value: str,
    *,
    expires: date | None = None,
    wait: Callable[[float], bool] | None = None,
) -> None:
    """Check a new client secret at the authority and, only when it was accepted, store it in the old one's place.

    Refresh tokens of users stay good: they are bound to user and app, not to the secret.

    Args:
        wait: Waits so many seconds before a refused secret is tried again; true when the user cancelled. None
            to try once.

    Raises:
        CancelledError: *wait* said so; the old secret stays.
        AuthError: the new secret was refused or could not be checked; the old one stays.
    """
    new = Secret(value)
    pauses = list(PAUSES) if wait is not None else []
    while True:
        try:
            client_credentials_probe(firm, new)
        except AuthError as refused:
            if refused.cause != "secret-invalid" or not pauses or wait is None:
                raise
            if wait(pauses.pop(0)):
                raise CancelledError(_("Cancelled; the old secret stays.")) from None
        else:
            break
    workspace.firms.set_secret(firm.name, new, expires=expires)

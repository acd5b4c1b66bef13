"""Replaces a firm's client secret, once the authority accepts the new one; nobody has to sign in again."""

from collections.abc import Callable
from datetime import date

from msoauth.errors import AuthError, CancelledError
from msoauth.identity.probes import client_credentials_probe
from msoauth.model import Firm
from msoauth.store import Secret, Workspace
from msoauth.texts import _

# Seconds before the second and third try: some of Microsoft's servers do not know a new secret
# for a while (facts M1: AADSTS7000215, solved by trying again after 10 seconds).
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

    Users' refresh tokens stay valid: they are bound to user and app, not to the secret.

    Args:
        wait: Waits the given number of seconds before a refused secret is tried again, and returns true when the
            user cancelled meanwhile. None to try only once.

    Raises:
        CancelledError: *wait* returned true; the old secret stays.
        AuthError: the new secret was refused or could not be checked; the old one stays.
        DestinationError: where the firm's secret goes was changed, and nobody has confirmed that; nothing was sent.
    """
    new = Secret(value)
    workspace.firms.require_confirmed(firm)
    pauses = list(PAUSES) if wait is not None else []
    while True:
        try:
            client_credentials_probe(firm, new)
        except AuthError as error:
            if error.cause != "secret-invalid" or not pauses or wait is None:
                raise
            if wait(pauses.pop(0)):
                raise CancelledError(_("Cancelled; the old secret stays.")) from None
        else:
            break
    workspace.firms.set_secret(firm.name, new, expires=expires)

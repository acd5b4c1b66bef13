"""Claims challenges that a refused renewal brought, kept until the sign-in that answers them.

A challenge names what a policy demands (facts B2: ``claims``). It is no secret. The renewal that met it and the
sign-in that passes it on may be in different programs, so it is kept in the workspace.
"""

import contextlib
import hashlib

from msoauth.errors import StoreError
from msoauth.model import Account
from msoauth.store import Workspace


def keep(workspace: Workspace, account: Account, claims: str | None) -> None:
    """Keep a challenge for the account's next sign-in; None or empty: there is none any more."""
    with contextlib.suppress(StoreError):  # the refusal itself is the news, and is not to be hidden
        if (claims or "") != workspace.settings.get(_key(account)):
            workspace.settings.set(_key(account), claims or "")


def pending(workspace: Workspace, account: Account) -> str | None:
    """The challenge that the account's next sign-in has to answer, if any."""
    return workspace.settings.get(_key(account)) or None


def _key(account: Account) -> str:
    return f"claims/{hashlib.sha256(account.address.strip().casefold().encode()).hexdigest()[:40]}"

"""Audits: every account of every firm, many at once, and how each stands."""

from typing import Any

from msoauth.auditing.account import Looked
from msoauth.auditing.progress import Progress
from msoauth.auditing.run import Audit
from msoauth.store import Workspace

__all__ = ["Audit", "Looked", "Progress", "audit"]


def audit(workspace: Workspace, **options: Any) -> Audit:
    """Check all accounts of a workspace, many at once.

    ::

        for looked in msoauth.audit(workspace, workers=32):
            print(looked.account, looked.signal)

    Args:
        workspace: Where the accounts are, and where the findings go.
        options: ``firm`` (a name or several; None for all), ``workers`` (accounts at once, in all; each takes one
            connection to retrieve mail and one to send it), ``per_firm`` and ``per_mailbox`` (at once of one tenant,
            and of one user), ``send`` (also send a test mail to each mailbox itself), ``silent_days`` (without new
            mail a mailbox is called silent), ``fresh`` (begin anew instead of going on with what was broken off),
            ``share`` (with other computers on one PostgreSQL), ``cancelled`` (an event that ends it).

    Returns:
        The audit; iterate over it to carry it out. Nothing is sent unless *send* says so.

    Raises:
        InputError: an option is unusable or the firm is unknown.
    """
    return Audit(workspace, **options)

"""Keeps in the workspace how an account's sign-ins ended, and the claims challenge that the next one has to pass on.

Most refusals are shown on Microsoft's page and never reach the app (facts B4): a user who saw one can report its
text (:func:`record_reported_text`). A claims challenge, in contrast, comes with a refused renewal (facts B2:
``claims``); it is no secret, and the sign-in that passes it on may be in another program, so it is kept here.
"""

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import replace

from msoauth.errors import AuthError, CancelledError, StoreError
from msoauth.explaining import explain, for_cause
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.redact import redact
from msoauth.store import Workspace
from msoauth.texts import _

CHECK = "sign-in.attempt"
_NEWEST = 100  # findings of the account that are searched


def record(workspace: Workspace, firm: Firm, account: Account, refused: AuthError | None) -> None:
    """Write to the journal that the user signed in (None), was refused, or cancelled; a timeout is not written."""
    if refused is None:
        finding = Finding(CHECK, Signal.PASSED, _("the user signed in"))
    elif isinstance(refused, CancelledError):
        finding = Finding(CHECK, Signal.SKIPPED, refused.summary)
    elif refused.evidence or refused.cause == "account-wrong":
        finding = _refused(
            firm, account, refused.summary, refused.cause, refused.evidence, refused.ids
        )
    else:
        return
    _append(workspace, firm, account, finding)


def record_reported_text(
    workspace: Workspace, firm: Firm, account: Account, text: str
) -> Finding | None:
    """Write the error that the user saw on a sign-in page to the journal; None when the text holds no known error."""
    seen = explain(text, firm=firm, account=account)
    if seen.cause == "unknown":
        return None
    finding = _refused(firm, account, seen.title, seen.cause, seen.evidence, seen.ids)
    _append(workspace, firm, account, finding)
    return finding


def last_refusal(workspace: Workspace, account: Account) -> Finding | None:
    """The refusal in which the account's last attempt ended, or None; an attempt that was cancelled does not count."""
    found = workspace.journal.findings(account=account.address, limit=_NEWEST)
    ended = (f for f in reversed(list(found)) if f.check == CHECK)
    last = next((f for f in ended if f.signal is not Signal.SKIPPED), None)
    return last if last is not None and last.signal is Signal.FAILED else None


def _refused(
    firm: Firm, account: Account, summary: str, cause: str, evidence: str, ids: Mapping[str, str]
) -> Finding:
    known = for_cause(cause, firm=firm, account=account)
    return Finding(
        CHECK,
        Signal.FAILED,
        redact(summary),
        evidence=redact(evidence)[:4000],
        cause=cause,
        fix=known.fix,
        who=known.who,
        links=known.links,
        ids=dict(ids),
    )


def _append(workspace: Workspace, firm: Firm, account: Account, finding: Finding) -> None:
    # A sign-in that succeeded must not fail because it could not be written to the journal.
    with contextlib.suppress(StoreError):
        workspace.journal.append(replace(finding, firm=firm.name, account=account.address))


def keep_challenge(workspace: Workspace, account: Account, claims: str | None) -> None:
    """Keep a claims challenge for the account's next sign-in; None or empty: there is none any more."""
    with contextlib.suppress(StoreError):
        if (claims or "") != workspace.settings.get(_challenge_key(account)):
            workspace.settings.set(_challenge_key(account), claims or "")


def pending_challenge(workspace: Workspace, account: Account) -> str | None:
    """The claims challenge that the account's next sign-in has to pass on, if any."""
    return workspace.settings.get(_challenge_key(account)) or None


def _challenge_key(account: Account) -> str:
    return f"claims/{hashlib.sha256(account.address.strip().casefold().encode()).hexdigest()[:40]}"

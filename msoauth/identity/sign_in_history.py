"""Keeps in the workspace how an account's sign-ins ended, and the claims challenge that the next one has to pass on.

Most refusals are shown on Microsoft's page and never reach the app (facts B4): a user who saw one can report its
text (:func:`record_reported_text`). A claims challenge, in contrast, comes with a refused renewal (facts B2:
``claims``); it is no secret, and the sign-in that passes it on may be in another program, so it is kept here.
"""

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from msoauth.addresses import key
from msoauth.errors import AuthError, CancelledError, StoreError
from msoauth.explaining import explain, explanation_with_roles
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.redact import redact
from msoauth.store import Workspace
from msoauth.texts import _

CHECK = "sign-in.attempt"
_SEARCH_LIMIT = 100  # newest findings of the account in which to look for an attempt


def record(workspace: Workspace, firm: Firm, account: Account, error: AuthError | None) -> None:
    """Write to the journal that the user signed in (None), was refused, or cancelled; a timeout is not written."""
    if error is None:
        finding = Finding(CHECK, Signal.PASSED, _("the user signed in"))
    elif isinstance(error, CancelledError):
        finding = Finding(CHECK, Signal.SKIPPED, error.summary)
    elif error.evidence or error.cause == "account-wrong":
        finding = _refusal(
            firm, account, error.summary, error.cause, error.evidence, error.ids, error.details
        )
    else:
        return
    _append(workspace, firm, account, finding)


def record_reported_text(
    workspace: Workspace, firm: Firm, account: Account, text: str
) -> Finding | None:
    """Write the error that the user saw on a sign-in page to the journal; None when the text holds no known error."""
    explanation = explain(text, firm=firm, account=account)
    if explanation.cause == "unknown":
        return None
    finding = _refusal(
        firm, account, explanation.title, explanation.cause, explanation.evidence, explanation.ids
    )
    _append(workspace, firm, account, finding)
    return finding


def last_refusal(workspace: Workspace, account: Account) -> Finding | None:
    """The refusal in which the account's last attempt ended, or None; an attempt that was cancelled does not count."""
    findings = workspace.journal.findings(account=account.address, limit=_SEARCH_LIMIT)
    attempts = (f for f in reversed(list(findings)) if f.check == CHECK)
    latest = next((f for f in attempts if f.signal is not Signal.SKIPPED), None)
    return latest if latest is not None and latest.signal is Signal.FAILED else None


def _refusal(
    firm: Firm,
    account: Account,
    summary: str,
    cause: str,
    evidence: str,
    ids: Mapping[str, str],
    details: Mapping[str, str] = MappingProxyType({}),
) -> Finding:
    explanation, details = explanation_with_roles(cause, evidence, firm, account, details)
    return Finding(
        CHECK,
        Signal.FAILED,
        redact(summary),
        evidence=redact(evidence, 4000),
        cause=cause,
        fix=explanation.fix,
        who=explanation.who,
        links=explanation.links,
        ids=dict(ids),
        confidence="certain",
        possibilities=explanation.also,
        details=details,
    )


def _append(workspace: Workspace, firm: Firm, account: Account, finding: Finding) -> None:
    # A sign-in that succeeded must not fail because it could not be written to the journal.
    with contextlib.suppress(StoreError):
        workspace.journal.append(replace(finding, firm=firm.name, account=account.address))


def keep_challenge(workspace: Workspace, account: Account, claims: str | None) -> None:
    """Store a claims challenge for the account's next sign-in; None or empty removes it."""
    with contextlib.suppress(StoreError):
        if (claims or "") != workspace.settings.get(_challenge_key(account)):
            workspace.settings.set(_challenge_key(account), claims or "")


def pending_challenge(workspace: Workspace, account: Account) -> str | None:
    """The claims challenge that the account's next sign-in has to pass on, if any."""
    return workspace.settings.get(_challenge_key(account)) or None


def _challenge_key(account: Account) -> str:
    return f"claims/{hashlib.sha256(key(account.address).encode()).hexdigest()[:40]}"

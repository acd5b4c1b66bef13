"""What came of an account's last try to sign in: kept in the journal, so that a diagnosis can name it.

Most refusals are shown on Microsoft's page and never reach the app (facts B4): what the user saw there can be
told to :func:`tell`.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import replace

from msoauth.errors import AuthError, StoreError
from msoauth.explaining import explain, for_cause
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.redact import redact
from msoauth.store import Workspace
from msoauth.texts import _

CHECK = "sign-in.attempt"
_LOOKED_AT = 100  # findings of the account, the newest


def keep(workspace: Workspace, firm: Firm, account: Account, refused: AuthError | None) -> None:
    """Write down that the user signed in (None), or was refused. A sign-in that was broken off says nothing."""
    if refused is None:
        finding = Finding(CHECK, Signal.PASSED, _("the user signed in"))
    elif refused.evidence or refused.cause == "account-wrong":
        finding = _refused(
            firm, account, refused.summary, refused.cause, refused.evidence, refused.ids
        )
    else:
        return
    _append(workspace, firm, account, finding)


def tell(workspace: Workspace, firm: Firm, account: Account, text: str) -> Finding | None:
    """Write down what the user saw on a page of the sign-in; None when nothing known is in it."""
    seen = explain(text, firm=firm, account=account)
    if seen.cause == "unknown":
        return None
    finding = _refused(firm, account, seen.title, seen.cause, seen.evidence, seen.ids)
    _append(workspace, firm, account, finding)
    return finding


def last_refusal(workspace: Workspace, account: Account) -> Finding | None:
    """The refusal that the account's last try ended in, or None."""
    found = workspace.journal.findings(account=account.address, limit=_LOOKED_AT)
    last = next((f for f in reversed(list(found)) if f.check == CHECK), None)
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
    with contextlib.suppress(
        StoreError
    ):  # what came of the sign-in is the news, and is not to be hidden
        workspace.journal.append(replace(finding, firm=firm.name, account=account.address))

"""Which dot each mailbox has: what was seen in this panel, else what the journal says of its last check."""

from collections.abc import Iterable
from dataclasses import dataclass

from msoauth.explaining import for_cause
from msoauth.identity.signin import fixed_by_signing_in
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.store import Workspace
from msoauth.ui import html


@dataclass(frozen=True, slots=True)
class Seen:
    """How the sign-in of a mailbox stands.

    Attributes:
        cause: Why it is not green, an id of the catalogue of causes, or empty.
    """

    state: html.State
    cause: str = ""

    @property
    def title(self) -> str:
        """The cause in a few words, or empty."""
        return for_cause(self.cause).title if self.cause and self.cause != "unknown" else ""

    @property
    def needs_sign_in(self) -> bool:
        """Whether signing in again is what mends it."""
        return self.state is Signal.FAILED and fixed_by_signing_in(self.cause)


def seen_of(findings: Iterable[Finding]) -> Seen:
    """What the findings of one run amount to."""
    kept = list(findings)
    state = html.worst(kept)
    cause = next((f.cause for f in kept if f.signal is state and f.cause), "")
    return Seen(state, cause or "")


def last_seen(workspace: Workspace, firm: Firm, accounts: Iterable[Account]) -> dict[str, Seen]:
    """By address, what the last check of a mailbox said, unless somebody has signed in since."""
    runs: dict[str, list[Finding]] = {}
    for finding in workspace.journal.findings(firm=firm.name, limit=2000):
        if finding.check.startswith("sign-in.") and finding.account:
            kept = runs.setdefault(finding.account.casefold(), [])
            if kept and kept[0].run != finding.run:
                kept.clear()
            kept.append(finding)
    said = {}
    for account in accounts:
        made = runs.get(account.address.casefold(), [])
        if made and _still_holds(workspace, firm, account, made):
            said[account.address] = seen_of(made)
    return said


def _still_holds(workspace: Workspace, firm: Firm, account: Account, made: list[Finding]) -> bool:
    asked_for_a_user = any(finding.check == "sign-in.present" for finding in made)
    if firm.access == "app-only":
        return not asked_for_a_user
    status = workspace.tokens.status(account.address)
    return status is not None and made[-1].at >= status.signed_in_at

"""What stands of an account or a firm: the latest answer to each question, out of the journal."""

from msoauth.checks import DIAGNOSE, ROUND_TRIP, SEND
from msoauth.judgement import outdated
from msoauth.model import Account, Finding, Signal
from msoauth.store import Workspace

_ORDER = {check.id: number for number, check in enumerate((*DIAGNOSE, *SEND, *ROUND_TRIP))}


def latest(
    workspace: Workspace, firm: str, account: Account | None = None
) -> dict[str, list[Finding]]:
    """The latest finding of each check, by address in lower case (empty: of the firm itself).

    What was skipped says nothing and is left out, and so is what a later answer outdates. Findings come in the order of a diagnosis.

    Args:
        account: Only this account's, and the firm's own.
    """
    wanted = None if account is None else {"", account.address.casefold()}
    standings = [
        one
        for one in workspace.journal.standings([firm])
        if (wanted is None or one.account in wanted)
        and one.signal not in (Signal.SKIPPED, Signal.NOT_RUN)
    ]
    findings = workspace.journal.by_id(one.finding for one in standings)
    found: dict[str, list[Finding]] = {}
    for one in standings:
        if one.finding in findings:
            found.setdefault(one.account, []).append(findings[one.finding])
    for address, rows in found.items():
        by_check = {finding.check: finding for finding in rows}
        found[address] = rows = [row for row in rows if not outdated(row, by_check)]
        rows.sort(key=lambda finding: (_ORDER.get(finding.check, len(_ORDER)), finding.check))
    return found

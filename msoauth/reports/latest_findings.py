"""What is known of a firm and its accounts now: the latest finding of each check, out of the journal."""

from itertools import chain

from msoauth.checks import in_order
from msoauth.judgement import current, current_of_firm
from msoauth.model import Account, Finding, Signal
from msoauth.store import Workspace


def latest_findings(
    workspace: Workspace, firm: str, account: Account | None = None
) -> dict[str, list[Finding]]:
    """The latest finding of each check, by address in lower case (empty: of the firm itself).

    What was skipped says nothing and is left out, and so is what a later answer outdates. A finding of the firm does
    not count any more once the same check passed later with one of its accounts. Findings come in the order of a
    diagnosis.

    Args:
        account: Only this account's, and the firm's own.
    """
    accounts = workspace.accounts.list(firm) if account is None else [account]
    wanted = {"", *(one.address.strip().casefold() for one in accounts)}
    results = [
        result
        for result in workspace.journal.latest_results([firm])
        if result.account in wanted and result.signal not in (Signal.SKIPPED, Signal.NOT_RUN)
    ]
    findings = workspace.journal.by_id(result.finding for result in results)
    made: dict[str, list[Finding]] = {}
    for result in results:
        if result.finding in findings:
            made.setdefault(result.account, []).append(findings[result.finding])
    of_firm = made.pop("", [])
    kept = {}
    for one in accounts:
        if own := made.get(one.address.strip().casefold()):
            kept[one.address.strip().casefold()] = current(own, of_firm, one.protocol)[0]
    kept[""] = current_of_firm(of_firm, chain.from_iterable(kept.values()))
    return {address: in_order(rows) for address, rows in kept.items() if rows}

"""Reads the current findings of a firm and its accounts from the journal: the latest of each check."""

from itertools import chain

from msoauth.addresses import key
from msoauth.checks import in_order
from msoauth.judgement import current, current_of_firm
from msoauth.model import Account, Finding, Signal
from msoauth.store import Workspace


def latest_findings(
    workspace: Workspace, firm: str, account: Account | None = None
) -> dict[str, list[Finding]]:
    """The latest finding of each check, by address in lower case; the key of the firm's own findings is empty.

    Skipped checks are left out, and so are findings that a later result outdates. A finding of the firm no longer
    counts once the same check passed later with one of its accounts. Findings are in the order of a diagnosis.

    Args:
        account: Limit the result to this account and the firm itself; None for all accounts.
    """
    accounts = workspace.accounts.list(firm) if account is None else [account]
    addresses = {"", *(key(mailbox.address) for mailbox in accounts)}
    results = [
        result
        for result in workspace.journal.latest_results([firm])
        if result.account in addresses and result.signal not in (Signal.SKIPPED, Signal.NOT_RUN)
    ]
    findings = workspace.journal.by_id(result.finding for result in results)
    by_address: dict[str, list[Finding]] = {}
    for result in results:
        if result.finding in findings:
            by_address.setdefault(result.account, []).append(findings[result.finding])
    firm_findings = by_address.pop("", [])
    latest = {}
    for mailbox in accounts:
        if own_findings := by_address.get(key(mailbox.address)):
            latest[key(mailbox.address)] = current(own_findings, firm_findings, mailbox.protocol)[0]
    latest[""] = current_of_firm(firm_findings, chain.from_iterable(latest.values()))
    return {address: in_order(newest) for address, newest in latest.items() if newest}

"""Tells what is known of the consent to a firm's app: whether an administrator has consented, or must do so first."""

from typing import Literal

from msoauth.addresses import key
from msoauth.model import Firm, Signal
from msoauth.store import Workspace

Consent = Literal["unknown", "required", "all", "each"]

# The checks that tell of consent: what an administrator's sign-in read, how sign-ins ended, and what the tokens hold.
_CHECKS = (
    *("registration.consent", "sign-in.present"),
    *("sign-in.attempt", "sign-in.token", "sign-in.scopes"),
)


def known_consent(workspace: Workspace, firm: Firm) -> Consent:
    """What the latest findings say of the consent to the firm's app.

    Returns:
        ``all``: an administrator consented for all users. ``each``: there is a token with the permissions for each mailbox.
        ``required``: an administrator must consent before anybody can sign in. Else ``unknown``.
    """
    results = workspace.journal.latest_results([firm.name], _CHECKS)
    read = [r for r in results if r.check == "registration.consent" and r.verdict is not None]
    newest = max(read, key=lambda result: result.at, default=None)
    tokens = {
        r.account: r.at
        for r in results
        if r.check == "sign-in.scopes" and r.signal is Signal.PASSED
    }
    turned_away = any(
        r.cause == "admin-consent-required"
        and r.signal is Signal.FAILED
        and (newest is None or r.at >= newest.at)
        and (r.account not in tokens or r.at > tokens[r.account])
        for r in results
    )
    if turned_away:
        return "required"
    if newest is not None and newest.signal is Signal.PASSED:
        finding = workspace.journal.by_id([newest.finding]).get(newest.finding)
        if finding is not None and finding.facts.get("consent") == "all":
            return "all"
    accounts = workspace.accounts.list(firm.name)
    if accounts and all(key(a.address) in tokens for a in accounts):
        return "each"
    return "unknown"

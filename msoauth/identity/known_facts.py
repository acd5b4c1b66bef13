"""Collects what the workspace knows of an account, so that its errors can be explained better; nothing is contacted."""

import msal

from msoauth.claims import read_unverified
from msoauth.errors import StoreError
from msoauth.explaining import AccountFacts
from msoauth.model import Account, Firm
from msoauth.redact import remember
from msoauth.store import Workspace

_SEARCH_LIMIT = 200  # newest findings of the account in which to look for the latest of each check


def known_facts(
    workspace: Workspace, *, firm: Firm | None = None, account: Account | None = None
) -> AccountFacts:
    """What is known of *account*, or of *firm* alone: claims of its cached token, and its latest findings.

    A vault that does not open is no obstacle; the token's claims are then left out.
    """
    if account is None:
        return AccountFacts(firm)
    findings = workspace.journal.findings(account=account.address, limit=_SEARCH_LIMIT)
    token = _cached_token(workspace, account)
    return AccountFacts(
        firm or workspace.firms.get(account.firm),
        account,
        read_unverified(token),
        len(token),
        tuple({finding.check: finding for finding in findings}.values()),
        status.signed_in_as if (status := workspace.tokens.status(account.address)) else "",
    )


def _cached_token(workspace: Workspace, account: Account) -> str:
    """The access token of the account's last sign-in or renewal, even an expired one; empty if there is none."""
    try:
        text = workspace.tokens.load(account.address)
    except StoreError:
        return ""
    if text is None:
        return ""
    cache = msal.SerializableTokenCache()
    cache.deserialize(text)
    # Even expired ones (now=0): they show what was granted. The newest is the last of those cached at the same second.
    entries = cache.search(msal.TokenCache.CredentialType.ACCESS_TOKEN, now=0)
    by_age = sorted(entries, key=lambda entry: int(entry.get("cached_at") or 0))
    token = str(by_age[-1].get("secret", "")) if by_age else ""
    remember(token)
    return token

"""The status of every account and firm: not one run's results, but what the latest result of each check amounts to."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from msoauth import checks, judgement
from msoauth.auditing import history
from msoauth.auditing.history import Change
from msoauth.identity.sign_in_history import CHECK as SIGN_IN
from msoauth.judgement import Dates, Issue
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.store import TokenStatus, Workspace
from msoauth.store.audits import AuditRun
from msoauth.store.latest_results import LatestResult


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """The status of one account. Times are UTC.

    Attributes:
        signal: Passed: it works. Warning: it works now, or not always. Failed: it does not. Not run: never checked.
        issue: The root cause of what is wrong, or what is about to expire.
        since: Since when that is so.
        finding: The finding behind the issue, where there is one: evidence, cause, who can fix it, how.
        last_sign_in: When a token was last issued; ``last_retrieval`` and ``last_sending``: when that last worked.
        idle_days: Days since the refresh token was last used.
        secret_days: Days until the firm's client secret ends.
        silent_days: Days since the newest mail came, where that was checked.
        change: Since the audit before: ``new`` trouble, ``worse``, ``better``, ``mended``, or empty.
    """

    account: Account
    signal: Signal
    issue: Issue | None = None
    since: datetime | None = None
    finding: Finding | None = None
    checked_at: datetime | None = None
    last_sign_in: datetime | None = None
    last_retrieval: datetime | None = None
    last_sending: datetime | None = None
    signed_in_as: str = ""
    idle_days: int | None = None
    secret_days: int | None = None
    newest_mail: datetime | None = None
    silent_days: int | None = None
    change: Change = ""

    @property
    def never_signed_in(self) -> bool:
        """Whether nobody has signed in for it yet."""
        return not self.signed_in_as


@dataclass(frozen=True, slots=True)
class CauseGroup:
    """The accounts of one firm whose problem has the same cause: one row, and one letter to the firm's IT.

    Attributes:
        cause: The cause's id; None where only the check is known.
        expiring: Whether they work now and will stop.
        accounts: Their addresses.
        since: The earliest moment since which one of them is so.
    """

    firm: str
    check: str
    cause: str | None
    signal: Signal
    expiring: bool
    accounts: tuple[str, ...]
    since: datetime | None


@dataclass(frozen=True, slots=True)
class FirmStatus:
    """The status of a firm: how many of its accounts have which signal, and their problems by cause."""

    firm: Firm
    accounts: int
    signals: Mapping[Signal, int]
    secret_days: int | None
    groups: tuple[CauseGroup, ...] = ()

    @property
    def signal(self) -> Signal:
        """The worst of its accounts."""
        return judgement.worst(s for s, count in self.signals.items() if count)


@dataclass(frozen=True, slots=True)
class Status:
    """The status of all accounts, or of those of some firms.

    Attributes:
        accounts: The worst first, then by address.
        groups: Problems by cause, those of the most accounts first, what is only expiring last.
        last: The newest finished audit; ``before`` is the one that it is compared with.
    """

    at: datetime
    accounts: tuple[AccountStatus, ...]
    firms: tuple[FirmStatus, ...]
    groups: tuple[CauseGroup, ...]
    last: AuditRun | None = None
    before: AuditRun | None = None
    signals: Mapping[Signal, int] = field(default_factory=dict)

    @property
    def signal(self) -> Signal:
        """The worst of all accounts."""
        return judgement.worst(signal for signal, count in self.signals.items() if count)


def status(
    workspace: Workspace,
    *,
    firm: str | Sequence[str] | None = None,
    now: datetime | None = None,
    silent_days: int = judgement.SILENT_DAYS,
) -> Status:
    """The status of every account of the workspace, or of some firms.

    Args:
        firm: A name or several; None for all.
        now: The time from which days are counted; None for the present.
        silent_days: Days without new mail from which on a mailbox is warned of.

    Raises:
        InputError: there is no such firm.
        StoreError: the workspace cannot be read.
    """
    now = now or datetime.now(UTC)
    wanted = [firm] if isinstance(firm, str) else firm
    asked = workspace.firms.list() if wanted is None else map(workspace.firms.get, wanted)
    of_firm = {f.name: f for f in asked}
    names = None if wanted is None else list(of_firm)
    by_account: dict[tuple[str, str], list[LatestResult]] = defaultdict(list)
    for result in workspace.journal.latest_results(names):
        by_account[result.firm, result.account].append(result)
    tokens = workspace.tokens.statuses()
    latest = _latest_messages(workspace, by_account)
    last, before = history.last_two(workspace, names)
    changes = history.changes(workspace, last, before)
    rows = []
    for account in workspace.accounts.list():
        if account.firm not in of_firm:
            continue
        key = account.address.strip().casefold()
        rows.append(
            _account(
                account,
                of_firm[account.firm],
                by_account.get((account.firm, key), []),
                by_account.get((account.firm, ""), []),
                tokens.get(key),
                latest.get(key),
                changes.get(key, ""),
                now,
                silent_days,
            )
        )
    rows.sort(key=lambda row: -judgement.severity(row[0].signal))
    findings = workspace.journal.by_id(number for _row, number in rows if number is not None)
    accounts = tuple(
        row if number is None else replace(row, finding=findings.get(number))
        for row, number in rows
    )
    groups = group(accounts)
    firms = []
    for one in of_firm.values():
        own = [account for account in accounts if account.account.firm == one.name]
        firms.append(
            FirmStatus(
                one,
                len(own),
                Counter(account.signal for account in own),
                judgement.days_left(one.secret_expires, now.date()) if one.secret_expires else None,
                tuple(g for g in groups if g.firm == one.name),
            )
        )
    signals = Counter(account.signal for account in accounts)
    return Status(now, accounts, tuple(firms), groups, last, before, signals)


def _is_cancelled_sign_in(result: LatestResult) -> bool:
    """Whether a user's sign-in was cancelled, which checks nothing."""
    return result.check == SIGN_IN and result.signal is Signal.SKIPPED


def _account(
    account: Account,
    firm: Firm,
    own: Sequence[LatestResult],
    of_firm: Sequence[LatestResult],
    token: TokenStatus | None,
    latest_message: datetime | None,
    change: Change,
    now: datetime,
    silent_days: int,
) -> tuple[AccountStatus, int | None]:
    kept, firms = judgement.current(own, of_firm, account.protocol)
    kept, firms = checks.in_order(kept), checks.in_order(firms)
    secret, used = firm.secret_expires, token.refreshed_at if token else None
    dates = Dates(secret, None if firm.access == "app-only" else used, latest_message)
    issue = judgement.account_issue(kept, firms, dates, now, silent_days)
    if issue is None or issue.expiring:
        # What a cancelled run skipped is as it was when it was last answered.
        kept = [
            replace(one, signal=one.verdict) if one.verdict and one.verdict != one.signal else one
            for one in kept
        ]
        issue = judgement.account_issue(kept, (), dates, now, silent_days)
    behind = next((one for one in (*kept, *firms) if issue and one.check == issue.check), None)
    passed = {one.check: one.passed_at for one in own}

    def last(*asked: str) -> datetime | None:
        return max((at for check in asked if (at := passed.get(check))), default=None)

    row = AccountStatus(
        account=account,
        signal=judgement.account_signal(issue, kept),
        issue=issue,
        since=behind.since if behind and issue and not issue.expiring else None,
        checked_at=max((one.at for one in own if not _is_cancelled_sign_in(one)), default=None),
        last_sign_in=last("sign-in.token") or (token.signed_in_at if token else None),
        last_retrieval=last(*judgement.RETRIEVING),
        last_sending=last(*judgement.SENDING),
        signed_in_as=token.signed_in_as if token else "",
        idle_days=judgement.days_since(dates.token_used, now) if dates.token_used else None,
        secret_days=judgement.days_left(secret, now.date()) if secret else None,
        newest_mail=latest_message,
        silent_days=judgement.days_since(latest_message, now) if latest_message else None,
        change=change,
    )
    return row, behind.finding if behind and issue and issue.days is None else None


def _latest_messages(
    workspace: Workspace, results: Mapping[tuple[str, str], Sequence[LatestResult]]
) -> dict[str, datetime]:
    """When each account's latest message came, by address."""
    asked = {
        s.finding: account
        for (_firm, account), rows in results.items()
        for s in rows
        if s.check == judgement.NEWEST_MAIL and account
    }
    found = {}
    for number, finding in workspace.journal.by_id(asked).items():
        if moment := finding.facts.get("newest"):
            found[asked[number]] = datetime.fromisoformat(str(moment))
    return found


def group(accounts: Iterable[AccountStatus]) -> tuple[CauseGroup, ...]:
    """Problems by cause, firm by firm."""
    found: dict[tuple[str, bool, str], list[AccountStatus]] = defaultdict(list)
    for one in accounts:
        if one.issue is not None:
            place = one.account.firm, one.issue.expiring, one.issue.cause or one.issue.check
            found[place].append(one)
    groups = []
    for (firm, expiring, _name), rows in found.items():
        issue = rows[0].issue
        if issue is not None:
            since = min((r.since for r in rows if r.since), default=None)
            addresses = tuple(sorted(r.account.address for r in rows))
            groups.append(
                CauseGroup(firm, issue.check, issue.cause, issue.signal, expiring, addresses, since)
            )
    return tuple(
        sorted(groups, key=lambda g: (g.expiring, -len(g.accounts), g.firm, g.cause or ""))
    )

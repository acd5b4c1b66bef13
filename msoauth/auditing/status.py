"""Determines the status of every account and firm from the latest result of each check, whichever run it is from."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from msoauth import checks, judgement
from msoauth.addresses import key
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
        since: Since when the issue exists.
        finding: The finding that shows the issue, if there is one: evidence, cause, who can fix it, how.
        last_sign_in: When a token was last issued; ``last_retrieval`` and ``last_sending``: when mail was last retrieved
            and sent successfully.
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
        """Whether nobody has signed in to it yet."""
        return not self.signed_in_as


@dataclass(frozen=True, slots=True)
class CauseGroup:
    """The accounts of one firm whose problem has the same cause: one row, and one letter to the firm's IT.

    Attributes:
        cause: The cause's id; None where only the check is known.
        expiring: Whether they work now but will stop.
        accounts: Their addresses.
        since: Since when the first of them has the problem.
        finding: What shows the problem in the first of them.
    """

    firm: str
    check: str
    cause: str | None
    signal: Signal
    expiring: bool
    accounts: tuple[str, ...]
    since: datetime | None
    finding: Finding | None = None


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
        """The worst signal of its accounts."""
        return judgement.worst(s for s, count in self.signals.items() if count)


@dataclass(frozen=True, slots=True)
class Status:
    """The status of all accounts, or of those of some firms.

    Attributes:
        accounts: The worst first, then by address.
        groups: Problems by cause, those of the most accounts first; expiring ones last.
        last: The newest finished audit; ``before`` is the audit that it is compared with.
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
        """The worst signal of all accounts."""
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
        silent_days: Days without new mail after which a mailbox gets a warning.

    Raises:
        InputError: there is no such firm.
        StoreError: the workspace cannot be read.
    """
    now = now or datetime.now(UTC)
    requested = [firm] if isinstance(firm, str) else firm
    selection = workspace.firms.list() if requested is None else map(workspace.firms.get, requested)
    firms_by_name = {f.name: f for f in selection}
    names = None if requested is None else list(firms_by_name)
    by_account: dict[tuple[str, str], list[LatestResult]] = defaultdict(list)
    for result in workspace.journal.latest_results(names):
        by_account[result.firm, result.account].append(result)
    tokens = workspace.tokens.statuses()
    latest_messages = _latest_messages(workspace, by_account)
    last, before = history.last_two(workspace, names)
    changes = history.changes(workspace, last, before)
    rows = []
    for account in workspace.accounts.list():
        if account.firm not in firms_by_name:
            continue
        account_key = key(account.address)
        rows.append(
            _account_status(
                account,
                firms_by_name[account.firm],
                by_account.get((account.firm, account_key), []),
                by_account.get((account.firm, ""), []),
                tokens.get(account_key),
                latest_messages.get(account_key),
                changes.get(account_key, ""),
                now,
                silent_days,
            )
        )
    rows.sort(key=lambda row: -judgement.severity(row[0].signal))
    findings = workspace.journal.by_id(
        finding_id for _row, finding_id in rows if finding_id is not None
    )
    accounts = tuple(
        row if finding_id is None else replace(row, finding=findings.get(finding_id))
        for row, finding_id in rows
    )
    groups = group(accounts)
    firms = []
    for firm_entry in firms_by_name.values():
        own_accounts = [account for account in accounts if account.account.firm == firm_entry.name]
        firms.append(
            FirmStatus(
                firm_entry,
                len(own_accounts),
                Counter(account.signal for account in own_accounts),
                judgement.days_left(firm_entry.secret_expires, now.date())
                if firm_entry.secret_expires
                else None,
                tuple(g for g in groups if g.firm == firm_entry.name),
            )
        )
    signals = Counter(account.signal for account in accounts)
    return Status(now, accounts, tuple(firms), groups, last, before, signals)


def _is_cancelled_sign_in(result: LatestResult) -> bool:
    """Whether a user's sign-in was cancelled, which checks nothing."""
    return result.check == SIGN_IN and result.signal is Signal.SKIPPED


def _account_status(
    account: Account,
    firm: Firm,
    account_results: Sequence[LatestResult],
    firm_results: Sequence[LatestResult],
    token: TokenStatus | None,
    latest_message: datetime | None,
    change: Change,
    now: datetime,
    silent_days: int,
) -> tuple[AccountStatus, int | None]:
    """The status of an account, and the id of the finding that shows its issue."""
    current, firm_current = judgement.current(account_results, firm_results, account.protocol)
    current, firm_current = checks.in_order(current), checks.in_order(firm_current)
    secret, refreshed_at = firm.secret_expires, token.refreshed_at if token else None
    dates = Dates(secret, None if firm.access == "app-only" else refreshed_at, latest_message)
    issue = judgement.account_issue(current, firm_current, dates, now, silent_days)
    if issue is None or issue.expiring:
        # A check that a cancelled run skipped keeps its last verdict.
        current = [
            replace(result, signal=result.verdict)
            if result.verdict and result.verdict != result.signal
            else result
            for result in current
        ]
        issue = judgement.account_issue(current, (), dates, now, silent_days)
    issue_result = next(
        (result for result in (*current, *firm_current) if issue and result.check == issue.check),
        None,
    )
    passed_at = {result.check: result.passed_at for result in account_results}

    def last_passed(*check_ids: str) -> datetime | None:
        return max((at for check in check_ids if (at := passed_at.get(check))), default=None)

    row = AccountStatus(
        account=account,
        signal=judgement.account_signal(issue, current),
        issue=issue,
        since=issue_result.since if issue_result and issue and not issue.expiring else None,
        checked_at=max(
            (result.at for result in account_results if not _is_cancelled_sign_in(result)),
            default=None,
        ),
        last_sign_in=last_passed("sign-in.token") or (token.signed_in_at if token else None),
        last_retrieval=last_passed(*judgement.RETRIEVING),
        last_sending=last_passed(*judgement.SENDING),
        signed_in_as=token.signed_in_as if token else "",
        idle_days=judgement.days_since(dates.token_used, now) if dates.token_used else None,
        secret_days=judgement.days_left(secret, now.date()) if secret else None,
        newest_mail=latest_message,
        silent_days=judgement.days_since(latest_message, now) if latest_message else None,
        change=change,
    )
    return row, issue_result.finding if issue_result and issue and issue.days is None else None


def _latest_messages(
    workspace: Workspace, results: Mapping[tuple[str, str], Sequence[LatestResult]]
) -> dict[str, datetime]:
    """When each account's latest message arrived, by address."""
    account_of = {
        result.finding: account
        for (_firm, account), rows in results.items()
        for result in rows
        if result.check == judgement.NEWEST_MAIL and account
    }
    latest = {}
    for finding_id, finding in workspace.journal.by_id(account_of).items():
        if newest := finding.facts.get("newest"):
            latest[account_of[finding_id]] = datetime.fromisoformat(str(newest))
    return latest


def group(accounts: Iterable[AccountStatus]) -> tuple[CauseGroup, ...]:
    """Group the problems of accounts by firm and cause."""
    by_problem: dict[tuple[str, bool, str], list[AccountStatus]] = defaultdict(list)
    for account_status in accounts:
        if account_status.issue is not None:
            problem = (
                account_status.account.firm,
                account_status.issue.expiring,
                account_status.issue.cause or account_status.issue.check,
            )
            by_problem[problem].append(account_status)
    groups = []
    for (firm, expiring, _name), members in by_problem.items():
        issue = members[0].issue
        if issue is not None:
            since = min((member.since for member in members if member.since), default=None)
            addresses = tuple(sorted(member.account.address for member in members))
            groups.append(
                CauseGroup(
                    firm,
                    issue.check,
                    issue.cause,
                    issue.signal,
                    expiring,
                    addresses,
                    since,
                    members[0].finding,
                )
            )
    return tuple(
        sorted(groups, key=lambda g: (g.expiring, -len(g.accounts), g.firm, g.cause or ""))
    )

"""Labels an audit's signals, changes, issues and causes for people, in the current language."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from msoauth.auditing.history import Change
from msoauth.auditing.status import AccountStatus, CauseGroup
from msoauth.explaining import Explanation, for_cause, of_finding, of_shared_problem
from msoauth.judgement import IDLE_END_DAYS, NEWEST_MAIL, SECRET_END, TOKEN_AGE, WORST_FIRST, Issue
from msoauth.model import Signal
from msoauth.texts import _, language, ngettext


def signal_label(signal: Signal) -> str:
    """An account's signal for people."""
    return {
        Signal.PASSED: _("works"),
        Signal.WARNING: _("watch"),
        Signal.FAILED: _("broken"),
        Signal.ERROR: _("could not be checked"),
        Signal.SKIPPED: _("skipped"),
        Signal.NOT_RUN: _("never checked"),
    }[signal]


def change_label(change: Change) -> str:
    """A change since the audit before, for people."""
    return {
        "": "",
        "new": _("new trouble"),
        "worse": _("worse"),
        "better": _("better"),
        "mended": _("mended"),
    }[change]


def who_label(who: str) -> str:
    """Who can fix something, for people; *who* is an id as in a finding."""
    return {
        "user": _("the user"),
        "tenant-admin": _("the firm's administrator"),
        "consultant": _("the consultant"),
        "microsoft": _("Microsoft"),
    }.get(who, who)


def issue_label(issue: Issue | None) -> str:
    """An issue in one phrase: “The client secret ends in 40 days”, or the title of its cause."""
    if issue is None:
        return ""
    if issue.check == SECRET_END and issue.days is not None:
        if issue.days < 0:
            return _("The client secret's end date has passed")
        return ngettext(
            "The client secret ends in {days} day",
            "The client secret ends in {days} days",
            issue.days,
        ).format(days=issue.days)
    if issue.check == TOKEN_AGE and issue.days is not None:
        return _("The sign-in was not used for {days} days; it ends after {end}").format(
            days=issue.days, end=IDLE_END_DAYS
        )
    if issue.check == NEWEST_MAIL and issue.days is not None:
        return _("No new mail for {days} days").format(days=issue.days)
    return _problem_label(issue.check, issue.cause, expiring=issue.expiring)


def group_label(group: CauseGroup) -> str:
    """The problem that some accounts share, without the accounts."""
    label = _problem_label(group.check, group.cause, expiring=group.expiring)
    if label == group.check and group.finding:  # no cause: something on this computer
        return group.finding.summary.rstrip(".")
    return label


def cause_labels(issues: Iterable[Issue]) -> dict[str, str]:
    """The label of each cause among *issues*, by its id; a failing issue takes precedence over an expiring one."""
    labels: dict[str, str] = {}
    for issue in sorted(issues, key=lambda issue: issue.expiring):
        if issue.cause and issue.cause not in labels:
            labels[issue.cause] = _problem_label(issue.check, issue.cause, expiring=issue.expiring)
    return labels


def _problem_label(check: str, cause: str | None, *, expiring: bool) -> str:
    """A problem in one phrase: the title of its cause, or else the name of the check."""
    if check == SECRET_END and expiring:
        return _("The client secret ends soon")
    if check == TOKEN_AGE and expiring:
        return _("The sign-in is hardly used and will end")
    if check == NEWEST_MAIL and cause is None:
        return _("No new mail for a long time")
    if cause and cause != "unknown":
        return _explanation(cause, language()).title.rstrip(".")
    return check


@lru_cache(maxsize=500)
def _explanation(cause: str, _language: str) -> Explanation:
    """The catalogue's explanation of a cause, cached because thousands of accounts share a few causes."""
    return for_cause(cause)


def group_line(group: CauseGroup) -> str:
    """A shared problem with its accounts counted: “7 accounts: Authenticated SMTP is off”."""
    count = len(group.accounts)
    return ngettext("{count} account: {what}", "{count} accounts: {what}", count).format(
        count=count, what=group_label(group)
    )


def group_who(group: CauseGroup) -> str:
    """Who can fix the problem that some accounts share: an id such as ``tenant-admin``, or empty."""
    if group.finding is not None and group.finding.cause == group.cause and group.finding.who:
        return group.finding.who
    return _explanation(group.cause, language()).who if group.cause else ""


def account_who(status: AccountStatus) -> str:
    """Who can fix an account: an id such as ``tenant-admin``, or empty."""
    if status.issue is None or status.issue.cause is None:
        return ""
    return (status.finding.who if status.finding else "") or _explanation(
        status.issue.cause, language()
    ).who


def account_fix(status: AccountStatus) -> tuple[str, ...]:
    """The steps that fix an account; none where nothing is wrong."""
    if status.issue is None:
        return ()
    finding = status.finding
    if finding is not None and finding.cause and finding.cause == status.issue.cause:
        # Anew, because a finding's own steps are in the language of its run.
        return of_finding(finding, account=status.account).fix
    return _steps(status.issue.check, status.issue.cause) or (finding.fix if finding else ())


def group_fix(group: CauseGroup) -> tuple[str, ...]:
    """The steps that fix the problem that some accounts share."""
    finding = group.finding
    if finding is None or not finding.cause or finding.cause != group.cause:
        return _steps(group.check, group.cause) or (finding.fix if finding else ())
    return (of_finding(finding) if len(group.accounts) == 1 else of_shared_problem([finding])).fix


def _steps(check: str, cause: str | None) -> tuple[str, ...]:
    if cause is None and check == NEWEST_MAIL:
        return (
            _("Ask whether mail is expected there: a rule or a forwarding may take it elsewhere."),
        )
    return tuple(_explanation(cause, language()).fix) if cause else ()


def steps_line(steps: Sequence[str]) -> str:
    """Steps on one line: “1. Do this. 2. Do that.”; a single step has no number."""
    if len(steps) < 2:
        return "".join(steps)
    return " ".join(f"{number}. {step}" for number, step in enumerate(steps, 1))


def counts_line(signals: Mapping[Signal, int]) -> str:
    """The number of accounts with each signal, the worst first: “✖ 3 broken   ▲ 2 watch   ● 120 works”."""
    return "   ".join(
        f"{s.shape} {signals[s]:,} {signal_label(s)}" for s in _signals_present(signals)
    )


def counts_words(signals: Mapping[Signal, int]) -> str:
    """The same without shapes, where the page shows one itself: “3 broken, 2 watch, 120 works”."""
    return ", ".join(f"{signals[s]:,} {signal_label(s)}" for s in _signals_present(signals))


def _signals_present(signals: Mapping[Signal, int]) -> list[Signal]:
    return [signal for signal in WORST_FIRST if signals.get(signal)]

"""Judges findings: how severe they are, their root cause, what blocks what, and what is about to expire.

No other module decides any of this. All are pure functions on findings, or on anything that has a check, a signal, a
cause and a time (:class:`Answer`); those that depend on the calendar take ``now`` or ``today``. Each limit is defined
only here. Labels such as "facts B6" refer to docs/facts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, TypeVar

from msoauth.errors import LocalError, MsoauthError
from msoauth.model import Finding, Signal
from msoauth.texts import _

# Weeks ahead, because an administrator has to make the new secret, and the user has to be reached for an idle token.
SECRET_WARNING_DAYS = 60
IDLE_WARNING_DAYS = 60
IDLE_END_DAYS = 90  # a refresh token ends after 90 days without use (facts B6)
SILENT_DAYS = 30
# Entra accepts small differences; beyond this good tokens look expired to MSAL, and expired ones good.
CLOCK_SKEW_SECONDS = 300

SECRET_END, TOKEN_AGE, NEWEST_MAIL = "registration.secret-end", "sign-in.age", "mail.newest"
RETRIEVING = ("pop3.login", "imap.login", "mail.retrieve")
SENDING = ("smtp.login", "smtp.send")

WORST_FIRST = (
    Signal.FAILED,
    Signal.ERROR,
    Signal.WARNING,
    Signal.SKIPPED,
    Signal.NOT_RUN,
    Signal.PASSED,
)


class Answer(Protocol):
    """The result of a check: a finding, or the latest result that the workspace keeps of it."""

    @property
    def check(self) -> str: ...
    @property
    def signal(self) -> Signal: ...
    @property
    def cause(self) -> str | None: ...
    @property
    def at(self) -> datetime: ...


AnAnswer = TypeVar("AnAnswer", bound=Answer)


def severity(signal: Signal) -> int:
    """How bad a signal is: 0 for passed, more for every worse one. Skipped and not run are worse than passed."""
    return len(WORST_FIRST) - 1 - WORST_FIRST.index(signal)


def worst(signals: Iterable[Signal]) -> Signal:
    """The most severe of *signals*; ``NOT_RUN`` where there are none."""
    return max(signals, key=severity, default=Signal.NOT_RUN)


def signal_of(error: MsoauthError) -> Signal:
    """The signal of a check that raised *error*.

    ``ERROR`` when the check itself could not be carried out (this computer or the workspace, or a role that the administrator lacks),
    ``WARNING`` when it may pass later without anybody fixing anything, else ``FAILED``.
    """
    if isinstance(error, LocalError) or error.cause == "graph-forbidden":
        return Signal.ERROR
    return Signal.WARNING if getattr(error, "retriable", False) else Signal.FAILED


# Refusals that are meant most of the time, and now and then pass by themselves within seconds (php-imap#464).
_MAY_PASS = ("authenticated but not connected",)


def may_pass(error: MsoauthError) -> bool:
    """Whether a refusal that no server calls temporary is known to pass by itself all the same."""
    text = error.evidence.casefold()
    return any(words in text for words in _MAY_PASS)


def is_problem(answer: Answer) -> bool:
    """Whether *answer* says that something is wrong; a warning without a cause is only a remark."""
    return answer.signal in (Signal.FAILED, Signal.ERROR) or (
        answer.signal is Signal.WARNING and answer.cause is not None
    )


def blocks(answer: Answer) -> bool:
    """Whether checks that need the one of *answer* are skipped: it found a problem, or was skipped itself."""
    return is_problem(answer) or answer.signal is Signal.SKIPPED


def blocker(answers: Iterable[AnAnswer]) -> AnAnswer | None:
    """The first of *answers* that blocks the checks which need it, or None."""
    return next((answer for answer in answers if blocks(answer)), None)


def root_cause(answers: Iterable[AnAnswer]) -> AnAnswer | None:
    """The problem to fix first, or None: the first of the most severe.

    A failed check comes before one that could not be carried out, and that before a warning with a cause.

    Args:
        answers: In the order of a diagnosis, in which causes come before their effects.
    """
    problems = [answer for answer in answers if is_problem(answer)]
    return max(problems, key=lambda answer: severity(answer.signal), default=None)


def verdict(findings: Iterable[Finding]) -> str:
    """A run in one sentence for people: its root cause, that it was interrupted, or that all passed."""
    answers = list(findings)
    problem = root_cause(answers)
    if problem is not None:
        return _("The first broken link is {check}: {summary}").format(
            check=problem.check, summary=problem.summary
        )
    if any(finding.signal is Signal.SKIPPED for finding in answers):
        return _("The run was broken off; what was checked holds.")
    return _("Every link holds.")


def succeeded(answers: Iterable[Answer]) -> bool:
    """Whether a step is done: something was checked, nothing was left out, and there is no problem."""
    done = [not blocks(answer) and answer.signal is not Signal.NOT_RUN for answer in answers]
    return bool(done) and all(done)


def proven(answers: Iterable[Answer]) -> bool:
    """Whether checks have shown both that mail can be retrieved and that it can be sent; neither implies the other."""
    passed = {answer.check for answer in answers if answer.signal is Signal.PASSED}
    return not passed.isdisjoint(RETRIEVING) and not passed.isdisjoint(SENDING)


# Which answers count now

# Checks that not every run makes, each with checks of every run: once one of these passes later, it supersedes them.
_SUPERSEDED_BY = {
    # msoauth itself failed on an account or a firm; every run that gets to it again begins with these.
    "audit.account": ("sign-in.present", "registration.values"),
    "sign-in.attempt": ("sign-in.token",),
    "smtp.send": ("smtp.login",),
    "mail.retrieve": ("pop3.login", "imap.login"),
    "mail.round-trip": ("smtp.login",),
}


def outdated(answer: Answer, latest: Mapping[str, Answer]) -> bool:
    """Whether another check, which passed later, shows that *answer* no longer applies.

    Args:
        latest: The latest answers about the same account, by check.
    """
    others = (latest.get(check) for check in _SUPERSEDED_BY.get(answer.check, ()))
    return any(o.signal is Signal.PASSED and o.at > answer.at for o in others if o)


def current(
    own: Iterable[AnAnswer], of_firm: Iterable[AnAnswer], protocol: str
) -> tuple[list[AnAnswer], list[AnAnswer]]:
    """The latest answers that still count for an account: those about itself, and the remaining ones about its firm.

    Checks of the firm are recorded for the firm by an audit, and for the account by a diagnosis: the newer answer
    counts, unless it was skipped. Answers about a protocol that the account does not use, and outdated ones, do not.

    Args:
        protocol: The one by which the account's mail is retrieved, ``pop3`` or ``imap``.
    """
    by_check = {answer.check: answer for answer in own}
    firm_answers = {answer.check: answer for answer in of_firm}
    other = "imap" if protocol == "pop3" else "pop3"
    own_answers = []
    for answer in by_check.values():
        if answer.check in (f"{other}.login", f"network.{other}"):
            continue
        firm_answer = firm_answers.get(answer.check)
        if firm_answer is not None and _newness(firm_answer) >= _newness(answer):
            continue
        firm_answers.pop(answer.check, None)
        if not outdated(answer, by_check):
            own_answers.append(answer)
    return own_answers, [
        answer for answer in firm_answers.values() if not outdated(answer, firm_answers)
    ]


def current_of_firm(of_firm: Iterable[AnAnswer], of_accounts: Iterable[Answer]) -> list[AnAnswer]:
    """The latest answers about a firm that still count, beside those about its accounts.

    One no longer counts once the same check passed later for one of the accounts, or once it is outdated.
    """
    by_check = {answer.check: answer for answer in of_firm}
    for answer in of_accounts:
        earlier = by_check.get(answer.check)
        if earlier is not None and answer.signal is Signal.PASSED and answer.at > earlier.at:
            del by_check[answer.check]
    return [answer for answer in by_check.values() if not outdated(answer, by_check)]


def _newness(answer: Answer) -> tuple[bool, datetime]:
    """A key to sort by time, with all that was skipped or not run, and so says nothing, before the rest."""
    return answer.signal not in (Signal.SKIPPED, Signal.NOT_RUN), answer.at


# What the calendar says


def days_left(expires: date, today: date) -> int:
    """Days until the client secret ends; 0 on its last day, negative afterwards."""
    return (expires - today).days


def days_since(moment: datetime, now: datetime) -> int:
    """Whole days from *moment* to *now*; 0 for a date in the future, which comes from a wrong clock."""
    return max(0, (now - moment).days)


def secret_signal(days: int) -> Signal:
    """The signal of a client secret that ends in *days* days: a warning from 60 on, failed after its last day."""
    if days < 0:
        return Signal.FAILED
    return Signal.WARNING if days <= SECRET_WARNING_DAYS else Signal.PASSED


def idle_signal(days: int) -> Signal:
    """The signal of a refresh token unused for *days* days: a warning from 60 on, failed from 90 on."""
    if days >= IDLE_END_DAYS:
        return Signal.FAILED
    return Signal.WARNING if days >= IDLE_WARNING_DAYS else Signal.PASSED


def silence_signal(days: int, limit: int = SILENT_DAYS) -> Signal:
    """The signal of a mailbox whose newest mail is *days* days old: a warning from *limit* on."""
    return Signal.WARNING if days >= limit else Signal.PASSED


def clock_is_wrong(seconds_ahead: float) -> bool:
    """Whether this computer's clock is too far from the server's, ahead or behind."""
    return abs(seconds_ahead) > CLOCK_SKEW_SECONDS


# What is wrong with an account


@dataclass(frozen=True, slots=True)
class Issue:
    """A failing check, or something about to expire.

    Attributes:
        check: The check's id.
        signal: How bad it is now.
        days: Days left (secret) or elapsed (idle, silent) for an issue found by date; None for one found by a check.
    """

    check: str
    signal: Signal
    cause: str | None = None
    days: int | None = None

    @property
    def expiring(self) -> bool:
        """Whether the account still works but will stop."""
        return self.signal is Signal.WARNING and self.days is not None


@dataclass(frozen=True, slots=True)
class Dates:
    """The dates on which an account depends; None for what is not known or does not matter.

    Attributes:
        secret_expires: The last day of its firm's client secret, as recorded by a person.
        token_used: When its refresh token was last used.
        latest_message: When its latest message came.
    """

    secret_expires: date | None = None
    token_used: datetime | None = None
    latest_message: datetime | None = None


def expiring(dates: Dates, now: datetime, silent_days: int = SILENT_DAYS) -> list[Issue]:
    """The issues that follow from an account's dates alone: what will soon stop it, or already has."""
    issues = []
    if dates.secret_expires is not None:
        left = days_left(dates.secret_expires, now.date())
        # Never worse than a warning, because the recorded date may be wrong; another check finds a secret that is refused.
        signal = min(secret_signal(left), Signal.WARNING, key=severity)
        issues.append(Issue(SECRET_END, signal, "secret-expired", left))
    if dates.token_used is not None:
        idle = days_since(dates.token_used, now)
        issues.append(Issue(TOKEN_AGE, idle_signal(idle), "refresh-expired", idle))
    if dates.latest_message is not None:
        silent = days_since(dates.latest_message, now)
        issues.append(Issue(NEWEST_MAIL, silence_signal(silent, silent_days), None, silent))
    return [issue for issue in issues if issue.signal is not Signal.PASSED]


def account_issue(
    own: Iterable[Answer],
    of_firm: Iterable[Answer],
    dates: Dates,
    now: datetime,
    silent_days: int = SILENT_DAYS,
) -> Issue | None:
    """The worst issue of an account: its root cause or what is about to expire; None if there is neither.

    The firm's answers count only where they block the account's checks. A check's answer about a date counts only
    where the date itself is not known, because time has passed since.

    Args:
        own: The answers about the account, in the order of a diagnosis; *of_firm* those about its firm.
    """
    date_of = {SECRET_END: dates.secret_expires, TOKEN_AGE: dates.token_used}
    undated = [answer for answer in own if date_of.get(answer.check) is None]
    cause = root_cause(undated)
    blocked = not undated or any(answer.signal is Signal.SKIPPED for answer in undated)
    if blocked and (cause is None or cause.signal is Signal.WARNING):
        cause = root_cause(a for a in of_firm if date_of.get(a.check) is None) or cause
    issues = expiring(dates, now, silent_days)
    if cause is not None:
        issues.insert(0, Issue(cause.check, cause.signal, cause.cause))
    return max(issues, key=lambda issue: severity(issue.signal), default=None)


def account_signal(issue: Issue | None, answers: Iterable[Answer]) -> Signal:
    """The signal of an account with *issue*; without one, passed if any check was carried out, else not run."""
    if issue is not None:
        return issue.signal
    was_checked = any(answer.signal in (Signal.PASSED, Signal.WARNING) for answer in answers)
    return Signal.PASSED if was_checked else Signal.NOT_RUN


def proven_signal(issue: Issue | None, answers: Iterable[Answer]) -> Signal:
    """The signal of an account in a hand-over record: passed only if retrieving and sending are :func:`proven`.

    An issue that is only about to expire does not count, because the account still works.
    """
    if issue is not None and not issue.expiring:
        return issue.signal
    return Signal.PASSED if proven(answers) else Signal.NOT_RUN

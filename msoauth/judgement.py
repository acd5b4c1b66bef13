"""What findings amount to: how bad, the root cause, what blocks what, what is about to expire. Nothing else decides.

Pure functions on findings, or on whatever has a check, a signal, a cause and a moment (:class:`Answer`); what depends
on the calendar takes ``now`` or ``today``. Each limit stands here once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, TypeVar

from msoauth.errors import MsoauthError, StoreError
from msoauth.model import Finding, Signal
from msoauth.texts import _

# A new secret needs somebody with rights on the tenant, an unused refresh token the user: both take weeks.
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
    """What a check said: a finding, or the latest result that the workspace keeps of it."""

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
    """How bad a signal is: 0 for passed, and more for every worse one; what is not known is no success."""
    return len(WORST_FIRST) - 1 - WORST_FIRST.index(signal)


def worst(signals: Iterable[Signal]) -> Signal:
    """The most severe of *signals*; ``NOT_RUN`` where there are none."""
    return max(signals, key=severity, default=Signal.NOT_RUN)


def signal_of(failure: MsoauthError) -> Signal:
    """The signal of a check that raised *failure*.

    ``ERROR`` when the check itself could not be carried out (the workspace, or a role that the administrator lacks),
    ``WARNING`` when it may pass later without anybody fixing anything, else ``FAILED``.
    """
    if isinstance(failure, StoreError) or failure.cause == "graph-forbidden":
        return Signal.ERROR
    return Signal.WARNING if getattr(failure, "retriable", False) else Signal.FAILED


def is_problem(answer: Answer) -> bool:
    """Whether *answer* says that something is wrong; a warning without a cause is a remark only."""
    return answer.signal in (Signal.FAILED, Signal.ERROR) or (
        answer.signal is Signal.WARNING and answer.cause is not None
    )


def blocks(answer: Answer) -> bool:
    """Whether a check that needs the one of *answer* is skipped: it found a problem, or was skipped itself."""
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
    kept = list(findings)
    broken = root_cause(kept)
    if broken is not None:
        return _("The first broken link is {check}: {summary}").format(
            check=broken.check, summary=broken.summary
        )
    if any(finding.signal is Signal.SKIPPED for finding in kept):
        return _("The run was broken off; what was checked holds.")
    return _("Every link holds.")


def succeeded(answers: Iterable[Answer]) -> bool:
    """Whether a step is done: something was checked, nothing was left out, and there is no problem."""
    done = [not blocks(answer) and answer.signal is not Signal.NOT_RUN for answer in answers]
    return bool(done) and all(done)


def proven(answers: Iterable[Answer]) -> bool:
    """Whether mail was seen to be retrieved and to be sent: a login of one kind says nothing of the other."""
    passed = {answer.check for answer in answers if answer.signal is Signal.PASSED}
    return not passed.isdisjoint(RETRIEVING) and not passed.isdisjoint(SENDING)


# Which answers count now

# What is asked on request only, or by a person, counts until a later check of every run answers for it.
_ANSWERED_BY = {
    # A fault of ours, of an account or a firm; each later run that looked at it asks these first.
    "audit.account": ("sign-in.present", "registration.values"),
    "sign-in.attempt": ("sign-in.token",),
    "smtp.send": ("smtp.login",),
    "mail.retrieve": ("pop3.login", "imap.login"),
    "mail.round-trip": ("smtp.login",),
}


def outdated(answer: Answer, latest: Mapping[str, Answer]) -> bool:
    """Whether another check that passed later shows that *answer* is no longer so.

    Args:
        latest: The latest answers about the same account, by check.
    """
    others = (latest.get(check) for check in _ANSWERED_BY.get(answer.check, ()))
    return any(o.signal is Signal.PASSED and o.at > answer.at for o in others if o)


def current(
    own: Iterable[AnAnswer], of_firm: Iterable[AnAnswer], protocol: str
) -> tuple[list[AnAnswer], list[AnAnswer]]:
    """The latest answers that still count for an account: those about itself, and the remaining ones about its firm.

    A question about the firm is asked in an audit (of the firm) and in a diagnosis (of the account): the newer answer
    counts, unless it was skipped. What another protocol said once does not, nor what a later check outdates.

    Args:
        protocol: The one by which the account's mail is retrieved, ``pop3`` or ``imap``.
    """
    by_check = {answer.check: answer for answer in own}
    theirs = {answer.check: answer for answer in of_firm}
    other = "imap" if protocol == "pop3" else "pop3"
    kept = []
    for answer in by_check.values():
        if answer.check in (f"{other}.login", f"network.{other}"):
            continue
        rival = theirs.get(answer.check)
        if rival is not None and _newness(rival) >= _newness(answer):
            continue
        theirs.pop(answer.check, None)
        if not outdated(answer, by_check):
            kept.append(answer)
    return kept, [answer for answer in theirs.values() if not outdated(answer, theirs)]


def current_of_firm(of_firm: Iterable[AnAnswer], of_accounts: Iterable[Answer]) -> list[AnAnswer]:
    """The latest answers about a firm that still count, beside those about its accounts.

    One does not count any more once the same check passed later with one of its accounts, nor what another outdates.
    """
    by_check = {answer.check: answer for answer in of_firm}
    for answer in of_accounts:
        was = by_check.get(answer.check)
        if was is not None and answer.signal is Signal.PASSED and answer.at > was.at:
            del by_check[answer.check]
    return [answer for answer in by_check.values() if not outdated(answer, by_check)]


def _newness(answer: Answer) -> tuple[bool, datetime]:
    """What was skipped says nothing, however new it is."""
    return answer.signal not in (Signal.SKIPPED, Signal.NOT_RUN), answer.at


# What the calendar says


def days_left(expires: date, today: date) -> int:
    """Days until the client secret ends; 0 on its last day, negative afterwards."""
    return (expires - today).days


def days_since(moment: datetime, now: datetime) -> int:
    """Whole days from *moment* to *now*; 0 for what a wrong clock dated in the future."""
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


# What stands for an account


@dataclass(frozen=True, slots=True)
class Issue:
    """A failing check, or something about to expire.

    Attributes:
        check: The check's id.
        signal: How bad it is now.
        days: Days left (secret) or passed (idle, silent) where the calendar says so; None where a check did.
    """

    check: str
    signal: Signal
    cause: str | None = None
    days: int | None = None

    @property
    def expiring(self) -> bool:
        """Whether the account works now and will stop."""
        return self.signal is Signal.WARNING and self.days is not None


@dataclass(frozen=True, slots=True)
class Dates:
    """The dates on which an account depends; None for what is not known or does not matter.

    Attributes:
        secret_expires: The last day of its firm's client secret, as somebody noted it down.
        token_used: When its refresh token was last used.
        latest_message: When its latest message came.
    """

    secret_expires: date | None = None
    token_used: datetime | None = None
    latest_message: datetime | None = None


def expiring(dates: Dates, now: datetime, silent_days: int = SILENT_DAYS) -> list[Issue]:
    """What will stop an account before long, or has by the calendar."""
    issues = []
    if dates.secret_expires is not None:
        left = days_left(dates.secret_expires, now.date())
        # Never worse than a warning, for a note may be wrong: whether the secret is refused, its own check says.
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
    """What stands for an account: its root cause or what is about to expire, whichever is worse; None if nothing is.

    The firm's answers count where they block what was asked about the account. What a check said of a date counts only
    where the date itself is not known: the calendar has gone on since.

    Args:
        own: The answers about the account, in the order of a diagnosis; *of_firm* those about its firm.
    """
    dated = {SECRET_END: dates.secret_expires, TOKEN_AGE: dates.token_used}
    kept = [answer for answer in own if dated.get(answer.check) is None]
    cause = root_cause(kept)
    blocked = not kept or any(answer.signal is Signal.SKIPPED for answer in kept)
    if blocked and (cause is None or cause.signal is Signal.WARNING):
        cause = root_cause(a for a in of_firm if dated.get(a.check) is None) or cause
    issues = expiring(dates, now, silent_days)
    if cause is not None:
        issues.insert(0, Issue(cause.check, cause.signal, cause.cause))
    return max(issues, key=lambda issue: severity(issue.signal), default=None)


def account_signal(issue: Issue | None, answers: Iterable[Answer]) -> Signal:
    """The signal of an account with *issue*; without one, green when a check answered at all, else not run."""
    if issue is not None:
        return issue.signal
    answered = any(answer.signal in (Signal.PASSED, Signal.WARNING) for answer in answers)
    return Signal.PASSED if answered else Signal.NOT_RUN


def proven_signal(issue: Issue | None, answers: Iterable[Answer]) -> Signal:
    """The signal of an account that is handed over: green only where mail was seen to be retrieved and to be sent.

    What is about to expire works as yet; see :func:`proven`.
    """
    if issue is not None and not issue.expiring:
        return issue.signal
    return Signal.PASSED if proven(answers) else Signal.NOT_RUN

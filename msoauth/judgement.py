"""What findings amount to: how bad, what is the root cause, what blocks what. Nothing else decides what is green.

Pure functions on findings, or on whatever has a check, a signal, a cause and a moment (:class:`Answer`).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol, TypeVar

from msoauth.errors import MsoauthError, StoreError
from msoauth.model import Finding, Signal
from msoauth.texts import _

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

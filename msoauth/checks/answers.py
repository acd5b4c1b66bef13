"""Which answers a later one outdates, though it answers another question."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from msoauth.model import Signal

# What is asked on request only, or by a person, counts until a later check of every run answers for it.
_ANSWERED_BY = {
    # A fault of ours, of an account or a firm; each later run that looked at it asks these first.
    "audit.account": ("sign-in.present", "registration.values"),
    "sign-in.attempt": ("sign-in.token",),
    "smtp.send": ("smtp.login",),
    "mail.retrieve": ("pop3.login", "imap.login"),
    "mail.round-trip": ("smtp.login",),
}


class Answer(Protocol):
    """A finding or a standing: what a check last said."""

    @property
    def check(self) -> str: ...
    @property
    def signal(self) -> Signal: ...
    @property
    def cause(self) -> str | None: ...
    @property
    def at(self) -> datetime: ...


def outdated(answer: Answer, latest: Mapping[str, Answer]) -> bool:
    """Whether a newer green answer to another question tells that *answer* is no longer so.

    Args:
        latest: The latest answers about the same account, by check.
    """
    others = (latest.get(check) for check in _ANSWERED_BY.get(answer.check, ()))
    return any(o.signal is Signal.PASSED and o.at > answer.at for o in others if o)

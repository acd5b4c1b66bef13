"""When on its page a browser's message was made: a kernel may hear two of them the other way round, or at once.

ipykernel 7 hands a widget's messages to several tasks and, with subshells, threads; one that came while a cell was
running may be heard after a later one.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, Self


class Moment(NamedTuple):
    """A moment of a browser's page.

    Attributes:
        page: A name that the page gave itself.
        number: Counts what the user did there.
    """

    page: str
    number: int

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Self | None:
        """When the message was made; None where it does not say."""
        page, number = message.get("page"), message.get("moment")
        if isinstance(page, str) and isinstance(number, int):
            return cls(page, number)
        return None

    def before(self, other: "Moment | None") -> bool:
        """Whether it is known to be earlier."""
        return other is not None and self.page == other.page and self.number < other.number


# Whoever hears a message, draws for a worker, puts a panel together or tells the others of a choice holds this, so
# that none sees half of what another does. There is one, so that no two can be taken the wrong way round; and whoever
# holds it waits for no worker.
one_at_a_time = threading.RLock()
_heard: ContextVar[Moment | None] = ContextVar("heard", default=None)
_newest: Moment | None = None


@contextmanager
def hearing(message: Mapping[str, Any]) -> Iterator[None]:
    """While a message is heard no other one is, and :func:`now` is when it was made."""
    global _newest
    with one_at_a_time:
        moment = Moment.of(message)
        if moment is not None and not moment.before(_newest):
            _newest = moment
        before = _heard.set(moment)
        try:
            yield
        finally:
            _heard.reset(before)


def now() -> Moment | None:
    """The moment that what is being done answers to: a worker's, the newest that was heard of."""
    return _heard.get() or _newest

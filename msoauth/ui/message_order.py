"""Keeps the messages of a browser page in the order in which it sent them, and provides the lock for handling them.

ipykernel 7 hands a widget's messages to several tasks and, with subshells, to several threads: a message that arrived
while a cell was running may be handled after a later one, or at the same time. So every message has a number.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, Self


class MessageNumber(NamedTuple):
    """A message's place in the order in which its page sent them.

    Attributes:
        page: The random name of the browser page.
        number: Counts up with every input and every message on that page.
    """

    page: str
    number: int

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Self | None:
        """The number of *message*; None if it has none."""
        page, number = message.get("page"), message.get("number")
        if isinstance(page, str) and isinstance(number, int):
            return cls(page, number)
        return None

    def before(self, other: "MessageNumber | None") -> bool:
        """Whether this message is known to be earlier than *other*; never if their pages differ."""
        return other is not None and self.page == other.page and self.number < other.number


# Held while a message is handled, a worker draws, a panel is built, or panels are notified of a choice, so that none
# of them sees another one half done. There is only one, so no two locks can be taken in opposite orders; and whoever holds it
# must not wait for a worker.
ui_lock = threading.RLock()
_handled: ContextVar[MessageNumber | None] = ContextVar("handled", default=None)
_latest: MessageNumber | None = None


@contextmanager
def handling(message: Mapping[str, Any]) -> Iterator[None]:
    """Hold the lock while *message* is handled; :func:`current` then returns its number."""
    global _latest
    with ui_lock:
        number = MessageNumber.of(message)
        if number is not None and not number.before(_latest):
            _latest = number
        token = _handled.set(number)
        try:
            yield
        finally:
            _handled.reset(token)


def current() -> MessageNumber | None:
    """The number of the message being handled; in a worker or for a message without one, of the latest message so far."""
    return _handled.get() or _latest

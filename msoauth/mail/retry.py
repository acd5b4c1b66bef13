"""When and how long to wait before a retry: a server that throttles, a mailbox in use, a broken connection.

The pauses grow from 1 to 30 seconds with some jitter, unless the server names one. Together they stay within a
limit.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from msoauth.errors import MailError
from msoauth.texts import _

LIMIT = 120.0  # seconds that all pauses together may take, unless the user names another
_FIRST_PAUSE, _GROWTH, _LONGEST_PAUSE = 1.0, 2.0, 30.0  # seconds, factor, seconds


@dataclass(frozen=True, slots=True)
class Retry:
    """A pause before a retry; its ``str`` is a text for people.

    Attributes:
        why: The error that it follows.
        seconds: The pause before it.
        waited: Seconds spent in earlier pauses.
        limit: Seconds that all pauses together may take.
    """

    why: MailError
    seconds: float
    waited: float
    limit: float

    def __str__(self) -> str:
        return _(
            "{summary} Trying again in {seconds:.0f} s ({waited:.0f} of at most {limit:.0f} s waited)."
        ).format(
            summary=self.why.summary, seconds=self.seconds, waited=self.waited, limit=self.limit
        )


@dataclass
class RetryPolicy:
    """Exponential backoff within a total limit.

    Attributes:
        limit: Seconds that all pauses together may take; 0 for no retry at all.
        on_retry: Called when a pause begins.
        cancelled: Set it to end a pause.
        sleep: Waits that many seconds and returns whether it was cancelled; None to wait for *cancelled*.
        waited: Seconds spent in pauses so far.
    """

    limit: float = LIMIT
    on_retry: Callable[[Retry], None] = lambda _retry: None
    cancelled: threading.Event = field(default_factory=threading.Event)
    sleep: Callable[[float], bool] | None = None
    waited: float = 0.0
    _pause: float = _FIRST_PAUSE

    def wait_or_raise(self, failure: MailError, *, progressed: bool = False) -> None:
        """Wait before the next try, or raise *failure* when there must be none: a loop around it always ends.

        Args:
            progressed: Something was achieved since the last pause: start again with the shortest one.

        Raises:
            MailError: *failure* itself: it is not retriable, the limit is reached or the wait was cancelled.
        """
        if not failure.retriable or self.cancelled.is_set():
            raise failure
        if progressed:
            self._pause = _FIRST_PAUSE
        # Jitter, so that many clients that were rejected do not come back at the same moment.
        seconds = failure.retry_after or self._pause * random.uniform(0.8, 1.2)  # noqa: S311
        if self.waited + seconds > self.limit:
            failure.retry_after = failure.retry_after or seconds
            raise failure
        self.on_retry(Retry(failure, seconds, self.waited, self.limit))
        start = time.monotonic()
        cancelled = (self.sleep or self.cancelled.wait)(seconds)
        self.waited += seconds if self.sleep else time.monotonic() - start
        self._pause = min(self._pause * _GROWTH, _LONGEST_PAUSE)
        if cancelled:
            raise failure

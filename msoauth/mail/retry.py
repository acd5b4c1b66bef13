"""When and how long to wait before a retry: a server that throttles, a mailbox in use, a broken connection.

The pauses grow from 1 to 30 seconds with some jitter, a server's own wish takes precedence, and all of them
together stay within a limit.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from msoauth.errors import MailError
from msoauth.texts import _

LIMIT = 120.0  # seconds that all pauses together may take, unless the user names another
_FIRST, _GROWTH, _LONGEST = 1.0, 2.0, 30.0


@dataclass(frozen=True, slots=True)
class Retry:
    """A retry that is about to be waited for, with its text for people.

    Attributes:
        why: The failure that it follows.
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
        sleep: Waits so many seconds and returns whether it was cancelled; None to wait for *cancelled*.
        waited: Seconds spent in pauses so far.
    """

    limit: float = LIMIT
    on_retry: Callable[[Retry], None] = lambda _retry: None
    cancelled: threading.Event = field(default_factory=threading.Event)
    sleep: Callable[[float], bool] | None = None
    waited: float = 0.0
    _pause: float = _FIRST

    def wait_after(self, failure: MailError, *, progressed: bool = False) -> None:
        """Wait before the next try.

        Args:
            progressed: Something was achieved since the last pause: start again with the shortest one.

        Raises:
            MailError: *failure* again, when it is not retriable, the limit is reached or it was cancelled.
        """
        if not failure.retriable or self.cancelled.is_set():
            raise failure
        if progressed:
            self._pause = _FIRST
        # Jitter, so that many clients that were rejected do not come back at the same moment.
        seconds = failure.retry_after or self._pause * random.uniform(0.8, 1.2)  # noqa: S311
        if self.waited + seconds > self.limit:
            failure.retry_after = failure.retry_after or seconds
            raise failure
        self.on_retry(Retry(failure, seconds, self.waited, self.limit))
        start = time.monotonic()
        cancelled = (self.sleep or self.cancelled.wait)(seconds)
        self.waited += seconds if self.sleep else time.monotonic() - start
        self._pause = min(self._pause * _GROWTH, _LONGEST)
        if cancelled:
            raise failure

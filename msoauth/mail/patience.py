"""Waiting where waiting helps: a server that throttles, a mailbox in use, a line that broke.

The pauses grow, the server's own wish goes before them, and all of it ends at a limit that the user sees.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from msoauth.errors import MailError
from msoauth.texts import _

LIMIT = 120.0  # seconds of waiting altogether, unless the user names another
_FIRST, _GROWTH, _LONGEST = 1.0, 2.0, 30.0


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause that begins.

    Attributes:
        why: The failure that it is for.
        seconds: How long it is.
        waited: Seconds that were waited before it.
        limit: Seconds that may be waited altogether.
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


def _say_nothing(_wait: Wait) -> None:
    pass


@dataclass
class Patience:
    """How long one is ready to wait.

    Attributes:
        limit: Seconds of waiting altogether; 0 for not at all.
        told: Gets each pause when it begins.
        cancelled: Ends a pause.
        sleep: Waits so many seconds; true when it was cancelled.
    """

    limit: float = LIMIT
    told: Callable[[Wait], None] = _say_nothing
    cancelled: threading.Event = field(default_factory=threading.Event)
    sleep: Callable[[float], bool] | None = None
    waited: float = 0.0
    _pause: float = _FIRST

    def after(self, failure: MailError, *, progressed: bool = False) -> None:
        """Wait before the next try; raises *failure* again when there is to be none.

        Args:
            progressed: Something was achieved since the last pause, so the pauses begin anew.
        """
        if not failure.retriable or self.cancelled.is_set():
            raise failure
        if progressed:
            self._pause = _FIRST
        # A little chance, so that many clients that were turned away do not come back at one moment.
        seconds = failure.retry_after or self._pause * random.uniform(0.8, 1.2)  # noqa: S311
        if self.waited + seconds > self.limit:
            failure.retry_after = failure.retry_after or seconds
            raise failure
        self.told(Wait(failure, seconds, self.waited, self.limit))
        start = time.monotonic()
        cancelled = (self.sleep or self.cancelled.wait)(seconds)
        self.waited += seconds if self.sleep else time.monotonic() - start
        self._pause = min(self._pause * _GROWTH, _LONGEST)
        if cancelled:
            raise failure

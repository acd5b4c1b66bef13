"""The practice tenant's clock: real time plus an offset that people can move."""

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """The practice tenant's time.

    Attributes:
        offset: How far this clock is ahead of the computer's; negative when it is behind.
    """

    def __init__(self, offset: timedelta = timedelta()) -> None:
        self.offset = offset

    def time(self) -> float:
        """Seconds since the Unix epoch."""
        return time.time() + self.offset.total_seconds()

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, by: timedelta) -> None:
        """Move the clock; a negative duration moves it back."""
        self.offset += by

"""Waiting so that Ctrl-C is heard on every system: Windows delivers it only between two waits (Python 3.11 to 3.13)."""

import threading
import time

STEP = 0.25  # seconds: the longest that one wait of a program's main thread may take


def wait(event: threading.Event, seconds: float) -> bool:
    """Wait until *event* is set, for at most so many seconds; returns whether it is.

    >>> wait(threading.Event(), 0.0)
    False
    """
    end = time.monotonic() + seconds
    while not event.wait(max(0.0, min(STEP, end - time.monotonic()))):
        if time.monotonic() >= end:
            return False
    return True

"""Measures how far an audit is, how fast it runs, and how long it will take."""

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from msoauth.model import Signal
from msoauth.texts import _, ngettext

_WINDOW = 200  # the rate is calculated from the times at which this many newest accounts finished


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of an audit at one moment.

    Attributes:
        done: Accounts that are finished, including those from before an interruption.
        total: All accounts of the audit.
        signals: How many accounts ended with which signal.
        elapsed: Seconds since this process started it.
        rate: Accounts per second recently; None before the first is finished.
        left: Seconds that the rest will take at that rate; None where there is no rate.
    """

    done: int
    total: int
    signals: Mapping[Signal, int]
    elapsed: float
    rate: float | None
    left: float | None

    def text(self) -> str:
        """The progress in one line for people: “12 of 40 accounts · 3.1 a second · 0:09 left”."""
        parts = [
            ngettext("{done} of {total} account", "{done} of {total} accounts", self.total).format(
                done=f"{self.done:,}", total=f"{self.total:,}"
            )
        ]
        if self.rate is not None:
            parts.append(_("{rate:.1f} a second").format(rate=self.rate))
        if self.left is not None and self.done < self.total:
            parts.append(_("{time} left").format(time=clock(self.left)))
        return " · ".join(parts)


class Meter:
    """Counts accounts as they finish. Safe to share between threads."""

    def __init__(self, total: int, done: Mapping[Signal, int]) -> None:
        self._lock = threading.Lock()
        self._signals = Counter(done)
        self.total = total
        self._start = time.monotonic()
        self._times: deque[float] = deque([self._start], maxlen=_WINDOW)

    def count(self, signal: Signal) -> None:
        """Count an account that is finished, with its signal."""
        with self._lock:
            self._signals[signal] += 1
            self._times.append(time.monotonic())

    def catch_up(self, signals: Mapping[Signal, int]) -> None:
        """Adopt the counts of a shared audit; accounts that other computers finished count for the rate, too."""
        with self._lock:
            others = sum(signals.values()) - sum(self._signals.values())
            if others > 0:
                self._signals = Counter(signals)
                self._times.extend([time.monotonic()] * others)

    def progress(self) -> Progress:
        """The progress now."""
        with self._lock:
            now = time.monotonic()
            done = sum(self._signals.values())
            span = now - self._times[0]
            rate = (len(self._times) - 1) / span if len(self._times) > 1 and span > 0 else None
            left = (self.total - done) / rate if rate else None
            return Progress(done, self.total, dict(self._signals), now - self._start, rate, left)


def clock(seconds: float) -> str:
    """Seconds as a clock shows them: 0:07, 3:20, 1:02:03."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{secs:02}" if hours else f"{minutes}:{secs:02}"

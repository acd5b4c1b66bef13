"""The record of a conversation: who said what when, with secrets taken out at the source."""

import time
from collections import deque
from dataclasses import dataclass
from typing import Literal

from msoauth.redact import redact

Direction = Literal["C", "S", "-"]

_LINE = 2000  # characters of a line that are worth keeping
_LINES = 4000


@dataclass(frozen=True, slots=True)
class Entry:
    """A line: ``C`` the client's, ``S`` the server's, ``-`` a remark. ``at`` is in seconds from the start."""

    at: float
    direction: Direction
    text: str


class Transcript:
    """What was said, bounded in length; mail bodies appear as their size."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self.entries: deque[Entry] = deque(maxlen=_LINES)

    def client(self, line: str) -> None:
        """A line that the client sent."""
        self._add("C", line)

    def server(self, line: str) -> None:
        """A line that the server sent."""
        self._add("S", line)

    def remark(self, text: str) -> None:
        """What happened beside the lines: a connection made, a body received."""
        self._add("-", text)

    def _add(self, direction: Direction, line: str) -> None:
        shown = "".join(c if c.isprintable() else "·" for c in redact(line[:_LINE]))
        self.entries.append(Entry(time.perf_counter() - self._start, direction, shown))

    def text(self) -> str:
        """The whole record, a line each."""
        return "\n".join(
            f"{entry.at:8.3f} {entry.direction}: {entry.text}" for entry in self.entries
        )

    def __repr__(self) -> str:
        return f"Transcript({len(self.entries)} lines)"

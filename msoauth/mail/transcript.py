"""The record of a conversation: who said what when, without secrets."""

import re
import time
from collections import deque
from typing import Literal, NamedTuple

from msoauth.redact import MASK, redact

Direction = Literal["C", "S", "-"]

_LINE = 2000  # characters of a line that are worth keeping
_LINES = 4000
_RUN = re.compile(r"[\w.~+/=-]{12,}")  # what a piece of a credential looks like


class Entry(NamedTuple):
    """A line: ``C`` the client's, ``S`` the server's, ``-`` a remark. ``at`` is in seconds from the start."""

    at: float
    direction: Direction
    text: str


class Transcript:
    """What was said, bounded in length; mail bodies appear as their size.

    Credentials are taken out when the record is read: of thousands of conversations few are.

    Attributes:
        seconds: What each stage of the conversation took, by its name.
    """

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._secrets: tuple[str, ...] = ()
        self._entries: deque[tuple[Entry, bool]] = deque(maxlen=_LINES)  # and whether it is ours
        self.seconds: dict[str, float] = {}

    def hide(self, *secrets: str) -> None:
        """Have these taken out of this conversation in pieces too: a server may echo a part of what it got."""
        self._secrets = (*self._secrets, *(secret.casefold() for secret in secrets if secret))

    def client(self, line: str) -> None:
        """A line that the client sent."""
        self._add("C", line)

    def server(self, line: str) -> None:
        """A line that the server sent."""
        self._add("S", line)

    def remark(self, text: str) -> None:
        """What happened beside the lines: a connection made, a body received."""
        self._add("-", text)

    def own(self, direction: Direction, text: str) -> None:
        """What we made ourselves of words and numbers, thousands of times over: no secret can be in it."""
        self._entries.append((Entry(time.perf_counter() - self._start, direction, text), True))

    @property
    def entries(self) -> list[Entry]:
        """The lines so far, fit to be shown."""
        return [
            entry if own else entry._replace(text=self._cleaned(entry.text))
            for entry, own in self._entries
        ]

    def shown(self, text: str) -> str:
        """*text* with every credential in it, or piece of one of this conversation's, taken out."""
        text = redact(text)
        return _RUN.sub(self._piece, text) if self._secrets else text

    def _piece(self, match: re.Match[str]) -> str:
        piece = match[0].rstrip("=").casefold()
        return MASK if any(piece in secret for secret in self._secrets) else match[0]

    def _add(self, direction: Direction, line: str) -> None:
        at = time.perf_counter() - self._start
        self._entries.append((Entry(at, direction, line[: 2 * _LINE]), False))

    def _cleaned(self, line: str) -> str:
        # Cut to length afterwards, for half a secret might not be known as one; a first cut bounds the search.
        shown = self.shown(line)
        if not shown.isprintable():
            shown = "".join(c if c.isprintable() else "·" for c in shown)
        return shown[:_LINE]

    def text(self) -> str:
        """The whole record, a line each."""
        return "\n".join(
            f"{entry.at:8.3f} {entry.direction}: {entry.text}" for entry in self.entries
        )

    def __repr__(self) -> str:
        return f"Transcript({len(self._entries)} lines)"

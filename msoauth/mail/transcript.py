"""The transcript of a connection to a mail server; secrets are masked when it is read."""

import re
import time
from collections import deque
from typing import Literal, NamedTuple

from msoauth.redact import CUT_MARGIN, MASK, redact
from msoauth.sanitize import visible

Direction = Literal["C", "S", "-"]

_LINE = 2000  # characters kept of a line
_LINES = 4000
_CREDENTIAL_PART = re.compile(r"[\w.~+/=-]{12,}")


class Entry(NamedTuple):
    """A line of the client (``C``) or the server (``S``), or a remark (``-``); ``at`` is in seconds since the start."""

    at: float
    direction: Direction
    text: str


class Transcript:
    """The last 4,000 lines of a connection; mail bodies appear as their size only.

    Secrets are masked when it is read, because few of the thousands of transcripts of an audit ever are.

    Attributes:
        seconds: The time that each stage of the connection took, by its name.
    """

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._secrets: tuple[str, ...] = ()
        self._entries: deque[Entry] = deque(maxlen=_LINES)
        self.seconds: dict[str, float] = {}

    def hide(self, *secrets: str) -> None:
        """Mask these secrets, and parts of them: a server may echo a part of what it received."""
        self._secrets = (*self._secrets, *(secret.casefold() for secret in secrets if secret))

    def client(self, line: str) -> None:
        """Record a line that the client sent."""
        self._add("C", line)

    def server(self, line: str) -> None:
        """Record a line that the server sent."""
        self._add("S", line)

    def remark(self, text: str) -> None:
        """Record an event, such as ``connected to 192.0.2.1 port 995``."""
        self._add("-", text)

    @property
    def entries(self) -> list[Entry]:
        """The lines so far, with secrets masked."""
        return [entry._replace(text=self._printable_line(entry.text)) for entry in self._entries]

    def mask(self, text: str, limit: int | None = None) -> str:
        """*text* with all credentials masked, and parts of this connection's credentials too; cut off at *limit*."""
        text = redact(text, limit and limit + CUT_MARGIN)
        if self._secrets:
            text = _CREDENTIAL_PART.sub(self._mask_match, text)
        return text[:limit]

    def _mask_match(self, match: re.Match[str]) -> str:
        piece = match[0].rstrip("=").casefold()
        return MASK if any(piece in secret for secret in self._secrets) else match[0]

    def _add(self, direction: Direction, line: str) -> None:
        self._entries.append(
            Entry(time.perf_counter() - self._start, direction, line[: _LINE + CUT_MARGIN + 1])
        )

    def _printable_line(self, line: str) -> str:
        masked = self.mask(line, _LINE)
        if not masked.isprintable():
            masked = "".join(c if c.isprintable() else "·" for c in masked)
        return visible(masked)

    def text(self) -> str:
        """The whole transcript, one entry a line."""
        return "\n".join(
            f"{entry.at:8.3f} {entry.direction}: {entry.text}" for entry in self.entries
        )

    def __repr__(self) -> str:
        return f"Transcript({len(self._entries)} lines)"

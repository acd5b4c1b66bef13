"""The transcript of a connection to a mail server; secrets are masked when it is read."""

import re
import time
from collections import deque
from typing import Literal, NamedTuple

from msoauth.redact import MASK, redact

Direction = Literal["C", "S", "-"]

_LINE = 2000  # characters kept of a line
_LINES = 4000
_RUN = re.compile(r"[\w.~+/=-]{12,}")  # what part of a credential may look like


class Entry(NamedTuple):
    """A line: of the client (``C``), of the server (``S``), or a remark (``-``); ``at`` is seconds since the start."""

    at: float
    direction: Direction
    text: str


class Transcript:
    """The last 4,000 lines of a connection; mail bodies appear as their size only.

    Secrets are masked when it is read, because few of the thousands of transcripts of an audit ever are.

    Attributes:
        seconds: What each stage of the connection took, by its name.
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
        """Record an event that is no line, such as ``connected to 192.0.2.1 port 995``."""
        self._add("-", text)

    @property
    def entries(self) -> list[Entry]:
        """The lines so far, with secrets masked."""
        return [entry._replace(text=self._shown_line(entry.text)) for entry in self._entries]

    def shown(self, text: str) -> str:
        """*text* with all credentials, and parts of this connection's, masked."""
        text = redact(text)
        return _RUN.sub(self._masked, text) if self._secrets else text

    def _masked(self, match: re.Match[str]) -> str:
        piece = match[0].rstrip("=").casefold()
        return MASK if any(piece in secret for secret in self._secrets) else match[0]

    def _add(self, direction: Direction, line: str) -> None:
        self._entries.append(Entry(time.perf_counter() - self._start, direction, line[: 2 * _LINE]))

    def _shown_line(self, line: str) -> str:
        # Cut after masking, because half a secret might not be recognised; the first cut bounds the search.
        shown = self.shown(line)
        if not shown.isprintable():
            shown = "".join(c if c.isprintable() else "·" for c in shown)
        return shown[:_LINE]

    def text(self) -> str:
        """The whole transcript, one entry a line."""
        return "\n".join(
            f"{entry.at:8.3f} {entry.direction}: {entry.text}" for entry in self.entries
        )

    def __repr__(self) -> str:
        return f"Transcript({len(self._entries)} lines)"

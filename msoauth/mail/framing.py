"""Lines and blocks out of the bytes that a server sends, with limits to both."""

from collections.abc import Callable, Iterator

from msoauth.errors import MailError
from msoauth.texts import _

# A line of real mail may pass the 1,000 octets of the standards by far, but not this.
LINE_LIMIT = 1 << 20
BLOCK_LIMIT = 1 << 30  # bytes of one message; Exchange takes 150 MB
_CHUNK = 1 << 16


class Inbox:
    """What a server sent and nobody has read yet.

    Args:
        more: Waits for more bytes; raises when none come.
        endless: Makes the error for something that does not end, from its description.
    """

    def __init__(self, more: Callable[[], bytes], endless: Callable[[str], MailError]) -> None:
        self._more, self._endless = more, endless
        self._buffer = bytearray()
        self._start = 0

    def unread(self) -> bytes:
        """The first bytes of what nobody has read."""
        return bytes(self._buffer[self._start : self._start + 500])

    def _fill(self) -> None:
        """Wait for more. Positions in the buffer are counted from ``_start`` afterwards."""
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        self._buffer += self._more()

    def line(self) -> bytes:
        """The next line of the server, without its end; not recorded."""
        return self._raw_line().removesuffix(b"\n").removesuffix(b"\r")

    def _raw_line(self) -> bytes:
        searched = self._start
        while True:
            end = self._buffer.find(b"\n", searched)
            if end >= 0:
                line = bytes(self._buffer[self._start : end + 1])
                self._start = end + 1
                return line
            unread = len(self._buffer) - self._start
            if unread > LINE_LIMIT:
                raise self._endless(_("the server sent a line without end"))
            self._fill()
            searched = self._start + unread

    def exactly(self, count: int) -> Iterator[bytes]:
        """The next *count* bytes, in pieces; not recorded."""
        while count > 0:
            if len(self._buffer) == self._start:
                self._fill()
            piece = bytes(self._buffer[self._start : self._start + min(count, _CHUNK)])
            self._start += len(piece)
            count -= len(piece)
            yield piece

    def block(self) -> Iterator[bytes]:
        """What comes until a line that is a dot (RFC 1939), in pieces, byte for byte; not recorded.

        A bare LF is part of the text: only CRLF ends a line here, or a text that a server stuffed by the
        book would end at a ``\\n.\\n`` of its own.
        """
        while len(self._buffer) - self._start < 3:
            self._fill()
        if self._buffer.startswith(b".", self._start):
            if self._buffer.startswith(b".\r\n", self._start):
                self._start += 3
                return
            self._start += 1
        received = 0
        searched = self._start
        while True:
            end = self._buffer.find(b"\r\n.\r\n", searched)
            if end >= 0:
                piece = bytes(self._buffer[self._start : end + 2])
                self._start = end + 5
                yield piece.replace(b"\r\n..", b"\r\n.") if b"\r\n.." in piece else piece
                return
            # What begins with the first CR of the last four bytes may be the beginning of an end.
            tail = self._buffer.find(b"\r", max(self._start, len(self._buffer) - 4))
            tail = len(self._buffer) if tail < 0 else tail
            if tail - self._start >= _CHUNK:
                piece = bytes(self._buffer[self._start : tail])
                self._start = tail
                received += len(piece)
                if received > BLOCK_LIMIT:
                    raise self._endless(_("the server sent a message without end"))
                yield piece.replace(b"\r\n..", b"\r\n.") if b"\r\n.." in piece else piece
            ahead = tail - self._start
            self._fill()
            searched = self._start + ahead

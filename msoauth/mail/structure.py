"""What a message is made of, found out while it streams by: its header fields and its attachments.

Nothing of a body is kept, however large it is; a search for boundaries and a few counts are all that it
costs. Mail that a parser would choke on (nesting a hundred deep, a million parts) only fills the counters.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

HEADER_LIMIT = 12 << 20  # bytes of a message's header that are looked at
FIELD_LIMIT = 16 << 10  # bytes of one field that are kept
PARTS_LIMIT = 20_000  # parts that are told apart
_PART_HEADER_LIMIT = 64 << 10
_DEPTH_LIMIT = 100
_LONG_LINE = 1 << 16  # bytes after which a line is looked at before its end came

_BLANK_LINE = re.compile(rb"\n\r?(?=\n)")
_FIELD = re.compile(rb"\n([!-9;-~]{1,80})[ \t]*:")
_BOUNDARY = re.compile(
    rb"""\bboundary[ \t]*=[ \t\r\n]*(?:"([^"\r\n]{1,200})"|([^\s;"]{1,200}))""", re.IGNORECASE
)
_MULTIPART = re.compile(rb"\s*multipart/", re.IGNORECASE)


@dataclass(slots=True)
class Part:
    """A part that is no multipart: its fields, and how many bytes of each kind its body has."""

    fields: dict[bytes, bytes]
    size: int = 0
    line_ends: int = 0
    equals: int = 0
    soft_breaks: int = 0

    def count(self, data: bytes) -> None:
        """These bytes belong to the body."""
        self.size += len(data)
        if b"content-transfer-encoding" in self.fields:
            self.line_ends += data.count(b"\n") + data.count(b"\r")
            self.equals += data.count(b"=")
            self.soft_breaks += data.count(b"=\r\n")

    def decoded_size(self) -> int:
        """Bytes of the body with its transfer encoding undone."""
        encoding = self.fields.get(b"content-transfer-encoding", b"").strip().lower()
        if encoding == b"base64":
            return max(0, (self.size - self.line_ends - self.equals) * 3 // 4)
        if encoding == b"quoted-printable":
            return max(0, self.size - 2 * self.equals - self.soft_breaks)
        return self.size


class Scanner:
    """Takes a message in pieces.

    Attributes:
        fields: The message's header fields by name in lower case, folded as they came; the first of a name.
        parts: Every part that is no multipart, in order, up to a limit.
        size: Bytes that came by.
    """

    def __init__(self) -> None:
        self.fields: dict[bytes, bytes] = {}
        self.parts: list[Part] = []
        self.size = 0
        self._held = b""  # a line whose end is still to come
        self._at_line_start = True
        self._in_header = True
        self._is_part = False
        self._header: list[bytes] = []
        self._header_size = 0
        self._delimiters: list[bytes] = []
        self._search: re.Pattern[bytes] | None = None
        self._open: Part | None = None
        self._line_end = 0  # bytes of the line end that the open part's body has as its last

    def feed(self, piece: bytes) -> None:
        """Look at the next piece."""
        self.size += len(piece)
        data = self._held + piece if self._held else piece
        cut = data.rfind(b"\n") + 1
        if not cut and len(data) > _LONG_LINE:
            cut = len(data)
        self._held = data[cut:]
        if cut:
            self._look(data[:cut])

    def close(self) -> None:
        """That was the last piece."""
        if self._held:
            self._look(self._held)
            self._held = b""
        if self._in_header:
            self._header_ends()

    def _look(self, data: bytes) -> None:
        # Every line has a line end before it, the first one too: all searches are for what follows one.
        lead = int(self._at_line_start)
        block = b"\n" + data if lead else data
        self._at_line_start = data.endswith(b"\n")
        while len(block) > lead:
            block = self._header_of(block, lead) if self._in_header else self._body_of(block, lead)
            lead = 1

    def _header_of(self, block: bytes, lead: int) -> bytes:
        """Collect a header; what stands behind it, with the line end before."""
        found = _BLANK_LINE.search(block)
        early = self._search.search(block) if self._search and self._is_part else None
        if early and (found is None or early.start() < found.start()):
            found = None  # a part that ends before its header does
        end = early.start() if early and not found else found.start() if found else len(block)
        limit = _PART_HEADER_LIMIT if self._is_part else HEADER_LIMIT
        if self._header_size < limit:
            self._header.append(block[lead if self._header else 0 : end])
            self._header_size += end
        if found is None and early is None:
            return b""
        self._header_ends()
        return block[found.end() :] if found else block[end:]

    def _header_ends(self) -> None:
        fields = _fields(b"".join(self._header))
        if not self._is_part:
            self.fields = fields
        self._header, self._header_size, self._in_header = [], 0, False
        boundary = _boundary(fields) if len(self._delimiters) < _DEPTH_LIMIT else None
        if boundary is not None:
            self._delimiters.append(b"--" + boundary)
            self._search_anew()
        elif len(self.parts) < PARTS_LIMIT:
            self._open, self._line_end = Part(fields), 0
            self.parts.append(self._open)

    def _search_anew(self) -> None:
        names = b"|".join(map(re.escape, reversed(self._delimiters)))
        self._search = re.compile(rb"\n(" + names + rb")(--)?[ \t]*\r?(?=\n|\Z)") if names else None

    def _body_of(self, block: bytes, lead: int) -> bytes:
        """Count a body's bytes up to the next boundary; what stands behind that, with the line end before."""
        full = len(self.parts) >= PARTS_LIMIT
        found = self._search.search(block) if self._search and not full else None
        content = block[lead : found.start() + 1 if found else len(block)]
        if self._open is not None and content:
            self._open.count(content)
            self._line_end = 2 if content.endswith(b"\r\n") else int(content.endswith(b"\n"))
        if found is None:
            return b""
        if self._open is not None:  # the line end before a boundary belongs to the boundary
            self._open.size -= self._line_end
            if b"content-transfer-encoding" in self._open.fields:
                self._open.line_ends -= self._line_end
            self._open = None
        while self._delimiters[-1] != found[1]:  # boundaries that were never closed
            self._delimiters.pop()
        if found[2]:
            self._delimiters.pop()
        else:
            self._in_header = self._is_part = True
        self._search_anew()
        return block[found.end() :]


def _fields(raw: bytes) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    name, start = b"", 0
    for match in _FIELD.finditer(raw):
        if name:
            fields.setdefault(name, raw[start : min(match.start(), start + FIELD_LIMIT)].strip())
        name, start = match[1].lower(), match.end()
    if name:
        fields.setdefault(name, raw[start : start + FIELD_LIMIT].strip())
    return fields


def _boundary(fields: dict[bytes, bytes]) -> bytes | None:
    kind = fields.get(b"content-type", b"")
    if not _MULTIPART.match(kind):
        return None
    found = _BOUNDARY.search(kind)
    return (found[1] or found[2]).rstrip() if found else None


def scan(pieces: Iterable[bytes]) -> Scanner:
    """A scanner that saw all of *pieces*."""
    scanner = Scanner()
    for piece in pieces:
        scanner.feed(piece)
    scanner.close()
    return scanner

"""A streaming MIME scanner: finds header fields, parts and their sizes without keeping any body in memory.

It only searches for boundaries and counts bytes, so that large or hostile mail (nested a hundred deep, a million
parts) costs no more than its size.
"""

import email.message
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

HEADER_LIMIT = 12 << 20  # bytes scanned of a message's header
FIELD_LIMIT = 16 << 10  # bytes kept of one field
PARTS_LIMIT = 20_000  # parts counted separately
_PART_HEADER_LIMIT = 64 << 10
_DEPTH_LIMIT = 100
_HEAD_LIMIT = 4 << 10  # bytes kept of an attached mail
_LONG_LINE = 1 << 16  # bytes after which a line is scanned before it is complete

_BLANK_LINE = re.compile(rb"\n\r?(?=\n)")
_FIELD = re.compile(rb"\n([!-9;-~]{1,80})[ \t]*:")
_BOUNDARY = re.compile(
    rb"""\bboundary[ \t]*=[ \t\r\n]*(?:"([^"\r\n]{1,200})"|([^\s;"]{1,200}))""", re.IGNORECASE
)
_UNINDENTED = re.compile(rb"\n(?![ \t])")
_LINE_START = re.compile(rb"\n([^\r\n])")
_UUENCODE = (b"x-uuencode", b"x-uue", b"uuencode")


@dataclass(slots=True)
class Part:
    """A part that is no multipart: its header fields, and counts from which its decoded size is calculated.

    Attributes:
        default_type: Its media type without a Content-Type: that of the parts of a digest is ``message/rfc822``
            (RFC 2046, section 5.1.5).
        head: The beginning of an attached mail, with its header.
    """

    fields: dict[bytes, bytes]
    default_type: bytes = b"text/plain"
    size: int = 0
    line_ends: int = 0
    equals: int = 0
    soft_breaks: int = 0
    uu_bytes: int = 0  # that the lines of a uuencoded body hold, by their first characters
    is_uu_ended: bool = False
    head: bytes = b""
    _is_at_line_start: bool = True

    @property
    def media_type(self) -> bytes:
        """Its media type in lower case, without parameters: ``application/pdf``."""
        return media_type(self.fields) or self.default_type

    @property
    def encoding(self) -> bytes:
        """Its Content-Transfer-Encoding in lower case; empty without one."""
        return self.fields.get(b"content-transfer-encoding", b"").strip().lower()

    def count(self, data: bytes) -> None:
        """Count bytes of the body."""
        self.size += len(data)
        if len(self.head) < _HEAD_LIMIT and self.media_type == b"message/rfc822":
            self.head += data[: _HEAD_LIMIT - len(self.head)]
        if self.encoding in _UUENCODE:
            self._count_uuencoded(data)
        elif self.encoding:
            self.line_ends += data.count(b"\n") + data.count(b"\r")
            self.equals += data.count(b"=")
            self.soft_breaks += data.count(b"=\r\n")

    def decoded_size(self) -> int:
        """Size of the body in bytes after decoding base64 or quoted-printable; a close estimate."""
        if self.encoding == b"base64":
            return max(0, (self.size - self.line_ends - self.equals) * 3 // 4)
        if self.encoding == b"quoted-printable":
            return max(0, self.size - 2 * self.equals - self.soft_breaks)
        return self.uu_bytes if self.encoding in _UUENCODE else self.size

    def _count_uuencoded(self, data: bytes) -> None:
        """Add up what each line says that it holds; “begin” and “end” are no such lines, and nothing follows “end”."""
        block = b"\n" + data if self._is_at_line_start else data
        self._is_at_line_start = data.endswith(b"\n")
        for match in _LINE_START.finditer(block):
            first = match[1][0]
            if self.is_uu_ended or block.startswith(b"end", match.start(1)):
                self.is_uu_ended = True
                return
            self.uu_bytes += (first - 32) & 63 if first <= 96 else 0


class Scanner:
    """Scans a message that is fed in pieces; call :meth:`close` after the last one.

    Attributes:
        fields: The message's header fields by lower-case name, still folded; of equal names the first.
        parts: Every part that is no multipart, in order, up to a limit.
        size: Bytes fed so far.
    """

    def __init__(self) -> None:
        self.fields: dict[bytes, bytes] = {}
        self.parts: list[Part] = []
        self.size = 0
        self._incomplete_line = b""  # the beginning of a line without its end
        self._at_line_start = True
        self._in_header = True
        self._is_part = False
        self._header: list[bytes] = []
        self._header_size = 0
        self._delimiters: list[bytes] = []
        self._default_types: list[bytes] = []  # of the parts of each multipart that is open
        self._delimiter_pattern: re.Pattern[bytes] | None = None
        self._current: Part | None = None
        self._line_end = 0  # bytes of the line end at the end of the current part's body

    def feed(self, piece: bytes) -> None:
        """Scan the next piece."""
        self.size += len(piece)
        data = self._incomplete_line + piece if self._incomplete_line else piece
        cut = data.rfind(b"\n") + 1
        if not cut and len(data) > _LONG_LINE:
            cut = len(data)
        self._incomplete_line = data[cut:]
        if cut:
            self._scan_lines(data[:cut])

    def close(self) -> None:
        """Scan what is left: no more pieces follow."""
        if self._incomplete_line:
            self._scan_lines(self._incomplete_line)
            self._incomplete_line = b""
        if self._in_header:
            self._end_header()

    def _scan_lines(self, data: bytes) -> None:
        # The patterns match after a line end, so the first line gets one before it.
        lead = int(self._at_line_start)
        block = b"\n" + data if lead else data
        self._at_line_start = data.endswith(b"\n")
        while len(block) > lead:
            block = (
                self._scan_header(block, lead) if self._in_header else self._scan_body(block, lead)
            )
            lead = 1

    def _scan_header(self, block: bytes, lead: int) -> bytes:
        """Collect header lines; returns what follows the header, from the line end before it on."""
        blank_line = _BLANK_LINE.search(block)
        boundary = (
            self._delimiter_pattern.search(block)
            if self._delimiter_pattern and self._is_part
            else None
        )
        if boundary and (blank_line is None or boundary.start() < blank_line.start()):
            blank_line = None  # a boundary before the end of the part's header
        end = (
            boundary.start()
            if boundary and not blank_line
            else blank_line.start()
            if blank_line
            else len(block)
        )
        limit = _PART_HEADER_LIMIT if self._is_part else HEADER_LIMIT
        if self._header_size < limit:
            self._header.append(block[lead if self._header else 0 : end])
            self._header_size += end
        if blank_line is None and boundary is None:
            return b""
        self._end_header()
        return block[blank_line.end() :] if blank_line else block[end:]

    def _end_header(self) -> None:
        fields = _fields(b"".join(self._header))
        if not self._is_part:
            self.fields = fields
        self._header, self._header_size, self._in_header = [], 0, False
        boundary = _boundary(fields) if len(self._delimiters) < _DEPTH_LIMIT else None
        default_type = self._default_types[-1] if self._default_types else b"text/plain"
        if boundary is not None:
            self._delimiters.append(b"--" + boundary)
            is_digest = media_type(fields) == b"multipart/digest"
            self._default_types.append(b"message/rfc822" if is_digest else b"text/plain")
            self._update_delimiter_pattern()
        elif len(self.parts) < PARTS_LIMIT:
            self._current, self._line_end = Part(fields, default_type), 0
            self.parts.append(self._current)

    def _update_delimiter_pattern(self) -> None:
        delimiters = b"|".join(map(re.escape, reversed(self._delimiters)))
        self._delimiter_pattern = (
            re.compile(rb"\n(" + delimiters + rb")(--)?[ \t]*\r?(?=\n|\Z)") if delimiters else None
        )

    def _scan_body(self, block: bytes, lead: int) -> bytes:
        """Count a body's bytes up to the next boundary; returns what follows that, from the line end before it on."""
        at_limit = len(self.parts) >= PARTS_LIMIT
        boundary = (
            self._delimiter_pattern.search(block)
            if self._delimiter_pattern and not at_limit
            else None
        )
        content = block[lead : boundary.start() + 1 if boundary else len(block)]
        if self._current is not None and content:
            self._current.count(content)
            self._line_end = 2 if content.endswith(b"\r\n") else int(content.endswith(b"\n"))
        if boundary is None:
            return b""
        if self._current is not None:  # the line end before a boundary belongs to the boundary
            self._current.size -= self._line_end
            if self._current.encoding:
                self._current.line_ends -= self._line_end
            self._current = None
        while self._delimiters[-1] != boundary[1]:  # inner multiparts that were never closed
            self._close_multipart()
        if boundary[2]:
            self._close_multipart()
        else:
            self._in_header = self._is_part = True
        self._update_delimiter_pattern()
        return block[boundary.end() :]

    def _close_multipart(self) -> None:
        self._delimiters.pop()
        self._default_types.pop()


def _fields(raw: bytes) -> dict[bytes, bytes]:
    """The header fields by lower-case name; a line belongs to the one before it only if it is indented (RFC 5322)."""
    fields: dict[bytes, bytes] = {}
    for match in _FIELD.finditer(raw):
        if (name := match[1].lower()) not in fields:
            start = match.end()
            end = _UNINDENTED.search(raw, start, start + FIELD_LIMIT)
            fields[name] = raw[start : end.start() if end else start + FIELD_LIMIT].strip()
    return fields


def media_type(fields: Mapping[bytes, bytes]) -> bytes:
    """The media type that header fields state, in lower case and without parameters; empty for none."""
    stated = fields.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return stated if b"/" in stated else b""


def _boundary(fields: dict[bytes, bytes]) -> bytes | None:
    if not media_type(fields).startswith(b"multipart/"):
        return None
    content_type = fields[b"content-type"]
    match = _BOUNDARY.search(content_type)
    boundary = match[1] or match[2] if match else _continued_boundary(content_type)
    return boundary.rstrip() or None


def _continued_boundary(content_type: bytes) -> bytes:
    """The boundary of ``boundary*0=…; boundary*1=…`` (RFC 2231, section 3); empty without one."""
    if b"boundary*" not in content_type.lower():
        return b""
    message = email.message.Message()
    try:
        message["Content-Type"] = " ".join(
            content_type[:_PART_HEADER_LIMIT].decode("ascii").split()
        )
        return (message.get_boundary() or "").encode("ascii")[:200]
    except Exception:  # noqa: BLE001 - email has raised TypeError, KeyError, AssertionError and others here
        return b""


def scan(pieces: Iterable[bytes]) -> Scanner:
    """Scan a whole message; returns the closed scanner."""
    scanner = Scanner()
    for piece in pieces:
        scanner.feed(piece)
    scanner.close()
    return scanner

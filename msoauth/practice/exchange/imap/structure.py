"""A mail's envelope, its parts, and the sections that BODY[…] names (RFC 3501, 6.4.5 and 7.4.2).

Everything is a slice of the mail's own bytes, never put together again. Header fields are read as Latin-1, in which
every byte is a character, so that raw 8-bit text leaves as it came.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from msoauth.practice.exchange.imap.grammar import quote

MAX_DEPTH = 20  # nesting beyond which a part is shown as one piece
MAX_PARTS = 1000  # parts of a mail that are shown

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)\r\n")
_TYPE = re.compile(r"\s*([^\s/;()]+)\s*/\s*([^\s;()]+)")
_PARAMETER = re.compile(r';\s*([^\s=;]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))')
_CONTINUATION = re.compile(r"(.+?)\*(\d{1,3})(\*?)")
_COMMENT = re.compile(r"\((?:[^()\\]|\\.)*\)")
_TOKEN = re.compile(r'\s+|"((?:[^"\\]|\\.)*)"?|\(((?:[^()\\]|\\.)*)\)?|[<>@,;:]|[^\s"(<>@,;:]+')
_SECTION = re.compile(
    r"(?:(\d{1,9}(?:\.\d{1,9}){0,20})(?:\.|$))?"
    r"(HEADER\.FIELDS(?:\.NOT)? \([^()]+\)|HEADER|TEXT|MIME|)",
    re.IGNORECASE,
)


def split(raw: bytes) -> tuple[bytes, bytes]:
    """Header with its empty line, and body."""
    at = _header_end(raw, 0, len(raw))
    return raw[:at], raw[at:]


def _header_end(raw: bytes, start: int, end: int) -> int:
    if raw.startswith(b"\r\n", start, end):
        return start + 2
    blank = raw.find(b"\r\n\r\n", start, end)
    return end if blank < 0 else blank + 4


def fields_of(head: bytes) -> list[tuple[str, bytes]]:
    """Name in lower case and raw lines of each header field, in order."""
    return [(m[1].decode("ascii").lower(), m[0]) for m in _FIELD.finditer(head)]


@dataclass(slots=True)
class Part:
    """A part of a mail, or the mail itself.

    Attributes:
        raw: The whole mail.
        start: Where its header begins in it.
        body: Where its body begins.
        end: Where its body ends.
        kind: Its content type as the header writes it, such as ``("text", "plain")``.
        children: The parts of a multipart; the message in a ``message/rfc822``.
    """

    raw: bytes
    start: int
    body: int
    end: int
    kind: tuple[str, str] = ("text", "plain")
    children: list["Part"] = field(default_factory=list)

    @property
    def main(self) -> str:
        """The type in lower case, such as ``multipart``."""
        return self.kind[0].lower()

    @property
    def is_message(self) -> bool:
        """Whether it is an attached mail."""
        return self.main == "message" and bool(self.children)

    @property
    def head(self) -> bytes:
        """Its header with the empty line."""
        return self.raw[self.start : self.body]

    @property
    def content(self) -> bytes:
        """Its body as it is in the mail, still in its transfer encoding."""
        return self.raw[self.body : self.end]

    def header(self, name: str) -> str | None:
        """The first header field of that name, unfolded; None when there is none."""
        for match in _FIELD.finditer(self.raw, self.start, self.body):
            if match[1].decode("ascii").lower() == name:
                return match[2].decode("latin-1").replace("\r\n", "").replace("\t", " ").strip(" ")
        return None


def parse(raw: bytes) -> Part:
    """Find the parts of a mail."""
    return _parse(raw, 0, len(raw), ("text", "plain"), 0, [MAX_PARTS])


def _parse(
    raw: bytes, start: int, end: int, default: tuple[str, str], depth: int, left: list[int]
) -> Part:
    part = Part(raw, start, _header_end(raw, start, end), end, default)
    content_type = part.header("content-type")
    if content_type is not None:
        match = _TYPE.match(content_type)
        part.kind = (match[1], match[2]) if match else ("text", "plain")
    if depth >= MAX_DEPTH:
        return part
    if part.main == "multipart":
        digest = part.kind[1].lower() == "digest"
        inner = ("message", "rfc822") if digest else ("text", "plain")
        boundary = dict(parameters(content_type or "")).get("boundary", "")
        part.children = [
            _parse(raw, first, last, inner, depth + 1, left)
            for first, last in _pieces(part, boundary.encode("latin-1", "replace"), left)
        ]
    elif (part.main, part.kind[1].lower()) == ("message", "rfc822"):
        part.children = [_parse(raw, part.body, end, ("text", "plain"), depth + 1, left)]
    return part


def _pieces(part: Part, boundary: bytes, left: list[int]) -> Iterator[tuple[int, int]]:
    """Begin and end of each part of a multipart; the line end before a delimiter belongs to the delimiter."""
    if not boundary:
        return
    delimiter = re.compile(rb"(?m)^--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r\n|\Z)")
    begun: int | None = None
    for match in delimiter.finditer(part.raw, part.body, part.end):
        if begun is not None:
            yield begun, max(begun, match.start() - 2)
        begun = None
        if match[1] or not left[0]:
            break
        left[0] -= 1
        begun = match.end()
    if begun is not None:
        yield begun, part.end


def parameters(value: str) -> list[tuple[str, str]]:
    """The parameters of a Content-Type or Content-Disposition; those that RFC 2231 splits come whole, and last."""
    plain: list[tuple[str, str]] = []
    pieces: dict[str, list[tuple[int, str, bool]]] = {}
    for name, quoted, token in _PARAMETER.findall(value):
        text = re.sub(r"\\(.)", r"\1", quoted) if quoted else _COMMENT.sub("", token).strip()
        if match := _CONTINUATION.fullmatch(name):
            pieces.setdefault(match[1], []).append((int(match[2]), text, bool(match[3])))
        elif name.endswith("*"):
            pieces.setdefault(name[:-1], []).append((0, text, True))
        else:
            plain.append((name, text))
    for name, found in pieces.items():
        whole = "".join(text for _number, text, _encoded in sorted(found))
        plain.append((f"{name}*" if any(encoded for *_, encoded in found) else name, whole))
    return plain


# ENVELOPE


def envelope(message: Part) -> bytes:
    """ENVELOPE of a mail."""
    author = _addresses(message.header("from")) or b"NIL"
    parts = [
        quote(message.header("date")),
        quote(message.header("subject")),
        author,
        _addresses(message.header("sender")) or author,
        _addresses(message.header("reply-to")) or author,
        *(_addresses(message.header(name)) or b"NIL" for name in ("to", "cc", "bcc")),
        quote(message.header("in-reply-to")),
        quote(message.header("message-id")),
    ]
    return b"(" + b" ".join(parts) + b")"


def _addresses(value: str | None) -> bytes:
    rows = b"".join(
        b"(%b NIL %b %b)" % (quote(name), quote(local), quote(host))
        for name, local, host in read_addresses(value or "")
    )
    return b"(%b)" % rows if rows else b""


def read_addresses(value: str) -> Iterator[tuple[str | None, str | None, str | None]]:
    """Name, local part and host of each address; what has no ``@`` is a local part with an empty host.

    A group begins with its name as local part and ends with three None (RFC 3501, 7.4.2).
    """
    words: list[tuple[str, str]] = []  # the text of each word, and what it looked like
    angle, in_group = -1, False  # where in the words an address in angle brackets begins
    comment: str | None = None
    for match in (*_TOKEN.finditer(value), None):
        sign = match[0] if match else ""
        if match and match[2] is not None:
            comment = match[2]
        elif match and match[1] is not None:
            words.append((re.sub(r"\\(.)", r"\1", match[1]), sign))
        elif sign == "<":
            angle = len(words)
        elif sign == ":" and angle < 0:
            yield None, " ".join(text for text, _sign in words), None
            in_group, words, comment = True, [], None
        elif sign in (",", ";", ""):
            if words or angle >= 0:
                yield _address(words, angle, comment)
            words, angle, comment = [], -1, None
            if in_group and sign in (";", ""):
                in_group = False
                yield None, None, None
        elif sign != ">" and not sign.isspace():
            words.append((sign, sign))


def _address(
    words: list[tuple[str, str]], angle: int, comment: str | None
) -> tuple[str | None, str, str]:
    name = " ".join(text for text, _sign in words[:angle]) if angle >= 0 else comment
    spec = words[max(angle, 0) :]
    at = max((n for n, (_text, sign) in enumerate(spec) if sign == "@"), default=len(spec))
    joint = "" if at < len(spec) else " "
    local = joint.join(text for text, _sign in spec[:at])
    return name or None, local, "".join(text for text, _sign in spec[at + 1 :])


# BODYSTRUCTURE


def bodystructure(part: Part, extended: bool) -> bytes:
    """BODYSTRUCTURE of a mail or part (BODY when not *extended*)."""
    subtype = part.kind[1]
    if part.main == "multipart":
        children = part.children or [Part(b"", 0, 0, 0)]  # one part at least is required
        inner = b"".join(bodystructure(child, extended) for child in children)
        tail = b" " + b" ".join((_parameters(part), *_extension(part))) if extended else b""
        return b"(%b %b%b)" % (inner, quote(subtype), tail)
    size = part.end - part.body
    out = [
        quote(part.kind[0]),
        quote(subtype),
        _parameters(part),
        quote(part.header("content-id")),
        quote(part.header("content-description")),
        quote(_COMMENT.sub("", part.header("content-transfer-encoding") or "").strip() or "7bit"),
        b"%d" % size,
    ]
    if part.is_message:
        out += [envelope(part.children[0]), bodystructure(part.children[0], extended)]
    if part.main == "text" or part.is_message:
        out.append(b"%d" % part.raw.count(b"\n", part.body, part.end))
    if extended:
        out += [quote(part.header("content-md5")), *_extension(part)]
    return b"(" + b" ".join(out) + b")"


def _parameters(part: Part) -> bytes:
    pairs = parameters(part.header("content-type") or "")
    if part.main == "text" and not any(name.lower().startswith("charset") for name, _ in pairs):
        pairs.append(("charset", "us-ascii"))
    return _pairs(pairs)


def _pairs(pairs: list[tuple[str, str]]) -> bytes:
    words = b" ".join(quote(name) + b" " + quote(value) for name, value in pairs)
    return b"(%b)" % words if pairs else b"NIL"


def _extension(part: Part) -> tuple[bytes, bytes, bytes]:
    """Disposition, language and location."""
    disposition = part.header("content-disposition")
    kind = re.match(r"[^\s;()]+", disposition or "")
    languages = [w.strip() for w in (part.header("content-language") or "").split(",") if w.strip()]
    return (
        b"(%b %b)" % (quote(kind[0]), _pairs(parameters(disposition or ""))) if kind else b"NIL",
        b"(%b)" % b" ".join(quote(word) for word in languages) if languages else b"NIL",
        quote(part.header("content-location")),
    )


# BODY[…]


def is_section(name: str) -> bool:
    """Whether RFC 3501's grammar allows ``BODY[name]``."""
    match = _SECTION.fullmatch(name)
    if match is None or (match[2].upper() == "MIME" and not match[1]):
        return False
    return not name.endswith(".") and "0" not in (match[1] or "").split(".")


def section(root: Part, name: str) -> bytes | None:
    """The bytes that ``BODY[name]`` names; None when the mail has no such part."""
    match = _SECTION.fullmatch(name)
    if match is None:
        return None
    what, part = match[2].upper(), root
    if match[1]:
        found = _find(root, [int(number) for number in match[1].split(".")])
        if found is None or not what or what == "MIME":
            return None if found is None else found.head if what else found.content
        if not found.is_message:
            return None
        part = found.children[0]
    if not what:
        return part.raw[part.start : part.end]
    if what == "HEADER":
        return part.head
    if what == "TEXT":
        return part.content
    names = {word.strip('"').lower() for word in what[what.index("(") + 1 : -1].split()}
    excluded = what.startswith("HEADER.FIELDS.NOT")
    lines = (line for field, line in fields_of(part.head) if (field in names) != excluded)
    return b"".join(lines) + b"\r\n"


def _find(root: Part, path: list[int]) -> Part | None:
    part = root
    for depth, number in enumerate(path):
        if part.is_message:
            part = part.children[0]
        if part.main == "multipart":
            if not 1 <= number <= len(part.children):
                return None
            part = part.children[number - 1]
        elif number != 1 or (depth and part is root):
            return None
    return part

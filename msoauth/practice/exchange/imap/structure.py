"""A mail's envelope, its parts, and the sections that BODY[…] names (RFC 3501, 6.4.5 and 7.4.2)."""

import re
from email import message_from_bytes
from email.message import Message
from email.utils import getaddresses

from msoauth.practice.exchange.imap.grammar import quote

MAX_PARTS = 20  # nesting beyond which a part is shown as one piece


def split(raw: bytes) -> tuple[bytes, bytes]:
    """Header with its empty line, and body."""
    if raw.startswith(b"\r\n"):
        return raw[:2], raw[2:]
    head, blank, body = raw.partition(b"\r\n\r\n")
    return (head + blank, body) if blank else (raw, b"")


def fields_of(head: bytes) -> list[tuple[str, bytes]]:
    """Name in lower case and raw lines of each header field, in order."""
    matches = re.finditer(rb"([!-9;-~]+)[ \t]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*\r\n", head)
    return [(m[1].decode("ascii").lower(), m[0]) for m in matches]


def header(message: Message, name: str) -> str | None:
    """A header field on one line, its encoded words left as they are."""
    value = message.get(name)
    return None if value is None else re.sub(r"\r?\n[ \t]*", " ", str(value)).strip()


def parsed(raw: bytes) -> Message:
    """The mail, parsed."""
    return message_from_bytes(raw)


def envelope(message: Message) -> bytes:
    """ENVELOPE of a mail."""
    author = _addresses(message, "From")
    parts = [
        quote(header(message, "Date")),
        quote(header(message, "Subject")),
        author,
        _addresses(message, "Sender", author),
        _addresses(message, "Reply-To", author),
        _addresses(message, "To"),
        _addresses(message, "Cc"),
        _addresses(message, "Bcc"),
        quote(header(message, "In-Reply-To")),
        quote(header(message, "Message-ID")),
    ]
    return b"(" + b" ".join(parts) + b")"


def _addresses(message: Message, name: str, default: bytes = b"NIL") -> bytes:
    value = header(message, name)
    if not value:
        return default
    addresses = b""
    for display_name, address in getaddresses([value]):
        if not address:
            continue
        local, _, domain = address.rpartition("@")
        addresses += b"(%b NIL %b %b)" % (quote(display_name or None), quote(local), quote(domain))
    return b"(" + addresses + b")" if addresses else default


def bodystructure(message: Message, extended: bool, depth: int = 0) -> bytes:
    """BODYSTRUCTURE of a mail or part (BODY when not *extended*)."""
    if _is_multipart(message) and depth < MAX_PARTS:
        parts = b"".join(bodystructure(p, extended, depth + 1) for p in _children(message))
        tail = (
            b" %b %b NIL NIL" % (_parameters(message.get_params()), _disposition(message))
            if extended
            else b""
        )
        return b"(%b %b%b)" % (parts, quote(message.get_content_subtype().upper()), tail)
    content = payload(message)
    main, sub = message.get_content_type().split("/")
    encoding = header(message, "Content-Transfer-Encoding") or "7bit"
    out = [
        quote(main.upper()),
        quote(sub.upper()),
        _parameters(message.get_params()),
        quote(header(message, "Content-ID")),
        quote(header(message, "Content-Description")),
        quote(encoding.upper()),
        b"%d" % len(content),
    ]
    children = _children(message) if depth < MAX_PARTS else []
    if (main, sub) == ("message", "rfc822") and children:
        inner = children[0]
        out += [envelope(inner), bodystructure(inner, extended, depth + 1)]
    if main == "text" or ((main, sub) == ("message", "rfc822") and children):
        out.append(b"%d" % content.count(b"\n"))
    if extended:
        out += [b"NIL", _disposition(message), b"NIL", b"NIL"]
    return b"(" + b" ".join(out) + b")"


def _is_multipart(message: Message) -> bool:
    return message.get_content_maintype() == "multipart" and bool(_children(message))


def _children(message: Message) -> list[Message]:
    return (
        [part for part in message.get_payload() if isinstance(part, Message)]
        if (message.is_multipart())
        else []
    )


def _parameters(params: list[tuple[str, str]] | None) -> bytes:
    pairs = [pair for pair in (params or [])[1:] if pair[0]]
    if not pairs:
        return b"NIL"
    return (
        b"(" + b" ".join(quote(name.upper()) + b" " + quote(_plain(v)) for name, v in pairs) + b")"
    )


def _plain(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def _disposition(message: Message) -> bytes:
    kind = message.get_content_disposition()
    if kind is None:
        return b"NIL"
    params = message.get_params(header="content-disposition")
    return b"(%b %b)" % (quote(kind.upper()), _parameters(params))


def payload(message: Message) -> bytes:
    """The body of a part as it is in the mail, still in its transfer encoding."""
    content = message.get_payload()
    if isinstance(content, str):
        return content.encode("utf-8", "surrogateescape")
    return split(message.as_bytes())[1].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def section(raw: bytes, name: str) -> bytes | None:
    """The bytes that ``BODY[name]`` names; None when the mail has no such part.

    Part texts of nested multiparts are put together again from their parts.
    """
    section_name = name.upper()
    head, body = split(raw)
    if not section_name:
        return raw
    if section_name == "HEADER":
        return head
    if section_name == "TEXT":
        return body
    fields_match = re.fullmatch(r"HEADER\.FIELDS(\.NOT)? \(([^()]*)\)", section_name)
    if fields_match:
        names = {word.strip('"').lower() for word in fields_match[2].split()}
        lines = (
            line for field, line in fields_of(head) if (field in names) != bool(fields_match[1])
        )
        return b"".join(lines) + b"\r\n"
    path = re.fullmatch(r"((?:\d{1,4})(?:\.\d{1,4}){0,20})(\.MIME|\.HEADER|\.TEXT)?", section_name)
    if path is None:
        return None
    return _part(parsed(raw), [int(n) for n in path[1].split(".")], path[2] or "")


def _part(message: Message, path: list[int], what: str) -> bytes | None:
    part = message
    for number in path:
        children = _children(part)
        if part.get_content_type() == "message/rfc822" and children:
            part = children[0]
            children = _children(part)
        if not _is_multipart(part):
            if number != 1:
                return None
            continue
        if not 1 <= number <= len(children):
            return None
        part = children[number - 1]
    if what == ".MIME":
        lines = "".join(f"{name}: {value}\n" for name, value in part.items())
        return re.sub(r"\r?\n", "\r\n", lines).encode("utf-8", "surrogateescape") + b"\r\n"
    if not what:
        return payload(part)
    children = _children(part)
    if part.get_content_type() != "message/rfc822" or not children:
        return None
    head, body = split(re.sub(rb"\r?\n", b"\r\n", children[0].as_bytes()))
    return head if what == ".HEADER" else body

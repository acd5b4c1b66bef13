"""FETCH's items (RFC 3501, 6.4.5): parse their names, and give their values for a mail."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from msoauth.practice.exchange.imap.grammar import GrammarError, Word, as_literal, astring
from msoauth.practice.exchange.imap.structure import (
    bodystructure,
    envelope,
    header,
    parsed,
    section,
)
from msoauth.practice.state import Message

_MACROS = {
    "ALL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"],
    "FAST": ["FLAGS", "INTERNALDATE", "RFC822.SIZE"],
    "FULL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"],
}
_SECTION = re.compile(r"(?i)BODY(\.PEEK)?\[([^\]]*)\](?:<(\d{1,10})\.(\d{1,10})>)?")
_WHOLE = {"RFC822": "", "RFC822.HEADER": "HEADER", "RFC822.TEXT": "TEXT"}
_PLAIN = {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "UID", "BODY", "BODYSTRUCTURE"}


def parse(arguments: list[Word], *, by_uid: bool) -> list[str]:
    """The items that a FETCH names.

    Raises:
        GrammarError: an item is unknown.
    """
    if not arguments:
        raise GrammarError("items are wanted")
    first = arguments[0] if isinstance(arguments[0], list) else arguments
    names = [astring(word) for word in first]
    if len(names) == 1:
        names = _MACROS.get(names[0].upper(), names)
    for name in names:
        if name.upper() not in _PLAIN | _WHOLE.keys() and not _SECTION.fullmatch(name):
            raise GrammarError(f"item {name}")
    if by_uid and not any(name.upper() == "UID" for name in names):
        names = ["UID", *names]
    return names


def flags(message: Message) -> str:
    """FLAGS of a mail."""
    names = sorted(message.flags | {"\\Seen"}) if message.seen else sorted(message.flags)
    return f"FLAGS ({' '.join(names)})"


def row(number: int, message: Message, names: list[str], *, read_only: bool) -> bytes:
    """A mail's FETCH answer. Reading a body without ``.PEEK`` marks the mail as seen, as RFC 3501 requires."""
    seen = message.seen
    bodies = [_body(message, name, read_only=read_only) for name in names]
    parts = [
        body or _simple_item(message, name.upper())
        for name, body in zip(names, bodies, strict=True)
    ]
    if message.seen != seen and "FLAGS" not in {name.upper() for name in names}:
        parts.append(flags(message).encode())
    return b"* %d FETCH (%b)\r\n" % (number, b" ".join(parts))


def _simple_item(message: Message, name: str) -> bytes:
    match name:
        case "UID":
            return f"UID {message.uid}".encode()
        case "FLAGS":
            return flags(message).encode()
        case "RFC822.SIZE":
            return f"RFC822.SIZE {len(message.raw)}".encode()
        case "INTERNALDATE":
            return f'INTERNALDATE "{_arrival_time(message):%d-%b-%Y %H:%M:%S %z}"'.encode()
        case "ENVELOPE":
            return b"ENVELOPE " + envelope(parsed(message.raw))
        case _:
            extended = name == "BODYSTRUCTURE"
            return name.encode() + b" " + bodystructure(parsed(message.raw), extended)


def _body(message: Message, name: str, *, read_only: bool) -> bytes | None:
    if name.upper() in _WHOLE:
        label, peek = name.upper(), name.upper() == "RFC822.HEADER"
        content = section(message.raw, _WHOLE[label]) or b""
    elif (match := _SECTION.fullmatch(name)) is not None:
        content = section(message.raw, match[2]) or b""
        label, peek = f"BODY[{match[2]}]", bool(match[1])
        if match[3] is not None:
            start = int(match[3])
            content, label = content[start : start + int(match[4])], f"{label}<{start}>"
    else:
        return None
    if not peek and not read_only:
        message.seen = True
    return label.encode() + b" " + as_literal(content)


def _arrival_time(message: Message) -> datetime:
    if message.received is not None:
        return datetime.fromtimestamp(message.received, UTC)
    try:
        moment = parsedate_to_datetime(header(parsed(message.raw), "Date") or "")
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

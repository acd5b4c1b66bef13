"""FETCH's items (RFC 3501, 6.4.5): parse their names, and give their values for a mail."""

import re
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from msoauth.practice.exchange.imap.grammar import (
    ArgumentError,
    GrammarError,
    Word,
    as_literal,
    astring,
)
from msoauth.practice.exchange.imap.structure import (
    Part,
    bodystructure,
    envelope,
    is_section,
    parse,
    section,
)
from msoauth.practice.state import Message

FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$MDNSent")
_MACROS = {
    "ALL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"],
    "FAST": ["FLAGS", "INTERNALDATE", "RFC822.SIZE"],
    "FULL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"],
}
_SECTION = re.compile(r"(?i)BODY(\.PEEK)?\[([^\]]*)\](?:<(\d{1,10})\.([1-9]\d{0,9})>)?")
_WHOLE = {"RFC822": "", "RFC822.HEADER": "HEADER", "RFC822.TEXT": "TEXT"}
_PLAIN = {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "UID", "BODY", "BODYSTRUCTURE"}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MOMENT = re.compile(
    r"\s?(\d{1,2})-([A-Za-z]{3})-(\d{4})(?: (\d\d):(\d\d):(\d\d) ([+-]\d\d)(\d\d))?"
)


def read_items(arguments: list[Word], *, by_uid: bool) -> list[str]:
    """The items that a FETCH names after its sequence set.

    Raises:
        GrammarError: there are none.
        ArgumentError: one is unknown.
    """
    if len(arguments) < 2:
        raise GrammarError("items are wanted")
    first = arguments[1] if isinstance(arguments[1], list) else arguments[1:]
    names = [astring(word) for word in first]
    if len(names) == 1:
        names = _MACROS.get(names[0].upper(), names)
    if not names:
        raise ArgumentError
    for name in names:
        match = _SECTION.fullmatch(name)
        if not (match and is_section(match[2])) and name.upper() not in _PLAIN | _WHOLE.keys():
            raise ArgumentError
    if by_uid and not any(name.upper() == "UID" for name in names):
        names = ["UID", *names]
    return names


def want_text(names: list[str]) -> bool:
    """Whether items ask for the whole text of a mail, and not for its header or its data alone."""
    wanted = {name.upper().replace(".PEEK", "").partition("<")[0] for name in names}
    return not wanted.isdisjoint({"BODY[]", "BODY[TEXT]", "RFC822", "RFC822.TEXT"})


def read_flags(word: Word | list[Word]) -> tuple[bool, frozenset[str]]:
    """Whether a list of flags has \\Seen, and the others in it.

    Raises:
        ArgumentError: Exchange Online has no such flag, and no keywords.
    """
    by_lower = {flag.lower(): flag for flag in FLAGS}
    words = word if isinstance(word, list) else [word]
    names = {by_lower.get(astring(flag).lower(), "") for flag in words}
    if "" in names:
        raise ArgumentError
    return "\\Seen" in names, frozenset(names - {"\\Seen"})


def read_moment(text: str) -> datetime:
    """A date of SEARCH, or a date and time of APPEND: ``17-Oct-2011 20:38:01 +0100``.

    Raises:
        ArgumentError: it is none.
    """
    match = _MOMENT.fullmatch(text)
    if match is None or match[2].title() not in _MONTHS:
        raise ArgumentError
    month = _MONTHS.index(match[2].title()) + 1
    iso = f"{match[3]}-{month:02}-{int(match[1]):02}"
    if match[4]:
        iso += f"T{match[4]}:{match[5]}:{match[6]}{match[7]}:{match[8]}"
    try:
        return datetime.fromisoformat(iso)
    except ValueError:
        raise ArgumentError from None


def flags_of(message: Message, recent: AbstractSet[int]) -> str:
    """FLAGS of a mail; *recent* holds the UIDs that are ``\\Recent`` in the session."""
    names = set(message.flags)
    if message.seen:
        names.add("\\Seen")
    if message.uid in recent:
        names.add("\\Recent")
    return f"FLAGS ({' '.join(sorted(names))})"


def row(
    number: int, message: Message, names: list[str], recent: AbstractSet[int], *, read_only: bool
) -> bytes:
    """A mail's FETCH answer. Reading a body without ``.PEEK`` marks the mail as seen, as RFC 3501 requires."""
    seen = message.seen
    root = parse(message.raw)
    bodies = [_body(message, root, name, read_only=read_only) for name in names]
    parts = [
        body or _simple_item(message, root, name.upper(), recent)
        for name, body in zip(names, bodies, strict=True)
    ]
    if message.seen != seen and "FLAGS" not in {name.upper() for name in names}:
        parts.append(flags_of(message, recent).encode())
    return b"* %d FETCH (%b)\r\n" % (number, b" ".join(parts))


def _simple_item(message: Message, root: Part, name: str, recent: AbstractSet[int]) -> bytes:
    match name:
        case "UID":
            return f"UID {message.uid}".encode()
        case "FLAGS":
            return flags_of(message, recent).encode()
        case "RFC822.SIZE":
            return f"RFC822.SIZE {len(message.raw)}".encode()
        case "INTERNALDATE":
            at = arrival(message)
            day = f"{at.day:02}-{_MONTHS[at.month - 1]}-{at.year:04}"
            return f'INTERNALDATE "{day} {at:%H:%M:%S %z}"'.encode()
        case "ENVELOPE":
            return b"ENVELOPE " + envelope(root)
        case _:
            return name.encode() + b" " + bodystructure(root, name == "BODYSTRUCTURE")


def _body(message: Message, root: Part, name: str, *, read_only: bool) -> bytes | None:
    if name.upper() in _WHOLE:
        label, peek = name.upper(), name.upper() == "RFC822.HEADER"
        content = section(root, _WHOLE[label])
    elif (match := _SECTION.fullmatch(name)) is not None:
        content = section(root, match[2])
        label, peek = f"BODY[{match[2]}]", bool(match[1])
        if match[3] is not None:
            start = int(match[3])
            label = f"{label}<{start}>"
            content = content and content[start : start + int(match[4])]
    else:
        return None
    if not peek and not read_only:
        message.seen = True
    return label.encode() + b" " + (b"NIL" if content is None else as_literal(content))


def arrival(message: Message) -> datetime:
    """When the mail arrived: its INTERNALDATE."""
    if message.received is not None:
        return datetime.fromtimestamp(message.received, UTC)
    try:
        moment = parsedate_to_datetime(parse(message.raw).header("date") or "")
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

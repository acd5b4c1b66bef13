"""SEARCH (RFC 3501, 6.4.4): read the keys, and find the messages that match them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.utils import parsedate_to_datetime

from msoauth.practice.exchange.imap.grammar import (
    ArgumentError,
    Word,
    astring,
    inside,
    sequence,
)
from msoauth.practice.exchange.imap.items import arrival, read_moment
from msoauth.practice.exchange.imap.structure import fields_of, split
from msoauth.practice.state import Message


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that may match.

    Attributes:
        number: Its number in the folder, as the session knows it.
        highest: The highest number there, and the highest UID: what ``*`` means.
    """

    number: int
    message: Message
    recent: bool
    highest: tuple[int, int]


class CharsetError(ValueError):
    """A charset other than US-ASCII, the only one that Exchange Online takes."""


Test = Callable[[Candidate], bool]

_FLAGS = {
    "ANSWERED": "\\Answered",
    "DELETED": "\\Deleted",
    "DRAFT": "\\Draft",
    "FLAGGED": "\\Flagged",
}
_SIMPLE: dict[str, Test] = {
    "ALL": lambda _c: True,
    "SEEN": lambda c: c.message.seen,
    "UNSEEN": lambda c: not c.message.seen,
    "RECENT": lambda c: c.recent,
    "OLD": lambda c: not c.recent,
    "NEW": lambda c: c.recent and not c.message.seen,
}
_FIELDS = ("BCC", "CC", "FROM", "SUBJECT", "TO")
_DATE_ORDER: dict[str, Callable[[date, date], bool]] = {
    "BEFORE": lambda at, wanted: at < wanted,
    "ON": lambda at, wanted: at == wanted,
    "SINCE": lambda at, wanted: at >= wanted,
}


def read(arguments: list[Word]) -> Test:
    """The test that SEARCH's keys make together.

    Raises:
        CharsetError: CHARSET names another one than US-ASCII.
        ArgumentError: an argument is missing or wrong, or a key is refused.
        MessageSetError: a word is no key.
    """
    words = list(arguments)
    if words and not isinstance(words[0], list) and astring(words[0]).upper() == "CHARSET":
        if len(words) < 2 or astring(words[1]).upper() != "US-ASCII":
            raise CharsetError
        del words[:2]
    return _all(words)


def _all(words: list[Word]) -> Test:
    if not words:
        raise ArgumentError
    tests = []
    while words:
        tests.append(_key(words))
    return lambda candidate: all(test(candidate) for test in tests)


def _key(words: list[Word]) -> Test:
    """Take one key with its arguments from the beginning of *words*."""
    word = words.pop(0)
    if isinstance(word, list):
        return _all(list(word))
    key = astring(word).upper()
    if key in _SIMPLE:
        return _SIMPLE[key]
    if (flag := _FLAGS.get(key.removeprefix("UN"))) is not None:
        wanted = not key.startswith("UN")
        return lambda c: (flag in c.message.flags) is wanted
    if key in ("KEYWORD", "UNKEYWORD"):
        raise ArgumentError  # Exchange Online has no keywords
    if key == "NOT":
        negated = _next_key(words)
        return lambda c: not negated(c)
    if key == "OR":
        first, second = _next_key(words), _next_key(words)
        return lambda c: first(c) or second(c)
    if key in _FIELDS:
        return _field(key.lower(), _argument(words))
    if key == "HEADER":
        return _field(_argument(words).lower(), _argument(words))
    if key in ("BODY", "TEXT"):
        return _text(_argument(words).lower(), in_header=key == "TEXT")
    if key in ("LARGER", "SMALLER"):
        size = _size(_argument(words))
        return lambda c: len(c.message.raw) > size if key == "LARGER" else len(c.message.raw) < size
    if (order := _DATE_ORDER.get(key.removeprefix("SENT"))) is not None:
        day, when = (
            read_moment(_argument(words)).date(),
            _sent if key.startswith("SENT") else _arrived,
        )
        return lambda c: (at := when(c.message)) is not None and order(at, day)
    by_uid = key == "UID"
    numbers = _argument(words) if by_uid else key
    sequence(numbers, 1)  # raises for what is no set
    return lambda c: inside(
        c.message.uid if by_uid else c.number, sequence(numbers, c.highest[by_uid])
    )


def _next_key(words: list[Word]) -> Test:
    if not words:
        raise ArgumentError
    return _key(words)


def _argument(words: list[Word]) -> str:
    if not words:
        raise ArgumentError
    return astring(words.pop(0))


def _size(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise ArgumentError
    return int(text)


def _arrived(message: Message) -> date:
    return arrival(message).date()


def _sent(message: Message) -> date | None:
    try:
        return parsedate_to_datetime(_field_text(message, "date")).date()
    except ValueError:
        return None


def _field(name: str, text: str) -> Test:
    wanted = text.lower()

    def test(candidate: Candidate) -> bool:
        names = {field for field, _lines in fields_of(split(candidate.message.raw)[0])}
        return name in names and wanted in _field_text(candidate.message, name).lower()

    return test


def _field_text(message: Message, name: str) -> str:
    """All fields of that name, their encoded words decoded."""
    lines = [raw for field, raw in fields_of(split(message.raw)[0]) if field == name]
    return "\n".join(_decoded(raw.partition(b":")[2]) for raw in lines).strip()


def _decoded(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace").replace("\r\n", "")
    try:
        return str(make_header(decode_header(text)))
    except (HeaderParseError, LookupError, ValueError):
        return text


def _text(wanted: str, *, in_header: bool) -> Test:
    def test(candidate: Candidate) -> bool:
        raw = candidate.message.raw
        head = split(raw)[0]
        if in_header and wanted in _decoded(head).lower():
            return True
        for part in message_from_bytes(raw).walk():
            content = part.get_payload(decode=True)
            if part.get_content_maintype() == "text" and isinstance(content, bytes):
                charset = part.get_content_charset("utf-8")
                try:
                    text = content.decode(charset, "replace")
                except LookupError:
                    text = content.decode("latin-1")
                if wanted in text.lower():
                    return True
        return False

    return test

"""IMAP's syntax: splitting a command into atoms, strings, lists and body sections."""

import re
from dataclasses import dataclass

COMMAND_LIMIT = 10240  # bytes a command may have (office-ps: Set-ImapSettings.md, default)
MAX_DEPTH = 20  # parentheses within parentheses that a command may have
MAX_NUMBER = 2**32 - 1

_LITERAL = re.compile(rb"\{(\d{1,12})(\+?)\}$")
_ATOM = re.compile(rb'[^()\s"\[\]]+')
_QUOTED = re.compile(rb'"((?:[^"\\]|\\["\\])*)"')
# BODY[...], BODY.PEEK[...]<0.10>: the brackets and their content belong to the word.
_SECTION = re.compile(rb"(?i)BODY(?:\.PEEK)?\[[^\]]*\](?:<\d{1,10}(?:\.\d{1,10})?>)?")


class GrammarError(ValueError):
    """The command's words cannot be told apart, or there are too few of them."""


class ArgumentError(ValueError):
    """An argument has no meaning here, such as an unknown item or flag."""


class MessageSetError(ValueError):
    """There is no such set of messages."""


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted string or literal; an atom is a ``str``."""

    value: str


Word = str | Text | list["Word"]


def literal(line: bytes) -> tuple[int, bool] | None:
    """Size of the literal that the line announces, and whether the client waits for a ``+`` before it sends it."""
    match = _LITERAL.search(line)
    return (int(match[1]), not match[2]) if match else None


def words(parts: list[bytes]) -> list[Word]:
    """The words of a command.

    Args:
        parts: Line, literal, line, literal … line: literals have odd indices.

    Raises:
        GrammarError: quotes or parentheses do not match, or are nested too deep.
    """
    stack: list[list[Word]] = [[]]
    for index, part in enumerate(parts):
        if index % 2:
            stack[-1].append(Text(part.decode("utf-8", "surrogateescape")))
            continue
        line = _LITERAL.sub(b"", part) if index < len(parts) - 1 else part
        _words_of(line, stack)
    if len(stack) != 1:
        raise GrammarError("a parenthesis is not closed")
    return stack[0]


def _words_of(line: bytes, stack: list[list[Word]]) -> None:
    at = 0
    while at < len(line):
        char = line[at : at + 1]
        if char == b" ":
            at += 1
        elif char == b"(":
            if len(stack) > MAX_DEPTH:
                raise GrammarError("too many parentheses")
            inner: list[Word] = []
            stack[-1].append(inner)
            stack.append(inner)
            at += 1
        elif char == b")":
            if len(stack) == 1:
                raise GrammarError("a parenthesis is not open")
            stack.pop()
            at += 1
        elif char == b'"':
            match = _QUOTED.match(line, at)
            if match is None:
                raise GrammarError("a quote is not closed")
            value = re.sub(rb"\\(.)", rb"\1", match[1])
            stack[-1].append(Text(value.decode("utf-8", "surrogateescape")))
            at = match.end()
        else:
            match = _SECTION.match(line, at) or _ATOM.match(line, at)
            if match is None:
                raise GrammarError("a character has no place here")
            stack[-1].append(match[0].decode("utf-8", "surrogateescape"))
            at = match.end()


def astring(word: Word) -> str:
    """The value of an atom or string.

    Raises:
        GrammarError: it is a list.
    """
    if isinstance(word, list):
        raise GrammarError("a string is wanted, not a list")
    return word.value if isinstance(word, Text) else word


def sequence(text: str, highest: int) -> list[tuple[int, int]]:
    """Ranges of a sequence set such as ``1,3:5,7:*``; ``*`` is *highest*.

    Raises:
        MessageSetError: it is no sequence set.
    """
    ranges = []
    for piece in text.split(","):
        ends = piece.split(":")
        if len(ends) > 2:
            raise MessageSetError
        numbers = [highest if end == "*" else _number(end) for end in ends]
        ranges.append((min(numbers), max(numbers)))
    return ranges


def _number(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,9}", text) or int(text) > MAX_NUMBER:
        raise MessageSetError
    return int(text)


def as_set(numbers: list[int]) -> str:
    """A sequence set of ascending numbers, such as ``1,3:5``."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in ranges)


def inside(number: int, ranges: list[tuple[int, int]]) -> bool:
    """Whether the number lies in one of the ranges."""
    return any(low <= number <= high for low, high in ranges)


def quote(text: str | None) -> bytes:
    """A string as IMAP writes it: NIL, quoted, or a literal; each of its characters is a byte (Latin-1)."""
    if text is None:
        return b"NIL"
    raw = text.encode("latin-1", "replace")
    if len(raw) < 1000 and all(32 <= byte < 127 for byte in raw):
        return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return as_literal(raw)


def as_literal(raw: bytes) -> bytes:
    """Bytes as a literal."""
    return b"{%d}\r\n" % len(raw) + raw

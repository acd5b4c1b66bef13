"""IMAP's words: folder names in modified UTF-7 (RFC 3501, 5.1.3), and the answers to LIST and STATUS."""

import base64
import binascii
import re
from dataclasses import dataclass

from msoauth.errors import InputError
from msoauth.texts import _

_LIST = re.compile(
    rb'\* LIST \((?P<flags>[^)]*)\) (?P<separator>NIL|"(?:[^"\\]|\\.)*") (?P<name>.+)$',
    re.IGNORECASE,
)
_STATUS = re.compile(rb"\* STATUS .*\((?P<items>[^()]*)\)\s*$", re.IGNORECASE)
_ESCAPED = re.compile(rb"\\(.)")
_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")
_BEYOND = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder: its name in plain text, what separates the levels in it, and its flags in lower case."""

    name: str
    separator: str
    flags: frozenset[str]

    @property
    def holds_mail(self) -> bool:
        """Whether it can be opened."""
        return not self.flags & {"\\noselect", "\\nonexistent"}


def folder_of(line: bytes) -> Folder | None:
    """The folder that a line of LIST's answer tells of; None for any other line."""
    match = _LIST.match(line)
    if match is None:
        return None
    separator = b"" if match["separator"].upper() == b"NIL" else _unquoted(match["separator"])
    return Folder(
        decoded(_unquoted(match["name"].strip()).decode("utf-8", "replace")),
        separator.decode("ascii", "replace"),
        frozenset(match["flags"].decode("ascii", "replace").lower().split()),
    )


def status_of(line: bytes) -> dict[str, int]:
    """The numbers that a line of STATUS's answer tells."""
    match = _STATUS.match(line)
    words = match["items"].split() if match else []
    return {
        key.decode("ascii", "replace").upper(): int(value)
        for key, value in zip(words[::2], words[1::2], strict=False)
        if value.isdigit()
    }


def _unquoted(text: bytes) -> bytes:
    if len(text) >= 2 and text.startswith(b'"') and text.endswith(b'"'):
        return _ESCAPED.sub(rb"\1", text[1:-1])
    return text


def quoted(name: str) -> str:
    """A folder's name as it stands in a command.

    Raises:
        InputError: it holds control characters.
    """
    if not name or any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise InputError(_("A folder's name must not be empty or hold control characters."))
    return '"' + encoded(name).replace("\\", "\\\\").replace('"', '\\"') + '"'


def encoded(name: str) -> str:
    """A name in modified UTF-7."""
    plain = name.replace("&", "&-")
    return _BEYOND.sub(lambda m: f"&{_shifted(m[0])}-", plain)


def _shifted(text: str) -> str:
    raw = text.encode("utf-16-be", "surrogatepass")
    return base64.b64encode(raw).decode().rstrip("=").replace("/", ",")


def decoded(name: str) -> str:
    """A name out of modified UTF-7; what is none stays as it is."""
    return _SHIFTED.sub(_plain, name)


def _plain(match: re.Match[str]) -> str:
    if not match[1]:
        return "&"
    text = match[1].replace(",", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4)).decode("utf-16-be")
    except (binascii.Error, ValueError):
        return match[0]

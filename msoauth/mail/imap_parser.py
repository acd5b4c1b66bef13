"""Parsing IMAP: folder names in modified UTF-7 (RFC 3501, 5.1.3), and the responses to LIST and STATUS."""

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
_UTF7_RUN = re.compile(r"&([A-Za-z0-9+,]*)-")
_NOT_ASCII = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder: its name, the separator between levels (``/``), and its flags in lower case (``\\noselect``)."""

    name: str
    separator: str
    flags: frozenset[str]

    @property
    def holds_mail(self) -> bool:
        """Whether the folder can be opened."""
        return not self.flags & {"\\noselect", "\\nonexistent"}


def parse_list(line: bytes) -> Folder | None:
    """The folder in a response to LIST; None for any other line.

    Example: ``* LIST (\\HasNoChildren) "/" "Entw&APw-rfe"`` gives the folder ``Entwürfe``.
    """
    match = _LIST.match(line)
    if match is None:
        return None
    separator = b"" if match["separator"].upper() == b"NIL" else _unquote(match["separator"])
    return Folder(
        decode_utf7(_unquote(match["name"].strip()).decode("utf-8", "replace")),
        separator.decode("ascii", "replace"),
        frozenset(match["flags"].decode("ascii", "replace").lower().split()),
    )


def parse_status(line: bytes) -> dict[str, int]:
    """The numbers in a response to STATUS; empty for any other line.

    Example: ``* STATUS "INBOX" (MESSAGES 3 UNSEEN 1)`` gives ``{"MESSAGES": 3, "UNSEEN": 1}``.
    """
    match = _STATUS.match(line)
    words = match["items"].split() if match else []
    return {
        key.decode("ascii", "replace").upper(): int(value)
        for key, value in zip(words[::2], words[1::2], strict=False)
        if value.isdigit()
    }


def _unquote(text: bytes) -> bytes:
    if len(text) >= 2 and text.startswith(b'"') and text.endswith(b'"'):
        return _ESCAPED.sub(rb"\1", text[1:-1])
    return text


def quote_folder(name: str) -> str:
    """A folder's name as a quoted string for a command.

    Raises:
        InputError: it holds control characters.
    """
    if not name or any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise InputError(_("A folder's name must not be empty or hold control characters."))
    return '"' + encode_utf7(name).replace("\\", "\\\\").replace('"', '\\"') + '"'


def encode_utf7(name: str) -> str:
    """A folder's name in modified UTF-7."""
    plain = name.replace("&", "&-")
    return _NOT_ASCII.sub(lambda m: f"&{_encode_run(m[0])}-", plain)


def _encode_run(text: str) -> str:
    raw = text.encode("utf-16-be", "surrogatepass")
    return base64.b64encode(raw).decode().rstrip("=").replace("/", ",")


def decode_utf7(name: str) -> str:
    """A folder's name from modified UTF-7; runs that are not valid stay as they are."""
    return _UTF7_RUN.sub(_decode_run, name)


def _decode_run(match: re.Match[str]) -> str:
    if not match[1]:
        return "&"
    text = match[1].replace(",", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4)).decode("utf-16-be")
    except (binascii.Error, ValueError):
        return match[0]

"""Decode header fields into text, dates and file names, even where mail breaks the standards; nothing here raises.

Decodes RFC 2047 encoded words, RFC 2231 parameters and unlabelled bytes.
"""

import base64
import binascii
import email.message
import email.utils
import quopri
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

from msoauth.mail.structure import scan
from msoauth.sanitize import visible

_TEXT_LIMIT = 2000  # characters of a field that a table shows
_FIELD_LIMIT = 16 << 10  # bytes of a field
_NAME_LIMIT = 4 << 10  # bytes of a field that gives a file its name

_ENCODED_WORD = re.compile(
    r"=\?([^?\s]{1,40})\?([bBqQ])\?(.{0,4000}?)\?=(?:(\s+)(?==\?[^?\s]{1,40}\?[bBqQ]\?))?",
    re.DOTALL,
)
# Mail labelled with these charsets often holds characters of a superset, which every mail program decodes.
_SUPERSETS = {
    "us-ascii": "windows-1252",
    "ascii": "windows-1252",
    "iso-8859-1": "windows-1252",
    "latin1": "windows-1252",
    "latin-1": "windows-1252",
    "iso-8859-9": "windows-1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "ks_c_5601-1987": "cp949",
    "iso-8859-8-i": "iso-8859-8",
    "utf8mb4": "utf-8",
    "unicode-1-1-utf-7": "utf-7",
}
# Python's codecs that no mail is encoded with, or that depend on this computer.
_UNSAFE_CODECS = {
    "idna",
    "punycode",
    "unicode_escape",
    "raw_unicode_escape",
    "undefined",
    "mbcs",
    "oem",
}
_PLAUSIBLE_YEARS = range(1970, 2100)
_EXTENDED = re.compile(
    rb"\b(?:file)?name\*(?:0\*)?[ \t]*=[ \t]*\"?([\w-]*)'[\w-]*'([^\s\";]{1,2000})", re.IGNORECASE
)
_PLAIN = re.compile(
    rb"\b(?:file)?name[ \t]*=[ \t]*(?:\"([^\"\r\n]{1,2000})|([^\s;\"]{1,2000}))", re.IGNORECASE
)


def decode_text(raw: bytes) -> str:
    """A field as one printable line of at most 2,000 characters.

    Example: ``=?utf-8?q?Gr=C3=BC=C3=9Fe?=`` gives ``Grüße``.
    """
    text = decode_unlabelled(raw[:_FIELD_LIMIT])
    if "=?" in text:
        text = _decode_words(text)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return visible(" ".join(text.split())[:_TEXT_LIMIT])


def decode_unlabelled(raw: bytes) -> str:
    """Text from bytes without a charset label: UTF-8 in most cases, else windows-1252."""
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        return _decode_charset(raw, "utf-8")


def _decode_words(text: str) -> str:
    """Decode the encoded words in *text*.

    Adjacent words of one charset are joined first, because some senders split a character between two.
    """
    pieces: list[str] = []
    charset, pending, end = "", b"", 0
    for match in _ENCODED_WORD.finditer(text):
        between = text[end : match.start()]
        word_charset = match[1].partition("*")[0].lower()
        if pending and (between or word_charset != charset):
            pieces.append(_decode_charset(pending, charset))
            pending = b""
        pieces.append(between)
        charset = word_charset
        pending += _decode_word(match[2], match[3])
        end = match.end()
    if pending:
        pieces.append(_decode_charset(pending, charset))
    return "".join(pieces) + text[end:]


def _decode_word(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    if encoding in "qQ":
        return quopri.decodestring(raw, header=True)
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", raw)
    if len(letters) % 4 == 1:  # a truncated word
        letters = letters[:-1]
    try:
        return base64.b64decode(letters + b"=" * (-len(letters) % 4))
    except (binascii.Error, ValueError):
        return raw


def _decode_charset(raw: bytes, charset: str) -> str:
    name = _SUPERSETS.get(charset, charset)
    for codec in (name, "utf-8", "windows-1252"):
        if codec.replace("-", "_") in _UNSAFE_CODECS:
            continue
        try:
            return raw.decode(codec)
        except (LookupError, ValueError):  # UnicodeDecodeError is a ValueError
            continue
    try:  # the right charset with a few wrong bytes
        return raw.decode(name, "replace")
    except (LookupError, ValueError):
        return raw.decode("latin-1")


def parse_date(raw: bytes) -> datetime | None:
    """The date of a Date field in UTC, or None when it cannot be parsed.

    A time without a zone is taken as UTC (also -0000, RFC 5322).
    """
    try:
        parsed = email.utils.parsedate_to_datetime(raw[:200].decode("ascii", "replace").strip())
        parsed = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None
    return parsed if parsed.year in _PLAUSIBLE_YEARS else None


def arrival_date(headers: bytes) -> datetime | None:
    """When a message arrived, in UTC: the date of its topmost Received field, else its own Date.

    Args:
        headers: The message's header, as retrieved.
    """
    fields = scan([headers]).fields
    return received_date(fields) or parse_date(fields.get(b"date", b""))


def received_date(fields: Mapping[bytes, bytes]) -> datetime | None:
    """The date after the last semicolon of the topmost Received field, which the receiving server wrote; in UTC."""
    return parse_date(fields.get(b"received", b"").rpartition(b";")[2])


def file_name(disposition: bytes, content_type: bytes) -> str:
    """An attachment's file name from its Content-Disposition, else its Content-Type; empty for none."""
    for field in (disposition[:_NAME_LIMIT], content_type[:_NAME_LIMIT]):
        if b"name" not in field.lower():
            continue
        name = _file_name_by_parser(field) or _file_name_by_pattern(field)
        if name:
            return name
    return ""


def _file_name_by_parser(field: bytes) -> str:
    message = email.message.Message()
    try:
        message["Content-Disposition"] = (
            decode_unlabelled(field).replace("\r", "").replace("\n", "").strip()
        )
        value = message.get_param("filename", None, "Content-Disposition")
        if value is None:
            value = message.get_param("name", None, "Content-Disposition")
        if isinstance(value, tuple):
            charset, _language, text = value
            return decode_text(
                _decode_charset(
                    str(text).encode("latin-1", "replace"), (charset or "utf-8").lower()
                ).encode()
            )
        return decode_text(str(value).encode("utf-8", "replace")) if value else ""
    except Exception:  # noqa: BLE001 - email has raised TypeError, KeyError, AssertionError and others here
        return ""


def _file_name_by_pattern(field: bytes) -> str:
    extended = _EXTENDED.search(field)
    if extended:
        charset = extended[1].decode("ascii", "replace").lower() or "utf-8"
        return decode_text(_decode_charset(unquote_to_bytes(extended[2]), charset).encode())
    plain = _PLAIN.search(field)
    return decode_text(plain[1] or plain[2]) if plain else ""

"""Header fields as people read them: RFC 2047 words, broken in the ways that real mail breaks them, and dates."""

import base64
import binascii
import email.message
import email.utils
import quopri
import re
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

SHOWN = 2000  # characters of a field that a table shows
_LOOKED_AT = 16 << 10  # bytes of a field
_NAME_LIMIT = 4 << 10  # bytes of a field that gives a file its name

_WORD = re.compile(
    r"=\?([^?\s]{1,40})\?([bBqQ])\?(.{0,4000}?)\?=(?:(\s+)(?==\?[^?\s]{1,40}\?[bBqQ]\?))?",
    re.DOTALL,
)
# What mail calls by these names is in truth the larger set, as every mail program has learned.
_LARGER = {
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
_NOT_FOR_TEXT = {
    "idna",
    "punycode",
    "unicode_escape",
    "raw_unicode_escape",
    "undefined",
    "mbcs",
    "oem",
}
_YEARS = range(1970, 2100)
_EXTENDED = re.compile(
    rb"\b(?:file)?name\*(?:0\*)?[ \t]*=[ \t]*\"?([\w-]*)'[\w-]*'([^\s\";]{1,2000})", re.IGNORECASE
)
_PLAIN = re.compile(
    rb"\b(?:file)?name[ \t]*=[ \t]*(?:\"([^\"\r\n]{1,2000})|([^\s;\"]{1,2000}))", re.IGNORECASE
)


def decoded(raw: bytes) -> str:
    """A field's text on one line, every word decoded as well as it can be; never raises."""
    text = guessed(raw[:_LOOKED_AT])
    if "=?" in text:
        text = _with_words(text)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())[:SHOWN]


def guessed(raw: bytes) -> str:
    """Bytes that say nothing of their charset: UTF-8 in most cases, else Windows' western set."""
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        return _in_charset(raw, "utf-8")


def _with_words(text: str) -> str:
    """Words that stand side by side in one charset are joined before they are decoded: some split a letter."""
    pieces: list[str] = []
    charset, pending, end = "", b"", 0
    for match in _WORD.finditer(text):
        between = text[end : match.start()]
        own = match[1].partition("*")[0].lower()
        if pending and (between or own != charset):
            pieces.append(_in_charset(pending, charset))
            pending = b""
        pieces.append(between)
        charset = own
        pending += _undone(match[2], match[3])
        end = match.end()
    if pending:
        pieces.append(_in_charset(pending, charset))
    return "".join(pieces) + text[end:]


def _undone(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    if encoding in "qQ":
        return quopri.decodestring(raw, header=True)
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", raw)
    if len(letters) % 4 == 1:  # cut in the middle
        letters = letters[:-1]
    try:
        return base64.b64decode(letters + b"=" * (-len(letters) % 4))
    except (binascii.Error, ValueError):
        return raw


def _in_charset(raw: bytes, charset: str) -> str:
    name = _LARGER.get(charset, charset)
    for codec in (name, "utf-8", "windows-1252"):
        if codec.replace("-", "_") in _NOT_FOR_TEXT:
            continue
        try:
            return raw.decode(codec)
        except (LookupError, ValueError):  # UnicodeDecodeError is a ValueError
            continue
    try:  # right but for a few bytes
        return raw.decode(name, "replace")
    except (LookupError, ValueError):
        return raw.decode("latin-1")


def moment(raw: bytes) -> datetime | None:
    """The moment that a date field names, in UTC; None for what makes no sense."""
    try:
        parsed = email.utils.parsedate_to_datetime(raw[:200].decode("ascii", "replace").strip())
        parsed = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None
    return parsed if parsed.year in _YEARS else None


def file_name(disposition: bytes, kind: bytes) -> str:
    """The file name that a part's Content-Disposition, or else its Content-Type, gives; empty for none."""
    for field in (disposition[:_NAME_LIMIT], kind[:_NAME_LIMIT]):
        if b"name" not in field.lower():
            continue
        name = _by_the_book(field) or _by_guess(field)
        if name:
            return name
    return ""


def _by_the_book(field: bytes) -> str:
    message = email.message.Message()
    try:
        message["Content-Disposition"] = guessed(field).replace("\r", "").replace("\n", "").strip()
        found = message.get_param("filename", None, "Content-Disposition")
        if found is None:
            found = message.get_param("name", None, "Content-Disposition")
        if isinstance(found, tuple):
            charset, _language, text = found
            return decoded(
                _in_charset(
                    str(text).encode("latin-1", "replace"), (charset or "utf-8").lower()
                ).encode()
            )
        return decoded(str(found).encode("utf-8", "replace")) if found else ""
    except Exception:  # noqa: BLE001 - email has raised TypeError, KeyError, AssertionError and others here
        return ""


def _by_guess(field: bytes) -> str:
    extended = _EXTENDED.search(field)
    if extended:
        charset = extended[1].decode("ascii", "replace").lower() or "utf-8"
        return decoded(_in_charset(unquote_to_bytes(extended[2]), charset).encode())
    plain = _PLAIN.search(field)
    return decoded(plain[1] or plain[2]) if plain else ""

"""What a table of mail shows of a message, decoded from whatever real mail throws at it; never raises."""

import email
import email.errors
import email.policy
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import decode_header
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from msoauth.texts import _

if TYPE_CHECKING:
    import pandas as pd

HEADER_LIMIT = 256 * 1024  # bytes of headers that are looked at
_FIELD_LIMIT = 2000  # characters of a field that a table shows
_PARTS_LIMIT = 1000
_ATTACHMENTS_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attachment: its file name, decoded, and its size in bytes (None when only headers were looked at)."""

    name: str
    size: int | None


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """A row of the table of messages; ``date`` is UTC or None when the mail names none that makes sense."""

    uidl: str
    date: datetime | None
    from_: str
    to: str
    subject: str
    size: int
    attachments: tuple[Attachment, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The row in the form of the contract."""
        return {
            "uidl": self.uidl,
            "date": self.date.isoformat() if self.date else None,
            "from": self.from_,
            "to": self.to,
            "subject": self.subject,
            "size": self.size,
            "attachments": [{"name": a.name, "size": a.size} for a in self.attachments],
        }


def summarize(uidl: str, raw: bytes, size: int | None = None) -> MessageSummary:
    """The row for a message of these bytes.

    Args:
        size: The message's size in bytes, where *raw* is only its headers.
    """
    try:
        message = email.message_from_bytes(raw, policy=email.policy.compat32)
        return MessageSummary(
            uidl=uidl,
            date=_date(message),
            from_=_field(message, "From"),
            to=_field(message, "To"),
            subject=_field(message, "Subject"),
            size=len(raw) if size is None else size,
            attachments=tuple(_attachments(message)) if size is None else (),
        )
    except Exception:  # noqa: BLE001 - email's parser has raised KeyError, AssertionError, RecursionError and others
        return MessageSummary(
            uidl,
            None,
            "",
            "",
            _("(a message that cannot be decoded)"),
            len(raw) if size is None else size,
        )


def decode(text: str) -> str:
    """A header's text with its RFC 2047 words decoded, broken ones left as they are, on one line."""
    text = text[: _FIELD_LIMIT * 4]
    try:
        pieces = decode_header(text)
    except (email.errors.HeaderParseError, ValueError, AssertionError):
        pieces = [(text, None)]
    decoded = "".join(_piece(piece, charset) for piece, charset in pieces)
    cleaned = "".join(c if c.isprintable() else " " for c in decoded)
    return " ".join(cleaned.split())[:_FIELD_LIMIT]


def _piece(piece: bytes | str, charset: str | None) -> str:
    if isinstance(piece, str):
        return _unescaped(piece)
    for codec in (charset, "utf-8", "windows-1252"):
        try:
            return piece.decode(codec or "ascii")
        except (LookupError, UnicodeDecodeError, ValueError):
            continue
    return piece.decode("latin-1")


def _unescaped(text: str) -> str:
    """Bytes over 127 in a header come as surrogates: UTF-8 in most cases, else Windows' western set."""
    if text.isascii():
        return text
    raw = (
        text.encode("ascii", "surrogateescape")
        if any("\udc80" <= c <= "\udcff" for c in text)
        else None
    )
    return text if raw is None else _piece(raw, "utf-8")


def _field(message: "Message[str, str]", name: str) -> str:
    # The raw text: as an object, a header with bytes over 127 has lost them.
    wanted = name.lower()
    raw = (str(value) for field, value in message.raw_items() if field.lower() == wanted)
    return decode(next(raw, ""))


_YEARS = range(1970, 2100)


def _date(message: "Message[str, str]") -> datetime | None:
    try:
        moment = parsedate_to_datetime(str(message.get("Date", "")))
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.year in _YEARS else None


def _attachments(message: "Message[str, str]") -> Iterable[Attachment]:
    found = 0
    for number, part in enumerate(message.walk()):
        if number >= _PARTS_LIMIT or found >= _ATTACHMENTS_LIMIT:
            return
        if part.is_multipart():
            continue
        name = part.get_filename()
        if name is None and part.get_content_disposition() != "attachment":
            continue
        found += 1
        yield Attachment(decode(str(name)) if name else _("(without a name)"), _decoded_size(part))


def _decoded_size(part: "Message[str, str]") -> int:
    payload = part.get_payload()
    text = payload if isinstance(payload, str) else ""
    if str(part.get("Content-Transfer-Encoding", "")).strip().lower() == "base64":
        letters = len(re.sub(r"[\s=]", "", text))
        return letters * 3 // 4
    return len(text.encode("utf-8", "surrogateescape"))


def frame(messages: Iterable[MessageSummary]) -> "pd.DataFrame":
    """Messages as a typed DataFrame: ``date`` in UTC, ``size`` a whole number, ``attachments`` as text."""
    import pandas as pd  # half a second to load: only for those who want a table

    rows = [
        {
            "date": message.date,
            "from": message.from_,
            "to": message.to,
            "subject": message.subject,
            "size": message.size,
            "attachments": ", ".join(
                a.name if a.size is None else f"{a.name} ({a.size:,} bytes)"
                for a in message.attachments
            ),
            "uidl": message.uidl,
        }
        for message in messages
    ]
    table = pd.DataFrame(
        rows, columns=["date", "from", "to", "subject", "size", "attachments", "uidl"]
    )
    table["date"] = pd.to_datetime(table["date"], utc=True)
    table["size"] = table["size"].astype("int64")
    return table

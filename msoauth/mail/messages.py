"""Message summaries: date, addresses, subject, size and attachments of any message, however malformed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msoauth.mail import headers
from msoauth.mail.structure import Part, Scanner
from msoauth.texts import _, ngettext

if TYPE_CHECKING:
    import pandas as pd

_ATTACHMENTS_LIMIT = 200  # attachments listed by name; more are only counted
_MAILS = (b"message/rfc822", b"message/global")
# Types of the text itself, and of what programs add for programs.
_NO_ATTACHMENTS = frozenset({
    *(b"text/plain", b"text/html", b"text/enriched", b"text/richtext", b"text/calendar", b"text/rfc822-headers"),
    *(b"text/x-amp-html", b"text/watch-html", b"application/pgp-encrypted", b"application/pgp-signature"),
    *(b"application/pkcs7-signature", b"application/x-pkcs7-signature"),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attachment: its decoded file name, and its size in bytes (None when a stored row does not state it)."""

    name: str
    size: int | None


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """What a table of messages shows of one message.

    Attributes:
        uidl: Its unique id: POP3's UIDL, or ``UIDVALIDITY-UID`` for IMAP.
        date: In UTC, from the Date field; if that cannot be parsed, from the Received field, else None.
        size: In bytes.
        attachments: The first 200; empty when only the headers were retrieved.
        more_attachments: How many more there are.
    """

    uidl: str
    date: datetime | None
    from_: str
    to: str
    subject: str
    size: int
    attachments: tuple[Attachment, ...] = ()
    more_attachments: int = 0

    def as_json(self) -> dict[str, Any]:
        """The row as JSON: ``uidl``, ``date``, ``from``, ``to``, ``subject``, ``size``, ``attachments``,
        and ``more_attachments`` if there are any.
        """
        row: dict[str, Any] = {
            "uidl": self.uidl,
            "date": self.date.isoformat() if self.date else None,
            "from": self.from_,
            "to": self.to,
            "subject": self.subject,
            "size": self.size,
            "attachments": [{"name": a.name, "size": a.size} for a in self.attachments],
        }
        if self.more_attachments:
            row["more_attachments"] = self.more_attachments
        return row

    def attachments_text(self) -> str:
        """The attachments as text for people: ``contract.pdf (26,112 bytes)``."""
        listed = ", ".join(
            a.name
            if a.size is None
            else _("{name} ({size} bytes)").format(name=a.name, size=f"{a.size:,}")
            for a in self.attachments
        )
        if not self.more_attachments:
            return listed
        # English has one form for both; German inflects "more".
        return ngettext("{told} and {n} more", "{told} and {n} more", self.more_attachments).format(
            told=listed, n=f"{self.more_attachments:,}"
        )


def from_json(row: Mapping[str, Any]) -> MessageSummary:
    """The summary from the JSON that :meth:`MessageSummary.as_json` returns.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it is not valid.
    """
    date = row["date"]
    return MessageSummary(
        str(row["uidl"]),
        datetime.fromisoformat(date) if date else None,
        str(row["from"]),
        str(row["to"]),
        str(row["subject"]),
        int(row["size"]),
        tuple(
            Attachment(str(a["name"]), None if a["size"] is None else int(a["size"]))
            for a in row["attachments"]
        ),
        int(row.get("more_attachments", 0)),
    )


def summary_of(uidl: str, scanned: Scanner, server_size: int | None = None) -> MessageSummary:
    """The summary of a scanned message.

    Args:
        scanned: The whole message, or only its headers.
        server_size: For headers only, the message's size in bytes as the server states it; attachments are not
            known then. None for a whole message.
    """
    fields = scanned.fields
    attachments, more = _attachments(scanned.parts) if server_size is None else ((), 0)
    return MessageSummary(
        uidl=uidl,
        date=headers.parse_date(fields.get(b"date", b"")) or headers.received_date(fields),
        from_=headers.decode_text(fields.get(b"from", b"")),
        to=headers.decode_text(fields.get(b"to", b"")),
        subject=headers.decode_text(fields.get(b"subject", b"")),
        size=scanned.size if server_size is None else server_size,
        attachments=attachments,
        more_attachments=more,
    )


def _attachments(parts: Iterable[Part]) -> tuple[tuple[Attachment, ...], int]:
    """Attachments, attached mails, and other parts with a file name; the first 200, and how many more there are."""
    attachments: list[Attachment] = []
    more = 0
    for part in parts:
        disposition = part.fields.get(b"content-disposition", b"")
        content_type = part.fields.get(b"content-type", b"")
        is_attachment = _is_attachment(part, disposition)
        # Before names are decoded, which costs much; past the limit this is all that is looked at.
        if (
            not is_attachment
            and b"name" not in disposition.lower()
            and b"name" not in content_type.lower()
        ):
            continue
        if len(attachments) >= _ATTACHMENTS_LIMIT:
            more += 1
            continue
        name = headers.file_name(disposition, content_type)
        if not (name or is_attachment):
            continue
        is_mail = part.media_type in _MAILS
        placeholder = _("(an attached mail)") if is_mail else _("(without a name)")
        attachments.append(Attachment(name or placeholder, part.decoded_size()))
    return tuple(attachments), more


def _is_attachment(part: Part, disposition: bytes) -> bool:
    """Whether a part is an attachment even without a file name: by its disposition, or by its type where it has none."""
    kind, media_type = disposition.partition(b";")[0].strip().lower(), part.media_type
    if media_type in _MAILS or kind == b"attachment":
        return True
    if kind or b"content-id" in part.fields:  # shown in the text
        return False
    return media_type not in _NO_ATTACHMENTS and not media_type.startswith(
        (b"message/", b"multipart/")
    )


def frame(messages: Iterable[MessageSummary]) -> "pd.DataFrame":
    """Messages as a typed DataFrame: ``date`` in UTC, ``size`` an integer, ``attachments`` as text."""
    import pandas as pd  # imported lazily: takes half a second

    rows = [
        {
            "date": message.date,
            "from": message.from_,
            "to": message.to,
            "subject": message.subject,
            "size": message.size,
            "attachments": message.attachments_text(),
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

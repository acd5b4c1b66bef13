"""Message summaries: date, addresses, subject, size and attachments of any message, however malformed."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, cast

from msoauth.mail import headers
from msoauth.mail.structure import Part, Scanner, scan
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


Status = Literal["retrieved", "already", "missing", "refused", "placeholder"]
UNDELIVERED: tuple[Status, ...] = ("missing", "refused", "placeholder")

# How Exchange's notices in a mail's place begin (OfflineIMAP/offlineimap#62, freescout#3203), and what the attachment is
# called that stands for those that Safe Attachments is still scanning (msgraph-sdk-dotnet#2416; "ATP" until 2020).
_CONVERSION_FAILED = re.compile(
    r"retrieval using the (?:IMAP4?|POP3?) protocol failed for the following message", re.IGNORECASE
)
_SCANNING = re.compile(
    r"(?:safe attachments|atp) scan in progress(?:\.(?:eml|txt|html?))?", re.IGNORECASE
)
# The notice in other languages has the same sender (from memory), and is no mail that travelled.
_EXCHANGE = "microsoft exchange server"


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
        status: Whether it was retrieved, was stored already, is listed and not handed over (``missing`` for silence,
            ``refused``), or is a notice that Exchange put in its place (``placeholder``).
        reply: What was asked for a message that was not handed over, and the server's own words.
    """

    uidl: str
    date: datetime | None
    from_: str
    to: str
    subject: str
    size: int
    attachments: tuple[Attachment, ...] = ()
    more_attachments: int = 0
    status: Status = "retrieved"
    reply: str = ""

    def as_json(self) -> dict[str, Any]:
        """The row as JSON: ``uidl``, ``date``, ``from``, ``to``, ``subject``, ``size``, ``attachments``,
        ``status``, and ``more_attachments`` and ``reply`` if there are any.
        """
        row: dict[str, Any] = {
            "uidl": self.uidl,
            "date": self.date.isoformat() if self.date else None,
            "from": self.from_,
            "to": self.to,
            "subject": self.subject,
            "size": self.size,
            "attachments": [{"name": a.name, "size": a.size} for a in self.attachments],
            "status": self.status,
        }
        if self.more_attachments:
            row["more_attachments"] = self.more_attachments
        if self.reply:
            row["reply"] = self.reply
        return row

    def line(self) -> str:
        """The message on one line, for a list of those that were not retrieved: what is known of it, and its unique id."""
        date = f"{self.date:%Y-%m-%d %H:%M}" if self.date else ""
        subject = _("“{name}”").format(name=self.subject) if self.subject else ""
        known = ", ".join(filter(None, (date, self.from_, subject)))
        named = f"{known} ({self.uidl})" if known else self.uidl
        return f"{status_label(self.status)}: {named}" + (f": {self.reply}" if self.reply else "")

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


def status_label(status: Status) -> str:
    """A status for people."""
    return {
        "retrieved": _("retrieved"),
        "already": _("there already"),
        "missing": _("missing"),
        "refused": _("refused"),
        "placeholder": _("only a notice"),
    }[status]


def outcome(counts: Mapping[Status, int]) -> str:
    """How many messages a retrieval got, and how many it did not, in one clause."""
    # English has one form for both; German inflects some.
    texts = {
        "already": ngettext("{n} there already", "{n} there already", counts.get("already", 0)),
        "missing": ngettext("{n} missing", "{n} missing", counts.get("missing", 0)),
        "refused": ngettext("{n} refused", "{n} refused", counts.get("refused", 0)),
        "placeholder": ngettext(
            "{n} with only a notice in its place",
            "{n} with only a notice in their place",
            counts.get("placeholder", 0),
        ),
    }
    count = counts.get("retrieved", 0)
    clause = ngettext("{n} message retrieved", "{n} messages retrieved", count).format(n=count)
    for status, text in texts.items():
        if number := counts.get(cast("Status", status), 0):
            clause += ", " + text.format(n=number)
    return clause


def from_json(row: Mapping[str, Any]) -> MessageSummary:
    """The summary of a stored message from the JSON that :meth:`MessageSummary.as_json` returned.

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
        status="already",
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
    row = MessageSummary(
        uidl=uidl,
        date=headers.parse_date(fields.get(b"date", b"")) or headers.received_date(fields),
        from_=headers.decode_text(fields.get(b"from", b"")),
        to=headers.decode_text(fields.get(b"to", b"")),
        subject=headers.decode_text(fields.get(b"subject", b"")),
        size=scanned.size if server_size is None else server_size,
        attachments=attachments,
        more_attachments=more,
    )
    return replace(row, status="placeholder") if _is_placeholder(row, scanned) else row


def _is_placeholder(row: MessageSummary, scanned: Scanner) -> bool:
    """Whether a message is Exchange's notice in the place of a mail, or of its attachments."""
    has_travelled = b"received" in scanned.fields
    is_from_exchange = row.from_.lstrip('"').lower().startswith(_EXCHANGE)
    if _CONVERSION_FAILED.match(row.subject) and (is_from_exchange or not has_travelled):
        return True
    if is_from_exchange and not has_travelled and b"message-id" not in scanned.fields:
        return True
    names = [attachment.name for attachment in row.attachments]
    names += [_inner_subject(part.head) for part in scanned.parts if part.head]
    return any(_SCANNING.fullmatch(name.strip()) for name in names)


def _inner_subject(head: bytes) -> str:
    return headers.decode_text(scan([head]).fields.get(b"subject", b""))


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
            "status": message.status,
        }
        for message in messages
    ]
    table = pd.DataFrame(
        rows, columns=["date", "from", "to", "subject", "size", "attachments", "uidl", "status"]
    )
    table["date"] = pd.to_datetime(table["date"], utc=True)
    table["size"] = table["size"].astype("int64")
    return table

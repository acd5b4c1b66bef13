"""When the newest mail of a mailbox came: a mailbox that nothing comes into any more is worth a look."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from msoauth.mail.imap import ImapSession
from msoauth.mail.pop3 import Pop3Session


def newest(session: Pop3Session | ImapSession) -> datetime | None:
    """When the newest message came, UTC; None when there is none, or it does not say.

    Raises:
        MailError: the conversation broke.
    """
    if isinstance(session, ImapSession):
        return session.newest()
    if not session.count:
        return None
    for _number, pieces in session.top([session.count]):
        return came(b"".join(pieces))
    return None


# The two fields that are wanted, with the lines that continue them; a parser of mail takes ten times as long.
_RECEIVED = re.compile(rb"^received:(.*(?:\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE)
_DATE = re.compile(rb"^date:(.*(?:\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE)


def came(headers: bytes) -> datetime | None:
    """When a message came: what the last server on its way wrote, else its own date."""
    head = headers.replace(b"\r", b"").partition(b"\n\n")[0]
    received, dated = _RECEIVED.search(head), _DATE.search(head)
    texts = [received[1].rpartition(b";")[2]] if received else []
    texts += [dated[1]] if dated else []
    for text in texts:
        try:
            moment = parsedate_to_datetime(" ".join(text.decode("latin-1").split()))
        except (ValueError, TypeError, IndexError):
            continue
        # A time without a zone is what RFC 5322 writes as -0000.
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return None

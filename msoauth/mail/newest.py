"""When the newest mail of a mailbox came: a mailbox that nothing comes into any more is worth a look."""

import email
import email.policy
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


def came(headers: bytes) -> datetime | None:
    """When a message came: what the last server on its way wrote, else its own date."""
    message = email.message_from_bytes(headers, policy=email.policy.compat32)
    received = [str(line).rpartition(";")[2] for line in message.get_all("Received", ())[:1]]
    for text in (*received, str(message.get("Date", ""))):
        try:
            moment = parsedate_to_datetime(text.strip())
        except (ValueError, TypeError, IndexError):
            continue
        # A time without a zone is what RFC 5322 writes as -0000.
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return None

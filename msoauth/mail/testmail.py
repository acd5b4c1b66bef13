"""The test mail, and the wait until it arrives."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from msoauth.errors import InputError, MailError
from msoauth.mail.imap import ImapSession
from msoauth.mail.pop3 import Pop3Session
from msoauth.texts import _

ARRIVAL_LIMIT = 180.0  # seconds; Exchange delivers to itself in a few
_NEWEST = 25  # messages looked at in each round: ours is new
_SUBJECT_LIMIT = 500


def compose_test_mail(sender: str, recipient: str, subject: str) -> EmailMessage:
    """A mail with a unique Message-ID, a text and an HTML part, and umlauts in both.

    Raises:
        InputError: sender or recipient is not an address.
    """
    domain = sender.rpartition("@")[2]
    message = EmailMessage()
    message["From"] = _address(sender)
    message["To"] = _address(recipient)
    message["Subject"] = " ".join(subject.split())[:_SUBJECT_LIMIT]
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain=domain if domain.isascii() else "localhost")
    message["Auto-Submitted"] = (
        "auto-generated"  # so that no out-of-office reply comes back (RFC 3834)
    )
    text = _("This is a test mail from msoauth. If you can read it, sending works: ä ö ü ß €.")
    message.set_content(text + "\n")
    message.add_alternative(
        f"<!DOCTYPE html><html><body><p>{text}</p></body></html>\n", subtype="html"
    )
    return message


def _address(text: str) -> Address:
    try:
        return Address(addr_spec=text)
    except (ValueError, IndexError):
        raise InputError(
            _("“{text}” is not an address.").format(
                text="".join(c for c in text[:80] if c.isprintable())
            ),
            field="to",
        ) from None


def wait_for_arrival(
    open_box: Callable[[], Pop3Session | ImapSession],
    message_id: str,
    *,
    cancelled: threading.Event,
    limit: float = ARRIVAL_LIMIT,
    progress: Callable[[float], None] = lambda _seconds: None,
) -> float:
    """Look into the mailbox, with growing pauses, until the mail of that Message-ID is there.

    Args:
        open_box: Opens a session; a POP3 session shows only what was there when it began.
        cancelled: Ends the wait.
        limit: Seconds to wait at most.
        progress: Told the seconds waited so far, before each look.

    Returns:
        Seconds until it was seen.

    Raises:
        MailError: it did not arrive in time, the wait was cancelled, or a look failed.
    """
    start = time.monotonic()
    pause = 0.2
    while True:
        waited = time.monotonic() - start
        progress(waited)
        with open_box() as session:
            if _holds(session, message_id):
                return time.monotonic() - start
        if waited >= limit:
            raise MailError(
                _(
                    "The test mail was accepted but did not arrive within {seconds:.0f} seconds."
                ).format(seconds=limit),
                stage="work",
                retriable=True,
            )
        if cancelled.wait(pause):
            raise MailError(
                _("The wait for the test mail was cancelled."), stage="work", retriable=True
            )
        pause = min(pause * 1.6, 15.0)


def _holds(session: Pop3Session | ImapSession, message_id: str) -> bool:
    wanted = message_id.strip().encode()
    if isinstance(session, ImapSession):
        bodies = session.retrieve(
            sorted(session.sizes(), reverse=True)[:_NEWEST], headers_only=True
        )
    else:
        bodies = session.top(list(range(session.count, max(0, session.count - _NEWEST), -1)))
    found = False
    for _handle, pieces in bodies:
        found = found or wanted in b"".join(pieces)
    return found

"""The test mail: composing it, sending it, and waiting until it arrives in a mailbox."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from msoauth.errors import InputError, MailError
from msoauth.mail.imap import ImapSession
from msoauth.mail.pop3 import Pop3Session
from msoauth.mail.retry import RetryPolicy
from msoauth.mail.smtp import SmtpSession, envelope
from msoauth.mail.structure import scan
from msoauth.texts import _

ARRIVAL_LIMIT = 180.0  # seconds; Exchange delivers to itself in a few
_LATEST = 25  # messages looked at each time
_SUBJECT_LIMIT = 500
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 15.0
_ID_FIELDS = (b"message-id", b"x-microsoft-original-message-id")
_TICK = 0.5  # seconds between two calls of progress


def compose_test_mail(sender: str, recipient: str, subject: str) -> EmailMessage:
    """A mail with a unique Message-ID, and a text and an HTML part with umlauts in both.

    Raises:
        InputError: sender or recipient is not an address.
    """
    domain = sender.rpartition("@")[2]
    message = EmailMessage()
    message["From"] = _address(sender, "from")
    message["To"] = _address(recipient, "to")
    printable = "".join(c if c.isprintable() else " " for c in subject)
    message["Subject"] = " ".join(printable.split())[:_SUBJECT_LIMIT]
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


def _address(text: str, field: str) -> Address:
    try:
        local, _at, domain = envelope(text).rpartition("@")
        return Address(username=local, domain=domain)
    except InputError as bad:
        raise InputError(bad.summary, field=field) from None
    except (ValueError, IndexError):
        raise InputError(
            _("“{address}” is not an address.").format(address=text[:80]), field=field
        ) from None


def send_with_retries(
    open_sender: Callable[[], SmtpSession],
    message: EmailMessage,
    sender: str,
    recipients: Sequence[str],
    policy: RetryPolicy,
) -> str:
    """Send a mail once; while the server is busy and has not accepted it, wait and try again.

    Returns:
        The server's closing reply.

    Raises:
        MailError: it was refused, or the server stayed busy. After a connection that broke when the mail may
            already have been accepted, nothing is sent again.
        InputError: an address cannot be sent to.
    """
    while True:
        try:
            with open_sender() as session:
                return session.send(message, sender, recipients)
        except MailError as failure:
            policy.wait_after(failure)


def wait_for_arrival(
    open_box: Callable[[], Pop3Session | ImapSession],
    message_id: str,
    *,
    cancelled: threading.Event,
    limit: float = ARRIVAL_LIMIT,
    progress: Callable[[float], None] = lambda _seconds: None,
) -> float:
    """Look into the mailbox, with growing pauses, until a mail with that Message-ID is there.

    Args:
        open_box: Opens a session; a POP3 session shows only what was there when it began.
        cancelled: Ends the wait.
        limit: Seconds to wait at most.
        progress: Called with the seconds waited so far, twice a second.

    Returns:
        Seconds until it was seen.

    Raises:
        MailError: it did not arrive in time, the wait was cancelled, or the mailbox cannot be read.
    """
    start = time.monotonic()
    pause = _FIRST_PAUSE
    while True:
        progress(time.monotonic() - start)
        retry_after = 0.0
        try:
            with open_box() as session:
                if _holds(session, message_id):
                    return time.monotonic() - start
        except MailError as failure:
            if not failure.retriable or time.monotonic() - start >= limit:
                raise
            retry_after = failure.retry_after or 0.0
        waited = time.monotonic() - start
        if waited >= limit:
            raise MailError(
                _(
                    "The test mail was accepted but did not arrive within {seconds:.0f} seconds."
                ).format(seconds=limit),
                stage="work",
                retriable=True,
            )
        until = min(time.monotonic() + max(pause, retry_after), start + limit)
        while (left := until - time.monotonic()) > 0:
            if cancelled.wait(min(left, _TICK)):
                raise MailError(_("The wait for the test mail was cancelled."), stage="work")
            progress(time.monotonic() - start)
        pause = min(pause * 1.6, _LONGEST_PAUSE)


def _holds(session: Pop3Session | ImapSession, message_id: str) -> bool:
    wanted = message_id.strip().encode()
    handles = session.sizes() if isinstance(session, ImapSession) else range(1, session.count + 1)
    latest = sorted(handles, reverse=True)[:_LATEST]
    found = False
    for _handle, pieces in session.retrieve(latest, headers_only=True):
        seen = scan(pieces)
        # Outlook.com replaces the Message-ID and keeps ours in another field (facts E6).
        ids = (seen.fields.get(name, b"") for name in _ID_FIELDS)
        found = found or any(wanted in field for field in ids)
    return found

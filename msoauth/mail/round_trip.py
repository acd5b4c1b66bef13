"""The test mail: compose it, send it, and wait until it arrives in a mailbox."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from msoauth import waiting
from msoauth.errors import InputError, MailError, Stage
from msoauth.mail.imap import ImapSession
from msoauth.mail.pop3 import Pop3Session
from msoauth.mail.retry import RetryPolicy
from msoauth.mail.smtp import SmtpSession, envelope
from msoauth.mail.structure import scan
from msoauth.redact import redact
from msoauth.texts import _

ARRIVAL_TIMEOUT = 180.0  # seconds; Exchange delivers to itself in a few
_NEWEST_COUNT = 25  # messages whose headers each poll reads; a mail that more than these follow at once is missed
_SUBJECT_LIMIT = 500
_FIRST_POLL_INTERVAL, _LONGEST_POLL_INTERVAL = 0.2, 15.0  # seconds
_ID_FIELDS = (b"message-id", b"x-microsoft-original-message-id")


def compose_test_mail(sender: str, recipient: str, subject: str) -> EmailMessage:
    """A test mail with a unique Message-ID, and a plain and an HTML part.

    Both contain umlauts, so that the reader sees whether the encoding survived.

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
    # Keeps out-of-office replies from coming back (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
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
    except InputError as error:
        raise InputError(error.summary, field=field) from None
    except (ValueError, IndexError):
        raise InputError(
            _("“{address}” is not an address.").format(address=redact(text, 80)), field=field
        ) from None


def send_with_retries(
    open_smtp: Callable[[], SmtpSession],
    message: EmailMessage,
    sender: str,
    recipients: Sequence[str],
    policy: RetryPolicy,
) -> str:
    """Send a mail at most once; while the server is busy and has not accepted it, wait and try again.

    Returns:
        The server's closing reply.

    Raises:
        MailError: the mail was refused, or the server stayed busy, or the connection broke when the mail may already
            have been accepted.
        InputError: an address cannot be sent to.
    """
    while True:
        try:
            with open_smtp() as session:
                return session.send(message, sender, recipients)
        except MailError as failure:
            policy.wait_or_raise(failure)


def wait_for_arrival(
    open_mailbox: Callable[[], Pop3Session | ImapSession],
    message_id: str,
    *,
    cancelled: threading.Event,
    limit: float = ARRIVAL_TIMEOUT,
    progress: Callable[[float], None] = lambda _seconds: None,
) -> float:
    """Poll the mailbox, with exponential back-off, until a mail with that Message-ID is there.

    Args:
        open_mailbox: Opens a session, for each poll: a POP3 session lists only what was there when it began.
        cancelled: Ends the wait.
        limit: Seconds after which no further poll begins.
        progress: Called with the seconds waited so far, about twice a second between two polls.

    Returns:
        Seconds until the mail was found.

    Raises:
        MailError: it did not arrive in time, the wait was cancelled, or the mailbox cannot be read.
    """
    start = time.monotonic()
    pause = _FIRST_POLL_INTERVAL
    while True:
        progress(time.monotonic() - start)
        retry_after = 0.0
        try:
            with open_mailbox() as session:
                if _contains_message(session, message_id):
                    return time.monotonic() - start
        except MailError as failure:
            if not failure.retriable or time.monotonic() - start >= limit:
                raise
            retry_after = failure.retry_after or 0.0
        waited = time.monotonic() - start
        if waited >= limit:
            raise MailError(
                _(
                    "The test mail was accepted, but was not in the inbox after {seconds:.0f} seconds."
                ).format(seconds=limit),
                stage=Stage.WORK,
                cause="mail-not-arrived",
            )
        until = min(time.monotonic() + max(pause, retry_after), start + limit)
        while (remaining := until - time.monotonic()) > 0:
            if cancelled.wait(min(remaining, waiting.STEP)):
                raise MailError(_("The wait for the test mail was cancelled."), stage=Stage.WORK)
            progress(time.monotonic() - start)
        pause = min(pause * 1.6, _LONGEST_POLL_INTERVAL)


def _contains_message(session: Pop3Session | ImapSession, message_id: str) -> bool:
    """Whether one of the newest messages has that Message-ID."""
    message_id_bytes = message_id.strip().encode()
    # IMAP's sizes() is keyed by UID; POP3's message numbers count from 1.
    handles = session.sizes() if isinstance(session, ImapSession) else range(1, session.count + 1)
    newest = sorted(handles, reverse=True)[:_NEWEST_COUNT]
    found = False
    # No early return: replies to pipelined commands would stay unread, and the session could not say goodbye.
    for _handle, pieces in session.retrieve(newest, headers_only=True):
        fields = scan(pieces).fields
        # Outlook.com replaces the Message-ID and keeps ours in another field (facts E6).
        ids = (fields.get(name, b"") for name in _ID_FIELDS)
        found = found or any(message_id_bytes in field for field in ids)
    return found

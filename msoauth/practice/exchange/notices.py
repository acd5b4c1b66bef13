"""What Exchange hands over in place of a mail, or does not: the newest mail of a mailbox, while a fault says so.

The notice of a failed conversion is as reports show it (OfflineIMAP/offlineimap#62, freescout#3203); that of a scan as
far as they tell (msgraph-sdk-dotnet#2416: "Safe Attachments Scan In Progress"), its text is from memory.
"""

from email.message import EmailMessage
from email.parser import BytesHeaderParser

from msoauth.practice.exchange.service import Service
from msoauth.practice.state import Mailbox, Message, Tenant

WITHHELD, REFUSED = "message.withheld", "message.refused"
_FAILED, _SCANNING = "message.placeholder", "message.scanning"


class Notices:
    """What becomes of each mail of a mailbox in one session.

    Args:
        protocol: As the notice calls it: ``POP3`` or ``IMAP4``.
    """

    def __init__(
        self, service: Service, tenant: Tenant | None, mailbox: Mailbox, protocol: str
    ) -> None:
        self._service, self._tenant = service, tenant
        self._mailbox, self._protocol = mailbox, protocol

    def is_struck(self, fault: str, message: Message) -> bool:
        """Whether the fault applies to this mail."""
        messages = self._mailbox.messages
        is_newest = bool(messages) and messages[-1] is message
        return is_newest and self._service.has_fault(fault, self._tenant, self._mailbox)

    def in_place_of(self, message: Message) -> Message:
        """The mail itself, or the notice that is handed over in its place."""
        if self.is_struck(_FAILED, message):
            return self._replaced(message, _failed(message, self._protocol, self._mailbox.address))
        if self.is_struck(_SCANNING, message):
            return self._replaced(message, _scanning(message))
        return message

    @staticmethod
    def _replaced(message: Message, notice: EmailMessage) -> Message:
        raw = notice.as_bytes(policy=notice.policy.clone(linesep="\r\n"))
        return Message(message.uid, raw, message.seen, message.received, message.flags)


def _failed(message: Message, protocol: str, address: str) -> EmailMessage:
    fields = BytesHeaderParser().parsebytes(message.raw)
    notice = EmailMessage()
    notice["From"] = "Microsoft Exchange Server"
    notice["To"] = address
    notice["Subject"] = (
        f"Retrieval using the {protocol} protocol failed for the following message: {message.uid}"
    )
    notice.set_content(
        "The server couldn't retrieve the following message:\n\n"
        f'Subject: "{" ".join(str(fields.get("Subject", "")).split())}"\n'
        f"Sent date: {fields.get('Date', '')}\n\n"
        "The message hasn't been deleted. You might be able to view it using either Outlook or Outlook Web App. "
        "You can also contact the sender to find out what the message says.\n"
    )
    return notice


def _scanning(message: Message) -> EmailMessage:
    """The mail's own header and text, with a notice for its attachments."""
    fields = BytesHeaderParser().parsebytes(message.raw)
    mail, notice = EmailMessage(), EmailMessage()
    for name in ("From", "To", "Subject", "Date", "Message-ID"):
        if name in fields:
            mail[name] = " ".join(str(fields[name]).split())
    mail.set_content("The attachments follow.\n")
    notice["Subject"] = "Safe Attachments Scan In Progress"
    notice.set_content("Safe Attachments is scanning the attachments of this mail.\n")
    mail.add_attachment(notice)
    return mail

"""Check a mail that a client submits by SMTP, and deliver or refuse it.

Nothing leaves the process. A recipient in another tenant of the practice tenant gets it; one elsewhere is
accepted, as Exchange would, and the mail goes nowhere. For recipients that do not exist here the sender gets a bounce.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import EmailMessage, Message
from email.parser import BytesHeaderParser
from email.utils import format_datetime, formataddr, getaddresses, make_msgid
from uuid import uuid4

from msoauth.practice.exchange import replies
from msoauth.practice.exchange.auth import LoginResult, Protocol, may_send_as
from msoauth.practice.exchange.framing import BARE_LF
from msoauth.practice.exchange.service import Service
from msoauth.practice.state import INBOX, JUNK, Mailbox, PracticeState, Tenant


@dataclass(frozen=True, slots=True)
class Submission:
    """A mail as a client submitted it: envelope and content."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    host: str
    peer: str
    session_id: str


def headers(content: bytes) -> Message:
    """The header fields of a mail."""
    return BytesHeaderParser().parsebytes(content)


def authors(content: bytes) -> list[str]:
    """Addresses of the From header, in lower case."""
    addresses = getaddresses([str(value) for value in headers(content).get_all("From", [])])
    return [address.lower() for _, address in addresses if "@" in address]


def mailbox_at(state: PracticeState, address: str) -> tuple[Tenant | None, Mailbox | None]:
    """The tenant that owns the address's domain, and the mailbox that gets mail for it (aliases too)."""
    tenant = state.tenant_of_address(address)
    if tenant is None or not tenant.exchange_online:
        return tenant, None
    user = tenant.user(address)
    mailbox = tenant.mailbox(address)
    if mailbox is None and user is not None:
        mailbox = tenant.own_mailbox(user)
    if mailbox is not None and not mailbox.is_mailbox:
        return None, None  # a group, a list or a contact passes the mail on
    if mailbox is not None and not mailbox.shared:
        owner = tenant.user(mailbox.address)
        if owner is None or not owner.licensed:
            return tenant, None
    return tenant, mailbox


def submit(
    service: Service, session: object, login: LoginResult, mail: Submission | None
) -> tuple[str, str]:
    """The reply to a mail (None: it was too big), and one line for the protocol log."""
    tenant, mailbox = login.tenant, login.mailbox
    if tenant is None or mailbox is None:
        return replies.NOT_AUTHENTICATED, "nobody is signed in"
    if mail is None:
        return replies.TOO_BIG, "mail refused: over the size limit"
    if not service.may_keep(2 * len(mail.content)):  # Sent Items and the recipients' own
        reply = replies.AFTER_DATA["smtp.mailbox-full"].replace("{}", service.host)
        return reply, "mail refused: the mailboxes of this practice tenant are full"
    for fault, reply in replies.AFTER_DATA.items():
        if service.has_fault(fault, tenant, mailbox):
            return reply.replace("{}", service.host), f"mail refused: {fault}"
    if len(authors(mail.content)) > 1 and "Sender" not in headers(mail.content):
        return replies.MULTIPLE_FROM, "mail refused: several From addresses and no Sender"
    refusal = _limit_refusal(service, session, mailbox) or _rights_refusal(
        service, login, tenant, mailbox, mail
    )
    if refusal is not None:
        return refusal
    message_id = deliver(service.state, mailbox, mail)
    printable_id = "".join(c for c in message_id if c.isprintable())[:200]
    count = len(mail.recipients)
    return (
        replies.QUEUED.format(printable_id, service.host),
        f"mail {printable_id} accepted for {count} recipient{'s' if count > 1 else ''}",
    )


def _limit_refusal(service: Service, session: object, mailbox: Mailbox) -> tuple[str, str] | None:
    concurrent = replies.CONCURRENT.format(service.host)
    if service.sessions.place(Protocol.SMTP, mailbox, session) >= service.limits.submissions:
        return concurrent, "mail refused: more than three connections"
    limit = service.limits.messages_per_minute
    if not service.sessions.may_send(mailbox, service.state.clock.time(), limit):
        # "Excess is delayed/deferred" (facts E7); with which words is unverified.
        return replies.BUSY, f"mail refused: more than {limit} in a minute"
    return None


def _rights_refusal(
    service: Service, login: LoginResult, tenant: Tenant, mailbox: Mailbox, mail: Submission
) -> tuple[str, str] | None:
    if not login.open_mailbox:
        return replies.LOGON_FAILURE.format(service.host), "mail refused: the app has no FullAccess"
    for sender in (mail.sender, *authors(mail.content)):
        if not may_send_as(tenant, login, sender):
            printable = "".join(c for c in sender if c.isprintable())[:254]
            reply = replies.SEND_AS.format(mailbox.address, printable, service.host)
            return reply, f"mail refused: not allowed to send as {printable}"
    return None


def deliver(state: PracticeState, login: Mailbox, mail: Submission) -> str:
    """Put the mail into every recipient's inbox and into the sender's Sent Items.

    Returns:
        The Message-ID: the client's own is kept (facts E6, work accounts).
    """
    now = state.clock.now()
    content = BARE_LF.sub(b"\r\n", mail.content)
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    fields = headers(content)
    domain = login.address.rpartition("@")[2]
    message_id = " ".join(str(fields.get("Message-ID", "")).split())
    added_fields = b""
    if not message_id:
        message_id = f"<{uuid4()}@{domain}>"
        added_fields += f"Message-ID: {message_id}\r\n".encode()
    if "Date" not in fields:
        added_fields += f"Date: {format_datetime(now)}\r\n".encode()
    if "From" not in fields:
        added_fields += f"From: {mail.sender}\r\n".encode()
    if added_fields and not _starts_with_header(content):
        added_fields += b"\r\n"
    content = added_fields + content
    trace = (
        f"Received: from [{mail.peer}] by {mail.host} with Microsoft SMTP Server"
        f" id {mail.session_id}; {format_datetime(now)}\r\n"
    ).encode()
    login.keep_sent(content, now.timestamp())
    arriving = trace + _without_bcc(content)
    missing = []
    delivered: set[int] = set()
    for recipient in mail.recipients:
        tenant, mailbox = mailbox_at(state, recipient)
        if mailbox is not None:
            if id(mailbox) not in delivered:
                delivered.add(id(mailbox))
                _arrive(state, mailbox, arriving, now.timestamp())
        elif tenant is not None:
            missing.append(recipient)
    if missing:
        login.deliver(_bounce(state, domain, missing, fields, message_id), now.timestamp())
    return message_id


def _arrive(state: PracticeState, mailbox: Mailbox, raw: bytes, received: float) -> None:
    """Put a mail where the mailbox's settings have it: forwarded, Junk Email, a rule's folder, or the inbox."""
    if mailbox.forwarding_smtp_address:
        _tenant, target = mailbox_at(state, mailbox.forwarding_smtp_address)
        if target is not None and not target.forwarding_smtp_address:
            target.deliver(raw, received)
        return
    name = JUNK if mailbox.trusted_lists_only else mailbox.inbox_rule or INBOX
    folder = mailbox.folders.get(name.lower()) or mailbox.inbox
    folder.append(raw, received)


def _starts_with_header(content: bytes) -> bool:
    return re.match(rb"[!-9;-~]+:", content) is not None


def _without_bcc(content: bytes) -> bytes:
    head, blank, body = content.partition(b"\r\n\r\n")
    head = re.sub(rb"(?im)^bcc:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*(?:\r\n|\Z)", b"", head + b"\r\n")
    return head.removesuffix(b"\r\n") + blank + body


def _bounce(
    state: PracticeState, domain: str, missing: Iterable[str], fields: Message, message_id: str
) -> bytes:
    """The mail by which Exchange reports unknown recipients (facts E6: RecipientNotFound "only as a bounce later")."""
    report = EmailMessage()
    subject = re.sub(r"[\x00-\x1f\x7f\s]+", " ", str(fields.get("Subject", "")))[:200].strip()
    report["From"] = formataddr(("Microsoft Outlook", f"postmaster@{domain}"))
    report["Subject"] = f"Undeliverable: {subject}"
    report["Date"] = format_datetime(state.clock.now())
    report["Message-ID"] = make_msgid(domain=domain)
    if re.fullmatch(r"<[!-~]{1,900}>", message_id):
        report["In-Reply-To"] = message_id
    lines = "".join(
        f"{address}\n550 5.1.10 RESOLVER.ADR.RecipientNotFound; "
        "Recipient not found by SMTP address lookup\n\n"
        for address in missing
    )
    report.set_content(f"Delivery has failed to these recipients or groups:\n\n{lines}")
    return report.as_bytes(policy=report.policy.clone(linesep="\r\n"))

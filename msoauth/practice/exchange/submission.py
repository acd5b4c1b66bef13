"""What Exchange says to a mail that was handed over: the checks after DATA, in one place."""

from msoauth.practice.exchange import replies
from msoauth.practice.exchange.auth import LoginResult, Protocol, may_send_as
from msoauth.practice.exchange.delivery import Submission, authors, deliver
from msoauth.practice.exchange.service import Service
from msoauth.practice.state import Mailbox, Tenant


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
    refused = _limits(service, session, mailbox) or _rights(service, login, tenant, mailbox, mail)
    if refused is not None:
        return refused
    message_id = deliver(service.state, mailbox, mail)
    shown = "".join(c for c in message_id if c.isprintable())[:200]
    count = len(mail.recipients)
    return (
        replies.QUEUED.format(shown, service.host),
        f"mail {shown} accepted for {count} recipient{'s' if count > 1 else ''}",
    )


def _limits(service: Service, session: object, mailbox: Mailbox) -> tuple[str, str] | None:
    concurrent = replies.CONCURRENT.format(service.host)
    if service.sessions.place(Protocol.SMTP, mailbox, session) >= service.limits.submissions:
        return concurrent, "mail refused: more than three connections"
    limit = service.limits.messages_per_minute
    if not service.sessions.may_send(mailbox, service.state.clock.time(), limit):
        # "Excess is delayed/deferred" (facts E7); with which words is unverified.
        return replies.BUSY, f"mail refused: more than {limit} in a minute"
    return None


def _rights(
    service: Service, login: LoginResult, tenant: Tenant, mailbox: Mailbox, mail: Submission
) -> tuple[str, str] | None:
    if not login.open_mailbox:
        return replies.LOGON_FAILURE.format(service.host), "mail refused: the app has no FullAccess"
    for sender in (mail.sender, *authors(mail.content)):
        if not may_send_as(tenant, login, sender):
            shown = "".join(c for c in sender if c.isprintable())[:254]
            reply = replies.SEND_AS.format(mailbox.address, shown, service.host)
            return reply, f"mail refused: not allowed to send as {shown}"
    return None

"""Faults that a scenario can set on the mail servers, in ``World.faults``.

The value of a fault is ``True`` (everybody), or a collection of tenant ids and mailbox addresses in lower
case that it is aimed at. Faults that strike before anybody has signed in strike everybody either way.
Closed, silent and unresolvable hosts are not here: they are a matter of listeners, not of dialogues.
"""

from collections.abc import Container

from msoauth.practice.state import Firm, Mailbox, World

# name → what it does
FAULTS = {
    "pop3.drop": "drops the connection in the middle of the first message or list",
    "imap.drop": "drops the connection in the middle of the first message or list",
    "smtp.drop": "drops the connection in the middle of the answer to the mail",
    "pop3.unavailable": "temporary fault at every POP3 login",
    "imap.unavailable": "NO Server Unavailable at every IMAP login",
    "imap.throttled": "Request is throttled, with a backoff time",
    "smtp.busy": "421 4.7.500 Server busy at the greeting",
    "smtp.temporary": "454 4.7.0 Temporary authentication failure",
    "smtp.timeout": "421 4.4.1 Connection timed out after the mail",
    "smtp.throttled": "432 4.3.2 Concurrent connections limit exceeded after the mail",
    "smtp.mailbox-full": "554 5.2.2 mailbox full after the mail",
    "smtp.quota": "554 5.2.0 submission quota exceeded after the mail",
    "smtp.sender-blocked": "550 5.1.8 bad outbound sender",
    "smtp.tenant-blocked": "550 5.7.705 tenant has exceeded threshold",
    "smtp.external-limit": "550 5.7.232 tenant external recipient rate limit",
    "smtp.recipient-rejected": "550 5.1.10 for recipients that do not exist here, at RCPT TO",
    "smtp.send-as-early": "550 5.7.60 at MAIL FROM in place of 554 5.2.252 after the mail",
    "smtp.sts-unreachable": "535 5.7.139 federated STS service was unreachable",
    "smtp.old-tls": "421 4.7.66 TLS 1.0 and 1.1 are not supported",
}

DROP_AT = 20  # bytes of an answer that still arrive


def strikes(
    world: World, name: str, firm: Firm | None = None, mailbox: Mailbox | None = None
) -> bool:
    """Whether the fault is set for that mailbox of that firm (both None: before a login)."""
    aim = world.faults.get(name)
    if not aim:
        return False
    if firm is None or isinstance(aim, bool) or not isinstance(aim, Container):
        return True
    return firm.tenant_id.lower() in aim or (mailbox is not None and mailbox.address.lower() in aim)

"""What SMTP's AUTH answers to an XOAUTH2 string, and to a user name and password (facts E4, E5)."""

import base64
import binascii

from msoauth.practice.exchange import replies
from msoauth.practice.exchange.auth import LoginResult, Protocol, Verdict, smtp_policy
from msoauth.practice.exchange.delivery import mailbox_at
from msoauth.practice.exchange.service import Service
from msoauth.practice.state import Mailbox, Tenant


def answer_xoauth2(service: Service, line: bytes) -> tuple[str, str, LoginResult]:
    """The reply, one line for the protocol log, and the judgement; only ``AUTH_OK`` signs in."""
    login = service.check_login(Protocol.SMTP, line)
    reply = replies.POLICY.get(login.verdict, replies.AUTH_REFUSED)
    outcome = f"AUTH XOAUTH2 refused: {login.why}"
    if login.verdict is Verdict.MALFORMED:
        reply = replies.AUTH_MALFORMED
    elif (fault := at_login(service, login.tenant, login.mailbox)) is not None:
        reply, outcome = replies.AT_LOGIN[fault], f"AUTH XOAUTH2 refused: {fault}"
    elif login.verdict is Verdict.MOVED:
        reply = replies.AUTH_TEMPORARY
    elif login.verdict is Verdict.ACCEPTED and login.mailbox is not None:
        reply, outcome = replies.AUTH_OK, "AUTH XOAUTH2 accepted"
    return reply, outcome, login


def answer_basic(service: Service, user_line: bytes) -> tuple[str, str]:
    """The refusal of a user name and password, and the name; the password is not looked at."""
    user = _decoded(user_line)
    tenant, mailbox = mailbox_at(service.state, user)
    verdict = smtp_policy(tenant, mailbox) if tenant is not None else None
    if verdict is not None:
        reply = replies.POLICY[verdict]
    elif service.has_fault("smtp.basic-removed", tenant, mailbox):
        reply = replies.BASIC_REMOVED
    elif service.has_fault("smtp.credentials", tenant, mailbox):
        reply = replies.CREDENTIALS
    else:
        reply = replies.BASIC_DISABLED
    return reply, user


def at_login(service: Service, tenant: Tenant | None, mailbox: Mailbox | None) -> str | None:
    """The fault that strikes that login, or None."""
    return next((f for f in replies.AT_LOGIN if service.has_fault(f, tenant, mailbox)), None)


def _decoded(line: bytes) -> str:
    """The user name of AUTH LOGIN, for the log only."""
    try:
        name = base64.b64decode(line, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return name if "@" in name and name.isprintable() else ""  # not a password sent too early

"""Checks whether mail works: logs in over POP3 or IMAP and over SMTP, and does the smallest real thing there."""

from collections.abc import Callable
from functools import partial

from msoauth.checks.context import Check, Context, Outcome
from msoauth.checks.latest_message import read_latest_message
from msoauth.checks.signin import token_of
from msoauth.errors import MailError
from msoauth.mail.imap import ImapSession
from msoauth.mail.pop3 import Pop3Session
from msoauth.mail.retry import RetryPolicy
from msoauth.mail.round_trip import compose_test_mail, send_with_retries, wait_for_arrival
from msoauth.mail.smtp import SmtpSession
from msoauth.texts import _

_TOKEN_CHECKS = ("sign-in.token", "sign-in.audience", "sign-in.scopes", "sign-in.user")


def _smtp_user(context: Context) -> str:
    """The XOAUTH2 user for SMTP: the one who signed in, even for a shared mailbox (facts M1)."""
    return context.mailbox.address if context.firm.access == "app-only" else context.mailbox.user


def _explain_bare_refusal(
    act: Callable[[Context], Outcome], *, opens_mailbox: bool = False
) -> Callable[[Context], Outcome]:
    """Make *act* report a login that is refused without a reason as what is left when the token's claims are good.

    For app-only access that is a service principal missing in Exchange, and where one user opens the mailbox of another
    a missing Full Access (facts E2, E5).

    Args:
        opens_mailbox: The login is to the mailbox itself; that of SMTP is to the user's own (facts M1).
    """

    def wrapped(context: Context) -> Outcome:
        try:
            return act(context)
        except MailError as error:
            if error.cause == "mail-login-rejected":
                if context.firm.access == "app-only":
                    error.cause = "service-principal-missing"
                elif opens_mailbox and context.mailbox.login:
                    error.cause = "full-access-missing"
            raise

    return wrapped


def _connect_smtp(context: Context) -> Outcome:
    """Open the session that the SMTP login will use; a failure is kept for that check to report."""
    try:
        context.state.sessions.keep(
            SmtpSession.connect(context.firm.cloud.smtp, **context.connection_options("smtp"))
        )
    except MailError as error:
        context.state.sessions.keep_failure(SmtpSession, error)
    return Outcome("")


@partial(_explain_bare_refusal, opens_mailbox=True)
def _pop3(context: Context) -> Outcome:
    session = context.state.sessions.take(Pop3Session) or Pop3Session.connect(
        context.firm.cloud.pop3, **context.connection_options("pop3")
    )
    session.log_in(context.mailbox.address, token_of(context))
    with session:
        count, size = session.count, session.size
        read_latest_message(context, session)
    return Outcome(
        _("POP3 login works: {count} messages, {size} bytes").format(count=count, size=f"{size:,}")
    )


@partial(_explain_bare_refusal, opens_mailbox=True)
def _imap(context: Context) -> Outcome:
    session = context.state.sessions.take(ImapSession) or ImapSession.connect(
        context.firm.cloud.imap, **context.connection_options("imap")
    )
    session.log_in(context.mailbox.address, token_of(context))
    with session:
        count = session.messages
        read_latest_message(context, session)
    return Outcome(_("IMAP login works: {count} messages in the inbox").format(count=count))


@_explain_bare_refusal
def _smtp(context: Context) -> Outcome:
    address = context.mailbox.address
    session = context.state.sessions.take(SmtpSession) or SmtpSession.connect(
        context.firm.cloud.smtp, **context.connection_options("smtp")
    )
    session.log_in(_smtp_user(context), token_of(context))
    with session:
        session.check_sender(address)
    return Outcome(_("SMTP login works and the sender {sender} is accepted").format(sender=address))


@_explain_bare_refusal
def _send(context: Context) -> Outcome:
    account, cloud = context.mailbox, context.firm.cloud
    sender = context.options.sender or account.address
    recipient = context.options.recipient or account.address
    message = compose_test_mail(
        sender, recipient, context.options.subject or _("Test mail from msoauth")
    )
    context.state.message_id = str(message["Message-ID"])

    def open_smtp() -> SmtpSession:
        return SmtpSession.open(
            cloud.smtp,
            _smtp_user(context),
            token_of(context),
            **context.connection_options("smtp.send"),
        )

    retry = context.options.retry or RetryPolicy(0, cancelled=context.cancelled)
    reply = send_with_retries(open_smtp, message, sender, [recipient], retry)
    return Outcome(
        _("the test mail to {recipient} was accepted").format(recipient=recipient),
        evidence=str(reply or ""),
    )


def open_mailbox(context: Context, transcript: str) -> ImapSession | Pop3Session:
    """Open the mailbox by the account's protocol, with the conversation recorded under *transcript*."""
    account = context.mailbox
    opener = ImapSession.open if account.protocol == "imap" else Pop3Session.open
    return opener(
        context.firm.cloud.endpoint(account.protocol),
        account.address,
        token_of(context),
        **context.connection_options(transcript),
    )


def _wait_for_test_mail(context: Context) -> Outcome:
    seconds = wait_for_arrival(
        lambda: open_mailbox(context, "mail.round-trip"),
        context.state.message_id,
        cancelled=context.cancelled,
        progress=context.options.on_progress,
    )
    return Outcome(_("the test mail arrived after {seconds:.1f} seconds").format(seconds=seconds))


LOGIN_TO_RETRIEVE = (
    Check(
        "pop3.login",
        lambda: _("Mail can be retrieved (POP3)"),
        _pop3,
        needs=("network.pop3", *_TOKEN_CHECKS),
        applies=lambda context: context.mailbox.protocol == "pop3",
        asks=lambda: _("Does the POP3 server accept the token, and open the mailbox (STAT)?"),
    ),
    Check(
        "imap.login",
        lambda: _("Mail can be retrieved (IMAP)"),
        _imap,
        needs=("network.imap", *_TOKEN_CHECKS),
        applies=lambda context: context.mailbox.protocol == "imap",
        asks=lambda: _("Does the IMAP server accept the token, and open the inbox (EXAMINE)?"),
    ),
)
# For runs without NETWORK, whose checks open sessions too: opens the SMTP session while the token is renewed and the
# mailbox is read. Its finding says nothing of its own. Declare it after LOGIN_TO_RETRIEVE, because the caller's
# thread waits for findings in declaration order.
CONNECT = (
    Check(
        "smtp.connect",
        lambda: _("Mail can be sent (SMTP login)"),
        _connect_smtp,
        needs=("network.smtp", "registration.secret", "sign-in.present"),
    ),
)
LOGIN_TO_SEND = (
    Check(
        "smtp.login",
        lambda: _("Mail can be sent (SMTP login)"),
        _smtp,
        needs=("network.smtp", *_TOKEN_CHECKS),
        after=("smtp.connect",),
        asks=lambda: _("Does the SMTP server accept the token, and the mailbox as sender?"),
    ),
)
MAILBOX = (*LOGIN_TO_RETRIEVE, *LOGIN_TO_SEND)
SEND = (
    Check(
        "smtp.send",
        lambda: _("A test mail is accepted"),
        _send,
        needs=("smtp.login",),
        asks=lambda: _("Does the server take a test mail? It is sent on request only."),
    ),
)
ROUND_TRIP = (
    Check(
        "mail.round-trip",
        lambda: _("The test mail arrives"),
        _wait_for_test_mail,
        needs=("smtp.send",),
        asks=lambda: _("Does the test mail come back into the mailbox, and after how long?"),
    ),
)

"""Checks whether mail works: logs in over POP3 or IMAP and over SMTP, and does the smallest real thing there."""

from dataclasses import replace
from typing import Literal

from msoauth import waiting
from msoauth.addresses import same
from msoauth.checks.context import Check, Context, Outcome, RunState
from msoauth.checks.latest_message import read_latest_message
from msoauth.checks.signin import token_of
from msoauth.claims import read_unverified
from msoauth.errors import InputError, MailError, MsoauthError, NotFoundError
from msoauth.explaining.account_facts import LONGEST_TOKEN
from msoauth.mail.connection import Connection
from msoauth.mail.imap import ImapSession
from msoauth.mail.pop3 import Pop3Session
from msoauth.mail.retry import RetryPolicy
from msoauth.mail.round_trip import compose_test_mail, send_with_retries, wait_for_arrival
from msoauth.mail.smtp import SmtpSession
from msoauth.model import Account, Signal
from msoauth.redact import redact
from msoauth.store import Workspace
from msoauth.texts import _

# What the directory may show an address to be instead of a mailbox.
NO_MAILBOX = frozenset({"group", "list", "contact", "room", "alias"})
_TOKEN_CHECKS = ("sign-in.token", "sign-in.audience", "sign-in.scopes", "sign-in.user")


def _smtp_user(context: Context) -> str:
    """The XOAUTH2 user for SMTP: the one who signed in, even for a shared mailbox (facts M1)."""
    return context.mailbox.address if context.firm.access == "app-only" else context.mailbox.user


def _explain_refusal(context: Context, error: MsoauthError, login: str) -> MsoauthError:
    """Say of a login that was refused without a reason what the rest of the run shows; its token's claims are good.

    Args:
        login: ``retrieval`` or ``smtp``.
    """
    if not isinstance(error, MailError) or error.cause != "mail-login-rejected":
        return error
    token, known = token_of(context), context.state.known
    if len(token) > LONGEST_TOKEN:
        error.details["token_length"] = f"{len(token):,}"
    elif context.firm.access == "app-only":
        error.cause, error.confidence = "service-principal-missing", "likely"
        claims = read_unverified(token)
        if login == "smtp" and claims is not None and "SMTP.SendAsApp" not in claims.roles:
            error.cause = "scope-missing"
    elif known.get("kind") in NO_MAILBOX and login == "retrieval":
        error.cause = "not-a-mailbox"
    else:
        accepted = _accepted_elsewhere(context, login)
        if accepted is not None:
            error.details["other"] = accepted
        if login == "retrieval" and context.mailbox.login and known.get("kind") != "own":
            # Where one user opens the mailbox of another, the right to do so is missing most often (facts E2, E5).
            error.cause, error.confidence = "full-access-missing", "likely"
    return error


_OTHER: dict[str, Literal["retrieval", "smtp"]] = {"retrieval": "smtp", "smtp": "retrieval"}


def _accepted_elsewhere(context: Context, login: str) -> str | None:
    """Which other login of this run accepted the same token: its name, or ``none``; None where that is not known."""
    other = _OTHER[login]
    if not context.state.selected & _LOGINS[other]:
        return None
    result = _log_in(context, other)
    if isinstance(result, Outcome) or result.cause == "send-as-denied":
        return other
    return "none" if result.cause in _REFUSED else None


# A login that was refused without a reason, as it is, and as it is explained to its own check.
_REFUSED = frozenset({"mail-login-rejected", "full-access-missing", "not-a-mailbox"})


def _log_in(
    context: Context, login: Literal["retrieval", "smtp"], *, of_own_check: bool = False
) -> Outcome | MsoauthError:
    """Log in to one of the mail servers, once in a run; its own check may try again."""
    act = _smtp if login == "smtp" else _imap if context.mailbox.protocol == "imap" else _pop3
    return context.state.logins.result(login, lambda: act(context), of_own_check=of_own_check)


def _login(context: Context, login: Literal["retrieval", "smtp"]) -> Outcome:
    result = _log_in(context, login, of_own_check=True)
    if isinstance(result, MsoauthError):
        raise _explain_refusal(context, result, login)
    return result


_LOGINS = {
    "retrieval": frozenset({"pop3.login", "imap.login"}),
    "smtp": frozenset({"smtp.login"}),
}


def _connect_smtp(context: Context) -> Outcome:
    """Open the session that the SMTP login will use; a failure is kept for that check to report."""
    try:
        context.state.sessions.keep(
            SmtpSession.connect(context.firm.cloud.smtp, **context.connection_options("smtp"))
        )
    except MailError as error:
        context.state.sessions.keep_failure(SmtpSession, error)
    return Outcome("")


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


def _imap(context: Context) -> Outcome:
    session = context.state.sessions.take(ImapSession) or ImapSession.connect(
        context.firm.cloud.imap, **context.connection_options("imap")
    )
    failed, evidence = (
        "",
        "",
    )  # the IP version over which the mailbox did not open, and the server's words
    try:
        session.log_in(context.mailbox.address, token_of(context))
    except MailError as error:
        failed = session.connection.family
        evidence = _("The first try was refused: {words}").format(words=error.evidence)
        session = _open_over_other_family(context, session.connection, error)
    with session:
        count = session.messages
        read_latest_message(context, session)
    if failed and not _has_passed(context, failed):
        return Outcome(
            _(
                "IMAP login works over {works} only: over {failed} Microsoft doesn't open the mailbox. Let the mail "
                "program use {works} until that passes."
            ).format(works=session.connection.family, failed=failed),
            Signal.WARNING,
            evidence=evidence,
        )
    summary = _("IMAP login works: {count} messages in the inbox").format(count=count)
    return Outcome(summary, evidence=evidence)


def _open_over_other_family(
    context: Context, connection: Connection, error: MailError
) -> ImapSession:
    """Open the mailbox over the other IP version, if the login was accepted and the mailbox did not open (facts L12).

    The rest of the run uses that version for IMAP.

    Raises:
        MailError: *error*, where it says something else, or the other version does no better.
    """
    other = connection.other_family
    if not other or "not connected" not in error.evidence.lower():
        raise error
    context.state.imap_family = other
    try:
        return ImapSession.open(
            context.firm.cloud.imap,
            context.mailbox.address,
            token_of(context),
            **context.connection_options("imap"),
        )
    except MailError:
        context.state.imap_family = ""
        raise error from None


def _has_passed(context: Context, family: str) -> bool:
    """Whether the mailbox opens over that IP version after a pause: then the refusal had nothing to do with it."""
    other = context.state.imap_family
    if waiting.wait(context.cancelled, context.options.second_try_after):
        return False
    context.state.imap_family = family
    try:
        with ImapSession.open(
            context.firm.cloud.imap,
            context.mailbox.address,
            token_of(context),
            **context.connection_options("imap"),
        ):
            pass
    except MailError:
        context.state.imap_family = other
        return False
    context.state.imap_family = ""
    return True


def _smtp(context: Context) -> Outcome:
    address = context.mailbox.address
    session = context.state.sessions.take(SmtpSession) or SmtpSession.connect(
        context.firm.cloud.smtp, **context.connection_options("smtp")
    )
    session.log_in(_smtp_user(context), token_of(context))
    with session:
        session.check_sender(address)
    return Outcome(_("SMTP login works and the sender {sender} is accepted").format(sender=address))


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
    try:
        reply = send_with_retries(open_smtp, message, sender, [recipient], retry)
    except MailError as error:
        raise _explain_refusal(context, error, "smtp") from None
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


def readable_recipient(workspace: Workspace, account: Account, recipient: str | None) -> Account:
    """The mailbox in which a test mail from *account* can be waited for.

    Raises:
        InputError: the recipient's mailbox is not in the workspace, or nobody has signed in to it.
    """
    if recipient is None or same(recipient, account.address):
        return account
    try:
        other = workspace.accounts.get(recipient)
        is_app_only = workspace.firms.get(other.firm).access == "app-only"
        is_readable = is_app_only or workspace.tokens.status(other.address) is not None
    except NotFoundError:
        is_readable = False
    if not is_readable:
        raise InputError(
            _(
                "Whether the test mail arrives at {recipient} cannot be seen: add that mailbox and sign in to it, or send without waiting."
            ).format(recipient=redact(recipient, 200)),
            field="to",
        )
    return other


def _wait_for_test_mail(context: Context) -> Outcome:
    account = readable_recipient(context.workspace, context.mailbox, context.options.recipient)
    reading = context
    if account is not context.mailbox:
        reading = replace(
            context,
            firm=context.workspace.firms.get(account.firm),
            account=account,
            state=RunState(transcripts=context.state.transcripts),
        )
    try:
        seconds = wait_for_arrival(
            lambda: open_mailbox(reading, "mail.round-trip"),
            context.state.message_id,
            cancelled=context.cancelled,
            limit=context.options.arrival_seconds,
            progress=context.options.on_progress,
        )
    except MailError as error:
        if account is not context.mailbox:
            error.summary = f"{account.address}: {error.summary}"
        raise
    return Outcome(_("the test mail arrived after {seconds:.1f} seconds").format(seconds=seconds))


LOGIN_TO_RETRIEVE = (
    Check(
        "pop3.login",
        lambda: _("Mail can be retrieved (POP3)"),
        lambda context: _login(context, "retrieval"),
        needs=("network.pop3", *_TOKEN_CHECKS),
        after=("registration.user",),
        applies=lambda context: context.mailbox.protocol == "pop3",
        asks=lambda: _("Does the POP3 server accept the token, and open the mailbox (STAT)?"),
    ),
    Check(
        "imap.login",
        lambda: _("Mail can be retrieved (IMAP)"),
        lambda context: _login(context, "retrieval"),
        needs=("network.imap", *_TOKEN_CHECKS),
        after=("registration.user",),
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
        lambda context: _login(context, "smtp"),
        needs=("network.smtp", *_TOKEN_CHECKS),
        after=("smtp.connect", "registration.user"),
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

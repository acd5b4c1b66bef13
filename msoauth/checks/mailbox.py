"""Does mail flow: login and the smallest real act over POP3 or IMAP, and over SMTP."""

from msoauth.checks.run import Check, Context, Outcome
from msoauth.identity import silent
from msoauth.mail.imap import ImapSession, open_imap
from msoauth.mail.pop3 import Pop3Session, open_pop3
from msoauth.mail.smtp import open_smtp
from msoauth.mail.testmail import compose_test_mail, wait_for_arrival
from msoauth.texts import _

_NEEDS = ("sign-in.token", "sign-in.audience", "sign-in.scopes", "sign-in.user")


def token_of(context: Context) -> str:
    """The access token of this run's account, renewed by an earlier check or fetched now."""
    if "token" not in context.known:
        context.known["token"] = silent.access_token(context.workspace, context.mailbox)
    token: str = context.known["token"].value
    return token


def _pop3(context: Context) -> Outcome:
    account, cloud = context.mailbox, context.firm.cloud
    with open_pop3(
        cloud.pop3,
        account.address,
        token_of(context),
        transcript=context.transcript("pop3.login"),
        timeout=context.timeout,
        ca_file=cloud.ca_file,
    ) as session:
        count, size = session.stat()
    return Outcome(
        _("POP3 login works: {count} messages, {size} bytes").format(count=count, size=f"{size:,}")
    )


def _imap(context: Context) -> Outcome:
    account, cloud = context.mailbox, context.firm.cloud
    with open_imap(
        cloud.imap,
        account.address,
        token_of(context),
        transcript=context.transcript("imap.login"),
        timeout=context.timeout,
        ca_file=cloud.ca_file,
    ) as session:
        count = session.count()
    return Outcome(_("IMAP login works: {count} messages in the inbox").format(count=count))


def _smtp(context: Context) -> Outcome:
    account, cloud = context.mailbox, context.firm.cloud
    # Over SMTP the XOAUTH2 user is the one who signed in, also for a shared mailbox (facts/field).
    user = account.address if context.firm.access == "app-only" else account.user
    with open_smtp(
        cloud.smtp,
        user,
        token_of(context),
        transcript=context.transcript("smtp.login"),
        timeout=context.timeout,
        ca_file=cloud.ca_file,
    ) as session:
        session.sender_accepted(account.address)
    return Outcome(
        _("SMTP login works and the sender {sender} is accepted").format(sender=account.address)
    )


def _send(context: Context) -> Outcome:
    account, cloud = context.mailbox, context.firm.cloud
    recipient = context.known.get("recipient") or account.address
    message = compose_test_mail(
        account.address, recipient, context.known.get("subject") or _("Test mail from msoauth")
    )
    context.known["message_id"] = str(message["Message-ID"])
    user = account.address if context.firm.access == "app-only" else account.user
    with open_smtp(
        cloud.smtp,
        user,
        token_of(context),
        transcript=context.transcript("smtp.send"),
        timeout=context.timeout,
        ca_file=cloud.ca_file,
    ) as session:
        reply = session.send(message, account.address, [recipient])
    return Outcome(
        _("the test mail to {recipient} was accepted").format(recipient=recipient),
        evidence=str(reply or ""),
    )


def _arrive(context: Context) -> Outcome:
    account, cloud = context.mailbox, context.firm.cloud

    def open_box() -> ImapSession | Pop3Session:
        opener = open_imap if account.retrieve == "imap" else open_pop3
        return opener(
            cloud.endpoint(account.retrieve),
            account.address,
            token_of(context),
            transcript=context.transcript("mail.round-trip"),
            timeout=context.timeout,
            ca_file=cloud.ca_file,
        )

    seconds = wait_for_arrival(open_box, context.known["message_id"], cancelled=context.cancelled)
    return Outcome(_("the test mail arrived after {seconds:.1f} seconds").format(seconds=seconds))


MAILBOX = (
    Check(
        "pop3.login",
        lambda: _("Mail can be retrieved (POP3)"),
        _pop3,
        needs=("network.pop3", *_NEEDS),
        applies=lambda context: context.mailbox.retrieve == "pop3",
    ),
    Check(
        "imap.login",
        lambda: _("Mail can be retrieved (IMAP)"),
        _imap,
        needs=("network.imap", *_NEEDS),
        applies=lambda context: context.mailbox.retrieve == "imap",
    ),
    Check(
        "smtp.login",
        lambda: _("Mail can be sent (SMTP login)"),
        _smtp,
        needs=("network.smtp", *_NEEDS),
    ),
)
SEND = (Check("smtp.send", lambda: _("A test mail is accepted"), _send),)
ROUND_TRIP = (
    Check("mail.round-trip", lambda: _("The test mail arrives"), _arrive, needs=("smtp.send",)),
)

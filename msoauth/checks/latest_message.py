"""Checks whether new mail still arrives; an audit reads the latest message's date in the login that it makes anyway."""

from contextlib import suppress
from datetime import UTC, datetime

from msoauth.checks.context import Check, Context, Outcome
from msoauth.errors import MailError
from msoauth.judgement import days_since, silence_signal
from msoauth.mail.imap import ImapSession
from msoauth.mail.pop3 import Pop3Session
from msoauth.texts import _, ngettext


def read_latest_message(context: Context, session: Pop3Session | ImapSession) -> None:
    """Keep the date of the latest message in the run's state, if the caller of the run asked for it."""
    if context.options.silent_days is not None:
        # The login works; that the server does not report a date is no problem of the account.
        with suppress(MailError):
            context.state.latest_message = session.latest_message_date()
            context.state.latest_message_known = True


def _latest_message(context: Context) -> Outcome:
    if context.options.silent_days is None or not context.state.latest_message_known:
        return Outcome(_("the server did not tell when the newest mail came"))
    received = context.state.latest_message
    if received is None:
        return Outcome(_("the mailbox is empty"))
    days = days_since(received, datetime.now(UTC))
    summary = ngettext(
        "the newest mail came {days} day ago, on {date}",
        "the newest mail came {days} days ago, on {date}",
        days,
    ).format(days=days, date=f"{received:%Y-%m-%d}")
    return Outcome(
        summary,
        silence_signal(days, context.options.silent_days),
        facts={"newest": received.isoformat(timespec="seconds")},
    )


LATEST_MESSAGE = (
    Check(
        "mail.newest",
        lambda: _("New mail comes in"),
        _latest_message,
        needs=("pop3.login", "imap.login"),
        asks=lambda: _("When did the newest mail come?"),
    ),
)

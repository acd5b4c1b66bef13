"""Does new mail still come? Asked in an audit only, within the login that is made anyway."""

from datetime import UTC, datetime

from msoauth.checks.context import Check, Context, Outcome
from msoauth.errors import MailError
from msoauth.judgement import days_since, silence_signal
from msoauth.mail.imap import ImapSession
from msoauth.mail.pop3 import Pop3Session
from msoauth.texts import _, ngettext


def look_for_newest(context: Context, session: Pop3Session | ImapSession) -> None:
    """Note when the newest mail came, if this run wants to know."""
    if "silent_days" in context.known:
        try:
            context.known["newest"] = session.latest_message_date()
        except MailError:
            return  # the login stands; a server that does not tell is no trouble of the account


def _newest(context: Context) -> Outcome:
    if "newest" not in context.known:
        return Outcome(_("the server did not tell when the newest mail came"))
    moment: datetime | None = context.known["newest"]
    if moment is None:
        return Outcome(_("the mailbox is empty"))
    days = days_since(moment, datetime.now(UTC))
    said = ngettext(
        "the newest mail came {days} day ago, on {date}",
        "the newest mail came {days} days ago, on {date}",
        days,
    ).format(days=days, date=f"{moment:%Y-%m-%d}")
    return Outcome(
        said,
        silence_signal(days, context.known["silent_days"]),
        facts={"newest": moment.isoformat(timespec="seconds")},
    )


NEWEST = (
    Check(
        "mail.newest",
        lambda: _("New mail comes in"),
        _newest,
        needs=("pop3.login", "imap.login"),
        asks=lambda: _("When did the newest mail come?"),
    ),
)

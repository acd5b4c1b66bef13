"""Can this computer reach the cloud's servers at all, and is its clock right?"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from msoauth.checks.run import Check, Context, Outcome
from msoauth.clouds import Protocol
from msoauth.identity import http
from msoauth.mail import wire
from msoauth.model import Signal
from msoauth.texts import _

# Entra accepts small differences; MSAL and token lifetimes suffer from about five minutes on.
SKEW_SECONDS = 300


def _authority(context: Context) -> Outcome:
    reply = http.reach(context.firm.cloud, context.firm.cloud.authority, timeout=context.timeout)
    context.known["authority_date"] = (reply.headers.get("Date"), datetime.now(UTC))
    return Outcome(
        _("the sign-in service answers at {url}").format(url=context.firm.cloud.authority)
    )


def _clock(context: Context) -> Outcome:
    stamp, here = context.known.get("authority_date", (None, datetime.now(UTC)))
    if not stamp:
        return Outcome(
            _("the sign-in service named no time, so the clock could not be compared"),
            Signal.WARNING,
        )
    there = parsedate_to_datetime(stamp)
    ahead = (here - there).total_seconds()
    if abs(ahead) <= SKEW_SECONDS:
        return Outcome(_("this computer's clock is right"))
    sentence = (
        _("this computer's clock is {minutes} minutes ahead")
        if ahead > 0
        else _("this computer's clock is {minutes} minutes behind")
    )
    return Outcome(
        sentence.format(minutes=round(abs(ahead) / 60)),
        Signal.FAILED,
        "clock-skew",
        f"server: {there.astimezone(UTC).isoformat()}  here: {here.isoformat()}",
    )


def _mail_server(protocol: Protocol) -> Check:
    check_id = f"network.{protocol}"

    def act(context: Context) -> Outcome:
        endpoint = context.firm.cloud.endpoint(protocol)
        with wire.connect(
            endpoint,
            timeout=context.timeout,
            transcript=context.transcript(check_id),
            ca_file=context.firm.cloud.ca_file,
        ) as connection:
            issuer = connection.issuer
        where = f"{endpoint.host}:{endpoint.port}"
        if issuer:
            return Outcome(
                _("{where} answers; its certificate was issued by {issuer}").format(
                    where=where, issuer=issuer
                )
            )
        return Outcome(_("{where} answers").format(where=where))

    def applies(context: Context) -> bool:
        return protocol == "smtp" or context.account is None or context.account.retrieve == protocol

    titles = {
        "pop3": lambda: _("The POP3 server can be reached"),
        "imap": lambda: _("The IMAP server can be reached"),
        "smtp": lambda: _("The SMTP server can be reached"),
    }
    return Check(check_id, titles[protocol], act, applies=applies)


NETWORK = (
    Check("network.authority", lambda: _("The sign-in service can be reached"), _authority),
    Check(
        "network.clock",
        lambda: _("This computer's clock is right"),
        _clock,
        needs=("network.authority",),
    ),
    _mail_server("pop3"),
    _mail_server("imap"),
    _mail_server("smtp"),
)

"""Checks whether this computer can reach the cloud's servers at all, and whether its clock is right."""

import urllib.request
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from msoauth.checks.context import Check, Context, Outcome
from msoauth.clouds import Protocol
from msoauth.errors import AuthError
from msoauth.identity import http, validation
from msoauth.identity.discovery import discovery_url
from msoauth.judgement import clock_is_wrong
from msoauth.mail.connection import Connection
from msoauth.mail.imap import ImapSession
from msoauth.mail.pop3 import Pop3Session
from msoauth.mail.smtp import SmtpSession
from msoauth.model import Signal
from msoauth.redact import redact
from msoauth.texts import _

# Who issues the certificates of Microsoft's servers (unverified: seen in the field). Another one is no proof of
# harm, but it usually means that a proxy decrypts TLS.
_ISSUERS = ("digicert", "microsoft")

# How long the other IP version has to connect: the first one has done so already, so the server is not far.
_OTHER_FAMILY_SECONDS = 2.0

_CONNECT: dict[Protocol, Callable[..., Pop3Session | ImapSession | SmtpSession]] = {
    "pop3": Pop3Session.connect,
    "imap": ImapSession.connect,
    "smtp": SmtpSession.connect,
}


def _proxy(_context: Context) -> Outcome:
    proxies = sorted(
        {http.without_credentials(url) for url in urllib.request.getproxies().values() if url}
    )
    if not proxies and (script := http.proxy_script()):
        return Outcome(
            _(
                "a script chooses the proxy here ({url}); browsers run it, and this program does not. Where HTTPS is not reached, set HTTPS_PROXY to the proxy that it names"
            ).format(url=redact(script, 200)),
            Signal.WARNING,
        )
    if not proxies:
        return Outcome(_("no proxy is set on this computer"))
    return Outcome(
        _(
            "a proxy is set: {proxies}; the sign-in goes through it, mail (POP3, IMAP, SMTP) does not"
        ).format(proxies=", ".join(proxies))
    )


def _reach(context: Context, url: str, *, keep: bool = False) -> http.ReachResult:
    """As :func:`http.reach`, but never retriable: that a server cannot be reached is what this check is to find out."""
    try:
        return http.reach(context.firm.cloud, url, timeout=context.options.timeout, keep=keep)
    except AuthError as error:
        error.retriable = False
        raise


def _authority(context: Context) -> Outcome:
    cloud, tenant = context.firm.cloud, context.firm.tenant
    # One request serves three checks: this one, the clock, and the directory.
    requested_tenant = "common" if validation.tenant_problem(tenant) else tenant
    reached = _reach(context, discovery_url(cloud, requested_tenant), keep=True)
    if reached.reply.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        raise AuthError(
            _("a proxy answers in place of the sign-in service, and wants to be signed in to"),
            cause="proxy-required",
            evidence=redact(reached.reply.text, 500),
            details=_proxy_details(discovery_url(cloud, requested_tenant)),
        )
    server_time = _parse_date(reached.reply.headers.get("Date"))
    context.state.clock_offset = datetime.now(UTC) - server_time if server_time else None
    if requested_tenant == tenant:
        context.state.discovery = reached.reply
    summary = _("the sign-in service answers at {url}").format(url=cloud.authority)
    return _reached_outcome(context, summary, reached.issuer)


def _proxy_details(url: str) -> dict[str, str]:
    """The proxy that leads to *url* and wants to be signed in to, if one is set."""
    proxy = http.proxy_for(url)
    return {"proxy_says": "407", "proxy": http.without_credentials(proxy)} if proxy else {}


def _graph(context: Context) -> Outcome:
    cloud = context.firm.cloud
    try:
        reached = _reach(context, cloud.graph)
    except AuthError as error:
        if context.graph is not None:
            raise
        # Mail works without Graph: only an administrator's readings need it.
        return Outcome(
            _("Microsoft Graph cannot be reached; only an administrator's readings need it"),
            Signal.WARNING,
            evidence=error.evidence,
        )
    return _reached_outcome(
        context, _("Microsoft Graph answers at {url}").format(url=cloud.graph), reached.issuer
    )


def _reached_outcome(context: Context, summary: str, issuer: str, timings: str = "") -> Outcome:
    with_issuer = summary
    if issuer:
        with_issuer = _("{where}; its certificate was issued by {issuer}").format(
            where=summary, issuer=issuer
        )
    is_usual = any(name in issuer.lower() for name in _ISSUERS)
    if context.firm.cloud.is_microsoft and issuer and not is_usual:
        return Outcome(
            _("{said}: not Microsoft's usual issuer; a proxy may be opening TLS").format(
                said=with_issuer
            ),
            Signal.WARNING,
        )
    return Outcome(with_issuer + timings)


def _clock(context: Context) -> Outcome:
    offset = context.state.clock_offset
    if offset is None:
        return Outcome(
            _("the sign-in service named no time, so the clock could not be compared"),
            Signal.WARNING,
        )
    seconds_ahead, now = offset.total_seconds(), datetime.now(UTC)
    if not clock_is_wrong(seconds_ahead):
        return Outcome(_("this computer's clock is right"))
    sentence = (
        _("this computer's clock is {minutes} minutes ahead")
        if seconds_ahead > 0
        else _("this computer's clock is {minutes} minutes behind")
    )
    return Outcome(
        sentence.format(minutes=round(abs(seconds_ahead) / 60)),
        Signal.FAILED,
        "clock-skew",
        f"server: {(now - offset).isoformat()}  here: {now.isoformat()}",
    )


def _parse_date(header: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _families(connection: Connection) -> tuple[str, str]:
    """The sentence on the IP versions by which the server can be reached, and why the other one cannot, or empty."""
    if not connection.other_family:
        return _("{host}:{port} answers over {family}"), ""
    error = connection.other_family_error(_OTHER_FAMILY_SECONDS)
    if error:
        return _("{host}:{port} answers over {family} only; {other} doesn't work here"), error
    return _("{host}:{port} answers over {family}; {other} works too"), ""


def _mail_server(protocol: Protocol) -> Check:
    def act(context: Context) -> Outcome:
        endpoint = context.firm.cloud.endpoint(protocol)
        session = _CONNECT[protocol](endpoint, **context.connection_options(protocol))
        context.state.sessions.keep(session)  # for the login check
        connection = session.connection
        stages = ", ".join(
            f"{stage} {seconds * 1000:.0f} ms" for stage, seconds in connection.seconds.items()
        )
        summary, evidence = _families(connection)
        summary = summary.format(
            host=endpoint.host,
            port=endpoint.port,
            family=connection.family,
            other=connection.other_family,
        )
        outcome = _reached_outcome(context, summary, connection.issuer, f" ({stages})")
        return replace(outcome, evidence=evidence, facts={"family": connection.family})

    titles = {
        "pop3": lambda: _("The POP3 server can be reached"),
        "imap": lambda: _("The IMAP server can be reached"),
        "smtp": lambda: _("The SMTP server can be reached"),
    }
    return Check(
        f"network.{protocol}",
        titles[protocol],
        act,
        applies=lambda context: (
            context.account is None or protocol in ("smtp", context.account.protocol)
        ),
        asks=lambda: _(
            "Does its name resolve, does the port answer, over IPv6 or IPv4, does TLS come about, and who issued the "
            "certificate?"
        ),
    )


NETWORK = (
    Check(
        "network.proxy",
        lambda: _("Proxy settings"),
        _proxy,
        asks=lambda: _("Is a proxy set in this computer's environment or system settings?"),
    ),
    Check(
        "network.authority",
        lambda: _("The sign-in service can be reached"),
        _authority,
        asks=lambda: _("Does Microsoft's sign-in service answer over HTTPS from this computer?"),
    ),
    Check(
        "network.clock",
        lambda: _("This computer's clock is right"),
        _clock,
        needs=("network.authority",),
        asks=lambda: _("Is this computer's clock within five minutes of the server's Date?"),
    ),
    _mail_server("pop3"),
    _mail_server("imap"),
    _mail_server("smtp"),
    Check(
        "network.graph",
        lambda: _("Microsoft Graph can be reached"),
        _graph,
        asks=lambda: _("Does Microsoft Graph answer? Only an administrator's readings need it."),
    ),
)

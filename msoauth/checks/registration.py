"""Checks the firm's app registration: its values, its directory, its secret and its redirect URI."""

from datetime import UTC, date, datetime

from msoauth.checks.context import Check, Context, Outcome
from msoauth.errors import AuthError, InputError
from msoauth.identity import probes, validation
from msoauth.judgement import days_left, secret_signal
from msoauth.model import Signal
from msoauth.texts import _


def _values(context: Context) -> Outcome:
    validation.check_firm(context.firm)
    secret = context.workspace.firms.secret(context.firm)
    if secret is not None:
        try:
            validation.check_secret(secret.reveal())
        except InputError as error:
            return Outcome(error.summary, Signal.FAILED, "secret-invalid")
    return Outcome(_("tenant, client ID and secret are well-formed"))


def _directory(context: Context) -> Outcome:
    reply, context.state.discovery = context.state.discovery, None
    tenant_id = probes.discover(context.firm.cloud, context.firm.tenant, reply)
    return Outcome(_("the directory exists: {tenant_id}").format(tenant_id=tenant_id))


def _secret(context: Context) -> Outcome:
    secret = context.workspace.firms.secret(context.firm)
    probes.client_credentials_probe(context.firm, secret)
    if secret is None:
        return Outcome(_("the application exists"))
    return Outcome(_("the application exists and its client secret is accepted"))


def _redirect(context: Context) -> Outcome:
    probes.redirect_probe(context.firm)
    return Outcome(_("the redirect URI {uri} is registered").format(uri=context.firm.redirect_uri))


def _secret_end(context: Context) -> Outcome:
    expires = _end_from_graph(context) or context.firm.secret_expires
    if expires is None:
        return Outcome(
            _(
                "the end date of the secret is not recorded; it is shown under Certificates & secrets"
            ),
            Signal.WARNING,
        )
    days = days_left(expires, datetime.now(UTC).date())
    signal = secret_signal(days)
    if signal is Signal.FAILED:
        return Outcome(
            _("the client secret ended on {date}").format(date=expires),
            signal,
            "secret-expired",
        )
    sentence = _("the client secret is good until {date}, {days} more days").format(
        date=expires, days=days
    )
    return Outcome(sentence, signal)


def _end_from_graph(context: Context) -> date | None:
    """The last day of the secret in use, from Graph, which shows the first three characters of each; None if unclear."""
    if context.graph is None:
        return None
    secret = context.workspace.firms.secret(context.firm)
    try:
        app = context.graph.application(context.firm.client_id)
    except AuthError:
        return None  # another check reports it
    hint = secret.reveal()[:3] if secret else ""
    ends = [
        entry.ends.date()
        for entry in (app.secrets if app else ())
        if entry.ends and entry.hint == hint
    ]
    return ends[0] if len(ends) == 1 else None


REGISTRATION = (
    Check(
        "registration.values",
        lambda: _("The values are well-formed"),
        _values,
        asks=lambda: _(
            "Are tenant, client ID, redirect URI and secret of the form they must have?"
        ),
    ),
    Check(
        "registration.directory",
        lambda: _("The directory (tenant) exists"),
        _directory,
        needs=("registration.values", "network.authority", "network.clock"),
        asks=lambda: _("Does the sign-in service know this directory, and what is its ID?"),
    ),
    Check(
        "registration.secret",
        lambda: _("The application exists and its secret is accepted"),
        _secret,
        needs=("registration.directory",),
        asks=lambda: _("Is the app known and enabled, and is its secret accepted?"),
    ),
    Check(
        "registration.redirect",
        lambda: _("The redirect URI is registered"),
        _redirect,
        needs=("registration.directory",),
        applies=lambda context: context.firm.access == "delegated",
        asks=lambda: _("Would a sign-in be sent back to this redirect URI?"),
    ),
    Check(
        "registration.secret-end",
        lambda: _("The secret is not about to expire"),
        _secret_end,
        needs=("registration.values",),
        after=("network.graph",),
        applies=lambda context: context.workspace.firms.has_secret(context.firm.name),
        asks=lambda: _("How many days is the client secret still good, as far as was noted down?"),
    ),
)

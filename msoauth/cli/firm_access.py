"""``msoauth firm secret``, ``calendar``, ``app-only`` and ``consent``: a firm's client secret and its app's permissions."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from msoauth import shells, waiting
from msoauth.cli import files
from msoauth.cli.firms import as_json, parse_date, read_secret
from msoauth.cli.options import FirmName, Json
from msoauth.cli.output import print_json, print_on_stderr, print_text
from msoauth.errors import AuthError, InputError
from msoauth.redact import redact
from msoauth.texts import _


def secret(
    context: typer.Context,
    name: FirmName,
    secret_stdin: Annotated[
        bool, typer.Option("--secret-stdin", help="Read the new value from stdin.")
    ] = False,
    secret_expires: Annotated[
        str | None, typer.Option(metavar="DATE", help="Last day of the new secret.")
    ] = None,
    json: Json = False,
) -> None:
    """Replace the client secret. The old one stays until the new one has worked; nobody signs in again."""
    from msoauth.identity import validation
    from msoauth.identity.secret_rotation import replace_secret

    with context.obj.open() as workspace:
        firm = workspace.firms.get(name)
        expires = parse_date(secret_expires)
        new_secret = read_secret(from_stdin=secret_stdin)
        if new_secret is None and expires is not None:
            workspace.firms.replace(replace(firm, secret_expires=expires))
            print_text(
                _("Recorded: the secret of {name} is good until {date}.").format(
                    name=firm.name, date=expires
                )
            )
            return
        if new_secret is None:
            raise InputError(_("No new secret was given; the old one stays."))
        new_secret = validation.clean(new_secret)
        validation.check_secret(new_secret)
        replace_secret(workspace, firm, new_secret, expires=expires, wait=_wait_for_secret)
        print_text(
            _("The new secret of {name} works and has replaced the old one.").format(
                name=firm.name
            ),
            on_stderr=json,
        )
        if json:
            print_json(as_json(workspace.firms.get(name), workspace))


def _wait_for_secret(seconds: float) -> bool:
    """Wait before a new secret is tried again; returns False, because it was not cancelled."""
    print_on_stderr(
        _(
            "Refused so far. A new secret takes some seconds to be known: trying again in {n} s."
        ).format(n=round(seconds))
    )
    waiting.wait(threading.Event(), seconds)
    return False


def calendar(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this firm's.")] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The file to write; else named for the firm."),
    ] = None,
) -> None:
    """Save reminders of the days on which client secrets end, as a calendar file (.ics)."""
    from msoauth.reports import secret_calendar

    with context.obj.open() as workspace:
        firms = [workspace.firms.get(name)] if name else workspace.firms.list()
    with_end_date = [firm for firm in firms if firm.secret_expires is not None]
    if not with_end_date:
        raise InputError(
            _(
                "No end date is recorded. Enter it with: msoauth firm secret NAME --secret-expires DATE"
            )
        )
    file = to or Path(secret_calendar.file_name(with_end_date))
    files.write(file, secret_calendar.calendar(with_end_date))
    print_text(_("● {file} holds the reminders; open it with your calendar.").format(file=file))


def app_only(
    context: typer.Context,
    name: FirmName,
    on: Annotated[
        bool | None,
        typer.Option(
            "--on/--off", help="Switch it on, or let users sign in again.", show_default=False
        ),
    ] = None,
) -> None:
    """App-only access, for mailboxes nobody signs in to: switch it, and print the steps in Exchange."""
    from msoauth.identity import app_only

    with context.obj.open() as workspace:
        firm = workspace.firms.get(name)
        if on is not None:
            if on and not workspace.firms.has_secret(firm.name):
                raise InputError(_("App-only access needs a client secret: msoauth firm secret"))
            firm = replace(firm, access="app-only" if on else "delegated")
            workspace.firms.replace(firm)
        if firm.access == "delegated":
            print_text(
                _("The users of {name} sign in; app-only access is off.").format(name=firm.name)
            )
            return
        accounts = workspace.accounts.list(firm.name)
        try:
            object_id = app_only.service_principal(workspace, firm)
        except AuthError as error:
            object_id = ""
            print_on_stderr(
                _("The Object ID could not be read: {why}").format(why=redact(error.summary))
            )
    print_text(
        _("{name} uses app-only access. What an administrator of the firm does once:").format(
            name=firm.name
        )
    )
    print_text(app_only.exchange_steps(firm, accounts, object_id).text())
    first_address = accounts[0].address if accounts else "ADDRESS"
    print_on_stderr(
        _("Then check a mailbox: {command}").format(
            command=shells.command("diagnose {ADDRESS}", ADDRESS=first_address)
        )
    )


def consent(context: typer.Context, name: FirmName) -> None:
    """Print the link by which an administrator of the firm consents for everybody."""
    from msoauth.identity.entra_links import admin_consent_link

    with context.obj.open() as workspace:
        firm = workspace.firms.get(name)
        workspace.firms.require_confirmed(firm)  # whoever opens the link lets this app in
        link = admin_consent_link(firm, workspace.accounts.list(firm.name))
    print_text(link)
    print_on_stderr(
        _(
            "An administrator opens it, signs in and presses Accept. The page that follows does not load: that is right."
        )
    )

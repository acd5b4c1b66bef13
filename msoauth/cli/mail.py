"""``fetch``, ``send-test`` and ``diagnose``: one account's mail."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from msoauth import checks, work
from msoauth.cli.accounts import Address
from msoauth.cli.firms import Json
from msoauth.cli.output import complain, console, emit, report, say, say_failure
from msoauth.errors import AuthError, MailError
from msoauth.texts import _


def fetch(
    context: typer.Context,
    address: Address,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most the N newest messages.")
    ] = None,
    headers_only: Annotated[
        bool, typer.Option("--headers-only", help="Look at headers; store nothing.")
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where .eml files go.",
            show_default="the workspace's mail folder",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Retrieve mail. Nothing is ever deleted or marked."""
    with context.obj.open() as workspace:
        account = workspace.accounts.get(address)
        folder = None if headers_only else (to or work.mail_folder(workspace, account))
        table = Table(_("Date"), _("From"), _("Subject"), _("Size"), _("Attachments"))
        count = 0
        try:
            for message in work.fetch_mail(
                workspace, account, limit=limit, headers_only=headers_only, to=folder
            ):
                count += 1
                row = message.as_json()
                if json:
                    emit(row)
                else:
                    names = ", ".join(str(a.get("name") or "?") for a in row["attachments"])
                    table.add_row(
                        str(row["date"] or "?")[:16],
                        str(row["from"]),
                        str(row["subject"]),
                        f"{row['size']:,}",
                        names,
                    )
        except (AuthError, MailError) as failure:
            raise typer.Exit(say_failure(failure, as_json=json)) from None
        if not json and count:
            console().print(table)
        where = "" if folder is None else _(" They are in {folder}.").format(folder=folder)
        say(
            _("{count} messages retrieved; nothing was deleted on the server.").format(count=count)
            + where,
            as_json=json,
        )


def send_test(
    context: typer.Context,
    address: Address,
    to: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The recipient.", show_default="the mailbox itself"),
    ] = None,
    round_trip: Annotated[
        bool, typer.Option("--round-trip", help="Also wait until the mail arrives.")
    ] = False,
    subject: Annotated[str | None, typer.Option(help="The subject.")] = None,
    json: Json = False,
) -> None:
    """Send a test mail."""
    with context.obj.open() as workspace:
        account = workspace.accounts.get(address)
        findings = work.send_test(workspace, account, to=to, subject=subject, round_trip=round_trip)
        status = report(findings, as_json=json)
    raise typer.Exit(status)


def diagnose(context: typer.Context, address: Address, json: Json = False) -> None:
    """Every check for one account, in order, and the first broken link."""
    with context.obj.open() as workspace:
        account = workspace.accounts.get(address)
        firm = workspace.firms.get(account.firm)
        found = []

        def watched() -> "checks.Findings":
            for finding in checks.run(checks.DIAGNOSE, checks.Context(workspace, firm, account)):
                found.append(finding)
                yield finding

        status = report(watched(), as_json=json)
    sentence = checks.verdict(found)
    if json:
        complain(sentence)
    else:
        say(sentence)
    raise typer.Exit(status)


def register(main: typer.Typer) -> None:
    """Put the commands on the main command."""
    main.command("fetch")(fetch)
    main.command("send-test")(send_test)
    main.command("diagnose")(diagnose)

"""``msoauth account …``: adds, lists, changes and removes mailboxes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from msoauth import shells
from msoauth.addresses import same
from msoauth.cli.options import Address, Json
from msoauth.cli.output import EXIT_FAILED, print_json, print_text
from msoauth.cli.prompts import confirm
from msoauth.cli.tables import show_table
from msoauth.errors import InputError
from msoauth.model import Account
from msoauth.private_files import read_bounded
from msoauth.texts import _

if TYPE_CHECKING:
    from msoauth.store import Workspace

app = typer.Typer(help="Mailboxes of the firms.", no_args_is_help=True)

Retrieve = Literal["pop3", "imap"]


def as_json(account: Account, workspace: "Workspace") -> dict[str, object]:
    """An account as JSON: its settings and who has signed in, but no token."""
    status = workspace.tokens.status(account.address)
    return {
        "address": account.address,
        "firm": account.firm,
        "login": account.login,
        "retrieve": account.protocol,
        "signed_in": status is not None,
        "signed_in_as": status.signed_in_as if status else None,
    }


@app.command("add")
def add(
    context: typer.Context,
    address: Address,
    firm: Annotated[str, typer.Option(help="The firm's name.")],
    login: Annotated[
        str | None, typer.Option(metavar="UPN", help="Who signs in, if not the mailbox itself.")
    ] = None,
    retrieve: Annotated[Retrieve, typer.Option(help="How mail is retrieved.")] = "pop3",
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask about a domain that looks mistyped.")
    ] = False,
) -> None:
    """Add a mailbox."""
    from msoauth.account_list import account_from_text, unlike_domains

    with context.obj.open() as workspace:
        known = workspace.firms.get(firm)
        account = account_from_text(address, known.name, login, retrieve)
        if not yes:
            _ask_about(unlike_domains(workspace, known, (account.address,)), _("Add this mailbox?"))
        workspace.accounts.add(account)
    print_text(
        _("Added {name}. Next: {command}").format(
            name=account.address,
            command=shells.command("sign-in {ADDRESS}", ADDRESS=account.address),
        )
    )


@app.command("import")
def import_(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV or Excel with a column of addresses.")
    ],
    firm: Annotated[str, typer.Option(help="The firm's name.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask where a column had to be guessed.")
    ] = False,
) -> None:
    """Add mailboxes from a list; says what it recognized, and what it did line by line."""
    from msoauth.account_list import add_all, read_file, unlike_domains
    from msoauth.mailbox_table import MOST_BYTES

    try:
        content = read_bounded(file, MOST_BYTES)
    except OSError as error:
        raise InputError(
            _("{file} cannot be read: {reason}.").format(file=file.name, reason=error.strerror)
        ) from None
    with context.obj.open() as workspace:
        known = workspace.firms.get(firm)
        lines = read_file(file.name, content)
        if not yes:
            near = unlike_domains(workspace, known, (line.address for line in lines))
            _ask_about([*lines.doubts, *near], _("Add these mailboxes?"), lines.recognized)
        print_text(lines.recognized)
        added = not_added = 0
        for outcome in add_all(workspace, known.name, lines):
            number = outcome.line.number
            if outcome.account is None:
                not_added += 1
                print_text(
                    _("line {number}: not added: {why}").format(number=number, why=outcome.problem)
                )
            else:
                added += 1
                address = outcome.account.address
                print_text(
                    _("line {number}: added {address}").format(number=number, address=address)
                )
    print_text(_("Added: {added}, not added: {refused}.").format(added=added, refused=not_added))
    if not_added:
        raise typer.Exit(EXIT_FAILED)


def _ask_about(doubts: Sequence[str], question: str, recognized: str = "") -> None:
    """Ask whether to continue, if there are doubts.

    Raises:
        InputError: there is neither a terminal nor an answer.
        typer.Exit: the answer is no.
    """
    if doubts:
        confirm(" ".join(filter(None, [recognized, *doubts, question])), "--yes", explain=True)


@app.command("list")
def list_(
    context: typer.Context,
    firm: Annotated[str | None, typer.Option(help="Only this firm's.")] = None,
    json: Json = False,
) -> None:
    """All mailboxes of the workspace, and who has signed in."""
    with context.obj.open() as workspace:
        name = workspace.firms.get(firm).name if firm else None
        rows = [as_json(account, workspace) for account in workspace.accounts.list(name)]
    if json:
        for row in rows:
            print_json(row)
        return
    if not rows:
        print_text(_("No account yet. Add one with: msoauth account add ADDRESS --firm NAME"))
        return
    show_table(
        [_("Account"), _("Firm"), _("Retrieve"), _("Signed in as")],
        [
            (
                str(row["address"]),
                str(row["firm"]),
                str(row["retrieve"]),
                _signed_in(row),
            )
            for row in rows
        ],
        wrap=[1],
    )


def _signed_in(row: dict[str, object]) -> str:
    user = str(row["signed_in_as"] or _("not yet"))
    return _("itself") if same(user, str(row["address"])) else user


@app.command("change")
def change(
    context: typer.Context,
    address: Address,
    login: Annotated[
        str | None, typer.Option(metavar="UPN", help="Who signs in; the address itself to undo it.")
    ] = None,
    retrieve: Annotated[Retrieve | None, typer.Option(help="How mail is retrieved.")] = None,
) -> None:
    """Change who signs in to a mailbox (shared mailbox, other user name), or how its mail is retrieved."""
    from msoauth.account_list import account_from_text

    with context.obj.open() as workspace:
        current = workspace.accounts.get(address)
        new_account = account_from_text(
            current.address, current.firm, login or current.login, retrieve or current.protocol
        )
        if new_account.login and same(new_account.login, current.address):
            new_account = replace(new_account, login=None)
        workspace.accounts.replace(new_account)
    print_text(
        _("{address}: {user} signs in, mail is retrieved by {protocol}.").format(
            address=new_account.address,
            user=new_account.user,
            protocol=new_account.protocol.upper(),
        )
    )


@app.command("remove")
def remove(context: typer.Context, address: Address) -> None:
    """Forget a mailbox and its tokens. Findings stay in the journal; mail is not touched."""
    with context.obj.open() as workspace:
        account = workspace.accounts.get(address)
        workspace.accounts.remove(account.address)
    print_text(_("Removed {address}.").format(address=account.address))

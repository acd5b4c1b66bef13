"""``msoauth vault`` (the key that seals secrets and tokens) and ``msoauth workspace`` (export and import of everything)."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from msoauth.cli import files, prompts
from msoauth.cli.output import print_text, print_warnings, show_progress
from msoauth.errors import InputError
from msoauth.passphrase import problem as passphrase_problem
from msoauth.texts import _, ngettext

app = typer.Typer(help="The key that seals secrets and tokens.", no_args_is_help=True)
workspace_app = typer.Typer(
    help="The whole workspace: take it to another computer.", no_args_is_help=True
)

Stdin = Annotated[
    bool, typer.Option("--passphrase-stdin", help="Read the passphrase from stdin, one line.")
]


def _read_passphrase(label: str, *, from_stdin: bool, twice: bool) -> str:
    """Read a passphrase from a hidden prompt or from stdin, never from an argument."""
    if from_stdin:
        value = sys.stdin.readline().rstrip("\r\n")
    else:
        value = prompts.read_hidden(label, "--passphrase-stdin", twice=twice)
    if not value:
        raise InputError(_("No passphrase was given; nothing was changed."))
    return value


@app.command("show")
def show(context: typer.Context) -> None:
    """Where the key comes from."""
    with context.obj.open() as workspace:
        source = workspace.vault.source
    sources = {
        "passphrase": _("a passphrase (MSOAUTH_PASSPHRASE)"),
        "keyring": _("this computer's keyring"),
        "file": _("a key file in the workspace's folder"),
    }
    if source is None:
        print_text(_("Nothing is sealed yet."))
    else:
        print_text(_("The key comes from {source}.").format(source=sources[source]))


@app.command("passphrase")
def passphrase(context: typer.Context, passphrase_stdin: Stdin = False) -> None:
    """Set a passphrase, or another one. Nobody signs in again; MSOAUTH_PASSPHRASE holds the old one until then."""
    with context.obj.open() as workspace:
        workspace.vault.data_key()  # fail before asking if the current key does not open the vault
        new = _read_passphrase(_("New passphrase"), from_stdin=passphrase_stdin, twice=True)
        problem = passphrase_problem(new)
        if problem:
            raise InputError(problem)
        workspace.vault.change("passphrase", new)
    print_text(
        _(
            "● The vault is sealed with the new passphrase. Set MSOAUTH_PASSPHRASE to it from now on."
        )
    )


@app.command("source")
def source(
    context: typer.Context,
    where: Annotated[
        Literal["keyring", "file"],
        typer.Argument(metavar="PLACE", help="Where the key shall lie: keyring or file."),
    ],
) -> None:
    """Move the key to this computer's keyring or to a key file. For a passphrase: msoauth vault passphrase."""
    with context.obj.open() as workspace:
        workspace.vault.change(where)
        if where == "keyring":
            print_text(
                _(
                    "● The key lies in this computer's keyring; MSOAUTH_PASSPHRASE is not needed any more."
                )
            )
        else:
            print_text(_("● The key lies in a key file in the workspace's folder."))
        print_warnings(workspace.warnings)


@workspace_app.command("export")
def export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    passphrase_stdin: Stdin = False,
) -> None:
    """Write firms, accounts, secrets, tokens and findings to one file, sealed under a passphrase."""
    from msoauth.store import export

    with context.obj.open() as workspace:
        export.check_target(file)
        files.check_writable(file)
        file_passphrase = _read_passphrase(
            _("Passphrase for the file"), from_stdin=passphrase_stdin, twice=True
        )
        count = export.export_workspace(
            workspace, file, file_passphrase, on_progress=_show_row_count
        )
    show_progress("")
    print_text(
        ngettext(
            "● {file} holds the workspace, {n} row. Retrieved mail and notebooks are not in it.",
            "● {file} holds the workspace, {n} rows. Retrieved mail and notebooks are not in it.",
            count,
        ).format(file=file, n=f"{count:,}")
    )


@workspace_app.command("import")
def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of “workspace export”.")],
    passphrase_stdin: Stdin = False,
) -> None:
    """Fill an empty workspace from such a file: all of it, or nothing."""
    from msoauth.store import export

    with context.obj.open() as workspace:
        export.check_source(workspace, file)
        file_passphrase = _read_passphrase(
            _("Passphrase of the file"), from_stdin=passphrase_stdin, twice=False
        )
        notes = export.import_workspace(
            workspace, file, file_passphrase, on_progress=_show_row_count
        )
        show_progress("")
        firms, accounts = len(workspace.firms.list()), len(workspace.accounts.list())
        print_warnings((*workspace.warnings, *notes))
    print_text(
        _(
            "● Imported. Firms: {firms}, accounts: {accounts}. Nobody needs to sign in again."
        ).format(firms=firms, accounts=accounts)
    )


def _show_row_count(rows: int) -> None:
    show_progress(f"{rows:,} …")

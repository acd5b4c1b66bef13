"""``msoauth vault`` (the key that seals secrets and tokens) and ``msoauth workspace`` (export and import of everything)."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from msoauth.cli import files, prompts
from msoauth.cli.output import print_text, print_warnings, show_progress
from msoauth.errors import InputError
from msoauth.passphrase import current as current_passphrase
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
        value = prompts.read_line("--passphrase-stdin")
    else:
        value = prompts.read_hidden(label, "--passphrase-stdin", twice=twice)
    if not value:
        raise InputError(_("No passphrase was given; nothing was changed."))
    return value


@app.command("show")
def show(context: typer.Context) -> None:
    """Where the key comes from."""
    with context.obj.open() as workspace:
        source, refusal = workspace.vault.source, workspace.vault.refusal()
    sources = {
        "passphrase": _("a passphrase (MSOAUTH_PASSPHRASE)"),
        "keyring": _("this computer's keyring"),
        "file": _("a key file in the workspace's folder"),
    }
    if source is None:
        print_text(_("Nothing is sealed yet."))
    else:
        print_text(_("The key comes from {source}.").format(source=sources[source]))
    if refusal is not None:
        print_warnings([refusal.summary])


@app.command("passphrase")
def passphrase(context: typer.Context, passphrase_stdin: Stdin = False) -> None:
    """Set a passphrase, or another one. Nobody signs in again; MSOAUTH_PASSPHRASE holds the old one until then.

    Where the key comes from the keyring or a key file although MSOAUTH_PASSPHRASE is set, that passphrase is taken without asking.
    """
    with context.obj.open() as workspace:
        vault = workspace.vault
        vault.require_key()  # fail before asking if the current key does not open the vault
        moves = vault.source != "passphrase"
        given = current_passphrase() if moves and not passphrase_stdin else None
        new = given or _read_passphrase(
            _("New passphrase"), from_stdin=passphrase_stdin, twice=True
        )
        if problem := passphrase_problem(new):
            raise InputError(problem)
        count = vault.change("passphrase", new)
        print_text(
            _("● The key comes from the passphrase in MSOAUTH_PASSPHRASE now.")
            if given
            else _(
                "● The vault is sealed with the new passphrase. Set MSOAUTH_PASSPHRASE to it from now on."
            )
        )
        if moves:
            _print_rotated(count)
            return
        print_text(
            _(
                "Whoever knows the old passphrase and has an old copy of the database can also read what is stored from now "
                "on, until it is encrypted with a new key."
            )
        )
        if sys.stdin.isatty() and prompts.ask(_("Encrypt everything with a new key now?")):
            _print_rotated(vault.change(rotate=True))
        else:
            print_text(_("To do so: msoauth vault rotate"))


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
        count = workspace.vault.change(where)
        print_text(
            _("● The key lies in this computer's keyring.")
            if where == "keyring"
            else _("● The key lies in a key file in the workspace's folder.")
        )
        if current_passphrase() is not None:
            print_text(
                _(
                    "Unset MSOAUTH_PASSPHRASE: while it is set, msoauth does not open this workspace."
                )
            )
        _print_rotated(count)
        print_warnings(workspace.warnings)


@app.command("rotate")
def rotate(context: typer.Context) -> None:
    """Encrypt all secrets and tokens with a new key. Nobody signs in again.

    Do so when somebody else may know the key: who knew the passphrase, or had a copy of the key file, cannot read what is stored from then on.
    """
    with context.obj.open() as workspace:
        _print_rotated(workspace.vault.change(rotate=True))


def _print_rotated(count: int) -> None:
    """Say that everything has a new key, and what that does not change."""
    print_text(
        ngettext(
            "● {n} secret or token is encrypted with a new key.",
            "● {n} secrets and tokens are encrypted with a new key.",
            count,
        ).format(n=f"{count:,}")
    )
    print_text(
        _(
            "Older copies of the workspace (backups, exports) still open with the old key. If somebody else may have one, "
            "make what is in it worthless at Microsoft, in the Entra admin center:"
        )
    )
    print_text(
        _(
            "  Client secrets: App registrations → the app → Certificates & secrets → New client secret; "
            "store it with msoauth firm secret NAME, then delete the old one."
        )
    )
    print_text(
        _(
            "  Tokens: Users → the user → Revoke sessions; then the user signs in again with msoauth sign-in ADDRESS."
        )
    )


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

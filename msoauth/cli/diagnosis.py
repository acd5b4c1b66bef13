"""``msoauth diagnose``, ``letter`` (the request to the firm's IT) and ``record`` (the onboarding record)."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from msoauth import shells
from msoauth.cli import files, prompts, sign_in
from msoauth.cli.options import Address, Json
from msoauth.cli.output import console, exit_status, print_findings, print_on_stderr, print_text
from msoauth.errors import InputError, NothingToDoError
from msoauth.judgement import verdict
from msoauth.model import Account, Finding, Firm
from msoauth.terminal import decode
from msoauth.texts import _

if TYPE_CHECKING:
    from msoauth.checks import Context
    from msoauth.graph import Graph
    from msoauth.store import Workspace

Form = Literal["text", "markdown", "html", "eml"]
To = Annotated[
    Path | None,
    typer.Option("--to", metavar="FILE", help="Write it there.", show_default="the screen"),
]


def diagnose(
    context: typer.Context,
    address: Address,
    json: Json = False,
    bundle: Annotated[
        Path | None,
        typer.Option(metavar="FILE.zip", help="Also write a support bundle, without secrets."),
    ] = None,
    pseudonyms: Annotated[
        bool, typer.Option("--pseudonyms", help="In the bundle: other names for people and firm.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Write the bundle without asking.")
    ] = False,
    said: Annotated[
        str,
        typer.Option(metavar="TEXT|-", help="What the user saw on a page of the sign-in."),
    ] = "",
    send: Annotated[bool, typer.Option("--send", help="Also send a test mail.")] = False,
    round_trip: Annotated[
        bool, typer.Option("--round-trip", help="Also wait until it arrives.")
    ] = False,
    admin: Annotated[
        bool,
        typer.Option("--admin", help="Let an administrator sign in first, to read the directory."),
    ] = False,
    transcript: Annotated[
        bool, typer.Option("--transcript", help="Show the conversations with the mail servers.")
    ] = False,
) -> None:
    """Every check for one account, in order, and the first broken link."""
    from msoauth import checks

    if said == "-":
        said = decode(sys.stdin.buffer.read(1 << 20))
    if bundle is not None:
        files.check_writable(bundle)
    with context.obj.open() as workspace:
        account = workspace.accounts.get(address)
        firm = workspace.firms.get(account.firm)
        run = checks.Context(
            workspace, firm, account, options=checks.RunOptions(user_reported_error=said)
        )
        if admin:
            run.graph = _sign_in_administrator(workspace, firm)
        selection = (
            *checks.DIAGNOSE,
            *(checks.SEND if send or round_trip else ()),
            *(checks.ROUND_TRIP if round_trip else ()),
        )
        findings = print_findings(checks.run(selection, run), as_json=json)
        print_text(verdict(findings), on_stderr=json)
        if transcript:
            for name, conversation in run.state.ordered_transcripts().items():
                print_text(f"\n{name}\n{conversation.text()}", on_stderr=json)
        if bundle is not None:
            _write_bundle(
                workspace, run, findings, bundle, pseudonyms=pseudonyms, ask=not (yes or json)
            )
    raise typer.Exit(exit_status(finding.signal for finding in findings))


def _write_bundle(
    workspace: "Workspace",
    run: "Context",
    findings: list[Finding],
    path: Path,
    *,
    pseudonyms: bool,
    ask: bool,
) -> None:
    """Write a support bundle, after a confirmation if *ask* is true and there is a terminal."""
    from msoauth.reports.bundle import bundle as make_bundle

    bundle = make_bundle(
        workspace,
        run.firm,
        run.mailbox,
        findings,
        run.state.ordered_transcripts(),
        pseudonymised=pseudonyms,
    )
    print_on_stderr(_("The bundle {path} holds, without secrets:").format(path=path))
    for name, size in bundle.contents():
        print_on_stderr(f"{name} ({size:,} B)")
    while ask and sys.stdin.isatty():
        answer = (
            typer.prompt(_("Write it? (y)es, (n)o, (s)how all of it"), default="y").strip().lower()
        )
        if answer in ("s", "show"):
            for name, text in bundle.files.items():
                print_text(f"\n── {name}\n{bundle.index.text() if name == 'index.html' else text}")
        elif answer in ("n", "no", "nein"):
            print_on_stderr(_("Nothing was written."))
            return
        elif prompts.is_yes(answer):
            break
    files.write(path, bundle.as_zip())
    print_on_stderr(
        _("Written: {path}. To replay it: {command}").format(
            path=path,
            command=shells.command("practice serve --bundle {FILE}", FILE=str(path)),
        )
    )


def _sign_in_administrator(workspace: "Workspace", firm: Firm) -> "Graph":
    """Let an administrator sign in, and return a Graph client with that administrator's token."""
    from msoauth.graph import Graph
    from msoauth.identity import administrator

    print_on_stderr(
        _("The administrator's token stays in memory and is gone when this command ends.")
    )
    token = sign_in.wait_for(administrator.start(workspace, firm), on_stderr=True)
    return Graph(firm.cloud, token.value, signed_in_as=token.signed_in_as)


def letter(
    context: typer.Context,
    address: Annotated[
        str | None,
        typer.Argument(metavar="[ADDRESS]", help="Only for this mailbox.", show_default="all"),
    ] = None,
    firm: Annotated[
        str | None, typer.Option(metavar="NAME", help="The firm, for all its mailboxes.")
    ] = None,
    form: Annotated[Form, typer.Option("--form", help="What to make.")] = "text",
    to: To = None,
    recipient: Annotated[
        str, typer.Option(metavar="ADDRESS", help="To whom the mail goes (eml).")
    ] = "",
) -> None:
    """The request to the firm's IT: what only they can mend, out of the latest findings."""
    from msoauth.reports.letter import letter as write_letter

    with context.obj.open() as workspace:
        account, addressed_firm = _letter_scope(workspace, address, firm)
        try:
            new_letter = write_letter(workspace, addressed_firm, account)
        except NothingToDoError as nothing:
            print_on_stderr(nothing.summary)
            return
    if form == "eml":
        content = new_letter.eml(recipient)
    else:
        document = new_letter.document
        text = {"text": document.text, "markdown": document.markdown, "html": document.html}[form]()
        content = text.encode()
    _write_or_print(content, to)


def record(
    context: typer.Context,
    firm: Annotated[str, typer.Argument(metavar="FIRM", help="The firm's name.")],
    to: To = None,
) -> None:
    """The onboarding record of a firm, as one HTML page without secrets."""
    from msoauth.reports.record import record as write_record

    with context.obj.open() as workspace:
        page = write_record(workspace, workspace.firms.get(firm)).html()
    _write_or_print(page.encode(), to)


def _letter_scope(
    workspace: "Workspace", address: str | None, firm: str | None
) -> tuple[Account | None, Firm]:
    """The account (None for all) and the firm that a letter is about.

    Raises:
        InputError: neither was given, and the workspace does not have exactly one firm.
    """
    if address is not None:
        account = workspace.accounts.get(address)
        return account, workspace.firms.get(account.firm)
    if firm is not None:
        return None, workspace.firms.get(firm)
    firms = workspace.firms.list()
    if not firms:
        raise InputError(
            _("No firm yet. Add one with: msoauth firm add NAME --tenant … --client-id …")
        )
    if len(firms) > 1:
        raise InputError(_("Say for which mailbox (ADDRESS) or firm (--firm NAME)."))
    return None, firms[0]


def _write_or_print(content: bytes, to: Path | None) -> None:
    if to is None:
        console().file.write(content.decode())
        return
    files.write(to, content)
    print_on_stderr(_("Written: {file}").format(file=to))

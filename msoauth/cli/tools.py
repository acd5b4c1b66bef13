"""``msoauth lab`` (the guided notebooks), ``explain`` (any error text) and ``journal`` (the findings)."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from msoauth.cli.options import Json
from msoauth.cli.output import console, print_json, say, show_finding
from msoauth.errors import InputError
from msoauth.texts import _

if TYPE_CHECKING:
    from rich.console import Console

    from msoauth.explaining import Explanation

MAX_TEXT = 256 << 20  # bytes of one text that are read from stdin


def lab(
    context: typer.Context,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print the address.")
    ] = False,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, metavar="N", help="JupyterLab's port.")
    ] = None,
    real: Annotated[bool, typer.Option("--real", help="Never start the practice tenant.")] = False,
    app: Annotated[
        bool, typer.Option("--app", help="The panels alone, without code (needs Voilà).")
    ] = False,
) -> None:
    """Open the guided notebooks in JupyterLab; without a firm yet, on the practice tenant."""
    from msoauth.lab import open_lab

    with context.obj.open() as workspace:
        status = open_lab(
            workspace,
            context.obj.workspace,
            browser=not no_browser,
            port=port,
            real=real,
            app=app,
            language=context.obj.lang,
            say=say,
        )
    raise typer.Exit(status)


def explain(
    context: typer.Context,
    text: Annotated[
        str, typer.Argument(metavar="[TEXT|-]", help="The error text; - or nothing reads stdin.")
    ] = "-",
    json: Json = False,
    batch: Annotated[
        bool,
        typer.Option(
            "--batch", help="Read JSON lines {id, text}; print JSON lines {id, cause, …}."
        ),
    ] = False,
    firm: Annotated[
        str | None, typer.Option(metavar="NAME", help="Fill the links with this firm's ids.")
    ] = None,
    account: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Fill the commands with this mailbox.")
    ] = None,
) -> None:
    """The cause of any error text: what is wrong, who can mend it, and how."""
    from msoauth.explaining import batch as explain_lines
    from msoauth.explaining import explain as explain_text

    if batch:
        for line in explain_lines(_stdin_lines()):
            print(line, flush=True)
        return
    if text == "-":
        if sys.stdin.isatty():
            say(_("Paste the error text; end with Ctrl-D (Windows: Ctrl-Z, Enter)."), as_json=True)
        text = _stdin_text()
    if not text.strip():
        raise InputError(_("There is no text to explain: give it as an argument or on stdin."))
    known_firm, mailbox = None, None
    if firm or account:
        with context.obj.open() as workspace:
            mailbox = workspace.accounts.get(account) if account else None
            name = firm or (mailbox.firm if mailbox else "")
            known_firm = workspace.firms.get(name)
    found = explain_text(text, firm=known_firm, account=mailbox)
    if json:
        print_json(found.as_json())
    else:
        _show_explanation(found, console())


def _show_explanation(found: "Explanation", screen: "Console") -> None:
    """Print an explanation for people: the cause, the matching words, who can fix it and how."""
    from msoauth.explaining import who_in_words

    sure = {"sure": _("sure"), "likely": _("likely")}.get(found.confidence, _("not sure"))
    screen.print(
        Text.assemble((found.title, "bold"), (f"  ({found.cause}, {sure})", "bright_black"))
    )
    screen.print(Text(found.meaning))
    if found.evidence:
        said = _("The text says: {words}").format(words=_shortened(found.evidence))
        screen.print(Text(said, style="bright_black"))
    if found.who:
        screen.print(Text(_("Who can fix it: {who}").format(who=who_in_words(found.who))))
    for number, step in enumerate(found.fix, 1):
        screen.print(Text(f"  {number}. {step}"))
    for command in found.powershell:
        screen.print(Text(f"  PS> {command}", style="cyan"))
    for link in found.links:
        screen.print(Text(f"  {link.text}: {link.url}"))
    marks = {"codes": ", ".join(found.codes), **found.ids}
    said = "  ".join(f"{name.replace('_', ' ')} {value}" for name, value in marks.items() if value)
    if said:
        screen.print(Text(f"  {said}", style="bright_black"))


def _shortened(words: str) -> str:
    return words if len(words) <= 240 else f"{words[:240].rstrip()} …"


def _stdin_text() -> str:
    raw = sys.stdin.buffer.read(MAX_TEXT + 1)
    if len(raw) > MAX_TEXT:  # a stream that never ends would fill the memory
        raise InputError(
            _("The text is larger than {size} MB: give only the part around the failure.").format(
                size=MAX_TEXT >> 20
            )
        )
    return raw.decode("utf-8", "replace")


def _stdin_lines() -> Iterator[str]:
    """The lines of stdin; one that is too long is cut off, so that it is no valid JSON."""
    while raw := sys.stdin.buffer.readline(MAX_TEXT):
        rest = raw
        while len(rest) == MAX_TEXT and not rest.endswith(b"\n"):
            rest = sys.stdin.buffer.readline(MAX_TEXT)
        yield raw.decode("utf-8", "replace")


def journal(
    context: typer.Context,
    firm: Annotated[str | None, typer.Option(help="Only this firm's.")] = None,
    account: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Only this account's.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="From this day or moment (UTC) on, 2026-11-23."),
    ] = None,
    json: Json = False,
) -> None:
    """The findings: everything that was ever checked."""
    since_time = _parse_time(since)
    with context.obj.open() as workspace:
        name = workspace.firms.get(firm).name if firm else None
        screen = console()
        count, whose = 0, None
        for finding in workspace.journal.findings(firm=name, account=account, since=since_time):
            count += 1
            if json:
                print_json(finding.as_json())
            else:
                if whose != (finding.run, finding.firm, finding.account):
                    whose = (finding.run, finding.firm, finding.account)
                    when = f"{finding.at:%Y-%m-%d %H:%M:%S}Z"
                    head = f"{when}  {finding.firm}  {finding.account}".rstrip()
                    screen.print(Text(head, style="bright_black"))
                show_finding(finding, screen)
    if not count and not json:
        if firm or account or since:
            say(_("There is no such finding. All of them: msoauth journal"))
        else:
            say(_("No findings yet. They come with: msoauth firm check NAME"))


def _parse_time(text: str | None) -> datetime | None:
    """The time that an option holds, UTC without an offset; None without the option.

    Raises:
        InputError: it is neither a date nor a time.
    """
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(
            _("“{text}” is not a date like 2026-11-23 or 2026-11-23T18:00.").format(text=text[:40]),
            field="since",
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)

"""``msoauth lab`` (opens the guided notebooks), ``explain`` (explains an error text) and ``journal`` (lists findings)."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from msoauth.cli.options import Json
from msoauth.cli.output import console, print_json, print_text, show_finding
from msoauth.errors import InputError
from msoauth.redact import redact
from msoauth.terminal import decode
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
            no_practice=real,
            app=app,
            language=context.obj.lang,
            notify=print_text,
        )
    raise typer.Exit(status)


def explain(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT|-",
            help="The error text, also one that begins with a dash; - or nothing reads stdin.",
        ),
    ] = None,
    json: Json = False,
    batch: Annotated[
        bool,
        typer.Option(
            "--batch", help="Read JSON lines {id, text}; print JSON lines {id, cause, …}."
        ),
    ] = False,
    firm: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Fill the links with this firm's ids; its access decides, too."
        ),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Fill the commands with this mailbox; what is known of it decides where the text does not.",
        ),
    ] = None,
) -> None:
    """The cause of any error text: what is wrong, who can fix it, and how."""
    from msoauth.explaining import batch as explain_lines
    from msoauth.explaining import explain as explain_text

    if batch:
        for line in explain_lines(_stdin_lines()):
            print_text(line)
        return
    text = " ".join(words or ["-"])
    if text == "-":
        if sys.stdin.isatty():
            print_text(
                _("Paste the error text; end with Ctrl-D (Windows: Ctrl-Z, Enter)."), on_stderr=True
            )
        text = _stdin_text()
    if not text.strip():
        raise InputError(_("There is no text to explain: give it as an argument or on stdin."))
    firm_for_links, mailbox, known = None, None, None
    if firm or account:
        from msoauth.identity.known_facts import known_facts

        with context.obj.open() as workspace:
            mailbox = workspace.accounts.get(account) if account else None
            name = firm or (mailbox.firm if mailbox else "")
            firm_for_links = workspace.firms.get(name)
            known = known_facts(workspace, firm=firm_for_links, account=mailbox)
    explanation = explain_text(text, firm=firm_for_links, account=mailbox, known=known)
    if json:
        print_json(explanation.as_json())
    else:
        _show_explanation(explanation, text, console())


def _show_explanation(explanation: "Explanation", text: str, screen: "Console") -> None:
    """Print the explanation of *text* for people: the cause, the words that show it, who can fix it and how."""
    from msoauth.explaining import who_in_words
    from msoauth.explaining.explanation import confidence_in_words, words_with_basis

    screen.print(
        Text.assemble((explanation.title, "bold"), (f"  ({explanation.cause})", "bright_black"))
    )
    screen.print(Text(explanation.meaning))
    if explanation.evidence:
        matching_words = _("The text says: {words}").format(words=_shorten(explanation.evidence))
        screen.print(Text(matching_words, style="bright_black"))
    if explanation.cause == "unknown":
        screen.print(
            Text(
                _(
                    "Notebook 4 adds the text to a support bundle, and shows first what is taken out."
                )
            )
        )
    else:
        certainty = confidence_in_words(explanation.confidence)
        screen.print(Text(_("How certain: {certainty}").format(certainty=certainty)))
    if words := "; ".join(words_with_basis(explanation, text)):
        screen.print(Text(_("The answer rests on: {words}").format(words=words)))
    if explanation.because:
        screen.print(Text(_("Known about it: {fact}").format(fact=explanation.because)))
    if others := explanation.possibilities[1:]:
        titles = "; ".join(f"{other.title} ({other.cause})" for other in others)
        screen.print(Text(_("Otherwise it may be: {causes}").format(causes=titles)))
    if explanation.who:
        screen.print(Text(_("Who can fix it: {who}").format(who=who_in_words(explanation.who))))
    for number, step in enumerate(explanation.fix, 1):
        screen.print(Text(f"  {number}. {step}"))
    for command in explanation.powershell:
        screen.print(Text(f"  PS> {command}", style="cyan"))
    for link in explanation.links:
        screen.print(Text(f"  {link.text}: {link.url}"))
    codes_and_ids = {"codes": ", ".join(explanation.codes), **explanation.ids}
    ids = "  ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in codes_and_ids.items() if value
    )
    if ids:
        screen.print(Text(f"  {ids}", style="bright_black"))


def _shorten(words: str) -> str:
    return words if len(words) <= 240 else f"{words[:240].rstrip()} …"


def _stdin_text() -> str:
    """Read all of stdin as text.

    Raises:
        InputError: it is larger than :data:`MAX_TEXT`.
    """
    raw = sys.stdin.buffer.read(MAX_TEXT + 1)
    if len(raw) > MAX_TEXT:  # an endless stream would fill the memory
        raise InputError(
            _("The text is larger than {size} MB: give only the part around the failure.").format(
                size=MAX_TEXT >> 20
            )
        )
    return decode(raw)


def _stdin_lines() -> Iterator[str]:
    """The lines of stdin; one that is too long is cut off, which makes it invalid JSON."""
    while raw := sys.stdin.buffer.readline(MAX_TEXT):
        chunk = raw
        while len(chunk) == MAX_TEXT and not chunk.endswith(b"\n"):
            chunk = sys.stdin.buffer.readline(MAX_TEXT)
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
        count, previous_key = 0, None
        for finding in workspace.journal.findings(firm=name, account=account, since=since_time):
            count += 1
            if json:
                print_json(finding.as_json())
            else:
                if previous_key != (finding.run, finding.firm, finding.account):
                    previous_key = (finding.run, finding.firm, finding.account)
                    time = f"{finding.at:%Y-%m-%d %H:%M:%S}Z"
                    head = f"{time}  {finding.firm}  {finding.account}".rstrip()
                    screen.print(Text(head, style="bright_black"))
                show_finding(finding, screen)
    if not count and not json:
        if firm or account or since:
            print_text(_("There is no such finding. All of them: msoauth journal"))
        else:
            print_text(_("No findings yet. They come with: msoauth firm check NAME"))


def _parse_time(text: str | None) -> datetime | None:
    """Parse the time of an option, in UTC unless it has an offset; None if the option was not given.

    Raises:
        InputError: the text is neither a date nor a time.
    """
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(
            _("“{text}” is not a date like 2026-11-23 or 2026-11-23T18:00.").format(
                text=redact(text, 40)
            ),
            field="since",
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)

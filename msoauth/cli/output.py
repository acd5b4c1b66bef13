"""Prints what commands have to say: JSON on stdout, text for people (on stderr beside JSON), findings with remedies."""

import io
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from msoauth.errors import MsoauthError
from msoauth.model import Finding, Signal
from msoauth.redact import redact
from msoauth.texts import _

if TYPE_CHECKING:
    from msoauth.store import Workspace

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_ERROR = 3
EXIT_INTERRUPTED = 130

COLOURS = {
    Signal.PASSED: "green",
    Signal.WARNING: "yellow",
    Signal.FAILED: "red",
    Signal.ERROR: "magenta",
    Signal.SKIPPED: "bright_black",
    Signal.NOT_RUN: "bright_black",
}


@dataclass(frozen=True)
class Settings:
    """The global options, given before the command."""

    workspace: str | None
    lang: str | None = None

    def open(self) -> "Workspace":
        """Open the workspace; its warnings are printed on stderr.

        Raises:
            MsoauthError: it cannot be opened.
        """
        from msoauth.store import (
            Workspace,  # takes a third of a second, and not every command needs it
        )

        workspace = Workspace.open(self.workspace)
        say_warnings(workspace.warnings)
        return workspace


def utf8_streams() -> None:
    """Write UTF-8 to stdout and stderr, also on a Windows console and into a pipe."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


def say_on_stderr(sentence: str) -> None:
    """Print one line on stderr."""
    print(" ".join(sentence.split()), file=sys.stderr, flush=True)


def say_warnings(warnings: Iterable[str]) -> None:
    """Print each warning on a line of stderr."""
    for warning in warnings:
        say_on_stderr(_("Note: {warning}").format(warning=warning))


def show_progress(text: str) -> None:
    """Show *text* in place of the last progress text, if stderr is a terminal; empty text clears the line."""
    if sys.stderr.isatty():
        print(end=f"\r\x1b[K{text}", file=sys.stderr, flush=True)


def say(text: str = "", *, as_json: bool = False) -> None:
    """Print text for people: on stdout, or on stderr when stdout is for JSON."""
    print(text, file=sys.stderr if as_json else sys.stdout, flush=True)


def print_json(value: Mapping[str, Any]) -> None:
    """Print a JSON object on one line of stdout."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def console(*, as_json: bool = False) -> Console:
    """A rich console on the stream for people: stdout, or stderr when stdout is for JSON."""
    return Console(file=sys.stderr if as_json else sys.stdout, highlight=False, soft_wrap=True)


def show_finding(finding: Finding, screen: Console) -> None:
    """Print a finding for people: its line, and the remedy if it is not passed."""
    shape, colour = finding.signal.shape, COLOURS[finding.signal]
    line = Text.assemble(
        (f"{shape} {finding.signal!s:8}", colour),
        f" {finding.check:24} ",
        finding.summary,
        (f"  {finding.seconds:.1f} s" if finding.seconds >= 0.05 else "", "bright_black"),
    )
    screen.print(line)
    if finding.signal in (Signal.PASSED, Signal.SKIPPED, Signal.NOT_RUN):
        return
    _show_remedy(finding, screen)


def _show_remedy(found: Finding | MsoauthError, screen: Console) -> None:
    """Print the remedy: the server's own words, the cause, who can fix it, how, and the ids."""
    from msoauth.explaining import for_cause, who_in_words  # read only when something failed

    # What the catalogue says of unknown words is of no use where there are none.
    unknown = found.cause == "unknown" and not found.evidence
    known = for_cause(found.cause) if found.cause and not unknown else None
    if isinstance(found, Finding):
        who, fix, links = found.who, found.fix, found.links
    else:
        who, fix, links = (known.who, known.fix, ()) if known else ("", (), ())
    if found.evidence:
        said = _("The server said: {words}").format(words=redact(found.evidence))
        screen.print(Text(f"    {said}", style="bright_black"))
    if known:
        cause = _("Cause: {title} ({cause}).").format(title=known.title, cause=found.cause)
        who_can_fix = _("Who can fix it: {who}").format(who=who_in_words(who))
        screen.print(Text(f"    {cause} {who_can_fix}"))
    for number, step in enumerate(fix, 1):
        screen.print(Text(f"    {number}. {step}"))
    for link in links:
        screen.print(Text(f"    {link.text}: {link.url}"))
    if found.ids:
        ids = "  ".join(f"{name.replace('_', ' ')} {value}" for name, value in found.ids.items())
        screen.print(Text(f"    {ids}", style="bright_black"))


def print_findings(findings: Iterable[Finding], *, as_json: bool) -> list[Finding]:
    """Print findings as they come; returns all of them."""
    screen = console(as_json=as_json)
    printed = []
    for finding in findings:
        printed.append(finding)
        if as_json:
            print_json(finding.as_json())
        else:
            show_finding(finding, screen)
    return printed


def exit_status(results: Iterable[Signal]) -> int:
    """The exit status for these signals: failed wins over error, error over everything else."""
    signals = set(results)
    if Signal.FAILED in signals:
        return EXIT_FAILED
    return EXIT_ERROR if Signal.ERROR in signals else 0


def print_failure(failure: MsoauthError, *, as_json: bool = False) -> int:
    """Print an exception, such as that of a failed sign-in, with its remedy; returns the exit status."""
    screen = Console(stderr=True, highlight=False, soft_wrap=True) if as_json else console()
    screen.print(Text(f"✖ {redact(failure.summary)}", style="red"))
    _show_remedy(failure, screen)
    return EXIT_FAILED

"""Prints the output of commands: JSON on stdout, text for people (on stderr beside JSON), findings with remedies."""

import io
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from msoauth.errors import MsoauthError, is_local
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.redact import redact
from msoauth.sanitize import json_text, one_line, visible
from msoauth.terminal import Screen, raw
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
    """The global options, which precede the command."""

    workspace: str | None
    lang: str | None = None

    def open(self) -> "Workspace":
        """Open the workspace and print its warnings on stderr.

        Raises:
            MsoauthError: it cannot be opened.
        """
        from msoauth.store import Workspace  # takes a third of a second; not every command needs it

        workspace = Workspace.open(self.workspace)
        print_warnings(workspace.warnings)
        return workspace


def utf8_streams() -> None:
    """Write UTF-8 to stdout and stderr, also on a Windows console and into a pipe."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


def print_on_stderr(sentence: str) -> None:
    """Print one line on stderr."""
    print(one_line(" ".join(sentence.split())), file=sys.stderr, flush=True)


def print_warnings(warnings: Iterable[str]) -> None:
    """Print each warning on a line of its own on stderr."""
    for warning in warnings:
        print_on_stderr(_("Note: {warning}").format(warning=warning))


def show_progress(text: str) -> None:
    """Replace the progress text on stderr if that is a terminal; an empty text clears the line.

    The rest of the line is overwritten by blanks: an old Windows console would show a control sequence as it is.
    """
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        line = one_line(text)[:width]
        clear = "" if line else "\r"
        print(end=f"\r{line:{width}}{clear}", file=raw(sys.stderr), flush=True)


def print_text(text: str = "", *, on_stderr: bool = False) -> None:
    """Print text for people on stdout, or on stderr if stdout is for JSON or a result."""
    # Already here, because rich reads what is printed during its progress display as if it were its own.
    print(visible(text), file=sys.stderr if on_stderr else sys.stdout, flush=True)


def print_json(value: Mapping[str, Any]) -> None:
    """Print a JSON object on one line of stdout, in ASCII."""
    print(json_text(value, ascii_only=True), flush=True)


def console(*, on_stderr: bool = False) -> Console:
    """A rich console for text for people: on stdout, or on stderr if stdout is for JSON."""
    return Screen(stderr=on_stderr, soft_wrap=True)


def show_finding(finding: Finding, screen: Console) -> None:
    """Print a finding for people on one line, followed by the remedy if it is a problem."""
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


def _show_remedy(
    problem: Finding | MsoauthError,
    screen: Console,
    firm: Firm | None = None,
    account: Account | None = None,
) -> None:
    """Print the remedy of a problem: the server's response, the cause, who can fix it and how, and the ids."""
    from msoauth.explaining import (
        for_cause,
        who_in_words,
    )  # imported lazily: the catalogue is needed only for problems

    # The catalogue's advice about an unknown error text is useless without a text.
    nothing_to_explain = problem.cause == "unknown" and not problem.evidence
    explanation = (
        for_cause(problem.cause, firm=firm, account=account, details=problem.details)
        if problem.cause and not nothing_to_explain
        else None
    )
    if isinstance(problem, Finding):
        who, fix, links = problem.who, problem.fix, problem.links
    elif is_local(problem):
        explanation, who, fix, links = None, "", problem.fix, ()
    else:
        who, fix, links = (explanation.who, explanation.fix, ()) if explanation else ("", (), ())
    if problem.evidence:
        # Without a cause, what is wrong is on this computer.
        text = _("The server said: {words}") if explanation else _("Details: {words}")
        response = text.format(words=redact(problem.evidence))
        screen.print(Text(f"    {response}", style="bright_black"))
    if explanation:
        sentence = (
            _("Cause: {title} ({cause}).")
            if problem.confidence in ("", "certain")
            else _("Cause, not certain: {title} ({cause}).")
        )
        cause = sentence.format(title=explanation.title, cause=problem.cause)
        who_can_fix = _("Who can fix it: {who}").format(who=who_in_words(who))
        screen.print(Text(f"    {cause} {who_can_fix}"))
    for number, step in enumerate(fix, 1):
        screen.print(Text(f"    {number}. {step}"))
    for link in links:
        screen.print(Text(f"    {link.text}: {link.url}"))
    if problem.ids:
        ids = "  ".join(f"{name.replace('_', ' ')} {value}" for name, value in problem.ids.items())
        screen.print(Text(f"    {ids}", style="bright_black"))


def print_findings(findings: Iterable[Finding], *, as_json: bool) -> list[Finding]:
    """Print findings as they come, and return all of them."""
    screen = console(on_stderr=as_json)
    printed = []
    for finding in findings:
        printed.append(finding)
        if as_json:
            print_json(finding.as_json())
        else:
            show_finding(finding, screen)
    return printed


def exit_status(signals: Iterable[Signal]) -> int:
    """The exit status for these signals: a failed check takes precedence over one that could not be carried out."""
    distinct = set(signals)
    if Signal.FAILED in distinct:
        return EXIT_FAILED
    return EXIT_ERROR if Signal.ERROR in distinct else 0


def print_failure(
    error: MsoauthError,
    *,
    on_stderr: bool = False,
    firm: Firm | None = None,
    account: Account | None = None,
) -> int:
    """Print an error, such as that of a failed sign-in, with its remedy, and return the exit status.

    Args:
        firm, account: Whose sign-in it was, so that the steps name the user and the mailbox.
    """
    screen = console(on_stderr=on_stderr)
    screen.print(Text(f"✖ {redact(error.summary)}", style="red"))
    _show_remedy(error, screen, firm, account)
    return EXIT_FAILED

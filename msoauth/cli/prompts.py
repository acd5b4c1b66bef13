"""Asks on the terminal for a hidden secret or a yes or no; without a terminal the error names the option to use."""

import codecs
import sys

import typer

from msoauth.cli.output import EXIT_INTERRUPTED, print_on_stderr
from msoauth.errors import InputError
from msoauth.texts import _


def read_hidden(label: str, option: str, *, twice: bool = False) -> str:
    """Ask for a secret without showing it; empty if nothing was typed.

    Args:
        option: The option by which a script provides the secret instead.
        twice: Ask for it twice, to detect a typing error.

    Raises:
        InputError: there is no terminal.
    """
    if not sys.stdin.isatty():
        raise _no_terminal(option)
    while True:
        secret = _ask_hidden(label)
        if not secret.isprintable():
            print_on_stderr(
                _(
                    "Ctrl-V pastes nothing in this window: paste with the right mouse button. Once more:"
                )
            )
            continue
        if not twice or not secret or _ask_hidden(_("The same once more")) == secret:
            return secret
        print_on_stderr(_("The two were not the same; try again."))


def read_line(option: str, *, strip: bool = False) -> str:
    """A line of stdin, as UTF-8: what a shell put into other characters would be another secret.

    Args:
        option: The option that asked for it, for the error.
        strip: Blanks at the edges are none of it.

    Raises:
        InputError: it is not UTF-8, or begins or ends with a blank, as ``echo secret | …`` in cmd makes it.
    """
    raw = sys.stdin.buffer.readline().rstrip(b"\r\n").removeprefix(codecs.BOM_UTF8)
    try:
        line = raw.decode()
    except UnicodeDecodeError:
        raise InputError(
            _(
                "The line on stdin is not UTF-8: cmd and Windows PowerShell send other characters. Leave {option} out and type it when asked."
            ).format(option=option)
        ) from None
    if strip:
        return line.strip()
    if line != line.strip():
        raise InputError(
            _(
                "The line on stdin begins or ends with a blank; in cmd, echo adds one. Leave {option} out and type it when asked."
            ).format(option=option)
        )
    return line


def confirm(question: str, option: str, *, explain: bool = False) -> None:
    """Ask a yes-or-no question and exit on no; a script may pipe the answer to stdin.

    Args:
        option: The option that skips the question.
        explain: Say the question in the error, too, because it holds what the user must check.

    Raises:
        InputError: there is neither a terminal nor an answer.
        typer.Exit: the answer is no.
    """
    if sys.stdin.isatty():
        agreed = ask(question)
    else:
        answer = sys.stdin.readline()
        if not answer:
            raise _no_terminal(option, question if explain else "")
        agreed = is_yes(answer)
    if not agreed:
        print_on_stderr(_("Nothing was changed."))
        raise typer.Exit(EXIT_INTERRUPTED)


def ask(question: str) -> bool:
    """Ask a yes-or-no question on the terminal, and return whether the answer is yes."""
    choice = _("(y)es, (n)o")
    return is_yes(str(typer.prompt(f"{question} {choice}", default="n", err=True)))


def is_yes(answer: str) -> bool:
    """Whether an answer is a yes, in English or German."""
    return answer.strip().lower() in ("y", "yes", "j", "ja")


def _ask_hidden(label: str) -> str:
    return str(typer.prompt(label, default="", show_default=False, hide_input=True, err=True))


def _no_terminal(option: str, question: str = "") -> InputError:
    text = _("There is no terminal to ask on; use {option}.").format(option=option)
    return InputError(f"{question} {text}".strip())

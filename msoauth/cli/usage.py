"""What is wrong with a command line, as sentences: the framework's complaints, and which option a value was given to."""

import re
from typing import Any

import typer
from typer.core import TyperCommand

from msoauth.errors import InputError
from msoauth.texts import _

# typer brings its own copy of click in newer versions and takes click itself in older ones: the classes are
# those that its own BadParameter descends from.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]
CommandError: type[Exception] = typer.BadParameter.__mro__[2]


def sentence(wrong: BaseException) -> str:
    """The framework's complaint as one sentence, whichever version of typer made it.

    Newer ones pass on pydantic's words, which are written for programmers and end without a full stop.
    """
    said = getattr(wrong, "format_message", None)
    text = " ".join(str(said() if callable(said) else wrong).split())
    text = text.replace(": Value error, ", ": ").replace(": Input should be ", ": it must be ")
    text = re.sub(r", unable to parse string as an? \w+$", "", text)
    return text if not text or text.endswith((".", "?", "!")) else f"{text}."


class Command(TyperCommand):
    """A command that names the option or argument whose value cannot be used."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            InputError: what the user gave cannot be used; the sentence begins with the option's name.
            typer.Abort: Ctrl-C was pressed, whatever the version of typer makes of it.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None
        except InputError as wrong:
            summary = self._named(wrong, ctx.params)
            raise InputError(summary, field=wrong.field, cause=wrong.cause) from None

    def _named(self, wrong: InputError, given: dict[str, Any]) -> str:
        option = f"--{wrong.field.replace('_', '-')}"
        for parameter in self.params:
            if option in parameter.opts:
                name = option
            # An argument has no name that people type: it is named where the sentence does not show it.
            elif parameter.name == wrong.field and str(given.get(wrong.field)) not in wrong.summary:
                name = parameter.metavar or wrong.field.upper()
            else:
                continue
            return _("{option}: {problem}").format(option=name, problem=wrong.summary)
        return wrong.summary


def name_options(app: typer.Typer) -> None:
    """Make every command under *app* a :class:`Command`."""
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            name_options(group.typer_instance)

"""Adapts typer: usage errors become one sentence that names the option, and help texts are translated."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from msoauth.errors import InputError
from msoauth.texts import _

# typer brings its own copy of click in newer versions and takes click itself in older ones: the classes are
# those that its own BadParameter descends from.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]
CommandError: type[Exception] = typer.BadParameter.__mro__[2]

if TYPE_CHECKING:
    _Base = TyperCommand
else:
    _Base = object


def error_message(wrong: BaseException) -> str:
    """The message of a usage error as one sentence, for all versions of typer.

    Newer ones pass on pydantic's wording, which is written for programmers and has no full stop.
    """
    said = getattr(wrong, "format_message", None)
    text = " ".join(str(said() if callable(said) else wrong).split())
    text = text.replace(": Value error, ", ": ").replace(": Input should be ", ": it must be ")
    text = re.sub(r", unable to parse string as an? \w+$", "", text)
    return text if not text or text.endswith((".", "?", "!")) else f"{text}."


class _PlainHelp(_Base):
    """Help without the ``<bool>`` that newer versions of typer print behind options without a value."""

    def get_params(self, ctx: Any) -> Any:
        """The options and arguments, with their placeholders for values."""
        parameters: Any = super().get_params(ctx)
        for parameter in parameters:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
            if parameter.name == "help":
                parameter.help = _("Show this message and exit.")
        return parameters


class Group(_PlainHelp, TyperGroup):
    """A command with subcommands."""


class Command(_PlainHelp, TyperCommand):
    """A command whose error message names the option or argument with the unusable value."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            InputError: a value cannot be used; the sentence begins with the option's name.
            typer.Abort: Ctrl-C was pressed.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None
        except InputError as wrong:
            summary = self._with_option(wrong, ctx.params)
            raise InputError(summary, field=wrong.field, cause=wrong.cause) from None

    def _with_option(self, wrong: InputError, given: dict[str, Any]) -> str:
        option = f"--{wrong.field.replace('_', '-')}"
        for parameter in self.params:
            if option in parameter.opts:
                name = option
            # Nobody types an argument's name, so it is added only if the sentence does not show the value.
            elif parameter.name == wrong.field and str(given.get(wrong.field)) not in wrong.summary:
                name = parameter.metavar or wrong.field.upper()
            else:
                continue
            return _("{option}: {problem}").format(option=name, problem=wrong.summary)
        return wrong.summary


def help_texts(command: Any) -> Iterator[str]:
    """The English help texts of a command and all its subcommands, for the translation catalogue."""
    for owner, name in _texts(command):
        yield getattr(owner, name)


def translate(command: Any) -> None:
    """Translate the help texts of a command and all its subcommands into the current language."""
    for owner, name in _texts(command):
        setattr(owner, name, _(getattr(owner, name)))


def _texts(command: Any) -> Iterator[tuple[Any, str]]:
    """Each object with a help text, and the name of the attribute that holds it."""
    owners = [(command, "help")]
    for parameter in command.params:
        owners += [(parameter, "help"), (parameter, "show_default")]
    for owner, name in owners:
        text = getattr(owner, name, None)
        if isinstance(text, str) and text:
            yield owner, name
    for subcommand in getattr(command, "commands", {}).values():
        yield from _texts(subcommand)


def use_command_classes(app: typer.Typer) -> None:
    """Make every command of *app* a :class:`Command`, and every group a :class:`Group`."""
    app.info.cls = Group
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            use_command_classes(group.typer_instance)

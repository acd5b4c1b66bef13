"""Adapts typer: a usage error becomes one sentence that names the option, and help texts are translated."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from msoauth.errors import InputError
from msoauth.terminal import raw_streams
from msoauth.texts import _

# Newer versions of typer contain a copy of click, older ones depend on click: take the classes from typer's own
# BadParameter, which derives from them.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]
CommandError: type[Exception] = typer.BadParameter.__mro__[2]

_TAKES_ANY_TEXT = {"explain"}

if TYPE_CHECKING:
    _Base = TyperCommand
else:
    _Base = object


def error_message(error: BaseException) -> str:
    """The message of a usage error as one sentence, for all versions of typer.

    Newer versions pass on pydantic's wording, which is written for programmers and has no full stop.
    """
    format_message = getattr(error, "format_message", None)
    text = " ".join(str(format_message() if callable(format_message) else error).split())
    text = text.replace(": Value error, ", ": ").replace(": Input should be ", ": it must be ")
    text = re.sub(r", unable to parse string as an? \w+$", "", text)
    return text if not text or text.endswith((".", "?", "!")) else f"{text}."


class _PlainHelp(_Base):
    """Help without the ``<bool>`` that newer versions of typer print after options that take no value."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help, which is in colours on a terminal."""
        with raw_streams():
            super().format_help(ctx, formatter)

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

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; what begins with a dash but is no option is text to a command that takes any text."""
        if self.name in _TAKES_ANY_TEXT:
            options, text = self._split(ctx, args)
            args = options if text is None else [*options, "--", *text]
        return super().parse_args(ctx, args)

    def _split(self, ctx: Any, args: list[str]) -> tuple[list[str], list[str] | None]:
        """Split *args* into options with their values, and the rest: ``-ERR Authentication failure`` is no option.

        The rest is None if the last option lacks its value, which click then tells.
        """
        takes_value = {
            name: not getattr(parameter, "is_flag", False)
            for parameter in self.get_params(ctx)
            for name in parameter.opts
        }
        options: list[str] = []
        text: list[str] = []
        foreign: list[str] = []
        rest = iter(args)
        for argument in rest:
            if argument == "--":
                text += rest
            elif argument in takes_value:
                options.append(argument)
                if takes_value[argument]:
                    value = next(rest, None)
                    if value is None:
                        return options, None
                    options.append(value)
            elif match := re.fullmatch(r"(--[a-z][\w-]*)(?:=.*)?", argument):
                known = match[1] in takes_value  # with its value
                # Another program's option in its message is text; a mistyped one of ours is not.
                if known or get_close_matches(match[1], takes_value, cutoff=0.7):
                    options.append(argument)
                else:
                    foreign.append(argument)
                    text.append(argument)
            else:
                text.append(argument)
        if text == foreign:  # no text beside them
            return [*options, *foreign], []
        return options, text

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            InputError: a value cannot be used; the message begins with the option's name.
            typer.Abort: Ctrl-C was pressed.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None
        except InputError as error:
            message = self._with_option(error, ctx.params)
            raise InputError(message, field=error.field, cause=error.cause) from None

    def _with_option(self, error: InputError, values: dict[str, Any]) -> str:
        """The error's message, preceded by the option or argument that it is about."""
        option = f"--{error.field.replace('_', '-')}"
        for parameter in self.params:
            if option in parameter.opts:
                name = option
            # Users do not type an argument's name, so it is added only if the message does not show the value.
            elif (
                parameter.name == error.field and str(values.get(error.field)) not in error.summary
            ):
                name = parameter.metavar or error.field.upper()
            else:
                continue
            return _("{option}: {problem}").format(option=name, problem=error.summary)
        return error.summary


def help_texts(command: Any) -> Iterator[str]:
    """The English help texts of a command and all its subcommands, for the translation catalogue."""
    for holder, name in _texts(command):
        yield getattr(holder, name)


def translate(command: Any) -> None:
    """Translate the help texts of a command and all its subcommands into the current language."""
    for holder, name in _texts(command):
        setattr(holder, name, _(getattr(holder, name)))


def _texts(command: Any) -> Iterator[tuple[Any, str]]:
    """Each object with a help text, and the name of the attribute that holds it."""
    holders = [(command, "help")]
    for parameter in command.params:
        holders += [(parameter, "help"), (parameter, "show_default")]
    for holder, name in holders:
        text = getattr(holder, name, None)
        if isinstance(text, str) and text:
            yield holder, name
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

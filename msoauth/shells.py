"""Quotes what people copy into a shell: the arguments of msoauth's own commands, and strings for PowerShell.

A quoted value is data wherever it came from: no part of it becomes a command, a variable or an option.
"""

import os
import re
import shlex
from collections.abc import Mapping
from typing import Literal

from msoauth.sanitize import is_harmless, one_line

Shell = Literal["sh", "powershell", "cmd"]

# PowerShell takes these for single quotes, too (about_Quoting_Rules; CharTraits.cs: IsSingleQuote).
_SINGLE_QUOTES = "'‘’‚‛"
_PLACEHOLDER = re.compile(r"(\S*)\{([A-Z]+)\}")
# Every shell takes these words as they are, and the next ones inside double quotes.
_BARE = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_.@:/+-]*")
_IN_DOUBLE_QUOTES = re.compile(r"[\w.@:/+, -]*")


def current(environment: Mapping[str, str] = os.environ) -> Shell:
    """The shell in which the user types, as far as the environment tells.

    cmd sets PROMPT. PowerShell puts a folder of the user's own into PSModulePath, which Windows itself sets for all
    programs; elsewhere only PowerShell sets it.
    """
    modules = environment.get("PSModulePath", "")
    if environment.get("OS") != "Windows_NT":
        return "powershell" if modules else "sh"
    of_the_user = re.search(r"[\\/](?:Windows)?PowerShell[\\/]Modules(?:;|$)", modules) and (
        re.search(r"[\\/]Users[\\/]|[\\/]Documents[\\/]", modules, re.IGNORECASE)
    )
    return "powershell" if of_the_user and "PROMPT" not in environment else "cmd"


def command(template: str, *, target: Shell | None = None, **values: str) -> str:
    """A command of msoauth that can be copied into the shell: ``{NAME}`` in the template becomes the quoted value.

    A value that this shell cannot take as one argument leaves its placeholder, for the user to fill in.

    >>> command("firm check {NAME}", NAME="Meyer & Söhne", target="sh")
    "msoauth firm check 'Meyer & Söhne'"

    Args:
        target: None for the current one.
        values: By placeholder, in capitals.
    """
    shell = target or current()

    def fill(match: re.Match[str]) -> str:
        before, name = match.groups()
        quoted = argument(values[name], shell)
        if quoted is None:
            return f"{before}{name}"
        is_option = template[: match.start()].split()[-1:][0].startswith("--")
        dashes = "-- " if values[name].startswith("-") and not (is_option or before) else ""
        return f"{before}{dashes}{quoted}"

    return "msoauth " + _PLACEHOLDER.sub(fill, template)


def argument(value: str, shell: Shell) -> str | None:
    """*value* as one argument of a program, quoted where it must be; None if this shell has no safe way to write it."""
    if not is_harmless(value):
        return None  # line feeds and other control characters
    if _BARE.fullmatch(value):
        return value
    if _IN_DOUBLE_QUOTES.fullmatch(value):
        return f'"{value}"'
    if shell == "sh":
        return shlex.quote(value)
    # Windows PowerShell and PowerShell 7.3 pass a double quote on to a program in different ways; so does cmd, which
    # expands variables inside quotes as well.
    if '"' in value or value.endswith("\\") or (shell == "cmd" and re.search(r"[%!^]", value)):
        return None
    return powershell_string(value) if shell == "powershell" else f'"{value}"'


def powershell_string(value: str) -> str:
    """*value* as a string of PowerShell in which nothing is expanded; control characters are shown, not written.

    >>> powershell_string("O’Hara's $(calc)")
    "'O’’Hara''s $(calc)'"
    """
    doubled = "".join(c * 2 if c in _SINGLE_QUOTES else c for c in one_line(value))
    return f"'{doubled}'"

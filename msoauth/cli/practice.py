"""``msoauth practice serve``, ``enrol`` and ``scenarios``: runs the practice tenant and lists what can go wrong in it.

The practice tenant simulates Microsoft 365 on this computer: its sign-in pages, Graph and mail servers.
"""

import json as json_format
import re
import signal
import sys
import textwrap
import threading
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from msoauth import private_files, shells
from msoauth.cli import files
from msoauth.cli.options import Json
from msoauth.cli.output import console, print_json, print_text
from msoauth.errors import InputError
from msoauth.redact import redact
from msoauth.texts import _, ngettext

if TYPE_CHECKING:
    from msoauth.practice import PracticeTenant
    from msoauth.practice.scenarios import ScenarioError

app = typer.Typer(
    help="The practice tenant: Microsoft 365 on this computer, to learn on and to break.",
    no_args_is_help=True,
)

_MAX_FIRMS = 500
_MAX_OFFSET = timedelta(days=3650)  # of the practice tenant's clock
_MAX_WIDTH = 100  # columns of text
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def clock_offset(text: str) -> timedelta:
    """Parse an offset such as ``+91d``, ``-3h`` or ``11m``.

    Raises:
        InputError: the text is not an offset.
    """
    match = re.fullmatch(r"\s*([+-]?)(\d{1,6})\s*([smhd])\s*", text)
    if not match:
        raise InputError(
            _("The clock offset “{text}” is not like +91d, -3h, 11m or 30s.").format(
                text=redact(text, 40)
            ),
            field="clock",
        )
    amount = int(match[2]) * (-1 if match[1] == "-" else 1)
    offset = timedelta(**{_UNITS[match[3]]: amount})
    if abs(offset) > _MAX_OFFSET:
        raise InputError(
            _("The clock can be moved by at most {days} days.").format(days=_MAX_OFFSET.days),
            field="clock",
        )
    return offset


def _parse_firms(text: str) -> int | list[str]:
    """Parse the number of firms, or their names.

    Raises:
        InputError: the number is out of range, or a name is empty or occurs twice.
    """
    if text.strip().isdecimal():
        if 1 <= int(text) <= _MAX_FIRMS:
            return int(text)
        raise InputError(
            _("There can be 1 to {most} firms.").format(most=_MAX_FIRMS), field="firms"
        )
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len({name.lower() for name in names}) < len(names):
        raise InputError(
            _("Every firm needs a name of its own: “{text}”.").format(text=redact(text, 60)),
            field="firms",
        )
    return names


@app.command("serve")
def serve(
    json: Json = False,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[@AIM]",
            help="Start in this state (see: msoauth practice scenarios); may be given again. AIM strikes only "
            "one account (NAME@anna@contoso.example) or one firm, by its name, domain or tenant ID "
            "(NAME@contoso.example).",
        ),
    ] = None,
    accounts: Annotated[
        int, typer.Option(min=0, max=100_000, metavar="N", help="Make up N more accounts.")
    ] = 0,
    latency: Annotated[
        float,
        typer.Option(
            min=0, max=600_000, metavar="MS", help="Delay every answer by so many milliseconds."
        ),
    ] = 0.0,
    clock: Annotated[
        str, typer.Option(metavar="OFFSET", help="Move its clock: +91d, -3h, 11m.")
    ] = "0s",
    port_base: Annotated[
        int,
        typer.Option(min=0, max=65000, metavar="N", help="First of its ports; 0 takes free ones."),
    ] = 0,
    firms: Annotated[
        str,
        typer.Option(metavar="N|NAMES", help="How many firms, or their names with commas between."),
    ] = "1",
    people_base: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="Public address of its pages behind a proxy; {port} in it stands for their port.",
        ),
    ] = "",
    bundle: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Replay a support bundle: its account fails here in the same way, as far as its findings tell.",
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write its endpoints file there, for you alone: it holds passwords and the admin center's token.",
        ),
    ] = None,
) -> None:
    """Run the practice tenant until Ctrl-C."""
    from msoauth.practice import PracticeTenant
    from msoauth.practice.announce import instructions
    from msoauth.practice.network import PortTakenError
    from msoauth.practice.scenarios import ScenarioError
    from msoauth.practice.seed import FirmsError

    offset = clock_offset(clock)
    if people_base and not re.match(r"https?://[^/\s]|/(?![/\\])", people_base):
        raise InputError(
            _(
                "“{text}” is not an address such as https://office.example/practice/{{port}}/."
            ).format(text=redact(people_base, 60)),
            field="people_base",
        )
    names_or_count = _parse_firms(firms)
    if to is not None:
        files.check_writable(to)
    stop_requested = threading.Event()
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, lambda *_args: stop_requested.set())
    options: dict[str, Any] = {
        "latency": latency / 1000,
        "clock": offset,
        "port_base": port_base,
        "people_base": people_base,
    }
    try:
        if bundle is not None:
            if scenario or accounts or names_or_count != 1:
                raise InputError(
                    _("A bundle brings its own firm, account and scenarios: leave the others out.")
                )
            tenant = _replay(bundle, options)
        else:
            tenant = PracticeTenant(
                scenarios=tuple(scenario or ()), accounts=accounts, firms=names_or_count, **options
            )
    except ScenarioError as error:
        raise InputError(_scenario_message(error), field="scenario") from None
    except FirmsError:
        raise InputError(
            _("Two of the firms would get the same domain: “{text}”.").format(
                text=redact(firms, 60)
            ),
            field="firms",
        ) from None
    with ExitStack() as stack:
        try:
            stack.enter_context(tenant)
        except PortTakenError as error:
            raise InputError(
                _(
                    "Port {port} of this computer cannot be taken ({why}): choose another --port-base, or leave it out."
                ).format(port=error.port, why=error.strerror),
                field="port_base",
            ) from None
        if to is not None:
            files.write(to, json_format.dumps(tenant.endpoints, ensure_ascii=False).encode())
        for stream in (sys.stdout, sys.stderr):  # “> practice.json” too
            private_files.narrow_output(stream)
        if json:
            print_json(tenant.endpoints)
        print_text(instructions(tenant, shells.command), on_stderr=json)
        for line in tenant.notes():
            print_text(line, on_stderr=json)
        try:
            # Windows delivers Ctrl-C only between waits.
            while not stop_requested.wait(0.25):
                pass
        except KeyboardInterrupt:
            print_text(_("The practice tenant has stopped."), on_stderr=json)


@app.command("enrol")
def enrol(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The endpoints file of practice serve --json.")
    ],
) -> None:
    """Add the firms and users of a running practice tenant, everybody signed in."""
    from msoauth.enrol import enrol as enrol_all

    with context.obj.open() as workspace:
        count = sum(1 for _address in enrol_all(workspace, file))
    print_text(
        ngettext("{count} account is signed in.", "{count} accounts are signed in.", count).format(
            count=f"{count:,}"
        )
    )


def _replay(path: Path, options: dict[str, Any]) -> "PracticeTenant":
    """Create a practice tenant that replays a support bundle.

    Raises:
        InputError: the file cannot be replayed; the message says why.
    """
    from msoauth.practice.bundle import BundleError, read
    from msoauth.practice.replay import Replay

    messages = {
        "missing": _("The bundle {file} cannot be read: {detail}."),
        "not-a-bundle": _("{file} is not a support bundle of msoauth."),
        "too-big": _("{file} is too big, or unpacks to more than a bundle holds; it was not opened."),
        "path": _("{file} holds a file with a name that no bundle has ({detail}); it was not opened."),
        "tampered": _("{file} was changed after it was made, or is damaged; ask for it again."),
        "newer": _("{file} was made by a newer msoauth; bring this one up to date."),
        "unreadable": _("{file} holds no firm and findings that can be read."),
    }  # fmt: skip
    try:
        return Replay(read(path), **options)
    except BundleError as error:
        raise InputError(
            messages[error.problem].format(file=path.name, detail=error.detail or "?")
        ) from None


def _scenario_message(error: "ScenarioError") -> str:
    """The error message for a scenario that does not exist or cannot have that aim, with similar names."""
    messages = {
        "name": _("There is no scenario “{name}”; see: msoauth practice scenarios"),
        "aim": _("The practice tenant has no firm or account “{aim}”"),
        "FIRM": _("The scenario “{name}” strikes a whole firm; aim it at a firm, not at “{aim}”"),
        "EVERYBODY": _("The scenario “{name}” strikes everybody; leave “@{aim}” out"),
    }
    too_narrow = error.problem == "narrow"
    message = messages[error.reach.name if too_narrow else error.problem]
    similar = ", ".join(f"“{name}”" for name in error.near)
    hint = _(" (did you mean {near}?)").format(near=similar) if similar else ""
    return f"{message.format(name=redact(error.name, 60), aim=redact(error.aim, 80))}{hint}."


@app.command("scenarios")
def list_scenarios(json: Json = False) -> None:
    """Every state that goes wrong the way customers' tenants do."""
    from rich.text import Text

    from msoauth.practice.scenario_settings import Reach
    from msoauth.practice.scenarios import scenarios

    reaches = {
        Reach.ACCOUNT: _("an account"),
        Reach.FIRM: _("a firm"),
        Reach.EVERYBODY: _("nobody in particular: it strikes everybody"),
    }
    screen = console()
    for scenario in scenarios():
        if json:
            print_json(
                {
                    "name": scenario.name,
                    "says": scenario.says,
                    "cause": scenario.cause,
                    "shows": scenario.shows,
                    "account": scenario.account,
                    "do": scenario.do,
                    "reach": scenario.reach.name.lower(),
                }
            )
        else:
            to_see_it = _("To see it: {what}").format(what=scenario.do) if scenario.do else ""
            sentence = (
                _("Diagnosed as {cause}; can be aimed at {whom}.")
                if scenario.cause
                else _("Nothing is wrong, and nothing must be found; can be aimed at {whom}.")
            )
            diagnosis = sentence.format(cause=scenario.cause, whom=reaches[scenario.reach])
            screen.print(scenario.name, style="bold")
            for line in filter(None, (scenario.says, to_see_it, diagnosis)):
                filled = textwrap.fill(line, min(screen.width, _MAX_WIDTH) - 4)
                screen.print(Text(textwrap.indent(filled, "    ")))

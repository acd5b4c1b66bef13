"""``msoauth selftest``: whether this computer can do what msoauth needs, as a file to send back."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from msoauth.cli import files
from msoauth.cli.options import Json
from msoauth.cli.output import COLOURS, console, exit_status, print_json, print_on_stderr
from msoauth.texts import _


def selftest(
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the results to this file, to be sent back."),
    ] = None,
    json: Json = False,
) -> None:
    """Try what systems do differently: files, names, TLS, the keyring, waiting, a whole practice tenant. It takes under a minute.

    Nothing but this computer is contacted, and no workspace is opened. The report holds versions and what was found; no names, addresses or secrets.
    """
    from msoauth import selftest as tests  # imported lazily: it brings all simulated servers

    if report is not None:
        files.check_writable(report)
    results = []
    screen = console()
    for result in tests.run():
        results.append(result)
        if json:
            print_json(result.as_json())
            continue
        screen.print(
            Text.assemble(
                (f"{result.signal.shape} {result.signal!s:8}", COLOURS[result.signal]),
                f" {result.test:12} ",
                result.found,
                (f"  {result.seconds:.1f} s", "bright_black"),
            )
        )
    if report is not None:
        files.write(report, tests.report(results).encode())
        print_on_stderr(_("Written: {file}").format(file=report))
    raise typer.Exit(exit_status(result.signal for result in results))

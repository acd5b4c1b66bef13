"""The arguments and options that several commands take."""

from typing import Annotated

import typer

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The mailbox's address.")]
FirmName = Annotated[str, typer.Argument(metavar="NAME", help="The firm's name.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
RetrySeconds = Annotated[
    float,
    typer.Option(
        "--patience",
        min=0,
        metavar="SECONDS",
        help="How long to wait altogether for a server that is busy.",
    ),
]

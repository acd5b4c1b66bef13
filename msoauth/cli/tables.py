"""Prints rows as a table where it fits, else as lists; no value is ever cut off."""

import itertools
from collections.abc import Collection, Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from msoauth.cli.output import console

_WRAPPED = 14  # columns that a value which may be wrapped gets at least


def show_table(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    wrap: Collection[int] = (),
    right: Collection[int] = (),
) -> None:
    """Print rows as a table, or as one list per row where the terminal is too narrow.

    A shortened id is of no use: no value is cut off, and without a terminal lines are as long as they need to be.

    Args:
        wrap: The columns whose values may go over several lines.
        right: The columns of numbers.
    """
    screen = console()
    rows = list(rows)
    widths = [max(map(cell_len, column)) for column in zip(headers, *rows, strict=True)]
    if not screen.is_terminal:
        screen.width = _width(widths)
    elif _width(min(w, _WRAPPED) if n in wrap else w for n, w in enumerate(widths)) > screen.width:
        for row in rows:
            show_values(row[0], zip(headers[1:], row[1:], strict=True), screen)
        return
    columns = [
        Column(
            header,
            no_wrap=n not in wrap,
            overflow="fold",
            justify="right" if n in right else "left",
            min_width=min(widths[n], _WRAPPED) if n in wrap else widths[n],
        )
        for n, header in enumerate(headers)
    ]
    table = Table(*columns)
    for row in rows:
        table.add_row(*map(Text, row))
    screen.print(table)


def show_values(
    title: str, values: Iterable[tuple[str, str]], screen: Console | None = None
) -> None:
    """Print named values below a title, one a line; empty ones are left out."""
    screen = screen or console()
    screen.print(Text(title, style="bold"))
    shown = [(name, value) for name, value in values if value]
    longest = max((cell_len(name) for name, _value in shown), default=0)
    beside = all(longest + cell_len(value) + 6 <= screen.width for _name, value in shown)
    for name, value in shown:
        gap = " " * (longest - cell_len(name) + 2) if beside else "\n      "
        screen.print(Text(f"    {name}{gap}{value}"))


def _width(widths: Iterable[int]) -> int:
    """The width of a table with columns of these widths, borders included."""
    return sum(itertools.chain.from_iterable((w, 3) for w in widths)) + 1

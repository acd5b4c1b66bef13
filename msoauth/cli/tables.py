"""Prints rows as a table if it fits the terminal, else as lists; no value is ever cut off."""

import itertools
from collections.abc import Collection, Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from msoauth.cli.output import console
from msoauth.sanitize import one_line

_MIN_WRAPPED_WIDTH = 14  # characters that a column with wrapped values gets at least


def show_table(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    wrap: Collection[int] = (),
    right: Collection[int] = (),
) -> None:
    """Print rows as a table, or as one list per row where the terminal is too narrow.

    Values such as ids are useless when shortened, so none is cut off; without a terminal, lines are as long as needed.

    Args:
        wrap: The indexes of columns whose values may wrap over several lines.
        right: The indexes of columns that are aligned to the right, such as numbers.
    """
    screen = console()
    rows = [[*map(one_line, row)] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(headers, *rows, strict=True)]
    if not screen.is_terminal:
        screen.width = _table_width(widths)
    elif (
        _table_width(min(w, _MIN_WRAPPED_WIDTH) if n in wrap else w for n, w in enumerate(widths))
        > screen.width
    ):
        for row in rows:
            show_values(row[0], zip(headers[1:], row[1:], strict=True), screen)
        return
    columns = [
        Column(
            header,
            no_wrap=n not in wrap,
            overflow="fold",
            justify="right" if n in right else "left",
            min_width=min(widths[n], _MIN_WRAPPED_WIDTH) if n in wrap else widths[n],
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
    """Print named values below a title, one per line; empty ones are left out."""
    screen = screen or console()
    screen.print(Text(one_line(title), style="bold"))
    non_empty = [(name, one_line(value)) for name, value in values if value]
    longest = max((cell_len(name) for name, _value in non_empty), default=0)
    on_one_line = all(longest + cell_len(value) + 6 <= screen.width for _name, value in non_empty)
    for name, value in non_empty:
        gap = " " * (longest - cell_len(name) + 2) if on_one_line else "\n      "
        screen.print(Text(f"    {name}{gap}{value}"))


def _table_width(widths: Iterable[int]) -> int:
    """The width of a table with columns of these widths, borders included."""
    return sum(itertools.chain.from_iterable((w, 3) for w in widths)) + 1

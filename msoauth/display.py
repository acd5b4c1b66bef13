"""Shows collections as tables: as plain text at a Python prompt, as HTML in a notebook cell."""

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from msoauth.sanitize import one_line, visible
from msoauth.texts import _

if TYPE_CHECKING:
    import pandas as pd

Item = TypeVar("Item")

MOST_ROWS = 20  # rows that a repr shows; .frame() has all of them
_WIDTH = 240  # characters; wider tables wrap


class Listing(ABC, Generic[Item]):
    """A collection that Python and notebooks show as a table, a row for each item.

    A subclass keeps its items in ``_items`` (or overrides ``__iter__`` and ``__len__``) and defines what each row shows.
    """

    headers: ClassVar[tuple[str, ...]]
    _items: Sequence[Item]

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def frame(self) -> "pd.DataFrame":
        """All items as a DataFrame: a row each, with the columns of the table."""
        import pandas as pd  # imported lazily: takes half a second

        rows = [
            [one_line(cell) if type(cell) is str else cell for cell in self._cells(item)]
            for item in self
        ]
        return pd.DataFrame(rows, columns=list(self.headers), dtype="object")

    @abstractmethod
    def _caption(self) -> str:
        """The line above the table, such as "3 firms"."""

    @abstractmethod
    def _cells(self, item: Item) -> Sequence[object]:
        """The values of the row of *item*, one for each header."""

    def __repr__(self) -> str:
        return text_table(self._caption(), self.headers, self._rows(), self._hidden_count())

    def _repr_html_(self) -> str:
        return html_table(self._caption(), self.headers, self._rows(), self._hidden_count())

    def _rows(self) -> list[list[str]]:
        return [[str(cell) for cell in self._cells(item)] for item in islice(self, MOST_ROWS)]

    def _hidden_count(self) -> int:
        return max(0, len(self) - MOST_ROWS)


def text_table(
    caption: str, headers: Sequence[str], rows: Sequence[Sequence[str]], hidden: int = 0
) -> str:
    """Format a table as plain text without borders, with the number of *hidden* rows below it."""
    from rich.table import Table
    from rich.text import Text

    from msoauth.terminal import Screen

    lines = [one_line(caption)]
    if rows:
        table = Table(*headers, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
        for row in rows:
            table.add_row(*(Text(one_line(cell)) for cell in row))
        with io.StringIO() as buffer:
            console = Screen(  # forced to text: in a kernel rich would add an output of its own
                file=buffer,
                width=_WIDTH,
                color_system=None,
                legacy_windows=False,
                force_jupyter=False,
            )
            console.print(table, soft_wrap=False)
            lines += [line.rstrip() for line in buffer.getvalue().splitlines()]
    if hidden:
        lines.append(_("… and {count} more").format(count=f"{hidden:,}"))
    return "\n".join(lines)


def html_table(
    caption: str, headers: Sequence[str], rows: Sequence[Sequence[str]], hidden: int = 0
) -> str:
    """Format a table as HTML for a notebook cell; every value is escaped."""
    from markupsafe import Markup

    head = Markup("").join(
        Markup('<th scope="col" style="text-align:left">{}</th>').format(h) for h in headers
    )
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(Markup('<td style="text-align:left">{}</td>').format(c) for c in row)
        )
        for row in rows
    )
    more = (
        Markup("<p>{}</p>").format(_("… and {count} more").format(count=f"{hidden:,}"))
        if hidden
        else Markup("")
    )
    table = Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, body)
    return visible(
        Markup("<div><strong>{}</strong>{}{}</div>").format(
            caption, table if rows else Markup(""), more
        )
    )

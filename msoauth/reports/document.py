"""A document of headings, steps, commands and tables that renders as plain text, Markdown or one HTML page.

Its blocks hold unescaped text; each renderer escapes in its own way.
"""

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from msoauth.model import Link, Signal
from msoauth.sanitize import visible
from msoauth.texts import _, language

if TYPE_CHECKING:
    from jinja2 import Environment

WIDTH = 90  # columns of plain text


def word(signal: Signal) -> str:
    """The word for a signal, such as “passed”, in the current language."""
    return {
        Signal.PASSED: _("passed"),
        Signal.WARNING: _("warning"),
        Signal.FAILED: _("failed"),
        Signal.ERROR: _("could not be checked"),
        Signal.SKIPPED: _("skipped"),
        Signal.NOT_RUN: _("not run"),
    }[signal]


Cell = str | Signal | Link


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; ``level`` 2 and 3 (1 is the document's title)."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph; a ``quiet`` one is small print."""

    text: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list; ``ordered`` for steps."""

    items: tuple[str, ...]
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """Commands or a server's own words, shown unchanged in a fixed-width font."""

    text: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Links:
    """Links, one a line."""

    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; a cell is text, a signal or a link."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """Blocks that HTML hides until their title is clicked; in text and Markdown they follow the title."""

    title: str
    blocks: tuple["Block", ...]


Block = Heading | Paragraph | Items | Code | Links | Table | Fold


@dataclass
class Document:
    """A title and the blocks below it."""

    title: str
    blocks: list[Block] = field(default_factory=list)

    def add(self, *blocks: Block) -> None:
        """Append blocks."""
        self.blocks.extend(blocks)

    def text(self) -> str:
        """The document as plain text, to be copied into a mail."""
        parts = [self.title, "=" * len(self.title)]
        for block in self.blocks:
            parts += ["", *_text(block)]
        return visible("\n".join(parts) + "\n")

    def markdown(self) -> str:
        """The document as Markdown (CommonMark, with tables)."""
        parts = [f"# {_escape_markdown(self.title)}"]
        for block in self.blocks:
            parts += ["", *_markdown(block)]
        return visible("\n".join(parts) + "\n")

    def html(self) -> str:
        """The document as one HTML page that loads no other file and runs no script."""
        page = templates().get_template("document.html")
        return visible(page.render(document=self, language=language(), word=word))


@cache
def templates() -> "Environment":
    """The Jinja environment of this package's templates; it escapes every value."""
    import jinja2  # imported lazily: only HTML needs it

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("msoauth.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["signal"] = lambda cell: isinstance(cell, Signal)
    environment.tests["link"] = lambda cell: isinstance(cell, Link)
    environment.tests["web"] = lambda url: str(url).startswith(("https://", "http://"))
    environment.filters["kind"] = lambda block: type(block).__name__
    return environment


def _cell_text(cell: Cell) -> str:
    if isinstance(cell, Signal):
        return f"{cell.shape} {word(cell)}"
    return f"{cell.text}: {cell.url}" if isinstance(cell, Link) else cell


def _wrap(text: str, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()),
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]


def _text(block: Block) -> Iterable[str]:
    """The lines of a block as plain text."""
    match block:
        case Heading(text, level):
            return [text, ("-" if level == 2 else "·") * len(text)]
        case Paragraph(text):
            return _wrap(text)
        case Items(items, ordered):
            lines = []
            for number, item in enumerate(items, 1):
                mark = f"{number}. " if ordered else "- "
                lines += _wrap(item, f"  {mark}", "  " + " " * len(mark))
            return lines
        case Code(text):
            return [f"    {line}" for line in text.splitlines()]
        case Links(links):
            return [f"  {link.text}: {link.url}" for link in links]
        case Table(head, rows):
            return _align_columns(head, rows)
        case Fold(title, blocks):
            return [title, *(line for inner in blocks for line in ("", *_text(inner)))]


def _align_columns(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[str]:
    cells = [list(head), *([" ".join(_cell_text(c).split()) for c in row] for row in rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(head))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in cells]
    return [lines[0], "  ".join("-" * w for w in widths), *lines[1:]]


_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")
_LIST_MARK = re.compile(r"^(\s*)([-+]|\d{1,9}[.)])(?=\s)")


def _escape_markdown(text: str) -> str:
    """*text* on one line, with everything escaped that Markdown would interpret."""
    escaped = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    return _LIST_MARK.sub(r"\1\\\2", escaped)


def _markdown(block: Block) -> Iterable[str]:
    """The lines of a block as Markdown."""
    match block:
        case Heading(text, level):
            return [f"{'#' * level} {_escape_markdown(text)}"]
        case Paragraph(text):
            return [_escape_markdown(text)]
        case Items(items, ordered):
            return [
                f"{f'{number}.' if ordered else '-'} {_escape_markdown(item)}"
                for number, item in enumerate(items, 1)
            ]
        case Code(text, name):
            longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
            fence = "`" * max(3, longest + 1)
            return [f"{fence}{name}", *text.splitlines(), fence]
        case Links(links):
            return [
                f"- [{_escape_markdown(link.text)}](<{_link_target(link.url)}>)" for link in links
            ]
        case Table(head, rows):
            lines = [
                "| " + " | ".join(map(_escape_markdown, head)) + " |",
                "|" + " --- |" * len(head),
            ]
            return lines + ["| " + " | ".join(map(_markdown_cell, row)) + " |" for row in rows]
        case Fold(title, blocks):
            return [
                f"**{_escape_markdown(title)}**",
                *(line for inner in blocks for line in ("", *_markdown(inner))),
            ]


def _markdown_cell(cell: Cell) -> str:
    if isinstance(cell, Link):
        return f"[{_escape_markdown(cell.text)}](<{_link_target(cell.url)}>)"
    return _escape_markdown(_cell_text(cell))


def _link_target(url: str) -> str:
    return url.replace("<", "%3C").replace(">", "%3E").replace(" ", "%20").replace("\n", "")

"""A document that is written once, as a Markdown template, and shown as plain text, Markdown or one HTML page.

A template (``templates/*.md``, Jinja) holds the Markdown; each value that it inserts is escaped, so that nothing from
outside can become markup.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from msoauth.model import Link, Signal
from msoauth.redact import redact
from msoauth.sanitize import visible
from msoauth.texts import _, language, ngettext

if TYPE_CHECKING:
    from jinja2 import Environment
    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from markdown_it.tree import SyntaxTreeNode

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


@dataclass(frozen=True)
class Document:
    """A title and, as Markdown, what stands below it.

    >>> print(Document("Mail", "One *line*.\\n").text())
    Mail
    ====
    <BLANKLINE>
    One line.
    <BLANKLINE>
    """

    title: str
    body: str

    def text(self) -> str:
        """The document as plain text, to be copied into a mail."""
        from markdown_it.tree import (
            SyntaxTreeNode,  # imported lazily: most commands write no document
        )

        lines = [self.title, "=" * len(self.title)]
        for block in SyntaxTreeNode(_markdown().parse(self.body)).children:
            lines += ["", *_plain_lines(block)]
        return "\n".join(lines) + "\n"

    def markdown(self) -> str:
        """The document as Markdown (CommonMark, with tables)."""
        return f"# {escape_markdown(self.title)}\n\n{self.body}"

    def html(self) -> str:
        """The document as one HTML page that loads no other file and runs no script."""
        page = templates().get_template("document.html")
        body = Markup(_markdown().render(self.body))  # noqa: S704 - it escapes HTML
        return page.render(title=self.title, body=body, language=language())


def write_document(template: str, title: str, **values: Any) -> Document:
    """Fill in a Markdown template.

    Args:
        template: The name of a file in ``templates/``, without its suffix.
        values: What the template names.
    """
    body = templates("md").get_template(f"{template}.md").render(**values)
    return Document(visible(title), visible(body).strip("\n") + "\n")


@cache
def templates(kind: str = "html") -> "Environment":
    """The Jinja environment of this package's templates; it escapes every value, for HTML or for Markdown (``"md"``)."""
    import jinja2  # imported lazily: most commands write no document

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("msoauth.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_escape_value if kind == "md" else None,
    )
    environment.globals.update(_=_, ngettext=ngettext)
    environment.filters.update(code=_code, ids=_ids, link=_link, redact=redact, signal=_signal)
    return environment


def _escape_value(value: object) -> Markup:
    return value if isinstance(value, Markup) else Markup(escape_markdown(str(value)))  # noqa: S704


_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~]|&(?=#?\w+;))")
_START_OF_BLOCK = re.compile(r"^([-+=]|\d{1,9}(?=[.)](\s|$)))")


def escape_markdown(text: str) -> str:
    r"""*text* on one line, with everything escaped that Markdown would interpret.

    >>> print(escape_markdown("*a* <b>"), escape_markdown("- 1"), escape_markdown("1. b"))
    \*a\* \<b\> \- 1 1\. b
    """
    escaped = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    return _START_OF_BLOCK.sub(lambda m: f"{m[0]}\\" if m[0].isdigit() else f"\\{m[0]}", escaped)


def _code(text: str, name: str = "") -> Markup:
    """A block of code, behind a fence that its text does not hold."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup("\n".join([f"{fence}{name}", *text.splitlines(), fence]))  # noqa: S704


def _link(link: Link) -> Markup:
    """A link; one that is not of the web is text."""
    if not link.url.startswith(("https://", "http://")):
        return _escape_value(f"{link.text}: {link.url}")
    url = re.sub(r"[<>\s\\]", lambda match: f"%{ord(match[0]):02X}", link.url)
    url = re.sub(r"&(?=#?\w+;)", r"\\&", url)
    return Markup(f"[{escape_markdown(link.text)}](<{url}>)")  # noqa: S704


def _ids(ids: Mapping[str, str]) -> str:
    return "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in ids.items())


def _signal(signal: Signal) -> Markup:
    return Markup(f"**{signal.shape} {escape_markdown(word(signal))}**")  # noqa: S704


@cache
def _markdown() -> "MarkdownIt":
    """CommonMark and tables, without HTML; what our style sheet needs is added to the output."""
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token

    class Page(RendererHTML):
        """Puts tables into a frame that scrolls, and folds code below a heading of the fourth level."""

        def table_open(self, *_args: Any) -> str:
            return '<div class="scroll"><table>\n'

        def table_close(self, *_args: Any) -> str:
            return "</table></div>\n"

        def heading_open(self, tokens: Sequence[Token], n: int, *_args: Any) -> str:
            return "<details><summary>" if tokens[n].tag == "h4" else f"<{tokens[n].tag}>"

        def heading_close(self, tokens: Sequence[Token], n: int, *_args: Any) -> str:
            return f"</{'summary' if tokens[n].tag == 'h4' else tokens[n].tag}>\n"

        def fence(self, tokens: Sequence[Token], n: int, *rest: Any) -> str:
            folded = n > 0 and tokens[n - 1].tag == "h4"
            return super().fence(tokens, n, *rest) + ("</details>\n" if folded else "")

    parser = MarkdownIt("commonmark", {"html": False}, renderer_cls=Page).enable("table")
    parser.core.ruler.push("attributes", lambda state: _add_attributes(state.tokens))
    return parser


def _add_attributes(tokens: "Sequence[Token]") -> None:
    shapes = {signal.shape: signal for signal in Signal}
    for n, token in enumerate(tokens):
        _add_attributes(token.children or ())
        if token.type == "link_open":
            token.attrSet("rel", "noopener noreferrer")
        elif token.type == "th_open":
            token.attrSet("scope", "col")
        elif token.type == "strong_open" and (signal := shapes.get(tokens[n + 1].content[:1])):
            token.attrSet("class", f"signal {signal}")


def _plain_lines(block: "SyntaxTreeNode") -> list[str]:
    """The lines of a block as plain text."""
    match block.type:
        case "heading":
            text = _plain(block)
            return [text, {"h2": "-", "h3": "·"}.get(block.tag, "") * len(text)][: 1 + (block.tag < "h4")]  # fmt: skip
        case "fence":
            return [f"    {line}" for line in block.content.splitlines()]
        case "bullet_list" | "ordered_list":
            lines = []
            for number, item in enumerate(block.children, 1):
                mark = f"{number}. " if block.type == "ordered_list" else "- "
                lines += _wrap(_plain(item), f"  {mark}", "  " + " " * len(mark))
            return lines
        case "table":
            return _align_columns([[_plain(c) for c in row.children] for part in block.children for row in part.children])  # fmt: skip
    return _wrap(_plain(block))


def _plain(node: "SyntaxTreeNode") -> str:
    """The text of a node and all in it."""
    if node.type == "text":
        return node.content
    text = "".join(map(_plain, node.children))
    return f"{text}: {node.attrs['href']}" if node.type == "link" else text


def _wrap(text: str, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _align_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in rows]
    return [lines[0], "  ".join("-" * w for w in widths), *lines[1:]]

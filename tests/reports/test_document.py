"""A document's three forms: no value becomes markup, and each form tells the same text."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msoauth.model import Link, Signal
from msoauth.reports.document import Document, escape_markdown, templates
from msoauth.sanitize import visible

VALUES = st.text(st.sampled_from("\\`*_{}[]()<>#|~&;!-+=.:0123456789 aäß\"'@/")) | st.text(
    max_size=40
)


class _Text(HTMLParser):
    """The text of a page's body and the names of its elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.elements = "", set[str]()
        self.feed(page[page.index("</h1>") :])

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.elements.add(tag)


@given(VALUES)
@pytest.mark.parametrize("form", ["{}", "- {}", "1. {}", "## {}", "| a |\n| --- |\n| {} |"])
def test_a_value_is_shown_as_it_is_and_never_becomes_markup(form: str, value: str) -> None:
    value = " ".join(visible(value).split()) or "x"
    document = Document("t", form.format(escape_markdown(value)) + "\n")
    assert "".join(value.split()) in "".join(document.text().split())
    page = _Text(document.html())
    assert value in page.text
    assert page.elements <= {"p", "ul", "ol", "li", "h2", "div", "table", "thead", "tbody", "tr", "th", "td"}  # fmt: skip


def _filled_in(source: str, **values: object) -> Document:
    return Document("t", templates("md").from_string(source).render(**values) + "\n")


@pytest.mark.parametrize("signal", list(Signal))
def test_a_signal_has_its_shape_and_word_in_every_form_and_its_colour_on_the_page(
    signal: Signal,
) -> None:
    document = _filled_in("| a |\n| --- |\n| {{ signal|signal }} |", signal=signal)
    assert f"{signal.shape} " in document.text()
    assert "**" not in document.text()
    assert f'<strong class="signal {signal}">{signal.shape} ' in document.html()


@given(st.text(min_size=1).filter(lambda text: text.strip()))
def test_code_stays_as_it_is_and_ends_where_it_ends(code: str) -> None:
    code = visible(code).replace("\r", "")
    document = _filled_in("{{ code|code }}\n\nend", code=code)
    lines = document.text().splitlines()
    assert lines[-1] == "end"
    assert [line[4:] for line in lines[3:-2]] == code.splitlines()


@pytest.mark.parametrize(
    ("url", "is_link"),
    [
        ("https://login.example/a?x=1&copy;=2&amp;b=<>\\ c", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
    ],
)
def test_only_an_address_of_the_web_becomes_a_link(url: str, is_link: bool) -> None:
    page = _filled_in("{{ link|link }}", link=Link("page", url)).html()
    assert ("<a href=" in page) is is_link
    if is_link:
        assert 'href="https://login.example/a?x=1&amp;copy;=2&amp;amp;b=%3C%3E%5C%20c"' in page
        assert 'rel="noopener noreferrer"' in page


def test_a_heading_of_the_fourth_level_folds_the_code_below_it_on_the_page() -> None:
    document = Document("t", "#### settings.json\n\n```\n{}\n```\n\nend\n")
    assert "<details><summary>settings.json</summary>\n<pre>" in document.html()
    assert "</pre>\n</details>\n<p>end</p>" in document.html()
    assert "settings.json\n\n    {}\n\nend" in document.text()

"""Every citation of the facts and every link inside them has a target; see docs/facts/README.md."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {page.name: page.read_text(encoding="utf-8") for page in (ROOT / "docs/facts").glob("*.md")}
ANCHORS = {name: re.findall(r'<a id="([^"]+)"></a>', text) for name, text in PAGES.items()}
LABELS = {label for anchors in ANCHORS.values() for label in anchors}

_LABEL = r"[A-Z]\d*(?:\.\d+)?"
_NEXT = r"(?:,|\s+and|\s+to)[\s#*]+"  # a citation may go on in the next line of a comment
CITATION = re.compile(rf"\b[Ff]acts[\s#]+({_LABEL}\b(?:{_NEXT}{_LABEL}\b)*)")
# A page's name where a label belongs.
UNLABELLED = re.compile(r"(?<!docs/)\b[Ff]acts(?:/[a-z]|[ A-Z\d,.]*[,;] field\b)\S*")
SUFFIXES = {".py", ".toml", ".html", ".md", ".js", ".css", ".jsonl", ".ipynb"}


def cited(text: str) -> Iterator[str]:
    """Every label that *text* cites."""
    for citation in CITATION.finditer(text):
        yield from re.findall(_LABEL, citation[1])


def sources() -> Iterator[tuple[Path, str]]:
    """The files that may cite the facts, and their texts."""
    for place in (
        "msoauth",
        "tests",
        "benchmarks",
        "notebooks",
        ".ci",
        "README.md",
        "CHANGELOG.md",
    ):
        start = ROOT / place
        for file in sorted(start.rglob("*")) if start.is_dir() else [start]:
            if file.is_file() and file.suffix in SUFFIXES and file != Path(__file__):
                yield file.relative_to(ROOT), file.read_text(encoding="utf-8")


def test_every_citation_in_the_code_has_a_target() -> None:
    found = [(str(file), label) for file, text in sources() for label in cited(text)]
    assert len(found) > 100
    assert [(file, label) for file, label in found if label not in LABELS] == []


def test_a_citation_names_labels_only() -> None:
    vague = [
        (str(file), match[0]) for file, text in sources() for match in UNLABELLED.finditer(text)
    ]
    assert vague == []


def test_the_sections_of_the_explained_texts_are_there() -> None:
    lines = (ROOT / "tests/explaining/facts.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["facts"] for line in lines} <= LABELS


def test_every_label_is_given_once() -> None:
    count = Counter(label for anchors in ANCHORS.values() for label in anchors)
    assert [label for label, times in count.items() if times > 1] == []


@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_link_inside_the_facts_leads_somewhere(name: str) -> None:
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", PAGES[name], flags=re.DOTALL)
    links = re.findall(r"\]\(((?!https?:)[^)\s]+)\)", prose)
    for link in links:
        page, _hash, anchor = link.partition("#")
        assert (page or name) in PAGES, link
        assert not anchor or anchor in ANCHORS[page or name], link


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_labelled_heading_has_its_label_as_anchor(name: str) -> None:
    prose = re.sub(r"```.*?```", "", PAGES[name], flags=re.DOTALL)
    headed = re.findall(rf"^#{{2,}} ({_LABEL})\.? ", prose, flags=re.MULTILINE)
    assert set(headed) <= set(ANCHORS[name])


def test_a_citation_is_read_over_the_end_of_a_comments_line() -> None:
    assert list(cited("# see facts D2 to\n#   D11, and (facts K2.9)")) == ["D2", "D11", "K2.9"]
    assert list(cited("as the facts E4, E5 and A1 say: Entra")) == ["E4", "E5", "A1"]

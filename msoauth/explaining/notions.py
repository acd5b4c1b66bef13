"""What a text says in any language: notions that meet in one sentence, where no known wording is found.

Of each notion the catalogue lists stems in thirteen languages. The work is a search per stem in a text of bounded length,
and only when all notions of a rule are there, a look at its sentences.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from msoauth.explaining.load import Rule, notions, rules
from msoauth.explaining.phrases import within

_READ = 4_000  # characters; in longer texts words meet by chance
_SENTENCE = 160  # characters; what runs on for longer is taken in pieces that overlap by half
_BEGINS = 3  # letters by which stems are looked up
_LAST_SPACED = "\u0500"  # Latin and Cyrillic come before it
_WORD = re.compile(r"[a-z]{3,}")
_END = re.compile(r"[.!?;}\]](?=\s|$)|[。！？；\n]| - {1,3}")


@dataclass(frozen=True, slots=True)
class Meaning:
    """A rule that a sentence of the text fulfils, and where."""

    rule: Rule
    start: int
    end: int


def meant(folded: str, asides: Sequence[tuple[int, int]]) -> Iterator[Meaning]:
    """Every rule that a sentence of *folded* (lower case) fulfils, with the first such sentence outside *asides*."""
    if len(folded) > _READ:
        return
    there = _there(folded)
    possible = [rule for rule in rules() if there.issuperset(rule.needs)]
    if not possible:
        return
    wanted = {name for rule in possible for name in (*rule.needs, *rule.without)} & there
    for start, end in _sentences(folded):
        if within(start, asides):
            continue
        sentence = f" {folded[start:end]} "
        says = {name for name in wanted if _names(sentence, name)}
        for rule in tuple(possible):
            if says.issuperset(rule.needs) and says.isdisjoint(rule.without):
                possible.remove(rule)
                yield Meaning(rule, start, end)


def _there(folded: str) -> set[str]:
    """The notions of which *folded* has a stem, wherever in a word."""
    index = _index()
    stems = list(index.always)
    for beginning in {word[:_BEGINS] for word in _WORD.findall(folded)}:
        stems += index.latin.get(beginning, ())
    if not folded.isascii():
        stems += index.others
    there: set[str] = set()
    for stem, name in stems:
        if name not in there and stem in folded:
            there.add(name)
    return there


@dataclass(frozen=True, slots=True)
class _Index:
    """All stems with their notions.

    Attributes:
        latin: By their first letters, so that a text's words lead to the few that it may have.
        always: ASCII ones that begin with no such letters.
        others: Of other letters; no text in plain ASCII has one.
    """

    latin: dict[str, list[tuple[str, str]]]
    always: list[tuple[str, str]]
    others: list[tuple[str, str]]


@cache
def _index() -> _Index:
    index = _Index({}, [], [])
    for name, stems in notions().items():
        for stem in stems:
            beginning = stem.strip()[:_BEGINS]
            if not stem.isascii():
                index.others.append((stem, name))
            elif len(beginning) == _BEGINS and beginning.isalpha():
                index.latin.setdefault(beginning, []).append((stem, name))
            else:
                index.always.append((stem, name))
    return index


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in (*_END.finditer(text), None):
        end = match.end() if match else len(text)
        for piece in range(start, max(end - _SENTENCE // 2, start + 1), _SENTENCE // 2):
            if text[piece:end].strip():
                yield piece, min(piece + _SENTENCE, end)
        start = end


def _names(sentence: str, notion: str) -> bool:
    return _pattern(notion).search(sentence) is not None


@cache
def _pattern(notion: str) -> re.Pattern[str]:
    """Any stem of *notion* (literal text), not inside a word of a script that writes blanks."""
    stems = [stem.lstrip() for stem in notions()[notion]]
    spaced = "|".join(re.escape(stem) for stem in stems if stem < _LAST_SPACED)
    others = "".join("|" + re.escape(stem) for stem in stems if stem >= _LAST_SPACED)
    return re.compile(rf"(?<![a-z\u00df-\u024f\u0400-\u04ff])(?:{spaced}){others}")

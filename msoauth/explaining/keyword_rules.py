"""Explains texts in thirteen languages by keywords that stand in one sentence, where no known phrase is found.

The catalogue has groups of keywords with one meaning each ("client secret", "expired") and rules: which groups in one
sentence make which cause. Keywords are word stems. The text, of bounded length, is searched once for each keyword, and
split into sentences only when it has all groups of some rule.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from msoauth.explaining.load import KeywordRule, keyword_groups, keyword_rules
from msoauth.explaining.phrases import within

_READ = 4_000  # characters; in longer texts keywords meet by chance
_SENTENCE = 160  # characters; what runs on for longer is taken in pieces that overlap by half
_BEGINS = 3  # letters by which the index finds keywords
_LAST_SPACED = "\u0500"  # Latin and Cyrillic come before it
_WORD = re.compile(r"[a-z]{3,}")
_END = re.compile(r"[.!?;}\]](?=\s|$)|[。！？；\n]| - {1,3}")


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """A rule, and the sentence of the text that matches it."""

    rule: KeywordRule
    start: int
    end: int


def match_rules(lowered: str, side_remarks: Sequence[tuple[int, int]]) -> Iterator[RuleMatch]:
    """Every rule that a sentence of *lowered* (lower case) matches, with the first such sentence outside *side_remarks*."""
    if len(lowered) > _READ:
        return
    present = _groups_in(lowered)
    possible = [rule for rule in keyword_rules() if present.issuperset(rule.needs)]
    if not possible:
        return
    wanted = {name for rule in possible for name in (*rule.needs, *rule.without)} & present
    for start, end in _sentences(lowered):
        if within(start, side_remarks):
            continue
        sentence = f" {lowered[start:end]} "
        mentioned = {name for name in wanted if _pattern(name).search(sentence)}
        for rule in tuple(possible):
            if mentioned.issuperset(rule.needs) and mentioned.isdisjoint(rule.without):
                possible.remove(rule)
                yield RuleMatch(rule, start, end)


def _groups_in(lowered: str) -> set[str]:
    """The groups of which *lowered* has a keyword, even inside a word."""
    index = _index()
    stems = list(index.always)
    for beginning in {word[:_BEGINS] for word in _WORD.findall(lowered)}:
        stems += index.latin.get(beginning, ())
    if not lowered.isascii():
        stems += index.others
    present: set[str] = set()
    for stem, name in stems:
        if name not in present and stem in lowered:
            present.add(name)
    return present


@dataclass(frozen=True, slots=True)
class _Index:
    """All keywords with their groups.

    Attributes:
        latin: ASCII keywords by their first letters.
        always: ASCII keywords that do not begin with enough letters.
        others: Keywords of other letters; a text in ASCII has none of them.
    """

    latin: dict[str, list[tuple[str, str]]]
    always: list[tuple[str, str]]
    others: list[tuple[str, str]]


@cache
def _index() -> _Index:
    index = _Index({}, [], [])
    for name, stems in keyword_groups().items():
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


@cache
def _pattern(group: str) -> re.Pattern[str]:
    """Any stem of *group* (literal text), not inside a word of a script that writes blanks."""
    stems = [stem.lstrip() for stem in keyword_groups()[group]]
    spaced = "|".join(re.escape(stem) for stem in stems if stem < _LAST_SPACED)
    others = "".join("|" + re.escape(stem) for stem in stems if stem >= _LAST_SPACED)
    return re.compile(rf"(?<![a-z\u00df-\u024f\u0400-\u04ff])(?:{spaced}){others}")

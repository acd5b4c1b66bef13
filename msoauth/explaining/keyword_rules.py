"""Finds causes in texts in thirteen languages by keywords within one sentence, where no known phrase is found.

The catalogue has groups of keywords with one meaning each ("client secret", "expired") and rules: which groups in one
sentence show which cause. Keywords are word stems. The text, of bounded length, is searched once for each keyword, and
split into sentences only when it has all groups of some rule.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from msoauth.explaining.load import KeywordRule, keyword_groups, keyword_rules

_MAX_TEXT = 4_000  # characters; in longer texts keywords occur together by chance
_MAX_SENTENCE = 160  # characters; longer sentences are searched in pieces that overlap by half
_SPACED_END = "\u0500"  # scripts before it, such as Latin and Cyrillic, separate words by spaces
_SENTENCE_END = re.compile(r"[.!?;}\]](?=\s|$)|[。！？；\n]| - {1,3}")


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """A rule, and the sentence of the text that matches it."""

    rule: KeywordRule
    start: int
    end: int


def match_rules(lowered: str, is_remark: Callable[[int], object]) -> Iterator[RuleMatch]:
    """Every rule that a sentence of *lowered* (lower case) matches, with the first such sentence that is no remark.

    Args:
        is_remark: Says of an offset whether a remark stands there.
    """
    if len(lowered) > _MAX_TEXT:
        return
    present = {
        name for name, stems in keyword_groups().items() if any(stem in lowered for stem in stems)
    }
    possible = [rule for rule in keyword_rules() if present.issuperset(rule.needs)]
    relevant = {name for rule in possible for name in (*rule.needs, *rule.without)} & present
    for start, end in _sentences(lowered) if possible else ():
        if is_remark(start):
            continue
        sentence = f" {lowered[start:end]} "
        groups = {name for name in relevant if _pattern(name).search(sentence)}
        for rule in tuple(possible):
            if groups.issuperset(rule.needs) and groups.isdisjoint(rule.without):
                possible.remove(rule)
                yield RuleMatch(rule, start, end)


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """The spans of the sentences of *text*, of a bounded length each."""
    start = 0
    for match in (*_SENTENCE_END.finditer(text), None):
        end = match.end() if match else len(text)
        for piece in range(start, max(end - _MAX_SENTENCE // 2, start + 1), _MAX_SENTENCE // 2):
            if text[piece:end].strip():
                yield piece, min(piece + _MAX_SENTENCE, end)
        start = end


@cache
def _pattern(group: str) -> re.Pattern[str]:
    """A pattern of any stem of *group*, but not inside a word of a script that separates words by spaces."""
    stems = [stem.lstrip() for stem in keyword_groups()[group]]
    spaced = "|".join(re.escape(stem) for stem in stems if stem < _SPACED_END)
    others = "".join("|" + re.escape(stem) for stem in stems if stem >= _SPACED_END)
    return re.compile(rf"(?<![a-z\u00df-\u024f\u0400-\u04ff])(?:{spaced}){others}")

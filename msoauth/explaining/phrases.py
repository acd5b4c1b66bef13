"""Finds the catalogue's phrases in a text, in time proportional to the text's length.

A phrase is literal text, in which ``…`` stands for a gap of up to 80 characters, ``……`` for one of up to 400, and
``{one|another}`` for either. A match must not begin inside a word (unless at a capital, as in ``ErrorSendAsDenied``), but
may end up to three letters before the end of one, because a phrase may be a word stem. A match must neither begin nor end
inside a number.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import NamedTuple

from msoauth.explaining.load import Signature, signatures
from msoauth.explaining.normalize import lowercase, places, plain_punctuation

_GAPS = 0, 80, 400  # characters
_PIECES = re.compile(r"(…*)([^…]+)")
_MAX_STARTS = 30  # offsets at which one phrase is tried in one text
_PREFIX = 3  # letters by which the index finds words
_WORD = re.compile(r"[^\W\d_]{3,60}")
_DIGITS = re.compile(r"\d+(?:\.\d+)+|\d{2,}")
_LATIN = re.compile(r"[a-z\u00df-\u024f]{3,60}")
_CAMEL = re.compile(r"(?<=[a-z])(?=([A-Z][A-Za-z]{2,60}))")
_ENDING = re.compile(r"(?<![a-z])|[a-z]{0,3}(?![a-z])")  # of the word that a phrase ends in
_BRACES = re.compile(r"[{}]")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase of the catalogue, compiled.

    Attributes:
        parts: Its literal parts, each with the number of characters that may stand before it.
        is_literal: Whether only Microsoft's service says it.
    """

    parts: tuple[tuple[str, int], ...]
    signature: Signature
    is_literal: bool


class PhraseMatch(NamedTuple):
    """A phrase of the catalogue, found in a text."""

    phrase: Phrase
    start: int
    end: int


def compile_phrase(wording: str, signature: Signature, is_literal: bool = False) -> Phrase:
    """Split *wording* at its gaps."""
    pieces = _PIECES.findall(plain_punctuation(lowercase(wording)))
    parts = (
        (piece.strip() if gap else piece.rstrip(), _GAPS[min(len(gap), 2)])
        for gap, piece in pieces
        if piece.strip()
    )
    return Phrase(tuple(parts), signature, is_literal)


def wordings(pattern: str) -> Iterator[str]:
    """Every wording that *pattern* stands for, with each choice of ``{one|or another}``."""
    return map("".join, product(*(piece.split("|") for piece in _BRACES.split(pattern))))


@cache
def _index() -> dict[str, dict[str, list[Phrase]]]:
    """All phrases by their longest word, and those words by their first letters, once per process.

    Words of other scripts, which may stand without spaces, digits and the empty word are found under "".
    """
    index: dict[str, dict[str, list[Phrase]]] = {"": {}}
    every = (
        compile_phrase(wording, signature, pattern in signature.literal)
        for signature in signatures()
        for pattern in (*signature.says, *signature.literal)
        for wording in wordings(pattern)
    )
    for phrase in every:
        literal = "\n".join(part for part, _gap in phrase.parts)
        words = _WORD.findall(literal) or _DIGITS.findall(literal)
        anchor = max(words, key=len, default="")
        index.setdefault(_prefix(anchor), {}).setdefault(anchor, []).append(phrase)
    return index


def _prefix(anchor: str) -> str:
    return anchor[:_PREFIX] if _LATIN.fullmatch(anchor) else ""


def find_phrases(text: str, lowered: str, is_remark: Callable[[int], object]) -> list[PhraseMatch]:
    """The first match of every phrase in *text*, preferably where the words are no remark.

    A match inside a longer one is left out: "refresh token has expired" is not also "token has expired".

    Args:
        lowered: *text* in lower case, by :func:`lowercase`.
        is_remark: Says of an offset whether a remark stands there.
    """
    matches = []
    covered_end, covered_start = -1, -1  # of the match without gaps that ends last so far
    for match in sorted(
        _all_matches(text, lowered, is_remark), key=lambda match: (match.start, -match.end)
    ):
        if match.end > covered_end or (match.end == covered_end and match.start == covered_start):
            matches.append(match)
            if len(match.phrase.parts) == 1 and match.end > covered_end:
                covered_end, covered_start = match.end, match.start
    return matches


def _all_matches(
    text: str, lowered: str, is_remark: Callable[[int], object]
) -> Iterator[PhraseMatch]:
    """The first match of every phrase, preferably outside remarks, including those inside longer matches."""
    offsets: dict[str, list[int]] = {}
    for phrase in _candidates(text, lowered):
        first = phrase.parts[0][0]
        if first not in offsets:  # many phrases begin alike
            offsets[first] = list(_offsets(text, lowered, first))
        ends = ((start, _match_end(lowered, start, phrase)) for start in offsets[first])
        found = [PhraseMatch(phrase, start, end) for start, end in ends if end is not None]
        if found:
            yield next((match for match in found if not is_remark(match.start)), found[0])


def _candidates(text: str, lowered: str) -> Iterator[Phrase]:
    """The phrases whose longest word and first part occur in *text*; no other phrase can match."""
    index = _index()
    words = {*_LATIN.findall(lowered), *(part.lower() for part in _CAMEL.findall(text))}
    of_words = (
        anchor
        for word in words
        for anchor in index.get(word[:_PREFIX], ())
        if word.startswith(anchor)
    )
    anchors = {*of_words, *(anchor for anchor in index[""] if anchor in lowered)}
    phrases = (phrase for anchor in anchors for phrase in index[_prefix(anchor)][anchor])
    return (phrase for phrase in phrases if phrase.parts[0][0] in lowered)


def _offsets(text: str, lowered: str, first: str) -> Iterator[int]:
    """Where *first* occurs, but not inside a Latin word, unless at a capital."""
    for start in places(lowered, first, _MAX_STARTS):
        before = text[start - 1 : start]
        inside = before.isalpha() and before < "\u0250" and text[start].isalpha()
        if not inside or (text[start].isupper() and before.islower()):
            yield start


def _match_end(lowered: str, start: int, phrase: Phrase) -> int | None:
    """The end of the match of *phrase* that begins at *start*; None if there is none."""
    end = start
    for part, gap in phrase.parts:
        start = lowered.find(part, end, end + gap + len(part))
        end = start + len(part)
        if start < 0 or _cuts_number(lowered, start) or _cuts_number(lowered, end):
            return None
    return end if _ENDING.match(lowered, end) else None


def _cuts_number(text: str, offset: int) -> bool:
    return 0 < offset < len(text) and text[offset - 1].isdigit() and text[offset].isdigit()

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

from msoauth.explaining.load import Signature, signatures
from msoauth.explaining.normalize import lowercase, plain_punctuation

_GAP, _WIDE_GAP = 80, 400  # characters
_MAX_STARTS = 30  # offsets at which one phrase is tried in one text
_LOG_SIZE, _PIECE = 20_000, 12  # characters
_PREFIX = 3  # letters by which the index finds words
_WORD = re.compile(r"[^\W\d_]{3,60}")
_DIGITS = re.compile(r"\d+(?:\.\d+)+|\d{2,}")
_LATIN = re.compile(r"[a-z\u00df-\u024f]{3,60}")
_CAMEL = re.compile(r"(?<=[a-z])(?=([A-Z][A-Za-z]{2,60}))")
_ENDING = re.compile(r"(?<![a-z])|[a-z]{0,3}(?![a-z])")  # of the word that a phrase ends in
_CHOICE = re.compile(r"\{([^{}]*)\}")


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


@dataclass(frozen=True, slots=True)
class PhraseMatch:
    """A phrase of the catalogue, found in a text."""

    phrase: Phrase
    start: int
    end: int


def compile_phrase(wording: str, signature: Signature, is_literal: bool = False) -> Phrase:
    """Split *wording* at its gaps."""
    parts: list[tuple[str, int]] = []
    gap = 0
    for piece in re.split(r"(…+)", plain_punctuation(lowercase(wording))):
        if piece.startswith("…"):
            gap = _GAP if len(piece) == 1 else _WIDE_GAP
        elif piece.strip():
            parts.append((piece.strip() if gap else piece.rstrip(), gap))
    return Phrase(tuple(parts), signature, is_literal)


def wordings(pattern: str) -> Iterator[str]:
    """Every wording that *pattern* stands for, with each choice of ``{one|or another}``."""
    choice = _CHOICE.search(pattern)
    if choice is None:
        yield pattern
        return
    for option in choice[1].split("|"):
        yield from wordings(pattern[: choice.start()] + option + pattern[choice.end() :])


@cache
def _index() -> dict[str, dict[str, list[Phrase]]]:
    """All phrases by their longest word, and those words by their first letters, once per process.

    Words of other scripts, which may stand without spaces, digits and the empty word are found under "".
    """
    index: dict[str, dict[str, list[Phrase]]] = {"": {}}
    for signature in signatures():
        for pattern in (*signature.says, *signature.literal):
            for wording in wordings(pattern):
                phrase = compile_phrase(wording, signature, pattern in signature.literal)
                words = [w for part, _ in phrase.parts for w in _WORD.findall(part)] or [
                    digits for part, _ in phrase.parts for digits in _DIGITS.findall(part)
                ]
                anchor = max(words, key=len, default="")
                prefix = anchor[:_PREFIX] if _LATIN.fullmatch(anchor) else ""
                index.setdefault(prefix, {}).setdefault(anchor, []).append(phrase)
    return index


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
    # Of a log, the phrases are looked up in an index first: it may have the words of thousands.
    starts = range(len(lowered) if len(lowered) > _LOG_SIZE else 0)
    pieces = {lowered[start : start + _PIECE] for start in starts}
    for phrase in _candidates(text, lowered):
        first = phrase.parts[0][0]
        may_match = not starts or all(
            pieces.issuperset((part[:_PIECE], part[-_PIECE:]))
            for part, _ in phrase.parts
            if len(part) >= _PIECE
        )
        if not may_match or first not in lowered:
            continue
        if first not in offsets:  # many phrases begin alike
            offsets[first] = list(_offsets(text, lowered, first))
        matches = (
            PhraseMatch(phrase, start, end)
            for start in offsets[first]
            if (end := _match_end(lowered, start, phrase)) is not None
        )
        match = next(matches, None)
        if match:
            yield next((m for m in (match, *matches) if not is_remark(m.start)), match)


def _candidates(text: str, lowered: str) -> Iterator[Phrase]:
    """The phrases whose longest word occurs in *text*; no other phrase can match."""
    index = _index()
    words = {*_LATIN.findall(lowered), *(part.lower() for part in _CAMEL.findall(text))}
    anchors = {
        anchor
        for word in words
        for anchor in index.get(word[:_PREFIX], ())
        if word.startswith(anchor)
    }
    for anchor in anchors:
        yield from index[anchor[:_PREFIX]][anchor]
    for anchor, phrases in index[""].items():
        if anchor in lowered:
            yield from phrases


def _offsets(text: str, lowered: str, first: str) -> Iterator[int]:
    """Where *first* occurs, but not inside a Latin word, unless at a capital."""
    start = -1
    for _place in range(_MAX_STARTS):
        start = lowered.find(first, start + 1)
        if start < 0:
            return
        before = text[start - 1 : start]
        inside = before.isalpha() and before < "\u0250" and text[start].isalpha()
        if not inside or (text[start].isupper() and before.islower()):
            yield start


def _match_end(lowered: str, start: int, phrase: Phrase) -> int | None:
    """The end of the match of *phrase* that begins at *start*; None if there is none."""
    end = start
    for part, gap in phrase.parts:
        part_start = lowered.find(part, end, end + gap + len(part))
        if part_start < 0:
            return None
        end = part_start + len(part)
        if _cuts_number(lowered, part_start) or _cuts_number(lowered, end):
            return None
    return end if _ENDING.match(lowered, end) else None


def _cuts_number(text: str, offset: int) -> bool:
    return 0 < offset < len(text) and text[offset - 1].isdigit() and text[offset].isdigit()

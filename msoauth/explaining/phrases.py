"""Finds the catalogue's phrases in a text, in time proportional to the text's length.

A phrase is literal text, in which ``…`` stands for a gap of up to 80 characters, ``……`` for one of up to 400, and
``{one|another}`` for either. A match must not begin inside a word (unless at a capital, as in ``ErrorSendAsDenied``), but
may end inside one, because a phrase may be a word stem. It must neither begin nor end inside a number.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from msoauth.explaining.load import Signature, signatures
from msoauth.explaining.normalize import lowercase, plain_punctuation

_GAP, _WIDE_GAP = 80, 400  # characters
_MAX_STARTS = 60  # offsets at which one phrase is tried in one text
_PREFIX = 3  # letters by which the index finds words
_WORD = re.compile(r"[^\W\d_]{3,60}")
_DIGITS = re.compile(r"\d+(?:\.\d+)+|\d{2,}")
_LATIN = re.compile(r"[a-z\u00df-\u024f]{3,60}")
_CAMEL = re.compile(r"(?<=[a-z])(?=([A-Z][A-Za-z]{2,60}))")
_CHOICE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase of the catalogue, compiled.

    Attributes:
        parts: Its literal parts, each with the number of characters that may stand before it.
        words: Words that a text must contain to match, the longest first.
    """

    parts: tuple[tuple[str, int], ...]
    words: tuple[str, ...]
    signature: Signature


@dataclass(frozen=True, slots=True)
class PhraseMatch:
    """A phrase of the catalogue, found in a text.

    Attributes:
        literal: Whether the phrase has no gaps.
    """

    signature: Signature
    start: int
    end: int
    literal: bool


def compile_phrase(wording: str, signature: Signature) -> Phrase:
    """Split *wording* at its gaps."""
    plain = plain_punctuation(lowercase(wording))
    parts: list[tuple[str, int]] = []
    gap = 0
    for piece in re.split(r"(…+)", plain):
        if piece.startswith("…"):
            gap = _GAP if len(piece) == 1 else _WIDE_GAP
        elif piece.strip():
            parts.append((piece.strip() if gap else piece.rstrip(), gap))
    words = _WORD.findall(plain) or _DIGITS.findall(plain)
    return Phrase(tuple(parts), tuple(sorted(words, key=len, reverse=True)), signature)


def wordings(pattern: str) -> Iterator[str]:
    """Every wording that *pattern* stands for, with each choice of ``{one|or another}``."""
    choice = _CHOICE.search(pattern)
    if choice is None:
        yield pattern
        return
    for option in choice[1].split("|"):
        yield from wordings(pattern[: choice.start()] + option + pattern[choice.end() :])


@dataclass(frozen=True, slots=True)
class _Index:
    """All phrases by their longest word: a text can match a phrase only if one of its words begins with that word.

    Attributes:
        latin: By the first letters of that word, then by the word.
        others: By words of other scripts, which may stand without spaces; by digits; or by the empty string.
    """

    latin: dict[str, dict[str, list[Phrase]]]
    others: dict[str, list[Phrase]]


@cache
def _index() -> _Index:
    """Index the catalogue's phrases, once per process."""
    index = _Index({}, {})
    for signature in signatures():
        for pattern in signature.says:
            for wording in wordings(pattern):
                phrase = compile_phrase(wording, signature)
                anchor = phrase.words[0] if phrase.words else ""
                by_word = (
                    index.latin.setdefault(anchor[:_PREFIX], {})
                    if _LATIN.fullmatch(anchor)
                    else index.others
                )
                by_word.setdefault(anchor, []).append(phrase)
    return index


def find_phrases(
    text: str, lowered: str, side_remarks: Sequence[tuple[int, int]]
) -> list[PhraseMatch]:
    """The first match of every phrase in *text*, preferably outside *side_remarks*.

    A match inside a longer one is left out: "refresh token has expired" is not also "token has expired".

    Args:
        lowered: *text* in lower case, by :func:`lowercase`.
    """
    matches = []
    covered_end, covered_start = -1, -1  # of the literal match that ends last so far
    for match in sorted(
        _all_matches(text, lowered, side_remarks), key=lambda match: (match.start, -match.end)
    ):
        if match.end > covered_end or (match.end == covered_end and match.start == covered_start):
            matches.append(match)
            if match.literal and match.end > covered_end:
                covered_end, covered_start = match.end, match.start
    return matches


def _all_matches(
    text: str, lowered: str, side_remarks: Sequence[tuple[int, int]]
) -> Iterator[PhraseMatch]:
    """The first match of every phrase, including those inside longer matches."""
    offsets: dict[str, list[int]] = {}
    present: dict[str, bool] = {}  # each word is searched for once, however many phrases need it
    for phrase in _candidates(text, lowered):
        for word in phrase.words:
            if word not in present:
                present[word] = word in lowered
            if not present[word]:
                break
        else:
            match = _find(text, lowered, phrase, side_remarks, offsets)
            if match is not None:
                yield match


def _candidates(text: str, lowered: str) -> Iterator[Phrase]:
    """The phrases whose longest word occurs in *text*; no other phrase can match."""
    index = _index()
    words = {*_LATIN.findall(lowered), *(part.lower() for part in _CAMEL.findall(text))}
    found_anchors = set()
    for word in words:
        for anchor, phrases in index.latin.get(word[:_PREFIX], {}).items():
            if anchor not in found_anchors and word.startswith(anchor):
                found_anchors.add(anchor)
                yield from phrases
    for anchor, phrases in index.others.items():
        if anchor in lowered:
            yield from phrases


def _find(
    text: str,
    lowered: str,
    phrase: Phrase,
    side_remarks: Sequence[tuple[int, int]],
    offsets: dict[str, list[int]],
) -> PhraseMatch | None:
    """The first match of *phrase*, preferably outside *side_remarks*; None if there is none."""
    in_side_remark: PhraseMatch | None = None
    for start in _offsets(lowered, phrase.parts[0][0], offsets):
        end = None if _cuts_word(text, start) else _match_end(lowered, start, phrase.parts)
        if end is not None:
            match = PhraseMatch(phrase.signature, start, end, len(phrase.parts) == 1)
            if not within(start, side_remarks):
                return match
            in_side_remark = in_side_remark or match
    return in_side_remark


def _offsets(lowered: str, first: str, offsets: dict[str, list[int]]) -> list[int]:
    """Where *first* occurs; cached in *offsets*, because many phrases begin alike."""
    if first not in offsets:
        starts = offsets[first] = []
        start = lowered.find(first)
        while start >= 0 and len(starts) < _MAX_STARTS:
            starts.append(start)
            start = lowered.find(first, start + 1)
    return offsets[first]


def _match_end(lowered: str, start: int, parts: tuple[tuple[str, int], ...]) -> int | None:
    """The end of the match that begins at *start*; None if there is none."""
    end = start
    for part, gap in parts:
        part_start = lowered.find(part, end, end + gap + len(part))
        if part_start < 0:
            return None
        end = part_start + len(part)
        if _cuts_number(lowered, part_start) or _cuts_number(lowered, end):
            return None
    return end


def _cuts_word(text: str, offset: int) -> bool:
    """Whether a match that begins at *offset* would begin inside a word."""
    before = text[offset - 1 : offset]
    inside = before.isalpha() and before < "\u0250" and text[offset].isalpha()  # Latin script only
    return inside and not (text[offset].isupper() and before.islower())


def _cuts_number(text: str, offset: int) -> bool:
    return 0 < offset < len(text) and text[offset - 1].isdigit() and text[offset].isdigit()


def within(offset: int, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether *offset* lies in one of *spans*."""
    return any(start <= offset < end for start, end in spans)

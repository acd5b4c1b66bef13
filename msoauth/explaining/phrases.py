"""Finding the catalogue's phrases in a text: in time that grows with the text and with nothing else.

A phrase is literal text; ``…`` in it stands for up to 80 characters, ``……`` for up to 400, ``{one|another}`` for either. A phrase does not begin inside a
word (unless at a capital, as in ``ErrorSendAsDenied``), but may end inside one: it may be a stem. Nor does it begin or end
inside a number.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from msoauth.explaining.load import Signature, signatures
from msoauth.explaining.unwrap import plain_signs

_GAP, _WIDE = 80, 400
_TRIES = 60  # places at which the beginning of one phrase is looked at, in one text
_START = 3  # letters by which words are looked up
_WORD = re.compile(r"[^\W\d_]{3,60}")
_FIGURES = re.compile(r"\d+(?:\.\d+)+|\d{2,}")
_LATIN = re.compile(r"[a-z\u00df-\u024f]{3,60}")
_CAMEL = re.compile(r"(?<=[a-z])(?=([A-Z][A-Za-z]{2,60}))")
_CHOICE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Phrase:
    """Its literal parts, how many characters may lie before each, and the words a text must have to say it."""

    parts: tuple[tuple[str, int], ...]
    words: tuple[str, ...]
    signature: Signature


@dataclass(frozen=True, slots=True)
class Hit:
    """A phrase that a text says, where, and whether without a gap."""

    signature: Signature
    start: int
    end: int
    literal: bool


def phrase(wording: str, signature: Signature) -> Phrase:
    """*wording*, taken apart at its gaps."""
    plain = plain_signs(fold(wording))
    parts: list[tuple[str, int]] = []
    gap = 0
    for piece in re.split(r"(…+)", plain):
        if piece.startswith("…"):
            gap = _GAP if len(piece) == 1 else _WIDE
        elif piece.strip():
            parts.append((piece.strip() if gap else piece.rstrip(), gap))
    words = _WORD.findall(plain) or _FIGURES.findall(plain)
    return Phrase(tuple(parts), tuple(sorted(words, key=len, reverse=True)), signature)


def wordings(pattern: str) -> Iterator[str]:
    """Every wording that *pattern* stands for: each of ``{one|or another}`` in turn."""
    choice = _CHOICE.search(pattern)
    if choice is None:
        yield pattern
        return
    for option in choice[1].split("|"):
        yield from wordings(pattern[: choice.start()] + option + pattern[choice.end() :])


@dataclass(frozen=True, slots=True)
class _Index:
    """All phrases by their longest word: a text without a word that begins so cannot say the phrase.

    Attributes:
        latin: By the first letters of that word, then by the word.
        others: By words that stand without blanks (Chinese), by figures, or by nothing.
    """

    latin: dict[str, dict[str, list[Phrase]]]
    others: dict[str, list[Phrase]]


@cache
def _index() -> _Index:
    index = _Index({}, {})
    for signature in signatures():
        for pattern in signature.says:
            for wording in wordings(pattern):
                one = phrase(wording, signature)
                anchor = one.words[0] if one.words else ""
                by_word = (
                    index.latin.setdefault(anchor[:_START], {})
                    if _LATIN.fullmatch(anchor)
                    else index.others
                )
                by_word.setdefault(anchor, []).append(one)
    return index


def said(text: str, folded: str, asides: Sequence[tuple[int, int]]) -> list[Hit]:
    """Every phrase that *text* (*folded*: in lower case) says, once; outside *asides* if it stands there too.

    A wording inside a longer one is left out: whoever says "refresh token has expired" does not say "token has expired".
    """
    kept = []
    far, since = -1, -1  # the literal hit that reaches farthest so far: its end and its start
    for hit in sorted(_all(text, folded, asides), key=lambda one: (one.start, -one.end)):
        if hit.end > far or (hit.end == far and hit.start == since):
            kept.append(hit)
            if hit.literal and hit.end > far:
                far, since = hit.end, hit.start
    return kept


def _all(text: str, folded: str, asides: Sequence[tuple[int, int]]) -> Iterator[Hit]:
    places: dict[str, list[int]] = {}
    has: dict[str, bool] = {}  # each word is looked for once, however many phrases need it
    for one in _possible(text, folded):
        for word in one.words:
            if word not in has:
                has[word] = word in folded
            if not has[word]:
                break
        else:
            hit = _find(text, folded, one, asides, places)
            if hit is not None:
                yield hit


def _possible(text: str, folded: str) -> Iterator[Phrase]:
    """The phrases whose longest word *text* has."""
    index = _index()
    words = {*_LATIN.findall(folded), *(part.lower() for part in _CAMEL.findall(text))}
    found = set()
    for word in words:
        for anchor, phrases in index.latin.get(word[:_START], {}).items():
            if anchor not in found and word.startswith(anchor):
                found.add(anchor)
                yield from phrases
    for anchor, phrases in index.others.items():
        if anchor in folded:
            yield from phrases


def _find(
    text: str,
    folded: str,
    wanted: Phrase,
    asides: Sequence[tuple[int, int]],
    places: dict[str, list[int]],
) -> Hit | None:
    aside: Hit | None = None
    for at in _places(folded, wanted.parts[0][0], places):
        end = None if _cuts_word(text, at) else _rest(folded, at, wanted.parts)
        if end is not None:
            hit = Hit(wanted.signature, at, end, len(wanted.parts) == 1)
            if not within(at, asides):
                return hit
            aside = aside or hit
    return aside


def _places(folded: str, first: str, places: dict[str, list[int]]) -> list[int]:
    """Where *first* stands; looked up once, because many phrases begin alike."""
    if first not in places:
        found = places[first] = []
        at = folded.find(first)
        while at >= 0 and len(found) < _TRIES:
            found.append(at)
            at = folded.find(first, at + 1)
    return places[first]


def _rest(folded: str, at: int, parts: tuple[tuple[str, int], ...]) -> int | None:
    end = at
    for part, gap in parts:
        start = folded.find(part, end, end + gap + len(part))
        if start < 0:
            return None
        end = start + len(part)
        if _cuts_number(folded, start) or _cuts_number(folded, end):
            return None
    return end


def _cuts_word(text: str, place: int) -> bool:
    before = text[place - 1 : place]
    inside = before.isalpha() and before < "\u0250" and text[place].isalpha()  # Latin script only
    return inside and not (text[place].isupper() and before.islower())


def _cuts_number(text: str, place: int) -> bool:
    return 0 < place < len(text) and text[place - 1].isdigit() and text[place].isdigit()


def within(place: int, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether *place* lies in one of *spans*."""
    return any(start <= place < end for start, end in spans)


def fold(text: str) -> str:
    """*text* in lower case, every character in its place."""
    folded = text.lower()
    if len(folded) == len(text):
        return folded
    return text.replace("İ", "I").lower()  # the one letter whose lower case is longer

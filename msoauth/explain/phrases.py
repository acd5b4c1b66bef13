"""Finding the catalogue's phrases in a text: in time that grows with the text and with nothing else.

A phrase is literal text; ``…`` in it stands for up to 80 characters, ``……`` for up to 400. A phrase does not begin inside a
word (unless at a capital, as in ``ErrorSendAsDenied``), but may end inside one: it may be a stem. Nor does it begin or end
inside a number.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from msoauth.explain.load import Signature, signatures
from msoauth.explain.unwrap import plain_signs

_GAP, _WIDE = 80, 400
_TRIES = 60  # places at which the beginning of one phrase is looked at, in one text
_LONG = 20_000  # characters from which on a text's vocabulary is looked at first
_WORD = re.compile(r"[^\W\d_]{3,60}")
_FIGURES = re.compile(r"\d+(?:\.\d+)+|\d{2,}")
# Byte tables that leave letters (of any script) and figures standing, and blank out the rest.
_LETTERS = bytes(b if chr(b).isalpha() or b >= 0x80 else 0x20 for b in range(256))
_DIGITS = bytes(b if chr(b) in "0123456789." else 0x20 for b in range(256))


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


@cache
def _by_anchor() -> dict[str, list[Phrase]]:
    """All phrases by their longest word: a text without that word cannot say the phrase."""
    anchors: dict[str, list[Phrase]] = {}
    for signature in signatures():
        for wording in signature.says:
            one = phrase(wording, signature)
            anchors.setdefault(one.words[0] if one.words else "", []).append(one)
    return anchors


def said(text: str, folded: str, asides: Sequence[tuple[int, int]]) -> list[Hit]:
    """Every phrase that *text* (*folded*: in lower case) says, once; outside *asides* if it stands there too.

    A wording inside a longer one is left out: whoever says "refresh token has expired" does not say "token has expired".
    """
    hits = list(_all(text, folded, asides))
    whole = [hit for hit in hits if hit.literal]
    return [hit for hit in hits if not any(_covers(one, hit) for one in whole)]


def _covers(one: Hit, other: Hit) -> bool:
    longer = one.end - one.start > other.end - other.start
    return longer and one.start <= other.start and other.end <= one.end


def _all(text: str, folded: str, asides: Sequence[tuple[int, int]]) -> Iterator[Hit]:
    vocabulary = _vocabulary(folded) if len(folded) >= _LONG else folded
    places: dict[str, list[int]] = {}
    for anchor, phrases in _by_anchor().items():
        if anchor not in vocabulary:
            continue
        for one in phrases:
            if all(word in vocabulary for word in one.words):
                hit = _find(text, folded, one, asides, places)
                if hit is not None:
                    yield hit


def _vocabulary(folded: str) -> str:
    """Every word and every figure of *folded* once: in a long text most occur again and again.

    Cut by bytes, because that is the one way to look at each character of a megabyte in a few milliseconds.
    """
    raw = folded.encode("utf-8", "surrogatepass")
    words = {word for word in raw.translate(_LETTERS).split() if len(word) > 2}
    figures = set(raw.translate(_DIGITS).split())
    return b"\n".join(words | figures).decode("utf-8", "surrogatepass")


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

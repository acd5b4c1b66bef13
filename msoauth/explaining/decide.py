"""Decides on the cause of a normalized error text: finds what hints at causes, whose words it is, and takes the heaviest.

Whether it reports a failure of Microsoft's at all is for the classifier to judge.

Hints are AADSTS codes and the catalogue's phrases. Weights are on the scale of the catalogue (``signatures-smtp.toml``).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from msoauth.explaining.classifier import doubts, features
from msoauth.explaining.load import codes, weak_codes
from msoauth.explaining.normalize import lowercase
from msoauth.explaining.phrases import find_phrases
from msoauth.explaining.voices import MICROSOFT, Mark, Remark, Voices

Confidence = Literal["certain", "likely", "unsure"]
Kind = Literal["code", "reply", "library", "words"]
Owner = Literal["microsoft", "client", "other-provider", "person"] | Remark

# Weights of AADSTS numbers, of words beside one that are not its own, of bare numbers, and of those that wrap another.
_CODE_WEIGHT, _BESIDE_CODE, _LIKELY, _WEAK_CODE_WEIGHT = (
    80,
    78,
    45,
    30,
)  # below _LIKELY, a hit is never likely
_CONCLUSIVE = 60  # a hit of this weight may be a reply
_PROGRAM = 70  # a phrase of less weight is in words that a person may have written
_MARK_WEIGHTS = {3: 62, 2: 40}  # of a provider's mark beside a failure, by its strength
_NEAR = 250  # characters between them
_ALIKE = 3  # hits of less difference in weight are equally likely
_REMARK_PENALTY = 25  # for a hit in a remark
_DOUBTED, _DOUBTED_IN_WRITING, _CERTAIN = (
    0.38,
    0.02,
    0.2,
)  # how probable it is that no failure of Microsoft's is reported
# What a client finds on its way to any server, so that it is nobody's reply.
NETWORK = {
    "dns-failed", "connect-refused", "connect-timeout", "tls-untrusted", "tls-failed", "proxy-required", "clock-skew",
}  # fmt: skip
# What a server says of a mail, whosever it is.
_DELIVERY = {"recipient-rejected", "message-rejected", "mailbox-full", "throttled", "send-as-denied"}  # fmt: skip

# A number after AADSTS, or, if it is known, after "error" and the like, as Entra's sign-in log has it.
_NUMBER = re.compile(
    r"(aadsts[ _:-]{0,2}|(?:\berror|error ?code|fehlercode|result ?type)[\"':=\s]{1,6})(\d{4,9})(?!\d|[a-f]\d|-\d|\.\d)"
)
# How a mail server's refusal begins.
_REPLY = re.compile(r"\b[45]\d\d[ -]|(?:\b[a-z]*\d+|\*|\+|:) (?:no|bad) |-err ")
_FAILURE = re.compile(
    r"error|fail|denied|invalid|reject|refus|unauthori[sz]|not (?:allowed|accepted|permitted|authori[sz]ed|active|found|verified|match)"
    r"|exception|unable|cannot|could ?n[o']t|disallowed|incorrect|expired|revoked|blocked|too many|exceed|\b[45]\d\d[ -]|-err|fehler|échec|erreur|错误|失败|エラー|失敗|ошибк|오류|실패|verweigert|abgelehnt|gesperrt|refus|denegad|negad"
)
# What Microsoft adds to an error that happened.
_EVENT = re.compile(r"trace id|correlation id|timestamp: ?2|prod\.outlook\.com \d")
_EVENT_AFTER = 600  # characters
_SHOWN_BEFORE, _SHOWN_AFTER = 80, 200  # characters of evidence around the words that were found
_LEAD = re.compile(r"(?<=\s)[^\n]*\Z|\Z")  # from the start of the line, or of a word in a long one
_CLOCK = re.compile(r"\b([012]\d:[0-5]\d:[0-5]\d)")


@dataclass(frozen=True, slots=True)
class Hit:
    """Words of a text that hint at a cause, with what they are and whose voice they are."""

    cause: str
    weight: int
    start: int
    end: int
    kind: Kind
    owner: Owner


@dataclass(frozen=True, slots=True)
class Decision:
    """The cause of a text.

    Attributes:
        words: The words that show it with those around them; empty when the cause is ``unknown``.
        codes: All AADSTS numbers of the text, such as ``AADSTS50126``.
        offset: Where the words begin in the text.
        hits: What up to three possible causes rest on, the most likely first; empty when the cause is ``unknown``.
        provider: Whose reply it is, if another provider's.
        in_microsofts_place: Whether that provider answered where Microsoft's server was asked.
        features: By what the classifier judged whose failure it is.
    """

    cause: str
    confidence: Confidence = "unsure"
    words: str = ""
    codes: tuple[str, ...] = ()
    offset: int = 0
    hits: tuple[Hit, ...] = ()
    provider: str = ""
    in_microsofts_place: bool = False
    features: Mapping[str, float] = field(default_factory=dict, repr=False)


def decide(text: str) -> Decision:
    """Decide on the cause of a normalized *text*."""
    lowered = lowercase(text)
    voices = Voices(lowered)
    numbers = [
        (int(match[2]), *match.span(), _CODE_WEIGHT if match[1].startswith("aadsts") else _LIKELY)
        for match in _NUMBER.finditer(lowered)
        if match[1].startswith("aadsts") or int(match[2]) in codes()
    ]
    all_codes = tuple(dict.fromkeys(f"AADSTS{number}" for number, *_rest in numbers))
    hits = sorted(
        _hits(text, lowered, voices, numbers),
        key=lambda hit: (
            hit.weight,
            hit.kind == "code",
            hit.owner == "microsoft",
            _CLOCK.findall(lowered, max(0, hit.start - 160), hit.start)[-1:],  # a log's last counts
            -hit.start,
        ),
        reverse=True,
    )
    # Microsoft's own words count even where another provider's weigh more.
    own = (hit for hit in hits if hit.owner == "microsoft" and hit.weight >= _CONCLUSIVE)
    best = hits[0] if hits else None
    best = next(own, best) if best and best.owner == "other-provider" else best
    offset = best.start if best else next((start for _number, start, *_rest in numbers), 0)
    known = features(lowered, offset, _signs(lowered, voices, best, len(all_codes)))
    other, none = doubts(known)
    # Code, documentation or a change of them, without what Microsoft adds to an error that happened.
    is_written = "=change True" in known or "=documents 0" not in known
    limit = _DOUBTED_IN_WRITING if is_written and "=event False" in known else _DOUBTED
    # What a program finds on its way to a server is no provider's reply.
    other = 0.0 if best and best.cause in NETWORK else other
    mark = _other_speaker(lowered, voices, best, other, other and other + none)
    if mark:
        best = replace(
            best or Hit("", _LIKELY, mark.start, mark.end, "reply", "other-provider"),
            cause="other-provider",
        )
        hits.insert(0, best)
    if (
        best is None
        or best.cause == "unknown"
        or (best.cause != "other-provider" and other + none > limit)
        # Any server may have said this, or a number beside it says something else.
        or (
            (best.cause == "mail-login-rejected" and best.weight < _PROGRAM)
            and ("aadsts" in lowered or not voices.strength(microsoft=True))
        )
    ):
        return Decision("unknown", codes=all_codes, offset=offset, features=known)
    hits.remove(best)
    confidence = _confidence(best, hits, other + none)
    possible = [best, *(hit for hit in hits if hit.cause != "unknown" and confidence != "certain")]
    first = {hit.cause: hit for hit in reversed(possible)}
    lead = _LEAD.search(f"\n{text}"[max(0, best.start - _SHOWN_BEFORE) : best.start + 1])
    start = best.start - (len(lead[0]) if lead and best.kind != "code" else 0)
    return Decision(
        best.cause,
        confidence,
        text[start : best.end + (_SHOWN_AFTER if best.kind != "words" else 0)].strip(),
        all_codes,
        best.start,
        tuple(sorted(first.values(), key=possible.index)[:3]),
        voices.provider(mark) if mark else "",
        mark is not None and voices.strength(microsoft=True) == 2,
        known,
    )


def _signs(lowered: str, voices: Voices, best: Hit | None, codes_found: int) -> tuple[str, ...]:
    """What is known of a text beside its words, for the classifier."""
    of_best = best and (
        f"=cause {best.cause}",
        f"={best.kind} {best.owner}",
        f"={best.kind} {voices.strength(microsoft=True)}",
        f"=weight {best.weight // 10}",
        f"=share {5 * (best.end - best.start) // len(lowered)}",
        f"=event {_EVENT.search(lowered, best.start, best.end + _EVENT_AFTER) is not None}",
    )
    size = f"=codes {min(codes_found, 6)}", f"=length {len(lowered).bit_length()}"
    return (*voices.signs(), *size, *(of_best or ()))


def _other_speaker(
    lowered: str, voices: Voices, best: Hit | None, other: float, doubted: float
) -> Mark | None:
    """The mark of another provider, or of its server in Microsoft's place, whose reply the text is."""
    mark = voices.speaker(best.start, best.end) if best and best.owner == "other-provider" else None
    # A server that nobody knows says of a mail what any server says of it.
    nobodys = {*NETWORK, "unknown", *(_DELIVERY if mark and mark.provider in lowered else ())}
    if best and mark and mark.strength > 1 and best.cause not in nobodys:
        return mark
    strongest = max(
        (mark for mark in voices.marks if mark.provider != MICROSOFT),
        key=lambda mark: mark.strength,
        default=None,
    )
    is_strong = strongest is not None and strongest.strength > 1
    is_theirs = (doubted if is_strong else other) > _DOUBTED
    return strongest if is_theirs and _FAILURE.search(lowered) else None


def _confidence(best: Hit, others: Sequence[Hit], doubted: float) -> Confidence:
    """How certain *best* is, beside the *others* in the text."""
    is_own = best.owner == "microsoft" and best.kind in ("code", "reply")
    if is_own and best.weight >= _CONCLUSIVE and doubted < _CERTAIN:
        return "certain"
    rivals = (hit for hit in others if hit.cause not in (best.cause, "unknown"))
    is_alone = all(hit.weight < best.weight - _ALIKE for hit in rivals)
    return "likely" if is_alone and best.weight >= _LIKELY else "unsure"


def _hits(
    text: str, lowered: str, voices: Voices, numbers: Sequence[tuple[int, int, int, int]]
) -> Iterator[Hit]:
    """Everything that hints at a cause: AADSTS numbers, phrases, and other providers' marks beside a failure."""
    has_code = any(number in codes() and number not in weak_codes() for number, *_ in numbers)

    def hit(cause: str, weight: int, start: int, end: int, kind: Kind) -> Hit:
        remark = voices.remark(start)
        if remark:
            return Hit(cause, weight - _REMARK_PENALTY, start, end, kind, remark)
        if kind in ("code", "reply"):
            return Hit(cause, weight, start, end, kind, "microsoft")
        mark = voices.speaker(start, end)
        if has_code and "aadsts" not in lowered[lowered.rfind("\n", 0, start) + 1 : end]:
            weight = min(weight, _BESIDE_CODE)  # these are not the words of the code
        if mark and mark.provider != MICROSOFT:
            return Hit(cause, weight, start, end, kind, "other-provider")
        is_reply = mark and (
            (mark.in_answer and mark.strength == 3)
            or _REPLY.search(lowered, max(0, start - 20), start + 5)
        )
        if is_reply and weight >= _CONCLUSIVE:
            return Hit(cause, weight, start, end, "reply", "microsoft")
        return Hit(cause, weight, start, end, kind, "client" if kind == "library" else "person")

    least = 3 if voices.strength(microsoft=True) > 1 else 2
    yield from (
        Hit("other-provider", weight, mark.start, mark.end, "reply", "other-provider")
        for mark in (voices.marks if not numbers else ())
        if mark.provider != MICROSOFT and mark.strength >= least
        if _FAILURE.search(lowered, max(0, mark.start - _NEAR), mark.end + _NEAR)
        for weight in [_MARK_WEIGHTS[mark.strength]]
    )
    yield from (
        hit(
            codes()[number],
            min(weight, _WEAK_CODE_WEIGHT if number in weak_codes() else 99),
            start,
            end,
            "code",
        )
        for number, start, end, weight in numbers
        if number in codes()
    )
    for phrase, start, end in find_phrases(text, lowered, voices.remark):
        kind: Kind = "library" if phrase.signature.weight >= _PROGRAM else "words"
        kind = "reply" if phrase.is_literal else kind
        yield hit(phrase.signature.cause, phrase.signature.weight, start, end, kind)

"""Decides on the cause of a normalized error text: finds what hints at causes, whose words it is, and takes the heaviest.

Hints are AADSTS codes and the catalogue's phrases. Weights are on the scale of the catalogue (``signatures-smtp.toml``).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

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
# What a client finds on its way to any server, so that it is nobody's reply.
_NETWORK = {
    "dns-failed", "connect-refused", "connect-timeout", "tls-untrusted", "tls-failed", "proxy-required", "clock-skew",
}  # fmt: skip
_DELIVERY = {
    "recipient-rejected",
    "message-rejected",
    "mailbox-full",
    "throttled",
    "send-as-denied",
}
_MANY_CODES, _MANY_CAUSES = 5, 3  # a text with more than these lists errors, and reports none

# A number after AADSTS, or, if it is known, after "error" and the like, as Entra's sign-in log has it.
_NUMBER = re.compile(
    r"(aadsts[ _:-]{0,2}|(?:\berror|error ?code|fehlercode|result ?type)[\"':=\s]{1,6})(\d{4,9})(?!\d|[a-f]\d|-\d|\.\d)"
)
_MAIL = re.compile(
    r"imap|smtp|\bpop|mail|exchange|outlook|office ?365|sasl|xoauth|postf|\b535\b|-err|courrier|correo|correio|posta\b|почт|メール|邮|郵"
)
# How a mail server's refusal begins.
_REPLY = re.compile(r"\b[45]\d\d[ -]|(?:\b[a-z]*\d+|\*|\+|:) (?:no|bad) |-err ")
_FAILURE = re.compile(
    r"error|fail|denied|invalid|reject|refus|unauthori[sz]|not (?:allowed|accepted|permitted|authori[sz]ed|active|found|verified|match)"
    r"|exception|unable|cannot|could ?n[o']t|disallowed|incorrect|expired|revoked|blocked|too many|exceed|\b[45]\d\d[ -]|-err|fehler|échec|erreur|错误|失败|エラー|失敗|ошибк|오류|실패|verweigert|abgelehnt|gesperrt|refus|denegad|negad"
)
# Words of mail and of signing in; a text of some length without any is about something else.
_CONTEXT = re.compile(
    rf"{_MAIL.pattern}|inbox|microsoft|azure|entra|msal|oauth|tenant|sign(?:ing)?.?in|log(?:ging)?.?in|anmeld|access.?token|refresh.?token|365|graph|authori[sz]"
)
_MAX_WITHOUT_CONTEXT = 250  # characters
_SHOWN_AFTER = 200  # characters of evidence behind the words that were found
_STATUS = re.compile(r"\b[45]\.\d\.\d{2,3}\b")
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
        possibilities: Up to three causes, the most likely first; empty when the cause is ``unknown``.
        hits: What the possibilities rest on, in their order.
        provider: Whose reply it is, if another provider's.
        in_microsofts_place: Whether that provider answered where Microsoft's server was asked.
    """

    cause: str
    confidence: Confidence = "unsure"
    words: str = ""
    codes: tuple[str, ...] = ()
    offset: int = 0
    possibilities: tuple[str, ...] = ()
    hits: tuple[Hit, ...] = ()
    provider: str = ""
    in_microsofts_place: bool = False


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
    best = next(
        (hit for hit in hits if hit.owner == "microsoft" and hit.weight >= _CONCLUSIVE), None
    )
    if best is None or hits[0].owner not in ("other-provider", best.owner):
        best = hits[0] if hits else None
    mark = _other_speaker(lowered, voices, best) if best else None
    if best and mark:
        hits = [replace(best, cause="other-provider"), *hits]
        best = hits[0]
    if (
        best is None
        or best.cause == "unknown"
        or _is_foreign(lowered, best, voices)
        or _is_list(all_codes, lowered)
    ):
        offset = best.start if best else next((start for _number, start, *_rest in numbers), 0)
        return Decision("unknown", codes=all_codes, offset=offset)
    hits.remove(best)
    confidence = _confidence(best, hits)
    causes = {best.cause: best}
    for hit in hits if confidence != "certain" else ():
        if hit.cause != "unknown":
            causes.setdefault(hit.cause, hit)
    end = best.end + (_SHOWN_AFTER if best.kind != "words" else 0)
    return Decision(
        best.cause,
        confidence,
        text[
            best.start if best.kind == "code" else _evidence_start(text, best.start) : end
        ].strip(),
        all_codes,
        best.start,
        tuple(causes)[:3],
        tuple(causes.values())[:3],
        voices.provider(mark) if mark else "",
        mark is not None and voices.strength(microsoft=True) == 2,
    )


def _other_speaker(lowered: str, voices: Voices, best: Hit) -> Mark | None:
    """The mark of another provider, or of its server in Microsoft's place, whose reply *best* is."""
    if best.owner != "other-provider" or best.cause in (*_NETWORK, "unknown"):
        return None
    mark = voices.speaker(best.start, best.end)
    # A server that nobody knows says of a mail what any server says of it.
    return mark if mark and not (mark.provider in lowered and best.cause in _DELIVERY) else None


def _is_foreign(lowered: str, best: Hit, voices: Voices) -> bool:
    """Whether *best* is in somebody's words about something else than mail and signing in."""
    if best.owner == "documentation":
        return True
    if best.owner == "other-provider":
        return voices.strength(microsoft=False) == 1
    is_vague = best.cause == "mail-login-rejected" and best.weight < _PROGRAM
    if is_vague and ("aadsts" in lowered or not voices.strength(microsoft=True)):
        return True  # any server says this; beside a number it is not what the number says
    if best.owner not in ("client", "person"):
        return False
    return (
        (best.cause not in _NETWORK or best.kind == "words")
        and len(lowered) > _MAX_WITHOUT_CONTEXT
        and not _CONTEXT.search(lowered)
    )


def _is_list(all_codes: Sequence[str], lowered: str) -> bool:
    """Whether a text lists errors instead of reporting one."""
    numbers = {int(code.removeprefix("AADSTS")) for code in all_codes}
    causes = {codes().get(number) for number in numbers}
    many_codes = len(numbers) > _MANY_CODES and len(causes) > _MANY_CAUSES
    many_statuses = len(set(_STATUS.findall(lowered))) >= _MANY_CAUSES
    return (many_codes or many_statuses) and not _CLOCK.search(lowered)


def _confidence(best: Hit, others: Sequence[Hit]) -> Confidence:
    """How certain *best* is, beside the *others* in the text."""
    if best.owner == "microsoft" and best.kind in ("code", "reply") and best.weight >= _CONCLUSIVE:
        return "certain"
    rivals = (hit for hit in others if hit.cause not in (best.cause, "unknown"))
    is_alone = all(hit.weight < best.weight - _ALIKE for hit in rivals)
    return "likely" if is_alone and best.weight >= _LIKELY else "unsure"


def _hits(
    text: str, lowered: str, voices: Voices, numbers: Sequence[tuple[int, int, int, int]]
) -> Iterator[Hit]:
    """Everything that hints at a cause: AADSTS numbers, phrases, and other providers' marks beside a failure."""

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
            mark.in_answer or _REPLY.search(lowered, max(0, start - 20), start + 5)
        )
        if is_reply and weight >= _CONCLUSIVE:
            return Hit(cause, weight, start, end, "reply", "microsoft")
        return Hit(cause, weight, start, end, kind, "client" if kind == "library" else "person")

    least = 3 if voices.strength(microsoft=True) > 1 else 2
    for mark in voices.marks if not numbers else ():
        if mark.provider != MICROSOFT and mark.strength >= least and _fails_near(lowered, mark):
            yield Hit(
                "other-provider",
                _MARK_WEIGHTS[mark.strength],
                mark.start,
                mark.end,
                "reply",
                "other-provider",
            )
    has_code = any(number in codes() and number not in weak_codes() for number, *_ in numbers)
    for number, start, end, weight in numbers:
        if number in codes():
            weight = _WEAK_CODE_WEIGHT if number in weak_codes() else weight
            yield hit(codes()[number], weight, start, end, "code")
    for match in find_phrases(text, lowered, voices.remark):
        signature = match.phrase.signature
        kind: Kind = (
            "reply"
            if match.phrase.is_literal
            else "library"
            if signature.weight >= _PROGRAM
            else "words"
        )
        yield hit(signature.cause, signature.weight, match.start, match.end, kind)


def _fails_near(lowered: str, mark: Mark) -> bool:
    return _FAILURE.search(lowered, max(0, mark.start - _NEAR), mark.end + _NEAR) is not None


def _evidence_start(text: str, offset: int) -> int:
    """Where the evidence around *at* begins: at the start of its line, or at a word where the line is long."""
    before = max(0, offset - 80)
    line = text.rfind("\n", before, offset) + 1
    if line or not before:
        return line
    return text.find(" ", before, offset) + 1 or offset

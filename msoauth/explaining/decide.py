"""Decides on the cause of a normalized error text: finds candidates, weighs them, and takes the heaviest.

Candidates come from AADSTS codes, the catalogue's phrases, keyword rules and token claims. Weights are on the scale of
the catalogue (``signatures-smtp.toml``).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from msoauth.explaining.keyword_rules import match_rules
from msoauth.explaining.load import codes, context_rules, weak_codes
from msoauth.explaining.normalize import lowercase
from msoauth.explaining.phrases import find_phrases, within
from msoauth.explaining.token_claims import cause_from_claims

# Weights of AADSTS numbers: written as AADSTS…, in `error_codes`, as bare numbers, and of those that wrap another.
_CODE_WEIGHT, _CODE_LIST_WEIGHT, _BARE_CODE_WEIGHT, _WEAK_CODE_WEIGHT = 80, 78, 45, 30
_CERTAIN = 70
_CONCLUSIVE = 60  # a candidate of this weight makes keyword rules unnecessary
# After a failed silent sign-in, the error of the page that follows is more exact.
_LESS_EXACT = {"session-missing"}
# Causes of a refused login, and how a log shows that a later login succeeded.
_REFUSALS = {"mail-login-rejected", "password-wrong", "basic-auth-disabled", "login-required"}
_LOGGED_IN = re.compile(
    r"\bok (?:login|authenticate)(?: command)? completed|\b235[ -]2\.7\.0 auth|\+ok user successfully"
)
_CLAIMS_WEIGHT = 84  # of token claims beside an error that names no other reason
_GENERIC = {"mail-login-rejected", "graph-forbidden", "audience-wrong", "unknown"}
_SIDE_REMARK_PENALTY = 25  # for a candidate inside a side remark
# These decide between candidates of about the same weight in favour of the more recent one.
_PRESENT_BONUS, _QUOTED_MAIL_PENALTY = 2, 10

_AADSTS = re.compile(r"aadsts[ _:-]{0,2}(\d{4,9})(?!\d)")
_CODE_LIST = re.compile(
    r"error_?codes?\W{0,6}[:=]\W{0,6}(\d{4,9})(?!\d)(?:\W{0,4},\W{0,4}(\d{4,9})(?!\d))?"
)
_BARE_CODE = re.compile(
    r"(?:(?:error|failure|sign-in error) ?code|errorcode|fehlercode|error\?code=|resulttype|result type)"
    r"[\"':=\s]{0,6}(\d{4,9})(?![\d-])(?!\.\d)"
    r"|\s-\s(\d{5,9})\s-\s|^\W{0,3}(\d{5,9})(?=[:\s]|$)"
    r"|\b(?:error|code|fehler|erreur|codice|código)[ :#=]{1,3}(\d{5,9})(?![\d-])(?!\.\d)"
)
# A text that mentions mail: only there a vague refusal is attributed to a mail server.
_MAIL = re.compile(
    r"imap|smtp|\bpop|mail|exchange|outlook|office ?365|sasl|xoauth|postf|\b535\b|-err|courrier|correo|correio|posta\b|почт|メール|邮|郵"
)
_MAIL_HOST = re.compile(r"imap|smtp|\bpop3?\b|outlook\.office")
_CLOCK = re.compile(r"\b([012]\d:[0-5]\d:[0-5]\d)")

# Side remarks (comparisons, the past, links) mention other failures than the one that happened.
_SIDE_REMARK = re.compile(
    r"\((?:if|when|but|unlike|not|earlier|before|wenn|falls|früher|vorher|nicht|statt)\b[^()]{0,400}\)"
    r"|\b(?:instead of|rather than|unlike|not to be confused with|as opposed to|used to (?:get|be|see|have|say)|previously|earlier"
    r"|before that|at first|initially|(?<!since )(?:yesterday|last (?:week|month|time|year))|if (?:i|you|we) (?:type|enter|put|change|switch|disable|remove|turn|use (?:a|an|the) (?:wrong|other|different|incorrect))|similar to"
    r"|no longer (?:get|see|says|aadsts)|(?:don't|do not|didn't|did not|not) (?:get|see|got) aadsts|fixed the|solved the|i had(?! to\b)|we had(?! to\b)"
    r"|anstatt|statt|früher|vorher|zuvor|zuerst|anfangs|(?<!seit )(?:gestern|letzte woche)|nicht mehr|wenn (?:ich|man|sie) (?:ein(?:en|em|e)? )?(?:falsch|ander)\w*)"
    r"\b[^.;\n]{0,100}"
    # MailKit appends this to every failed handshake, whatever the reason.
    r"|this usually means that the ssl certificate .{0,900}?for possible solutions"
    r"|https?://(?:learn|docs|support|techcommunity|answers)\.microsoft\.com/[^\s\"'<>]{0,300}"
    r"|https?://(?:www\.)?(?:github|stackoverflow|serverfault|superuser)\.com/[^\s\"'<>]{0,300}"
)
# A candidate in words about the present outweighs an equal one about the past.
_PRESENT = re.compile(
    r"\b(?:now (?:i|we|it|he|she|the|getting|says)|but now|and now|(?:am|are|is) now (?:getting|seeing)|jetzt|nunmehr|inzwischen"
    r"|maintenant|ahora|update:|edit:|edit \d:|nachtrag:)[^\n]{0,300}"
)
# The line above a quoted older mail.
_QUOTED_MAIL = re.compile(
    r"-{3,10} ?(?:original message|ursprüngliche nachricht|originalnachricht|message d'origine|mensaje original|forwarded message) ?-{3,10}"
    r"|\b(?:on|am) [^\n]{6,90} (?:wrote|schrieb)\b[^:\n]{0,90}:|\b(?:von|from): [^\n]{3,120}? (?:gesendet|sent): "
)
_OWN_HEADER = 40  # a match that begins within so many characters is the text's own mail header
_MAX_PROSE = 100_000  # characters; a longer text is taken for a log, not for what a person wrote


Confidence = Literal["certain", "likely", "unsure"]
Kind = Literal["code", "reply", "library", "words"]
Owner = Literal[
    "microsoft", "client", "other-provider", "advice", "documentation", "example", "person"
]


@dataclass(frozen=True, slots=True)
class Hit:
    """Words of a text that hint at a cause, with what they are and whose voice they are."""

    cause: str
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
    """

    cause: str
    confidence: Confidence = "unsure"
    words: str = ""
    codes: tuple[str, ...] = ()
    offset: int = 0
    possibilities: tuple[str, ...] = ()
    hits: tuple[Hit, ...] = ()
    provider: str = ""


@dataclass(frozen=True, slots=True)
class _Candidate:
    weight: int
    start: int
    end: int
    cause: str
    is_code: bool = False
    phrase_end: int = 0


def decide(text: str) -> Decision:
    """Decide on the cause of a normalized *text*."""
    lowered = lowercase(text)
    is_prose = len(lowered) <= _MAX_PROSE
    side_remarks = [match.span() for match in _SIDE_REMARK.finditer(lowered)] if is_prose else []
    present = [match.span() for match in _PRESENT.finditer(lowered)] if is_prose else []
    quoted_from = _quoted_mail_start(lowered) if is_prose else len(lowered)
    numbers = list(_aadsts_numbers(lowered))
    all_codes = tuple(
        dict.fromkeys(f"AADSTS{number}" for number, _, _, weight in numbers if weight)
    )
    candidates = [
        replace(
            candidate,
            weight=candidate.weight
            - _SIDE_REMARK_PENALTY * within(candidate.start, side_remarks)
            + _PRESENT_BONUS * within(candidate.start, present)
            - _QUOTED_MAIL_PENALTY * (candidate.start >= quoted_from),
        )
        for candidate in _plausible_candidates(
            lowered, _candidates(text, lowered, side_remarks, numbers), bool(all_codes)
        )
    ]
    if not candidates:
        offset = next((start for _, start, _, weight in numbers if weight), 0)
        return Decision("unknown", codes=all_codes, offset=offset)
    best = _last_in_log(
        lowered,
        max(candidates, key=lambda c: (c.weight, c.is_code, -c.start)),
        candidates,
    )
    words = text[_evidence_start(text, best.start) if not best.is_code else best.start : best.end]
    cause = _apply_context_rules(lowered, best.cause) if is_prose else best.cause
    confidence: Confidence = (
        "unsure"
        if cause == "unknown"
        else "certain"
        if best.weight >= _CERTAIN
        else "likely"
        if best.weight >= _BARE_CODE_WEIGHT
        else "unsure"
    )
    ranked = sorted(candidates, key=lambda c: -c.weight) if confidence == "unsure" else []
    causes = dict.fromkeys([cause, *(candidate.cause for candidate in ranked)])
    hits = [
        Hit(
            candidate.cause,
            candidate.start,
            candidate.phrase_end or candidate.end,
            "code" if candidate.is_code else "reply" if candidate.weight >= _CERTAIN else "words",
            "microsoft" if candidate.is_code or candidate.weight >= _CERTAIN else "person",
        )
        for candidate in dict.fromkeys([best, *ranked])
    ]
    return Decision(
        cause,
        confidence,
        words.strip(),
        all_codes,
        best.start,
        tuple(causes)[:3] if cause != "unknown" else (),
        tuple(hits),
    )


def _quoted_mail_start(lowered: str) -> int:
    """Where a quoted older mail begins; the end of the text when there is none."""
    starts = (match.start() for match in _QUOTED_MAIL.finditer(lowered))
    return next((start for start in starts if start > _OWN_HEADER), len(lowered))


def _apply_context_rules(lowered: str, cause: str) -> str:
    """*cause*, or the cause by which the first matching context rule replaces it."""
    for rule in context_rules():
        if (
            rule.cause == cause
            and any(words in lowered for words in rule.beside)
            and (not rule.also or any(words in lowered for words in rule.also))
            and not any(words in lowered for words in rule.unless)
        ):
            return rule.becomes
    return cause


def _candidates(
    text: str,
    lowered: str,
    side_remarks: Sequence[tuple[int, int]],
    numbers: Sequence[tuple[int, int, int, int]],
) -> list[_Candidate]:
    """Everything that hints at a cause: AADSTS numbers, phrases and, if neither is conclusive, keyword rules."""
    candidates = [
        _Candidate(
            _WEAK_CODE_WEIGHT
            if number in weak_codes()
            else weight - (codes()[number] in _LESS_EXACT),
            start,
            end + 300,
            codes()[number],
            is_code=True,
            phrase_end=end,
        )
        for number, start, end, weight in numbers
        if number in codes()
    ]
    candidates += [
        _Candidate(
            match.signature.weight,
            match.start,
            match.end + 200,
            match.signature.cause,
            phrase_end=match.end,
        )
        for match in find_phrases(text, lowered, side_remarks)
    ]
    if not any(candidate.is_code or candidate.weight >= _CONCLUSIVE for candidate in candidates):
        candidates += [
            _Candidate(match.rule.weight, match.start, match.end, match.rule.cause)
            for match in match_rules(lowered, side_remarks)
        ]
    return candidates


def _plausible_candidates(
    lowered: str, candidates: Sequence[_Candidate], from_entra: bool
) -> Iterator[_Candidate]:
    """*candidates* without errors that did not happen or were overcome later, and with the cause that token claims show."""
    from_mail_server = _MAIL.search(lowered) is not None and not from_entra
    last_login = max((match.start() for match in _LOGGED_IN.finditer(lowered)), default=0)
    for candidate in candidates:
        vague = candidate.cause == "mail-login-rejected" and candidate.weight <= _CONCLUSIVE
        # An AADSTS number comes from Entra, so its host name was resolved, whatever a library says.
        resolved = from_entra and candidate.cause == "dns-failed" and not _MAIL_HOST.search(lowered)
        if (
            not (vague and not from_mail_server)
            and not resolved
            and not _succeeded_later(lowered, candidate, last_login)
        ):
            yield candidate
    if {
        candidate.cause for candidate in candidates if candidate.weight >= _BARE_CODE_WEIGHT
    } <= _GENERIC and (claims_cause := cause_from_claims(lowered)):
        cause, start, end = claims_cause
        yield _Candidate(_CLAIMS_WEIGHT, start, end, cause)


def _aadsts_numbers(lowered: str) -> Iterator[tuple[int, int, int, int]]:
    """Numbers that may be AADSTS codes: number, start, end, and a weight that depends on how it is written."""
    for match in _AADSTS.finditer(lowered):
        yield int(match[1]), match.start(), match.end(), _CODE_WEIGHT
    patterns = [(_CODE_LIST, _CODE_LIST_WEIGHT)]
    if len(lowered) <= _MAX_PROSE:  # in a log, a bare number means nothing
        patterns.append((_BARE_CODE, _BARE_CODE_WEIGHT))
    for pattern, weight in patterns:
        for match in pattern.finditer(lowered):
            for group in filter(None, match.groups()):
                if int(group) in codes():
                    yield int(group), match.start(), match.end(), weight


def _last_in_log(lowered: str, best: _Candidate, candidates: Sequence[_Candidate]) -> _Candidate:
    """*best*, or in a log with times the latest code of the same weight, because earlier failures were retried."""
    if not best.is_code:
        return best
    latest = _log_time(lowered, best.start)
    for candidate in candidates:
        if candidate.is_code and candidate.weight == best.weight and latest:
            time = _log_time(lowered, candidate.start)
            if time > latest and candidate.start > best.start:
                best, latest = candidate, time
    return best


def _succeeded_later(lowered: str, candidate: _Candidate, last_login: int) -> bool:
    """Whether *candidate* is a refused login that succeeded when it was tried again."""
    return (
        candidate.cause in _REFUSALS
        and "authenticated but not connected" not in lowered[candidate.start : candidate.phrase_end]
        and candidate.start < last_login
        and lowered.rfind(lowered[candidate.start : candidate.phrase_end], last_login) < 0
    )


def _log_time(lowered: str, offset: int) -> str:
    """The last time of day before *offset*; empty when there is none nearby."""
    times = _CLOCK.findall(lowered, max(0, offset - 160), offset)
    return times[-1] if times else ""


def _evidence_start(text: str, offset: int) -> int:
    """Where the evidence around *at* begins: at the start of its line, or at a word where the line is long."""
    before = max(0, offset - 80)
    line = text.rfind("\n", before, offset) + 1
    if line or not before:
        return line
    return text.find(" ", before, offset) + 1 or offset

"""Decides on the cause of a normalized error text: finds candidates, weighs them, and takes the heaviest.

Candidates come from AADSTS codes, the catalogue's phrases, keyword rules and token claims. Weights are on the scale of
the catalogue (``signatures-smtp.toml``).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from msoauth.explaining.keyword_rules import match_rules
from msoauth.explaining.load import codes, context_rules, weak_codes
from msoauth.explaining.phrases import find_phrases, lowercase, within
from msoauth.explaining.token_claims import cause_from_claims

# Weights of AADSTS numbers: written as AADSTS…, in `error_codes`, as bare numbers, and of those that wrap another.
_CODE_WEIGHT, _LISTED_WEIGHT, _BARE_WEIGHT, _WEAK_WEIGHT = 80, 78, 45, 30
_KNOWN_WORDING = 60  # a candidate of this weight makes keyword rules unnecessary
_YIELDING = {"session-missing"}  # a failed silent sign-in: the page that follows tells more
# Causes of a refused login, and what a log shows of a later one that succeeded.
_REFUSALS = {"mail-login-rejected", "password-wrong", "basic-auth-disabled", "login-required"}
_LOGGED_IN = re.compile(
    r"\bok (?:login|authenticate)(?: command)? completed|\b235[ -]2\.7\.0 auth|\+ok user successfully"
)
_CLAIMS_WEIGHT = 84  # of token claims beside a refusal without another reason
_GENERIC = {"mail-login-rejected", "graph-forbidden", "audience-wrong", "unknown"}
_SIDE_REMARK_PENALTY = 25  # for what stands in a side remark
# Of two of about the same weight, the newer one is taken.
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
# A text that mentions mail: only there a vague refusal is taken for a mail server's.
_MAIL = re.compile(
    r"imap|smtp|\bpop|mail|exchange|outlook|office ?365|sasl|xoauth|postf|\b535\b|-err|courrier|correo|correio|posta\b|почт|メール|邮|郵"
)
_MAIL_HOST = re.compile(r"imap|smtp|\bpop3?\b|outlook\.office")
_CLOCK = re.compile(r"\b([012]\d:[0-5]\d:[0-5]\d)")

# Side remarks (comparisons, the past, links) name other failures than the one that happened.
_SIDE_REMARK = re.compile(
    r"\((?:if|when|but|unlike|not|earlier|before|wenn|falls|früher|vorher|nicht|statt)\b[^()]{0,400}\)"
    r"|\b(?:instead of|rather than|unlike|not to be confused with|as opposed to|used to (?:get|be|see|have|say)|previously|earlier"
    r"|before that|at first|initially|(?<!since )(?:yesterday|last (?:week|month|time|year))|if (?:i|you|we) (?:type|enter|put|change|switch|disable|remove|turn|use (?:a|an|the) (?:wrong|other|different|incorrect))|similar to"
    r"|no longer (?:get|see|says|aadsts)|(?:don't|do not|didn't|did not|not) (?:get|see|got) aadsts|fixed the|solved the|i had(?! to\b)|we had(?! to\b)"
    r"|anstatt|statt|früher|vorher|zuvor|zuerst|anfangs|(?<!seit )(?:gestern|letzte woche)|nicht mehr|wenn (?:ich|man|sie) (?:ein(?:en|em|e)? )?(?:falsch|ander)\w*)"
    r"\b[^.;\n]{0,100}"
    # What MailKit writes under every failed handshake, whatever the reason.
    r"|this usually means that the ssl certificate .{0,900}?for possible solutions"
    r"|https?://(?:learn|docs|support|techcommunity|answers)\.microsoft\.com/[^\s\"'<>]{0,300}"
    r"|https?://(?:www\.)?(?:github|stackoverflow|serverfault|superuser)\.com/[^\s\"'<>]{0,300}"
)
# Words about the present count more than equal ones about the past.
_PRESENT = re.compile(
    r"\b(?:now (?:i|we|it|he|she|the|getting|says)|but now|and now|(?:am|are|is) now (?:getting|seeing)|jetzt|nunmehr|inzwischen"
    r"|maintenant|ahora|update:|edit:|edit \d:|nachtrag:)[^\n]{0,300}"
)
# The line above a quoted older mail.
_QUOTED_MAIL = re.compile(
    r"-{3,10} ?(?:original message|ursprüngliche nachricht|originalnachricht|message d'origine|mensaje original|forwarded message) ?-{3,10}"
    r"|\b(?:on|am) [^\n]{6,90} (?:wrote|schrieb)\b[^:\n]{0,90}:|\b(?:von|from): [^\n]{3,120}? (?:gesendet|sent): "
)
_MAIL_HEADER = 40  # characters within which the mail's own header begins, which looks the same
_PROSE = 100_000  # characters up to which a text is taken to be somebody's words and not a log


@dataclass(frozen=True, slots=True)
class Decision:
    """The cause of a text.

    Attributes:
        weight: How certain it is, from 0 to 100.
        words: The words that show it; empty when the cause is ``unknown``.
        codes: All AADSTS numbers of the text, such as ``AADSTS50126``.
        offset: Where the words stand.
    """

    cause: str
    weight: int
    words: str
    codes: tuple[str, ...]
    offset: int = 0


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
    prose = len(lowered) <= _PROSE
    side_remarks = [match.span() for match in _SIDE_REMARK.finditer(lowered)] if prose else []
    present = [match.span() for match in _PRESENT.finditer(lowered)] if prose else []
    older = _quoted_mail_start(lowered) if prose else len(lowered)
    numbers = list(_aadsts_numbers(lowered))
    seen = tuple(dict.fromkeys(f"AADSTS{number}" for number, _, _, weight in numbers if weight))
    candidates = [
        replace(
            one,
            weight=one.weight
            - _SIDE_REMARK_PENALTY * within(one.start, side_remarks)
            + _PRESENT_BONUS * within(one.start, present)
            - _QUOTED_MAIL_PENALTY * (one.start >= older),
        )
        for one in _plausible(
            lowered, _candidates(text, lowered, side_remarks, numbers), bool(seen)
        )
    ]
    if not candidates:
        offset = next((start for _, start, _, weight in numbers if weight), 0)
        return Decision("unknown", 0, "", seen, offset)
    best = _last_in_log(
        lowered, max(candidates, key=lambda one: (one.weight, one.is_code, -one.start)), candidates
    )
    words = text[_evidence_start(text, best.start) if not best.is_code else best.start : best.end]
    cause = _in_context(lowered, best.cause) if prose else best.cause
    return Decision(cause, best.weight, words.strip(), seen, best.start)


def _quoted_mail_start(lowered: str) -> int:
    """Where a quoted older mail begins; the end of the text when there is none."""
    starts = (match.start() for match in _QUOTED_MAIL.finditer(lowered))
    return next((start for start in starts if start > _MAIL_HEADER), len(lowered))


def _in_context(lowered: str, cause: str) -> str:
    """*cause*, or the one that the first matching context rule makes of it."""
    for one in context_rules():
        if (
            one.cause == cause
            and any(words in lowered for words in one.beside)
            and (not one.also or any(words in lowered for words in one.also))
            and not any(words in lowered for words in one.unless)
        ):
            return one.becomes
    return cause


def _candidates(
    text: str,
    lowered: str,
    side_remarks: Sequence[tuple[int, int]],
    numbers: Sequence[tuple[int, int, int, int]],
) -> list[_Candidate]:
    """Everything that hints at a cause: AADSTS numbers, phrases and, where these say little, keyword rules."""
    candidates = [
        _Candidate(
            _WEAK_WEIGHT if number in weak_codes() else weight - (codes()[number] in _YIELDING),
            start,
            end + 300,
            codes()[number],
            is_code=True,
        )
        for number, start, end, weight in numbers
        if number in codes()
    ]
    candidates += [
        _Candidate(
            hit.signature.weight, hit.start, hit.end + 200, hit.signature.cause, phrase_end=hit.end
        )
        for hit in find_phrases(text, lowered, side_remarks)
    ]
    if not any(one.is_code or one.weight >= _KNOWN_WORDING for one in candidates):
        candidates += [
            _Candidate(one.rule.weight, one.start, one.end, one.rule.cause)
            for one in match_rules(lowered, side_remarks)
        ]
    return candidates


def _plausible(
    lowered: str, candidates: Sequence[_Candidate], by_entra: bool
) -> Iterator[_Candidate]:
    """*candidates* without refusals that did not happen or were overcome, and with what token claims say of one."""
    by_mail = _MAIL.search(lowered) is not None and not by_entra
    last_login = max((match.start() for match in _LOGGED_IN.finditer(lowered)), default=0)
    for one in candidates:
        vague = one.cause == "mail-login-rejected" and one.weight <= _KNOWN_WORDING
        # An AADSTS number is an answer of Entra, so its name was resolved, whatever a library says.
        misnamed = by_entra and one.cause == "dns-failed" and not _MAIL_HOST.search(lowered)
        if (
            not (vague and not by_mail)
            and not misnamed
            and not _succeeded_later(lowered, one, last_login)
        ):
            yield one
    if {one.cause for one in candidates if one.weight >= _BARE_WEIGHT} <= _GENERIC and (
        claimed := cause_from_claims(lowered)
    ):
        cause, start, end = claimed
        yield _Candidate(_CLAIMS_WEIGHT, start, end, cause)


def _aadsts_numbers(lowered: str) -> Iterator[tuple[int, int, int, int]]:
    """Numbers that may be AADSTS codes: number, start, end, and a weight by how it is written."""
    for match in _AADSTS.finditer(lowered):
        yield int(match[1]), match.start(), match.end(), _CODE_WEIGHT
    patterns = [(_CODE_LIST, _LISTED_WEIGHT)]
    if len(lowered) <= _PROSE:  # in a log, a number that stands alone says nothing
        patterns.append((_BARE_CODE, _BARE_WEIGHT))
    for pattern, weight in patterns:
        for match in pattern.finditer(lowered):
            for group in filter(None, match.groups()):
                if int(group) in codes():
                    yield int(group), match.start(), match.end(), weight


def _last_in_log(lowered: str, best: _Candidate, candidates: Sequence[_Candidate]) -> _Candidate:
    """*best*, or in a log with times the latest code of the same weight: what failed before was retried."""
    if not best.is_code:
        return best
    clock = _log_time(lowered, best.start)
    for one in candidates:
        if one.is_code and one.weight == best.weight and clock:
            later = _log_time(lowered, one.start)
            if later > clock and one.start > best.start:
                best, clock = one, later
    return best


def _succeeded_later(lowered: str, one: _Candidate, last_login: int) -> bool:
    """Whether *one* is a refused login that succeeded when it was tried again."""
    return (
        one.cause in _REFUSALS
        and "authenticated but not connected" not in lowered[one.start : one.phrase_end]
        and one.start < last_login
        and lowered.rfind(lowered[one.start : one.phrase_end], last_login) < 0
    )


def _log_time(lowered: str, offset: int) -> str:
    """The last time of day before *offset*; empty when there is none nearby."""
    times = _CLOCK.findall(lowered, max(0, offset - 160), offset)
    return times[-1] if times else ""


def _evidence_start(text: str, at: int) -> int:
    """Where the evidence around *at* begins: at the start of its line, or at a word where the line is long."""
    before = max(0, at - 80)
    line = text.rfind("\n", before, at) + 1
    if line or not before:
        return line
    return text.find(" ", before, at) + 1 or at

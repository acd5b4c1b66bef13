"""Which of the things a text says is the cause."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from msoauth.explaining.claims import of_a_token
from msoauth.explaining.load import codes, contexts, weak_codes
from msoauth.explaining.notions import meant
from msoauth.explaining.phrases import fold, said, within

# Weights of AADSTS numbers on the scale of the signatures: in words, in `error_codes`, and as bare numbers.
_CODE, _LISTED, _BARE, _WEAK = 80, 78, 45, 30
_WORDED = 60  # from about here on a text has said in known words what is wrong
_LEADS_ON = {"session-missing"}  # a silent try that failed, after which a page is opened: yields
# What a refused login is told as, and how a later one that worked shows in a log.
_REFUSALS = {"mail-login-rejected", "password-wrong", "basic-auth-disabled", "login-required"}
_LOGGED_IN = re.compile(
    r"\bok (?:login|authenticate)(?: command)? completed|\b235[ -]2\.7\.0 auth|\+ok user successfully"
)
_CLAIMED = 84  # what the claims of the token say, where nothing but a refusal is told
_WIDE = {"mail-login-rejected", "graph-forbidden", "audience-wrong", "unknown"}
_ASIDE_COSTS = 25  # what is said by way of comparison yields to what is said outright
_NOW_ADDS, _OLDER_COSTS = 2, 10  # of two that weigh about the same, the newer one

_NUMBER = re.compile(r"aadsts[ _:-]{0,2}(\d{4,9})(?!\d)")
_LIST = re.compile(
    r"error_?codes?\W{0,6}[:=]\W{0,6}(\d{4,9})(?!\d)(?:\W{0,4},\W{0,4}(\d{4,9})(?!\d))?"
)
_PLAIN = re.compile(
    r"(?:(?:error|failure|sign-in error) ?code|errorcode|fehlercode|error\?code=|resulttype|result type)"
    r"[\"':=\s]{0,6}(\d{4,9})(?![\d-])(?!\.\d)"
    r"|\s-\s(\d{5,9})\s-\s|^\W{0,3}(\d{5,9})(?=[:\s]|$)"
    r"|\b(?:error|code|fehler|erreur|codice|código)[ :#=]{1,3}(\d{5,9})(?![\d-])(?!\.\d)"
)
# What only sounds like a mail server's refusal is one where mail is spoken of.
_MAIL = re.compile(
    r"imap|smtp|\bpop|mail|exchange|outlook|office ?365|sasl|xoauth|postf|\b535\b|-err|courrier|correo|correio|posta\b|почт|メール|邮|郵"
)
_MAIL_HOST = re.compile(r"imap|smtp|\bpop3?\b|outlook\.office")
_CLOCK = re.compile(r"\b([012]\d:[0-5]\d:[0-5]\d)")

# What a person adds by way of comparison, or tells of the past, names other failures than the one that happened.
_ASIDE = re.compile(
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
# What is said of the present counts more than as good a hit told before it.
_NOW = re.compile(
    r"\b(?:now (?:i|we|it|he|she|the|getting|says)|but now|and now|(?:am|are|is) now (?:getting|seeing)|jetzt|nunmehr|inzwischen"
    r"|maintenant|ahora|update:|edit:|edit \d:|nachtrag:)[^\n]{0,300}"
)
# Below such a line stands an older mail.
_OLDER = re.compile(
    r"-{3,10} ?(?:original message|ursprüngliche nachricht|originalnachricht|message d'origine|mensaje original|forwarded message) ?-{3,10}"
    r"|\b(?:on|am) [^\n]{6,90} (?:wrote|schrieb)\b[^:\n]{0,90}:|\b(?:von|from): [^\n]{3,120}? (?:gesendet|sent): "
)
_HEAD = 40  # characters within which a mail's own head begins
_PROSE = 100_000  # characters up to which a text is taken to be somebody's words and not a log


@dataclass(frozen=True, slots=True)
class Decision:
    """A cause, how sure, the words it rests on, where they stand, and the codes that were seen."""

    cause: str
    weight: int
    words: str
    codes: tuple[str, ...]
    place: int = 0


@dataclass(frozen=True, slots=True)
class _Candidate:
    weight: int
    start: int
    end: int
    cause: str
    code: bool = False
    said: int = 0  # where the words themselves end


def decide(text: str) -> Decision:
    """Decide on an unwrapped *text*."""
    folded = fold(text)
    prose = len(folded) <= _PROSE
    asides = [match.span() for match in _ASIDE.finditer(folded)] if prose else []
    present = [match.span() for match in _NOW.finditer(folded)] if prose else []
    older = _older(folded) if prose else len(folded)
    numbers = list(_numbers(folded))
    seen = tuple(dict.fromkeys(f"AADSTS{number}" for number, _, _, weight in numbers if weight))
    candidates = [
        replace(
            one,
            weight=one.weight
            - _ASIDE_COSTS * within(one.start, asides)
            + _NOW_ADDS * within(one.start, present)
            - _OLDER_COSTS * (one.start >= older),
        )
        for one in _plausible(folded, _told(text, folded, asides, numbers), bool(seen))
    ]
    if not candidates:
        place = next((start for _, start, _, weight in numbers if weight), 0)
        return Decision("unknown", 0, "", seen, place)
    best = _latest(
        folded, max(candidates, key=lambda one: (one.weight, one.code, -one.start)), candidates
    )
    words = text[_beginning(text, best.start) if not best.code else best.start : best.end]
    cause = _in_context(folded, best.cause) if prose else best.cause
    return Decision(cause, best.weight, words.strip(), seen, best.start)


def _older(folded: str) -> int:
    """Where an older mail begins; the head of the mail itself is none."""
    places = (match.start() for match in _OLDER.finditer(folded))
    return next((place for place in places if place > _HEAD), len(folded))


def _in_context(folded: str, cause: str) -> str:
    """*cause*, or the one that it is by what stands around it."""
    for one in contexts():
        if (
            one.cause == cause
            and any(words in folded for words in one.beside)
            and (not one.also or any(words in folded for words in one.also))
            and not any(words in folded for words in one.unless)
        ):
            return one.becomes
    return cause


def _told(
    text: str,
    folded: str,
    asides: Sequence[tuple[int, int]],
    numbers: Sequence[tuple[int, int, int, int]],
) -> list[_Candidate]:
    """Everything in the text that tells of a cause: numbers, known wordings, and where these say little, notions."""
    candidates = [
        _Candidate(
            _WEAK if number in weak_codes() else weight - (codes()[number] in _LEADS_ON),
            start,
            end + 300,
            codes()[number],
            code=True,
        )
        for number, start, end, weight in numbers
        if number in codes()
    ]
    candidates += [
        _Candidate(
            hit.signature.weight, hit.start, hit.end + 200, hit.signature.cause, said=hit.end
        )
        for hit in said(text, folded, asides)
    ]
    if not any(one.code or one.weight >= _WORDED for one in candidates):
        candidates += [
            _Candidate(one.rule.weight, one.start, one.end, one.rule.cause)
            for one in meant(folded, asides)
        ]
    return candidates


def _plausible(
    folded: str, candidates: Sequence[_Candidate], by_entra: bool
) -> Iterator[_Candidate]:
    """*candidates* without the refusals that were none, and what the claims of a token say of one."""
    by_mail = _MAIL.search(folded) is not None and not by_entra
    logged_in = max((match.start() for match in _LOGGED_IN.finditer(folded)), default=0)
    for one in candidates:
        vague = one.cause == "mail-login-rejected" and one.weight <= _WORDED
        # Whoever was answered with an AADSTS number has reached Entra, whatever a library calls that.
        unreached = by_entra and one.cause == "dns-failed" and not _MAIL_HOST.search(folded)
        if not (vague and not by_mail) and not unreached and not _overcome(folded, one, logged_in):
            yield one
    if {one.cause for one in candidates if one.weight >= _BARE} <= _WIDE and (
        told := of_a_token(folded)
    ):
        cause, start, end = told
        yield _Candidate(_CLAIMED, start, end, cause)


def _numbers(folded: str) -> Iterator[tuple[int, int, int, int]]:
    """Numbers that may be AADSTS codes: number, where, and the weight of that way of writing."""
    for match in _NUMBER.finditer(folded):
        yield int(match[1]), match.start(), match.end(), _CODE
    loose = [(_LIST, _LISTED)]
    if len(folded) <= _PROSE:  # in a log, a number that stands alone says nothing
        loose.append((_PLAIN, _BARE))
    for pattern, weight in loose:
        for match in pattern.finditer(folded):
            for group in filter(None, match.groups()):
                if int(group) in codes():
                    yield int(group), match.start(), match.end(), weight


def _latest(folded: str, best: _Candidate, candidates: Sequence[_Candidate]) -> _Candidate:
    """In a log with times, of several codes that weigh the same, the one that came last: what failed before was retried."""
    if not best.code:
        return best
    clock = _clock(folded, best.start)
    for one in candidates:
        if one.code and one.weight == best.weight and clock:
            later = _clock(folded, one.start)
            if later > clock and one.start > best.start:
                best, clock = one, later
    return best


def _overcome(folded: str, one: _Candidate, logged_in: int) -> bool:
    """Whether a refused login is told that was tried again and worked."""
    return (
        one.cause in _REFUSALS
        and "authenticated but not connected" not in folded[one.start : one.said]
        and one.start < logged_in
        and folded.rfind(folded[one.start : one.said], logged_in) < 0
    )


def _clock(folded: str, place: int) -> str:
    """The time of day of the log line that leads to *place*, or nothing."""
    times = _CLOCK.findall(folded, max(0, place - 160), place)
    return times[-1] if times else ""


def _beginning(text: str, at: int) -> int:
    """Where the words before *at* begin: with their line, or with a whole word where the line is long."""
    before = max(0, at - 80)
    line = text.rfind("\n", before, at) + 1
    if line or not before:
        return line
    return text.find(" ", before, at) + 1 or at

"""Tells whose voice words of a text are: a provider's, or a remark's about errors that need not be the one that happened.

Providers (mail hosts, sign-in services, mail servers) are known by marks: the catalogue's ``providers.toml``. Remarks are
history, advice, documentation and examples.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, cast

from msoauth.explaining.load import providers
from msoauth.explaining.normalize import places

Remark = Literal["history", "advice", "documentation", "example"]
Strength = Literal[1, 2, 3]

MICROSOFT = "Microsoft"
_SOME = "another mail server"
_SERVERS = {"Exim", "Postfix", "Dovecot", _SOME}  # programs that providers run
_MAX_PLACES = 8  # of one mark in one text
_BEFORE, _AFTER = 250, 300  # characters around words that are still the same answer
_REMARK = re.compile(
    r"(?P<history>\b(?:used to (?:get|be|see|have|say)|previously|earlier|before that|at first|first (?:i|we) (?:got|saw|had)|initially"
    r"|(?<!since )(?:yesterday|last (?:week|month|time|year))|no longer (?:get|see|says|aadsts)"
    r"|fixed the|solved the|i had(?! to\b)|we had(?! to\b)|früher|vorher|zuvor|zuerst|anfangs"
    r"|(?<!seit )(?:gestern|letzte woche)|nicht mehr)\b[^.;\n]{0,100}"
    # A quoted older mail, to the end of the text; at the beginning it is the text's own header.
    r"|(?<=[\s\S]{40})(?:-{3,10} ?(?:original message|ursprüngliche nachricht|originalnachricht|message d'origine"
    r"|mensaje original|forwarded message) ?-{3,10}|\b(?:on|am) [^\n]{6,90} (?:wrote|schrieb)\b[^:\n]{0,90}:"
    r"|\b(?:von|from): [^\n]{3,120}? (?:gesendet|sent): )[\s\S]*)"
    r"|(?P<advice>\((?:if|when|but|unlike|not|earlier|before|wenn|falls|früher|vorher|nicht|statt)\b[^()]{0,400}\)"
    r"|\b(?:instead of|rather than|unlike|not to be confused with|as opposed to|similar to"
    r"|if (?:i|you|we) (?:type|enter|put|change|switch|disable|remove|turn|use (?:a|an|the) (?:wrong|other|different|incorrect))"
    r"|if (?:you|users?|they|someone) (?:get|gets|see|sees|receive|receives|encounter|encounters|run into)"
    r"|you (?:may|might|could) (?:get|see|receive|encounter)"
    r"|(?:don't|do not|didn't|did not|not) (?:get|see|got) aadsts"
    r"|anstatt|statt|wenn (?:ich|man|sie) (?:ein(?:en|em|e)? )?(?:falsch|ander)\w*)\b[^.;\n]{0,100}"
    # MailKit appends this to every failed handshake, whatever the reason.
    r"|this usually means that the ssl certificate .{0,900}?for possible solutions)"
    r"|(?P<documentation>\b(?:when|whenever) aadsts[^\n]{0,200}"
    r"|https?://(?:learn|docs|support|techcommunity|answers)\.microsoft\.com/[^\s\"'<>]{0,300}"
    r"|https?://(?:www\.)?(?:github|stackoverflow|serverfault|superuser)\.com/[^\s\"'<>]{0,300})"
    r"|(?P<example>\b(?:e\.g\.|for example|for instance|such as|z\. ?b\.|zum beispiel|beispielsweise|par exemple)[^.;\n]{0,100})"
)

# Signs that a text describes a change of code or documentation, or a wish, and is not a report of what happened.
_CHANGE = re.compile(
    r"^(?:fix|feat|docs?|chore|refactor|test)(?:\([^)\n]{0,40}\))?!?: "
    r"|^[^.\n]{0,30}\b(?:add|handle|prompt|move|treat|map|ignore|retry|catch|detect|surface|document|parse|support|implement|improve"
    r"|translate|update|clarif)(?:s|es|d|ed|ing|ies|ied|y)?\b[^.\n]{0,80}"
    r"(?:aadsts|\b(?:error|code|message|scenario|guidance|handling|support|test|doc|documentation|troubleshooting)s?\b)"
    r"|\bthis (?:pr|pull request|patch|commit|release|change) (?:add|fix|correct|change|introduce|implement|handle|disable|enable|target)"
    r"|\b(?:fixes|closes|addresses|resolves) #\d|\bfor this pr\b|#sign-off|@@ -\d|```diff|\btype of change\b|\bnon-breaking\b"
    r"|\b(?:is your )?feature request\b|describe the solution you'd like|\bfeature description\b"
)
# Signs of code or documentation.
_DOCUMENT = re.compile(
    r"\*\*aadsts\d+\*\*|`\s?\||\|\s?`|\baadsts\d+ \| |\|[ :]?-{2,}[ :]?\||\n[+-][^\n]{0,300}\n[+-]| \+ \+|\+#{1,5} "
    r"|\(\?[i:=!<]|\.(?:contains|includes|startswith|indexof|match|test)\(|\bthrow new \w|\bcase [\"']|\berrorcode\.[a-z]"
    r"|\bdocument details\b|\b(?:public|private|protected|const|static|final|var|let|string) [\w<>\[\] ]{1,60}= ?[\"'`]"
    r"|(?<![\w+])\+(?!ok)[a-z][\w-]{3,40} [^\n+]{0,160} \+(?!ok)[a-z]"
    r"|\bexpect\(|[\"'] in [a-z_]\w*:|[\"'] +=> \[|という(?:エラー|メッセージ)|ことができます|れる必要があります|記載(?:した|する|され)"
    r"|[\"']aadsts\d+[\"']\s?[,\])]|[\"'],?\s?(?://|#) ?[a-z]"
)
# Refusals of a login in a form that Exchange never uses (facts E2, E3, E5).
_OTHER_REFUSAL = re.compile(
    r"\b535[ ,:-]{1,3}(?:b?['\"])?(?:5\.7\.[01489] )?(?:\(#auth|error: auth|authentication (?:failed|failure|credentials|error)"
    r"|incorrect|invalid|login fail|authorization failed|denied|username and|not authenticated|auth(?:entication)? (?:is )?invalid)"
    r"|\b535[ -]5\.7\.8\b|\[authenticationfailed\]|-err \[auth\]"
)
# A mail server's host, whosever it is.
_MAIL_HOST = re.compile(
    r"(?<![\w.@/-])(?:smtps?|imaps?|pop3?s?|mail|mx|webmail|asmtp|relay)\d?\.(?!accessas)(?:[\w-]{1,40}\.){1,3}"
    r"(?:[a-z]{2}|com|net|org|info|biz|email|cloud|example|test|local|lan)\b(?![.(]\w)"
)
_MICROSOFT_HOST = re.compile(
    r"(?:office365\.(?:com|us)|outlook\.(?:com|cn|office\.com)|microsoft\w*\.(?:com|us|cn)|office\.com|live\.com|hotmail\.com|windows\.net)$"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of a provider in a text.

    Attributes:
        in_answer: Whether it stands near the words that were asked about.
        strength: 3 for what only the provider says of itself, 2 for its host, 1 for its name.
    """

    provider: str
    start: int
    end: int
    strength: Strength
    in_answer: bool = False


class Voices:
    """The remarks and marks in a text in lower case."""

    def __init__(self, lowered: str) -> None:
        self._lowered = lowered
        self._remarks = list(_REMARK.finditer(lowered))
        self.marks = list(_marks(lowered))
        least = (
            2 if self.strength(microsoft=True) else 1
        )  # another's name is nothing beside Microsoft
        self._telling = [m for m in self.marks if m.provider == MICROSOFT or m.strength >= least]

    def remark(self, offset: int) -> Remark | None:
        """The kind of the remark around *offset*; None if there is none."""
        around = (m.lastgroup for m in self._remarks if m.start() <= offset < m.end())
        return cast(Remark | None, next(around, None))  # the groups' names are the kinds

    def signs(self) -> tuple[str, ...]:
        """What shows, beside its words, whether the text reports a failure, and whose; for the classifier."""
        return (
            f"=microsoft {self.strength(microsoft=True)}",
            f"=other {self.strength(microsoft=False)}",
            f"=remarks {min(len(self._remarks), 3)}",
            f"=documents {min(len(_DOCUMENT.findall(self._lowered)), 3)}",
            f"=change {_CHANGE.search(self._lowered) is not None}",
        )

    def speaker(self, start: int, end: int) -> Mark | None:
        """The mark that shows best whose words stand from *start* to *end*; None if there is none."""
        answer = range(start - _BEFORE, end + _AFTER)
        best = max(
            self._telling,
            key=lambda mark: (
                mark.strength + 2 * (mark.start in answer),
                -abs(mark.start - start),
            ),
            default=None,
        )
        return best and replace(best, in_answer=best.start in answer)

    def provider(self, mark: Mark) -> str:
        """Whose reply *mark* shows: of a server program's, the provider whose host is named near it, or the program."""
        if mark.provider not in _SERVERS:
            return mark.provider
        near = (
            other
            for other in self.marks
            if other.provider != MICROSOFT
            and other.strength > 1
            and abs(other.start - mark.start) < _AFTER
        )
        return max(near, key=lambda other: (other.strength == 2, other.provider != _SOME)).provider

    def strength(self, *, microsoft: bool) -> int:
        """The strength of the best mark of Microsoft's, or of another provider's; 0 if there is none."""
        return max(
            (mark.strength for mark in self.marks if (mark.provider == MICROSOFT) == microsoft),
            default=0,
        )


def foreign_server(greeting: str) -> str:
    """The name of the provider or program that a server's *greeting* shows, such as ``Exim``; empty for Microsoft's."""
    voices = Voices(greeting.lower())
    marks = [] if voices.strength(microsoft=True) else voices.marks
    return next((mark.provider for mark in marks if mark.strength == 3), "")


def _marks(lowered: str) -> Iterator[Mark]:
    """Every mark of a provider that stands in *lowered* as a whole word."""
    marks = (
        (provider, *mark)
        for provider, marks in providers().items()
        for mark in marks
        if mark[0] in lowered
    )
    for provider, mark, strength in marks:
        for start in places(lowered, mark, _MAX_PLACES):
            end = start + len(mark)
            before, after = lowered[start - 1 : start], lowered[end : end + 2]
            follows = after[:1].isascii() and after[:1].isalpha() and mark[-1].isalpha()
            if follows or (mark[0].isalnum() and before.isalnum() and before.isascii()):
                continue
            is_part = before in (".", "@") or (after[:1] == "." and after[1:].isalnum())
            if strength > 1 or not is_part:  # no part of an address or of a library's name
                yield Mark(provider, start, end, 1 if before == "@" else strength)
    hosts = (one for one in _MAIL_HOST.finditer(lowered) if not _MICROSOFT_HOST.search(one[0]))
    yield from (Mark(host[0], *host.span(), 2) for host in hosts)
    yield from (Mark(_SOME, *match.span(), 3) for match in _OTHER_REFUSAL.finditer(lowered))

"""Which of the things a text says is the cause."""

import re
from dataclasses import dataclass

from msoauth.explain.load import codes, signatures, weak_codes

_AADSTS = re.compile(r"AADSTS ?(\d{4,9})(?!\d)", re.IGNORECASE)
_LIST = re.compile(
    r"\"?error_codes?\"?\s{0,3}[:=]\s{0,3}\[?\s{0,3}(\d{4,9})(?:\s{0,2},\s{0,2}(\d{4,9}))?"
)
_BARE = re.compile(
    r"(?:error code|errorcode|error\?code=|errorcode\":\s?|^|\s-\s)\s{0,2}[:=]?\s{0,2}(\d{5,8})(?!\d)(?=[^-\w.]|$)",
    re.IGNORECASE,
)

# What a person adds by way of comparison names other codes than the one that happened.
_ASIDE = re.compile(
    r"\((?:if|when|wenn|but|unlike)\b[^()]{0,400}\)|\b(?:instead of|rather than|unlike|not to be confused with|used to (?:get|be)|previously (?:got|saw))\b[^.;\n]{0,120}",
    re.IGNORECASE,
)

# Weights of AADSTS numbers on the scale of the signatures (catalogue/signatures.toml).
_CODE_WEIGHT = 80
_WEAK_WEIGHT = 30


@dataclass(frozen=True, slots=True)
class Decision:
    """A cause, how sure, the words it rests on, and the codes that were seen."""

    cause: str
    weight: int
    words: str
    codes: tuple[str, ...]


def decide(text: str) -> Decision:
    """Decide on an unwrapped *text*."""
    told = _ASIDE.sub(" ", text)
    seen: list[str] = []
    candidates: list[tuple[int, int, str, str]] = []  # weight, earliness, cause, words
    for match in _AADSTS.finditer(told):
        number = int(match[1])
        _add(seen, f"AADSTS{number}")
        if number in codes():
            weight = _WEAK_WEIGHT if number in weak_codes() else _CODE_WEIGHT
            candidates.append(
                (weight, -match.start(), codes()[number], told[match.start() : match.start() + 400])
            )
    for pattern, weight in ((_LIST, _CODE_WEIGHT - 2), (_BARE, 45)):
        for match in pattern.finditer(told):
            for group in filter(None, match.groups()):
                number = int(group)
                if number in codes():
                    _add(seen, f"AADSTS{number}")
                    candidates.append(
                        (
                            weight if number not in weak_codes() else 25,
                            -match.start(),
                            codes()[number],
                            told[match.start() : match.start() + 400],
                        )
                    )
    for signature in signatures():
        match_ = signature.pattern.search(told)
        if match_ is not None:
            # From the beginning of the line, or of a word where the line is long.
            before = max(0, match_.start() - 80)
            start = (
                max(
                    told.rfind("\n", before, match_.start()),
                    told.find(" ", before, match_.start()) if before else -1,
                )
                + 1
            )
            candidates.append(
                (
                    signature.weight,
                    -match_.start(),
                    signature.cause,
                    told[start : match_.end() + 200],
                )
            )
    if not candidates:
        return Decision("unknown", 0, "", tuple(seen))
    weight, _early, cause, words = max(candidates)
    return Decision(cause, weight, words.strip(), tuple(seen))


def _add(seen: list[str], code: str) -> None:
    if code not in seen:
        seen.append(code)

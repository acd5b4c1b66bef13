"""What is known of an error text, in words and steps."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from msoauth.explain.decide import decide
from msoauth.explain.links import link
from msoauth.explain.load import Cause, causes
from msoauth.explain.unwrap import unwrap
from msoauth.model import Account, Firm, Link
from msoauth.redact import redact

Confidence = Literal["sure", "likely", "unsure"]

_SURE, _LIKELY = 70, 40
_GUID = r"([0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})"
_IDS = {
    "correlation_id": re.compile(
        rf"(?:correlation[ _-]?id|Korrelations-ID|client-request-id)\"?\s{{0,3}}[:=]?\s{{0,3}}\"?{_GUID}",
        re.IGNORECASE,
    ),
    "trace_id": re.compile(
        rf"(?:trace[ _-]?id|(?<!client-)request[ _-]?id|Ablaufverfolgungs-ID)\"?\s{{0,3}}[:=]?\s{{0,3}}\"?{_GUID}",
        re.IGNORECASE,
    ),
    "timestamp": re.compile(
        r"(?:timestamp|Zeitstempel)\"?\s{0,3}[:=]?\s{0,3}\"?(\d{4}-\d\d-\d\d[ T]\d\d[:-]\d\d[:-]\d\d(?:\.\d{1,9})?Z?)",
        re.IGNORECASE,
    ),
}
_SESSION = re.compile(
    r"\[(\S{4,80}\.(?:outlook|office365)\.com)\s(\d{4}-\d\d-\d\dT[\d:.]{8,16}Z)\s([0-9A-F]{16})\]",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an error means.

    Attributes:
        cause: An id of the catalogue; ``unknown`` when nothing known matches.
        who: Who can mend it.
        fix: Steps in order, with menu paths.
        powershell: Commands, where that is the way.
        ids: ``correlation_id``, ``trace_id``, ``timestamp``, as far as the text has them.
        codes: The AADSTS numbers that were seen.
        evidence: The words it rests on, without secrets.
    """

    cause: str
    title: str
    meaning: str
    who: str
    fix: tuple[str, ...]
    powershell: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)
    codes: tuple[str, ...] = ()
    confidence: Confidence = "unsure"
    evidence: str = ""

    def as_json(self) -> dict[str, Any]:
        """The explanation, ready for ``json.dumps``."""
        return {
            "cause": self.cause,
            "title": self.title,
            "meaning": self.meaning,
            "who": self.who,
            "fix": list(self.fix),
            "powershell": list(self.powershell),
            "links": [{"text": one.text, "url": one.url} for one in self.links],
            "ids": dict(self.ids),
            "codes": list(self.codes),
            "confidence": self.confidence,
            "evidence": self.evidence,
        }


def explain(text: str, *, firm: Firm | None = None, account: Account | None = None) -> Explanation:
    """The cause of an error, out of any text in which it hides.

    Args:
        firm: Fills the links with its tenant and client ids.
        account: Fills the commands with its mailbox.
    """
    plain = unwrap(text)
    decision = decide(plain)
    known = causes()[decision.cause]
    confidence: Confidence = (
        "sure" if decision.weight >= _SURE else "likely" if decision.weight >= _LIKELY else "unsure"
    )
    return _explanation(
        known, firm, account, _ids(plain), decision.codes, confidence, redact(decision.words)[:600]
    )


def for_cause(
    cause: str,
    *,
    firm: Firm | None = None,
    account: Account | None = None,
    ids: Mapping[str, str] | None = None,
) -> Explanation:
    """The explanation of a cause that is already known; an unknown id is explained as ``unknown``."""
    known = causes().get(cause) or causes()["unknown"]
    return _explanation(known, firm, account, ids or {}, (), "sure", "")


def _explanation(
    known: Cause,
    firm: Firm | None,
    account: Account | None,
    ids: Mapping[str, str],
    seen: tuple[str, ...],
    confidence: Confidence,
    evidence: str,
) -> Explanation:
    mailbox = account.address if account else "anna@contoso.com"
    names = {
        "{mailbox}": mailbox,
        "{client_id}": firm.client_id if firm else "<Application (client) ID>",
    }

    def filled(text: str) -> str:
        for name, value in names.items():
            text = text.replace(name, value)
        return text

    return Explanation(
        cause=known.id,
        title=known.title,
        meaning=known.meaning,
        who=known.who,
        fix=tuple(filled(step) for step in known.fix),
        powershell=tuple(filled(command) for command in known.powershell),
        links=tuple(link(name, firm) for name in known.links),
        ids=ids,
        codes=seen,
        confidence=confidence,
        evidence=evidence,
    )


def _ids(text: str) -> dict[str, str]:
    found = {name: match[1] for name, pattern in _IDS.items() if (match := pattern.search(text))}
    session = _SESSION.search(text)
    if session:
        found.setdefault("timestamp", session[2])
        found["session_id"] = session[3]
    return found

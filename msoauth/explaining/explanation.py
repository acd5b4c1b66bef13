"""Explains an error text or a known cause: what it means, who can fix it, the steps, links and ids."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from msoauth.explaining.account_facts import AccountFacts, conclude
from msoauth.explaining.decide import Decision, Hit, Kind, Owner, decide
from msoauth.explaining.links import link, lookup
from msoauth.explaining.load import causes
from msoauth.explaining.normalize import locate, lowercase, normalize
from msoauth.model import Account, Firm, Link
from msoauth.redact import CUT_MARGIN, redact
from msoauth.sanitize import visible
from msoauth.shells import powershell_string
from msoauth.texts import _

Confidence = Literal["certain", "likely", "unsure"]

_MAX_EVIDENCE = 600  # characters
_MAX_REDACTED = 100_000  # characters of a text that is redacted as a whole
_MAX_QUOTED = 80  # characters of words that are quoted in a sentence
_BARE_NAME = re.compile(r"\w[\w.@+-]*", re.ASCII)
_GUID = re.compile(r"[\"'\s:=]{0,6}([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})", re.IGNORECASE)
_TIME = re.compile(
    r"[\"'\s:=]{0,6}(\d{4}-\d\d-\d\d[ T]\d\d[:-]\d\d[:-]\d\d(?:\.\d{1,9})?Z?)", re.IGNORECASE
)
# The labels of each id in lower case, preferred ones first.
_LABELS: dict[str, tuple[re.Pattern[str], tuple[str, ...]]] = {
    "correlation_id": (
        _GUID,
        (
            "correlation id",
            "correlation_id",
            "correlationid",
            "korrelations-id",
            "client-request-id",
        ),
    ),
    "trace_id": (
        _GUID,
        (
            "trace id",
            "trace_id",
            "traceid",
            "ablaufverfolgungs-id",
            "request id",
            "request-id",
            "requestid",
        ),
    ),
    "timestamp": (_TIME, ("timestamp", "zeitstempel")),
}
# 554 5.2.252 SendAsDenied; anna@contoso.com not allowed to send as ben@contoso.com; … (facts E6)
_DENIED_SENDER = re.compile(r"not allowed to send as ([^\s;,<>\"']{1,200}@[^\s;,<>\"']{1,200})")
# Exchange ends a reply with [server time session].
_SESSION = re.compile(r"\[\S{4,80} (\d{4}-\d\d-\d\dT[\d:.]{8,16}Z) ([0-9A-F]{16})\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Possibility:
    """A cause that a text may have, with its title in the current language."""

    cause: str
    title: str


@dataclass(frozen=True, slots=True)
class EvidenceSpan:
    """Words of the explained text, as it was given, on which the answer rests.

    Attributes:
        start, end: Offsets in characters.
        kind: ``code`` (an AADSTS number), ``reply`` (a server's literal words), ``library`` (a program's) or ``words``
            (a person's, or words that only sound like a failure).
        owner: Whose voice it is: ``microsoft`` (its service), ``client`` (a program or library), ``other-provider``,
            ``advice``, ``documentation`` (or history), ``example`` or ``person``.
    """

    start: int
    end: int
    kind: Kind
    owner: Owner


@dataclass(frozen=True, slots=True, repr=False)
class Explanation:
    """What an error means and how to fix it.

    Attributes:
        cause: The id of a cause in the catalogue; ``unknown`` if nothing in it matches.
        who: Who can fix it: ``user``, ``tenant-admin``, ``consultant``, ``microsoft``, or empty.
        fix: Steps in order, with menu paths.
        powershell: Commands, where PowerShell is needed.
        ids: ``correlation_id``, ``trace_id``, ``timestamp`` and Exchange's ``session_id``, if the text has them.
        codes: The AADSTS numbers in the text.
        evidence: The words that show the cause, without secrets; the beginning of the text if the cause is unknown.
        confidence: ``certain`` (a code or literal reply of Microsoft's, which is the error itself), ``likely``, or
            ``unsure`` (`possibilities` may have more than one).
        possibilities: Up to three causes, the most likely first, which is `cause`; empty if that is ``unknown``.
        spans: Where in the text the evidence stands, the decisive place first.
        provider: Whose reply it is, if the cause is ``other-provider`` and the text shows it, such as ``Gmail``.
        because: What decided the cause beside the text (what is known of the account, whose reply it is), as a sentence;
            or empty.

    >>> explanation = msoauth.explain("AADSTS7000222: The provided client secret keys are expired.")
    >>> explanation.cause, explanation.who, explanation.confidence
    ('secret-expired', 'tenant-admin', 'certain')
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
    possibilities: tuple[Possibility, ...] = ()
    spans: tuple[EvidenceSpan, ...] = ()
    provider: str = ""
    because: str = ""

    def __repr__(self) -> str:
        steps = [f"{number}. {step}" for number, step in enumerate(self.fix, 1)]
        lines = [f"{self.title} ({self.cause})", self.meaning, self._who(), *steps]
        return "\n".join(line for line in lines if line)

    def _repr_html_(self) -> str:
        from markupsafe import Markup

        steps = Markup("").join(Markup("<li>{}</li>").format(step) for step in self.fix)
        links = Markup("").join(
            Markup('<p><a href="{}" target="_blank" rel="noopener noreferrer">{}</a></p>').format(
                target.url, target.text
            )
            for target in self.links
            if target.url.startswith("https://")
        )
        return str(
            Markup(
                "<div><strong>{}</strong> <code>{}</code><p>{}</p><p>{}</p><ol>{}</ol>{}</div>"
            ).format(self.title, self.cause, self.meaning, self._who(), steps, links)
        )

    def _who(self) -> str:
        return _("Who can fix it: {who}").format(who=who_in_words(self.who)) if self.who else ""

    def as_json(self) -> dict[str, Any]:
        """The explanation, ready for ``json.dumps``."""
        return {
            "cause": self.cause,
            "title": self.title,
            "meaning": self.meaning,
            "who": self.who,
            "fix": list(self.fix),
            "powershell": list(self.powershell),
            "links": [{"text": target.text, "url": target.url} for target in self.links],
            "ids": dict(self.ids),
            "codes": list(self.codes),
            "confidence": self.confidence,
            "evidence": self.evidence,
            "possibilities": [asdict(one) for one in self.possibilities],
            "spans": [asdict(span) for span in self.spans],
            "provider": self.provider,
            "because": self.because,
        }


def explain(
    text: str,
    *,
    firm: Firm | None = None,
    account: Account | None = None,
    known: AccountFacts | None = None,
) -> Explanation:
    """Explain the error in any text that contains one: a server's reply, a log, a mail, a web page.

    Where the text leaves more than one cause, what is known of the account decides.

    Args:
        firm: Fills the links with its tenant and client ids.
        account: Fills the commands with its mailbox.
        known: What else is known of the account: its token's claims, its latest findings.

    >>> msoauth.explain("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.").cause
    'smtp-auth-disabled-mailbox'
    """
    normalized = normalize(text)
    decision = decide(normalized)
    links = tuple(map(lookup, decision.codes[:3])) if decision.cause == "unknown" else ()
    known = known or AccountFacts(firm, account)
    firm, account = firm or known.firm, account or known.account
    found, possibilities = conclude(
        lowercase(normalized), decision.possibilities, decision.confidence, known
    )
    explanation = for_cause(
        found.cause if found else decision.cause,
        firm=firm,
        account=account,
        ids=_ids(normalized, decision.offset),
        codes=decision.codes,
        confidence=found.confidence if found else decision.confidence,
        sender=_denied_sender(normalized),
        evidence=_evidence(text, normalized, decision),
    )
    return replace(
        explanation,
        fix=(found.step, *explanation.fix) if found and found.step else explanation.fix,
        because=found.because if found else _whose(decision),
        links=(*links, *explanation.links),
        possibilities=tuple(Possibility(cause, causes()[cause].title) for cause in possibilities),
        spans=tuple(_spans(text, normalized, decision.hits)),
        provider=decision.provider,
    )


def _whose(decision: Decision) -> str:
    """A sentence about whose reply it is; empty if it is not another provider's."""
    words = (
        _("Microsoft's server was asked, and another one answered in its place: {provider}.")
        if decision.in_microsofts_place
        else _("The answer comes from {provider}.")
    )
    return words.format(provider=decision.provider) if decision.provider else ""


def _denied_sender(text: str) -> str:
    """The sender that the text says is not allowed; empty if it names none."""
    denied = _DENIED_SENDER.search(text)
    return denied[1] if denied else ""


def _spans(text: str, normalized: str, hits: Sequence[Hit]) -> Iterator[EvidenceSpan]:
    """Where the words of *hits* stand in the *text* that was normalized; what its encoding hides is left out."""
    for hit in hits:
        words = normalized[hit.start : hit.end]
        place = locate(text, words, normalized.count(words, 0, hit.start))
        if place:
            yield EvidenceSpan(*place, hit.kind, hit.owner)


def _evidence(text: str, normalized: str, decision: Decision) -> str:
    """The words that decided, without secrets and control characters; empty if they look binary.

    They are taken of the redacted text: half a secret, or one with other quotes, would not be recognised. Of a log
    that is too long for that, they are redacted themselves.
    """
    redacted = redact(text) if len(text) <= _MAX_REDACTED else text
    if redacted != text:
        normalized = normalize(redacted)
        decision = decide(normalized)
    words = decision.words or normalized[decision.offset : decision.offset + _MAX_EVIDENCE]
    printable = visible(
        "".join(char if char.isprintable() else " " for char in redact(words, _MAX_EVIDENCE))
    ).strip()
    binary = sum(char == "\ufffd" or not char.isprintable() for char in words)
    return "" if binary * 5 > len(words) else printable


def for_cause(
    cause: str,
    *,
    firm: Firm | None = None,
    account: Account | None = None,
    ids: Mapping[str, str] | None = None,
    codes: tuple[str, ...] = (),
    confidence: Confidence = "certain",
    evidence: str = "",
    sender: str = "",
) -> Explanation:
    """Explain a cause of the catalogue; any other id is explained as ``unknown``.

    Args:
        firm, account: As for :func:`explain`.
        sender: The mailbox in whose name a mail was to be sent, if that is known.
        ids, codes, confidence, evidence: The explanation's attributes, if the cause was found in a text.
    """
    entry = causes().get(cause) or causes()["unknown"]
    app_only = firm is not None and firm.access == "app-only"
    # A mailbox of its own has the sender that the text names; in another's name its user sends as that one.
    sender = sender or (account.address if account and account.login else "")
    login = (
        "<Object ID of the enterprise application>"
        if app_only
        else _powershell_argument(account.user)
        if account
        else "<user>"
    )
    mailbox = _powershell_argument(account.address) if account else "anna@contoso.com"
    placeholders = {
        "{mailbox}": mailbox,
        "{login}": login,
        # SMTP AUTH is a switch of the mailbox that signs in, not of the sender's (facts M3).
        "{smtp_mailbox}": login if account and not app_only else mailbox,
        "{sender}": _powershell_argument(sender) if sender else "<mailbox of the sender>",
        "{client_id}": _powershell_argument(firm.client_id)
        if firm
        else "<Application (client) ID>",
    }

    def fill(text: str) -> str:
        for placeholder, value in placeholders.items():
            text = text.replace(placeholder, value)
        return text

    return Explanation(
        cause=entry.id,
        title=entry.title,
        meaning=entry.meaning,
        who=entry.who,
        fix=tuple(fill(step) for step in entry.fix),
        powershell=tuple(fill(command) for command in entry.powershell),
        links=tuple(link(name, firm) for name in entry.links),
        ids=ids or {},
        codes=codes,
        confidence=confidence,
        evidence=evidence,
    )


def who_in_words(who: str) -> str:
    """Name who can fix something, in the current language.

    Args:
        who: ``user``, ``tenant-admin``, ``consultant``, ``microsoft``, or empty if that is not known.
    """
    return {
        "user": _("the user"),
        "tenant-admin": _("an administrator of the firm's Microsoft 365"),
        "consultant": _("you, in msoauth"),
        "microsoft": _("Microsoft"),
    }.get(who, who or _("not known"))


def confidence_in_words(confidence: Confidence) -> str:
    """How certain an explanation is, in the current language."""
    return {"certain": _("Certain"), "likely": _("Likely")}.get(confidence, _("Not certain"))


def words_with_basis(explanation: Explanation, text: str) -> tuple[str, ...]:
    """The words of *text* on which its explanation rests, each with what it is and whose, in the current language.

    Secrets are not in them, and long ones are cut off.
    """
    found = []
    for span in explanation.spans:
        quoted = text[span.start : span.end]
        # Redacted with what is around it first: a part of a secret would not be recognized as one.
        around = text[max(0, span.start - CUT_MARGIN) : span.end + CUT_MARGIN]
        words = " ".join((quoted if quoted in redact(around) else redact(quoted)).split())
        words = words if len(words) <= _MAX_QUOTED else f"{words[:_MAX_QUOTED].rstrip()} …"
        basis = _basis_in_words(span, explanation.provider)
        found.append(_("“{words}” ({basis})").format(words=words, basis=basis))
    return tuple(dict.fromkeys(found))


def _basis_in_words(span: EvidenceSpan, provider: str) -> str:
    if span.owner == "other-provider":
        return _("a reply of {provider}").format(provider=provider or _("another provider"))
    if span.owner in ("advice", "documentation", "example"):
        return _("advice, documentation or an example")
    return {
        "code": _("an error code of Microsoft's"),
        "reply": _("a reply of Microsoft's servers"),
        "library": _("a program's message"),
    }.get(span.kind, _("words in the text"))


def _powershell_argument(value: str) -> str:
    """*value* as one PowerShell argument, quoted if necessary."""
    if _BARE_NAME.fullmatch(value):
        return value
    return powershell_string(value)


def _ids(text: str, offset: int) -> dict[str, str]:
    """The ids of the failure at *offset*: the next ones after it, else the first ones in the text."""
    lowered = lowercase(text)
    ids = {}
    for name, (pattern, labels) in _LABELS.items():
        value = _after_label(text, lowered, pattern, labels, offset)
        if value or (offset and (value := _after_label(text, lowered, pattern, labels, 0))):
            ids[name] = value
    exchange_reply = _SESSION.search(text, offset) or _SESSION.search(text)
    if exchange_reply:
        ids.setdefault("timestamp", exchange_reply[1])
        ids["session_id"] = exchange_reply[2]
    return ids


def _after_label(
    text: str, lowered: str, pattern: re.Pattern[str], labels: tuple[str, ...], start: int
) -> str:
    """The value of *pattern* right after one of *labels*, from *start* on; empty if there is none."""
    for label in labels:
        position = start - 1
        for _attempt in range(20):
            position = lowered.find(label, position + 1)
            if position < 0:
                break
            if label == "request-id" and lowered.endswith("client-", 0, position):
                continue
            match = pattern.match(text, position + len(label))
            if match:
                return match[1]
    return ""

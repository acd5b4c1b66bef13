"""Explains an error text or a known cause: what it means, who can fix it, the steps, links and ids."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from msoauth.explaining.account_facts import AccountFacts, conclude, protocol_of
from msoauth.explaining.decide import Decision, Hit, Kind, Owner, decide
from msoauth.explaining.links import link, lookup
from msoauth.explaining.load import Case, cases, causes
from msoauth.explaining.normalize import locate, lowercase, normalize
from msoauth.model import Account, Finding, Firm, Link
from msoauth.redact import CUT_MARGIN, redact
from msoauth.sanitize import visible
from msoauth.shells import command, powershell_string
from msoauth.texts import _

Confidence = Literal["certain", "likely", "unsure"]

_MAX_EVIDENCE = 600  # characters
_MAX_REDACTED = 100_000  # characters of a text that is redacted as a whole
_MAX_QUOTED = 80  # characters of words that are quoted in a sentence
_BARE_NAME = re.compile(r"\w[\w.@+-]*", re.ASCII)
_GUID = r"[\"'\s:=]{0,6}([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})"
_TIME = r"[\"'\s:=]{0,6}(\d{4}-\d\d-\d\d[ T]\d\d[:-]\d\d[:-]\d\d(?:\.\d{1,9})?Z?)"
# Where each id stands behind its label, the preferred label first.
_IDS = {
    name: tuple(re.compile(label + value, re.IGNORECASE) for label in labels)
    for name, value, labels in (
        ("correlation_id", _GUID, ("correlation[ _]?id", "korrelations-id", "client-request-id")),
        (
            "trace_id",
            _GUID,
            ("trace[ _]?id", "ablaufverfolgungs-id", "(?<!client-)request[ -]?id"),
        ),
        ("timestamp", _TIME, ("timestamp", "zeitstempel")),
    )
}
# Causes by which a login may be accepted and the mailbox not be opened all the same.
_LOGIN_ACCEPTED = frozenset({"mail-login-rejected", "full-access-missing"})
# A step of the catalogue that is for other programs only: msoauth itself uses the system's certificates.
_ELSEWHERE = "{elsewhere}"
# An issuer that is not Microsoft's (facts L4): a proxy opens TLS, so the program's certificate store isn't to blame.
_PROXY_ISSUER = re.compile(r"\bissuer\s*[:=](?!.{0,200}(?:digicert|microsoft))", re.DOTALL)
# 550 5.2.252 Sender throttled due to continuous send as denied errors. (facts L9)
_CONTINUOUS = re.compile(r"\b550[ -]5\.2\.25[1-5]\b|throttled due to continuous", re.IGNORECASE)
# 554 5.2.252 SendAsDenied; anna@contoso.com not allowed to send as ben@contoso.com; … (facts E6)
_ADDRESS = r"([^\s;,:<>\"()\[\]]{1,200}@[^\s;,:<>\"()\[\]]{1,200})"
_DENIED_SENDER = re.compile(rf"(?:{_ADDRESS} )?not allowed to send as {_ADDRESS}")
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
        also: Further causes that the case may have, as its steps say.

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
    also: tuple[str, ...] = ()

    def __repr__(self) -> str:
        steps = (f"{number}. {step}" for number, step in enumerate(self.fix, 1))
        lines = f"{self.title} ({self.cause})", self.meaning, self._who(), *steps
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
    known = known or AccountFacts(firm, account)
    firm, account = firm or known.firm, account or known.account
    found, possibilities = conclude(
        lowercase(normalized), [hit.cause for hit in decision.hits], decision.confidence, known
    )
    explanation = for_cause(
        found.cause if found else decision.cause,
        elsewhere=not _PROXY_ISSUER.search(lowercase(normalized)),
        firm=firm,
        account=account,
        ids=_ids(normalized, decision.offset),
        codes=decision.codes,
        confidence=found.confidence if found else decision.confidence,
        details={
            **details_of(firm, account, known),
            **(
                {"protocol": protocol}
                if (protocol := protocol_of(lowercase(normalized), known))
                else {}
            ),
            **roles_in(
                normalized,
                app_only=known.app_only or (firm is not None and firm.access == "app-only"),
            ),
            **_throttled_in(normalized),
            **(found.details if found else {}),
        },
        evidence=_evidence(text, normalized, decision),
    )
    return replace(
        explanation,
        fix=(
            *((found.step,) if found and found.step else ()),
            *explanation.fix,
            *_other_ip_version(explanation.cause, lowercase(normalized)),
        ),
        because=found.because if found else _whose(decision),
        links=(
            *map(lookup, decision.codes[:3] if decision.cause == "unknown" else ()),
            *explanation.links,
        ),
        possibilities=tuple(Possibility(cause, causes()[cause].title) for cause in possibilities),
        spans=tuple(_spans(text, normalized, decision.hits)),
        provider=decision.provider,
    )


def _whose(decision: Decision) -> str:
    """A sentence about whose reply it is; empty if it is not another provider's."""
    return (
        _("Microsoft's server was asked, and another one answered in its place: {provider}.")
        if decision.in_microsofts_place
        else _("The answer comes from {provider}.")
        if decision.provider
        else ""
    ).format(provider=decision.provider)


def roles_in(text: str, *, app_only: bool = False) -> dict[str, str]:
    """The roles that SendAsDenied names: ``login``, whose mailbox signed in, and ``sender``, whose it may not use.

    Args:
        app_only: An app signed in, and not the user of the mailbox that is named.
    """
    denied = _DENIED_SENDER.search(text)
    if denied is None:
        return {}
    roles = {"login": denied[1] or "", "sender": denied[2].rstrip(".")}
    return {name: who for name, who in roles.items() if who and not (app_only and name == "login")}


def _other_ip_version(cause: str, text: str) -> tuple[str, ...]:
    """The step for a mailbox that does not open after an accepted login, which users tie to IPv6 (facts L12)."""
    if cause not in _LOGIN_ACCEPTED or "authenticated but not connected" not in text:
        return ()
    step = _(
        "If it began suddenly, let the program use IPv4 instead of IPv6: users report that this helps, above all with "
        "Outlook.com."
    )
    return (step,)


def _throttled_in(text: str) -> dict[str, str]:
    """``throttled``, where the mailbox may not send for a while because it met one error again and again."""
    return {"throttled": "continuous"} if _CONTINUOUS.search(text) else {}


def _spans(text: str, normalized: str, hits: Sequence[Hit]) -> Iterator[EvidenceSpan]:
    """Where the words of *hits* stand in the *text* that was normalized; what its encoding hides is left out."""
    for hit in hits:
        words = normalized[hit.start : hit.end]
        if place := locate(text, words, normalized.count(words, 0, hit.start)):
            yield EvidenceSpan(*place, hit.kind, hit.owner)


def _evidence(text: str, normalized: str, decision: Decision) -> str:
    """The words that decided, without secrets and control characters; empty if they look binary.

    They are taken of the redacted text: half a secret, or one with other quotes, would not be recognised. Of a log
    that is too long for that, they are redacted themselves.
    """
    redacted = redact(text) if len(text) <= _MAX_REDACTED else text
    if redacted != text:
        decision = decide(normalized := normalize(redacted))
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
    details: Mapping[str, str] | None = None,
    elsewhere: bool = False,
) -> Explanation:
    """Explain a cause of the catalogue; any other id is explained as ``unknown``.

    Args:
        elsewhere: Another program than msoauth may have met the error: what only such programs need comes first.
        firm, account: As for :func:`explain`.
        ids, codes, confidence, evidence: The explanation's attributes, if the cause was found in a text.
        details: What else is known of the problem, by which its steps are chosen: ``mailbox``, ``login`` and ``sender``
            where they differ from the account's; ``access`` (``own``, ``delegate`` or ``app-only``); ``protocol``
            (``pop3``, ``imap`` or ``smtp``); ``signed_in_as`` (who signed in where another user was expected);
            ``other`` (which of ``smtp`` and ``retrieval`` accepted the same sign-in, or ``none``); ``token_length``;
            ``app_object_id`` (of the enterprise application); ``kind`` (what the directory shows the address to be:
            ``shared``, ``group``, ``list``, ``contact``, ``room``, ``alias`` or ``on-premises``); ``primary``;
            ``proxy`` and ``proxy_says``; ``throttled`` (the mailbox may not send for a while).
    """
    entry = causes().get(cause) or causes()["unknown"]
    known = _known(firm, account, details or {})
    case = next((case for case in cases(entry.id) if _holds(case, known)), None)
    fix, who = (case.fix, case.who or entry.who) if case else (entry.fix, entry.who)
    powershell = case.powershell if case and case.powershell is not None else entry.powershell
    links = case.links if case and case.links is not None else entry.links
    steps = [
        _fill(step.removeprefix(_ELSEWHERE), known)
        for step in fix
        if elsewhere or not step.startswith(_ELSEWHERE)
    ]
    if (details or {}).get("throttled"):
        steps.insert(
            0,
            _(
                "Stop the program until this is fixed: Microsoft throttles the mailbox for a while, and each further "
                "try prolongs it."
            ),
        )
    return Explanation(
        cause=entry.id,
        title=entry.title,
        meaning=entry.meaning,
        who=who,
        fix=tuple(steps),
        powershell=_commands(powershell, known),
        links=tuple(link(name, firm) for name in links),
        ids=ids or {},
        codes=codes,
        confidence=confidence,
        evidence=evidence,
        also=tuple(_fill(other, known) for other in case.possible) if case else (),
    )


def explanation_with_roles(
    cause: str,
    evidence: str,
    firm: Firm | None,
    account: Account | None,
    details: Mapping[str, str],
    *,
    ids: Mapping[str, str] | None = None,
) -> tuple[Explanation, dict[str, str]]:
    """The explanation of a problem, and the details to keep with it: its roles and what chose its steps.

    Args:
        evidence: The server's own words, which may name roles better than the account does.
        details: As for :func:`for_cause`.
    """
    known = {**details_of(firm, account), **_throttled_in(evidence), **details}
    if cause == "send-as-denied":
        known |= roles_in(evidence, app_only=known.get("access") == "app-only")
        if known.get("sender") == known.get("login", known.get("mailbox")):
            known.pop(
                "sender", None
            )  # nobody lacks the right to send as oneself: the text names no sender
    else:
        if known.get("sender") == known.get("mailbox"):
            known.pop("sender", None)  # only what differs needs to be told
    explanation = for_cause(cause, firm=firm, account=account, ids=ids, details=known)
    return explanation, {name: value for name, value in known.items() if name not in _OF_ACCOUNT}


_OF_ACCOUNT = frozenset({"mailbox", "client_id"})  # what every finding has, and its firm


def of_finding(
    finding: Finding, *, firm: Firm | None = None, account: Account | None = None
) -> Explanation:
    """Explain a finding's cause in the current language, with the steps that fit what is known of it.

    Args:
        firm, account: The finding's, where they are at hand; without them its own details tell the roles.
    """
    confidence: Confidence = "unsure"
    if finding.confidence in ("certain", "likely"):
        confidence = "certain" if finding.confidence == "certain" else "likely"
    return for_cause(
        finding.cause or "unknown",
        firm=firm,
        account=account,
        ids=finding.ids,
        confidence=confidence,
        details=_details_with_roles(finding, account),
    )


def of_shared_problem(findings: Sequence[Finding], *, firm: Firm | None = None) -> Explanation:
    """Explain a cause that several mailboxes share, with the steps that fit all of them and name none.

    Args:
        findings: One for each mailbox, or one that stands for all.
    """
    first, *more = findings
    common = {
        name: value
        for name, value in first.details.items()
        if all(other.details.get(name) == value for other in more)
    }
    words = {"login": _("the user"), "sender": _("the sender")}
    common |= {name: text for name, text in words.items() if name in first.details}
    common.pop("signed_in_as", None)
    return for_cause(
        first.cause or "unknown", firm=firm, details={**common, "mailbox": _("the mailbox")}
    )


def commands_about(
    finding: Finding,
    templates: Iterable[str],
    *,
    firm: Firm | None = None,
    account: Account | None = None,
    **roles: str,
) -> tuple[str, ...]:
    """PowerShell commands with the roles of a finding filled in.

    Args:
        templates: Commands with ``{mailbox}``, ``{login}``, ``{sender}``, ``{smtp_mailbox}`` (which signs in to send).
        firm, account: As for :func:`of_finding`.
        roles: What stands for these roles instead.
    """
    details = _details_with_roles(finding, account) | roles
    return _commands(templates, _known(firm, account, details))


def _details_with_roles(finding: Finding, account: Account | None) -> dict[str, str]:
    """The details of a finding; where there is no account at hand, its address is the mailbox that signs in itself."""
    details = dict(finding.details)
    if finding.account and account is None:
        own = {"mailbox": finding.account, "access": "own", "login": finding.account}
        details = {**own, **details}
    return details


def _known(
    firm: Firm | None, account: Account | None, details: Mapping[str, str]
) -> dict[str, str]:
    """All that is known of a problem, by the names that conditions and placeholders have."""
    known = {**details_of(firm, account), **details}
    return known | _derived(known)


def _commands(templates: Iterable[str], known: Mapping[str, str]) -> tuple[str, ...]:
    """Commands with what is known, quoted, and with what stands for what is not."""
    quoted = {name: _powershell_argument(value) for name, value in known.items()}
    values = _IN_POWERSHELL | quoted
    if (
        known.get("access") == "app-only"
    ):  # nobody signs in: the app's service principal is the trustee
        values["login"] = values["app"] = quoted.get("app_object_id", _APP)
    return tuple(_fill(template, values) for template in templates)


def details_of(
    firm: Firm | None, account: Account | None, facts: AccountFacts | None = None
) -> dict[str, str]:
    """The roles in an account, and who signs in for it, as details for :func:`for_cause`."""
    found: dict[str, str] = {}
    app_only = firm is not None and firm.access == "app-only"
    if firm is not None:
        found["client_id"] = firm.client_id
    if account is not None:
        found["mailbox"] = account.address
        found["access"] = "app-only" if app_only else "delegate" if account.login else "own"
        if not app_only:
            found["login"] = account.user
        if account.login and not app_only:
            found["sender"] = account.address
    elif app_only:
        found["access"] = "app-only"
    if facts is not None and facts.claims is not None and facts.app_only:
        found["app_object_id"] = facts.claims.object_id
    return {name: value for name, value in found.items() if value}


_APP = "<Object ID of the enterprise application>"
# What stands in commands for what is not known.
_IN_POWERSHELL = {
    "mailbox": "anna@contoso.com",
    "login": "<user>",
    "smtp_mailbox": "anna@contoso.com",
    "sender": "<mailbox of the sender>",
    "client_id": "<Application (client) ID>",
    "app": _APP,
}
_NAME_IN_BRACES = re.compile(r"\{([a-z_]+)\}")


def _fill(text: str, values: Mapping[str, str]) -> str:
    """*text* with each known ``{name}`` replaced, in one pass, so that no value is taken for a placeholder."""
    return _NAME_IN_BRACES.sub(lambda name: values.get(name[1], name[0]), text)


def _derived(known: Mapping[str, str]) -> dict[str, str]:
    """What follows from the details: whose switch SMTP AUTH is, names of the protocol, commands of msoauth."""
    mailbox, user = known.get("mailbox", ""), known.get("signed_in_as", "")
    # SMTP AUTH is a switch of the mailbox that signs in, not of the sender's (facts M3); an app signs in to the mailbox.
    found = {"smtp_mailbox": known.get("login") or mailbox}
    if mailbox:
        found["sign_in"] = command("sign-in {ADDRESS}", ADDRESS=mailbox)
        found["note_other"] = command("account change --login UPN {ADDRESS}", ADDRESS=mailbox)
    if mailbox and user:
        found["note_login"] = command(
            "account change --login {UPN} {ADDRESS}", UPN=user, ADDRESS=mailbox
        )
    if known.get("protocol") in ("pop3", "imap"):
        pop = "POP" if known["protocol"] == "pop3" else "IMAP"
        found |= {"pop": pop, "enabled": f"{pop.title()}Enabled", "off": f"{pop.lower()}-disabled"}
        found["retrieving"] = "yes"
    if known.get("protocol") == "smtp":
        found["sending"] = "yes"
    return {name: value for name, value in found.items() if value}


def _holds(case: Case, known: Mapping[str, str]) -> bool:
    """Whether all conditions of a case hold, and all that its steps name is known."""
    for condition in case.when:
        name, equals, value = condition.removeprefix("!").replace("!=", "=").partition("=")
        met = known.get(name) == value if equals else bool(known.get(name))
        if met == (condition.startswith("!") or "!=" in condition):
            return False
    named = {name for step in case.fix for name in _NAME_IN_BRACES.findall(step)}
    return named <= known.keys()


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
    quoted = (
        _("“{words}” ({basis})").format(
            words=_quoted(text, span), basis=_basis_in_words(span, explanation.provider)
        )
        for span in explanation.spans
    )
    return tuple(dict.fromkeys(quoted))


def _quoted(text: str, span: EvidenceSpan) -> str:
    words = text[span.start : span.end]
    # Redacted with what is around it first: a part of a secret would not be recognized as one.
    around = text[max(0, span.start - CUT_MARGIN) : span.end + CUT_MARGIN]
    around = redact(around)
    words = " ".join((words if words in around else redact(words)).split())
    return words if len(words) <= _MAX_QUOTED else f"{words[:_MAX_QUOTED].rstrip()} …"


def _basis_in_words(span: EvidenceSpan, provider: str) -> str:
    remark = _("advice, documentation or an example")
    by_owner = {
        "other-provider": _("a reply of {provider}").format(
            provider=provider or _("another provider")
        ),
        "advice": remark,
        "documentation": remark,
        "example": remark,
    }
    by_kind = {
        "code": _("an error code of Microsoft's"),
        "reply": _("a reply of Microsoft's servers"),
        "library": _("a program's message"),
    }
    return by_owner.get(span.owner) or by_kind.get(span.kind, _("words in the text"))


def _powershell_argument(value: str) -> str:
    """*value* as one PowerShell argument, quoted if necessary."""
    return value if _BARE_NAME.fullmatch(value) else powershell_string(value)


def _ids(text: str, offset: int) -> dict[str, str]:
    """The ids of the failure at *offset*: the next ones after it, else the first ones in the text."""
    ids = {
        name: found[1]
        for name, patterns in _IDS.items()
        for found in [
            next(
                filter(None, (one.search(text, at) for at in (offset, 0) for one in patterns)), None
            )
        ]
        if found
    }
    exchange_reply = _SESSION.search(text, offset) or _SESSION.search(text)
    if exchange_reply:
        ids.setdefault("timestamp", exchange_reply[1])
        ids["session_id"] = exchange_reply[2]
    return ids

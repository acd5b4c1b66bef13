"""Defines the data that every room works with: firms, accounts, signals and findings. Values only, no behaviour."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Literal

from msoauth.clouds import GLOBAL, Cloud
from msoauth.sanitize import is_harmless, one_line, visible

RetrievalProtocol = Literal["pop3", "imap"]
Access = Literal["delegated", "app-only"]


class Signal(StrEnum):
    """How a check ended. Always shown as a shape and a word beside the colour.

    >>> msoauth.Signal("failed").shape
    '✖'
    """

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"
    ERROR = "error"  # the check itself could not be carried out, which is not the same as failed
    SKIPPED = "skipped"  # a check that it needs did not pass, or somebody cancelled
    NOT_RUN = "not-run"

    @property
    def shape(self) -> str:
        """The character that stands for the signal in text, for readers who do not see its colour."""
        return _SHAPES[self]


_SHAPES = {
    Signal.PASSED: "●",
    Signal.WARNING: "▲",
    Signal.FAILED: "✖",
    Signal.ERROR: "◆",
    Signal.SKIPPED: "–",
    Signal.NOT_RUN: "○",
}


@dataclass(frozen=True, slots=True)
class Firm:
    """One law firm: its tenant, its app registration, its cloud. The client secret is in the vault.

    Attributes:
        name: What the firm is called in the workspace; unique there.
        tenant: Directory (tenant) ID, or a domain of the tenant.
        client_id: Application (client) ID.
        redirect_uri: As registered; for localhost any port will do (RFC 8252).
        secret_expires: Last day of the client secret; None if nobody recorded it.
        access: ``delegated`` (every user signs in once) or ``app-only`` (client credentials).

    >>> firm = msoauth.Firm("Fabrikam", tenant="fabrikam.example", client_id="00001111-aaaa-2222-bbbb-3333cccc4444")
    >>> firm.authority
    'https://login.microsoftonline.com/fabrikam.example'
    """

    name: str
    tenant: str
    client_id: str
    cloud: Cloud = GLOBAL
    redirect_uri: str = "http://localhost"
    secret_expires: date | None = None
    access: Access = "delegated"

    @property
    def authority(self) -> str:
        """The authority URL of this tenant, as MSAL expects it."""
        return f"{self.cloud.authority}{self.tenant}"


@dataclass(frozen=True, slots=True, init=False)
class Account:
    """One mailbox of a firm.

    Attributes:
        address: The mailbox's address; unique in the workspace, compared without case.
        firm: The firm's name.
        login: The user who signs in, if that is not the mailbox itself (a shared mailbox, or a different UPN); else None.
        protocol: The protocol by which mail is retrieved, ``pop3`` or ``imap``; ``retrieve`` in JSON and in columns.

    >>> msoauth.Account("info@contoso.example", "Contoso Legal", login="anna.lindqvist@contoso.example").user
    'anna.lindqvist@contoso.example'
    """

    address: str
    firm: str
    login: str | None
    protocol: RetrievalProtocol

    def __init__(
        self,
        address: str,
        firm: str,
        login: str | None = None,
        protocol: RetrievalProtocol = "pop3",
        *,
        retrieve: RetrievalProtocol | None = None,
    ) -> None:
        if retrieve is not None:
            _warn_of_retrieve()
        _set(self, address=address, firm=firm, login=login, protocol=retrieve or protocol)

    @property
    def retrieve(self) -> RetrievalProtocol:
        """The former name of ``protocol``; the next release removes it."""
        _warn_of_retrieve()
        return self.protocol

    @property
    def user(self) -> str:
        """The user principal name that signs in."""
        return self.login or self.address


def _set(value: object, **attributes: object) -> None:
    """Set attributes of a frozen dataclass, which refuses plain assignment, while it is made."""
    for name, attribute in attributes.items():
        object.__setattr__(value, name, attribute)


def _warn_of_retrieve() -> None:
    warnings.warn("Account.retrieve is called protocol now", DeprecationWarning, stacklevel=3)


@dataclass(frozen=True, slots=True)
class Person:
    """Who signed in: known by the object id in the directory, shown by the user name, which may change.

    Attributes:
        object_id: The ``oid`` claim; empty where the tokens have none.
        tenant_id: The ``tid`` claim; empty where the tokens have none.
        user_name: The user principal name now.
    """

    object_id: str
    tenant_id: str
    user_name: str


@dataclass(frozen=True, slots=True)
class Link:
    """A link to a web page that helps: its text and its URL."""

    text: str
    url: str

    def __post_init__(self) -> None:
        _set(self, text=one_line(self.text), url=one_line(self.url))


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one check. Its texts can be shown on a terminal as they are, wherever they came from.

    Attributes:
        check: The check's id, such as ``smtp.login``.
        evidence: The server's own words, redacted.
        cause: An id of the catalogue of causes, or None when nothing is wrong.
        fix: The steps that fix it, in order; empty when nothing is wrong.
        who: Who can fix it: ``user``, ``tenant-admin``, ``consultant``, ``microsoft``, or ``""``.
        ids: ``correlation_id``, ``trace_id``, ``timestamp``, where the server gave them.
        seconds: How long the check took.
        at: When it was made, UTC.
        run: The id that the findings of one run share.
        facts: What was measured, for tables: ``messages``, ``newest`` (ISO 8601, UTC); texts and numbers only.
        confidence: ``certain``, ``likely`` or ``unsure`` that the cause is the right one; empty without a cause.
        possibilities: Other causes that it may have, the most likely first.
        details: What is known of the problem beside its cause, by which its steps are chosen: ``login`` (the user who
            signs in for the mailbox), ``sender`` (the address in whose name a mail was to go), ``protocol`` and others.

    >>> finding = msoauth.Finding("smtp.login", msoauth.Signal.FAILED, "Mail can't be sent.", cause="throttled")
    >>> finding.as_json()["cause"]
    'throttled'
    """

    check: str
    signal: Signal
    summary: str
    evidence: str = ""
    cause: str | None = None
    fix: tuple[str, ...] = ()
    who: str = ""
    links: tuple[Link, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    firm: str = ""
    account: str = ""
    run: str = ""
    facts: Mapping[str, str | int] = field(default_factory=dict)
    confidence: str = ""
    possibilities: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        texts = (
            self.check,
            self.summary,
            self.cause or "",
            self.who,
            *self.fix,
            *self.ids,
            *self.ids.values(),
            *(self.confidence, *self.possibilities),
            *self.details,
            *self.details.values(),
        )
        if not self.facts and is_harmless("".join(texts)) and is_harmless(self.evidence):
            return  # nearly always; an audit makes a hundred thousand findings
        # firm and account stay as they are, because others find the firm and the account by them.
        _set(
            self,
            check=one_line(self.check),
            summary=one_line(self.summary),
            evidence=visible(self.evidence),
            cause=self.cause and one_line(self.cause),
            fix=tuple(map(visible, self.fix)),
            who=one_line(self.who),
            ids={one_line(name): one_line(text) for name, text in self.ids.items()},
            facts={
                one_line(name): visible(fact) if isinstance(fact, str) else fact
                for name, fact in self.facts.items()
            },
            confidence=one_line(self.confidence),
            possibilities=tuple(map(one_line, self.possibilities)),
            details={one_line(name): one_line(text) for name, text in self.details.items()},
        )

    @property
    def login(self) -> str:
        """The user who signs in for the mailbox; empty for nobody, or where that does not matter."""
        return self.details.get("login", "")

    @property
    def sender(self) -> str:
        """The address in whose name a mail was to be sent; empty where none was."""
        return self.details.get("sender", "")

    def as_json(self) -> dict[str, Any]:
        """The finding as a dict for ``json.dumps``; scripts rely on its keys.

        ``facts``, ``confidence``, ``possibilities`` and ``details`` are in it only if there are any.
        """
        data: dict[str, Any] = {
            "check": self.check,
            "signal": str(self.signal),
            "summary": self.summary,
            "evidence": self.evidence,
            "cause": self.cause,
            "fix": list(self.fix),
            "who": self.who,
            "links": [{"text": link.text, "url": link.url} for link in self.links],
            "ids": dict(self.ids),
            "seconds": round(self.seconds, 3),
            "at": self.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "firm": self.firm,
            "account": self.account,
            "run": self.run,
        }
        more = {
            "facts": dict(self.facts),
            "confidence": self.confidence,
            "possibilities": list(self.possibilities),
            "details": dict(self.details),
        }
        return data | {name: value for name, value in more.items() if value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Finding":
        """Restore a finding from what :meth:`as_json` returned."""
        return cls(
            check=data["check"],
            signal=Signal(data["signal"]),
            summary=data["summary"],
            evidence=data["evidence"],
            cause=data["cause"],
            fix=tuple(data["fix"]),
            who=data["who"],
            links=tuple(Link(link["text"], link["url"]) for link in data["links"]),
            ids=dict(data["ids"]),
            seconds=data["seconds"],
            at=datetime.fromisoformat(data["at"]),
            firm=data["firm"],
            account=data["account"],
            run=data["run"],
            facts=dict(data.get("facts", ())),
            confidence=data.get("confidence", ""),
            possibilities=tuple(data.get("possibilities", ())),
            details=dict(data.get("details", ())),
        )

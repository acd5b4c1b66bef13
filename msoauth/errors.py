"""Defines the exceptions of msoauth; each carries a cause that the catalogue explains.

MsoauthError
├── InputError         what the user gave cannot be used (also a ValueError)
│   └── NotFoundError  there is no firm or account of that name (also a LookupError)
├── LocalError         something on this computer is in the way: a missing file, a full disk
│   └── StoreError     the workspace cannot be read or written
│       ├── StoreConnectionError, StorePermissionError, StoreTimeoutError  why, as in the standard library
│       └── VaultError     the key that seals secrets is missing or wrong
│           └── DestinationError  a secret or token would go where nobody confirmed that it may
├── AuthError          the authority refused, or a sign-in failed
│   ├── AuthConnectionError, AuthPermissionError, AuthTimeoutError  why, as in the standard library
│   └── CancelledError the user cancelled the sign-in
└── MailError          a mail server refused or could not be reached; names the stage
    ├── MailTimeoutError     it did not answer in time (also a TimeoutError)
    └── MailConnectionError  the connection was refused or broke (also a ConnectionError)
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeGuard

from msoauth.redact import redact
from msoauth.sanitize import one_line, visible

MAX_EVIDENCE = 8000  # characters of a server's words that are kept

_NO_IDS: Mapping[str, str] = MappingProxyType({})


class MsoauthError(Exception):
    """A failure that msoauth can explain; the base of its exceptions.

    All its texts are without secrets and can be shown on a terminal as they are.

    Args:
        summary: One sentence for people: what was tried and how it failed.
        cause: An id of the catalogue of causes; ``"unknown"`` if none matches.
        evidence: The server's own words, with secrets taken out.
        details: What is known beside the cause, by which the steps are chosen (:func:`msoauth.explaining.for_cause`).
        ids: The ids by which Microsoft's support finds this failure (``correlation_id``, ``trace_id``, ``timestamp``).

    >>> try:
    ...     ws.firms["Nobody's"]
    ... except msoauth.MsoauthError as error:
    ...     print(error.summary)
    There is no firm “Nobody's” in this workspace.
    """

    def __init__(
        self,
        summary: str,
        *,
        cause: str = "unknown",
        evidence: str = "",
        ids: Mapping[str, str] = _NO_IDS,
        details: Mapping[str, str] = _NO_IDS,
    ) -> None:
        self.summary = one_line(redact(summary))
        self.details = dict(details)
        self.confidence = "certain"
        self.possibilities: tuple[str, ...] = ()
        super().__init__(self.summary)
        self.cause = cause
        self.evidence = visible(redact(evidence, MAX_EVIDENCE))
        self.ids = {one_line(name): one_line(redact(text)) for name, text in ids.items()}


class InputError(MsoauthError, ValueError):
    """What the user gave cannot be used; the summary says how to fix it.

    Args:
        field: The name of the form field or option that is wrong, where there is one.
    """

    fix: tuple[str, ...] = ()  # the summary says how to fix it

    def __init__(self, summary: str, *, field: str = "", cause: str = "unknown") -> None:
        super().__init__(summary, cause=cause)
        self.field = field


class NothingToDoError(InputError):
    """What was asked for is not needed: nothing is wrong, and there is nothing to write."""


class NotFoundError(InputError, LookupError):
    """There is no firm or account of that name in the workspace."""


class LocalError(MsoauthError):
    """Something on this computer is in the way, such as a missing file or a full disk: no server refused anything.

    Args:
        fix: The steps that fix it, unless the summary says how.
    """

    def __init__(self, summary: str, *, evidence: str = "", fix: tuple[str, ...] = ()) -> None:
        super().__init__(summary, evidence=evidence)
        self.fix = fix


class StoreError(LocalError):
    """The workspace cannot be read or written."""


class StoreConnectionError(StoreError, ConnectionError):
    """The workspace's database does not answer."""


class StorePermissionError(StoreError, PermissionError):
    """The workspace's folder or database is read-only."""


class StoreTimeoutError(StoreError, TimeoutError):
    """Another program held what was needed for longer than is waited."""


class VaultError(StoreError):
    """The key that seals secrets and tokens is missing or wrong."""


class DestinationError(VaultError):
    """A secret or token is not used, because what decides where it goes was changed, or was never confirmed.

    ``Firms.unconfirmed`` shows what changed, and ``Firms.confirm`` accepts it.

    Args:
        firm: The firm's name.
    """

    def __init__(self, summary: str, *, firm: str) -> None:
        super().__init__(summary)
        self.firm = firm


class AuthError(MsoauthError):
    """The authority refused, could not be reached, or a sign-in failed.

    Args:
        retriable: True when the same request may succeed later without anybody fixing anything.
        retry_after: Seconds the server asked to wait, where it said so.
        claims: The claims challenge to pass on to an interactive sign-in, where there is one.
    """

    def __init__(
        self,
        summary: str,
        *,
        cause: str = "unknown",
        evidence: str = "",
        ids: Mapping[str, str] = _NO_IDS,
        retriable: bool = False,
        retry_after: float | None = None,
        claims: str | None = None,
        details: Mapping[str, str] = _NO_IDS,
    ) -> None:
        super().__init__(summary, cause=cause, evidence=evidence, ids=ids, details=details)
        self.retriable = retriable
        self.retry_after = retry_after
        self.claims = claims


class AuthConnectionError(AuthError, ConnectionError):
    """The authority could not be reached, or the connection was cut off."""


class AuthPermissionError(AuthError, PermissionError):
    """Who signed in may not read or do what was asked for."""


class AuthTimeoutError(AuthError, TimeoutError):
    """The authority did not answer in time, or nobody completed the sign-in in time."""


class CancelledError(AuthError):
    """The user cancelled a sign-in in msoauth itself: nothing was refused and nothing is wrong.

    Its cause is ``cancelled``, which is not in the catalogue: a finding about it has the signal *skipped* and no cause.
    A cancellation on Microsoft's page has a cause of its own instead (``consent-declined``).
    """

    def __init__(self, summary: str) -> None:
        super().__init__(summary, cause="cancelled")


class Stage(StrEnum):
    """A stage of a connection to a mail server; ``work`` is all that follows the login."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    GREETING = "greeting"
    AUTHENTICATE = "authenticate"
    WORK = "work"


class MailError(MsoauthError):
    """A mail server refused, answered wrongly, or could not be reached.

    Args:
        stage: The stage of the connection where it failed.
        challenge: The decoded XOAUTH2 challenge of the server, where it sent one.
        retriable: True when the same attempt may succeed later (throttling, busy, outage).
        retry_after: Seconds the server asked to wait, where it said so.
    """

    def __init__(
        self,
        summary: str,
        *,
        stage: str,
        cause: str = "unknown",
        evidence: str = "",
        ids: Mapping[str, str] = _NO_IDS,
        challenge: str | None = None,
        retriable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(summary, cause=cause, evidence=evidence, ids=ids)
        self.stage = Stage(stage)
        self.challenge = None if challenge is None else visible(redact(challenge))
        self.retriable = retriable
        self.retry_after = retry_after


def is_local(error: MsoauthError) -> TypeGuard[LocalError | InputError]:
    """Whether what is wrong is on this computer or was typed here: the catalogue of servers' refusals does not apply."""
    return isinstance(error, LocalError) or (
        isinstance(error, InputError) and error.cause == "unknown"
    )


class MailTimeoutError(MailError, TimeoutError):
    """A mail server did not answer in time."""


class MailConnectionError(MailError, ConnectionError):
    """A connection to a mail server was refused or broke."""

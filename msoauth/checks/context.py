"""Defines what a check is, what it is given (:class:`Context`) and what it returns (:class:`Outcome`)."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from msoauth.errors import DestinationError, MailError, MsoauthError, NotFoundError, StoreError
from msoauth.identity.access_tokens import AccessToken
from msoauth.mail.imap import ImapSession
from msoauth.mail.pop3 import Pop3Session
from msoauth.mail.retry import RetryPolicy
from msoauth.mail.round_trip import ARRIVAL_TIMEOUT
from msoauth.mail.session import ConnectionOptions
from msoauth.mail.smtp import SmtpSession
from msoauth.mail.transcript import Transcript
from msoauth.model import Account, Firm, Signal
from msoauth.store import Workspace

if TYPE_CHECKING:
    from msoauth.graph import Graph
    from msoauth.identity import http

Session = Pop3Session | ImapSession | SmtpSession
Kind = TypeVar("Kind", Pop3Session, ImapSession, SmtpSession)

# Some servers hang up on a client that says nothing for ten seconds after the greeting.
LOGIN_WITHIN = 5.0  # seconds
SECOND_TRY_AFTER = 5.0  # seconds


class OpenSessions:
    """Mail sessions that one check has opened and another one will log in with.

    Safe to share between threads. After :meth:`close` a session that is still handed in is closed at once, so that
    a check which outlives its run leaves no connection behind.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[type[Session], tuple[Session | MailError, float]] = {}
        self._closed = False

    def keep(self, session: Session) -> None:
        """Keep a session for its login."""
        with self._lock:
            if self._closed:
                session.connection.close()
            else:
                self._sessions[type(session)] = (session, time.monotonic())

    def keep_failure(self, kind: type[Session], failure: MailError) -> None:
        """Keep the error that prevented a session of this kind, for the login check to report."""
        self._sessions[kind] = (failure, time.monotonic())

    def take(self, kind: type[Kind]) -> Kind | None:
        """The session of this kind, for the caller to close; None when there is none, or it has waited too long.

        Raises:
            MailError: the session could not be opened.
        """
        with self._lock:
            session, opened = self._sessions.pop(kind, (None, 0.0))
        if isinstance(session, MailError):
            raise session
        if not isinstance(session, kind):
            return None
        if time.monotonic() - opened < LOGIN_WITHIN:
            return session
        session.connection.close()
        return None

    def close(self) -> None:
        """Close all sessions, and those that are handed in from now on."""
        with self._lock:
            self._closed = True
            while self._sessions:
                session, _opened = self._sessions.popitem()[1]
                if not isinstance(session, MailError):
                    session.connection.close()


class Logins:
    """The logins of one run, each tried once; a check that was refused can ask what another server said to the same token.

    Safe to share between threads: who asks for a login that is under way waits for its end.
    """

    def __init__(self) -> None:
        self._locks = {name: threading.Lock() for name in ("retrieval", "smtp")}
        self._results: dict[str, Outcome | MsoauthError] = {}
        self._reported: set[str] = set()

    def result(
        self, name: str, log_in: "Callable[[], Outcome]", *, of_own_check: bool = False
    ) -> "Outcome | MsoauthError":
        """The outcome of the login called *name* (``retrieval`` or ``smtp``), which is tried if nobody has yet.

        Args:
            of_own_check: The check of this login asks: what it was told before is tried again.
        """
        with self._locks[name]:
            if name not in self._results or (of_own_check and name in self._reported):
                try:
                    self._results[name] = log_in()
                except MsoauthError as error:
                    self._results[name] = error
            if of_own_check:
                self._reported.add(name)
            return self._results[name]


@dataclass(frozen=True)
class RunOptions:
    """What the caller of a run asks for.

    Attributes:
        timeout: Seconds that one step of a conversation with a server may take.
        user_reported_error: The error that the user saw on a sign-in page; most refusals are shown only there.
        recipient: Who gets the test mail; None for the mailbox itself.
        sender: The From address of the test mail (Send As); None for the mailbox itself.
        subject: The subject of the test mail; None for a default one.
        retry: How often the test mail is tried again while the server is busy; None for not at all.
        arrival_seconds: How long the test mail is waited for.
        on_progress: Called twice a second, while the test mail has not arrived, with the seconds waited so far.
        silent_days: Days without new mail after which a mailbox is called silent; None to not ask for its latest
            message.
        second_try_after: Seconds before a check is made again whose refusal is known to pass by itself.

    >>> options = msoauth.checks.RunOptions(timeout=5.0)
    >>> context = msoauth.checks.Context(ws, ws.firms["Contoso Legal"], options=options)
    """

    timeout: float = 20.0
    user_reported_error: str = field(default="", repr=False)
    recipient: str | None = None
    sender: str | None = None
    subject: str | None = None
    retry: RetryPolicy | None = None
    arrival_seconds: float = ARRIVAL_TIMEOUT
    on_progress: Callable[[float], None] = lambda _seconds: None
    silent_days: int | None = None
    second_try_after: float = SECOND_TRY_AFTER


@dataclass
class RunState:
    """What the checks of a run found out and later ones need. Secrets in it are not shown.

    Attributes:
        clock_offset: How far this computer's clock is ahead of the sign-in service's; None when its reply had no date.
        discovery: The reply of the tenant's discovery address.
        unused_for: How long the refresh token had not been used when the run began.
        token: The access token of the account.
        token_renewed: Whether it was renewed in this run.
        retry_after: Seconds after which the sign-in service wants to be asked again.
        sessions: Sessions with the mail servers that wait for their login.
        latest_message: When the latest message came; None for an empty mailbox.
        latest_message_known: Whether the server reported it.
        imap_family: ``IPv6`` or ``IPv4`` where only that one opens the mailbox over IMAP; else empty.
        message_id: The Message-ID of the test mail.
        known: What the checks found out that decides which steps fit: details for
            :func:`msoauth.explaining.for_cause`.
        selected: The ids of the checks that this run carries out.
        logins: What came of each login to a mail server, by protocol, for other checks to compare with.
        transcripts: The conversations with the mail servers: ``pop3``, ``imap``, ``smtp`` from the greeting to the
            login, and those of sending by check id.

    >>> context = msoauth.checks.Context(ws, ws.firms["Contoso Legal"])
    >>> for finding in msoauth.run(msoauth.checks.NETWORK, context):
    ...     assert finding.signal == "passed"
    >>> context.state.clock_offset.total_seconds() < 60
    True
    """

    clock_offset: timedelta | None = None
    discovery: "http.Reply | None" = field(default=None, repr=False)
    unused_for: timedelta = timedelta()
    token: AccessToken | None = None
    token_renewed: bool = False
    retry_after: float | None = None
    sessions: OpenSessions = field(default_factory=OpenSessions, repr=False)
    latest_message: datetime | None = None
    latest_message_known: bool = False
    imap_family: str = ""
    message_id: str = ""
    known: dict[str, str] = field(default_factory=dict)
    selected: frozenset[str] = frozenset()
    logins: "Logins" = field(default_factory=lambda: Logins(), repr=False)
    transcripts: dict[str, Transcript] = field(default_factory=dict, repr=False)

    def ordered_transcripts(self) -> dict[str, Transcript]:
        """The transcripts in the order of a diagnosis, whichever server was greeted first."""
        retrieving = ("pop3", "imap")
        return dict(sorted(self.transcripts.items(), key=lambda one: one[0] not in retrieving))


@dataclass
class Context:
    """Everything that the checks of one run share: what they look at, the options, and what was found out so far.

    Attributes:
        account: The mailbox; None for the checks of a firm alone.
        graph: A Graph client with an administrator's token; None when no administrator has signed in.
        run: The id that the findings of this run share.
        cancelled: Set it to end the run before its next check.

    >>> account = ws.accounts["anna.lindqvist@contoso.example"]
    >>> context = msoauth.checks.Context(ws, ws.firms[account.firm], account)
    >>> [finding.check for finding in msoauth.run(msoauth.checks.SIGN_IN, context)][0]
    'sign-in.present'
    """

    workspace: Workspace
    firm: Firm
    account: Account | None = None
    graph: "Graph | None" = None
    options: RunOptions = field(default_factory=RunOptions)
    state: RunState = field(default_factory=RunState)
    run: str = field(default_factory=lambda: uuid4().hex[:12])
    cancelled: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def mailbox(self) -> Account:
        """The account of a run that has one.

        Raises:
            LookupError: the run is for a firm alone.
        """
        if self.account is None:
            raise LookupError("this check needs an account")
        return self.account

    def require_confirmed(self) -> None:
        """Make sure, before anything is contacted, that secrets and tokens may go where the firm is now.

        Raises:
            DestinationError: that was changed, or nobody has confirmed it.
        """
        try:
            self.workspace.firms.require_confirmed(
                self.firm, [self.account] if self.account else ()
            )
        except DestinationError:
            raise
        except (StoreError, NotFoundError):
            return  # nothing can be sent; the check that needs it tells why

    def connection_options(self, transcript: str) -> ConnectionOptions:
        """How to connect to a mail server, with the conversation recorded under *transcript*."""
        return {
            "transcript": self.state.transcripts.setdefault(transcript, Transcript()),
            "timeout": self.options.timeout,
            "ca_file": self.firm.cloud.ca_file,
            "cancelled": self.cancelled,
            # Sending has its own server; retrieving, and the round trip, use what opened the mailbox.
            "family": "" if transcript.startswith("smtp") else self.state.imap_family,
        }


@dataclass(frozen=True)
class Outcome:
    """What a check returns, unless it raises an MsoauthError.

    Attributes:
        cause: An id of the catalogue of causes where something is wrong.
        evidence: The server's own words.
        facts: What was measured, for tables.
        details: What decides which steps fit; see :func:`msoauth.explaining.for_cause`.
        confidence: How certain the cause is: ``certain``, ``likely`` or ``unsure``.

    >>> msoauth.checks.Outcome("the server answers").signal.shape
    '●'
    """

    summary: str
    signal: Signal = Signal.PASSED
    cause: str | None = None
    evidence: str = ""
    facts: Mapping[str, str | int] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    confidence: str = "certain"


@dataclass(frozen=True)
class Check:
    """One question with one answer.

    Attributes:
        id: ``area.question``, as in findings.
        title: What it means that the check passed, for people; a function because the language may change.
        act: Carries it out; raises an MsoauthError for a failure that has a cause.
        needs: Ids of checks that must have passed (or warned) before this one makes sense.
        applies: Whether the question makes sense for this firm and account at all.
        asks: The question, in a sentence for people.
        after: Ids of checks whose end it waits for, whatever came of them.

    >>> from msoauth.checks import Check, Context, Outcome
    >>> named = Check("firm.name", lambda: "the firm has a name", lambda context: Outcome(context.firm.name))
    >>> [finding.summary for finding in msoauth.run([named], Context(ws, ws.firms["Contoso Legal"]), record=False)]
    ['Contoso Legal']
    """

    id: str
    title: Callable[[], str]
    act: Callable[[Context], Outcome]
    needs: tuple[str, ...] = ()
    applies: Callable[[Context], bool] = lambda _context: True
    asks: Callable[[], str] = lambda: ""
    after: tuple[str, ...] = ()

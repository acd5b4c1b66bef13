"""What a check is, and how checks are carried out: in order for the reader, side by side for the clock."""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from msoauth.errors import MsoauthError
from msoauth.judgement import blocker, signal_of, verdict
from msoauth.mail.connection import ConnectionOptions
from msoauth.mail.transcript import Transcript
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.redact import redact
from msoauth.store import Workspace
from msoauth.texts import _

if TYPE_CHECKING:
    from msoauth.graph import Graph
    from msoauth.mail.imap import ImapSession
    from msoauth.mail.pop3 import Pop3Session
    from msoauth.mail.smtp import SmtpSession

Findings = Iterator[Finding]

_WORKERS = 8  # more than the longest row of checks that do not hang on one another


@dataclass
class Context:
    """What the checks of one run look at.

    Attributes:
        account: The mailbox; None for the checks of a firm alone.
        graph: What an administrator's sign-in lets us read; None when no administrator has signed in.
        said: What the user saw on a page of the sign-in, which the page told to nobody but the user.
        known: What a check found out that a later one needs (the access token, say); never shown.
        greeted: Sessions with the mail servers that a check of the network left open for the login, by protocol.
        ahead: The SMTP session that another thread begins while the checks before its login are carried out.
        transcripts: The conversations of this run with the mail servers: ``pop3``, ``imap``, ``smtp`` from the
            greeting to the login, and those of sending by check id.
        cancelled: Set it to end the run before its next check.
        timeout: Seconds that one step of a conversation may take.
        hurried: One of thousands: the answer to a good-bye is not waited for.
        pop3_capabilities: What the firm's POP3 server told another of these thousands that it offers.
    """

    workspace: Workspace
    firm: Firm
    account: Account | None = None
    timeout: float = 20.0
    graph: "Graph | None" = None
    said: str = ""
    run: str = field(default_factory=lambda: uuid4().hex[:12])
    known: dict[str, Any] = field(default_factory=dict, repr=False)
    greeted: "dict[str, Pop3Session | ImapSession | SmtpSession]" = field(
        default_factory=dict, repr=False
    )
    ahead: "Future[Greeted] | None" = field(default=None, repr=False)
    transcripts: dict[str, Transcript] = field(default_factory=dict, repr=False)
    cancelled: threading.Event = field(default_factory=threading.Event, repr=False)
    hurried: bool = False
    pop3_capabilities: dict[str, list[str]] | None = field(default=None, repr=False)

    @property
    def mailbox(self) -> Account:
        """The account of a run that has one."""
        if self.account is None:
            raise LookupError("this check needs an account")
        return self.account

    def transcript(self, check: str) -> Transcript:
        """The record of a conversation, made when it is first asked for."""
        return self.transcripts.setdefault(check, Transcript())

    def options(self, check: str) -> ConnectionOptions:
        """How a conversation with a mail server is held, and that it is recorded under *check*."""
        return {
            "transcript": self.transcript(check),
            "timeout": self.timeout,
            "ca_file": self.firm.cloud.ca_file,
            "cancelled": self.cancelled,
        }

    def hang_up(self) -> None:
        """Close the sessions that no login has taken over."""
        while self.greeted:
            self.greeted.popitem()[1].connection.close()
        if self.ahead is not None and not self.ahead.cancel():
            self.ahead.add_done_callback(_close)


@dataclass(frozen=True)
class Greeted:
    """An SMTP session that another thread began, the seconds that this took, and when it was done."""

    session: "SmtpSession"
    seconds: float
    at: float = field(default_factory=time.monotonic)


def _close(ahead: Future[Greeted]) -> None:
    if ahead.exception() is None:
        ahead.result().session.close(wait=False)


@dataclass(frozen=True)
class Outcome:
    """What a check says when it could be carried out and nothing was raised.

    Attributes:
        seconds: What another thread took for it beforehand.
    """

    summary: str
    signal: Signal = Signal.PASSED
    cause: str | None = None
    evidence: str = ""
    facts: Mapping[str, str | int] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Check:
    """One question with one answer.

    Attributes:
        id: ``area.question``, as in findings.
        title: What is good when it passes, for people; a function because the language may change.
        act: Answers it; raises MsoauthError for a failure that has a cause.
        needs: Ids of checks that must have passed (or warned) before this one makes sense.
        applies: Whether the question makes sense for this firm and account at all.
        asks: What it looks at, in a sentence for people.
        after: Ids of checks whose end it waits for, whatever came of them.
    """

    id: str
    title: Callable[[], str]
    act: Callable[[Context], Outcome]
    needs: tuple[str, ...] = ()
    applies: Callable[[Context], bool] = lambda _context: True
    asks: Callable[[], str] = lambda: ""
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Made:
    """A finding, and the one that it hangs on when it was skipped."""

    finding: Finding
    broken: Finding | None = None


def run(checks: Sequence[Check], context: Context) -> Generator[Finding, None, str]:
    """Carry out *checks* and yield each finding in their order, as soon as it is there.

    Checks that do not hang on one another run side by side. A check whose needed check did not pass is
    skipped, and says on which it hangs. Every finding is in the workspace's journal before it is yielded.

    Returns:
        One sentence: the root cause (see :func:`msoauth.judgement.verdict`).

    >>> context = msoauth.checks.Context(ws, ws.firms["Contoso Legal"])
    >>> {str(finding.signal) for finding in msoauth.run(msoauth.checks.REGISTRATION, context)}
    {'passed'}
    """
    wanted = [check for check in checks if check.applies(context)]
    made: list[Finding] = []
    try:
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="check") as pool:
            # A check waits only for checks submitted before it, so a bounded pool cannot lock up.
            futures: dict[str, Future[_Made]] = {}
            for check in wanted:
                futures[check.id] = pool.submit(
                    _carry_out,
                    check,
                    context,
                    [futures[n] for n in check.needs if n in futures],
                    [futures[n] for n in check.after if n in futures],
                )
            try:
                waiting = deque(futures.values())
                while waiting:
                    ready = [waiting.popleft().result().finding]
                    while waiting and waiting[0].done():  # one commit for all that are there
                        ready.append(waiting.popleft().result().finding)
                    context.workspace.journal.append(*ready)
                    for finding in ready:
                        made.append(finding)
                        yield finding
            finally:
                if len(made) < len(wanted):
                    context.cancelled.set()
    finally:
        context.hang_up()
    return verdict(made)


def _carry_out(
    check: Check,
    context: Context,
    needed: Sequence[Future[_Made]],
    before: Sequence[Future[_Made]],
) -> _Made:
    for future in before:
        future.result()
    made = [future.result() for future in needed]
    broken = blocker(one.broken or one.finding for one in made)
    return _Made(answer(check, context, broken), broken)


def answer(check: Check, context: Context, broken: Finding | None) -> Finding:
    """The answer to one check; *broken* is what bars it, if anything does. Never raises."""
    if broken is not None:
        why = _("not checked, because {check} did not pass").format(check=broken.check)
        return _skipped(check, context, why)
    if context.cancelled.is_set():
        why = _("not checked, because the run was cancelled")
        return _skipped(check, context, why)
    start = time.perf_counter()
    try:
        outcome = check.act(context)
    except MsoauthError as failure:
        finding = finding_of(failure, check.id, context.firm, context.account)
    except Exception as bug:  # noqa: BLE001 - a check that cannot be carried out is `error`, never a traceback
        finding = Finding(
            check=check.id,
            signal=Signal.ERROR,
            summary=_("the check could not be carried out: {kind}").format(kind=type(bug).__name__),
            evidence=redact(str(bug))[:2000],
            cause="unknown",
        )
    else:
        return _finding(check.id, outcome, context, time.perf_counter() - start)
    return replace(
        finding,
        seconds=time.perf_counter() - start,
        firm=context.firm.name,
        account=context.account.address if context.account else "",
        run=context.run,
    )


def _skipped(check: Check, context: Context, why: str) -> Finding:
    return Finding(
        check=check.id,
        signal=Signal.SKIPPED,
        summary=why,
        firm=context.firm.name,
        account=context.account.address if context.account else "",
        run=context.run,
    )


def _finding(check: str, outcome: Outcome, context: Context, seconds: float) -> Finding:
    finding = Finding(
        check=check,
        signal=outcome.signal,
        summary=outcome.summary,
        evidence=redact(outcome.evidence),
        facts=outcome.facts,
        seconds=seconds + outcome.seconds,
        firm=context.firm.name,
        account=context.account.address if context.account else "",
        run=context.run,
    )
    if outcome.cause is None:
        return finding
    return _explained(finding, outcome.cause, context.firm, context.account)


def finding_of(failure: MsoauthError, check: str, firm: Firm, account: Account | None) -> Finding:
    """The finding that *failure* amounts to."""
    plain = Finding(
        check=check,
        signal=signal_of(failure),
        summary=redact(failure.summary),
        evidence=redact(failure.evidence)[:8000],
        ids=failure.ids,
    )
    return _explained(plain, failure.cause, firm, account)


def _explained(finding: Finding, cause: str, firm: Firm, account: Account | None) -> Finding:
    from msoauth.explaining import for_cause  # the catalogue is read only when something is wrong

    known = for_cause(cause, firm=firm, account=account, ids=finding.ids)
    return replace(finding, cause=cause, fix=known.fix, who=known.who, links=known.links)

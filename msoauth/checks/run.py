"""Carries out checks: independent ones run concurrently, and findings are yielded in declaration order."""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from queue import SimpleQueue
from types import MappingProxyType

from msoauth import waiting
from msoauth.checks.context import Check, Context, Outcome
from msoauth.claims import read_unverified
from msoauth.errors import MailError, MsoauthError, StoreError, is_local
from msoauth.judgement import blocker, may_pass, signal_of, verdict
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.redact import redact
from msoauth.texts import _

WORKERS = 8  # more than there are checks that can run at once


class Threads:
    """A bounded number of daemon threads that carry out tasks, first come, first served.

    Unlike those of a ThreadPoolExecutor they never hold up the end of the process: a check that hangs in a server
    which says nothing is abandoned.

    Args:
        count: How many there are.
        name: What they are called, before their number.

    >>> threads = msoauth.checks.Threads(4, "check")
    >>> context = msoauth.checks.Context(ws, ws.firms["Contoso Legal"])
    >>> for finding in msoauth.run(msoauth.checks.REGISTRATION, context, workers=threads):
    ...     assert finding.signal == "passed"
    >>> threads.close(wait=5)
    """

    def __init__(self, count: int, name: str) -> None:
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name} {n}", daemon=True)
            for n in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Callable[[], None]) -> None:
        """Have a thread carry out *task*, which raises nothing."""
        self._tasks.put(task)

    def close(self, *, wait: float = 0.0) -> None:
        """Let each thread end after what was submitted so far.

        Args:
            wait: Seconds to wait for them.
        """
        for _thread in self._threads:
            self._tasks.put(None)
        deadline = time.monotonic() + wait
        for thread in self._threads if wait else ():
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()


class _Run:
    """The state of one run, shared by the threads that carry out its checks.

    The caller's thread only carries out the check whose finding it is about to yield, and only waits for one that
    another thread has begun. The other threads never wait: they take checks that are ready and leave. So a bounded
    number of threads can be shared by many runs without a deadlock, and without other threads the checks are
    carried out one after another.
    """

    def __init__(
        self, checks: Sequence[Check], context: Context, known: Iterable[Finding], threads: Threads
    ) -> None:
        self._context = context
        self._threads = threads
        self._changed = threading.Condition()
        self._waiting = {check.id: check for check in checks}
        self._expected = frozenset(self._waiting)
        self._findings = {f.check: f for f in known if f.check not in self._expected}
        self._blocked_by: dict[str, Finding] = {}  # by the id of a check that was skipped
        for _check in [check for check in checks if self._ready(check)][1:]:
            threads.submit(self._carry_out_ready)

    def finding(self, check: Check) -> Finding:
        """The finding of *check*, which this thread carries out unless another has begun it."""
        with self._changed:
            has_begun = self._waiting.pop(check.id, None) is None
            waits = has_begun and check.id not in self._findings
            if waits and any(self._ready(other) for other in self._waiting.values()):
                self._threads.submit(self._carry_out_ready)  # in place of this thread, which waits
        if not has_begun:
            self._carry_out(check)
        with self._changed:
            while check.id not in self._findings:
                self._changed.wait(waiting.STEP)
        return self._findings[check.id]

    def is_done(self, check: Check) -> bool:
        """Whether the finding of *check* is there."""
        return check.id in self._findings

    def stop(self) -> None:
        """Begin no further check."""
        with self._changed:
            self._waiting.clear()

    def _carry_out_ready(self) -> None:
        """Carry out checks that are ready, until none is."""
        while (check := self._next()) is not None:
            self._carry_out(check)

    def _next(self) -> Check | None:
        with self._changed:
            ready = next((c for c in reversed(self._waiting.values()) if self._ready(c)), None)
            if ready is not None:
                del self._waiting[ready.id]
            return ready

    def _ready(self, check: Check) -> bool:
        """Whether all checks that this one waits for are done."""
        return all(
            other in self._findings or other not in self._expected
            for other in (*check.needs, *check.after)
        )

    def _carry_out(self, check: Check) -> None:
        needed = [
            self._blocked_by.get(need) or self._findings[need]
            for need in check.needs
            if need in self._findings
        ]
        blocking = blocker(needed)
        finding = answer(check, self._context, blocking)
        with self._changed:
            if blocking is not None:
                self._blocked_by[check.id] = blocking
            self._findings[check.id] = finding
            now_ready = [
                c
                for c in self._waiting.values()
                if check.id in (*c.needs, *c.after) and self._ready(c)
            ]
            self._changed.notify_all()
        for _check in now_ready[1:]:  # this thread takes the first itself
            self._threads.submit(self._carry_out_ready)


def run(
    checks: Sequence[Check],
    context: Context,
    *,
    workers: int | Threads = WORKERS,
    known: Iterable[Finding] = (),
    record: bool = True,
) -> Generator[Finding, None, str]:
    """Carry out *checks* and yield each finding in their order, as soon as it is there.

    Checks that do not depend on one another run concurrently. A check is skipped when one that it needs did not
    pass (see :func:`msoauth.judgement.blocks`), and its finding names that one. Closing the generator returns at once:
    checks under way are cancelled and abandoned, and what they still find is dropped.

    Args:
        checks: Each may need only earlier ones.
        workers: Checks at once; 1 for one after another in the caller's thread. Or threads that several runs
            share; the caller's thread then works beside them.
        known: Findings of an earlier run, of checks that these need.
        record: Append each finding to the workspace's journal before it is yielded. A caller that does this itself (an
            audit) also makes sure beforehand that secrets may go where they would.

    Returns:
        One sentence: the root cause (see :func:`msoauth.judgement.verdict`).

    Raises:
        DestinationError: where the firm's secrets go was changed, or is not confirmed; nothing was contacted or stored.
        StoreError: the findings cannot be stored (raised while iterating; those yielded are).

    >>> context = msoauth.checks.Context(ws, ws.firms["Contoso Legal"])
    >>> {str(finding.signal) for finding in msoauth.run(msoauth.checks.REGISTRATION, context)}
    {'passed'}
    """
    if record:
        context.require_confirmed()
    applicable = [check for check in checks if check.applies(context)]
    context.state.selected = frozenset(check.id for check in applicable)
    threads = (
        Threads(min(workers, len(applicable)) - 1, "check") if isinstance(workers, int) else workers
    )
    state = _Run(applicable, context, known, threads)
    yielded: list[Finding] = []
    try:
        while len(yielded) < len(applicable):
            ready = [state.finding(applicable[len(yielded)])]
            for check in applicable[len(yielded) + 1 :]:  # one commit for all that are done
                if not state.is_done(check):
                    break
                ready.append(state.finding(check))
            if record:
                context.workspace.journal.append(*ready)
            for finding in ready:
                yielded.append(finding)
                yield finding
    except (GeneratorExit, KeyboardInterrupt, StoreError):
        if len(yielded) < len(applicable):
            context.cancelled.set()
        raise
    finally:
        state.stop()
        if isinstance(workers, int):
            threads.close()
        context.state.sessions.close()
    return verdict(yielded)


def answer(check: Check, context: Context, blocking: Finding | None) -> Finding:
    """Carry out one check, unless *blocking*, the finding of a check that it needs, blocks it.

    Every failure becomes a finding. A bug does too, with the signal ``error``, instead of ending the run.
    """
    seconds, cancelled_text = 0.0, _("not checked, because the run was cancelled")
    if blocking is not None:
        summary = _("not checked, because {check} did not pass").format(check=blocking.check)
        finding = Finding(check.id, Signal.SKIPPED, summary)
    elif context.cancelled.is_set():
        finding = Finding(check.id, Signal.SKIPPED, cancelled_text)
    else:
        start = time.perf_counter()
        try:
            try:
                finding = _finding(check.id, _act(check, context), context)
            except MsoauthError as error:
                if isinstance(error, MailError) and context.cancelled.is_set():
                    # The server is not to blame: cancelling closed the connection.
                    finding = Finding(check.id, Signal.SKIPPED, cancelled_text)
                else:
                    finding = finding_of(
                        error, check.id, context.firm, context.account, _known(check.id, context)
                    )
        except OSError as error:  # of this computer: those of servers were caught where they arose
            reason = ": ".join(filter(None, (error.filename, error.strerror or str(error))))
            summary = _("this computer is in the way of the check: {reason}").format(reason=reason)
            finding = Finding(check.id, Signal.ERROR, redact(summary))
        except Exception as error:  # noqa: BLE001 - see above
            kind = type(error).__name__
            summary = _("the check could not be carried out: {kind}").format(kind=kind)
            evidence = redact(str(error), 2000)
            finding = Finding(check.id, Signal.ERROR, summary, evidence=evidence, cause="unknown")
        seconds = time.perf_counter() - start
    return replace(
        finding,
        seconds=seconds,
        firm=context.firm.name,
        account=context.account.address if context.account else "",
        run=context.run,
    )


def _act(check: Check, context: Context) -> Outcome:
    """Carry out a check, and once more after a pause where it met a refusal that is known to pass by itself."""
    seconds = context.options.second_try_after
    try:
        return check.act(context)
    except MsoauthError as error:
        if not may_pass(error) or waiting.wait(context.cancelled, seconds):
            raise
        first = error
    try:
        outcome = check.act(context)
    except MsoauthError as error:
        again = _("The second try, {seconds:.0f} seconds later, failed too.").format(
            seconds=seconds
        )
        error.evidence = f"{error.evidence}\n{again}"
        raise
    told = _("The first try was refused: {words}").format(words=first.evidence)
    return replace(
        outcome,
        summary=_("{summary} (at the second try, {seconds:.0f} seconds after a refusal)").format(
            summary=outcome.summary, seconds=seconds
        ),
        evidence=f"{told}\n{outcome.evidence}".strip(),
    )


def _finding(check: str, outcome: Outcome, context: Context) -> Finding:
    finding = Finding(
        check=check,
        signal=outcome.signal,
        summary=outcome.summary,
        evidence=redact(outcome.evidence),
        facts=outcome.facts,
    )
    if outcome.cause is None:
        return finding
    details = {**_known(check, context), **outcome.details}
    finding = replace(finding, confidence=outcome.confidence)
    return _with_explanation(finding, outcome.cause, context.firm, context.account, details)


_PROTOCOLS = {"pop3.login": "pop3", "imap.login": "imap", "smtp.login": "smtp", "smtp.send": "smtp"}


def _known(check: str, context: Context) -> dict[str, str]:
    """What this run knows beside the cause of a problem that *check* found."""
    known = dict(context.state.known)
    if protocol := _PROTOCOLS.get(check):
        known["protocol"] = protocol
    token = context.state.token
    if context.firm.access == "app-only" and token is not None:
        claims = read_unverified(token.value)
        known["app_object_id"] = claims.object_id if claims else ""
    if protocol == "smtp" and context.account is not None:
        known["sender"] = context.options.sender or context.account.address
    return known


def finding_of(
    error: MsoauthError,
    check: str,
    firm: Firm,
    account: Account | None,
    known: Mapping[str, str] = MappingProxyType({}),
) -> Finding:
    """The finding for a check that raised *error*.

    Args:
        known: What is known of it beside its cause, by which its steps are chosen.
    """
    finding = Finding(
        check=check,
        signal=signal_of(error),
        summary=redact(error.summary),
        evidence=redact(error.evidence, 8000),
        ids=error.ids,
        confidence=error.confidence,
        possibilities=error.possibilities,
    )
    if is_local(error):
        return replace(finding, fix=error.fix)
    if check == "mail.retrieve" and account is not None:
        known = {"protocol": account.protocol, **known}
    return _with_explanation(finding, error.cause, firm, account, {**known, **error.details})


# Causes that say only that something is wrong with the login.
_VAGUE = frozenset({"mail-login-rejected", "unknown"})


def _with_explanation(
    finding: Finding, cause: str, firm: Firm, account: Account | None, details: Mapping[str, str]
) -> Finding:
    from msoauth.explaining import explanation_with_roles  # the catalogue is read only when needed

    explanation, details = explanation_with_roles(
        cause, finding.evidence, firm, account, details, ids=finding.ids
    )
    return replace(
        finding,
        cause=cause,
        fix=explanation.fix,
        who=explanation.who,
        links=explanation.links,
        confidence="unsure" if cause in _VAGUE else finding.confidence,
        possibilities=finding.possibilities or explanation.also,
        details=details,
    )

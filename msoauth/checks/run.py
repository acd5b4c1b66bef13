"""Carry out checks: independent ones run concurrently, findings are yielded in declaration order."""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from queue import SimpleQueue

from msoauth.checks.context import Check, Context, Outcome
from msoauth.errors import MailError, MsoauthError, StoreError
from msoauth.judgement import blocker, signal_of, verdict
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.redact import redact
from msoauth.texts import _

WORKERS = 8  # more than there are checks that can run at once
_POLL = 0.2  # seconds; Windows delivers Ctrl-C only between waits


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
            threads.submit(self._help)

    def finding(self, check: Check) -> Finding:
        """The finding of *check*, which this thread carries out unless another has begun it."""
        with self._changed:
            begun = self._waiting.pop(check.id, None) is None
            waits = begun and check.id not in self._findings
            if waits and any(self._ready(other) for other in self._waiting.values()):
                self._threads.submit(self._help)  # it begins what this thread would have
        if not begun:
            self._carry_out(check)
        with self._changed:
            while check.id not in self._findings:
                self._changed.wait(_POLL)
        return self._findings[check.id]

    def is_done(self, check: Check) -> bool:
        """Whether the finding of *check* is there."""
        return check.id in self._findings

    def stop(self) -> None:
        """Begin no further check."""
        with self._changed:
            self._waiting.clear()

    def _help(self) -> None:
        """Carry out checks that are ready, until there is none."""
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
            one in self._findings or one not in self._expected
            for one in (*check.needs, *check.after)
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
            follow = [
                c
                for c in self._waiting.values()
                if check.id in (*c.needs, *c.after) and self._ready(c)
            ]
            self._changed.notify_all()
        for _check in follow[1:]:  # this thread goes on with the first
            self._threads.submit(self._help)


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
        known: Findings that were made before, of checks which these need.
        record: Append each finding to the workspace's journal before it is yielded.

    Returns:
        One sentence: the root cause (see :func:`msoauth.judgement.verdict`).

    Raises:
        StoreError: the findings cannot be stored (raised while iterating; those yielded are).

    >>> context = msoauth.checks.Context(ws, ws.firms["Contoso Legal"])
    >>> {str(finding.signal) for finding in msoauth.run(msoauth.checks.REGISTRATION, context)}
    {'passed'}
    """
    wanted = [check for check in checks if check.applies(context)]
    threads = (
        Threads(min(workers, len(wanted)) - 1, "check") if isinstance(workers, int) else workers
    )
    state = _Run(wanted, context, known, threads)
    made: list[Finding] = []
    try:
        while len(made) < len(wanted):
            ready = [state.finding(wanted[len(made)])]
            for check in wanted[len(made) + 1 :]:  # one commit for all that are done
                if not state.is_done(check):
                    break
                ready.append(state.finding(check))
            if record:
                context.workspace.journal.append(*ready)
            for finding in ready:
                made.append(finding)
                yield finding
    except (GeneratorExit, KeyboardInterrupt, StoreError):
        if len(made) < len(wanted):
            context.cancelled.set()
        raise
    finally:
        state.stop()
        if isinstance(workers, int):
            threads.close()
        context.state.sessions.close()
    return verdict(made)


def answer(check: Check, context: Context, blocking: Finding | None) -> Finding:
    """Carry out one check, unless *blocking*, the finding of one that it needs, blocks it.

    Any failure becomes a finding, a bug as well: ``error``, never a traceback.
    """
    seconds, cancelled = 0.0, _("not checked, because the run was cancelled")
    if blocking is not None:
        why = _("not checked, because {check} did not pass").format(check=blocking.check)
        finding = Finding(check.id, Signal.SKIPPED, why)
    elif context.cancelled.is_set():
        finding = Finding(check.id, Signal.SKIPPED, cancelled)
    else:
        start = time.perf_counter()
        try:
            try:
                finding = _finding(check.id, check.act(context), context)
            except MsoauthError as failure:
                if isinstance(failure, MailError) and context.cancelled.is_set():
                    # The server said nothing of the kind: the conversation was ended.
                    finding = Finding(check.id, Signal.SKIPPED, cancelled)
                else:
                    finding = finding_of(failure, check.id, context.firm, context.account)
        except Exception as bug:  # noqa: BLE001 - see above
            kind = type(bug).__name__
            why = _("the check could not be carried out: {kind}").format(kind=kind)
            evidence = redact(str(bug))[:2000]
            finding = Finding(check.id, Signal.ERROR, why, evidence=evidence, cause="unknown")
        seconds = time.perf_counter() - start
    return replace(
        finding,
        seconds=seconds,
        firm=context.firm.name,
        account=context.account.address if context.account else "",
        run=context.run,
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

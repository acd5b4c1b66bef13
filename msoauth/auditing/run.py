"""Checks many accounts at once, yields each as it finishes, and resumes an audit that was interrupted."""

import contextlib
import queue
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from msoauth.addresses import key
from msoauth.auditing.account import AccountResult, check_account, check_firm, new_run_id
from msoauth.auditing.progress import Meter, Progress
from msoauth.auditing.queue import WorkQueue
from msoauth.auditing.scope import Scope
from msoauth.checks import RunOptions, Threads
from msoauth.checks.context import SECOND_TRY_AFTER
from msoauth.errors import InputError
from msoauth.judgement import SILENT_DAYS
from msoauth.mail.sockets import allow_open_files
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.store import Workspace
from msoauth.store.locks import HeldError
from msoauth.texts import _

WORKERS = 32
PER_FIRM = 64
PER_MAILBOX = 2  # Exchange takes three submissions of a mailbox at once (facts E7); its owner may be using one
TIMEOUT = 20.0  # seconds of each step of a conversation
RESUME_HOURS = 24  # an audit that was interrupted longer ago is not resumed
LEASE = 60.0  # seconds without a renewal after which a computer's accounts go to the others
_MAX_TRIES = 3  # of an account whose tenant throttles, and of a firm whose checks fail temporarily
_STOP_TIMEOUT = 3.0  # seconds that threads get to end when the audit is cancelled
_LOCK = "audit"
_FILES_PER_WORKER = 8  # its connections, and the files and pipes of their waiting


class Audit:
    """An audit: iterate over it to run it; each item is the result of an account (or a firm).

    Every result is in the journal before it is yielded. Leaving the loop, or :meth:`cancel`, ends the audit; the next
    audit of the same accounts resumes it.

    Attributes:
        firms: The names of the firms that it checks; None for all.
        shared: Whether other computers may work on it too.
        silent_days: Days without new mail after which it calls a mailbox silent.
        run: The id that its findings share; empty before it has begun.
        resumed: Whether it resumes one that was interrupted.
        skipped: How many of its accounts were finished before the interruption.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        firm: str | Sequence[str] | None = None,
        workers: int = WORKERS,
        per_firm: int = PER_FIRM,
        per_mailbox: int = PER_MAILBOX,
        send: bool = False,
        silent_days: int = SILENT_DAYS,
        fresh: bool = False,
        share: bool = False,
        timeout: float = TIMEOUT,
        lease: float = LEASE,
        second_try_after: float = SECOND_TRY_AFTER,
        cancelled: threading.Event | None = None,
    ) -> None:
        if min(workers, per_firm, per_mailbox) < 1:
            raise InputError(_("An audit needs at least one worker."), field="workers")
        if share and workspace.audits.is_single_computer:
            raise InputError(
                _("Several computers share an audit through PostgreSQL; this workspace is a file."),
                field="share",
            )
        names = None if firm is None else [firm] if isinstance(firm, str) else list(firm)
        firms = workspace.firms.list() if names is None else [workspace.firms.get(n) for n in names]
        self.firms = None if names is None else tuple(f.name for f in firms)
        self._workspace = workspace
        self._snapshot = workspace.snapshot()
        self._firms: dict[str, Firm] = {f.name: f for f in firms}
        self._accounts: dict[str, Account] = {
            key(account.address): account
            for account in workspace.accounts.list()
            if account.firm in self._firms
        }
        self._scope = Scope.of(None if names is None else self._firms, send=send).text()
        self._workers = min(workers, max(1, len(self._accounts)))
        self._send, self.silent_days = send, silent_days
        self._options = RunOptions(
            timeout=timeout, silent_days=silent_days, second_try_after=second_try_after
        )
        self._fresh, self.shared, self._lease = fresh, share, lease
        self._worker_id = f"{socket.gethostname()[:40]}-{uuid4().hex[:12]}" if share else None
        self._queue = WorkQueue(per_firm=per_firm, per_mailbox=per_mailbox)
        self._results: queue.Queue[AccountResult | None] = queue.Queue(maxsize=4 * self._workers)
        self._stopped = threading.Event()
        self._cancelled = cancelled or threading.Event()
        self._completed = False
        self._failure: Exception | None = None
        self._firm_findings: dict[str, dict[str, Finding]] = {}
        self._firm_locks = {name: threading.Lock() for name in self._firms}
        self._tries: Counter[str] = Counter()
        self._meter = Meter(len(self._accounts), {})
        self.run = ""
        self.resumed = False
        self.skipped = 0

    @property
    def progress(self) -> Progress:
        """How many accounts are done, how fast, and how long the rest will take."""
        return self._meter.progress()

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled before all accounts were done."""
        return (self._stopped.is_set() or self._cancelled.is_set()) and not self._completed

    def cancel(self) -> None:
        """Cancel it; may be called from any thread and more than once."""
        self._cancelled.set()
        self._stopped.set()

    def __iter__(self) -> Iterator[AccountResult]:
        """Run the audit, once; iterated over again, it yields nothing.

        Raises:
            InputError: another audit of this workspace is running.
            DestinationError: where a firm's secrets go was changed, or is not confirmed; nothing was begun.
            VaultError: the key that seals the secrets is missing or wrong; nothing was begun.
            StoreError: the workspace cannot be written any more; what was yielded is stored, and the next audit
                goes on from there.
        """
        # Its threads have ended: a second iteration would begin another audit and finish it without any check.
        if self.run:
            return
        try:
            with self._workspace.locks.hold(_LOCK, shared=self.shared):
                yield from self._carry_out()
        except HeldError:
            raise InputError(
                _("Another audit of this workspace is under way; two at once are not run.")
            ) from None

    def _carry_out(self) -> Iterator[AccountResult]:
        """Start the threads, and yield each result as it comes."""
        remaining = self._begin()
        if self._worker_id is None:
            self._queue.put(remaining)
            self._queue.close()
        tasks = [self._work] * self._workers + ([self._feed] if self._worker_id else [])
        running = len(tasks)
        # Half of the threads have an account each; the others take a check of any account.
        allow_open_files(100 + _FILES_PER_WORKER * self._workers)
        self._threads = Threads(len(tasks) + self._workers, "audit")
        try:
            for task in tasks:
                self._threads.submit(task)
            while running and not self._stopped.is_set():
                if self._cancelled.is_set():
                    break
                try:
                    result = self._results.get(timeout=0.2)
                except queue.Empty:  # Windows delivers Ctrl-C only between waits
                    continue
                if result is None:
                    running -= 1
                else:
                    yield result
            while not self.cancelled and not self._results.empty():
                if (result := self._results.get()) is not None:
                    yield result
            if self._failure is None and not self.cancelled:
                self._finish()
                self._completed = True
        finally:
            self._stopped.set()
            self._queue.clear()
            self._threads.close(wait=_STOP_TIMEOUT)
            if self._worker_id is not None:
                # If the database is gone, the lease expires by itself.
                with contextlib.suppress(Exception):
                    self._workspace.audits.release(self.run, self._worker_id)
        if self._failure is not None:
            raise self._failure

    # -- beginning and end ---------------------------------------------------------------------

    def _begin(self) -> list[Account]:
        """Begin an audit, or resume one that was interrupted; returns the accounts that are left."""
        audits, vault = self._workspace.audits, self._workspace.vault
        if vault.source is not None:
            vault.data_key()  # without the key nothing can be checked: fail once here, not once for each account
        by_firm: dict[str, list[Account]] = {}
        for account in self._accounts.values():
            by_firm.setdefault(account.firm, []).append(account)
        for name, accounts in by_firm.items():
            self._snapshot.firms.require_confirmed(self._firms[name], accounts)
        with self._workspace.locks.hold(f"{_LOCK}/begin", seconds=30):
            since = datetime.now(UTC) - timedelta(hours=RESUME_HOURS)
            record = None if self._fresh else audits.unfinished(self._scope, since=since)
            self.resumed = record is not None
            if record is None:
                record = audits.begin(new_run_id(), self._scope, list(self._accounts.values()))
        self.run = record.run
        finished = Counter(mark.signal for mark in audits.marks(self.run))
        self.skipped = sum(finished.values())
        remaining = self._accounts_of(audits.remaining(self.run))
        self._meter = Meter(self.skipped + len(remaining), finished)
        return remaining

    def _accounts_of(self, entries: Sequence[tuple[str, str]]) -> list[Account]:
        """The accounts of these entries of the audit's list; entries of accounts removed since it began are dropped."""
        removed = [(firm, key) for firm, key in entries if key not in self._accounts]
        if removed:
            self._workspace.audits.drop(self.run, removed)
        return [self._accounts[key] for _firm, key in entries if key in self._accounts]

    def _finish(self) -> None:
        audits = self._workspace.audits
        counts = audits.counts(self.run)
        if self._worker_id is None or not (counts.get("open") or counts.get("claimed")):
            audits.finish(self.run)
        if self._worker_id is not None:
            self._count_other_computers()

    def _count_other_computers(self) -> None:
        """Shared audits: include the accounts that other computers finished in the progress."""
        marks = self._workspace.audits.marks(self.run)
        self._meter.catch_up(Counter(mark.signal for mark in marks))

    # -- the threads ---------------------------------------------------------------------------

    def _work(self) -> None:
        """Check one account after another until none is left; runs in a thread."""
        try:
            while not self._stopped.is_set() and (account := self._queue.take()) is not None:
                self._check_account(account)
        except Exception as failure:  # noqa: BLE001 - an error of the store; raised again where results are read
            self._fail(failure)
        finally:
            self._put_result(None)

    def _check_account(self, account: Account) -> None:
        """Check one account, and store its findings; if its checks fail temporarily, put it back instead."""
        firm_findings = self._findings_of_firm(account.firm)
        result = check_account(
            self._snapshot,
            self._firms[account.firm],
            account,
            self.run,
            firm_findings,
            self._threads,
            send=self._send,
            options=self._options,
            cancelled=self._stopped,
        )
        if self._stopped.is_set():
            return  # checks that the cancellation skipped must not be stored
        if self._put_back(account, result, firm_findings):
            return
        stored = self._workspace.audits.complete(
            self.run, result.mark(), result.findings, by=self._worker_id
        )
        self._queue.done(account, throttled=result.throttled)
        if stored:
            self._meter.count(result.signal)
            self._put_result(result)

    def _put_back(
        self, account: Account, result: AccountResult, firm_findings: dict[str, Finding]
    ) -> bool:
        """Put an account back into the queue if its tenant throttles or its firm's checks fail temporarily.

        Returns:
            False if neither is the case, or it was tried often enough.
        """
        blocked_by = firm_findings.get(result.issue.check) if result.issue else None
        if blocked_by is not None and blocked_by.signal is Signal.WARNING and blocked_by.cause:
            with self._firm_locks[account.firm]:
                # Only the first thread to get here discards the findings.
                if self._firm_findings.get(account.firm) is firm_findings:
                    self._tries[account.firm] += 1
                    if self._tries[account.firm] < _MAX_TRIES:
                        del self._firm_findings[account.firm]
                tries = self._tries[account.firm]
        elif result.throttled:
            self._tries[account.address] += 1
            tries = self._tries[account.address]
        else:
            return False
        return tries < _MAX_TRIES and self._queue.put_back(account)

    def _findings_of_firm(self, name: str) -> dict[str, Finding]:
        """The firm's findings by check id; the first thread that needs them checks the firm, others wait for it."""
        with self._firm_locks[name]:
            if name not in self._firm_findings:
                # On a later try, another computer's findings are those that failed temporarily.
                shared = self._worker_id is not None and not self._tries[name]
                others_findings = self._findings_of_another_computer(name) if shared else None
                findings = self._check_firm(name) if others_findings is None else others_findings
                self._firm_findings[name] = {finding.check: finding for finding in findings}
            return self._firm_findings[name]

    def _check_firm(self, name: str) -> Sequence[Finding]:
        """Check a firm, and store its findings."""
        protocols = {a.protocol for a in self._accounts.values() if a.firm == name}
        result = check_firm(
            self._workspace,
            self._firms[name],
            self.run,
            self._threads,
            protocols=protocols,
            options=self._options,
            cancelled=self._stopped,
        )
        if not self._stopped.is_set():
            # A resumed audit checks the firm again, because hours may have passed; its mark is there already.
            if not self._workspace.audits.complete(
                self.run, result.mark(), result.findings, by=self._worker_id
            ):
                self._workspace.journal.append(*result.findings)
            self._put_result(result)
        return result.findings

    def _findings_of_another_computer(self, name: str) -> list[Finding] | None:
        """The findings of another computer that checks this firm; None if this computer has claimed it."""
        audits, worker = self._workspace.audits, self._worker_id or ""
        while not self._stopped.is_set():
            if audits.claim(self.run, worker, 1, self._lease, firm=name):
                return None
            if audits.firm_is_done(self.run, name):
                return list(self._workspace.journal.findings(run=self.run, firm=name, account=""))
            self._stopped.wait(0.1)
        return []

    def _feed(self) -> None:
        """Shared audits: claim accounts while there are any, and renew the lease on them; runs in a thread."""
        audits, worker = self._workspace.audits, self._worker_id or ""
        next_renewal = time.monotonic() + self._lease / 4
        try:
            while not self._stopped.is_set():
                if time.monotonic() >= next_renewal:
                    audits.renew_lease(self.run, worker, self._lease)
                    self._count_other_computers()
                    next_renewal = time.monotonic() + self._lease / 4
                if self._queue.waiting < self._workers:
                    entries = audits.claim(self.run, worker, self._workers, self._lease)
                    self._queue.put(self._accounts_of(entries))
                    counts = audits.counts(self.run) if not entries else None
                    if counts is not None and not (counts.get("open") or counts.get("claimed")):
                        break
                self._stopped.wait(min(0.2, self._lease / 10))
        except Exception as failure:  # noqa: BLE001 - an error of the store; raised again where results are read
            self._fail(failure)
        finally:
            self._queue.close()
            self._put_result(None)

    def _fail(self, failure: Exception) -> None:
        if self._failure is None:
            self._failure = failure
        self._stopped.set()
        self._queue.clear()

    def _put_result(self, result: AccountResult | None) -> None:
        """Pass a result to the loop that yields it; given up once the audit has stopped."""
        while True:
            try:
                self._results.put(result, timeout=0.5)
                return
            except queue.Full:
                if self._stopped.is_set():
                    return

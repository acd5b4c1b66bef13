"""Many accounts at once: an audit yields each account as it finishes, and goes on where it was broken off."""

import contextlib
import queue
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from msoauth.auditing.account import Looked, look_at, look_at_firm, new_run
from msoauth.auditing.progress import Meter, Progress
from msoauth.auditing.queue import WorkQueue
from msoauth.auditing.scope import Scope
from msoauth.checks import RunOptions, Threads
from msoauth.errors import InputError
from msoauth.judgement import SILENT_DAYS
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.store import Workspace
from msoauth.store.audits import AuditRun
from msoauth.store.locks import HeldError
from msoauth.texts import _

WORKERS = 32
PER_FIRM = 64
PER_MAILBOX = 2  # Exchange takes three submissions of a mailbox at once (facts E7); its owner may be using one
TIMEOUT = 20.0  # seconds of each step of a conversation
RESUME_HOURS = 24  # what was broken off longer ago is begun anew
LEASE = 60.0  # seconds without a sign of life after which a computer's accounts go to the others
_TRIES = 3  # at an account whose tenant says "too many", and at a firm that fails only for now
_PARTING = 3.0  # seconds that those at work get to end when the audit is cancelled
_LOCK = "audit"


class Audit:
    """An audit. Iterate over it to carry it out; each item is an account (or a firm) that is finished.

    Whatever was yielded is in the journal. Breaking the loop off, or :meth:`cancel`, ends it; the next audit of
    the same accounts goes on where it stopped.

    Attributes:
        silent_days: Days without new mail after which it calls a mailbox silent.
        run: The id that its findings share; empty before it has begun.
        resumed: Whether it goes on with one that was broken off.
        skipped: How many of its accounts were finished before that.
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
        cancelled: threading.Event | None = None,
    ) -> None:
        if min(workers, per_firm, per_mailbox) < 1:
            raise InputError(_("An audit needs at least one worker."), field="workers")
        if share and workspace.audits.alone:
            raise InputError(
                _("Several computers share an audit through PostgreSQL; this workspace is a file."),
                field="share",
            )
        names = None if firm is None else [firm] if isinstance(firm, str) else list(firm)
        firms = workspace.firms.list() if names is None else [workspace.firms.get(n) for n in names]
        self._asked_firms = None if names is None else tuple(f.name for f in firms)
        self._workspace = workspace
        self._steady = workspace.snapshot()
        self._firms: dict[str, Firm] = {f.name: f for f in firms}
        self._accounts: dict[str, Account] = {
            account.address.strip().casefold(): account
            for account in workspace.accounts.list()
            if account.firm in self._firms
        }
        self._scope = Scope.of(None if names is None else self._firms, send=send).text()
        self._workers = min(workers, max(1, len(self._accounts)))
        self._send, self.silent_days = send, silent_days
        self._options = RunOptions(timeout=timeout, silent_days=silent_days)
        self._fresh, self._share, self._lease = fresh, share, lease
        self._by = f"{socket.gethostname()[:40]}-{uuid4().hex[:12]}" if share else None
        self._queue = WorkQueue(per_firm=per_firm, per_mailbox=per_mailbox)
        self._results: queue.Queue[Looked | None] = queue.Queue(maxsize=4 * self._workers)
        self._stopped = threading.Event()
        self._cancelled = cancelled or threading.Event()
        self._through = False
        self._failure: Exception | None = None
        self._given: dict[str, dict[str, Finding]] = {}
        self._firm_locks = {name: threading.Lock() for name in self._firms}
        self._tries: Counter[str] = Counter()
        self._meter = Meter(len(self._accounts), {})
        self.run = ""
        self.resumed = False
        self.skipped = 0

    @property
    def progress(self) -> Progress:
        """How far it is, how fast, and how long it will take."""
        return self._meter.progress()

    @property
    def firms(self) -> tuple[str, ...] | None:
        """The names of the firms that it was asked for; None for all."""
        return self._asked_firms

    @property
    def shared(self) -> bool:
        """Whether other computers may work on it too."""
        return self._share

    @property
    def cancelled(self) -> bool:
        """Whether it was ended before it was through."""
        return (self._stopped.is_set() or self._cancelled.is_set()) and not self._through

    def cancel(self) -> None:
        """End it; may be called from any thread and more than once."""
        self._cancelled.set()
        self._stopped.set()

    def __iter__(self) -> Iterator[Looked]:
        """Carry it out.

        Raises:
            InputError: another audit of this workspace is under way.
            VaultError: the key that seals the secrets is missing or wrong; nothing was begun.
            StoreError: the workspace cannot be written any more; what was yielded is stored, and the next audit
                goes on from there.
        """
        try:
            with self._workspace.locks.hold(_LOCK, shared=self._share):
                yield from self._carry_out()
        except HeldError:
            raise InputError(
                _("Another audit of this workspace is under way; two at once are not run.")
            ) from None

    def _carry_out(self) -> Iterator[Looked]:
        left = self._begin()
        if self._by is None:
            self._queue.put(left)
            self._queue.close()
        tasks = [self._work] * self._workers + ([self._feed] if self._by else [])
        running = len(tasks)
        # Half of the threads have an account each; the others take a check of any account.
        self._threads = Threads(len(tasks) + self._workers, "audit")
        try:
            for task in tasks:
                self._threads.submit(task)
            while running and not self._stopped.is_set():
                if self._cancelled.is_set():
                    break
                try:
                    looked = self._results.get(timeout=0.2)
                except queue.Empty:  # Windows delivers Ctrl-C only between waits
                    continue
                if looked is None:
                    running -= 1
                else:
                    yield looked
            while not self.cancelled and not self._results.empty():
                if (looked := self._results.get()) is not None:
                    yield looked
            if self._failure is None and not self.cancelled:
                self._finish()
                self._through = True
        finally:
            self._stopped.set()
            self._queue.clear()
            self._threads.close(wait=_PARTING)
            if self._by is not None:
                with contextlib.suppress(Exception):  # it went with the database: the lease ends
                    self._workspace.audits.release(self.run, self._by)
        if self._failure is not None:
            raise self._failure

    # -- beginning and end ---------------------------------------------------------------------

    def _begin(self) -> list[Account]:
        """Begin, or go on with what was broken off; the accounts that are left."""
        audits, vault = self._workspace.audits, self._workspace.vault
        if vault.source is not None:
            vault.data_key()  # without its key nothing can be checked: said once, and not of every account
        with self._workspace.locks.hold(f"{_LOCK}/begin", seconds=30):
            since = datetime.now(UTC) - timedelta(hours=RESUME_HOURS)
            found: AuditRun | None = None
            if not self._fresh:
                found = audits.unfinished(self._scope, since=since)
            if found is None:
                found = audits.begin(new_run(), self._scope, list(self._accounts.values()))
            else:
                self.resumed = True
        self.run = found.run
        done = Counter(mark.signal for mark in audits.marks(self.run))
        self.skipped = sum(done.values())
        left = self._ours(audits.remaining(self.run))
        self._meter = Meter(self.skipped + len(left), done)
        return left

    def _ours(self, places: Sequence[tuple[str, str]]) -> list[Account]:
        """The accounts at these places; one that was removed since the audit began is taken off its list."""
        gone = [(firm, key) for firm, key in places if key not in self._accounts]
        if gone:
            self._workspace.audits.drop(self.run, gone)
        return [self._accounts[key] for _firm, key in places if key in self._accounts]

    def _finish(self) -> None:
        audits = self._workspace.audits
        counts = audits.counts(self.run)
        if self._by is None or not (counts.get("open") or counts.get("claimed")):
            audits.finish(self.run)
        if self._by is not None:
            self._count_all()

    def _count_all(self) -> None:
        """Shared audits: what the others have done belongs to the progress too."""
        marks = self._workspace.audits.marks(self.run)
        self._meter.catch_up(Counter(mark.signal for mark in marks))

    # -- the threads ---------------------------------------------------------------------------

    def _work(self) -> None:
        """A worker's life."""
        try:
            while not self._stopped.is_set() and (account := self._queue.take()) is not None:
                self._one(account)
        except Exception as failure:  # noqa: BLE001 - the store's, raised where the results are read
            self._fail(failure)
        finally:
            self._tell(None)

    def _one(self, account: Account) -> None:
        given = self._firm_findings(account.firm)
        looked = look_at(
            self._steady, self._firms[account.firm], account, self.run, given, self._threads,
            send=self._send, options=self._options, cancelled=self._stopped,
        )  # fmt: skip
        if self._stopped.is_set():
            return  # what was skipped because of the end is no finding
        if self._put_back(account, looked, given):
            return
        stored = self._workspace.audits.complete(
            self.run, looked.mark(), looked.findings, by=self._by
        )
        self._queue.done(account, throttled=looked.throttled)
        if stored:
            self._meter.count(looked.signal)
            self._tell(looked)

    def _put_back(self, account: Account, looked: Looked, given: dict[str, Finding]) -> bool:
        """Put an account back into the queue whose tenant, or whose firm's checks, fail only for now.

        Returns:
            False when nothing of that kind was found, or it was tried often enough.
        """
        blocked_by = given.get(looked.link.check) if looked.link else None
        if blocked_by is not None and blocked_by.signal is Signal.WARNING and blocked_by.cause:
            with self._firm_locks[account.firm]:
                if self._given.get(account.firm) is given:  # nobody has asked again yet
                    self._tries[account.firm] += 1
                    if self._tries[account.firm] < _TRIES:
                        del self._given[account.firm]
                tries = self._tries[account.firm]
        elif looked.throttled:
            self._tries[account.address] += 1
            tries = self._tries[account.address]
        else:
            return False
        return tries < _TRIES and self._queue.put_back(account)

    def _firm_findings(self, name: str) -> dict[str, Finding]:
        """The firm's findings by check id; whoever comes first has the firm looked at."""
        known = self._given.get(name)
        if known is not None:
            return known
        with self._firm_locks[name]:
            if name not in self._given:
                theirs = self._others_findings(name) if self._by else None
                findings = self._look_at_firm(name) if theirs is None else theirs
                self._given[name] = {finding.check: finding for finding in findings}
            return self._given[name]

    def _look_at_firm(self, name: str) -> Sequence[Finding]:
        used = {a.protocol for a in self._accounts.values() if a.firm == name}
        looked = look_at_firm(
            self._workspace, self._firms[name], self.run, self._threads, retrieve=used,
            options=self._options, cancelled=self._stopped,
        )  # fmt: skip
        if not self._stopped.is_set():
            # A resumed audit asks again: hours may have passed.
            if not self._workspace.audits.complete(
                self.run, looked.mark(), looked.findings, by=self._by
            ):
                self._workspace.journal.append(*looked.findings)
            self._tell(looked)
        return looked.findings

    def _others_findings(self, name: str) -> list[Finding] | None:
        """What another computer found out about the firm; None: it is ours to find out."""
        audits, by = self._workspace.audits, self._by or ""
        while not self._stopped.is_set():
            if audits.claim(self.run, by, 1, self._lease, firm=name):
                return None
            if audits.firm_is_done(self.run, name):
                return list(self._workspace.journal.findings(run=self.run, firm=name, account=""))
            self._stopped.wait(0.1)
        return []

    def _feed(self) -> None:
        """Shared audits: claim accounts while there are any, and say that we are alive."""
        audits, by = self._workspace.audits, self._by or ""
        next_beat = time.monotonic() + self._lease / 4
        try:
            while not self._stopped.is_set():
                if time.monotonic() >= next_beat:
                    audits.renew_lease(self.run, by, self._lease)
                    self._count_all()
                    next_beat = time.monotonic() + self._lease / 4
                if self._queue.waiting < self._workers:
                    places = audits.claim(self.run, by, self._workers, self._lease)
                    self._queue.put(self._ours(places))
                    counts = audits.counts(self.run) if not places else None
                    if counts is not None and not (counts.get("open") or counts.get("claimed")):
                        break
                self._stopped.wait(min(0.2, self._lease / 10))
        except Exception as failure:  # noqa: BLE001 - the store's, raised where the results are read
            self._fail(failure)
        finally:
            self._queue.close()
            self._tell(None)

    def _fail(self, failure: Exception) -> None:
        if self._failure is None:
            self._failure = failure
        self._stopped.set()
        self._queue.clear()

    def _tell(self, looked: Looked | None) -> None:
        while True:
            try:
                self._results.put(looked, timeout=0.5)
                return
            except queue.Full:
                if self._stopped.is_set():
                    return

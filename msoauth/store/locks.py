"""Locks by name between all threads and processes on one workspace; released when the holder dies."""

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from msoauth.errors import StoreError
from msoauth.store.database import Database, as_store_errors, error_sentence
from msoauth.store.process_locks import FolderLocks, ProcessLocks
from msoauth.texts import _

_PAUSE = 0.05  # seconds between two tries


class HeldError(StoreError):
    """Another thread or process holds the lock."""

    def __init__(self, name: str) -> None:
        super().__init__(_("“{name}” is held by another program.").format(name=name))


class _ThreadLocks:
    """Locks between the threads of this process, each kept as long as a thread holds or waits for it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._wanted: dict[str, int] = {}
        self._mutexes: dict[str, threading.Lock] = {}

    @contextmanager
    def hold(self, name: str, deadline: float) -> Iterator[None]:
        """Hold the lock until the block ends.

        Raises:
            HeldError: another thread still held it at *deadline*.
        """
        with self._guard:
            mutex = self._mutexes.setdefault(name, threading.Lock())
            self._wanted[name] = self._wanted.get(name, 0) + 1
        got = False
        try:
            got = mutex.acquire(timeout=max(0.0, deadline - time.monotonic()))
            if not got:
                raise HeldError(name)
            yield
        finally:
            if got:
                mutex.release()
            with self._guard:
                self._wanted[name] -= 1
                if not self._wanted[name]:
                    del self._wanted[name], self._mutexes[name]


class _FolderState(NamedTuple):
    """What all Workspace objects on one folder share within a process.

    Attributes:
        locks: The locks between processes; None where the database has its own (PostgreSQL).
    """

    thread_locks: _ThreadLocks
    locks: ProcessLocks | None
    folder: Path = Path()


_folder_states: dict[Path, _FolderState] = {}
_folder_guard = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        after_in_child=_folder_states.clear
    )  # a forked child holds none of its parent's locks


def _folder_state(folder: Path) -> _FolderState:
    """The state of a folder: the same one for all paths to it; a new one after it was deleted and created again."""
    place = folder.resolve()
    with contextlib.suppress(OSError):  # acquiring a lock will say what is wrong
        place.mkdir(parents=True, exist_ok=True)
    with _folder_guard:
        known = _folder_states.get(place)
        if known is None or not _same(known.folder, place):
            there = (other for other in _folder_states.values() if _same(other.folder, place))
            known = next(there, None) or _FolderState(_ThreadLocks(), FolderLocks(place), place)
            _folder_states[place] = known
        return known


def _same(one: Path, other: Path) -> bool:
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False


class Locks:
    """Locks by name: the operating system's with SQLite, advisory locks with PostgreSQL.

    PostgreSQL's belong to a session. A process takes all of its locks in one session, so that 64 threads that each
    lock an account need one connection, not 64 of the 100 that a server usually allows.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        shared = _folder_state(folder) if database.is_sqlite else _FolderState(_ThreadLocks(), None)
        self._thread_locks, self._locks = shared.thread_locks, shared.locks
        self._guard = threading.Lock()
        self._session: sa.Connection | None = None
        self._locks_on_session = 0

    @contextmanager
    def hold(self, name: str, *, seconds: float = 0.0, shared: bool = False) -> Iterator[None]:
        """Hold *name* until the block ends.

        Args:
            seconds: How long to wait for it.
            shared: Allow others to hold it too, if they also want it shared (PostgreSQL only).

        Raises:
            HeldError: another thread or process still held it.
            StoreError: the database does not answer.
        """
        deadline = time.monotonic() + seconds
        between_processes = (
            self._advisory(name, deadline, shared=shared)
            if self._locks is None
            else _hold_process_lock(self._locks, name, deadline)
        )
        with self._thread_locks.hold(name, deadline), between_processes:
            yield

    @contextmanager
    def _advisory(self, name: str, deadline: float, *, shared: bool) -> Iterator[None]:
        number = int.from_bytes(_digest(name)[:8], "big", signed=True)
        kind = "_shared" if shared else ""
        while not self._ask(f"SELECT pg_try_advisory_lock{kind}(:n)", number, held=1):
            if time.monotonic() >= deadline:
                raise HeldError(name)
            time.sleep(_PAUSE)
        try:
            yield
        finally:
            with contextlib.suppress(StoreError):  # a broken session has released its locks
                self._ask(f"SELECT pg_advisory_unlock{kind}(:n)", number, held=-1)

    def _ask(self, sql: str, number: int, *, held: int) -> bool:
        """Call a lock function in the session that holds the locks; it is open as long as one is held."""
        with self._guard, as_store_errors():
            if self._session is None:
                self._session = self._database.engine.connect().execution_options(
                    isolation_level="AUTOCOMMIT"
                )
                self._locks_on_session = 0
            done = False
            try:
                done = bool(self._session.scalar(sa.text(sql), {"n": number}))
            except sa.exc.SQLAlchemyError:
                broken, self._session = self._session, None
                broken.invalidate()
                broken.close()
                raise
            if done:
                self._locks_on_session += held
            if self._locks_on_session <= 0:
                self._session.close()
                self._session = None
            return done


@contextmanager
def _hold_process_lock(locks: ProcessLocks, name: str, deadline: float) -> Iterator[None]:
    """Hold the lock between processes until the block ends.

    Raises:
        HeldError: another process still held it at *deadline*.
    """
    number = int.from_bytes(_digest(name)[:8], "big") >> 2
    try:
        while not locks.acquire(number):
            if time.monotonic() >= deadline:
                raise HeldError(name)
            time.sleep(_PAUSE)
    except OSError as problem:
        raise StoreError(error_sentence(problem)) from None
    try:
        yield
    finally:
        locks.release(number)


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()

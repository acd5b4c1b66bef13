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

from msoauth import private_files
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
        self._users: dict[str, int] = {}
        self._mutexes: dict[str, threading.Lock] = {}

    @contextmanager
    def hold(self, name: str, deadline: float) -> Iterator[None]:
        """Hold the lock until the block ends.

        Raises:
            HeldError: another thread still held it at *deadline*.
        """
        with self._guard:
            mutex = self._mutexes.setdefault(name, threading.Lock())
            self._users[name] = self._users.get(name, 0) + 1
        acquired = False
        try:
            acquired = mutex.acquire(timeout=max(0.0, deadline - time.monotonic()))
            if not acquired:
                raise HeldError(name)
            yield
        finally:
            if acquired:
                mutex.release()
            with self._guard:
                self._users[name] -= 1
                if not self._users[name]:
                    del self._users[name], self._mutexes[name]


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
    # A forked child holds none of its parent's locks.
    os.register_at_fork(after_in_child=_folder_states.clear)


def _folder_state(folder: Path) -> _FolderState:
    """The state of a folder: the same one for all paths to it; a new one after it was deleted and created again."""
    place = folder.resolve()
    with contextlib.suppress(OSError):  # acquiring a lock reports the error
        private_files.make_folder(place)
    with _folder_guard:
        state = _folder_states.get(place)
        if state is None or not _same_folder(state.folder, place):
            same = (other for other in _folder_states.values() if _same_folder(other.folder, place))
            state = next(same, None) or _FolderState(_ThreadLocks(), FolderLocks(place), place)
            _folder_states[place] = state
        return state


def _same_folder(first: Path, second: Path) -> bool:
    try:
        return first == second or first.samefile(second)
    except OSError:
        return False


class Locks:
    """Locks by name: the operating system's with SQLite, advisory locks with PostgreSQL.

    PostgreSQL's belong to a session. A process takes all of its locks in one session, so that 64 threads that each
    lock an account need one connection, not 64 of the 100 that a server usually allows.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        state = _folder_state(folder) if database.is_sqlite else _FolderState(_ThreadLocks(), None)
        self._thread_locks, self._locks = state.thread_locks, state.locks
        self._guard = threading.Lock()
        self._session: sa.Connection | None = None
        self._locks_on_session = 0

    @contextmanager
    def hold(self, name: str, *, seconds: float = 0.0, shared: bool = False) -> Iterator[None]:
        """Hold *name* until the block ends.

        Args:
            seconds: How long to wait for it.
            shared: Take a shared lock, which others can hold at the same time (PostgreSQL only).

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
        while not self._call(f"SELECT pg_try_advisory_lock{kind}(:n)", number, count_change=1):
            if time.monotonic() >= deadline:
                raise HeldError(name)
            time.sleep(_PAUSE)
        try:
            yield
        finally:
            with contextlib.suppress(StoreError):  # a broken session has released its locks
                self._call(f"SELECT pg_advisory_unlock{kind}(:n)", number, count_change=-1)

    def _call(self, sql: str, number: int, *, count_change: int) -> bool:
        """Call a lock function in the session that holds the locks, which is open as long as it holds one.

        Args:
            count_change: Added to the number of locks that the session holds if the function returns true.
        """
        with self._guard, as_store_errors():
            if self._session is None:
                self._session = self._database.engine.connect().execution_options(
                    isolation_level="AUTOCOMMIT"
                )
                self._locks_on_session = 0
            granted = False
            try:
                granted = bool(self._session.scalar(sa.text(sql), {"n": number}))
            except sa.exc.SQLAlchemyError:
                broken, self._session = self._session, None
                broken.invalidate()
                broken.close()
                raise
            if granted:
                self._locks_on_session += count_change
            if self._locks_on_session <= 0:
                self._session.close()
                self._session = None
            return granted


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

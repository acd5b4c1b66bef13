"""Locks that hold against every thread and process on one workspace, and go with their holder."""

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
from msoauth.store.database import Database, sentence, translated
from msoauth.store.process_locks import FolderLocks, ProcessLocks
from msoauth.texts import _

_PAUSE = 0.05  # seconds between two tries


class HeldError(StoreError):
    """Somebody else holds the lock."""

    def __init__(self, name: str) -> None:
        super().__init__(_("“{name}” is held by another program.").format(name=name))


class _Names:
    """The names that threads of this process hold or wait for."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._wanted: dict[str, int] = {}
        self._mutexes: dict[str, threading.Lock] = {}

    @contextmanager
    def hold(self, name: str, deadline: float) -> Iterator[None]:
        """Hold it against the other threads."""
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


class _Shared(NamedTuple):
    """What the workspaces of one folder share within a process.

    Attributes:
        locks: Those against other processes; None where the database has its own.
    """

    names: _Names
    locks: ProcessLocks | None
    folder: Path = Path()


_shared: dict[Path, _Shared] = {}
_shared_guard = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shared.clear)  # a child holds nothing of its parent's


def _shared_by(folder: Path) -> _Shared:
    """The same for every way that leads to the folder, also when it was made anew."""
    place = folder.resolve()
    with contextlib.suppress(OSError):  # the locks say it where they are wanted
        place.mkdir(parents=True, exist_ok=True)
    with _shared_guard:
        known = _shared.get(place)
        if known is None or not _same(known.folder, place):
            there = (other for other in _shared.values() if _same(other.folder, place))
            known = next(there, None) or _Shared(_Names(), FolderLocks(place), place)
            _shared[place] = known
        return known


def _same(one: Path, other: Path) -> bool:
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False


class Locks:
    """Locks by name: on SQLite the operating system's, on PostgreSQL the database's own.

    PostgreSQL's belong to a session. All that a process holds hang on one session, so that sixty-four threads
    that each hold an account take one connection and not sixty-four of the hundred that a server has.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        shared = _shared_by(folder) if database.is_sqlite else _Shared(_Names(), None)
        self._names, self._locks = shared.names, shared.locks
        self._guard = threading.Lock()
        self._session: sa.Connection | None = None
        self._on_session = 0

    @contextmanager
    def hold(self, name: str, *, seconds: float = 0.0, shared: bool = False) -> Iterator[None]:
        """Hold *name* until the block ends.

        Args:
            seconds: How long to wait for it.
            shared: Together with others who hold it shared (PostgreSQL only).

        Raises:
            HeldError: somebody else still held it.
            StoreError: the database does not answer.
        """
        deadline = time.monotonic() + seconds
        with self._names.hold(name, deadline):
            if self._locks is None:
                with self._advisory(name, deadline, shared=shared):
                    yield
            else:
                with _held(self._locks, name, deadline):
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
            with contextlib.suppress(StoreError):  # a session that broke has let go of all
                self._ask(f"SELECT pg_advisory_unlock{kind}(:n)", number, held=-1)

    def _ask(self, sql: str, number: int, *, held: int) -> bool:
        """Put a question to the session of our locks; it is there as long as one is held."""
        with self._guard, translated():
            if self._session is None:
                self._session = self._database.engine.connect().execution_options(
                    isolation_level="AUTOCOMMIT"
                )
                self._on_session = 0
            done = False
            try:
                done = bool(self._session.scalar(sa.text(sql), {"n": number}))
            except sa.exc.SQLAlchemyError:
                broken, self._session = self._session, None
                broken.invalidate()
                broken.close()
                raise
            if done:
                self._on_session += held
            if self._on_session <= 0:
                self._session.close()
                self._session = None
            return done


@contextmanager
def _held(locks: ProcessLocks, name: str, deadline: float) -> Iterator[None]:
    """Hold it against other processes."""
    number = int.from_bytes(_digest(name)[:8], "big") >> 2
    try:
        while not locks.take(number):
            if time.monotonic() >= deadline:
                raise HeldError(name)
            time.sleep(_PAUSE)
    except OSError as problem:
        raise StoreError(sentence(problem)) from None
    try:
        yield
    finally:
        locks.give_back(number)


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()

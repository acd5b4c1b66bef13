"""Locks by name between all threads and processes on one workspace; released when the holder dies."""

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import sqlalchemy as sa

from msoauth import private_files
from msoauth.errors import StoreError, StoreTimeoutError
from msoauth.store.database import Database, as_store_errors, store_error
from msoauth.texts import _

_PAUSE = 0.05  # seconds between two tries


class HeldError(StoreTimeoutError):
    """Another thread or process holds the lock."""

    def __init__(self, name: str) -> None:
        super().__init__(_("“{name}” is held by another program.").format(name=name))


class Locks:
    """Locks by name: a file each with SQLite, advisory locks with PostgreSQL.

    PostgreSQL's belong to a session. A process takes all of its locks in one session, so that 64 threads that each
    lock an account need one connection, not 64 of the 100 that a server usually allows.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder / "locks"
        self._guard = threading.Lock()
        self._held: set[str] = set()  # in the session, which would grant them to each thread
        self._session: sa.Connection | None = None

    @contextmanager
    def hold(self, name: str, *, seconds: float = 0.0, shared: bool = False) -> Iterator[None]:
        """Hold *name* until the block ends.

        Args:
            seconds: How long to wait for it.
            shared: Take a shared lock, which others can hold at the same time (PostgreSQL only).

        Raises:
            HeldError: another thread or process still held it.
            StoreError: the database does not answer, or the folder cannot hold locks.
        """
        with (
            self._file(name, seconds)
            if self._database.is_sqlite
            else self._advisory(name, seconds, shared=shared)
        ):
            yield

    @contextmanager
    def _file(self, name: str, seconds: float) -> Iterator[None]:
        lock = filelock.FileLock(
            self._folder / f"{_digest(name).hex()[:32]}.lock",
            mode=private_files.FILE_MODE,
            thread_local=False,
            fallback_to_soft=False,  # which would outlive a holder that is killed
        )
        try:
            private_files.make_folder(self._folder)
            lock.acquire(timeout=seconds, poll_interval=_PAUSE)
        except filelock.Timeout:
            raise HeldError(name) from None
        except OSError as problem:
            raise store_error(problem) from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _advisory(self, name: str, seconds: float, *, shared: bool) -> Iterator[None]:
        kind = "_shared" if shared else ""
        deadline = time.monotonic() + seconds
        while not self._try(f"pg_try_advisory_lock{kind}", name):
            if time.monotonic() >= deadline:
                raise HeldError(name)
            time.sleep(_PAUSE)
        try:
            yield
        finally:
            with self._guard:
                with contextlib.suppress(StoreError):  # a broken session has released its locks
                    self._call(f"pg_advisory_unlock{kind}", name)
                self._forget(name)

    def _try(self, function: str, name: str) -> bool:
        with self._guard:
            if name in self._held:
                return False
            self._held.add(name)
            granted = False
            try:
                granted = self._call(function, name)
            finally:
                if not granted:
                    self._forget(name)
            return granted

    def _call(self, function: str, name: str) -> bool:
        """Call a lock function in the session that holds the locks."""
        with as_store_errors():
            if self._session is None:
                connection = self._database.engine.connect()
                self._session = connection.execution_options(isolation_level="AUTOCOMMIT")
            number = int.from_bytes(_digest(name)[:8], "big", signed=True)
            try:
                return bool(self._session.scalar(sa.select(getattr(sa.func, function)(number))))
            except sa.exc.SQLAlchemyError:
                broken, self._session = self._session, None
                broken.invalidate()
                broken.close()
                raise

    def _forget(self, name: str) -> None:
        """Note that a lock is not held; the session is open as long as it holds one."""
        self._held.discard(name)
        if not self._held and self._session is not None:
            self._session.close()
            self._session = None


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()

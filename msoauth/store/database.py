"""Transactions on the workspace's database, group commit, and database errors as sentences for people."""

import errno
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from enum import StrEnum
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from msoauth.errors import (
    StoreConnectionError,
    StoreError,
    StorePermissionError,
    StoreTimeoutError,
)
from msoauth.redact import redact
from msoauth.texts import _


class Database:
    """Transactions; a failure of the database becomes a StoreError with one clear sentence."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        # SQLite allows one writer at a time and makes others poll with growing pauses; a lock lets them queue.
        self._writer_lock: AbstractContextManager[object] = (
            threading.RLock() if self.is_sqlite else nullcontext()
        )

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file on this computer."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads.

        Raises:
            StoreError: the database does not answer.
        """
        with as_store_errors(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is committed when the block ends, and rolled back when it raises.

        Raises:
            StoreError: the database does not answer, or the disk is full or read-only.
        """
        with as_store_errors(), self._writer_lock, write_transaction(self.engine) as connection:
            yield connection

    def scalar(self, query: sa.Select[Any], values: dict[str, Any] | None = None) -> Any:
        """The first column of the first row of *query*, or None; *values* are those of its parameters."""
        with self.read() as connection:
            return connection.scalar(query, values)

    def rows(self, query: sa.Select[Any], values: dict[str, Any] | None = None) -> Sequence[Any]:
        """All rows of *query*; *values* are those of its parameters."""
        with self.read() as connection:
            return connection.execute(query, values).all()

    def erase_deleted(self) -> None:
        """Overwrite what was deleted or replaced, in SQLite's files; where another program is in the way, later.

        Others delete it at their next vacuum only, and it is not overwritten.
        """
        if self.is_sqlite:
            with suppress(sa.exc.SQLAlchemyError), self.engine.connect() as connection:
                connection.exec_driver_sql("VACUUM")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def change(self, statement: sa.Insert | sa.Update | sa.Delete) -> int:
        """Execute *statement* in a transaction of its own; returns how many rows it changed."""
        with self.write() as connection:
            return connection.execute(statement).rowcount


@contextmanager
def write_transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A write transaction that raises SQLAlchemy's own errors.

    On SQLite it takes the write lock at the start: two transactions that both read first could never write.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection


@contextmanager
def as_store_errors() -> Iterator[None]:
    """Turn SQLAlchemy's errors into StoreErrors, except IntegrityError, which the caller handles."""
    try:
        yield
    except sa.exc.IntegrityError:
        raise  # a duplicate: the caller knows what is there twice
    except sa.exc.SQLAlchemyError as problem:
        raise store_error(problem) from None


class Trouble(StrEnum):
    """What an error of a database or the system means for the workspace."""

    DISK_FULL = "disk-full"
    READ_ONLY = "read-only"
    UNREACHABLE = "unreachable"
    LOCKED = "locked"
    LAYOUT = "layout"  # a table or a column is missing, or there already
    OTHER = "other"


# By number alone, because systems word their errors in the user's language. An error of the disk is mostly a full one.
_BY_ERRNO = {
    **dict.fromkeys((errno.ENOSPC, errno.EFBIG, errno.EDQUOT), Trouble.DISK_FULL),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), Trouble.READ_ONLY),
}
_BY_SQLITE_CODE = {
    **dict.fromkeys((sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR), Trouble.DISK_FULL),
    **dict.fromkeys(
        (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM), Trouble.READ_ONLY
    ),
    **dict.fromkeys((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED), Trouble.LOCKED),
    sqlite3.SQLITE_ERROR: Trouble.LAYOUT,  # SQL that suits other tables
}
# PostgreSQL's SQLSTATE, or the class that its first characters name (its documentation, appendix A).
_BY_SQLSTATE = {
    "53100": Trouble.DISK_FULL,
    "25006": Trouble.READ_ONLY,
    "42501": Trouble.READ_ONLY,
    "08": Trouble.UNREACHABLE,
    "53300": Trouble.UNREACHABLE,
    "57P": Trouble.UNREACHABLE,
    "55P03": Trouble.LOCKED,
    **dict.fromkeys(("42P01", "42P07", "42701", "42703"), Trouble.LAYOUT),
}
_KINDS: dict[Trouble, type[StoreError]] = {
    Trouble.READ_ONLY: StorePermissionError,
    Trouble.UNREACHABLE: StoreConnectionError,
    Trouble.LOCKED: StoreTimeoutError,
}


def trouble(problem: BaseException) -> Trouble:
    """What an error of SQLAlchemy, of a database's driver or of the system means.

    >>> trouble(PermissionError(errno.EACCES, "Zugriff verweigert"))
    <Trouble.READ_ONLY: 'read-only'>
    """
    cause = getattr(problem, "orig", None) or problem
    if isinstance(problem, sa.exc.TimeoutError) or getattr(
        problem, "connection_invalidated", False
    ):
        return Trouble.UNREACHABLE
    if isinstance(cause, OSError):
        return _BY_ERRNO.get(cause.errno or 0, Trouble.OTHER)
    if isinstance(cause, sqlite3.Error):
        return _BY_SQLITE_CODE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF, Trouble.OTHER)
    if hasattr(cause, "sqlstate"):
        # psycopg raises this without a state where no server answered, or none any more.
        if cause.sqlstate is None and type(cause).__name__ in (
            "OperationalError",
            "ConnectionTimeout",
        ):
            return Trouble.UNREACHABLE
        state = cause.sqlstate or ""
        return next((t for n in (5, 3, 2) if (t := _BY_SQLSTATE.get(state[:n]))), Trouble.OTHER)
    return Trouble.OTHER


def error_text(problem: BaseException) -> str:
    """The database's own error message, on one line."""
    words = " ".join(str(getattr(problem, "orig", None) or problem).split())
    return redact(words, 1000).rstrip(".")


def store_error(problem: BaseException) -> StoreError:
    """The error, with a sentence for people, for one of the database or the disk."""
    what, reason = trouble(problem), error_text(problem)
    text = {
        Trouble.DISK_FULL: _(
            "The workspace cannot be written: the disk is full. What was reported as stored is safe; make room and "
            "go on ({reason})."
        ),
        Trouble.READ_ONLY: _(
            "The workspace cannot be written: its folder or database is read-only ({reason})."
        ),
        Trouble.UNREACHABLE: _(
            "The workspace's database does not answer. What was reported as stored is safe; go on when it is back "
            "({reason})."
        ),
        Trouble.LOCKED: _(
            "The workspace is being written by another program: try again ({reason})."
        ),
    }.get(what, _("The workspace cannot be read or written: {reason}."))
    return _KINDS.get(what, StoreError)(text.format(reason=reason), evidence=reason)


_Item = TypeVar("_Item")


class GroupCommit(Generic[_Item]):
    """Group commit: what many threads store at the same time goes into one transaction.

    Each commit waits for the disk: 64 threads with a transaction each would queue up behind one another.

    Args:
        write: Stores items in one transaction; when it returns, they are on disk.
    """

    def __init__(self, write: Callable[[Sequence[_Item]], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._writer_lock = threading.Lock()
        self._queue: list[tuple[_Item, Future[None]]] = []

    def submit(self, item: _Item) -> None:
        """Store *item*, together with what other threads submit now; when this returns, it is on disk.

        Raises:
            Exception: what *write* raised; then nothing of that transaction was stored.
        """
        result: Future[None] = Future()
        with self._lock:
            self._queue.append((item, result))
        with self._writer_lock:
            if not result.done():
                self._write_batch(result)
        result.result()

    def _write_batch(self, own: Future[None]) -> None:
        with self._lock:
            batch, self._queue = self._queue, []
        try:
            self._write([item for item, _result in batch])
        except Exception as failure:  # noqa: BLE001 - raised in each of the waiting threads
            for _item, result in batch:
                result.set_exception(failure)
        except BaseException:
            # This thread was interrupted: the others write their items themselves.
            with self._lock:
                self._queue = [entry for entry in batch if entry[1] is not own] + self._queue
            raise
        else:
            for _item, result in batch:
                result.set_result(None)

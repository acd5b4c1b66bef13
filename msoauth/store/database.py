"""Transactions on the workspace's database, group commit, and database errors as sentences for people."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from msoauth.errors import StoreError
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
        raise StoreError(error_sentence(problem), evidence=error_text(problem)) from None


# Parts of SQLite's and PostgreSQL's messages, in lower case, by what they mean.
_DISK_FULL = ("disk is full", "no space left", "disk i/o error", "file too large", "disk quota")
_READ_ONLY = ("readonly", "read-only", "permission denied", "unable to open")
_UNREACHABLE = (
    "server closed",
    "connection refused",
    "terminating connection",
    "connection is closed",
    "connection is lost",
    "could not connect",
    "connection failed",
    "connection timeout",
    "timed out",
    "the database system is",
    "eof detected",
    "connection reset",
    "queuepool limit",
)


def is_read_only(reason: str) -> bool:
    """Whether an error text of a system or database means that a place is read-only."""
    return any(hint in reason.lower() for hint in _READ_ONLY)


def error_text(problem: BaseException) -> str:
    """The database's own error message, on one line."""
    words = " ".join(str(getattr(problem, "orig", None) or problem).split())
    return redact(words, 1000).rstrip(".")


def error_sentence(problem: BaseException) -> str:
    """A sentence for people that says what an error of the database or the disk means."""
    reason = error_text(problem)
    reason_lower = reason.lower()
    if any(hint in reason_lower for hint in _DISK_FULL):
        text = _(
            "The workspace cannot be written: the disk is full. What was reported as stored is safe; make room and "
            "go on ({reason})."
        )
    elif is_read_only(reason):
        text = _("The workspace cannot be written: its folder or database is read-only ({reason}).")
    elif any(hint in reason_lower for hint in _UNREACHABLE) or getattr(
        problem, "connection_invalidated", False
    ):
        text = _(
            "The workspace's database does not answer. What was reported as stored is safe; go on when it is back "
            "({reason})."
        )
    elif "locked" in reason_lower:
        text = _("The workspace is being written by another program: try again ({reason}).")
    else:
        text = _("The workspace cannot be read or written: {reason}.")
    return text.format(reason=reason)


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

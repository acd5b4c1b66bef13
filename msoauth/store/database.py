"""Transactions on the workspace's database, with its failures as ours."""

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from msoauth.errors import StoreError
from msoauth.store import schema
from msoauth.texts import _


class Database:
    """Hands out transactions; a failure of the database is one clear sentence."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        # SQLite takes one writer at a time and lets the others sleep in growing naps: here they queue instead.
        self._turn: AbstractContextManager[object] = (
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
        with translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is kept whole when the block ends, and not at all when it raises.

        Raises:
            StoreError: the database does not answer, or the disk is full or read-only.
        """
        with translated(), self._turn, writing(self.engine) as connection:
            yield connection


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that writes; the database's failures are its own.

    On SQLite a writer takes its lock at the start: two that both read first could never go on to write. A reader
    needs no transaction: each of its questions is answered by one whole state of the database.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection


@contextmanager
def translated() -> Iterator[None]:
    """Say a failure of the database as a StoreError; a duplicate is left to the caller."""
    try:
        yield
    except sa.exc.IntegrityError:
        raise  # a duplicate, which the caller knows how to put into words
    except sa.exc.SQLAlchemyError as problem:
        raise StoreError(sentence(problem), evidence=words(problem)) from None


# What SQLite and PostgreSQL say, in lower case, and what it means.
_FULL = ("disk is full", "no space left", "disk i/o error", "file too large", "disk quota")
_READ_ONLY = ("readonly", "read-only", "permission denied", "unable to open")
_GONE = (
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
    """Whether a system's or a database's words mean that a place may only be read."""
    return any(hint in reason.lower() for hint in _READ_ONLY)


def words(problem: BaseException) -> str:
    """The database's own words, on one line."""
    return " ".join(str(getattr(problem, "orig", None) or problem).split()).rstrip(".")[:1000]


def sentence(problem: BaseException) -> str:
    """What a failure of the database means, for people."""
    reason = words(problem)
    low = reason.lower()
    if any(hint in low for hint in _FULL):
        text = _(
            "The workspace cannot be written: the disk is full. What was reported as stored is safe; make room and "
            "go on ({reason})."
        )
    elif is_read_only(reason):
        text = _("The workspace cannot be written: its folder or database is read-only ({reason}).")
    elif any(hint in low for hint in _GONE) or getattr(problem, "connection_invalidated", False):
        text = _(
            "The workspace's database does not answer. What was reported as stored is safe; go on when it is back "
            "({reason})."
        )
    elif "locked" in low:
        text = _("The workspace is being written by another program: try again ({reason}).")
    else:
        text = _("The workspace cannot be read or written: {reason}.")
    return text.format(reason=reason)


class Bulk:
    """One statement for many rows, straight to the driver: the journal of an audit is a hundred rows a second and more.

    Args:
        statement: An insert, or what its dialect makes of one.
    """

    def __init__(self, statement: Callable[[str], Any]) -> None:
        self._statement = statement
        self._ways: dict[str, Callable[[sa.Connection, Sequence[dict[str, Any]]], None]] = {}

    def execute(self, connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Carry it out for each row; all rows name the same columns."""
        if not rows:
            return
        name = connection.dialect.name
        if name not in self._ways:
            compiled = self._statement(name).compile(
                dialect=connection.dialect, column_keys=list(rows[0])
            )
            self._ways[name] = (_many_rows if compiled.positional else _row_by_row)(compiled)
        self._ways[name](connection, rows)


@functools.lru_cache(maxsize=1024)  # a finding's moment stands in four cells
def _moment(at: datetime) -> str:
    """A moment in UTC as SQLAlchemy stores it in SQLite."""
    return at.replace(tzinfo=None).isoformat(" ", "microseconds")


_PARAMETERS = 900  # of one statement; SQLite of before 2020 takes 999


def _row_by_row(compiled: Any) -> Callable[[sa.Connection, Sequence[dict[str, Any]]], None]:
    """For PostgreSQL, whose driver sends many rows at once by itself."""
    sql, fixed = str(compiled), compiled.params

    def execute(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
        connection.exec_driver_sql(sql, [fixed | row for row in rows])

    return execute


def _many_rows(compiled: Any) -> Callable[[sa.Connection, Sequence[dict[str, Any]]], None]:
    """For SQLite: many rows in one statement, or its driver hands Python's lock over at each, to threads that wait."""
    places: list[str] = compiled.positiontup
    columns = compiled.statement.table.c
    moments = [n for n, key in enumerate(places) if isinstance(columns[key].type, schema.Moment)]
    group = f"({', '.join('?' * len(places))})"
    before, values, after = str(compiled).partition(f"VALUES {group}")
    if not values:
        raise ValueError("the statement has more parameters than its columns")
    most = _PARAMETERS // len(places)

    def execute(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(rows), most):
            chunk = rows[start : start + most]
            given: list[Any] = []
            for row in chunk:
                cells = [row[key] for key in places]
                for n in moments:
                    if cells[n] is not None:
                        cells[n] = _moment(cells[n].astimezone(UTC))
                given += cells
            groups = ", ".join([group] * len(chunk))
            connection.exec_driver_sql(f"{before}VALUES {groups}{after}", tuple(given))

    return execute


_Item = TypeVar("_Item")


class _Ticket(Generic[_Item]):
    __slots__ = ("done", "failure", "item")

    def __init__(self, item: _Item) -> None:
        self.item = item
        self.done = False
        self.failure: Exception | None = None


class GroupCommit(Generic[_Item]):
    """What many threads want to store at the same time goes into one transaction.

    A commit waits for the disk; sixty-four threads that each wait for their own would wait for one another.

    Args:
        write: Stores items in one transaction; when it returns, they survive any crash.
    """

    def __init__(self, write: Callable[[Sequence[_Item]], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[_Ticket[_Item]] = []

    def submit(self, item: _Item) -> None:
        """Store *item*, together with what others want to store now; when this returns, it is stored.

        Raises:
            Exception: what *write* raised; then nothing of that transaction was stored.
        """
        ticket = _Ticket(item)
        with self._lock:
            self._waiting.append(ticket)
        with self._turn:
            if not ticket.done:
                self._lead(ticket)
        if ticket.failure is not None:
            raise ticket.failure

    def _lead(self, own: _Ticket[_Item]) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        try:
            self._write([ticket.item for ticket in batch])
        except Exception as failure:  # noqa: BLE001 - it is raised in each thread that waits for it
            for ticket in batch:
                ticket.failure = failure
        except BaseException:
            # This thread was interrupted; the others lead for themselves.
            with self._lock:
                self._waiting = [t for t in batch if t is not own] + self._waiting
            raise
        for ticket in batch:
            ticket.done = True

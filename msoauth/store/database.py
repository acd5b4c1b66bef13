"""Transactions on the workspace's database, with its failures as ours."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from msoauth.errors import StoreError
from msoauth.texts import _


class Database:
    """Hands out transactions; a failure of the database is one clear sentence."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._writer = engine.execution_options(writes=True)

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
        with _translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is kept whole when the block ends, and not at all when it raises.

        Raises:
            StoreError: the database does not answer, or the disk is full or read-only.
        """
        with _translated(), self._writer.begin() as connection:
            yield connection


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sa.exc.IntegrityError:
        raise  # a duplicate, which the caller knows how to put into words
    except sa.exc.SQLAlchemyError as problem:
        reason = " ".join(str(getattr(problem, "orig", None) or problem).split()).rstrip(".")
        raise StoreError(
            _("The workspace cannot be read or written: {reason}.").format(reason=reason)
        ) from None

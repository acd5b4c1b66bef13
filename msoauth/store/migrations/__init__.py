"""Schema migrations: bring an older workspace to the layout of this version with Alembic, on SQLite and PostgreSQL.

A layout's number is its revision's (``versions/layout_N.py``) and stands in the table ``meta``, where every msoauth
looks for it, one from before Alembic too. To add one: change :mod:`msoauth.store.schema`, raise its ``VERSION`` and write the
revision; new workspaces are made from the schema, and a test holds both ways to the same tables.
"""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import sqlalchemy as sa

from msoauth.errors import StoreError
from msoauth.store import schema
from msoauth.store.database import Trouble, error_text, store_error, trouble, write_transaction
from msoauth.texts import _

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK_ID = 7043117  # of a PostgreSQL advisory lock; any number that nothing else here uses
_alembic_guard = threading.Lock()  # its environment is one for the whole process


def migrate(engine: sa.Engine) -> None:
    """Create the tables or migrate them, in one transaction.

    Raises:
        StoreError: its meta table has no valid version, a newer msoauth wrote it, or it cannot be migrated.
        SQLAlchemyError: the database does not answer or cannot be written.
    """
    with engine.connect() as connection:
        version = _read_version(connection)
    if version == schema.VERSION:
        return  # before a write transaction, so that a read-only workspace can be opened
    try:
        with write_transaction(engine) as connection:
            if engine.dialect.name == "postgresql":
                # Two processes may open a new or an older workspace at the same time.
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_ID)))
            found = _read_version(connection)
            if found is None:
                _create(connection)
            elif found < schema.VERSION:
                _upgrade(connection, found)
    except sa.exc.SQLAlchemyError as problem:
        if version is None:
            raise
        reason = error_text(problem)
        if trouble(problem) is Trouble.LAYOUT:
            raise _damaged(reason) from None
        raise type(store_error(problem))(
            _(
                "This workspace was written by an older msoauth (layout {theirs}) and cannot be brought up to date: {reason}. Nothing was changed."
            ).format(theirs=version, reason=reason)
        ) from None


def _create(connection: sa.Connection) -> None:
    schema.metadata.create_all(connection)
    schema.alembic_version.create(connection)
    number = str(schema.VERSION)
    connection.execute(schema.meta.insert().values(key="version", value=number))
    connection.execute(schema.alembic_version.insert().values(version_num=number))


def _read_version(connection: sa.Connection) -> int | None:
    """Read the schema version from the database; None when it has no meta table yet.

    Raises:
        StoreError: its meta table has no valid version, or a newer msoauth wrote it.
    """
    if not sa.inspect(connection).has_table(schema.meta.name):
        return None
    text = connection.scalar(sa.select(schema.meta.c.value).where(schema.is_version))
    if text is None or not text.isdigit():
        raise StoreError(_("This database is not a workspace of msoauth."))
    if int(text) > schema.VERSION:
        raise StoreError(
            _(
                "This workspace was written by a newer msoauth (layout {theirs}, this one knows {ours}): update msoauth."
            ).format(theirs=text, ours=schema.VERSION)
        )
    return int(text)


def configuration(connection: sa.Connection) -> "Config":
    """Alembic's configuration, for commands that work on *connection*, in its transaction.

    >>> command.revision(configuration(connection), "Note who confirmed", autogenerate=True, rev_id="4")  # doctest: +SKIP
    """
    # Imported late: it takes as long as the rest of msoauth, and is needed once in a workspace's life.
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "msoauth.store:migrations")
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: sa.Connection, version: int) -> None:
    """Run the revisions after *version*.

    Raises:
        StoreError: the database is not what its number says.
        SQLAlchemyError: it is not, or cannot be changed.
    """
    from alembic import command
    from alembic.util import CommandError

    with _alembic_guard:
        try:
            # A workspace from before Alembic has no stamp, and "meta" is what every msoauth goes by.
            command.stamp(configuration(connection), str(version), purge=True)
            command.upgrade(configuration(connection), "head")
        except CommandError as problem:
            raise _damaged(str(problem)) from None
    if missing := ", ".join(_missing(connection)):
        raise _damaged(missing)
    layout = schema.meta.update().where(schema.is_version).values(value=str(schema.VERSION))
    connection.execute(layout)


def _damaged(reason: str) -> StoreError:
    return StoreError(
        _(
            "This workspace was brought up to date only in part, or changed by hand ({reason}): restore a backup. Nothing was changed."
        ).format(reason=reason)
    )


def _missing(connection: sa.Connection) -> Iterator[str]:
    """The tables and columns of the schema that the database does not have."""
    inspector = sa.inspect(connection)
    for table in schema.metadata.sorted_tables:
        if not inspector.has_table(table.name):
            yield table.name
            continue
        there = {column["name"] for column in inspector.get_columns(table.name)}
        yield from (str(column) for column in table.columns if column.name not in there)

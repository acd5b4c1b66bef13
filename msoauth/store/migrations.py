"""Schema migrations: bring an older workspace to the schema of this version, on SQLite and PostgreSQL."""

from collections.abc import Callable

import sqlalchemy as sa

from msoauth.errors import StoreError
from msoauth.store import destinations, latest_results, schema
from msoauth.store.database import write_transaction
from msoauth.texts import _

_MIGRATION_LOCK_ID = (
    7043117  # of a PostgreSQL advisory lock; any number that nothing else here uses
)
_BACKFILL_ROWS = 20_000  # journal rows read at a time


def migrate(engine: sa.Engine) -> None:
    """Create the tables or migrate them, in one transaction.

    Raises:
        StoreError: its meta table has no valid version, or a newer msoauth wrote it.
        SQLAlchemyError: the database does not answer or cannot be written.
    """
    with engine.connect() as connection:
        if _read_version(connection) == schema.VERSION:
            return  # before a write transaction, so that a read-only workspace can be opened
    with write_transaction(engine) as connection:
        if engine.dialect.name == "postgresql":
            # Two processes may open a new or an older workspace at the same time.
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK_ID})")
        version = _read_version(connection)
        if version is None:
            schema.metadata.create_all(connection)
            connection.execute(
                schema.meta.insert().values(key="version", value=str(schema.VERSION))
            )
            return
        for step in range(version, schema.VERSION):
            _MIGRATIONS[step](connection)
        connection.execute(
            schema.meta.update()
            .where(schema.meta.c.key == "version")
            .values(value=str(schema.VERSION))
        )


def _read_version(connection: sa.Connection) -> int | None:
    """Read the schema version from the database; None when it has no meta table yet.

    Raises:
        StoreError: its meta table has no valid version, or a newer msoauth wrote it.
    """
    if not sa.inspect(connection).has_table(schema.meta.name):
        return None
    text = connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.key == "version"))
    if text is None or not text.isdigit():
        raise StoreError(_("This database is not a workspace of msoauth."))
    if int(text) > schema.VERSION:
        raise StoreError(
            _(
                "This workspace was written by a newer msoauth (layout {theirs}, this one knows {ours}): update msoauth."
            ).format(theirs=text, ours=schema.VERSION)
        )
    return int(text)


def _add_latest_results_and_audits(connection: sa.Connection) -> None:
    """Migrate version 1 to 2.

    Adds the column ``seconds`` to the journal, and the tables for audits, their accounts and the latest results,
    which it fills from the journal.
    """
    # These tables are created as they are today: a later migration of one of them has to skip what is there already.
    connection.exec_driver_sql("ALTER TABLE journal ADD COLUMN seconds FLOAT")
    for table in (schema.latest_results, schema.audits, schema.audit_accounts):
        table.create(connection)
    t = schema.journal
    last = 0
    while True:
        rows = connection.execute(
            sa.select(t.c.id, t.c.at, t.c.firm, t.c.account, t.c.check, t.c.signal, t.c.cause)
            .where(t.c.id > last)
            .order_by(t.c.id)
            .limit(_BACKFILL_ROWS)
        ).mappings()
        findings = [dict(row) for row in rows]
        if not findings:
            return
        last = findings[-1]["id"]
        latest_results.record(connection, findings)


def _add_bindings(connection: sa.Connection) -> None:
    """Migrate version 2 to 3.

    Adds the columns that say what secrets and tokens are bound to. Binding them needs the key, which may be missing now:
    a mark says that it is still to be done (:meth:`msoauth.store.firms.Firms.bind_old_values`).
    """
    inspector = sa.inspect(connection)
    for column in (schema.firms.c.sealed_for, schema.firms.c.approval, schema.tokens.c.sealed_for):
        table, kind = column.table.name, column.type.compile(connection.dialect)
        if column.name not in {found["name"] for found in inspector.get_columns(table)}:
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {column.name} {kind}")
    connection.execute(destinations.INSERT_UNBOUND)


# By the version that each one migrates from.
_MIGRATIONS: dict[int, Callable[[sa.Connection], None]] = {
    1: _add_latest_results_and_audits,
    2: _add_bindings,
}

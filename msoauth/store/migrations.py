"""Schema migrations: bring an older workspace to the schema of this version, on SQLite and PostgreSQL."""

from collections.abc import Callable

import sqlalchemy as sa

from msoauth.errors import StoreError
from msoauth.store import latest_results, schema
from msoauth.store.database import write_transaction
from msoauth.texts import _

_FIRST_START = 7043117  # number of the PostgreSQL advisory lock for it
_CHUNK = 20_000


def migrate(engine: sa.Engine) -> None:
    """Create the tables or migrate them, in one transaction.

    Raises:
        StoreError: the database is no workspace, or a newer msoauth wrote it.
        SQLAlchemyError: the database does not answer or cannot be written.
    """
    with engine.connect() as connection:
        if _version(connection) == schema.VERSION:
            return  # opens without write_transaction, from a read-only folder too
    with write_transaction(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(
                f"SELECT pg_advisory_xact_lock({_FIRST_START})"
            )  # two first starts at once
        version = _version(connection)
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


def _version(connection: sa.Connection) -> int | None:
    """The schema version of the database; None while it holds no workspace.

    Raises:
        StoreError: the database is no workspace, or a newer msoauth wrote it.
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
    """1 → 2: tables for latest results and for audits with their accounts."""
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
            .limit(_CHUNK)
        ).mappings()
        chunk = [dict(row) for row in rows]
        if not chunk:
            return
        last = chunk[-1]["id"]
        latest_results.record(connection, chunk)


_MIGRATIONS: dict[int, Callable[[sa.Connection], None]] = {1: _add_latest_results_and_audits}

"""Connecting to the workspace's database: SQLite's settings, PostgreSQL's timeouts, and a warning about TLS."""

import ipaddress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL

from msoauth import private_files
from msoauth.texts import _

# Without these, a server that is switched off would be noticed after 15 minutes (sending) or two hours (waiting).
# In seconds, the last one in milliseconds (libpq, "Parameter Key Words"); parameters in the URL take precedence.
_TIMEOUTS = {
    "connect_timeout": 15,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# The same on the server's side: else it would keep the locks of a crashed client for two hours.
_SERVER_KEEPALIVES = (
    "SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
)


def open_engine(url: URL) -> sa.Engine:
    """The SQLAlchemy engine for a workspace on SQLite or PostgreSQL.

    Raises:
        OSError: SQLite's files cannot be created for the user alone.
    """
    if url.get_backend_name() != "sqlite":
        timeouts = {name: value for name, value in _TIMEOUTS.items() if name not in url.query}
        engine = sa.create_engine(url, pool_pre_ping=True, connect_args=timeouts)

        @event.listens_for(engine, "connect")
        def _set_keepalives(connection: Any, _record: object) -> None:
            with connection.cursor() as cursor:
                cursor.execute(_SERVER_KEEPALIVES)
            connection.commit()

        return engine
    if url.database and url.database != ":memory:":
        private_files.prepare_database(Path(url.database))
    engine = sa.create_engine(url, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # no implicit transactions by the driver
        connection.execute("PRAGMA journal_mode = WAL")
        # What was reported as stored must survive a power cut.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


def connection_warning(engine: sa.Engine) -> str | None:
    """A warning when the connection to a database on another computer is not encrypted and verified, else None.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    if engine.dialect.name == "sqlite" or engine.dialect.driver != "psycopg":
        return None
    with engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert raw is not None  # noqa: S101 - it exists inside the block
        info = raw.info
        host, address = info.host, info.hostaddr
        mode = info.get_parameters().get("sslmode", "prefer")
        encrypted = bool(info.pgconn.ssl_in_use)
    if is_this_computer(address or host) or (encrypted and mode in ("verify-ca", "verify-full")):
        return None
    warning = (
        _(
            "The connection to the database on {host} is encrypted, but nobody makes sure that it is the right server."
        )
        if encrypted
        else _("The connection to the database on {host} is not encrypted.")
    )
    remedy = _("Let the workspace's address end in {options}")
    return f"{warning} {remedy}".format(
        host=host, options="?sslmode=verify-full&sslrootcert=ca.pem"
    )


def is_this_computer(place: str) -> bool:
    """Whether a database host is this computer: a socket's folder, or a loopback address."""
    try:
        return ipaddress.ip_address(place).is_loopback
    except ValueError:
        return not place or place.startswith(("/", "@")) or place == "localhost"

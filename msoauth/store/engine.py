"""The way to the workspace's database: how it is spoken to, how long a silence is borne, and who could listen."""

import ipaddress
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL

from msoauth.texts import _

# A server that was switched off, or a cable that was pulled, sends no word of it: the system would wait for a
# quarter of an hour for what was sent, and for two hours for what is to come. Seconds, and milliseconds at the end
# (PostgreSQL, libpq, "Parameter Key Words"); what the address says itself counts.
_PATIENCE = {
    "connect_timeout": 15,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# The same for the server: a computer that died would hold its locks there for two hours.
_ASK_OFTEN = (
    "SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
)


def engine_of(url: URL) -> sa.Engine:
    """The engine for a workspace on SQLite or PostgreSQL."""
    if url.get_backend_name() != "sqlite":
        patience = {name: value for name, value in _PATIENCE.items() if name not in url.query}
        engine = sa.create_engine(url, pool_pre_ping=True, connect_args=patience)

        @event.listens_for(engine, "connect")
        def _ask_often(connection: Any, _record: object) -> None:
            with connection.cursor() as cursor:
                cursor.execute(_ASK_OFTEN)
            connection.commit()

        return engine
    engine = sa.create_engine(url, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver must not begin transactions behind our back
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "PRAGMA synchronous = FULL"
        )  # what was reported as stored survives a power cut
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


def exposure(engine: sa.Engine) -> str | None:
    """What people must know of the connection to a database on another computer; None when it is encrypted and verified.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    if engine.dialect.name == "sqlite" or engine.dialect.driver != "psycopg":
        return None
    with engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert raw is not None  # noqa: S101 - there is one as long as the block lasts
        info = raw.info
        host, address = info.host, info.hostaddr
        mode = info.get_parameters().get("sslmode", "prefer")
        encrypted = bool(info.pgconn.ssl_in_use)
    if is_this_computer(address or host) or (encrypted and mode in ("verify-ca", "verify-full")):
        return None
    said = (
        _("The connection to the database on {host} is encrypted, but nobody makes sure that it is the right server.")
        if encrypted
        else _("The connection to the database on {host} is not encrypted.")
    )  # fmt: skip
    remedy = _("Let the workspace's address end in {options}")
    return f"{said} {remedy}".format(host=host, options="?sslmode=verify-full&sslrootcert=ca.pem")


def is_this_computer(place: str) -> bool:
    """Whether it is this computer: a socket's folder, or a loopback address."""
    try:
        return ipaddress.ip_address(place).is_loopback
    except ValueError:
        return not place or place.startswith(("/", "@")) or place == "localhost"

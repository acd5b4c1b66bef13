"""Connecting to the workspace's database: SQLite's settings, PostgreSQL's timeouts, and a warning about TLS."""

import ipaddress
import re
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
    journal = "WAL" if shared_place(Path(url.database or "")) is None else "TRUNCATE"
    engine = sa.create_engine(url, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # no implicit transactions by the driver
        connection.execute(f"PRAGMA journal_mode = {journal}")
        # What was reported as stored must survive a power cut.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS' fsync ends at the disk's own cache
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


# Programs that copy a folder's files to other computers, by the folder that they make.
_SYNCED = re.compile(r"OneDrive( - .*)?|Dropbox( \(.*\))?|Google Drive|iCloudDrive|Mobile Documents|Nextcloud", re.IGNORECASE)  # fmt: skip
_NETWORK_FILE_SYSTEMS = (
    "nfs",
    "cifs",
    "smb",
    "afpfs",
    "webdav",
    "davfs",
    "fuse.sshfs",
    "9p",
    "drvfs",
)


def shared_place(file: Path, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """What shares a file with other computers, a network drive or a program that copies it; None if nothing is known to.

    There SQLite's write-ahead log, whose index is shared memory, can damage the database (sqlite.org, "Write-Ahead
    Logging").

    Args:
        mounts: Where Linux lists the file systems.
    """
    absolute = file.absolute()
    for part in absolute.parts[:-1]:
        if _SYNCED.fullmatch(part):
            return part
    if absolute.drive.startswith("\\\\"):
        return absolute.drive
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    by_folder = {
        fields[1].replace("\\040", " "): fields
        for fields in map(str.split, lines)
        if len(fields) > 2
    }
    mounted = max((f for f in by_folder if absolute.is_relative_to(f)), key=len, default="")
    kind = by_folder[mounted][2] if mounted else ""
    return by_folder[mounted][0] if kind.startswith(_NETWORK_FILE_SYSTEMS) else None


def connection_warning(engine: sa.Engine) -> str | None:
    """A warning when SQLite's file is shared, or a connection to another computer is not encrypted and verified, else None.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    if engine.dialect.name == "sqlite" and (place := shared_place(Path(engine.url.database or ""))):
        return _(
            "The workspace lies on {place}, which shares it with other computers: two that use it at once can damage it. A team's workspace belongs on PostgreSQL."
        ).format(place=place)
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

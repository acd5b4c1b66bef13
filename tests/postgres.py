"""Runs a PostgreSQL server for the tests with a folder, port and certificate of its own, and removes it afterwards."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import trustme
from psycopg import sql

from tests.ports import reserved_port

PASSWORD = "planted-marker-of-a-database-password"


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL server.

    Attributes:
        ca_file: The certificate authority of its TLS certificate.
    """

    folder: Path
    port: int
    ca_file: Path

    @property
    def plain(self) -> str:
        """Its maintenance database, as libpq wants it."""
        return f"postgresql://postgres:{PASSWORD}@localhost:{self.port}/postgres"

    def new_database(self, options: str = "") -> str:
        """A new empty database's URL, as msoauth wants it."""
        name = f"w{uuid4().hex[:12]}"
        with psycopg.connect(self.plain, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"postgresql+psycopg://postgres:{PASSWORD}@localhost:{self.port}/{name}{options}"

    def disconnect_all(self, url: str) -> None:
        """End every session on that database and refuse new ones, as when a server goes down."""
        name = url.rpartition("/")[2].partition("?")[0]
        with psycopg.connect(self.plain, autocommit=True) as connection:
            connection.execute(
                sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name))
            )
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )

    def allow_connections(self, url: str) -> None:
        """Allow new sessions on that database again."""
        name = url.rpartition("/")[2].partition("?")[0]
        with psycopg.connect(self.plain, autocommit=True) as connection:
            connection.execute(
                sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(name))
            )


def _program(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else str(shutil.which(name))


@contextlib.contextmanager
def postgresql() -> Iterator[Server]:
    """Run a server until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="msoauth-pg-"))
    said = folder.parent / f"{folder.name}.log"
    # PostgreSQL refuses to run as root.
    user = "postgres" if os.getuid() == 0 else None

    def run(program: str, *arguments: str) -> None:
        # Its output goes to a file: the server inherits it and would hold a pipe open.
        with said.open("ab") as log:
            done = subprocess.run(
                [_program(program), *arguments],
                check=False,
                stdout=log,
                stderr=log,
                user=user,
                cwd=folder,
                timeout=60,
            )
        told = (file.read_text(errors="replace") for file in (said, own_log) if file.exists())
        assert done.returncode == 0, "\n".join([f"{program} {' '.join(arguments)}", *told])

    own_log = folder / "server.log"
    try:
        ca = trustme.CA()
        ca.cert_pem.write_to_path(folder / "ca.pem")
        own = ca.issue_cert("localhost")
        own.private_key_pem.write_to_path(folder / "key.pem")
        own.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        (folder / "password").write_text(PASSWORD)
        (folder / "key.pem").chmod(0o600)
        if user:
            for place in (folder, *folder.iterdir()):
                shutil.chown(place, user, user)
        data = str(folder / "data")
        run(
            "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "scram-sha-256",
            "--pwfile",
            str(folder / "password"),
            "--no-sync",
            "-E",
            "UTF8",
            "--locale",
            "C",
        )
        with reserved_port() as port:
            options = (
                f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off "
                f"-c ssl=on -c ssl_cert_file={folder}/cert.pem -c ssl_key_file={folder}/key.pem -c max_connections=200"
            )
            run("pg_ctl", "-D", data, "-w", "-o", options, "-l", str(own_log), "start")
            try:
                yield Server(folder, port, folder / "ca.pem")
            finally:
                run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        said.unlink(missing_ok=True)

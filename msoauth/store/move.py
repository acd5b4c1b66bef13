"""A whole workspace in one sealed file, to be taken to another computer or into another database.

Firms, accounts, secrets, tokens, settings and the journal travel; retrieved mail and notebooks are files of their
own and do not. Both ways are all-or-nothing: the file takes its name only when it is whole, and an import is one
transaction.
"""

import base64
import contextlib
import json
import os
import secrets
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from msoauth import clouds, redact
from msoauth.errors import InputError, StoreError, VaultError
from msoauth.store import parcel, schema
from msoauth.store.vault import VaultRecord
from msoauth.store.workspace import Workspace
from msoauth.texts import _

MIN_PASSPHRASE = 12  # characters; the file may fall into anybody's hands

_TABLES = {table.name: table for table in schema.metadata.sorted_tables if table is not schema.meta}
_BATCH = 500


def passphrase_problem(passphrase: str) -> str | None:
    """What is wrong with a passphrase for a file that travels, or None."""
    if len(passphrase) < MIN_PASSPHRASE:
        return _("The passphrase needs at least {n} characters: whoever gets the file can try.").format(
            n=MIN_PASSPHRASE
        )  # fmt: skip
    return None


def check_target(file: Path) -> None:
    """Make sure that nothing is overwritten by an export to *file*.

    Raises:
        InputError: the file is there already.
    """
    if file.exists():
        raise InputError(_("{file} is there already; choose another name.").format(file=file.name))


def check_source(workspace: Workspace, file: Path) -> None:
    """Make sure, before anybody is asked for a passphrase, that *file* can be imported into this workspace.

    Raises:
        InputError: the file cannot be read or is none of ours, or the workspace is not empty.
    """
    try:
        with file.open("rb") as source:
            parcel.salt_of(source)
    except OSError as trouble:
        raise _unreadable(file, trouble) from None
    with workspace.database.read() as connection:
        _must_be_empty(connection)


def export(
    workspace: Workspace,
    file: Path,
    passphrase: str,
    *,
    told: Callable[[int], None] = lambda _rows: None,
) -> int:
    """Write the workspace to *file*, sealed under *passphrase*; how many rows it holds.

    Args:
        told: Gets the number of rows so far, now and then.

    Raises:
        InputError: the file is there already, or the passphrase is too short.
        VaultError: the key of the workspace is missing or wrong.
        StoreError: the database or the disk fails; then there is no file.
    """
    problem = passphrase_problem(passphrase)
    if problem:
        raise InputError(problem, field="passphrase")
    check_target(file)
    redact.remember(passphrase)
    key = workspace.vault.data_key() if workspace.vault.source else None
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            count = _write(workspace, parcel.Writer(out, passphrase), key, told)
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)
    except OSError as trouble:
        raise StoreError(
            _("{file} cannot be written: {reason}.").format(file=file.name, reason=trouble.strerror)
        ) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return count


def _write(
    workspace: Workspace, out: parcel.Writer, key: bytes | None, told: Callable[[int], None]
) -> int:
    packer = zlib.compressobj()
    count = 0

    def line(value: dict[str, Any]) -> None:
        out.write(packer.compress(json.dumps(value, ensure_ascii=False).encode() + b"\n"))

    line(
        {
            "layout": schema.VERSION,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "key": None if key is None else base64.b64encode(key).decode(),
        }
    )
    with workspace.database.read() as connection:
        if not workspace.database.is_sqlite:
            # One state of all tables; SQLite gives it in any transaction.
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for name, table in _TABLES.items():
            rows = connection.execution_options(yield_per=_BATCH).execute(sa.select(table))
            for row in rows.mappings():
                line({"table": name, "row": {str(k): _packed(v) for k, v in row.items()}})
                count += 1
                if count % 1000 == 0:
                    told(count)
    line({"rows": count})
    out.write(packer.flush())
    out.finish()
    return count


def _packed(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, datetime) else value


def import_(
    workspace: Workspace,
    file: Path,
    passphrase: str,
    *,
    told: Callable[[int], None] = lambda _rows: None,
) -> tuple[str, ...]:
    """Fill an empty workspace from *file*; what people must know of it afterwards.

    Its secrets are from then on opened by this workspace's own passphrase, keyring or key file.

    Raises:
        InputError: the workspace is not empty, or the file is none of ours.
        VaultError: the passphrase is another one, or the file was damaged.
        StoreError: the database fails, or a newer msoauth wrote the file. In every case nothing was imported.
    """
    redact.remember(passphrase)
    record: VaultRecord | None = None
    try:
        with file.open("rb") as source, workspace.database.write() as connection:
            _must_be_empty(connection)
            connection.execute(schema.settings.delete())
            lines = _lines(parcel.read(source, passphrase))
            head = next(lines, {})
            if not isinstance(head.get("layout"), int):
                raise InputError(_("This is not a workspace that msoauth exported."))
            if head["layout"] > schema.VERSION:
                raise StoreError(_("A newer msoauth wrote this file: update msoauth."))
            _fill(connection, lines, told)
            if head["key"] is not None:
                record = workspace.vault.adopt(base64.b64decode(head["key"]))
                connection.execute(schema.meta.delete().where(schema.meta.c.key == "vault"))
                connection.execute(schema.meta.insert().values(key="vault", value=record.to_json()))
    except BaseException as trouble:
        if record is not None:
            workspace.vault.abandon(record)
        if isinstance(trouble, OSError):
            raise _unreadable(file, trouble) from None
        if isinstance(
            trouble, (KeyError, TypeError, ValueError, zlib.error, sa.exc.IntegrityError)
        ) and not isinstance(trouble, InputError):
            raise _damaged() from None
        raise
    workspace.vault.forget_key()
    return _notes(workspace)


def _unreadable(file: Path, trouble: OSError) -> InputError:
    reason = trouble.strerror or type(trouble).__name__
    return InputError(_("{file} cannot be read: {reason}.").format(file=file.name, reason=reason))


def _damaged() -> VaultError:
    return VaultError(_("The file was damaged or cut off; nothing was imported."))


def _must_be_empty(connection: sa.Connection) -> None:
    for table in (schema.firms, schema.journal):
        if connection.execute(sa.select(table).limit(1)).first() is not None:
            raise InputError(
                _("This workspace is in use already; import into a new one: msoauth --workspace FOLDER workspace import …")
            )  # fmt: skip


def _fill(
    connection: sa.Connection, lines: Iterator[dict[str, Any]], told: Callable[[int], None]
) -> None:
    waiting: list[dict[str, Any]] = []
    table: sa.Table | None = None

    def flush() -> None:
        if table is not None and waiting:
            connection.execute(table.insert(), waiting)
            waiting.clear()

    for count, line in enumerate(lines):
        if "rows" in line:
            flush()
            if line["rows"] != count:
                raise _damaged()
            _count_on(connection)
            return
        if table is None or line["table"] != table.name or len(waiting) >= _BATCH:
            flush()
            table = _TABLES[line["table"]]
        waiting.append(_unpacked(table, line["row"]))
        if count % 1000 == 0:
            told(count)
    raise _damaged()


def _unpacked(table: sa.Table, row: dict[str, Any]) -> dict[str, Any]:
    """A row for this layout; a column that its msoauth did not know yet stays empty."""
    values = {}
    for column in table.columns:
        value = row.get(column.name)
        if value is not None and isinstance(column.type, sa.LargeBinary):
            value = base64.b64decode(value)
        elif value is not None and isinstance(column.type, schema.Moment):
            value = datetime.fromisoformat(value)
        values[column.name] = value
    return values


def _count_on(connection: sa.Connection) -> None:
    """PostgreSQL numbers findings by itself, and has to go on after those that came with their numbers."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            "SELECT setval(pg_get_serial_sequence('journal', 'id'), (SELECT max(id) FROM journal))"
            " WHERE EXISTS (SELECT 1 FROM journal)"
        )


def _lines(pieces: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    unpacker = zlib.decompressobj()
    kept = b""
    for piece in pieces:
        *whole, kept = (kept + unpacker.decompress(piece)).split(b"\n")
        for line in whole:
            yield json.loads(line)
    if kept + unpacker.flush():
        raise _damaged()


def _notes(workspace: Workspace) -> tuple[str, ...]:
    """What did not come along: the CA files of endpoints files."""
    said = []
    for firm in workspace.firms.list():
        ca_file = firm.cloud.ca_file
        if (
            firm.cloud != clouds.BY_NAME.get(firm.cloud.name)
            and ca_file
            and not Path(ca_file).exists()
        ):
            said.append(
                _("{firm} uses an endpoints file whose certificates ({file}) are not on this computer.").format(
                    firm=firm.name, file=ca_file
                )
            )  # fmt: skip
    return tuple(said)

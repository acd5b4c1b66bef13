"""Export of a whole workspace into one encrypted file, and import into another folder or database.

It holds firms, accounts, secrets, tokens, settings and the journal; retrieved mail and notebooks are separate files
and are not in it. Both are all-or-nothing: the file gets its name when it is complete, and an import is one
transaction.
"""

import base64
import json
import os
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from msoauth import clouds, private_files, redact
from msoauth.errors import InputError, StoreError, VaultError
from msoauth.passphrase import problem as passphrase_problem
from msoauth.store import archive, destinations, schema
from msoauth.store.vault_key import KeyRecord
from msoauth.store.workspace import Workspace
from msoauth.texts import _

_TABLES = {table.name: table for table in schema.metadata.sorted_tables if table is not schema.meta}
_BATCH = 500
_MAX_LINE = 2 << 20  # bytes of a row as JSON; a token cache has some ten thousand
_MAX_RATIO = 200  # of the unpacked size to the packed one; a journal's is below 30


def check_target(file: Path) -> None:
    """Check, before asking for a passphrase, that an export to *file* would overwrite nothing.

    Raises:
        InputError: the file is there already.
    """
    if os.path.lexists(file):
        raise InputError(_("{file} is there already; choose another name.").format(file=file.name))


def check_source(workspace: Workspace, file: Path) -> None:
    """Check, before asking for a passphrase, that *file* can be imported into this workspace.

    Raises:
        InputError: the file cannot be read or is no export, or the workspace is not empty.
    """
    try:
        with file.open("rb") as source:
            archive.read_salt(source)
    except OSError as problem:
        raise _unreadable_error(file, problem) from None
    with workspace.database.read() as connection:
        _must_be_empty(connection)


def export_workspace(
    workspace: Workspace,
    file: Path,
    passphrase: str,
    *,
    on_progress: Callable[[int], None] = lambda _rows: None,
) -> int:
    """Write the workspace to *file*, encrypted with *passphrase*; returns how many rows it holds.

    Args:
        on_progress: Called with the number of rows so far, every 1,000 rows.

    Raises:
        InputError: the file is there already, or the passphrase is too short.
        VaultError: the key of the workspace is missing or wrong.
        StoreError: the database or the disk fails; then there is no file.
    """
    objection = passphrase_problem(passphrase)
    if objection:
        raise InputError(objection, field="passphrase")
    check_target(file)
    redact.remember(passphrase)
    key = workspace.vault.data_key() if workspace.vault.source else None
    workspace.firms.bind_old_values()
    try:
        with private_files.replacing(file) as out:
            return _write(workspace, archive.ArchiveWriter(out, passphrase), key, on_progress)
    except StoreError:
        raise  # of the workspace, also where it is an OSError
    except OSError as problem:
        raise StoreError(
            _("{file} cannot be written: {reason}.").format(file=file.name, reason=problem.strerror)
        ) from None


def _write(
    workspace: Workspace,
    out: archive.ArchiveWriter,
    key: bytes | None,
    on_progress: Callable[[int], None],
) -> int:
    compressor = zlib.compressobj()
    count = 0

    def write_line(value: dict[str, Any]) -> None:
        out.write(compressor.compress(json.dumps(value, ensure_ascii=False).encode() + b"\n"))

    write_line(
        {
            "layout": schema.VERSION,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "key": None if key is None else base64.b64encode(key).decode(),
        }
    )
    with workspace.database.read() as connection:
        if not workspace.database.is_sqlite:
            # A consistent snapshot of all tables; SQLite gives one in any transaction.
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for name, table in _TABLES.items():
            with connection.execution_options(yield_per=_BATCH).execute(sa.select(table)) as rows:
                for row in rows.mappings():
                    write_line({"table": name, "row": {str(k): _encode(v) for k, v in row.items()}})
                    count += 1
                    if count % 1000 == 0:
                        on_progress(count)
    write_line({"rows": count})
    out.write(compressor.flush())
    out.finish()
    return count


def _encode(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, datetime) else value


def import_workspace(
    workspace: Workspace,
    file: Path,
    passphrase: str,
    *,
    on_progress: Callable[[int], None] = lambda _rows: None,
) -> tuple[str, ...]:
    """Fill an empty workspace from *file*; returns warnings for people, such as a missing CA file.

    From then on this workspace's own passphrase, keyring or key file protects the secrets.

    Raises:
        InputError: the workspace is not empty, or the file is no export.
        VaultError: the passphrase is wrong, or the file was damaged.
        StoreError: the database fails, or a newer msoauth wrote the file. In every case nothing was imported.
    """
    redact.remember(passphrase)
    record: KeyRecord | None = None
    try:
        with file.open("rb") as source, workspace.database.write() as connection:
            _must_be_empty(connection)
            connection.execute(schema.settings.delete())
            lines = _lines(archive.read_archive(source, passphrase))
            head, _size = next(lines, ({}, 0))
            if not isinstance(head.get("layout"), int):
                raise InputError(_("This is not a workspace that msoauth exported."))
            if head["layout"] > schema.VERSION:
                raise StoreError(_("A newer msoauth wrote this file: update msoauth."))
            _insert_rows(connection, lines, on_progress)
            if head["layout"] < schema.BOUND_VERSION:
                connection.execute(destinations.INSERT_UNBOUND)
            if head["key"] is not None:
                record = workspace.vault.adopt(connection, base64.b64decode(head["key"]))
    except BaseException as problem:
        if record is not None:
            workspace.vault.discard(record)
        if isinstance(problem, OSError) and not isinstance(problem, StoreError):
            raise _unreadable_error(file, problem) from None
        if isinstance(
            problem,
            (KeyError, TypeError, ValueError, RecursionError, zlib.error, sa.exc.IntegrityError),
        ) and not isinstance(problem, InputError):
            raise _damaged_error() from None
        raise
    workspace.vault.forget_key()
    workspace.firms.bind_old_values()
    return _missing_files(workspace)


def _unreadable_error(file: Path, problem: OSError) -> InputError:
    reason = problem.strerror or type(problem).__name__
    return InputError(_("{file} cannot be read: {reason}.").format(file=file.name, reason=reason))


def _damaged_error() -> VaultError:
    return VaultError(_("The file was damaged or cut off; nothing was imported."))


def _must_be_empty(connection: sa.Connection) -> None:
    for table in (schema.firms, schema.journal):
        if connection.execute(sa.select(table).limit(1)).first() is not None:
            raise InputError(
                _(
                    "This workspace is in use already; import into a new one: msoauth --workspace FOLDER workspace import …"
                )
            )


def _insert_rows(
    connection: sa.Connection,
    lines: Iterator[tuple[dict[str, Any], int]],
    on_progress: Callable[[int], None],
) -> None:
    batch: list[dict[str, Any]] = []
    batch_bytes = 0
    table: sa.Table | None = None

    def flush() -> None:
        if table is not None and batch:
            connection.execute(table.insert(), batch)
            batch.clear()

    for count, (line, size) in enumerate(lines):
        if "rows" in line:
            flush()
            if line["rows"] != count:
                raise _damaged_error()
            _advance_id_sequence(connection)
            if next(lines, None) is not None:
                raise _damaged_error()
            return
        full = len(batch) >= _BATCH or batch_bytes > _MAX_LINE
        if table is None or line["table"] != table.name or full:
            flush()
            table, batch_bytes = _TABLES[line["table"]], 0
        batch_bytes += size
        batch.append(_decode(table, dict(line["row"])))
        if count % 1000 == 0:
            on_progress(count)
    raise _damaged_error()


def _decode(table: sa.Table, row: dict[str, Any]) -> dict[str, Any]:
    """A row for this schema; a column that the exporting version did not have stays empty."""
    values: dict[str, Any] = dict.fromkeys(table.columns.keys())
    for name in values.keys() & row.keys():
        value, kind = row[name], table.columns[name].type
        if value is None:
            continue
        if isinstance(kind, sa.Integer | sa.Float):
            if not isinstance(value, int | float) or abs(value) >= 1 << 63:
                raise ValueError(name)  # no number, or beyond what databases store
        elif not isinstance(value, str):
            raise TypeError(name)
        elif isinstance(kind, sa.LargeBinary):
            value = base64.b64decode(value)
        elif isinstance(kind, schema.Moment):
            value = datetime.fromisoformat(value)
        values[name] = value
    return values


def _advance_id_sequence(connection: sa.Connection) -> None:
    """Set PostgreSQL's id sequence behind the imported findings; SQLite needs none."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            "SELECT setval(pg_get_serial_sequence('journal', 'id'), (SELECT max(id) FROM journal))"
            " WHERE EXISTS (SELECT 1 FROM journal)"
        )


def _lines(pieces: Iterator[bytes]) -> Iterator[tuple[dict[str, Any], int]]:
    """Each line's object and size in bytes; takes little memory, whatever the file unpacks to."""
    decompressor = zlib.decompressobj()
    incomplete, packed, unpacked = b"", 0, 0
    for piece in pieces:
        packed += len(piece)
        while piece:
            if decompressor.eof:
                raise _damaged_error()
            text = decompressor.decompress(piece, archive.PIECE_BYTES)
            piece = decompressor.unconsumed_tail
            unpacked += len(text)
            *complete, incomplete = (incomplete + text).split(b"\n")
            longest = max(map(len, complete), default=0)
            if (
                max(longest, len(incomplete)) > _MAX_LINE
                or unpacked > _MAX_RATIO * packed + _MAX_LINE
            ):
                raise InputError(
                    _("The file unpacks to far more than a workspace holds; nothing was imported.")
                )
            yield from map(_object, complete)
    *complete, incomplete = (incomplete + decompressor.flush()).split(b"\n")
    yield from map(_object, complete)
    if incomplete:
        raise _damaged_error()


def _object(line: bytes) -> tuple[dict[str, Any], int]:
    value = json.loads(line)
    if not isinstance(value, dict):
        raise _damaged_error()
    return value, len(line)


def _missing_files(workspace: Workspace) -> tuple[str, ...]:
    """Warnings about CA files that firms' endpoints name and that are not on this computer."""
    warnings = []
    for firm in workspace.firms.list():
        ca_file = firm.cloud.ca_file
        if (
            firm.cloud != clouds.BY_NAME.get(firm.cloud.name)
            and ca_file
            and not Path(ca_file).exists()
        ):
            warnings.append(
                _(
                    "{firm} uses an endpoints file whose certificates ({file}) are not on this computer."
                ).format(firm=firm.name, file=ca_file)
            )
    return tuple(warnings)

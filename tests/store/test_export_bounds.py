"""An exported file that somebody made by hand: whatever it unpacks to, little memory, one sentence, nothing imported."""

import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from msoauth.errors import MsoauthError
from msoauth.store import Workspace, archive, schema
from msoauth.store.export import import_workspace
from tests.memory import cost

PASSPHRASE = "a passphrase of the file"
MEGABYTE = 1 << 20
HEAD = json.dumps({"layout": schema.VERSION, "key": None}).encode() + b"\n"
SETTING = b'{"table": "settings", "row": {"key": "k", "value": "%s"}}\n'


def made_by_hand(file: Path, pieces: Iterator[bytes]) -> Path:
    """An archive of anything, as somebody makes it who knows the passphrase."""
    compressor = zlib.compressobj()
    with file.open("wb") as out:
        writer = archive.ArchiveWriter(out, PASSPHRASE)
        for piece in pieces:
            writer.write(compressor.compress(piece))
        writer.write(compressor.flush())
        writer.finish()
    return file


def long_line() -> Iterator[bytes]:
    yield HEAD
    yield b'{"table": "settings", "row": {"key": "k", "value": "'
    for _megabyte in range(120):
        yield b"x" * MEGABYTE


def many_long_rows() -> Iterator[bytes]:
    yield HEAD
    for number in range(120):
        yield b'{"table": "settings", "row": {"key": "%d", "value": "' % number
        yield b"x" * MEGABYTE
        yield b'"}}\n'


def many_lines() -> Iterator[bytes]:
    yield HEAD
    for number in range(60):
        yield b"".join(SETTING % b"x" for _line in range(20_000)) if number else b""


def empty_lines() -> Iterator[bytes]:
    yield HEAD
    for _megabyte in range(120):
        yield b"\n" * MEGABYTE


def many_objects() -> Iterator[bytes]:
    yield HEAD
    yield b"[" + b"{}," * 10 * MEGABYTE + b"{}]\n"


BOMBS = {
    "one line without an end": long_line,
    "many long rows": many_long_rows,
    "many lines": many_lines,
    "empty lines": empty_lines,
    "many objects in one": many_objects,
}

PROGRAM = """
from msoauth.store import Workspace
from msoauth.store.export import import_workspace
from pathlib import Path
file = Path(argument)
workspace = Workspace.open(file.parent / "into")
def go():
    import_workspace(workspace, file, "a passphrase of the file")
"""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if "object" in name else pytest.mark.release) for name in BOMBS],
)
def test_a_bomb_takes_little_memory_and_imports_nothing(name: str, tmp_path: Path) -> None:
    file = made_by_hand(tmp_path / "bomb", BOMBS[name]())
    assert file.stat().st_size < 3 * MEGABYTE
    problem, megabytes = cost(PROGRAM, file)
    assert problem is not None
    assert problem[0] in ("VaultError", "InputError")
    assert problem[1].endswith((".", "imported."))
    assert megabytes < 220  # of which scrypt takes 128
    with Workspace.open(tmp_path / "into") as workspace:
        assert not list(workspace.firms)
        assert workspace.database.scalar(schema.settings.select()) is None


STRANGE: dict[str, bytes] = {
    "nested": b'{"table": "settings", "row": ' + b"[" * 200_000 + b"\n",
    "a list": b"[1]\n",
    "a number": b"5\n",
    "a row that is a list": b'{"table": "settings", "row": [1]}\n',
    "a row of another table": b'{"table": "sqlite_master", "row": {}}\n',
    "a table that is none": b'{"table": ["settings"], "row": {}}\n',
    "a value that is an object": SETTING.replace(b'"%s"', b'{"a": 1}'),
    "a value that is a number": SETTING.replace(b'"%s"', b"1"),
    "a number with a million digits": SETTING.replace(b'"%s"', b"9" * 1_000_000),
    "a number beyond the database": b'{"table": "journal", "row": {"id": 99999999999999999999, "at": "2026-11-30T00:00:00+00:00", '
    b'"run": "", "firm": "", "account": "", "check": "", "signal": "", "body": ""}}\n',
    "no base64": b'{"table": "firms", "row": {"secret": "\xc3\xa4"}}\n',
    "no date": b'{"table": "journal", "row": {"at": "yesterday"}}\n',
    "a surrogate": SETTING % b"\\ud800",
    "no UTF-8": SETTING % b"\xff\xfe",
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_line_is_one_sentence_and_imports_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "SCRYPT_N", 16)
    for number, head in enumerate((HEAD, b"")):  # also as the first line
        file = made_by_hand(
            tmp_path / f"strange-{number}",
            iter([head, SETTING % b"first", STRANGE[name]] if head else [STRANGE[name]]),
        )
        with Workspace.open(tmp_path / f"into-{number}") as workspace:
            with pytest.raises(MsoauthError) as refused:
                import_workspace(workspace, file, PASSPHRASE)
            assert str(refused.value).count("\n") == 0
            assert len(str(refused.value)) < 200
            assert workspace.database.scalar(schema.settings.select()) is None


def test_what_follows_the_end_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "SCRYPT_N", 16)
    packed = zlib.compress(HEAD + b'{"rows": 0}\n')
    out = io.BytesIO()
    writer = archive.ArchiveWriter(out, PASSPHRASE)
    writer.write(packed + b"x" * archive.PIECE_BYTES * 3)
    writer.finish()
    (tmp_path / "file").write_bytes(out.getvalue())
    with (
        Workspace.open(tmp_path / "into") as workspace,
        pytest.raises(MsoauthError, match="damaged"),
    ):
        import_workspace(workspace, tmp_path / "file", PASSPHRASE)

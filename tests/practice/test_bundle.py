"""A file that claims to be a support bundle: whatever it is, one sentence, and nothing is unpacked or harmed."""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from msoauth.practice import bundle
from msoauth.practice.bundle import BundleError, read
from tests.memory import cost

FILES = {
    "findings.jsonl": b"",
    "settings.json": b"{}",
    "index.html": b"<p>",
    "transcripts/smtp.txt": b"x",
}


def packed(
    files: dict[str, bytes] = FILES,
    *,
    manifest: dict[str, object] | None = None,
    more: dict[str, bytes] | None = None,
) -> bytes:
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    known = {"format": "msoauth-bundle", "version": 1, "sha256": sums} | (manifest or {})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bundle.json", json.dumps(known))
        for name, content in {**files, **(more or {})}.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def changed() -> bytes:
    whole = packed()
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as before, zipfile.ZipFile(buffer, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            after.writestr(name, content + b" " if name == "settings.json" else content)
    return buffer.getvalue()


def lying_about_its_size() -> bytes:
    """A bomb whose directory says that it is small."""
    big = b"\0" * (bundle.MOST_BYTES + 10)
    raw = bytearray(packed({**FILES, "findings.jsonl": big}))
    size = len(big).to_bytes(4, "little")
    return bytes(raw.replace(size, (10).to_bytes(4, "little")))


def compressed_otherwise(method: int, megabytes: int = 1) -> bytes:
    """A bomb whose directory says that it is small, by a method that unpacks each chunk to its end."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("bundle.json", bytes(megabytes << 20))
    size = (megabytes << 20).to_bytes(4, "little")
    return buffer.getvalue().replace(size, (10).to_bytes(4, "little"))


def with_a_long_list_of_files() -> bytes:
    """A zip with 420,000 entries, of which its last record says that they are two."""
    listing = (b"PK\1\2" + bytes(24) + b"\1" + bytes(17) + b"x") * 420_000
    lengths = len(listing).to_bytes(4, "little") + bytes(4)
    return listing + b"PK\5\6" + bytes(4) + b"\2\0" * 2 + lengths + bytes(2)


CASES: dict[str, tuple[Callable[[], bytes], set[str]]] = {
    "empty": (lambda: b"", {"not-a-bundle"}),
    "text": (lambda: b"hello", {"not-a-bundle"}),
    "another zip": (lambda: packed(manifest={"format": "docx"}), {"not-a-bundle"}),
    "cut off": (lambda: packed()[:-40], {"not-a-bundle"}),
    "climbs out": (lambda: packed(more={"../../evil.txt": b"x"}), {"path"}),
    "absolute": (lambda: packed(more={"/etc/passwd": b"x"}), {"path"}),
    "backslashes": (lambda: packed(more={"..\\evil.txt": b"x"}), {"path"}),
    "drive": (lambda: packed(more={"C:evil.txt": b"x"}), {"path"}),
    "dots only": (lambda: packed(more={"transcripts/..": b"x"}), {"path"}),
    "deep": (lambda: packed(more={"a/b/c/d": b"x"}), {"path"}),
    "one file more": (lambda: packed(more={"more.txt": b"x"}), {"tampered"}),
    "changed": (changed, {"tampered"}),
    "newer": (lambda: packed(manifest={"version": 99}), {"newer"}),
    "no version": (lambda: packed(manifest={"version": None}), {"newer"}),
    "bomb": (lambda: packed({**FILES, "index.html": b"\0" * (61 << 20)}), {"too-big"}),
    "lying bomb": (lying_about_its_size, {"too-big", "tampered", "not-a-bundle"}),
    "many files": (lambda: packed(more={f"f{n}": b"" for n in range(300)}), {"too-big"}),
    "bzip2": (lambda: compressed_otherwise(zipfile.ZIP_BZIP2), {"not-a-bundle", "too-big"}),
    "lzma": (lambda: compressed_otherwise(zipfile.ZIP_LZMA), {"not-a-bundle", "too-big"}),
    "a long list of files": (with_a_long_list_of_files, {"too-big"}),
    "much JSON": (lambda: packed({**FILES, "findings.jsonl": b"{}\n" * (2 << 20)}), {"too-big"}),
    "a long number": (
        lambda: packed({**FILES, "settings.json": b'{"a": ' + b"9" * 5000 + b"}"}),
        {"unreadable"},
    ),
    "deeply nested": (lambda: packed({**FILES, "settings.json": b"[" * 100_000}), {"unreadable"}),
    "not an object": (lambda: packed({**FILES, "settings.json": b"[1]"}), {"unreadable"}),
    "binary": (lambda: packed({**FILES, "findings.jsonl": b"\xff\xfe{"}), {"unreadable"}),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_no_bundle_is_refused(name: str, tmp_path: Path) -> None:
    make, problems = CASES[name]
    file = tmp_path / "case.zip"
    file.write_bytes(make())
    with pytest.raises(BundleError) as refused:
        read(file)
    assert refused.value.problem in problems
    assert list(tmp_path.iterdir()) == [file]
    assert not (tmp_path.parent / "evil.txt").exists()


PROGRAM = """
from pathlib import Path
from msoauth.practice.bundle import read
def go():
    read(Path(argument))
"""
BOMBS: dict[str, Callable[[], bytes]] = {
    "zeros": lambda: packed({**FILES, "index.html": b"\0" * (19 << 20)}),
    "bzip2": lambda: compressed_otherwise(zipfile.ZIP_BZIP2, 200),
    "a long list of files": with_a_long_list_of_files,
    "objects": lambda: packed({**FILES, "findings.jsonl": b'{"a":[' + b"{}," * 1_300_000 + b"{}]}"}),
}  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="the memory is measured as POSIX tells it")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_little_memory(name: str, tmp_path: Path) -> None:
    file = tmp_path / "case.zip"
    file.write_bytes(BOMBS[name]())
    problem, megabytes = cost(PROGRAM, file)
    assert problem is None or problem[0] == "BundleError"
    assert megabytes < 130


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="missing"):
        read(tmp_path / "nothing.zip")


def test_a_file_of_a_hundred_megabytes_is_not_even_opened(tmp_path: Path) -> None:
    file = tmp_path / "case.zip"
    with file.open("wb") as big:
        big.truncate(100 << 20)
    with pytest.raises(BundleError, match="too-big"):
        read(file)

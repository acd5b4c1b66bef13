"""Read a support bundle: an untrusted zip file, checked before anything in it is used.

Nothing is unpacked to disk and nothing in it is executed; only the three files that a replay needs are read.
"""

import hashlib
import io
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Problem = Literal["missing", "not-a-bundle", "too-big", "path", "tampered", "newer", "unreadable"]

FORMAT = "msoauth-bundle"
VERSION = 1
MOST_BYTES = 20 << 20  # of the file, and of each file in it once unpacked
MOST_TOTAL = 60 << 20
MOST_JSON = 4 << 20  # of a file that is read as JSON; the objects take twenty times as much memory
MOST_FILES = 200
_MOST_DIRECTORY = 1 << 20  # of the list of files, which is read whole before their number is known
_CHUNK = 1 << 16
_NEEDED = ("findings.jsonl", "settings.json")
_MANIFEST = "bundle.json"


class BundleError(ValueError):
    """The file is no bundle that can be replayed.

    Attributes:
        problem: What is wrong with it.
    """

    def __init__(self, problem: Problem, detail: str = "") -> None:
        super().__init__(f"{problem}: {detail}")
        self.problem: Problem = problem
        self.detail = detail


@dataclass(frozen=True)
class Contents:
    """What a replay needs of a bundle, as JSON."""

    findings: tuple[dict[str, Any], ...]
    settings: dict[str, Any]


def read(path: Path) -> Contents:
    """The contents of a bundle.

    Raises:
        BundleError: it is no bundle, was changed after it was created, or is dangerous to unpack.
    """
    try:
        size = path.stat().st_size
    except OSError as problem:
        raise BundleError("missing", problem.strerror or "") from None
    if size > MOST_BYTES:
        raise BundleError("too-big", f"{size} bytes")
    try:
        with _Bounded(path) as file, zipfile.ZipFile(file) as archive:
            return _read(archive)
    except OSError as problem:
        raise BundleError("missing", problem.strerror or "") from None
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError):
        raise BundleError("not-a-bundle") from None


def of_zip(content: bytes) -> Contents:
    """The contents of a bundle that was never written to a file.

    Raises:
        BundleError: as :func:`read`.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return _read(archive)


class _Bounded(io.FileIO):
    """A file of which nobody reads much at once: a zip's list of files may be as long as the zip."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = os.fstat(self.fileno()).st_size - self.tell()
        if size > _MOST_DIRECTORY:
            raise BundleError("too-big")
        return super().read(size) or b""


def _read(archive: zipfile.ZipFile) -> Contents:
    entries = archive.infolist()
    if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > MOST_TOTAL:
        raise BundleError("too-big")
    # The other methods unpack a chunk to its end, however much that is.
    if {entry.compress_type for entry in entries} - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise BundleError("not-a-bundle")
    names = [entry.filename for entry in entries]
    for name in names:
        if not _is_safe_name(name):
            raise BundleError("path", name[:80])
    if len(set(names)) < len(names) or _MANIFEST not in names:
        raise BundleError("not-a-bundle")
    manifest = _object(_bytes(archive, _MANIFEST))
    if manifest.get("format") != FORMAT:
        raise BundleError("not-a-bundle")
    version = manifest.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise BundleError("newer")
    checksums = manifest.get("sha256")
    if not isinstance(checksums, dict) or set(checksums) != set(names) - {_MANIFEST}:
        raise BundleError("tampered")
    total, needed = 0, {}
    for name in checksums:
        content = _bytes(archive, name)
        total += len(content)
        if total > MOST_TOTAL:
            raise BundleError("too-big")
        if hashlib.sha256(content).hexdigest() != checksums[name]:
            raise BundleError("tampered", name)
        if name in _NEEDED:
            needed[name] = content
    if set(needed) != set(_NEEDED):
        raise BundleError("not-a-bundle")
    rows = tuple(_object(line) for line in needed["findings.jsonl"].splitlines() if line.strip())
    return Contents(rows, _object(needed["settings.json"]))


def _is_safe_name(name: str) -> bool:
    """Whether a name is plain and at most one folder deep: no ``..``, no drive, no device."""
    parts = name.split("/")
    return len(parts) <= 2 and all(
        part and part.strip(".") and all(c.isalnum() or c in "-_." for c in part) for part in parts
    )


def _bytes(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read a file, but never more than allowed: the size that the zip states may be false."""
    most = MOST_JSON if name in (*_NEEDED, _MANIFEST) else MOST_BYTES
    content = bytearray()
    with archive.open(name) as entry:
        while chunk := entry.read(_CHUNK):
            content += chunk
            if len(content) > most:
                raise BundleError("too-big", name)
    return bytes(content)


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BundleError("unreadable") from None
    if not isinstance(value, dict):
        raise BundleError("unreadable")
    return value

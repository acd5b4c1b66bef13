"""Writes a command's files completely or not at all, and checks before the work starts that they can be written."""

import contextlib
import errno
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from msoauth.errors import InputError
from msoauth.texts import _


def check_writable(file: Path) -> None:
    """Make sure that a file can be written, before the work that produces it starts.

    Raises:
        InputError: it cannot.
    """
    try:
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if file.exists():
            with file.open("r+b" if file.is_file() else "wb", buffering=0):
                pass
        if _is_plain(file):
            with tempfile.TemporaryFile(dir=Path(os.path.realpath(file)).parent):
                pass
    except OSError as problem:
        raise _unwritable(file, problem) from None


@contextlib.contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A temporary file beside *file* that replaces it when the block ends without an exception.

    A device, or a pipe such as ``/dev/stdout``, is written to as it is, and what a link points to is replaced, not
    the link.

    Raises:
        InputError: the disk is full, or the file cannot be written.
    """
    try:
        if not _is_plain(file):
            yield file
            return
        target = Path(os.path.realpath(file))
        # Not by tempfile, whose files only their owner may read: the new file has the rights of any other.
        part = target.parent / f".msoauth-{secrets.token_hex(8)}.part"
        part.touch(exist_ok=False)
        try:
            yield part
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as problem:
        raise _unwritable(file, problem) from None


def write(file: Path, content: bytes) -> None:
    """Write a file completely or not at all.

    Raises:
        InputError: it cannot be written.
    """
    with replacing(file) as part:
        part.write_bytes(content)


def _is_plain(file: Path) -> bool:
    return file.is_file() or not file.exists()


def _unwritable(file: Path, problem: OSError) -> InputError:
    reason = problem.strerror or type(problem).__name__
    return InputError(_("{file} cannot be written: {reason}.").format(file=file, reason=reason))

"""Writes files completely or not at all, and checks before a command's work starts that they can be written."""

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
    """Check that a file can be written, before the work that produces it starts.

    Raises:
        InputError: it cannot be written.
    """
    try:
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if file.exists():
            with file.open("r+b" if file.is_file() else "wb", buffering=0):
                pass
        if _is_regular(file):
            with tempfile.TemporaryFile(dir=Path(os.path.realpath(file)).parent):
                pass
    except OSError as error:
        raise _write_error(file, error) from None


@contextlib.contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A temporary file beside *file* that replaces it when the block ends without an exception.

    A device or a pipe, such as ``/dev/stdout``, is written to directly. Of a symbolic link, the target is replaced.

    Raises:
        InputError: the disk is full, or the file cannot be written.
    """
    try:
        if not _is_regular(file):
            yield file
            return
        target = Path(os.path.realpath(file))
        # Not made by tempfile, whose files only their owner may read: a report should have the usual permissions.
        part = target.parent / f".msoauth-{secrets.token_hex(8)}.part"
        part.touch(exist_ok=False)
        try:
            yield part
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _write_error(file, error) from None


def write(file: Path, content: bytes) -> None:
    """Write a file completely or not at all.

    Raises:
        InputError: it cannot be written.
    """
    with replacing(file) as part:
        part.write_bytes(content)


def _is_regular(file: Path) -> bool:
    return file.is_file() or not file.exists()


def _write_error(file: Path, error: OSError) -> InputError:
    reason = error.strerror or type(error).__name__
    return InputError(_("{file} cannot be written: {reason}.").format(file=file, reason=reason))

"""Writes the files that a user names: checked before a command's work starts, and failures as sentences."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from msoauth import private_files
from msoauth.errors import InputError
from msoauth.texts import _


def check_writable(file: Path) -> None:
    """Check that a file can be written, before the work that produces it starts.

    Raises:
        InputError: it cannot be written.
    """
    with _as_input_error(file):
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if file.exists():
            with file.open("r+b" if file.is_file() else "wb", buffering=0):
                pass
        if file.is_file() or not file.exists():
            with tempfile.TemporaryFile(dir=private_files.resolve(file).parent):
                pass


def write(file: Path, content: bytes) -> None:
    """Write a file completely or not at all.

    Raises:
        InputError: it cannot be written.
    """
    with _as_input_error(file):
        private_files.write(private_files.resolve(file), content)


@contextlib.contextmanager
def _as_input_error(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(
            _("{file} cannot be written: {reason}.").format(file=file, reason=reason)
        ) from None

"""Writes the files that a user names: checked before a command's work starts, and failures as sentences."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from msoauth import private_files
from msoauth.errors import InputError
from msoauth.texts import _


def check_writable(file: Path, *, may_be_open: bool = False) -> None:
    """Check that a file can be written, before the work that produces it starts.

    Args:
        may_be_open: It may be open in another program, such as Excel, which denies all others to write it: it is enough
            that its folder can be written to, for :func:`write_beside`.

    Raises:
        InputError: it cannot be written.
    """
    with _as_input_error(file):
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if file.exists():
            allowed = (PermissionError,) if may_be_open and file.is_file() else ()
            with (
                contextlib.suppress(*allowed),
                file.open("r+b" if file.is_file() else "wb", buffering=0),
            ):
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


def write_beside(file: Path, content: bytes) -> Path:
    """Write a file, or one of another name beside it while another program denies this one; returns what was written.

    Raises:
        InputError: neither can be written.
    """
    with _as_input_error(file):
        place = private_files.resolve(file)
        try:
            private_files.write(place, content)
        except PermissionError:
            if not place.is_file():
                raise
            file = file.with_stem(f"{file.stem} {datetime.now():%Y-%m-%d %H.%M.%S}")  # noqa: DTZ005 - for people
            private_files.write(private_files.resolve(file), content)
        return file


@contextlib.contextmanager
def _as_input_error(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(
            _("{file} cannot be written: {reason}.").format(file=file, reason=reason)
        ) from None

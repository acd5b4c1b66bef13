"""What makes files crash-safe on every system: whole writes, syncs by the batch, locks, and failures that name the place."""

import ctypes
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from filelock import Timeout as LockedError

from msoauth.errors import InputError, MailError
from msoauth.texts import _

BINARY = getattr(os, "O_BINARY", 0)  # Windows: else each LF is written as CRLF


def write_all(descriptor: int, piece: bytes) -> None:
    """Write all of *piece*; the system may take less at once (a full disk, a signal)."""
    written = os.write(descriptor, piece)
    while written < len(piece):
        written += os.write(descriptor, memoryview(piece)[written:])


def sync(files: list[str]) -> None:
    """Have these files put on disk: with one call where the system has one for a whole file system."""
    if not files:
        return
    if len(files) > 2 and syncfs is not None:
        descriptor = os.open(files[0], os.O_RDONLY)
        try:
            if syncfs(descriptor) == 0:
                return
        finally:
            os.close(descriptor)
    with ThreadPoolExecutor(min(8, len(files)), thread_name_prefix="sync") as pool:
        for _done in pool.map(_sync_one, files):
            pass


def _sync_one(file: str) -> None:
    descriptor = os.open(file, os.O_RDWR | BINARY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _find_syncfs() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        found: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None
    return found


syncfs = _find_syncfs()


def sync_folder(folder: str) -> None:
    """Have the names in a folder put on disk; Windows has no such call, and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hold(lock: FileLock, place: Path) -> None:
    """Take the lock that keeps a second retrieval out of a place.

    Raises:
        InputError: somebody holds it.
    """
    with usable(place):
        try:
            lock.acquire(timeout=0)
        except LockedError:
            raise InputError(
                _("Mail is being retrieved into {folder} already.").format(folder=place)
            ) from None


@contextmanager
def usable(place: Path) -> Iterator[None]:
    """Name a place that cannot be used at all as what it is: a wrong choice.

    Raises:
        InputError: the operating system refused.
    """
    try:
        yield
    except OSError as problem:
        raise InputError(_unwritable(place, problem), field="to") from None


def _unwritable(place: Path, problem: OSError) -> str:
    return _("The folder {folder} cannot be written: {reason}.").format(
        folder=place, reason=problem.strerror or problem
    )


@contextmanager
def writable(place: Path) -> Iterator[None]:
    """Name a failure of the operating system after the place that could not be written."""
    try:
        yield
    except OSError as problem:
        raise MailError(_unwritable(place, problem), stage="work") from None


def names_in(folder: str) -> list[str]:
    """The names of what is in a folder."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def noting(pieces: Iterable[bytes], note: Callable[[bytes], object]) -> Iterator[bytes]:
    """The same pieces, each shown to *note* on its way."""
    for piece in pieces:
        note(piece)
        yield piece

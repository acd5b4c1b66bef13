"""Mail as files: written aside and moved into place, so that a crash leaves no half message."""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from msoauth.errors import MailError
from msoauth.texts import _

_TEMPORARY = ".part-"
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")


def file_name(uidl: str) -> str:
    """The name of a message's file: its unique id where every system can spell it, else a digest of it."""
    # Windows knows no difference between a and A, and has reserved names such as CON: those get a digest too.
    plain = _SAFE.fullmatch(uidl) and uidl == uidl.lower() and uidl.upper() not in _RESERVED
    return f"{uidl if plain else hashlib.sha256(uidl.encode()).hexdigest()[:32]}.eml"


_RESERVED = {
    "CON",
    "PRN",
    "AUX",
    "NUL",
    *(f"COM{n}" for n in range(10)),
    *(f"LPT{n}" for n in range(10)),
}


class EmlFolder:
    """A folder of .eml files, one for each message, named after its unique id.

    Raises:
        MailError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with _writable(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._there = {entry.name for entry in os.scandir(folder)}
        for name in self._there:
            if name.startswith(_TEMPORARY):  # what a crash left behind
                with suppress(OSError):
                    (folder / name).unlink()

    def has(self, uidl: str) -> bool:
        """Whether the message is there, whole."""
        return file_name(uidl) in self._there

    def path(self, uidl: str) -> Path:
        """Where the message is or would be."""
        return self.folder / file_name(uidl)

    def store(self, uidl: str, pieces: Iterable[bytes]) -> Path:
        """Write a message from its pieces; it is there whole or not at all."""
        target = self.path(uidl)
        with _writable(self.folder):
            descriptor, name = tempfile.mkstemp(prefix=_TEMPORARY, dir=self.folder)
            try:
                with os.fdopen(descriptor, "wb", buffering=1 << 17) as out:
                    _pour(pieces, out)
                Path(name).replace(target)
            except BaseException:
                with suppress(OSError):
                    Path(name).unlink()
                raise
        self._there.add(target.name)
        return target


def _pour(pieces: Iterable[bytes], out: IO[bytes]) -> None:
    for piece in pieces:
        out.write(piece)
    out.flush()
    os.fsync(out.fileno())


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise MailError(
            _("The folder {folder} cannot be written: {reason}.").format(
                folder=folder, reason=problem.strerror or problem
            ),
            stage="work",
        ) from None

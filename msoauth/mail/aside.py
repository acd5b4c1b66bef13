"""Messages on their way: small ones in memory until a thread beside the conversation writes them, large ones streamed."""

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from msoauth.mail.durable import BINARY, names_in, write_all

SMALL = 1 << 18  # bytes of a message that may wait in memory


class Staged:
    """A whole message that is not in its place yet.

    Attributes:
        file: Where it is written, or will be.
        content: Its bytes, while they wait in memory.
        digest: The SHA-256 of the message as it came.
    """

    __slots__ = ("content", "digest", "file")

    def __init__(self, file: str, content: bytes | None, digest: str) -> None:
        self.file, self.content, self.digest = file, content, digest


class Aside:
    """Files of temporary names in a folder; only the holder of the place's lock makes one.

    Args:
        prefix: What the names begin with.

    Raises:
        OSError: the folder cannot be written. Every method may, ``sweep`` excepted.
    """

    def __init__(self, folder: str, prefix: str) -> None:
        self._folder, self._prefix = folder, prefix
        self._start = os.path.join(folder, f"{prefix}{os.getpid()}-")  # noqa: PTH118
        self._numbers = itertools.count(1)

    def sweep(self) -> None:
        """Remove what a crash left behind."""
        for name in names_in(self._folder):
            if name.startswith(self._prefix):
                with suppress(OSError):
                    Path(self._folder, name).unlink()

    def stage(self, pieces: Iterable[bytes], digest: Callable[[], str]) -> Staged:
        """Take in a message.

        Args:
            digest: Called when the last piece has come by.
        """
        name = f"{self._start}{next(self._numbers)}"
        kept: list[bytes] = []
        size = 0
        remaining = iter(pieces)
        for piece in remaining:
            kept.append(piece)
            size += len(piece)
            if size > SMALL:
                self._stream(name, itertools.chain(kept, remaining))
                return Staged(name, None, digest())
        return Staged(name, kept[0] if len(kept) == 1 else b"".join(kept), digest())

    @staticmethod
    def _stream(name: str, pieces: Iterable[bytes]) -> None:
        descriptor = _make(name)
        try:
            for piece in pieces:
                write_all(descriptor, piece)
        except BaseException:
            os.close(descriptor)
            os.unlink(name)  # noqa: PTH108
            raise
        os.close(descriptor)

    @staticmethod
    def write_out(staged: Sequence[Staged]) -> None:
        """Write what waits in memory."""
        for message in staged:
            if message.content is not None:
                descriptor = _make(message.file)
                try:
                    write_all(descriptor, message.content)
                finally:
                    os.close(descriptor)
                message.content = None

    @staticmethod
    def drop(staged: Staged) -> None:
        """Forget a message."""
        staged.content = None
        with suppress(OSError):
            os.unlink(staged.file)  # noqa: PTH108


def _make(name: str) -> int:
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, 0o600)

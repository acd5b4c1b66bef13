"""The base of the mail stores: stages messages in temporary files, and commits them in batches.

A message is staged first: a small one in memory, a large one in a temporary file. A second thread writes and commits
them in batches, because syncing each one to disk would take longer than retrieving it. A message gets its final place
only when it is complete and synced, so that a crash leaves no half message.
"""

import ctypes
import itertools
import os
import secrets
import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from filelock import FileLock
from filelock import Timeout as LockedError

from msoauth import private_files
from msoauth.errors import InputError, MailError
from msoauth.mail.index import MessageIndex
from msoauth.mail.messages import MessageSummary
from msoauth.texts import _


def write_all(descriptor: int, piece: bytes) -> None:
    """Write all of *piece*; one ``os.write`` may write less (a signal, a nearly full disk)."""
    written = os.write(descriptor, piece)
    while written < len(piece):
        written += os.write(descriptor, memoryview(piece)[written:])


def sync(files: list[str]) -> None:
    """Flush files to disk, with one call where the system can flush a whole file system (Linux)."""
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
    descriptor = private_files.open_private(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _find_syncfs() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        function: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None
    return function


syncfs = _find_syncfs()


def sync_folder(folder: str) -> None:
    """Flush a folder's entries to disk; Windows has no such call, and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def as_input_error(place: Path) -> Iterator[None]:
    """Turn an OSError into an InputError: before the retrieval, a place that cannot be written is wrong input.

    Raises:
        InputError: the operating system refused.
    """
    try:
        yield
    except OSError as problem:
        raise InputError(_cannot_write(place, problem), field="to") from None


def _cannot_write(place: Path, problem: OSError) -> str:
    return _("The folder {folder} cannot be written: {reason}.").format(
        folder=place, reason=problem.strerror or problem
    )


@contextmanager
def as_mail_error(place: Path) -> Iterator[None]:
    """Turn an OSError during a retrieval into a MailError that names the place.

    Raises:
        MailError: the operating system refused.
    """
    try:
        yield
    except OSError as problem:
        raise MailError(_cannot_write(place, problem), stage="work") from None


def names_in(folder: str) -> list[str]:
    """The names of the files and folders in a folder."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def tee(pieces: Iterable[bytes], consume: Callable[[bytes], object]) -> Iterator[bytes]:
    """Yield the pieces unchanged, after passing each to *consume*."""
    for piece in pieces:
        consume(piece)
        yield piece


SMALL = 1 << 18  # bytes up to which a message is staged in memory


@dataclass(slots=True)
class Staged:
    """A complete message that is not committed yet.

    Attributes:
        file: Its temporary file, which need not be written yet.
        content: Its bytes until they are written to the file, then None.
        digest: SHA-256 of the message as it was retrieved.
    """

    file: str
    content: bytes | None
    digest: str


class StagingFolder:
    """The temporary files of messages in a folder; only the holder of the store's lock may use it.

    Args:
        prefix: Of the files' names, by which leftovers are recognised.

    Raises:
        OSError: the folder cannot be written. Every method but ``remove_leftovers`` may raise it.
    """

    def __init__(self, folder: str, prefix: str) -> None:
        self._folder, self._prefix = folder, prefix
        self._start = os.path.join(folder, f"{prefix}{secrets.token_hex(8)}-")  # noqa: PTH118
        self._numbers = itertools.count(1)

    def remove_leftovers(self) -> None:
        """Delete the temporary files that a crash left behind."""
        for name in names_in(self._folder):
            if name.startswith(self._prefix):
                with suppress(OSError):
                    Path(self._folder, name).unlink()

    def stage(self, pieces: Iterable[bytes], digest: Callable[[], str]) -> Staged:
        """Stage a message: in memory up to 256 KB, else in its temporary file.

        Args:
            digest: Called after the last piece.
        """
        name = f"{self._start}{next(self._numbers)}"
        buffered: list[bytes] = []
        size = 0
        remaining = iter(pieces)
        for piece in remaining:
            buffered.append(piece)
            size += len(piece)
            if size > SMALL:
                self._write_file(name, itertools.chain(buffered, remaining))
                return Staged(name, None, digest())
        return Staged(name, buffered[0] if len(buffered) == 1 else b"".join(buffered), digest())

    @staticmethod
    def _write_file(name: str, pieces: Iterable[bytes]) -> None:
        descriptor = private_files.create(name)
        try:
            for piece in pieces:
                write_all(descriptor, piece)
        except BaseException:
            os.close(descriptor)
            os.unlink(name)  # noqa: PTH108
            raise
        os.close(descriptor)

    @staticmethod
    def write_staged(staged: Sequence[Staged]) -> None:
        """Write messages from memory to their temporary files."""
        for message in staged:
            if message.content is not None:
                descriptor = private_files.create(message.file)
                try:
                    write_all(descriptor, message.content)
                finally:
                    os.close(descriptor)
                message.content = None

    @staticmethod
    def discard(staged: Staged) -> None:
        """Discard a staged message."""
        staged.content = None
        with suppress(OSError):
            os.unlink(staged.file)  # noqa: PTH108


class MailStore(ABC):
    """A place where retrieved mail is stored; a context manager that holds its lock.

    Args:
        place: The folder or file, as an error names it.
        lock: The file that locks out a second retrieval.
        staging: Where messages wait until they are committed.
        index: Its index, opened and closed with the store.

    Raises:
        InputError: on entering, when another retrieval or mail program is writing there, or the place cannot be
            written.
        MailError: the place cannot be written. Every method may raise it.
    """

    def __init__(
        self, place: Path, lock: Path, staging: StagingFolder, index: MessageIndex
    ) -> None:
        self._place = place
        self._lock = FileLock(lock, mode=private_files.FILE_MODE, thread_local=False)
        self._staging = staging
        self._index = index

    def __enter__(self) -> Self:
        with as_input_error(self._place):
            try:
                self._lock.acquire(timeout=0)
            except LockedError:
                raise InputError(
                    _("Mail is being retrieved into {folder} already.").format(folder=self._place)
                ) from None
            try:
                self._staging.remove_leftovers()
                self._index.open()
                self._prepare()
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_args: object) -> None:
        self._index.close()
        self._lock.release()

    @abstractmethod
    def _prepare(self) -> None:
        """Find the stored messages, and complete a commit that a crash interrupted; may raise OSError."""

    @abstractmethod
    def has(self, uidl: str) -> bool:
        """Whether the message was stored."""

    @abstractmethod
    def row(self, uidl: str) -> MessageSummary | None:
        """The summary of a stored message, or None when there is no record of it any more."""

    @abstractmethod
    def stage(self, pieces: Iterable[bytes]) -> Staged:
        """Stage a message, without committing it."""

    @abstractmethod
    def write_staged(self, staged: Sequence[Staged]) -> None:
        """Write messages from memory to their temporary files."""

    def discard(self, staged: Staged) -> None:
        """Discard a staged message."""
        self._staging.discard(staged)

    @abstractmethod
    def commit(self, batch: list[tuple[Staged, MessageSummary]]) -> None:
        """Flush staged messages to disk and put them into place: each completely, or not at all."""


class BatchWriter:
    """Writes and commits staged messages in batches, in a thread of its own, while the next ones are retrieved."""

    # While the system flushes files, creating new ones is slow: few large batches are faster.
    _BATCH_MESSAGES = 2048
    _BATCH_BYTES = 64 << 20
    _WRITE_BYTES = 1 << 19  # bytes in memory after which the thread writes them
    _PENDING_WRITES = 8  # after which the retrieval waits for the disk
    _FIRST_COMMIT_SECONDS = (
        0.5  # after which a batch is committed, to show its rows; doubled each time
    )
    _MAX_COMMIT_SECONDS = 2.0

    def __init__(self, store: MailStore) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="saving")
        self._batch: list[tuple[Staged, MessageSummary]] = []
        self._bytes = 0
        self._unwritten: list[Staged] = []
        self._unwritten_bytes = 0
        self._writes: deque[Future[None]] = deque()
        self._batch_start = time.monotonic()
        self._commit_after = self._FIRST_COMMIT_SECONDS
        self._committing: tuple[Future[None], list[MessageSummary]] | None = None

    def add(self, staged: Staged, row: MessageSummary) -> Iterator[MessageSummary]:
        """Add a message; yields the summaries of messages committed meanwhile."""
        if not self._batch:
            self._batch_start = time.monotonic()
        self._batch.append((staged, row))
        self._bytes += row.size
        if staged.content is not None:
            self._unwritten.append(staged)
            self._unwritten_bytes += len(staged.content)
            if self._unwritten_bytes >= self._WRITE_BYTES:
                self._write()
        if (
            len(self._batch) >= self._BATCH_MESSAGES
            or self._bytes >= self._BATCH_BYTES
            or time.monotonic() - self._batch_start > self._commit_after
        ):
            self._commit_after = min(2 * self._commit_after, self._MAX_COMMIT_SECONDS)
            yield from self._commit()

    def _write(self) -> None:
        while self._writes and (
            self._writes[0].done() or len(self._writes) >= self._PENDING_WRITES
        ):
            self._writes.popleft().result()
        self._writes.append(self._pool.submit(self._store.write_staged, self._unwritten))
        self._unwritten, self._unwritten_bytes = [], 0

    def _commit(self) -> Iterator[MessageSummary]:
        yield from self._finished_commit()
        batch, self._batch, self._bytes = self._batch, [], 0
        self._unwritten, self._unwritten_bytes = [], 0  # the commit writes them
        if batch:
            future = self._pool.submit(self._store.commit, batch)
            self._committing = future, [row for _staged, row in batch]

    def _finished_commit(self) -> Iterator[MessageSummary]:
        if self._committing is not None:
            (future, rows), self._committing = self._committing, None
            while self._writes:
                self._writes.popleft().result()
            future.result()
            yield from rows

    def finish(self) -> Iterator[MessageSummary]:
        """Commit the remaining messages and end the thread; yields their summaries."""
        try:
            yield from self._commit()
            yield from self._finished_commit()
        finally:
            self._pool.shutdown()

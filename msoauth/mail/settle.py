"""Where retrieved mail goes, and how it gets there: message after message aside, batch after batch into place."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, Self

from msoauth.mail.aside import Staged
from msoauth.mail.messages import MessageSummary


class Store(Protocol):
    """Where messages go.

    Raises:
        MailError: the place cannot be written. Every method may.
    """

    def __enter__(self) -> Self: ...
    def __exit__(self, *_about: object) -> None: ...

    @property
    def place(self) -> Path:
        """Where people find the mail."""

    def has(self, uidl: str) -> bool:
        """Whether the message was stored."""

    def row(self, uidl: str) -> MessageSummary | None:
        """The table's row of a message that was stored, where it can still be told."""

    def stage(self, pieces: Iterable[bytes]) -> Staged:
        """Take in a message."""

    def write_out(self, staged: Sequence[Staged]) -> None:
        """Write what waits in memory."""

    def drop(self, staged: Staged) -> None:
        """Forget a message."""

    def settle(self, batch: list[tuple[Staged, MessageSummary]]) -> None:
        """Put these on disk and into place: each is there whole, or not at all."""


class Settling:
    """Messages are written, and batch after batch settled, in a thread beside the conversation."""

    # A system that puts files on disk makes new ones slowly meanwhile: few large batches are faster.
    _MESSAGES = 2048
    _BYTES = 64 << 20
    _IN_MEMORY = 1 << 19  # bytes that are handed over for writing at once
    _HANDED_OVER = 8  # times that, at most, before the conversation waits for the disk
    _SECONDS = 0.5  # after which the first rows should be seen; twice as long each time
    _SECONDS_AT_MOST = 2.0

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="settle")
        self._batch: list[tuple[Staged, MessageSummary]] = []
        self._bytes = 0
        self._unwritten: list[Staged] = []
        self._unwritten_bytes = 0
        self._writing: deque[Future[None]] = deque()
        self._began = time.monotonic()
        self._patience = self._SECONDS
        self._settling: tuple[Future[None], list[MessageSummary]] | None = None

    def add(self, staged: Staged, row: MessageSummary) -> Iterator[MessageSummary]:
        """Take a message; rows of those that are settled meanwhile."""
        if not self._batch:
            self._began = time.monotonic()
        self._batch.append((staged, row))
        self._bytes += row.size
        if staged.content is not None:
            self._unwritten.append(staged)
            self._unwritten_bytes += len(staged.content)
            if self._unwritten_bytes >= self._IN_MEMORY:
                self._write()
        if (
            len(self._batch) >= self._MESSAGES
            or self._bytes >= self._BYTES
            or time.monotonic() - self._began > self._patience
        ):
            self._patience = min(2 * self._patience, self._SECONDS_AT_MOST)
            yield from self._settle()

    def _write(self) -> None:
        while self._writing and (
            self._writing[0].done() or len(self._writing) >= self._HANDED_OVER
        ):
            self._writing.popleft().result()
        self._writing.append(self._pool.submit(self._store.write_out, self._unwritten))
        self._unwritten, self._unwritten_bytes = [], 0

    def _settle(self) -> Iterator[MessageSummary]:
        yield from self._settled()
        batch, self._batch, self._bytes = self._batch, [], 0
        self._unwritten, self._unwritten_bytes = [], 0  # settling writes them
        if batch:
            future = self._pool.submit(self._store.settle, batch)
            self._settling = future, [row for _staged, row in batch]

    def _settled(self) -> Iterator[MessageSummary]:
        if self._settling is not None:
            (future, rows), self._settling = self._settling, None
            while self._writing:
                self._writing.popleft().result()
            future.result()
            yield from rows

    def finish(self) -> Iterator[MessageSummary]:
        """Settle what is left; its rows."""
        try:
            yield from self._settle()
            yield from self._settled()
        finally:
            self._pool.shutdown()

"""Where retrieved mail goes, and how it gets there: message after message aside, batch after batch into place."""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from msoauth.mail.messages import MessageSummary


@dataclass(frozen=True, slots=True)
class Staged:
    """A whole message in a file of a temporary name, and the SHA-256 of its bytes."""

    file: str
    digest: str


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
        """Write a message aside."""

    def drop(self, staged: Staged) -> None:
        """Forget a message that was written aside."""

    def settle(self, batch: list[tuple[Staged, MessageSummary]]) -> None:
        """Put these on disk and into place: each is there whole, or not at all."""


class Settling:
    """Batches of staged messages, settled beside the conversation, one batch at a time."""

    _MESSAGES = 256
    _BYTES = 16 << 20
    _SECONDS = 0.5  # after which a row should be seen

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="settle")
        self._batch: list[tuple[Staged, MessageSummary]] = []
        self._bytes = 0
        self._began = time.monotonic()
        self._settling: tuple[Future[None], list[MessageSummary]] | None = None

    def add(self, staged: Staged, row: MessageSummary) -> Iterator[MessageSummary]:
        """Take a message; rows of those that are settled meanwhile."""
        if not self._batch:
            self._began = time.monotonic()
        self._batch.append((staged, row))
        self._bytes += row.size
        if (
            len(self._batch) >= self._MESSAGES
            or self._bytes >= self._BYTES
            or time.monotonic() - self._began > self._SECONDS
        ):
            yield from self._settle()

    def _settle(self) -> Iterator[MessageSummary]:
        yield from self._settled()
        batch, self._batch, self._bytes = self._batch, [], 0
        if batch:
            future = self._pool.submit(self._store.settle, batch)
            self._settling = future, [row for _staged, row in batch]

    def _settled(self) -> Iterator[MessageSummary]:
        if self._settling is not None:
            (future, rows), self._settling = self._settling, None
            future.result()
            yield from rows

    def finish(self) -> Iterator[MessageSummary]:
        """Settle what is left; its rows."""
        try:
            yield from self._settle()
            yield from self._settled()
        finally:
            self._pool.shutdown()

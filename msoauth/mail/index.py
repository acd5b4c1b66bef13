"""The index beside stored mail: unique id, file, digest and summary of each message, one JSON object a line.

Damaged lines are skipped: for .eml files the index only saves reading the files again.
"""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from msoauth.mail.messages import MessageSummary, from_json
from msoauth.private_files import open_private


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A message: the key in its file's name, the SHA-256 of its bytes (empty when unknown), and its summary."""

    key: str
    digest: str
    row: MessageSummary


class MessageIndex:
    """An append-only index file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._out: IO[bytes] | None = None
        self._raw: dict[str, str] = {}  # JSON lines by unique id; parsed when needed
        self._keys: dict[str, str] = {}
        self._by_digest: dict[str, str] = {}

    def load(self) -> "MessageIndex":
        """Read the file, as far as it can be read; returns the index itself."""
        with suppress(OSError):
            for raw in self._file.read_text(encoding="utf-8", errors="replace").split("\n"):
                with suppress(ValueError, KeyError, TypeError):
                    entry = json.loads(raw)
                    uidl, key, digest = str(entry["uidl"]), str(entry["key"]), str(entry["digest"])
                    self._remember(uidl, key, digest, raw)
        return self

    def open(self) -> None:
        """Read the file and open it for appending.

        Raises:
            OSError: it cannot be written.
        """
        self.load()
        descriptor = open_private(self._file, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._out = os.fdopen(descriptor, "a+b")
        end = self._out.seek(0, 2)
        if end:
            self._out.seek(end - 1)
            if self._out.read(1) != b"\n":  # a crash cut off the last line
                self._out.write(b"\n")

    def _remember(self, uidl: str, key: str, digest: str, raw: str) -> None:
        self._raw[uidl] = raw
        self._keys[uidl] = key
        if digest:
            self._by_digest[digest] = uidl

    def close(self) -> None:
        """Close the file."""
        if self._out is not None:
            self._out.close()
            self._out = None

    def key(self, uidl: str) -> str | None:
        """The key in a message's file name, or None when the message is not in the index."""
        return self._keys.get(uidl)

    def rows_by_key(self) -> dict[str, MessageSummary]:
        """All summaries, by the key of their files."""
        entries = (self.get(uidl) for uidl in self._raw)
        return {entry.key: entry.row for entry in entries if entry is not None}

    def get(self, uidl: str) -> IndexEntry | None:
        """The entry of a message, or None when it is missing or damaged."""
        raw = self._raw.get(uidl)
        if raw is None:
            return None
        try:
            entry = json.loads(raw)
            return IndexEntry(str(entry["key"]), str(entry["digest"]), from_json(entry))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def entry_with_digest(self, digest: str) -> IndexEntry | None:
        """The entry of a message with the same bytes, or None."""
        uidl = self._by_digest.get(digest)
        return None if uidl is None else self.get(uidl)

    def add(self, entries: list[IndexEntry]) -> None:
        """Append entries.

        Raises:
            OSError: the file cannot be written.
        """
        data = b""
        for entry in entries:
            values = {"key": entry.key, "digest": entry.digest, **entry.row.as_json()}
            raw = json.dumps(values)
            data += raw.encode() + b"\n"
            self._remember(entry.row.uidl, entry.key, entry.digest, raw)
        if self._out is not None and data:
            self._out.write(data)
            self._out.flush()

    def sync(self) -> None:
        """Flush the appended entries to disk."""
        if self._out is not None:
            os.fsync(self._out.fileno())

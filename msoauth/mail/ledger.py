"""What was retrieved into a place before: unique ids, digests, and the rows of the table, one JSON object a line.

For .eml files it is a convenience, and the files are the truth; a damaged line is passed over.
"""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from msoauth.mail.messages import MessageSummary, from_json


@dataclass(frozen=True, slots=True)
class Line:
    """A message: the key of its file, the SHA-256 of its bytes (empty when unknown), and its row."""

    key: str
    digest: str
    row: MessageSummary


class Ledger:
    """An append-only file of lines."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._out: IO[bytes] | None = None
        self._raw: dict[str, str] = {}  # by unique id; read only when asked for
        self._keys: dict[str, str] = {}
        self._by_digest: dict[str, str] = {}

    def load(self) -> "Ledger":
        """Read what is there; nothing, where nothing can be read."""
        with suppress(OSError):
            for raw in self._file.read_text(encoding="utf-8", errors="replace").split("\n"):
                with suppress(ValueError, KeyError, TypeError):
                    line = json.loads(raw)
                    uidl, key, digest = str(line["uidl"]), str(line["key"]), str(line["digest"])
                    self._note(uidl, key, digest, raw)
        return self

    def open(self) -> None:
        """Read what is there, and be ready to append.

        Raises:
            OSError: it cannot be written.
        """
        self.load()
        self._out = self._file.open("a+b")
        end = self._out.seek(0, 2)
        if end:
            self._out.seek(end - 1)
            if self._out.read(1) != b"\n":  # a crash cut the last line
                self._out.write(b"\n")

    def _note(self, uidl: str, key: str, digest: str, raw: str) -> None:
        self._raw[uidl] = raw
        self._keys[uidl] = key
        if digest:
            self._by_digest[digest] = uidl

    def close(self) -> None:
        """Let go of the file."""
        if self._out is not None:
            self._out.close()
            self._out = None

    def key(self, uidl: str) -> str | None:
        """What names the file of a message."""
        return self._keys.get(uidl)

    def rows_by_key(self) -> dict[str, MessageSummary]:
        """All rows, by what names their files."""
        lines = (self.get(uidl) for uidl in self._raw)
        return {line.key: line.row for line in lines if line is not None}

    def get(self, uidl: str) -> Line | None:
        """The line of a message."""
        raw = self._raw.get(uidl)
        if raw is None:
            return None
        try:
            line = json.loads(raw)
            return Line(str(line["key"]), str(line["digest"]), from_json(line))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def twin(self, digest: str) -> Line | None:
        """The line of a message of the same bytes."""
        uidl = self._by_digest.get(digest)
        return None if uidl is None else self.get(uidl)

    def add(self, lines: list[Line]) -> None:
        """Append lines.

        Raises:
            OSError: the file cannot be written.
        """
        made = b""
        for line in lines:
            told = {"key": line.key, "digest": line.digest, **line.row.as_json()}
            raw = json.dumps(told)
            made += raw.encode() + b"\n"
            self._note(line.row.uidl, line.key, line.digest, raw)
        if self._out is not None and made:
            self._out.write(made)
            self._out.flush()

    def sync(self) -> None:
        """Have what was appended put on disk."""
        if self._out is not None:
            os.fsync(self._out.fileno())

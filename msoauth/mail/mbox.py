"""Mail stored in one mbox file (the mboxrd variant).

A batch is first written to a redo log beside the mailbox, with the offset at which it belongs, and then appended.
After a crash, the next retrieval finds the log and appends what is missing. It never truncates the mailbox, which
other programs write to as well.
"""

import hashlib
import itertools
import json
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from msoauth import private_files
from msoauth.errors import InputError
from msoauth.mail.index import IndexEntry, MessageIndex
from msoauth.mail.messages import MessageSummary, from_json
from msoauth.mail.saving import (
    MailStore,
    Staged,
    StagingFolder,
    as_input_error,
    as_mail_error,
    sync,
    sync_folder,
    tee,
)
from msoauth.texts import _

_FROM = re.compile(rb"^(>*From )", re.MULTILINE)
_CHUNK = 1 << 16
_STALE_LOCK_SECONDS = 300  # after which mail programs ignore a lock
_LOCK_MARK = b"msoauth\n"
LOCK_SECONDS = 10.0  # how long to wait for another program's lock


class MboxStore(MailStore):
    """A mailbox in one mbox file.

    Raises:
        InputError: another retrieval or mail program is writing there.
    """

    def __init__(self, file: Path) -> None:
        prefix = file.parent / f".{file.name}.msoauth"
        staging = StagingFolder(str(file.parent), f"{prefix.name}-part-")
        index = MessageIndex(Path(f"{prefix}-index"))
        super().__init__(file, Path(f"{prefix}-lock"), staging, index)
        self._redo_log = f"{prefix}-redo"
        with as_input_error(file.parent):
            private_files.make_folder(file.parent)

    def has(self, uidl: str) -> bool:
        """Whether the message was ever stored here."""
        return self._index.key(uidl) is not None

    def row(self, uidl: str) -> MessageSummary | None:
        """The summary of a stored message, from the index."""
        entry = self._index.get(uidl)
        return None if entry is None else entry.row

    def stage(self, pieces: Iterable[bytes]) -> Staged:
        """Stage a message in the form in which it is appended."""
        digest = hashlib.sha256()
        start = f"From MAILER-DAEMON {time.asctime(time.gmtime())}\n".encode()
        quoted = itertools.chain([start], _quote_from_lines(tee(pieces, digest.update)), [b"\n"])
        with as_mail_error(self._place):
            return self._staging.stage(quoted, digest.hexdigest)

    def write_staged(self, staged: Sequence[Staged]) -> None:
        """Do nothing: messages in memory go into the redo log directly."""

    def commit(self, batch: list[tuple[Staged, MessageSummary]]) -> None:
        """Append staged messages: each completely, or not at all."""
        with as_mail_error(self._place), _dotlock(self._place):
            new = [
                staged
                for staged, _row in batch
                if self._index.entry_with_digest(staged.digest) is None
            ]
            header = {
                "offset": self._place.stat().st_size if self._place.exists() else 0,
                "lines": [[staged.digest, row.as_json()] for staged, row in batch],
            }
            new_log = _temporary(self._place)
            with os.fdopen(private_files.create(new_log), "wb") as out:
                out.write(json.dumps(header).encode() + b"\n")
                for staged in new:
                    if staged.content is not None:
                        out.write(staged.content)
                        continue
                    with open(staged.file, "rb") as source:  # noqa: PTH123
                        while piece := source.read(_CHUNK):
                            out.write(piece)
            sync([new_log])
            os.replace(new_log, self._redo_log)  # noqa: PTH105
            sync_folder(str(self._place.parent))
            self._append_redo_log()
        for staged, _row in batch:
            self._staging.discard(staged)

    def _prepare(self) -> None:
        if Path(self._redo_log).exists():
            with _dotlock(self._place):
                self._append_redo_log()

    def _append_redo_log(self) -> None:
        """Append what the mailbox does not have yet of the redo log; then delete the log."""
        with os.fdopen(private_files.open_private(self._redo_log, os.O_RDONLY), "rb") as redo_log:
            header: dict[str, Any] = json.loads(redo_log.readline())
            start = redo_log.tell()
            box_descriptor = private_files.open_private(self._place, os.O_RDWR | os.O_CREAT)
            with os.fdopen(box_descriptor, "r+b") as box:
                redo_log.seek(start + _already_appended(redo_log, box, int(header["offset"])))
                box.seek(0, os.SEEK_END)
                while piece := redo_log.read(_CHUNK):
                    box.write(piece)
                box.flush()
                os.fsync(box.fileno())
        entries = [IndexEntry("mbox", digest, from_json(row)) for digest, row in header["lines"]]
        self._index.add([entry for entry in entries if self._index.key(entry.row.uidl) is None])
        self._index.sync()
        os.unlink(self._redo_log)  # noqa: PTH108


def _already_appended(redo_log: IO[bytes], box: IO[bytes], offset: int) -> int:
    """How many bytes of the log an interrupted run has appended; 0 when other bytes are at the offset."""
    start = redo_log.tell()
    box.seek(offset)
    matching = 0
    while True:
        present = box.read(_CHUNK)
        expected = redo_log.read(len(present))
        if present != expected:
            # Either the whole log followed by other programs' mail, or other bytes from the start.
            complete = len(expected) < len(present) and present.startswith(expected)
            return matching + len(expected) if complete else 0
        matching += len(present)
        if not present:
            redo_log.seek(start)
            return matching


def _quote_from_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The message with LF line ends, and with ``>`` before each line that looks like a separator (mboxrd)."""
    incomplete, at_line_start = b"", True
    for piece in pieces:
        data = incomplete + piece
        cut = data.rfind(b"\n") + 1
        if not cut:
            if len(data) < _CHUNK:
                incomplete = data
                continue
            cut = len(data) - 1  # keep a CR for its LF
        incomplete = data[cut:]
        block = data[:cut].replace(b"\r\n", b"\n")
        yield _FROM.sub(rb">\1", block) if at_line_start else _quote_after_first_line(block)
        at_line_start = block.endswith(b"\n")
    if incomplete:
        yield _FROM.sub(rb">\1", incomplete) if at_line_start else incomplete
        yield b"\n"
    elif not at_line_start:
        yield b"\n"


def _quote_after_first_line(block: bytes) -> bytes:
    """Quote a block that begins in the middle of a line."""
    first, end, rest = block.partition(b"\n")
    return first + end + _FROM.sub(rb">\1", rest)


def _temporary(file: Path) -> str:
    """A name beside the mailbox, like those of staged messages, whose leftovers the next retrieval deletes."""
    return str(file.parent / f".{file.name}.msoauth-part-{secrets.token_hex(8)}")


@contextmanager
def _dotlock(file: Path) -> Iterator[None]:
    """Hold the lock file that mail programs share, ``NAME.lock`` beside the mailbox.

    The caller holds msoauth's own lock, so a lock file with msoauth's mark in it is a leftover of a crash.
    """
    lock_file, temporary = Path(f"{file}.lock"), Path(_temporary(file))
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        with os.fdopen(private_files.create(temporary), "wb") as marked:
            marked.write(_LOCK_MARK)
        try:
            os.link(temporary, lock_file)  # so that the lock file never exists without its mark
            break
        except FileExistsError:
            with suppress(OSError):
                if (
                    lock_file.read_bytes() == _LOCK_MARK
                    or time.time() - lock_file.stat().st_mtime > _STALE_LOCK_SECONDS
                ):
                    lock_file.unlink()
                    continue
            if time.monotonic() > deadline:
                raise InputError(
                    _("Another program holds {file}: the lock {lock} does not go away.").format(
                        file=file, lock=lock_file
                    )
                ) from None
            time.sleep(0.1)
        finally:
            temporary.unlink(missing_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):
            lock_file.unlink()

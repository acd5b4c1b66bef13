"""Mail in one mbox file (the mboxrd form), appended to so that no crash leaves half a message.

What is to be appended is first put on disk beside the mailbox, with the place where it belongs. A start that
finds it there goes on where the crash came, and never cuts anything off: the mailbox is other programs' too.
"""

import hashlib
import itertools
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

from filelock import FileLock

from msoauth.errors import InputError
from msoauth.mail.aside import Aside, Staged
from msoauth.mail.durable import BINARY, hold, noting, sync, sync_folder, usable, writable
from msoauth.mail.ledger import Ledger, Line
from msoauth.mail.messages import MessageSummary, from_json
from msoauth.texts import _

_FROM = re.compile(rb"^(>*From )", re.MULTILINE)
_CHUNK = 1 << 16
_STALE = 300  # seconds after which mail programs take a lock for left behind
_MARK = b"msoauth\n"
LOCK_PATIENCE = 10.0  # seconds that another mail program may hold the mailbox


class MboxStore:
    """An mbox file.

    Raises:
        InputError: another retrieval or mail program is writing there.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        beside = file.parent / f".{file.name}.msoauth"
        self._redo = f"{beside}-redo"
        self._aside = Aside(str(file.parent), f".{file.name}.msoauth-part-")
        self._lock = FileLock(f"{beside}-lock", thread_local=False)
        self._ledger = Ledger(Path(f"{beside}-index"))
        with usable(file.parent):
            file.parent.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        hold(self._lock, self._file)
        try:
            with usable(self._file):
                self._aside.sweep()
                self._ledger.open()
                self._go_on()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_about: object) -> None:
        self._ledger.close()
        self._lock.release()

    @property
    def place(self) -> Path:
        """Where people find the mail."""
        return self._file

    def has(self, uidl: str) -> bool:
        """Whether the message was ever stored here."""
        return self._ledger.key(uidl) is not None

    def row(self, uidl: str) -> MessageSummary | None:
        """The table's row of a message that was stored."""
        line = self._ledger.get(uidl)
        return None if line is None else line.row

    def stage(self, pieces: Iterable[bytes]) -> Staged:
        """Take in a message, as it will stand in the mailbox."""
        digest = hashlib.sha256()
        start = f"From MAILER-DAEMON {time.asctime(time.gmtime())}\n".encode()
        quoted = itertools.chain([start], _quoted(noting(pieces, digest.update)), [b"\n"])
        with writable(self._file):
            return self._aside.stage(quoted, digest.hexdigest)

    def write_out(self, staged: Sequence[Staged]) -> None:
        """Nothing: what is in memory is written into the plan."""

    def drop(self, staged: Staged) -> None:
        """Forget a message."""
        self._aside.drop(staged)

    def settle(self, batch: list[tuple[Staged, MessageSummary]]) -> None:
        """Append these: each is there whole, or not at all."""
        with writable(self._file), _dotlock(self._file):
            fresh = [(s, r) for s, r in batch if self._ledger.twin(s.digest) is None]
            plan = {
                "offset": self._file.stat().st_size if self._file.exists() else 0,
                "lines": [[staged.digest, row.as_json()] for staged, row in batch],
            }
            aside = f"{self._redo}-part"
            with open(aside, "wb") as out:  # noqa: PTH123
                out.write(json.dumps(plan).encode() + b"\n")
                for staged, _row in fresh:
                    if staged.content is not None:
                        out.write(staged.content)
                        continue
                    with open(staged.file, "rb") as source:  # noqa: PTH123
                        while piece := source.read(_CHUNK):
                            out.write(piece)
            sync([aside])
            os.replace(aside, self._redo)  # noqa: PTH105
            sync_folder(str(self._file.parent))
            self._append()
        for staged, _row in batch:
            self._aside.drop(staged)

    def _go_on(self) -> None:
        if Path(self._redo).exists():
            with _dotlock(self._file):
                self._append()

    def _append(self) -> None:
        """Append what the plan says and is not there yet; then forget the plan."""
        with open(self._redo, "rb") as plan:  # noqa: PTH123
            told: dict[str, Any] = json.loads(plan.readline())
            start = plan.tell()
            os.close(os.open(self._file, os.O_WRONLY | os.O_CREAT | BINARY, 0o600))
            with self._file.open("r+b") as box:
                plan.seek(start + _there_already(plan, box, int(told["offset"])))
                box.seek(0, os.SEEK_END)
                while piece := plan.read(_CHUNK):
                    box.write(piece)
                box.flush()
                os.fsync(box.fileno())
        lines = [Line("mbox", digest, from_json(row)) for digest, row in told["lines"]]
        self._ledger.add([line for line in lines if self._ledger.key(line.row.uidl) is None])
        self._ledger.sync()
        os.unlink(self._redo)  # noqa: PTH108


def _there_already(plan: IO[bytes], box: IO[bytes], offset: int) -> int:
    """How many bytes of the plan an earlier try has appended; 0 where something else stands there."""
    start = plan.tell()
    box.seek(offset)
    same = 0
    while True:
        there = box.read(_CHUNK)
        wanted = plan.read(len(there))
        if there != wanted:
            # The whole plan, and then other programs' mail, or something else from the first byte on.
            complete = len(wanted) < len(there) and there.startswith(wanted)
            return same + len(wanted) if complete else 0
        same += len(there)
        if not there:
            plan.seek(start)
            return same


def _quoted(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines that end in LF, those that look like the beginning of a message with a ``>`` before them."""
    held, at_line_start = b"", True
    for piece in pieces:
        data = held + piece
        cut = data.rfind(b"\n") + 1
        if not cut:
            if len(data) < _CHUNK:
                held = data
                continue
            cut = len(data) - 1  # a CR may be the last
        held = data[cut:]
        block = data[:cut].replace(b"\r\n", b"\n")
        yield _FROM.sub(rb">\1", block) if at_line_start else _inside(block)
        at_line_start = block.endswith(b"\n")
    if held:
        yield _FROM.sub(rb">\1", held) if at_line_start else held
        yield b"\n"
    elif not at_line_start:
        yield b"\n"


def _inside(block: bytes) -> bytes:
    """A block that goes on with a line: its first line is no beginning of one."""
    first, end, rest = block.partition(b"\n")
    return first + end + _FROM.sub(rb">\1", rest)


@contextmanager
def _dotlock(file: Path) -> Iterator[None]:
    """The lock that mail programs share: ``NAME.lock`` beside the mailbox.

    Whoever comes here holds our own lock, so a lock with our mark in it is what a crash of ours left behind.
    """
    name, aside = Path(f"{file}.lock"), file.parent / f".{file.name}.msoauth-part-lock"
    deadline = time.monotonic() + LOCK_PATIENCE
    while True:
        aside.write_bytes(_MARK)
        try:
            os.link(aside, name)  # with its mark in it from the first moment
            break
        except FileExistsError:
            with suppress(OSError):
                if name.read_bytes() == _MARK or time.time() - name.stat().st_mtime > _STALE:
                    name.unlink()
                    continue
            if time.monotonic() > deadline:
                raise InputError(
                    _("Another program holds {file}: the lock {lock} does not go away.").format(
                        file=file, lock=name
                    )
                ) from None
            time.sleep(0.1)
        finally:
            aside.unlink(missing_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):
            name.unlink()

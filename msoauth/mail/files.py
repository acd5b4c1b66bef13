"""Mail as files: .eml files or a Maildir. Written aside, put on disk in batches, and moved into place then.

A message has its final name only when it is whole and the operating system was asked to put it on disk; what
a crash at any moment leaves beside that is swept away by the next start. To ask for each message alone would
cost more than its retrieval, so a batch is asked for at once, in a thread beside the conversation.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from filelock import FileLock

from msoauth.errors import MailError
from msoauth.mail.aside import Aside, Staged
from msoauth.mail.durable import hold, names_in, noting, sync, sync_folder, usable, writable
from msoauth.mail.ledger import Ledger, Line
from msoauth.mail.messages import MessageSummary, summary_of
from msoauth.mail.structure import scan
from msoauth.texts import _

_SAFE = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")
# Windows has reserved names, and knows no difference between a and A: those get a digest too.
_RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"com{n}" for n in range(10)),
    *(f"lpt{n}" for n in range(10)),
}


def file_name(uidl: str) -> str:
    """What names a message's file: its unique id where every system can spell it, else a digest of it."""
    if _SAFE.fullmatch(uidl) and uidl not in _RESERVED:
        return uidl
    return hashlib.sha256(uidl.encode("utf-8", "replace")).hexdigest()[:32]


class FileStore:
    """A folder with a file for each message.

    Args:
        folder: Made if it is not there.
        maildir: A Maildir (``cur``, ``new``, ``tmp``) in place of .eml files.

    Raises:
        InputError: another process is writing there.
    """

    def __init__(self, folder: Path, *, maildir: bool = False) -> None:
        self._folder = folder
        self._maildir = maildir
        self._aside = Aside(str(folder / "tmp" if maildir else folder), ".part-")
        self._into = str(folder / "new" if maildir else folder)
        self._names: dict[
            str | None, str
        ] = {}  # the file of each message, by what its name is made of
        with usable(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for inner in ("cur", "new", "tmp") if maildir else ():
                (folder / inner).mkdir(exist_ok=True)
        self._lock = FileLock(folder / ".msoauth.lock", thread_local=False)
        self.ledger = Ledger(folder / ".msoauth-index")

    def __enter__(self) -> Self:
        hold(self._lock, self._folder)
        try:
            self._look_around()
            with usable(self._folder):
                self.ledger.open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_about: object) -> None:
        self.ledger.close()
        self._lock.release()

    @property
    def place(self) -> Path:
        """Where people find the mail."""
        return self._folder

    def _look_around(self) -> None:
        with usable(self._folder):
            self._aside.sweep()
            if not self._maildir:
                self._names = {
                    name[:-4]: name for name in names_in(self._into) if name.endswith(".eml")
                }
                return
            for inner in ("cur", "new"):
                for name in names_in(str(self._folder / inner)):
                    key = name.partition(":")[0].partition(".U")[2].partition(".")[0]
                    self._names[key] = f"{inner}/{name}"

    def has(self, uidl: str) -> bool:
        """Whether the message is there; in a Maildir, whose mail other programs move, whether it ever was."""
        key = self.ledger.key(uidl)
        if key is not None and (self._maildir or key in self._names):
            return True
        return file_name(uidl) in self._names

    def path(self, uidl: str) -> Path | None:
        """Where the message is, if it is there."""
        for key in (self.ledger.key(uidl), file_name(uidl)):
            if key in self._names:
                return self._folder / self._names[key]
        return None

    def row(self, uidl: str) -> MessageSummary | None:
        """The table's row of a message that was stored: as it was noted, or else out of its file."""
        line = self.ledger.get(uidl)
        if line is not None:
            return line.row
        file = self.path(uidl)
        if file is None:
            return None
        row = of_file(uidl, file)
        self.ledger.add([Line(file_name(uidl), "", row)])
        return row

    def stage(self, pieces: Iterable[bytes]) -> Staged:
        """Take in a message."""
        digest = hashlib.sha256()
        with writable(self._folder):
            return self._aside.stage(noting(pieces, digest.update), digest.hexdigest)

    def write_out(self, staged: Sequence[Staged]) -> None:
        """Write what waits in memory."""
        with writable(self._folder):
            self._aside.write_out(staged)

    def drop(self, staged: Staged) -> None:
        """Forget a message."""
        self._aside.drop(staged)

    def settle(self, batch: list[tuple[Staged, MessageSummary]]) -> None:
        """Put these on disk and into place: each is there whole, or not at all."""
        lines = []
        with writable(self._folder):
            self._aside.write_out([staged for staged, _row in batch])
            sync([staged.file for staged, _row in batch])
            for staged, row in batch:
                twin = self.ledger.twin(staged.digest)
                if twin is not None and twin.key in self._names:
                    os.unlink(staged.file)  # noqa: PTH108 - the server gave a known mail another id
                    lines.append(Line(twin.key, staged.digest, row))
                    continue
                key = file_name(row.uidl)
                name = f"{key}.eml"
                if self._maildir:
                    name = f"{int(time.time())}.U{key}.msoauth"
                os.replace(staged.file, os.path.join(self._into, name))  # noqa: PTH105, PTH118
                self._names[key] = f"new/{name}" if self._maildir else name
                lines.append(Line(key, staged.digest, row))
            sync_folder(self._into)
            self.ledger.add(lines)


def of_file(uidl: str, file: Path) -> MessageSummary:
    """The row for a message that lies in a file.

    Raises:
        MailError: the file cannot be read.
    """
    try:
        with file.open("rb") as source:
            return summary_of(uidl, scan(iter(lambda: source.read(1 << 17), b"")))
    except OSError as problem:
        raise MailError(
            _("The file {file} cannot be read: {reason}.").format(
                file=file, reason=problem.strerror or problem
            ),
            stage="work",
        ) from None

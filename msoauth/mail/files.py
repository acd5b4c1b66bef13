"""Mail stored as .eml files or in a Maildir.

A message is written to a temporary file, synced and then renamed: under its final name it is always complete.
Temporary files that a crash leaves behind are deleted by the next retrieval.
"""

import hashlib
import heapq
import os
import re
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from msoauth import private_files
from msoauth.errors import MailError
from msoauth.mail.index import IndexEntry, MessageIndex
from msoauth.mail.messages import MessageSummary, summary_of
from msoauth.mail.saving import (
    MailStore,
    Staged,
    StagingFolder,
    as_input_error,
    as_mail_error,
    names_in,
    sync,
    sync_folder,
    tee,
)
from msoauth.mail.structure import scan
from msoauth.texts import _

_INDEX = ".msoauth-index"
_SAFE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")  # no upper case, because Windows ignores case


def file_name(uidl: str) -> str:
    """The key in a message's file name: its unique id where every system allows that as a name, else its digest."""
    if _SAFE_NAME.fullmatch(uidl) and not private_files.is_device(uidl):
        return uidl
    return hashlib.sha256(uidl.encode("utf-8", "replace")).hexdigest()[:32]


class FileStore(MailStore):
    """A folder with a file for each message.

    Args:
        folder: Created if it does not exist.
        maildir: Store a Maildir (``cur``, ``new``, ``tmp``) instead of .eml files.

    Raises:
        InputError: another process is writing there.
    """

    def __init__(self, folder: Path, *, maildir: bool = False) -> None:
        staging = StagingFolder(str(folder / "tmp" if maildir else folder), ".part-")
        super().__init__(folder, folder / ".msoauth.lock", staging, MessageIndex(folder / _INDEX))
        self._maildir = maildir
        self._target = str(folder / "new" if maildir else folder)
        # The file of each message, by the key in its name. None is no key, but is looked up for messages without one.
        self._names: dict[str | None, str] = {}
        with as_input_error(folder):
            for subfolder in ("", "cur", "new", "tmp") if maildir else ("",):
                private_files.make_folder(folder / subfolder)

    def _prepare(self) -> None:
        if not self._maildir:
            self._names = {
                name[:-4]: name for name in names_in(self._target) if name.endswith(".eml")
            }
            return
        for subfolder in ("cur", "new"):
            for name in names_in(str(self._place / subfolder)):
                key = name.partition(":")[0].partition(".U")[2].partition(".")[0]
                self._names[key] = f"{subfolder}/{name}"

    def has(self, uidl: str) -> bool:
        """Whether the message is stored; in a Maildir, from which mail programs move mail, whether it ever was."""
        key = self._index.key(uidl)
        if key is not None and (self._maildir or key in self._names):
            return True
        return file_name(uidl) in self._names

    def path(self, uidl: str) -> Path | None:
        """The message's file, or None."""
        for key in (self._index.key(uidl), file_name(uidl)):
            if key in self._names:
                return self._place / self._names[key]
        return None

    def row(self, uidl: str) -> MessageSummary | None:
        """The summary of a stored message: from the index, else from its file."""
        entry = self._index.get(uidl)
        if entry is not None:
            return entry.row
        file = self.path(uidl)
        if file is None:
            return None
        row = summary_of_file(uidl, file)
        self._index.add([IndexEntry(file_name(uidl), "", row)])
        return row

    def stage(self, pieces: Iterable[bytes]) -> Staged:
        """Stage a message, without committing it."""
        digest = hashlib.sha256()
        with as_mail_error(self._place):
            return self._staging.stage(tee(pieces, digest.update), digest.hexdigest)

    def write_staged(self, staged: Sequence[Staged]) -> None:
        """Write messages from memory to their temporary files."""
        with as_mail_error(self._place):
            self._staging.write_staged(staged)

    def commit(self, batch: list[tuple[Staged, MessageSummary]]) -> None:
        """Flush staged messages to disk and rename them into place."""
        entries = []
        with as_mail_error(self._place):
            self._staging.write_staged([staged for staged, _row in batch])
            sync([staged.file for staged, _row in batch])
            for staged, row in batch:
                duplicate = self._index.entry_with_digest(staged.digest)
                if duplicate is not None and duplicate.key in self._names:
                    os.unlink(staged.file)  # noqa: PTH108 - the server gave a stored message a new id
                    entries.append(IndexEntry(duplicate.key, staged.digest, row))
                    continue
                key = file_name(row.uidl)
                name = f"{key}.eml"
                if self._maildir:
                    name = f"{int(time.time())}.U{key}.msoauth"
                os.replace(staged.file, os.path.join(self._target, name))  # noqa: PTH105, PTH118
                self._names[key] = f"new/{name}" if self._maildir else name
                entries.append(IndexEntry(key, staged.digest, row))
            sync_folder(self._target)
            self._index.add(entries)


def summary_of_file(uidl: str, file: Path) -> MessageSummary:
    """The summary of a message in a file.

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


def stored_mail(folder: Path, limit: int) -> list[MessageSummary]:
    """Summaries of the *limit* .eml files stored last, the latest message first; empty without such a folder."""
    try:
        files = [(file.stat().st_mtime_ns, file) for file in folder.glob("*.eml")]
    except OSError:
        return []
    indexed = MessageIndex(folder / _INDEX).load().rows_by_key() if files else {}
    rows = []
    for _when, file in heapq.nlargest(limit, files):
        with suppress(MailError):  # deleted meanwhile, or unreadable
            rows.append(indexed.get(file.stem) or summary_of_file(file.stem, file))
    return sorted(rows, key=lambda row: row.date or datetime.min.replace(tzinfo=UTC), reverse=True)

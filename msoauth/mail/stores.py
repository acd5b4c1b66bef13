"""The places where retrieved mail is stored: a folder of .eml files, a Maildir, or an mbox file.

Each message is first written to a temporary file. From there a batch of them is synced to disk and renamed, or appended
to the mbox: under its final name a message is always complete. The next retrieval deletes the temporary files that a
crash leaves behind, cuts what an interrupted batch appended to an mbox, and retrieves those messages again.
"""

import hashlib
import heapq
import itertools
import json
import mailbox
import os
import re
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, Self, cast

from filelock import FileLock
from filelock import Timeout as LockedError

from msoauth import private_files
from msoauth.errors import InputError, LocalError, MsoauthError
from msoauth.mail.messages import MessageSummary, from_json, summary_of
from msoauth.mail.structure import Scanner, scan
from msoauth.texts import _

Format = Literal["eml", "maildir", "mbox"]

# A batch is committed when it has so many messages or bytes, or so long after its first message.
BATCH_MESSAGES, _BATCH_BYTES, _BATCH_SECONDS = 2048, 64 << 20, 1.0
_SYNC_THREADS = 16  # file systems flush many files in one go when they are asked at the same time
_CHUNK = 1 << 17
_INDEX = ".msoauth-index"
NOTICES = "notices"  # the folder of what Exchange put in a message's place
_SAFE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,71}")  # no upper case, because Windows ignores case
_FROM = re.compile(rb">*From ")
_OURS = b"From MAILER-DAEMON "  # how mailbox.mbox begins a message; other programs name the sender, or write two blanks
_OTHERS_MAIL = re.compile(rb"^From (?!MAILER-DAEMON \S)", re.MULTILINE)
_LOCK_MARK = b"msoauth\n"
_STALE_LOCK_SECONDS = 300  # after which mail programs ignore a lock
LOCK_SECONDS = 10.0  # how long to wait for another program's lock


@contextmanager
def explaining(place: Path, *, retrieving: bool = False) -> Iterator[None]:
    """Turn an OSError into an error that names the place.

    Raises:
        InputError: the operating system refused; before the retrieval, that is wrong input.
        LocalError: it refused while *retrieving*.
    """
    try:
        yield
    except MsoauthError:
        raise
    except OSError as problem:
        text = _("The folder {folder} cannot be written: {reason}.").format(
            folder=place, reason=problem.strerror or problem
        )
        if not retrieving:
            raise InputError(text, field="to") from None
        step = _(
            "Make room on the disk or choose another place, and retrieve again: what is there is kept."
        )
        raise LocalError(text, fix=(step,)) from None


def _write_synced(file: str | Path, flags: int, content: bytes) -> None:
    """Write to a private file, and flush it to disk."""
    with os.fdopen(private_files.open_private(file, os.O_WRONLY | flags), "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def _sync(file: str | Path, flags: int = os.O_RDWR) -> None:
    descriptor = private_files.patiently(lambda: os.open(file, flags))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_all(files: list[str]) -> None:
    for file in files:
        with suppress(FileNotFoundError):  # told when it is put into place
            _sync(file)


class MessageIndex:
    """The index beside stored mail, one JSON object a line; damaged lines are skipped.

    Attributes:
        entries: By unique id: the key in the message's file name, the SHA-256 of its bytes (empty when unknown), and
            its summary.
        by_digest: The same, by that SHA-256.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.entries: dict[str, dict[str, Any]] = {}
        self.by_digest: dict[str, dict[str, Any]] = {}

    def load(self) -> None:
        """Read the file, as far as it can be read."""
        with suppress(OSError):
            for line in self.file.read_bytes().split(b"\n"):
                with suppress(ValueError, KeyError, TypeError):
                    self._remember(json.loads(line))

    def _remember(self, entry: dict[str, Any]) -> None:
        entry["key"] = str(entry["key"])
        self.by_digest[entry["digest"]] = self.entries[str(entry["uidl"])] = entry

    def add(self, entries: Iterable[tuple[str, str, MessageSummary]]) -> None:
        """Append entries, each a key, a digest and a summary, and flush them to disk.

        Raises:
            OSError: the file cannot be written.
        """
        added = [{"key": key, "digest": digest, **row.as_json()} for key, digest, row in entries]
        # Each begins a line of its own, also after one that a crash cut off.
        lines = b"".join(b"\n" + json.dumps(entry).encode() for entry in added)
        _write_synced(self.file, os.O_CREAT | os.O_APPEND, lines)
        for entry in added:
            self._remember(entry)

    def row(self, uidl: str) -> MessageSummary | None:
        """The summary of a message, or None when its entry is missing or damaged."""
        try:
            return from_json(self.entries[uidl])
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


class Staged(NamedTuple):
    """A complete message in a temporary file.

    Attributes:
        digest: SHA-256 of the message as it was retrieved.
        scanned: Its fields and parts.
    """

    file: str
    digest: str
    scanned: Scanner


class MailStore(ABC):
    """A place where retrieved mail is stored; a context manager that locks out other retrievals.

    Args:
        place: The folder or file, as an error names it.
        folders: Those to create; the last one is for temporary files.
        lock: The file that locks out a second retrieval.
        index: The file of its index.
        part: How the names of temporary files begin, by which leftovers are recognised.

    Raises:
        InputError: on entering, when another retrieval or mail program is writing there, or it cannot be written.
        LocalError: it cannot be written. Every method may raise it.
    """

    def __init__(
        self, place: Path, folders: Sequence[Path], lock: Path, index: Path, part: str
    ) -> None:
        self._place, self._folders, self._part = place, folders, part
        self._lock = FileLock(lock, mode=private_files.FILE_MODE, thread_local=False)
        self._index = MessageIndex(index)
        self._names = (f"{part}{secrets.token_hex(8)}-{n}" for n in itertools.count())
        self._batch: list[tuple[Staged, MessageSummary]] = []
        self._bytes, self._batch_start = 0, 0.0

    def __enter__(self) -> Self:
        with explaining(self._place):
            for folder in self._folders:
                private_files.make_folder(folder)
            try:
                self._lock.acquire(timeout=0)
            except LockedError:
                raise InputError(
                    _("Mail is being retrieved into {folder} already.").format(folder=self._place)
                ) from None
            try:
                for name in os.listdir(self._folders[-1]):  # noqa: PTH208 - no path for each
                    if name.startswith(self._part):
                        self.discard(self._folders[-1] / name)
                self._prepare()
                self._index.load()
                # A file that cannot be written fails now, rather than after the first batch.
                os.close(private_files.open_private(self._index.file, os.O_WRONLY | os.O_CREAT))
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_args: object) -> None:
        self._lock.release()

    @abstractmethod
    def _prepare(self) -> None:
        """Find the stored messages, and undo a batch that a crash interrupted; may raise OSError."""

    def has(self, uidl: str) -> bool:
        """Whether the message was ever stored: a mail program may have moved or deleted it since."""
        return uidl in self._index.entries

    def row(self, uidl: str) -> MessageSummary | None:
        """The summary of a stored message, or None when there is no record of it any more."""
        return self._index.row(uidl)

    def stage(self, pieces: Iterable[bytes]) -> Staged:
        """Write a message to a temporary file, without committing it."""
        file = f"{self._folders[-1]}{os.sep}{next(self._names)}"
        digest, scanner = hashlib.sha256(), Scanner()
        with explaining(self._place, retrieving=True):
            try:
                with os.fdopen(private_files.create(file), "wb") as out:
                    for piece in self._stored_form(_tee(pieces, digest.update, scanner.feed)):
                        out.write(piece)
            except BaseException:
                self.discard(file)
                raise
        scanner.close()
        return Staged(file, digest.hexdigest(), scanner)

    def _stored_form(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The message as it is stored."""
        return pieces

    @staticmethod
    def discard(file: str | Path) -> None:
        """Delete a temporary file, if it is there."""
        with suppress(OSError):
            os.unlink(file)  # noqa: PTH108

    def set_apart(self, staged: Staged, uidl: str) -> None:
        """Put a notice that came in a message's place into a folder of its own; the message stays to be retrieved."""
        with explaining(self._place, retrieving=True):
            private_files.make_folder(self._apart)
            _sync(staged.file)
            private_files.replace(staged.file, self._apart / f"{file_name(uidl)}.eml")

    def add(self, staged: Staged, row: MessageSummary) -> list[MessageSummary]:
        """Add a staged message to the batch; returns the summaries of messages that were committed now."""
        if not self._batch:
            self._batch_start = time.monotonic()
        self._batch.append((staged, row))
        self._bytes += row.size
        is_due = (
            len(self._batch) >= BATCH_MESSAGES
            or self._bytes >= _BATCH_BYTES
            or time.monotonic() - self._batch_start > _BATCH_SECONDS
        )
        return self.commit() if is_due else []

    def commit(self) -> list[MessageSummary]:
        """Put the batch into place, each message completely or not at all; returns their summaries."""
        batch, self._batch, self._bytes = self._batch, [], 0
        lost: set[str] = set()
        if batch:
            with explaining(self._place, retrieving=True):
                lost = self._commit(batch)
            if self._apart.is_dir():
                for _staged, row in batch:
                    self.discard(self._apart / f"{file_name(row.uidl)}.eml")  # it has come at last
        removed = _(
            "another program of this computer, such as a virus scanner, removed the message while it was stored"
        )
        return [
            replace(row, status="missing", reply=removed) if row.uidl in lost else row
            for _staged, row in batch
        ]

    @property
    def _apart(self) -> Path:
        """The folder of notices: in a folder of mail, or beside a file."""
        is_folder = self._folders[0] == self._place
        return (
            self._place / NOTICES
            if is_folder
            else self._place.with_name(f"{self._place.name}.{NOTICES}")
        )

    @abstractmethod
    def _commit(self, batch: Sequence[tuple[Staged, MessageSummary]]) -> set[str]:
        """Flush staged messages to disk and put them into place; may raise OSError.

        Returns:
            The unique ids of those whose files somebody else has removed meanwhile.
        """


def _tee(pieces: Iterable[bytes], *consumers: Callable[[bytes], object]) -> Iterator[bytes]:
    for piece in pieces:
        for consume in consumers:
            consume(piece)
        yield piece


def file_name(uidl: str) -> str:
    """The key in a message's file name: its unique id where every system allows that as a name, else its digest."""
    if _SAFE_NAME.fullmatch(uidl) and not private_files.is_device(uidl):
        return uidl
    return hashlib.sha256(uidl.encode("utf-8", "replace")).hexdigest()[:32]


class EmlStore(MailStore):
    """A folder with an .eml file for each message."""

    def __init__(self, folder: Path, *subfolders: Path) -> None:
        super().__init__(
            folder, (folder, *subfolders), folder / ".msoauth.lock", folder / _INDEX, ".part-"
        )
        self._target = folder
        self._files: dict[str, str] = {}  # names of files, by the key in them

    def _prepare(self) -> None:
        names = os.listdir(self._place)  # noqa: PTH208 - no path for each
        self._files = {name[:-4]: name for name in names if name.endswith(".eml")}

    def _open(self, name: str) -> IO[bytes]:
        return (self._place / name).open("rb")

    def _new_name(self, key: str) -> str:
        return f"{key}.eml"

    def _find(self, uidl: str) -> str | None:
        """The name of a message's file."""
        entry = self._index.entries.get(uidl, {})
        return self._files.get(entry.get("key", "")) or self._files.get(file_name(uidl))

    def has(self, uidl: str) -> bool:
        """Whether the message is stored."""
        return self._find(uidl) is not None

    def row(self, uidl: str) -> MessageSummary | None:
        """The summary of a stored message: from the index, else from its file."""
        row, name = super().row(uidl), self._find(uidl)
        if row is None and name is not None:
            with explaining(self._place, retrieving=True):
                with self._open(name) as source:
                    row = _summary_of_file(uidl, source)
                self._index.add([(file_name(uidl), "", row)])
        return row

    def _commit(self, batch: Sequence[tuple[Staged, MessageSummary]]) -> set[str]:
        files = [staged.file for staged, _row in batch]
        with ThreadPoolExecutor(_SYNC_THREADS, thread_name_prefix="sync") as pool:
            for _done in pool.map(
                _sync_all, (files[n::_SYNC_THREADS] for n in range(_SYNC_THREADS))
            ):
                pass
        entries, lost = [], set()
        for staged, row in batch:
            key = self._index.by_digest.get(staged.digest, {}).get("key")
            if key in self._files:  # the server gave a stored message a new id
                self.discard(staged.file)
            else:
                key, name = file_name(row.uidl), self._new_name(file_name(row.uidl))
                try:
                    private_files.replace(staged.file, f"{self._target}{os.sep}{name}")
                except FileNotFoundError:
                    lost.add(row.uidl)
                    continue
                self._files[key] = name
            entries.append((key, staged.digest, row))
        private_files.sync_folder(self._target)
        self._index.add(entries)
        return lost


class MaildirStore(EmlStore):
    """A Maildir, with LF line ends as other programs write them.

    ``mailbox.Maildir`` finds and opens messages, but does not add them: its ``add`` makes files that others may read,
    syncs each by itself, and gives names by which a message is not found again when a crash spoils the index.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, folder / "cur", folder / "new", folder / "tmp")
        self._target = folder / "new"

    def _prepare(self) -> None:
        self._box = mailbox.Maildir(self._place, create=False)
        self._files = {
            name.partition(".U")[2].partition(".")[0]: name for name in self._box.iterkeys()
        }

    def _open(self, name: str) -> IO[bytes]:
        return cast("IO[bytes]", self._box.get_file(name))

    def _new_name(self, key: str) -> str:
        return f"{int(time.time())}.U{key}.msoauth"

    def has(self, uidl: str) -> bool:
        """Whether the message is stored, or was: mail programs move and delete mail."""
        return uidl in self._index.entries or super().has(uidl)

    def _stored_form(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        held = b""  # a CR, until it is seen whether LF follows
        for piece in pieces:
            data = held + piece
            held = b"\r" if data.endswith(b"\r") else b""
            yield data[: len(data) - len(held)].replace(b"\r\n", b"\n")
        yield held


class MboxStore(MailStore):
    """One mbox file (the mboxrd variant), to which other programs may write as well.

    While a batch is appended, a file beside it holds the sizes that mailbox and index had before: where the next
    retrieval finds it, it cuts them back.
    """

    def __init__(self, file: Path) -> None:
        start = f".{file.name}.msoauth"
        lock, index, self._sizes = (
            file.parent / f"{start}-{name}" for name in ("lock", "index", "batch")
        )
        super().__init__(file, [file.parent], lock, index, f"{start}-part-")
        self._box: mailbox.mbox | None = None
        self._inode = 0

    def __exit__(self, *_args: object) -> None:
        try:
            if self._box is not None:
                self._box.close()
        except OSError:
            pass  # told already by the commit that failed
        finally:
            self._box = None
            super().__exit__()

    def _prepare(self) -> None:
        if self._sizes.is_symlink() or self._sizes.exists():
            with self._locked():
                self._undo_batch()

    def _undo_batch(self) -> None:
        """Cut off what an interrupted batch appended, but not the mail that other programs appended since."""
        with os.fdopen(private_files.open_private(self._sizes, os.O_RDONLY), "rb") as file:
            sizes = file.read()
        with suppress(ValueError):  # it was interrupted before it began
            box_size, index_size = map(int, json.loads(sizes))
            with self._place.open("rb") as box:
                box.seek(box_size)
                added = box.read()
            others = _OTHERS_MAIL.search(added)
            if added[: len(_OURS)] == _OURS[: len(added)]:
                _cut(self._place, box_size, added[others.start() :] if others else b"")
            _cut(self._index.file, index_size, b"")
        self._sizes.unlink()

    def _commit(self, batch: Sequence[tuple[Staged, MessageSummary]]) -> set[str]:
        lost = set()
        with self._locked() as box:
            sizes = [file.stat().st_size for file in (self._place, self._index.file)]
            _write_synced(self._sizes, os.O_CREAT | os.O_TRUNC, json.dumps(sizes).encode())
            private_files.sync_folder(self._place.parent)
            for staged, row in batch:
                if staged.digest not in self._index.by_digest:
                    try:
                        with Path(staged.file).open("rb") as source:
                            box.add(_Quoted(source))
                    except FileNotFoundError:
                        lost.add(row.uidl)
            box.flush()
            self._index.add(
                ("mbox", staged.digest, row) for staged, row in batch if row.uidl not in lost
            )
            self._sizes.unlink()
        for staged, _row in batch:
            self.discard(staged.file)
        return lost

    @contextmanager
    def _locked(self) -> Iterator[mailbox.mbox]:
        """The mailbox, under the locks that mail programs share.

        This process holds msoauth's own lock, so a lock file with msoauth's mark in it is a leftover of a crash.
        """
        lock_file = Path(f"{self._place}.lock")
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            if self._box is None:
                os.close(private_files.open_private(self._place, os.O_RDWR | os.O_CREAT))
                self._inode = self._place.stat().st_ino
                self._box = mailbox.mbox(self._place, create=False)
            try:
                self._box.lock()
            except mailbox.ExternalClashError:
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
                            file=self._place, lock=lock_file
                        )
                    ) from None
                time.sleep(0.1)
                continue
            if self._place.exists() and self._place.stat().st_ino == self._inode:
                break
            self._box.close()  # another program has replaced the file
            self._box = None
        try:
            _write_synced(lock_file, 0, _LOCK_MARK)
            yield self._box
        finally:
            self._box.unlock()


class _Quoted:
    """The lines of a message for ``mailbox.mbox.add``, with ``>`` before each that looks like a separator (mboxrd)."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.read = source.read

    def readline(self) -> bytes:
        """The next line, or a part of a very long one."""
        line = self._source.readline(_CHUNK)
        if line.endswith(b"\r"):  # a part must not end between CR and LF
            line += self._source.readline(1)
        return b">" + line if _FROM.match(line) else line


def _cut(file: Path, size: int, rest: bytes) -> None:
    """Replace what follows the first *size* bytes of a file."""
    with os.fdopen(private_files.open_private(file, os.O_RDWR), "r+b") as out:
        out.truncate(size)
        out.seek(size)
        out.write(rest)
        out.flush()
        os.fsync(out.fileno())


def open_store(place: Path, format: Format = "eml") -> MailStore:  # noqa: A002 - the option's name
    """The store at *place*: a folder of .eml files, a Maildir, or an mbox file."""
    if format == "mbox":
        return MboxStore(place)
    return MaildirStore(place) if format == "maildir" else EmlStore(place)


def _summary_of_file(uidl: str, source: IO[bytes]) -> MessageSummary:
    return summary_of(uidl, scan(iter(lambda: source.read(_CHUNK), b"")))


def stored_mail(folder: Path, limit: int) -> list[MessageSummary]:
    """Summaries of the *limit* .eml files stored last, the latest message first; empty without such a folder."""
    try:
        files = [(file.stat().st_mtime_ns, file) for file in folder.glob("*.eml")]
    except OSError:
        return []
    index = MessageIndex(folder / _INDEX)
    index.load()
    uidls = {entry["key"]: uidl for uidl, entry in index.entries.items()}
    rows = []
    for _when, file in heapq.nlargest(limit, files):
        with suppress(OSError), file.open("rb") as source:  # deleted meanwhile, or unreadable
            row = index.row(uidls.get(file.stem, ""))
            rows.append(row or _summary_of_file(file.stem, source))
    return sorted(rows, key=lambda row: row.date or datetime.min.replace(tzinfo=UTC), reverse=True)

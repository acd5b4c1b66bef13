"""Locks of the operating system, by number, that hold against other processes and go with their holder."""

import errno
import os
import sys
import threading
from pathlib import Path
from typing import Protocol

import filelock

if sys.platform != "win32":
    import fcntl

_HELD = frozenset({errno.EACCES, errno.EAGAIN})


class ProcessLocks(Protocol):
    """Locks by number, 0 to 2**62; that two threads do not ask for the same one is the caller's care.

    ``FolderLocks`` are those that a folder has on this system. A process makes one for each folder, and keeps it.
    """

    def take(self, number: int) -> bool:
        """Take a lock; False when another process holds it.

        Raises:
            OSError: the folder cannot be written, or its file system knows no locks.
        """

    def give_back(self, number: int) -> None:
        """Let go of a lock that was taken."""


class LockFiles:
    """A file each: on every system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "locks"
        self._held: dict[int, filelock.BaseFileLock] = {}

    def take(self, number: int) -> bool:
        lock = filelock.FileLock(self._folder / f"{number:016x}.lock", thread_local=False)
        try:
            try:
                lock.acquire(timeout=0)
            except FileNotFoundError:  # the first lock of this folder
                self._folder.mkdir(parents=True, exist_ok=True)
                lock.acquire(timeout=0)
        except filelock.Timeout:
            return False
        self._held[number] = lock
        return True

    def give_back(self, number: int) -> None:
        self._held.pop(number).release()


if sys.platform == "win32":
    FolderLocks = LockFiles
else:

    class LockedBytes:
        """A byte of one file each (POSIX): an audit of ten thousand accounts makes no file for each of them.

        One object a process and file, because the system lets go of all that a process holds on a file when the
        process closes any descriptor of it: nothing else may open it. It is open as long as one lock is held.
        """

        def __init__(self, folder: Path) -> None:
            self._file = folder / "workspace.locks"
            self._guard = threading.Lock()
            self._descriptor = -1
            self._held = 0

        def _opened(self) -> int:
            options = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            try:
                return os.open(self._file, options, 0o666)
            except FileNotFoundError:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                return os.open(self._file, options, 0o666)

        def take(self, number: int) -> bool:
            with self._guard:
                if not self._held:
                    self._descriptor = self._opened()
                elif not os.fstat(self._descriptor).st_nlink:  # the folder was made anew meanwhile
                    gone, self._descriptor = self._descriptor, self._opened()
                    os.close(gone)
                try:
                    fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
                except OSError as problem:
                    if not self._held:
                        os.close(self._descriptor)
                    if problem.errno in _HELD:
                        return False
                    raise
                self._held += 1
                return True

        def give_back(self, number: int) -> None:
            with self._guard:
                try:
                    fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, number)
                finally:
                    self._held -= 1
                    if not self._held:
                        os.close(self._descriptor)

    FolderLocks = LockedBytes

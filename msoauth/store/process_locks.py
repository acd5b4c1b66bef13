"""Operating system locks between processes, by number; released when the holder dies."""

import errno
import os
import sys
import threading
from pathlib import Path
from typing import Protocol

import filelock

from msoauth import private_files

if sys.platform != "win32":
    import fcntl

_HELD_ERRORS = frozenset({errno.EACCES, errno.EAGAIN})


class ProcessLocks(Protocol):
    """Locks by number, 0 to 2**62, in one folder; the caller makes sure that two threads never want the same one.

    ``FolderLocks`` is the implementation for this operating system. A process has one object for each folder.
    """

    def acquire(self, number: int) -> bool:
        """Acquire a lock; False when another process holds it.

        Raises:
            OSError: the folder cannot be written, or its file system does not support locks.
        """

    def release(self, number: int) -> None:
        """Release a lock that was acquired."""


class LockFiles:
    """One file for each lock; works on every system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "locks"
        self._held: dict[int, filelock.BaseFileLock] = {}

    def acquire(self, number: int) -> bool:
        lock = filelock.FileLock(
            self._folder / f"{number:016x}.lock", mode=private_files.FILE_MODE, thread_local=False
        )
        try:
            try:
                lock.acquire(timeout=0)
            except FileNotFoundError:  # the first lock in this folder
                private_files.make_folder(self._folder)
                lock.acquire(timeout=0)
        except filelock.Timeout:
            return False
        self._held[number] = lock
        return True

    def release(self, number: int) -> None:
        self._held.pop(number).release()


if sys.platform == "win32":
    FolderLocks = LockFiles
else:

    class LockedBytes:
        """One byte of a shared file for each lock (POSIX), so that 10,000 accounts need no 10,000 files.

        POSIX releases all of a process's locks on a file when the process closes any descriptor of it. So there is
        one object for each file, nothing else opens the file, and it stays open as long as a lock is held.
        """

        def __init__(self, folder: Path) -> None:
            self._file = folder / "workspace.locks"
            self._guard = threading.Lock()
            self._descriptor = -1
            self._held_count = 0

        def _open_file(self) -> int:
            private_files.make_folder(self._file.parent)
            return private_files.open_private(self._file, os.O_RDWR | os.O_CREAT)

        def acquire(self, number: int) -> bool:
            with self._guard:
                if not self._held_count:
                    self._descriptor = self._open_file()
                elif not os.fstat(self._descriptor).st_nlink:
                    # The folder was deleted and created again.
                    old, self._descriptor = self._descriptor, self._open_file()
                    os.close(old)
                try:
                    fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
                except OSError as problem:
                    if not self._held_count:
                        os.close(self._descriptor)
                    if problem.errno in _HELD_ERRORS:
                        return False
                    raise
                self._held_count += 1
                return True

        def release(self, number: int) -> None:
            with self._guard:
                try:
                    fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, number)
                finally:
                    self._held_count -= 1
                    if not self._held_count:
                        os.close(self._descriptor)

    FolderLocks = LockedBytes

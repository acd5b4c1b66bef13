"""Files and folders that only the user can read: created, opened, replaced and named here, on every system.

What msoauth writes holds clients' data. A file gets its permissions when it is created, whatever the umask: a chmod
afterwards would come too late. Symbolic links that somebody else may have planted are not followed. On Windows, which
has no modes, an access list for the user alone is set with ``icacls``; what is created in such a folder inherits it.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeVar

from msoauth.texts import _

FILE_MODE, FOLDER_MODE = 0o600, 0o700
# Each of these exists on some systems only. Without O_BINARY, Windows writes each LF as CRLF.
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
Result = TypeVar("Result")
_PAUSES = (0.05, 0.1, *[0.25] * 8)  # seconds between tries of what a virus scanner prevents
_MOST_LINKS = 40  # that a path may lead through, as in Linux

_database_lock = threading.Lock()


def open_private(file: str | Path, flags: int) -> int:
    """Open a file as ``os.open`` does, but never through a symbolic link; returns the descriptor.

    A file that is created is the user's alone, whatever the umask; one that others could read is narrowed.

    Raises:
        OSError: it cannot be opened, is a link, or is somebody else's.
    """
    try:
        descriptor = os.open(file, flags | _FLAGS, FILE_MODE)
    except OSError as problem:
        raise (_link_error(file) if problem.errno == errno.ELOOP else problem) from None
    try:
        _set_mode(descriptor, FILE_MODE)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _link_error(path: str | Path) -> OSError:
    return OSError(errno.ELOOP, _("it leads through a symbolic link"), str(path))


def _set_mode(descriptor: int, mode: int) -> None:
    """Narrow what was there before; a umask, which can only take rights away, may have taken some of the user's own."""
    if os.name == "posix" and os.fstat(descriptor).st_mode & 0o777 != mode:
        os.fchmod(descriptor, mode)


def create(file: str | Path) -> int:
    """Create a file that must not be there yet, not even as a link, for writing; returns the descriptor.

    Raises:
        OSError: it is there already, or cannot be created.
    """
    return open_private(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL)


def read_bounded(file: Path, most: int) -> bytes:
    """The content of a file that comes from elsewhere.

    Args:
        most: How many bytes it may have.

    Raises:
        OSError: it cannot be read, or is larger.
    """
    with file.open("rb") as source:
        content = source.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(file))
    return content


def read_json(file: Path, most: int) -> Any:
    """The JSON in a file that comes from elsewhere, in UTF-8, or in UTF-16 as ``>`` of Windows PowerShell 5.1 writes it.

    Args:
        most: How many bytes the file may have.

    Raises:
        OSError: it cannot be read, or is larger.
        ValueError: it is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(read_bounded(file, most))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def narrow_output(stream: TextIO) -> None:
    """Narrow the file, if any, that a shell opened for *stream*, before something private is written to it."""
    with contextlib.suppress(OSError, ValueError):  # no file, or somebody else's
        if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            _set_mode(stream.fileno(), FILE_MODE)


@contextlib.contextmanager
def replacing(file: Path) -> Iterator[BinaryIO]:
    """A new file that replaces *file*, synced to disk, when the block ends without an exception.

    A device or a pipe, such as ``/dev/stdout``, is written to directly. A symbolic link is replaced, not followed;
    what a user names goes through :func:`resolve` first.

    Raises:
        OSError: the file cannot be written.
    """
    if _is_device(file):
        with file.open("wb") as device:
            yield device
        return
    part = file.parent / f".msoauth-{secrets.token_hex(8)}.part"
    descriptor = create(part)
    try:
        with os.fdopen(descriptor, "wb") as out:
            _restrict_on_windows(part)
            yield out
            out.flush()
            os.fsync(out.fileno())
        replace(part, file)
    finally:
        part.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk; Windows has no such call, and needs none.

    Raises:
        OSError: they cannot be flushed.
    """
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace(source: str | Path, target: str | Path) -> None:
    """Rename a file, replacing *target*; while a virus scanner holds one of them, try again for about two seconds.

    Raises:
        OSError: it cannot be replaced.
    """
    patiently(lambda: os.replace(source, target))  # noqa: PTH105


def patiently(action: Callable[[], Result]) -> Result:
    """The result of something that the system may deny for a moment, while a virus scanner holds a file.

    Raises:
        PermissionError: it was denied for about two seconds.
    """
    for pause in _PAUSES:
        try:
            return action()
        except PermissionError:
            time.sleep(pause)
    return action()


def _is_device(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def write(file: Path, content: bytes) -> None:
    """Write a file completely or not at all; see :func:`replacing`.

    Raises:
        OSError: it cannot be written.
    """
    with replacing(file) as out:
        out.write(content)


def resolve(path: Path) -> Path:
    """The absolute path, without symbolic links, to what the user named; of a device or a pipe, *path* itself.

    Raises:
        OSError: the path leads through a link in a folder where others may write, such as ``/tmp``: somebody else
            may have planted it there.
    """
    place, links = Path(path.absolute().anchor), 0
    rest = list(reversed(path.absolute().parts[1:]))
    while rest:
        part = rest.pop()
        if part == "..":
            place = place.parent
        elif not (place / part).is_symlink():
            place /= part
        else:
            links += 1
            if links > _MOST_LINKS or others_may_write(place):
                raise _link_error(place / part)
            target = (place / part).readlink()
            if target.is_absolute():
                place = Path(target.anchor)
            rest += reversed(target.parts[1:] if target.is_absolute() else target.parts)
    return path if _is_device(path) else place


def resolve_below(top: Path, path: Path) -> Path:
    """As :func:`resolve`; inside the folder *top*, which is msoauth's own, no link is followed at all.

    Raises:
        OSError: the path leads through a link.
    """
    place = resolve(path)
    if path.absolute().is_relative_to(top) and place != path.absolute():
        raise _link_error(path)
    return place


def others_may_write(folder: Path) -> bool:
    """Whether other users may create files in a folder; False on Windows, where modes do not tell."""
    if os.name != "posix":
        return False
    info = folder.stat()
    # Many systems give each user a group of their own, with the user's number, which nobody else is in.
    by_group = info.st_mode & stat.S_IWGRP and info.st_gid != info.st_uid
    return bool(by_group or info.st_mode & stat.S_IWOTH or info.st_uid not in (0, os.geteuid()))


def make_folder(folder: Path) -> None:
    """Create a folder, and those above it that are missing, for the user alone; an existing one stays as it is.

    Raises:
        OSError: it cannot be created, or its name is taken by a file or a link.
    """
    try:
        folder.mkdir(FOLDER_MODE)  # on Windows, recent Pythons set an access list at once
    except FileNotFoundError:
        make_folder(folder.parent)
        make_folder(folder)
    except OSError:
        if folder.is_symlink():
            raise _link_error(folder) from None
        if not folder.is_dir():
            raise
    else:
        if os.name == "posix" and folder.stat().st_mode & 0o700 != FOLDER_MODE:
            folder.chmod(FOLDER_MODE)  # a umask took some of the user's own rights
        _restrict_on_windows(folder)


def narrow_folder(folder: Path) -> bool:
    """Take away what other users may do in a folder; returns whether there was anything to take away.

    Raises:
        OSError: it is somebody else's, or a folder for everybody such as ``/tmp``.
    """
    if os.name != "posix":
        return False
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _FLAGS)
    try:
        info = os.fstat(descriptor)
        if not info.st_mode & 0o077:
            return False
        if info.st_mode & stat.S_ISVTX or os.geteuid() not in (0, info.st_uid):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(folder))
        os.fchmod(descriptor, FOLDER_MODE)
        return True
    finally:
        os.close(descriptor)


def is_private(folder: Path) -> bool:
    """Whether other users may do nothing in a folder; True on Windows, where modes do not tell."""
    return os.name != "posix" or not folder.stat().st_mode & 0o077


def prepare_database(file: Path) -> None:
    """Create SQLite's file, because SQLite gives its other files the mode of this one; narrow what is there.

    SQLite's locks are lost when any descriptor of its files is closed in this process: files that it may have open are
    not opened here.

    Raises:
        OSError: a file cannot be created or narrowed, or is a link.
    """
    with _database_lock:
        with contextlib.suppress(FileExistsError):
            os.close(create(file))
        for part in (
            file,
            *(file.with_name(f"{file.name}-{end}") for end in ("wal", "shm", "journal")),
        ):
            with contextlib.suppress(FileNotFoundError):
                mode = part.lstat().st_mode
                if not stat.S_ISREG(mode):
                    raise _link_error(part)
                if os.name == "posix" and mode & 0o077:
                    part.chmod(FILE_MODE)


def _restrict_on_windows(path: Path) -> None:
    """Give a new file or folder an access list of the user alone, which what is created in it inherits."""
    if os.name == "nt":
        user = f"{os.environ.get('USERDOMAIN', '.')}\\{os.getlogin()}"
        grant = f"{user}:(OI)(CI)F" if path.is_dir() else f"{user}:F"
        command = ["icacls", str(path), "/inheritance:r", "/grant:r", grant]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


# Names from outside text

_INVALID = re.compile(r'[<>:"/\\|?*]')  # on Windows; more than elsewhere
_DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"
}
_MOST_BYTES = (
    100  # of a name; systems take 255, and Windows 259 for a whole path unless it is told otherwise
)


def is_device(name: str) -> bool:
    """Whether Windows takes a name for a device, such as ``nul.txt``."""
    return name.partition(".")[0].rstrip().casefold() in _DEVICES


def safe_name(text: str) -> str:
    """A name for a file or folder, from outside text: the text itself where every system takes that as a name.

    Otherwise what can be read of it and a digest, so that two texts never get one name. Case is kept.

    >>> safe_name("anna@contoso.example")
    'anna@contoso.example'
    >>> safe_name("../../etc")
    'etc-b0c93158c99b08fe'
    """
    encoded = text.encode("utf-8", "surrogatepass")
    if (
        0 < len(encoded) <= _MOST_BYTES
        and text.isprintable()
        and text == text.strip(" .")
        and not _INVALID.search(text)
        and not is_device(text)
    ):
        return text
    return f"{file_stem(text[:40])}-{hashlib.sha256(encoded).hexdigest()[:16]}".lstrip("-")


def file_stem(text: str) -> str:
    """What can be read of outside text in a file's name, to which something is added; perhaps nothing."""
    return re.sub(r"[^\w@.-]+", "-", text)[:80].strip("-.")

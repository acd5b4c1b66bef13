"""Fails a test module that leaves something open, with a list of what it left.

Checked are event loops, asyncio transports, sockets, threads, child processes, temporary files, and warnings of the
garbage collector. The tests of a module may run in several workers: each checks when pytest tears down the module's
fixtures there.
"""

import asyncio
import copy
import functools
import gc
import os
import shutil
import socket
import stat
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

import psutil
import pytest

Opened = TypeVar("Opened")

PATIENCE = 5.0  # seconds that ending threads have, all together
_KINDS = (asyncio.AbstractEventLoop, asyncio.BaseTransport, socket.socket)

_opened_at: dict[int, str] = {}  # where the socket or thread of that id was opened


def _remembering(opens: Callable[..., None], top: str) -> Callable[..., None]:
    """Wrap a method so that it also records the calling line in a file below *top*."""

    @functools.wraps(opens)
    def method(self: object, *args: Any, **options: Any) -> None:
        frame = sys._getframe(1)
        while frame.f_back is not None and not _below(top, frame.f_code.co_filename):
            frame = frame.f_back
        place = frame.f_code.co_filename.removeprefix(top)
        _opened_at[id(self)] = f", opened at {place}:{frame.f_lineno}"
        opens(self, *args, **options)

    return method


def _below(top: str, file: str) -> bool:
    return file.startswith(top) and "site-packages" not in file


class Open:
    """What this process has open.

    Attributes:
        objects: Event loops, transports and sockets, without those that ``gc.freeze`` put away.
        descriptors: Of all sockets, whoever opened them: the number, and the system's own.
        files: In the folder for temporary ones.
    """

    def __init__(self) -> None:
        self.objects: WeakSet[Any] = WeakSet(thing for thing in gc.get_objects() if _is_open(thing))
        self.descriptors = set(_socket_descriptors())
        self.threads: WeakSet[threading.Thread] = WeakSet(threading.enumerate())
        self.children = set(psutil.Process().children())
        self.files = set(Path(tempfile.gettempdir()).iterdir())

    def __or__(self, other: "Open") -> "Open":
        return self._with({kind: mine | vars(other)[kind] for kind, mine in vars(self).items()})

    def __sub__(self, other: "Open") -> "Open":
        return self._with({kind: mine - vars(other)[kind] for kind, mine in vars(self).items()})

    def _with(self, kinds: dict[str, Any]) -> "Open":
        made = copy.copy(self)
        vars(made).update(kinds)
        return made

    def describe_new(self, known: "Open") -> list[str]:
        """Describe each thing that is open now and was not in *known*."""
        left = self - known
        # A server that may outlive the module goes on taking connections.
        loops = [thing for thing in known.objects if _kind(thing) is asyncio.AbstractEventLoop]
        seen = {fd for loop in loops for fd in _watched(loop)}
        lines = []
        for thing in sorted(left.objects, key=lambda thing: _KINDS.index(_kind(thing))):
            own = {sock.fileno() for sock in _sockets(thing)} - {-1}
            belongs = getattr(thing, "_loop", None) in loops or (own and own <= seen)
            seen |= own
            if belongs:
                continue  # to a loop or a transport that is told of, or may stay
            place = (_opened_at.get(id(part), "") for part in (thing, *_sockets(thing)))
            lines.append(f"{thing!r}{_protocol(thing)}{next(filter(None, place), '')}")
        lines += [f"socket with descriptor {fd}" for fd, _id in left.descriptors if fd not in seen]
        threads = set(left.threads).difference(*(_helpers(loop) for loop in loops))
        lines += [f"{thread!r}{_opened_at.get(id(thread), '')}" for thread in threads]
        lines += [f"child process {_command(child)}" for child in left.children]
        return lines + sorted(map(str, left.files))


def _kind(thing: object) -> Any:
    # By its own type: isinstance() would take a mock for the class that it imitates.
    return next((kind for kind in _KINDS if issubclass(type(thing), kind)), None)


def _is_open(thing: Any) -> bool:
    if not issubclass(type(thing), _KINDS):
        return False
    kind = _kind(thing)
    if kind is asyncio.AbstractEventLoop:
        return not thing.is_closed()
    if kind is asyncio.BaseTransport:
        return getattr(thing, "_sock", None) is not None or not thing.is_closing()
    return bool(thing.fileno() >= 0)


def _sockets(thing: Any) -> list[socket.socket]:
    if isinstance(thing, socket.socket):
        return [thing]
    own = (getattr(thing, name, None) for name in ("_sock", "_ssock", "_csock"))
    return [sock for sock in own if isinstance(sock, socket.socket)]


def _protocol(thing: Any) -> str:
    return f" with {thing.get_protocol()!r}" if isinstance(thing, asyncio.Transport) else ""


def _watched(loop: Any) -> list[int]:
    """The descriptors that a loop watches; empty on Windows, where it does not tell."""
    return list(getattr(getattr(loop, "_selector", None), "get_map", dict)() or ())


def _helpers(loop: Any) -> set[threading.Thread]:
    """The threads in which a loop does what would block it, such as looking up names."""
    return getattr(getattr(loop, "_default_executor", None), "_threads", set())


def _socket_descriptors() -> Iterator[tuple[int, int]]:
    """Number and inode of each socket of this process; nothing without ``/dev/fd``."""
    for name in os.listdir("/dev/fd") if Path("/dev/fd").is_dir() else ():  # noqa: PTH208 - names
        with suppress(OSError):  # the one by which they are listed
            about = os.fstat(int(name))
            if stat.S_ISSOCK(about.st_mode):
                yield int(name), about.st_ino


def _command(child: psutil.Process) -> str:
    with suppress(psutil.Error):
        return f"{child.pid} ({child.status()}): {' '.join(child.cmdline()) or child.name()}"
    return f"{child.pid}, which has ended by now"


def _left(whose: str, known: Open) -> None:
    """Fail when something is open that is not *known*, or the garbage collector complains."""
    deadline = time.monotonic() + PATIENCE
    for thread in set(threading.enumerate()) - set(known.threads):
        with suppress(RuntimeError):  # somebody is about to start it
            thread.join(max(0.0, deadline - time.monotonic()))
    problems: list[str] = []
    usual = sys.unraisablehook
    sys.unraisablehook = lambda about: problems.append(f"{about.object!r}: {about.exc_value!r}")
    try:
        with warnings.catch_warnings(record=True) as complaints:
            warnings.simplefilter("always")
            gc.collect()
    finally:
        sys.unraisablehook = usual
    problems += [str(complaint.message) for complaint in complaints]
    first = Open()
    if first.describe_new(known):
        # What a server that may outlive the module accepts or closes just now is not seen whole: look once more.
        again = Open()
        problems += again.describe_new(known | (again - first))
    gc.freeze()  # makes the next check fast: it skips the objects that exist now
    if problems:
        pytest.fail("\n  ".join([f"{whose} left open:", *problems]), pytrace=False)


_long_lived: list[Open] = []


@contextmanager
def long_lived(opening: AbstractContextManager[Opened]) -> Iterator[Opened]:
    """Enter *opening* in a session fixture: what it opens may stay open until the session ends.

    So may connections that its event loops accept later.
    """
    before = Open()
    with opening as opened:
        _long_lived.append(Open() - before)
        yield opened


@pytest.fixture(scope="session", autouse=True)
def _folder_for_temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder for each worker, so that it finds what it and the programs that it started left."""
    tmp_path_factory.getbasetemp()  # pytest keeps its folders for people to look at
    folder = tempfile.mkdtemp(prefix="t")
    Path(folder).chmod(0o755)  # PostgreSQL and Dovecot run as other users
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", folder)
        for name in ("TMPDIR", "TEMP", "TMP"):
            patch.setenv(name, folder)
        yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _closed_when_the_session_ends(
    pytestconfig: pytest.Config, _folder_for_temporary_files: None
) -> Iterator[None]:
    """Check at the end of the session that long-lived things were closed too."""
    gc.collect()
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        for kind, name in ((socket.socket, "__init__"), (threading.Thread, "start")):
            top = f"{pytestconfig.rootpath}{os.sep}"
            patch.setattr(kind, name, _remembering(getattr(kind, name), top))
        yield
    gc.unfreeze()
    now = Open()
    _left("the session", functools.reduce(Open.__sub__, _long_lived, now))


@pytest.fixture(scope="module", autouse=True)
def _closed_when_the_module_ends(
    request: pytest.FixtureRequest, _closed_when_the_session_ends: None
) -> Iterator[None]:
    before = Open()
    yield
    _left(request.node.nodeid, functools.reduce(Open.__or__, _long_lived, before))

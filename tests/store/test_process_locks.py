"""Locks against other processes: the two ways that the systems have hold alike."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from msoauth.errors import StoreError
from msoauth.store import Workspace
from msoauth.store import process_locks as locks
from msoauth.store.locks import HeldError
from msoauth.store.process_locks import ProcessLocks

WAYS: list[Callable[[Path], ProcessLocks]] = [locks.LockFiles]
if sys.platform != "win32":
    WAYS.append(locks.LockedBytes)
HOLDER = """\
import sys
from pathlib import Path
from msoauth.store import process_locks
held = getattr(process_locks, sys.argv[1])(Path(sys.argv[2]))
for number in map(int, sys.argv[3:]):
    assert held.acquire(number)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(
    way: Callable[[Path], ProcessLocks], folder: Path, *numbers: int
) -> Iterator["subprocess.Popen[str]"]:
    """One that holds these locks."""
    command = [sys.executable, "-c", HOLDER, way.__name__, str(folder), *map(str, numbers)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "held\n"
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.parametrize("way", WAYS)
def test_what_another_process_holds_is_not_to_be_had_until_it_dies(
    way: Callable[[Path], ProcessLocks], tmp_path: Path
) -> None:
    ours = way(tmp_path)
    with another_process(way, tmp_path, 7, 2**62 - 1) as other:
        assert not ours.acquire(7)
        assert not ours.acquire(2**62 - 1)
        assert ours.acquire(8)
        other.kill()
        other.wait()
        assert ours.acquire(7)
        assert ours.acquire(2**62 - 1)
    for number in (7, 8, 2**62 - 1):
        ours.release(number)


@pytest.mark.parametrize("way", WAYS)
def test_a_lock_that_is_given_back_leaves_the_others_held(
    way: Callable[[Path], ProcessLocks], tmp_path: Path
) -> None:
    ours = way(tmp_path)
    assert ours.acquire(1)
    assert ours.acquire(2)
    ours.release(1)
    asked = "import sys; from pathlib import Path; from msoauth.store import process_locks as p;"
    asked += f"l = p.{way.__name__}(Path(sys.argv[1])); print(l.acquire(1), l.acquire(2))"
    said = subprocess.run(
        [sys.executable, "-c", asked, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["True", "False"]
    ours.release(2)


@pytest.mark.skipif(sys.platform == "win32", reason="a file each there")
def test_ten_thousand_locks_take_one_file_and_leave_none_open(tmp_path: Path) -> None:
    ours = locks.LockedBytes(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ours.acquire, range(10_000)))
        list(pool.map(ours.release, range(10_000)))
    assert [file.name for file in tmp_path.iterdir()] == ["workspace.locks"]
    open_files = Path("/proc/self/fd")
    if open_files.exists():
        assert str(tmp_path / "workspace.locks") not in {
            str(link.readlink()) for link in open_files.iterdir() if link.is_symlink()
        }


@pytest.mark.skipif(sys.platform == "win32", reason="a folder each there")
def test_a_folder_that_cannot_hold_locks_is_one_clear_sentence(tmp_path: Path) -> None:
    with Workspace.open(tmp_path / "w") as workspace:
        (workspace.folder / "workspace.locks").mkdir()
        with pytest.raises(StoreError, match="workspace"), workspace.locks.hold("audit"):
            pass


ASKER = """\
import sys
from msoauth.store import Workspace
from msoauth.store.locks import HeldError
with Workspace.open(sys.argv[1]) as workspace:
    try:
        with workspace.locks.hold("audit"):
            print("free")
    except HeldError:
        print("held")
"""


def asked(folder: Path) -> str:
    """What another process finds of the lock “audit”."""
    said = subprocess.run(
        [sys.executable, "-c", ASKER, str(folder)], capture_output=True, text=True, check=True
    )
    return said.stdout.strip()


def test_two_ways_to_one_folder_lead_to_the_same_locks(tmp_path: Path) -> None:
    with Workspace.open(tmp_path / "w") as one:
        link = tmp_path / "link"
        try:
            link.symlink_to(tmp_path / "w", target_is_directory=True)
        except OSError:
            pytest.skip("this system lets nobody make links")
        with Workspace.open(link) as other, one.locks.hold("audit"):
            with pytest.raises(HeldError), other.locks.hold("audit"):
                pass
            with other.locks.hold("another"):
                pass
            assert asked(link) == asked(tmp_path / "w") == "held"
        link.unlink()
        link.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
        with one.locks.hold("audit"):
            assert asked(tmp_path / "w") == "held"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets nobody delete what is open")
def test_a_folder_that_was_made_anew_has_its_locks_to_itself(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    with Workspace.open(folder) as old, old.locks.hold("something"):
        shutil.rmtree(folder)
        with Workspace.open(folder) as new, new.locks.hold("audit"):
            with old.locks.hold("another"):
                pass
            assert asked(folder) == "held"
        with old.locks.hold("audit"):
            assert asked(folder) == "held"


def test_a_folder_that_is_not_there_yet_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "not" / "there"
    for way in WAYS:
        held = way(folder)
        assert held.acquire(1)
        held.release(1)
        shutil.rmtree(tmp_path / "home")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_holds_nothing_of_its_parents(tmp_path: Path) -> None:
    forked = """\
import os, sys
from msoauth.store import Workspace
from msoauth.store.locks import HeldError
workspace = Workspace.open(sys.argv[1])
ready, go = os.pipe(), os.pipe()
with workspace.locks.hold("audit"):
    child = os.fork()
    if not child:
        here = Workspace.open(sys.argv[1])
        try:
            with here.locks.hold("audit"):
                os._exit(1)
        except HeldError:
            os.write(ready[1], b".")
        os.read(go[0], 1)
        with here.locks.hold("audit", seconds=20):
            os._exit(42)
    os.read(ready[0], 1)
os.write(go[1], b".")
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    said = subprocess.run(
        [sys.executable, "-c", forked, str(tmp_path / "w")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "42"

"""Locks against other processes: the two ways that the systems have hold alike."""

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
    assert held.take(number)
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
        assert not ours.take(7)
        assert not ours.take(2**62 - 1)
        assert ours.take(8)
        other.kill()
        other.wait()
        assert ours.take(7)
        assert ours.take(2**62 - 1)
    for number in (7, 8, 2**62 - 1):
        ours.give_back(number)


@pytest.mark.parametrize("way", WAYS)
def test_a_lock_that_is_given_back_leaves_the_others_held(
    way: Callable[[Path], ProcessLocks], tmp_path: Path
) -> None:
    ours = way(tmp_path)
    assert ours.take(1)
    assert ours.take(2)
    ours.give_back(1)
    asked = "import sys; from pathlib import Path; from msoauth.store import process_locks as p;"
    asked += f"l = p.{way.__name__}(Path(sys.argv[1])); print(l.take(1), l.take(2))"
    said = subprocess.run(
        [sys.executable, "-c", asked, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["True", "False"]
    ours.give_back(2)


@pytest.mark.skipif(sys.platform == "win32", reason="a file each there")
def test_ten_thousand_locks_take_one_file_and_leave_none_open(tmp_path: Path) -> None:
    ours = locks.LockedBytes(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ours.take, range(10_000)))
        list(pool.map(ours.give_back, range(10_000)))
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

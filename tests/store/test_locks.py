"""Locks between threads and processes on one workspace in a folder: a file for each."""

import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from msoauth.errors import StoreError
from msoauth.store import Workspace
from msoauth.store.locks import HeldError

HOLDER = """\
import contextlib, sys
from msoauth.store import Workspace
with Workspace.open(sys.argv[1]) as workspace, contextlib.ExitStack() as held:
    for name in sys.argv[2:]:
        held.enter_context(workspace.locks.hold(name))
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.open(tmp_path / "w") as opened:
        yield opened


@contextmanager
def another_process(folder: Path, *names: str) -> Iterator["subprocess.Popen[str]"]:
    """One that holds these locks."""
    command = [sys.executable, "-c", HOLDER, str(folder), *names]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "held\n"
        try:
            yield running
        finally:
            running.kill()


def is_free(workspace: Workspace, name: str) -> bool:
    try:
        with workspace.locks.hold(name):
            return True
    except HeldError:
        return False


def test_what_another_process_holds_is_not_to_be_had_until_it_dies(workspace: Workspace) -> None:
    names = ("audit", "tokens/anna@contoso.example")
    with another_process(workspace.folder, *names) as other:
        assert [is_free(workspace, name) for name in (*names, "audit/begin")] == [
            False,
            False,
            True,
        ]
        other.kill()
        other.wait()
        assert all(is_free(workspace, name) for name in names)


def test_a_lock_that_is_given_back_leaves_the_others_held(workspace: Workspace) -> None:
    with workspace.locks.hold("another"):
        with workspace.locks.hold("audit"):
            pass
        assert asked(workspace.folder) == "free"
        assert not is_free(workspace, "another")
    assert is_free(workspace, "another")


def test_a_held_lock_is_a_timeout_for_whoever_knows_only_the_standard_library(
    workspace: Workspace,
) -> None:
    with workspace.locks.hold("audit"):
        with pytest.raises(TimeoutError, match="audit"), workspace.locks.hold("audit"):
            pass
        with pytest.raises(TimeoutError, match="audit"), workspace.locks.hold("audit", seconds=0.1):
            pass


def test_a_thread_that_waits_gets_the_lock_when_another_gives_it_back(
    workspace: Workspace,
) -> None:
    got = threading.Event()

    def wait() -> None:
        with workspace.locks.hold("audit", seconds=30):
            got.set()

    waiting = threading.Thread(target=wait)
    with workspace.locks.hold("audit"):
        waiting.start()
        assert not got.wait(0.2)
    assert got.wait(30)
    waiting.join()


def test_no_lock_stays_open_and_none_can_be_read_by_others(workspace: Workspace) -> None:
    for number in range(100):
        assert is_free(workspace, f"tokens/user{number}@contoso.example")
    locks = workspace.folder / "locks"
    if os.name == "posix":
        assert stat.S_IMODE(locks.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in locks.iterdir()} == {0o600}
    open_files = Path("/proc/self/fd")
    if open_files.exists():
        opened = [str(link.readlink()) for link in open_files.iterdir() if link.is_symlink()]
        assert not [file for file in opened if file.startswith(str(locks))]


def test_a_folder_that_cannot_hold_locks_is_one_clear_sentence(workspace: Workspace) -> None:
    (workspace.folder / "locks").write_text("a file")
    with pytest.raises(StoreError, match="workspace") as told, workspace.locks.hold("audit"):
        pass
    assert "\n" not in str(told.value)


@pytest.mark.skipif(os.name != "posix", reason="Windows lets nobody make links")
def test_a_planted_link_is_not_followed(workspace: Workspace, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    assert is_free(workspace, "audit")
    [file] = (workspace.folder / "locks").iterdir()
    file.unlink()
    file.symlink_to(target)
    with pytest.raises(StoreError), workspace.locks.hold("audit"):
        pass
    assert not target.exists()


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


def test_a_folder_that_is_not_there_any_more_is_made(workspace: Workspace) -> None:
    assert is_free(workspace, "audit")
    shutil.rmtree(workspace.folder / "locks")
    assert is_free(workspace, "audit")


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

"""Files that a command writes: for the user alone, and whole or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from msoauth.cli import files
from msoauth.errors import InputError


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
def test_a_file_is_the_users_alone_also_where_one_for_everybody_was(tmp_path: Path) -> None:
    file = tmp_path / "written"
    for _twice in range(2):
        files.write(file, b"content")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        file.chmod(0o666)


def test_writing_changes_nothing_for_the_other_threads_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(_mask: int) -> int:
        pytest.fail("the umask is the whole process's")

    monkeypatch.setattr(os, "umask", changed)
    files.write(tmp_path / "written", b"content")
    assert (tmp_path / "written").read_bytes() == b"content"


def test_a_file_stays_as_it_was_when_the_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "report"
    file.write_bytes(b"last week's")

    def run_full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", run_full)
    with pytest.raises(InputError, match="cannot be written"):
        files.write(file, b"half")
    assert file.read_bytes() == b"last week's"
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_link_points_to_is_replaced_and_not_the_link(tmp_path: Path) -> None:
    file, link = tmp_path / "report", tmp_path / "latest"
    file.write_bytes(b"last week's")
    try:
        link.symlink_to(file)
    except OSError:
        pytest.skip("this system lets only administrators make links")
    files.write(link, b"today's")
    assert link.is_symlink()
    assert file.read_bytes() == b"today's"

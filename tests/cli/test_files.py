"""Files that a command writes: with the rights that any new file gets, and whole or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from msoauth.cli import files
from msoauth.errors import InputError


def test_a_file_gets_the_rights_of_any_new_file(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    files.write(tmp_path / "written", b"content")
    assert stat.S_IMODE((tmp_path / "written").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_writing_changes_nothing_for_the_other_threads_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(_mask: int) -> int:
        pytest.fail("the umask is the whole process's")

    monkeypatch.setattr(os, "umask", changed)
    files.write(tmp_path / "written", b"content")
    assert (tmp_path / "written").read_bytes() == b"content"


def test_a_file_stays_as_it_was_when_the_writing_fails(tmp_path: Path) -> None:
    file = tmp_path / "report"
    file.write_bytes(b"last week's")

    def run_full() -> None:
        with files.replacing(file) as part:
            part.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(InputError, match="cannot be written"):
        run_full()
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

"""Programs of npm and PyPI for the tests, installed once into a folder that later runs find again."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import filelock
import pytest


def npm_packages(folder: Path, *packages: str) -> Path:
    """Install npm packages such as ``imapflow@2.10.2`` below *folder*; returns its ``node_modules``.

    A package that cannot be installed skips the test, or fails it with MSOAUTH_REQUIRE_REAL=1.
    """
    npm = shutil.which("npm") or "npm"
    options = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
    _install(
        folder, packages, [npm, "install", "--prefix", str(folder), "--silent", *options, *packages]
    )
    return folder / "node_modules"


def pip_packages(folder: Path, *requirements: str) -> Path:
    """Install Python packages into an environment of their own; returns its folder of programs.

    A package that cannot be installed skips the test, or fails it with MSOAUTH_REQUIRE_REAL=1.
    """
    programs = folder / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    pip = [str(programs / "python"), "-m", "pip", "install", "--quiet"]
    make = [sys.executable, "-m", "venv", str(folder / "env")]
    _install(folder, requirements, make, [*pip, *requirements])
    return programs


def _install(folder: Path, packages: tuple[str, ...], *commands: list[str]) -> None:
    done = folder / "done.txt"
    with filelock.FileLock(folder / "install.lock"):
        if done.exists() and done.read_text(encoding="utf-8") == " ".join(packages):
            return
        for command in commands:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
            if ran.returncode:
                reason = " ".join((ran.stderr or ran.stdout).split())[-300:]
                how = f"{' '.join(packages)} could not be installed: {reason}"
                if os.environ.get("MSOAUTH_REQUIRE_REAL") == "1":
                    pytest.fail(how, pytrace=False)
                pytest.skip(how)
        done.write_text(" ".join(packages), encoding="utf-8")

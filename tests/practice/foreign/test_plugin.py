"""The pytest plugin in a project that is not ours: clean folder, warnings as errors, nothing but endpoints and CA."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from msoauth.practice.firm import Microsoft365
from msoauth.practice.scenarios import scenarios

PAGE = Path(__file__).parents[3] / "docs" / "practice-tenant-in-your-tests.md"
PROJECT = Path(__file__).with_name("project")


def run_pytest(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest as the project's developers do; warnings are errors."""
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-W", "error", *options]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={folder}/base"],
        cwd=folder,
        env={**env, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_a_foreign_project_is_tested_with_it(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n", encoding="utf-8")
    done = run_pytest(project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout


@pytest.mark.parametrize(
    ("mark", "says"),
    [
        ("scenario='no-such-scenario'", "no-such-scenario"),
        ("weather='rain'", "weather"),
    ],
)
def test_a_wrong_marker_fails_in_one_sentence(tmp_path: Path, mark: str, says: str) -> None:
    (tmp_path / "test_it.py").write_text(
        f"import pytest\n\n@pytest.mark.microsoft365({mark})\ndef test_it(microsoft365): ...\n",
        encoding="utf-8",
    )
    done = run_pytest(tmp_path, "--tb=short")
    assert done.returncode == 1
    assert "@pytest.mark.microsoft365: " in done.stdout
    assert says in done.stdout
    assert "Traceback" not in done.stdout


def test_every_other_start_of_pytest_imports_nothing_heavy(tmp_path: Path) -> None:
    names = [e.value for e in importlib.metadata.entry_points(group="pytest11", name="msoauth")]
    assert names == ["msoauth.pytest_plugin"]
    (tmp_path / "test_it.py").write_text(
        "import sys\n\ndef test_it():\n"
        "    loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "    assert not loaded & {'tornado', 'trustme', 'msal', 'requests', 'sqlalchemy', 'pandas', 'cryptography'}\n"
        "    assert not any(name.startswith('msoauth.practice') for name in sys.modules)\n",
        encoding="utf-8",
    )
    others = ["hypothesispytest", "timeout", "pytest_cov", "anyio", "playwright", "asyncio"]
    done = run_pytest(tmp_path, *(word for name in others for word in ("-p", f"no:{name}")))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_names_what_there_is() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = re.findall(r"""scenario=([^)\n]+)|start\(("[^)]+)""", text)
    words = set(re.findall(r'"([\w-]+)', " ".join("".join(pair) for pair in named)))
    assert len(words) >= 4
    assert words <= {scenario.name for scenario in scenarios()}
    for attribute in re.findall(r"microsoft365\.(\w+)", text):
        assert hasattr(Microsoft365, attribute), attribute

"""The typed script of a user runs as it is, as a program of its own, and mypy accepts it as such under --strict."""

import subprocess
import sys
from pathlib import Path

from msoauth.enrol import enrol
from msoauth.practice import PracticeTenant
from msoauth.store import Workspace

SCRIPT = Path(__file__).with_name("user_script.py")


def test_the_script_runs_on_the_practice_tenant(tmp_path: Path) -> None:
    with PracticeTenant() as tenant:
        with Workspace.open(tmp_path) as workspace:
            for _address in enrol(workspace, tenant.endpoints_file):
                pass
        done = subprocess.run(
            [
                sys.executable,
                str(SCRIPT),
                str(tmp_path),
                "anna.lindqvist@contoso.example",
                "Contoso Legal",
            ],
            capture_output=True,
            text=True,
        )
    assert (done.returncode, done.stdout.strip()) == (0, "secret-expired"), done.stderr
    assert "Traceback" not in done.stderr

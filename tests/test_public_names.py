"""What the contract promises of ``import msoauth``."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msoauth


def test_the_promised_names_are_there() -> None:
    for name in msoauth.__all__:
        assert getattr(msoauth, name) is not None


def test_explain_is_called_by_its_name() -> None:
    called: Any = msoauth.explain  # a room that can be called; type checkers see only the room
    assert called("AADSTS7000222: expired").cause == "secret-expired"
    from msoauth.explain import explain

    assert explain("AADSTS7000222: expired") == called("AADSTS7000222: expired")


def test_audit_is_called_by_its_name(tmp_path: Path) -> None:
    called: Any = msoauth.audit
    with msoauth.Workspace.open(tmp_path) as workspace:
        assert list(called(workspace)) == []


def test_importing_msoauth_loads_nothing_heavy() -> None:
    heavy = [
        "msal",
        "pandas",
        "sqlalchemy",
        "ipywidgets",
        "jupyterlab",
        "tornado",
        "msoauth.practice",
    ]
    script = f"import sys, msoauth; print([m for m in {heavy!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"

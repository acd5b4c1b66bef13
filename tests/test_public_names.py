"""What the contract promises of ``import msoauth``."""

import subprocess
import sys
from pathlib import Path

import msoauth


def test_the_promised_names_are_there() -> None:
    for name in msoauth.__all__:
        assert getattr(msoauth, name) is not None


def test_explain_is_a_function_whatever_was_imported_before() -> None:
    from msoauth.explaining import explain

    assert msoauth.explain is explain
    assert msoauth.explain("AADSTS7000222: expired").cause == "secret-expired"


def test_audit_is_a_function_whatever_was_imported_before(tmp_path: Path) -> None:
    from msoauth.auditing import audit

    assert msoauth.audit is audit
    with msoauth.Workspace.open(tmp_path) as workspace:
        assert list(msoauth.audit(workspace)) == []


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

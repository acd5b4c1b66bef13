"""What the contract promises of ``import msoauth``."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import msoauth


def test_the_promised_names_are_there() -> None:
    for name in msoauth.__all__:
        assert getattr(msoauth, name) is not None


def test_dir_shows_all_of_them_and_nothing_else() -> None:
    assert dir(msoauth) == sorted(msoauth.__all__)


def test_explain_and_audit_are_functions_whatever_was_imported_before(tmp_path: Path) -> None:
    import msoauth.auditing
    import msoauth.explaining

    assert msoauth.explain("AADSTS7000222: expired").cause == "secret-expired"
    with msoauth.Workspace.open(tmp_path) as workspace:
        assert list(msoauth.audit(workspace, progress=False)) == []


def test_the_protocol_of_an_account_still_answers_to_its_old_name() -> None:
    with pytest.warns(DeprecationWarning, match="protocol"):
        account = msoauth.Account("info@contoso.example", "Contoso Legal", retrieve="imap")
    assert account.protocol == "imap"
    with pytest.warns(DeprecationWarning, match="protocol"):
        assert account.retrieve == "imap"
    assert replace(account, protocol="pop3") == msoauth.Account(
        "info@contoso.example", "Contoso Legal"
    )


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

"""The passphrase leaves the environment when it is read, and children that run msoauth still find it."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import msoauth
from msoauth import passphrase
from msoauth.cli import main
from msoauth.errors import VaultError
from msoauth.model import Firm
from msoauth.practice import PracticeTenant
from msoauth.store import Secret, Workspace
from tests.kernels import run

WORDS = "planted~marker~of~a~passphrase"
FIRM = Firm("Contoso", "contoso.example", "11111111-2222-4333-8444-555555555555")
PRINT_ENVIRONMENT = "import os; print(dict(os.environ))"
READ_SECRET = "import msoauth; print(msoauth.Workspace.open().firms.secret('Contoso').reveal())"


@pytest.fixture(autouse=True)
def _source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(msoauth.__file__).parents[1]))
    monkeypatch.setenv(passphrase.VARIABLE, WORDS)


def python(code: str, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_no_child_of_a_script_gets_it_in_its_environment_and_msoauth_in_a_child_works() -> None:
    with Workspace.open() as workspace:
        workspace.firms.add(FIRM, "a made-up secret")
    assert passphrase.VARIABLE not in os.environ
    assert WORDS not in python(PRINT_ENVIRONMENT).stdout
    assert python(READ_SECRET).stdout == "a made-up secret\n"
    grandchild = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {READ_SECRET!r}])"
    assert python(grandchild).stdout == "a made-up secret\n"
    with Workspace.open() as again:
        assert again.firms.secret("Contoso") == Secret("a made-up secret")


@pytest.mark.skipif(os.name != "posix", reason="/proc and file modes")
def test_the_file_for_children_is_private_and_worthless_without_the_environment(
    tmp_path: Path,
) -> None:
    value = passphrase.hand_over(WORDS, tmp_path)
    [file] = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert WORDS.encode() not in file.read_bytes()
    assert WORDS not in value
    said = python(
        "import msoauth.passphrase as p; print(p.current())",
        **{passphrase.VARIABLE: "", passphrase.HANDOVER_VARIABLE: value},
    )
    assert said.stdout == "None\n", (
        "what is set, even to nothing, counts more than what was handed over"
    )


def test_what_was_handed_over_and_is_gone_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = passphrase.hand_over(WORDS, tmp_path)
    [file] = tmp_path.iterdir()
    content = file.read_bytes()
    monkeypatch.setenv(passphrase.VARIABLE, "")
    passphrase.withdraw()
    for damaged in (content[:-1], b"", None):
        file.unlink() if damaged is None else file.write_bytes(damaged)
        monkeypatch.setenv(passphrase.HANDOVER_VARIABLE, value)
        with pytest.raises(VaultError, match="Start msoauth lab again"):
            passphrase.current()
    with pytest.raises(SystemExit) as ended:
        main(["firm", "list"])
    assert ended.value.code == 2
    assert "Start msoauth lab again" in capsys.readouterr().err


def test_an_empty_variable_means_no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    assert passphrase.current() == WORDS
    monkeypatch.setenv(passphrase.VARIABLE, "")
    assert passphrase.current() is None
    assert passphrase.HANDOVER_VARIABLE not in os.environ


def test_the_browser_that_a_sign_in_opens_gets_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    browser = tmp_path / "browser.py"
    browser.write_text(
        f"import os, pathlib; pathlib.Path({str(seen)!r}).write_text(str(dict(os.environ)))"
    )
    monkeypatch.setenv("BROWSER", f"{sys.executable} {browser} %s")
    with PracticeTenant() as tenant:
        endpoints = str(tenant.endpoints_file)
        firm = tenant.endpoints["practice"]["firms"][0]
        for arguments, stdin in [
            (("firm", "add", "Contoso", "--tenant", firm["tenant_id"], "--client-id", firm["client_id"],
              "--cloud", endpoints, "--secret-stdin"), firm["client_secret"]),
            (("account", "add", firm["accounts"][0]["address"], "--firm", "Contoso"), ""),
        ]:  # fmt: skip
            subprocess.run(
                [sys.executable, "-m", "msoauth", *arguments],
                input=stdin,
                text=True,
                check=True,
                timeout=60,
            )
        sign_in = ["sign-in", firm["accounts"][0]["address"], "--via", "browser"]
        with subprocess.Popen(
            [sys.executable, "-m", "msoauth", *sign_in], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _line in process.stdout:
                if seen.exists() and seen.stat().st_size:
                    break
            process.terminate()
    environment = seen.read_text(encoding="utf-8")
    assert "MSOAUTH_WORKSPACE" in environment
    assert WORDS not in environment
    assert passphrase.HANDOVER_VARIABLE not in environment


def outputs(*cells: str) -> list[str]:
    """What each cell of a notebook prints, on stdout and stderr, in a kernel that gets this environment."""
    book = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    )
    run(book)
    return [
        "".join(str(output.get("text", output)) for output in cell.outputs) for cell in book.cells
    ]


def test_a_kernel_for_which_a_hub_set_it_warns_once_and_shows_it_no_more(tmp_path: Path) -> None:
    command = f"!{sys.executable} -m msoauth vault show"
    opened, again, environment, shown = outputs(
        "import msoauth; ws = msoauth.Workspace.open(); ws.vault.data_key() and None",
        "msoauth.Workspace.open().close()",
        "!env" if os.name == "posix" else "!set",
        command,
    )
    assert opened.count("Warning: MSOAUTH_PASSPHRASE was set for this notebook from outside") == 1
    assert again == ""
    assert WORDS not in opened + environment
    assert "The key comes from a passphrase" in shown
    assert "Note:" not in shown

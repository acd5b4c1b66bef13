"""`msoauth lab` brings the notebooks into the workspace and never overwrites a person's own."""

import json
import os
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbformat.sign import NotebookNotary

from msoauth import checks, clouds, lab
from msoauth.model import Account, Firm
from msoauth.practice import PracticeTenant
from msoauth.store import Workspace


def notebook(*cells: str, output: str | None = None) -> str:
    outputs = [{"output_type": "stream", "name": "stdout", "text": output}] if output else []
    code: dict[str, object] = {
        "cell_type": "code",
        "outputs": outputs,
        "execution_count": None,
        "metadata": {},
    }
    return json.dumps(
        {
            "cells": [code | {"id": f"cell-{n}", "source": [c]} for n, c in enumerate(cells)],
            "metadata": {},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


@pytest.fixture(autouse=True)
def jupyters_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jupyter keeps its signatures in a folder of the test's own."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))


def is_trusted(copy: Path) -> bool:
    notary = NotebookNotary()  # type: ignore[no-untyped-call]
    try:
        return notary.check_signature(nbformat.read(copy, as_version=4))  # type: ignore[no-untyped-call,no-any-return]
    finally:
        notary.store.close()


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shipped"
    folder.mkdir()
    (folder / "1 First.ipynb").write_text(notebook("one()"), encoding="utf-8")
    monkeypatch.setattr(lab, "shipped_notebooks", lambda: folder)
    return folder


def test_notebooks_are_copied_in_order(shipped: Path, tmp_path: Path) -> None:
    (shipped / "0 Start.ipynb").write_text(notebook("zero()"), encoding="utf-8")
    assert [copy.name for copy in lab.copy_notebooks(tmp_path / "mine")] == [
        "0 Start.ipynb",
        "1 First.ipynb",
    ]


def test_a_changed_copy_is_kept_when_a_new_version_comes(shipped: Path, tmp_path: Path) -> None:
    [copy] = lab.copy_notebooks(tmp_path / "mine")
    copy.write_text(notebook("one()", "my_own_cell()"), encoding="utf-8")
    (shipped / "1 First.ipynb").write_text(notebook("one_improved()"), encoding="utf-8")
    lab.copy_notebooks(tmp_path / "mine")
    assert "my_own_cell" in copy.read_text(encoding="utf-8")


def test_an_unchanged_copy_follows_the_new_version(shipped: Path, tmp_path: Path) -> None:
    [copy] = lab.copy_notebooks(tmp_path / "mine")
    (shipped / "1 First.ipynb").write_text(notebook("one_improved()"), encoding="utf-8")
    lab.copy_notebooks(tmp_path / "mine")
    assert "one_improved" in copy.read_text(encoding="utf-8")


def test_outputs_alone_do_not_make_a_copy_changed_and_stay(shipped: Path, tmp_path: Path) -> None:
    [copy] = lab.copy_notebooks(tmp_path / "mine")
    copy.write_text(notebook("one()", output="a result"), encoding="utf-8")
    lab.copy_notebooks(tmp_path / "mine")
    assert "a result" in copy.read_text(encoding="utf-8")
    (shipped / "1 First.ipynb").write_text(notebook("one_improved()"), encoding="utf-8")
    lab.copy_notebooks(tmp_path / "mine")
    assert "one_improved" in copy.read_text(encoding="utf-8")


def test_a_damaged_copy_is_left_to_its_owner(shipped: Path, tmp_path: Path) -> None:
    [copy] = lab.copy_notebooks(tmp_path / "mine")
    copy.write_text("not a notebook", encoding="utf-8")
    lab.copy_notebooks(tmp_path / "mine")
    assert copy.read_text(encoding="utf-8") == "not a notebook"


def test_our_notebooks_are_trusted_and_what_others_put_into_a_copy_is_not(tmp_path: Path) -> None:
    first, second, *_others = lab.copy_notebooks(tmp_path / "mine")
    assert is_trusted(first)
    changed = json.loads(second.read_text(encoding="utf-8"))
    code = next(cell for cell in changed["cells"] if cell["cell_type"] == "code")
    code["outputs"] = [
        {
            "output_type": "display_data",
            "data": {"text/html": "<script>alert(1)</script>"},
            "metadata": {},
        }
    ]
    second.write_text(json.dumps(changed), encoding="utf-8")
    lab.copy_notebooks(tmp_path / "mine")
    assert not is_trusted(second)


def test_the_installation_carries_notebooks_without_outputs() -> None:
    for file in lab.shipped_notebooks().glob("*.ipynb"):
        for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
            assert not cell.get("outputs")
            assert cell.get("execution_count") is None


def test_a_practice_firm_of_an_earlier_run_works_with_the_practice_tenant_of_this_one(
    tmp_path: Path,
) -> None:
    with Workspace.open(tmp_path / "workspace") as workspace:
        with PracticeTenant() as earlier:
            old = earlier.endpoints["practice"]["firms"][0]
            firm = Firm(
                old["name"],
                old["tenant_id"],
                old["client_id"],
                cloud=clouds.load(str(earlier.endpoints_file)),
            )
            workspace.firms.add(firm, old["client_secret"])
            workspace.accounts.add(Account("anna.lindqvist@contoso.example", firm.name))
        with PracticeTenant() as now:
            lab.update_practice_firms(workspace, now.endpoints_file)
            context = checks.Context(workspace, workspace.firms.get(firm.name))
            signals = {f.check: str(f.signal) for f in checks.run(checks.REGISTRATION, context)}
        assert signals["registration.secret"] == "passed"
        assert [a.address for a in workspace.accounts.list(firm.name)] == [
            "anna.lindqvist@contoso.example"
        ]


@pytest.mark.skipif(os.name != "posix", reason="sockets in a folder")
def test_kernels_use_sockets_where_their_paths_are_short_enough_and_else_encrypt() -> None:
    assert lab.transport_options(Path("/tmp/msoauth-12345678")) == ["--KernelManager.transport=ipc"]  # noqa: S108
    [option] = lab.transport_options(Path("/long" * 20))
    name, _equals, value = option.removeprefix("--KernelManager.").partition("=")
    assert getattr(KernelManager(**{name: value}), name) == "auto"  # Jupyter knows it

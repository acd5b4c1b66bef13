"""The guided notebooks as files and in kernels: thin, clean, and whole however their cells are run."""

import ast
import json
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest

from msoauth import ui
from msoauth.lab import NOTEBOOK_ONLY, PRACTICE_VARIABLE, shipped_notebooks
from msoauth.practice import PracticeTenant
from msoauth.store import Workspace
from msoauth.ui.header import notebooks
from tests.kernels import run

NOTEBOOKS = sorted(shipped_notebooks().glob("*.ipynb"))
SECRET = "planted~marker~of~a~client~secret~value1"


def read(notebook: Path) -> Any:
    return nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]


def code_cells(book: Any) -> list[Any]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


def calls(cell: Any) -> list[str]:
    parts = ast.walk(ast.parse(cell.source))
    return [ast.unparse(part.func) for part in parts if isinstance(part, ast.Call)]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_are_thin_and_clean(notebook: Path) -> None:
    for cell in code_cells(read(notebook)):
        assert len(cell.source.splitlines()) <= 5
        assert cell.outputs == []
        assert cell.execution_count is None
        parts = list(ast.walk(ast.parse(cell.source)))
        assert not any(isinstance(p, ast.FunctionDef | ast.ClassDef | ast.Lambda) for p in parts)
        imports = sum(isinstance(p, ast.Import | ast.ImportFrom) for p in parts)
        [call] = {c.split("(")[0] for c in calls(cell) if c.startswith(("ui.", "panel."))}
        assert imports == call.startswith("ui.")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_makes_its_panel_once_and_reads_that_ones_frame(notebook: Path) -> None:
    panel, *others = code_cells(read(notebook))
    [made] = calls(panel)
    name = made.removeprefix("ui.")
    assert panel.source.splitlines() == ["from msoauth import ui", "", f"panel = {made}()", "panel"]
    assert name in ui.__all__
    assert others[0].source == "panel.frame()"
    assert not any(made in calls(cell) for cell in others)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_an_app_without_code_shows_title_and_panel_alone(notebook: Path) -> None:
    shown = [c for c in read(notebook).cells if NOTEBOOK_ONLY not in c.metadata.get("tags", ())]
    assert [cell.cell_type for cell in shown] == ["markdown", "code"]
    assert shown[0].source.startswith(f"# {notebook.stem}")


def test_the_header_leads_to_the_notebooks_that_there_are() -> None:
    assert [name for name, _title in notebooks()] == [file.stem for file in NOTEBOOKS]


def test_the_cells_may_run_twice_and_once_the_panel_is_there_in_any_order_in_an_empty_workspace() -> (
    None
):
    cells: list[Any] = []
    for notebook in reversed(NOTEBOOKS):
        panel, *others = code_cells(read(notebook))
        cells += [panel, *reversed(others), panel, *others, *others]
    again = [nbformat.v4.new_code_cell(cell.source) for cell in cells]  # type: ignore[no-untyped-call]
    for number, cell in enumerate(again):
        cell["id"] = f"cell-{number}"
    book = nbformat.v4.new_notebook(cells=again)  # type: ignore[no-untyped-call]
    run(book)  # raises what a cell raised
    assert not any(out.output_type == "error" for cell in book.cells for out in cell.outputs)


def test_a_secret_is_not_in_the_widget_state_that_a_notebook_stores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PLANTED", SECRET)
    with PracticeTenant() as tenant:
        monkeypatch.setenv(PRACTICE_VARIABLE, str(tenant.endpoints_file))
        known = tenant.endpoints["practice"]["firms"][0]
        sources = [
            "from msoauth import ui; import os; panel = ui.register(); panel",
            "panel.on_action('practice', ''); panel.form.press('check'); panel.jobs.wait()",
            "from msoauth.ui.registration_form import secret_of; panel.form.type('secret', os.environ['PLANTED']); secret_of(panel.form)",
            "panel.form.type('client_id', os.environ['PLANTED']); panel.form.type('client_id', 'x'); panel",
        ]
        cells = [nbformat.v4.new_code_cell(source) for source in sources]  # type: ignore[no-untyped-call]
        book = run(nbformat.v4.new_notebook(cells=cells))  # type: ignore[no-untyped-call]
        written = json.dumps(book)
        assert "application/vnd.jupyter.widget-state+json" in written
        assert (
            known["client_id"] in written
        )  # what is no secret is stored, so this looks at the right place
        assert SECRET not in written
        assert known["client_secret"] not in written
        with Workspace.open(os.environ["MSOAUTH_WORKSPACE"]) as workspace:
            assert workspace.firms.has_secret(known["name"])


def test_a_pasted_authorization_code_is_not_in_the_notebook_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = f"http://localhost/?code={SECRET}&state=x"
    monkeypatch.setenv("PLANTED", answer)
    sources = [
        "from msoauth import ui; import os; panel = ui.diagnose(); panel",
        "panel.administrator.sign_in_view.paste_form.type('answer', os.environ['PLANTED'])",
        "users = ui.sign_in(); users",
        "users.sign_in_view.paste_form.type('answer', os.environ['PLANTED'])",
    ]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]  # type: ignore[no-untyped-call]
    book = run(nbformat.v4.new_notebook(cells=cells))  # type: ignore[no-untyped-call]
    written = json.dumps(book)
    assert "The address at which the browser ended" in written
    assert SECRET not in written


def test_a_table_at_the_end_of_a_cell_is_its_one_output() -> None:
    source = "import msoauth; msoauth.Findings([msoauth.Finding('a.b', msoauth.Signal.PASSED, 'reached')])"
    cell = nbformat.v4.new_code_cell(source)  # type: ignore[no-untyped-call]
    [output] = run(nbformat.v4.new_notebook(cells=[cell])).cells[0].outputs  # type: ignore[no-untyped-call]
    assert "reached" in output.data["text/plain"]
    assert "reached" in output.data["text/html"]


def test_a_cell_shows_progress_unless_it_is_not_wanted() -> None:
    sources = (
        "import msoauth; ws = msoauth.Workspace.open()",
        "shown = msoauth.audit(ws)",
        "silent = msoauth.audit(ws, progress=False)",
    )
    cells = [nbformat.v4.new_code_cell(source) for source in sources]  # type: ignore[no-untyped-call]
    book = run(nbformat.v4.new_notebook(cells=cells))  # type: ignore[no-untyped-call]
    _opened, shown, silent = (cell.outputs for cell in book.cells)
    assert any("application/vnd.jupyter.widget-view+json" in one.get("data", ()) for one in shown)
    assert silent == []

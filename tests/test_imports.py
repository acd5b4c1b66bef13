"""Import cycles that import-linter's contract does not see: between a package and its own modules."""

import tomllib
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

grimp = pytest.importorskip("grimp", reason="it comes with import-linter")
PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def contract(kind: str) -> dict[str, Any]:
    """The one contract of that kind."""
    contracts = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"]
    [found] = [one for one in contracts["contracts"] if one["type"] == kind]
    return dict(found)


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = grimp.build_graph("msoauth", cache_dir=None)
    ignored = set(contract("acyclic_siblings").get("ignore_imports", ()))
    imports = {
        module: {
            imported
            for imported in graph.find_modules_directly_imported_by(module)
            if f"{module} -> {imported}" not in ignored
        }
        for module in graph.modules
        if module != "msoauth"  # it names, for types alone, what it hands out on first use
    }
    TopologicalSorter(imports).prepare()  # a CycleError names the modules

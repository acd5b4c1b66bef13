"""Import cycles that import-linter's contract does not see: between a package and its own modules."""

from graphlib import TopologicalSorter

import pytest

grimp = pytest.importorskip("grimp", reason="it comes with import-linter")


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = grimp.build_graph("msoauth", cache_dir=None)
    # The package itself names, for types alone, what it hands out on first use.
    modules = graph.modules - {"msoauth"}
    imports = {module: graph.find_modules_directly_imported_by(module) for module in modules}
    TopologicalSorter(imports).prepare()  # a CycleError names the modules

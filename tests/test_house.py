"""What holds for the tests themselves."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
# leaks.py looks for what asyncio and the interpreter have open, which they tell nobody; it uses nothing of the product.
TESTS = sorted(file for file in FOLDER.rglob("*.py") if file.name != "leaks.py")
DOCUMENTED = {"os._exit"}  # Python's own documentation names it as the way to end a forked child
BY_NAME = {"setattr", "delattr", "getattr", "hasattr"}


def is_private(name: str) -> bool:
    """Whether a name begins with an underscore; ``_`` is gettext, ``__x__`` Python's and ``_x_`` IPython's protocol."""
    return name.startswith("_") and not name.endswith("_")


def private_uses(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each use of another object's private name, in the programs within strings too.

    Strings are looked through when they are programs for a child process, and where a name is handed to
    ``setattr`` and its like. A class's own names (``self._x``) are its own affair.
    """
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            text = ast.unparse(node)
            if text not in DOCUMENTED and ast.unparse(node.value) not in ("self", "cls", "super()"):
                yield line, text
        elif isinstance(node, ast.ImportFrom):
            yield from ((line, name.name) for name in node.names if is_private(name.name))
        elif isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else ast.unparse(called)
            for given in node.args if name in BY_NAME else ():
                if isinstance(given, ast.Constant) and any(
                    map(is_private, str(given.value).split("."))
                ):
                    yield line, str(given.value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" in node.value:
            try:
                inner = list(private_uses(node.value))
            except (SyntaxError, ValueError):
                continue  # no program
            yield from ((line + within, text) for within, text in inner)


@pytest.mark.parametrize(
    "source",
    [
        "workspace._engine.dispose()",
        "monkeypatch.setattr(vault, '_load', None)",
        "monkeypatch.setattr('msoauth.store.journal._PAGE', 4)",
        "from msoauth.store.engine import _is_here",
        "CHILD = " + repr("\n".join(["from msoauth import x", "x._go()"])),
    ],
)
def test_a_private_name_is_found_however_it_is_reached(source: str) -> None:
    assert len(list(private_uses(source))) == 1


def test_no_test_reaches_for_a_private_name() -> None:
    found = [
        f"{file.relative_to(FOLDER)}:{line}: {text}"
        for file in TESTS
        for line, text in private_uses(file.read_text(encoding="utf-8"))
    ]
    assert found == []

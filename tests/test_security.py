"""Each promise of SECURITY.md names a test that there is, or says that it is untested."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROMISES = (
    (ROOT / "SECURITY.md")
    .read_text(encoding="utf-8")
    .partition("## What it promises")[2]
    .partition("\n## ")[0]
)
EVIDENCE = re.compile(r"Test: `(tests/[\w/]+\.py)::(test_\w+)`|Untested(?:: \S.*|\.)")


def unproven(promises: str) -> list[str]:
    """The promises of a list without a line of evidence, and the lines that are no evidence."""
    found = []
    for promise in re.split(r"^- ", promises, flags=re.MULTILINE)[1:]:
        text, *lines = re.split(r"^  - ", promise, flags=re.MULTILINE)
        lines[-1:] = [lines[-1].partition("\n\n")[0]] if lines else []
        found += [line for line in lines if not EVIDENCE.fullmatch(line.strip())]
        found += [] if lines else [text]
    return found


def test_each_promise_has_its_evidence() -> None:
    assert PROMISES.count("\n- ") > 15
    assert unproven(PROMISES) == []


@pytest.mark.parametrize(
    ("promises", "number"),
    [
        ("- It is safe.\n", 1),
        ("- It is safe.\n  - Test: `tests/x.py::test_x`\n- Really.\n\n### Next\n", 1),
        ("- It is safe.\n  - Proof: none\n", 1),
        ("- It is safe,\n  truly.\n  - Test: `tests/a/x.py::test_x`\n\n### Next\n", 0),
        ("- It is safe.\n  - Untested: only Windows has it.\n", 0),
    ],
)
def test_a_promise_without_evidence_is_found(promises: str, number: int) -> None:
    assert len(unproven(promises)) == number


@pytest.mark.parametrize(
    ("file", "name"), sorted({m.groups() for m in EVIDENCE.finditer(PROMISES) if m[1]})
)
def test_each_test_that_is_named_is_there(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

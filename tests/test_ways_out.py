"""One test plants every secret in every encoding, and all that acts on a terminal, into every way out."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from msoauth import ui
from msoauth.cli import app
from tests.encodings import assert_hidden
from tests.hostile_text import is_harmless
from tests.ways_out import COMMANDS, ELSEWHERE, LASTING, WAYS, Situation, situation

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Situation]:
    with situation(tmp_path_factory.mktemp("planted")) as made:
        yield made


@pytest.mark.parametrize("name", WAYS)
def test_no_secret_and_no_hostile_text_takes_a_way_out(planted: Situation, name: str) -> None:
    way = WAYS[name]
    out = way.leave(planted)
    assert out
    assert_hidden(out)
    if way.is_text:
        assert is_harmless(out), [c for c in set(out) if not is_harmless(c)]
    if way.is_html:
        assert "<script" not in out


def commands(command: Any, *names: str) -> Iterator[tuple[str, Any]]:
    """Every command of the command line, by its whole name."""
    below = getattr(command, "commands", None)
    if below is None:
        yield " ".join(names), command
    for name, child in (below or {}).items():
        yield from commands(child, *names, name)


def test_every_command_is_in_the_list() -> None:
    there = {name for name, _command in commands(typer.main.get_command(app))}
    assert there <= set(COMMANDS) | set(LASTING)


def test_every_panel_is_in_the_list() -> None:
    assert {f"panel: {name}" for name in ui.__all__} <= {*WAYS, "panel: use"}


def test_every_report_is_in_the_list() -> None:
    there = {file.stem for file in (ROOT / "msoauth" / "reports").glob("*.py")} - {"__init__"}
    assert there <= {covered for way in WAYS.values() for covered in way.covers}


def test_no_secret_is_an_argument_of_a_process() -> None:
    for name, command in commands(typer.main.get_command(app)):
        for parameter in command.params:
            secret = any(
                word in str(parameter.name)
                for word in ("secret", "passphrase", "password", "token")
            )
            expires = str(parameter.name).endswith("expires")
            assert not secret or expires or parameter.is_flag, (name, parameter.name)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_other_ways_have_a_test_of_their_own(name: str) -> None:
    file, _colons, test = ELSEWHERE[name].partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}

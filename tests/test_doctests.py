"""The examples in the README and in the docstrings of public names run on the practice tenant and print what they say."""

import doctest
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import msoauth
from msoauth.enrol import enrol
from msoauth.practice import PracticeTenant
from msoauth.store.accounts import Accounts
from msoauth.store.firms import Firms
from msoauth.store.journal import Journal

# What somebody may use: the names of msoauth, of its checks and panels, the practice tenant, and what a workspace holds.
PUBLIC = {name: getattr(msoauth, name) for name in msoauth.__all__ if name != "__version__"}
ROOMS = {name: room for name, room in PUBLIC.items() if inspect.ismodule(room)}
NAMES = {name: thing for name, thing in PUBLIC.items() if name not in ROOMS} | {
    f"{room}.{name}": getattr(ROOMS[room], name)
    for room in ROOMS
    for name in ROOMS[room].__all__
    if not isinstance(getattr(ROOMS[room], name), tuple)  # groups of checks
}
NAMES |= {"ws.firms": Firms, "ws.accounts": Accounts, "ws.journal": Journal}


def examples() -> Iterator[doctest.DocTest]:
    readme = Path(__file__).parents[1] / "README.md"
    text = readme.read_text(encoding="utf-8")
    yield doctest.DocTestParser().get_doctest(text, {}, "README", str(readme), 0)
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name, thing in sorted(NAMES.items()):
        yield from (test for test in finder.find(thing, name, globs={}) if test.examples)


EXAMPLES = list(examples())
PASSPHRASE = "of the examples"


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_public_name_has_an_example(name: str) -> None:
    assert any(test.name == name for test in EXAMPLES), f"{name} has no example in its docstring"


@pytest.fixture(scope="module")
def signed_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[msoauth.Workspace]:
    """A workspace on the practice tenant in which everybody has signed in."""
    folder = tmp_path_factory.mktemp("examples")
    with (
        PracticeTenant() as tenant,
        msoauth.Workspace.open(folder / "workspace", passphrase=PASSPHRASE) as workspace,
    ):
        for _address in enrol(workspace, tenant.endpoints_file):
            pass
        msoauth.ui.use(workspace)
        yield workspace
        msoauth.ui.use(None)


@pytest.mark.parametrize("example", EXAMPLES, ids=[test.name for test in EXAMPLES])
def test_the_example_prints_what_it_says(
    example: doctest.DocTest,
    signed_in: msoauth.Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # examples may write files
    monkeypatch.setenv("MSOAUTH_WORKSPACE", str(signed_in.folder))
    monkeypatch.setenv("MSOAUTH_PASSPHRASE", PASSPHRASE)
    globs: dict[str, Any] = {"msoauth": msoauth, "ws": signed_in}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    test = doctest.DocTest(
        example.examples, globs, example.name, example.filename, example.lineno, example.docstring
    )
    said: list[str] = []
    runner.run(test, out=said.append, clear_globs=False)
    if (opened := test.globs["ws"]) is not signed_in:
        opened.close()
    assert runner.summarize(verbose=False).failed == 0, "".join(said)

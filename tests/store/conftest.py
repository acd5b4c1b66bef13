"""What the tests of the store share: a workspace on each kind of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from msoauth.store import Workspace
from tests.leaks import long_lived
from tests.postgres import Server, postgresql


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with long_lived(postgresql()) as running:
        yield running


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param(
            "postgresql",
            marks=[pytest.mark.real("postgresql"), pytest.mark.xdist_group("postgresql")],
        ),
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a workspace may be made, on each kind of database in turn."""
    if request.param == "sqlite":
        return str(tmp_path / "workspace")
    server: Server = request.getfixturevalue("server")
    return server.new_database()


@pytest.fixture
def either(place: str) -> Iterator[Workspace]:
    """A workspace on each kind of database in turn."""
    with Workspace.open(place) as opened:
        yield opened

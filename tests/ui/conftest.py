"""A workspace to show, and English to read."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from msoauth.lab import PRACTICE_VARIABLE
from msoauth.model import Firm
from msoauth.practice import PracticeTenant
from msoauth.store import Workspace
from msoauth.texts import use_language
from msoauth.ui.session import Session


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    use_language("en")
    yield
    use_language("en")


@pytest.fixture
def tenant(monkeypatch: pytest.MonkeyPatch) -> Iterator[PracticeTenant]:
    with PracticeTenant() as running:
        monkeypatch.setenv(PRACTICE_VARIABLE, str(running.endpoints_file))
        yield running


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Workspace.open(tmp_path / "workspace") as workspace:
        yield Session(workspace)


@pytest.fixture
def firm(session: Session) -> Firm:
    """A firm that nobody is asked about."""
    firm = Firm("Contoso Legal", "contoso.example", "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")
    session.workspace.firms.add(firm)
    return firm

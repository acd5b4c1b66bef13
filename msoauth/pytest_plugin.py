"""A pytest plugin for other programs' tests: the fixture `microsoft365`, a practice tenant for one test.

``pip install msoauth`` makes it known to pytest. It imports nothing but pytest until a test asks for the fixture.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from msoauth.practice.firm import Microsoft365

_MARKER = (
    "microsoft365(scenario, accounts=0, firms=1, latency=0.0): how the practice tenant of this test is; "
    "scenario is a name of `msoauth practice scenarios`, or a list of them"
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def microsoft365(request: pytest.FixtureRequest) -> Iterator["Microsoft365"]:
    """A simulated Microsoft 365 tenant (sign-in, token service, Graph, POP3, IMAP, SMTP) for this test alone."""
    # Not at the top: every run of pytest imports this module, and few of them use the fixture.
    from msoauth.practice import PracticeTenant
    from msoauth.practice.firm import Microsoft365
    from msoauth.practice.scenarios import ScenarioError

    options: dict[str, object] = {}
    for mark in reversed(list(request.node.iter_markers("microsoft365"))):
        options |= mark.kwargs | ({"scenario": mark.args[0]} if mark.args else {})
    scenario = options.pop("scenario", ())
    names = [scenario] if isinstance(scenario, str) else scenario
    tenant, problem = None, ""
    try:
        tenant = PracticeTenant(scenarios=names, **options)  # type: ignore[arg-type]
    except ScenarioError as error:
        problem = f"there is no scenario {error.name}{f' for {error.aim}' if error.aim else ''}"
        problem += f"; did you mean {error.near[0]}?" if error.near else ""
    except (TypeError, ValueError) as error:
        problem = str(error)
    if tenant is None:
        pytest.fail(f"@pytest.mark.microsoft365: {problem}", pytrace=False)
    with tenant:
        yield Microsoft365(tenant)

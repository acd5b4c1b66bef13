"""Every scenario of the practice tenant is diagnosed as its cause, by the sign-in or by the checks after it."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from msoauth import checks, clouds
from msoauth.errors import AuthError
from msoauth.identity import signin
from msoauth.model import Account, Finding, Firm
from msoauth.practice import PracticeTenant, scenarios
from msoauth.store import Workspace
from tests.people import sign_in_as_a_person

# These are asked at the sign-in only; who has signed in before does not meet them.
AT_SIGN_IN = {"user-consent-off", "password-expired", "account-locked"}


@dataclass
class Case:
    """A firm with one user on a practice tenant."""

    tenant: PracticeTenant
    workspace: Workspace
    account: Account
    password: str

    def sign_in(self) -> None:
        attempt = signin.start(self.workspace, self.account, open_browser=False)
        person = threading.Thread(
            target=sign_in_as_a_person,
            args=(attempt.url, self.account.address, self.password),
            daemon=True,
        )
        person.start()
        try:
            attempt.wait(20)
        finally:
            attempt.cancel()
            person.join(20)

    def reload(self, folder: Path) -> None:
        """Take the endpoints as they are now, as a user would who is told of other hosts."""
        file = folder / "endpoints.json"
        file.write_text(json.dumps(self.tenant.endpoints), encoding="utf-8")
        self.workspace.firms.replace(_firm(self.tenant, clouds.load(str(file))))

    def diagnose(self) -> list[Finding]:
        context = checks.Context(self.workspace, self.workspace.firms.get("Contoso"), self.account)
        return list(checks.run((*checks.DIAGNOSE, *checks.SEND), context))


def _firm(tenant: PracticeTenant, cloud: clouds.Cloud) -> Firm:
    known = tenant.endpoints["practice"]["firms"][0]
    return Firm("Contoso", known["tenant_id"], known["client_id"], cloud=cloud)


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    with PracticeTenant() as tenant, Workspace.open(tmp_path / "workspace") as workspace:
        known = tenant.endpoints["practice"]["firms"][0]
        person = known["accounts"][1]
        workspace.firms.add(
            _firm(tenant, clouds.load(str(tenant.endpoints_file))), known["client_secret"]
        )
        account = Account(person["address"], "Contoso")
        workspace.accounts.add(account)
        yield Case(tenant, workspace, account, person["password"])


def test_a_healthy_tenant_has_no_broken_link(case: Case) -> None:
    case.sign_in()
    assert checks.first_broken(case.diagnose()) is None


@pytest.mark.parametrize(
    "scenario", [s for s in scenarios.scenarios() if s.name not in AT_SIGN_IN], ids=lambda s: s.name
)
def test_a_scenario_is_diagnosed_as_its_cause(
    case: Case, scenario: scenarios.Scenario, tmp_path: Path
) -> None:
    case.sign_in()
    scenarios.apply(case.tenant, scenario.name)
    case.reload(tmp_path)
    broken = checks.first_broken(case.diagnose())
    assert broken is not None
    assert broken.cause == scenario.cause, broken
    assert broken.fix
    assert broken.who


@pytest.mark.parametrize(
    "scenario", [s for s in scenarios.scenarios() if s.name in AT_SIGN_IN], ids=lambda s: s.name
)
def test_a_scenario_of_the_sign_in_stores_nothing(case: Case, scenario: scenarios.Scenario) -> None:
    scenarios.apply(case.tenant, scenario.name)
    attempt = signin.start(case.workspace, case.account, open_browser=False)
    try:
        page = sign_in_as_a_person(attempt.url, case.account.address, case.password, patient=False)
    finally:
        attempt.cancel()
    with pytest.raises(AuthError):
        attempt.wait(5)
    assert case.workspace.tokens.status(case.account.address) is None
    from msoauth.explain import explain

    assert explain(page).cause == scenario.cause, page

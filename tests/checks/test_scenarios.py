"""Every scenario of the practice tenant is diagnosed as its cause, where it shows: by the checks or by the sign-in."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from msoauth import judgement
from msoauth.checks.mail import fetch_mail, send_test
from msoauth.model import Finding, Signal
from msoauth.practice.scenarios import Scenario, scenarios
from tests.checks.cases import ACCOUNTS, NEWCOMER, Case, running


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with running(tmp_path_factory.mktemp("case")) as made:
        yield made


@pytest.fixture
def bring_about(case: Case) -> Iterator[Callable[[Scenario], None]]:
    taken_back = []

    def begin(scenario: Scenario) -> None:
        taken_back.append(case.tenant.scenarios.start(scenario.name))
        case.reload()

    yield begin
    for take_back in taken_back:
        take_back()
    case.reload()


def _named(*shows: str) -> pytest.MarkDecorator:
    wanted = [scenario for scenario in scenarios() if scenario.shows in shows]
    return pytest.mark.parametrize("scenario", wanted, ids=lambda s: s.name)


@pytest.mark.parametrize("kind", ACCOUNTS)
def test_a_healthy_account_has_no_broken_link(case: Case, kind: str) -> None:
    assert judgement.root_cause(case.diagnose(case.signed_in_account(kind))) is None


@_named("diagnose", "send")
def test_a_scenario_is_diagnosed_as_its_cause(
    case: Case, bring_about: Callable[[Scenario], None], scenario: Scenario
) -> None:
    account = case.signed_in_account(scenario.account)
    bring_about(scenario)
    broken = judgement.root_cause(case.diagnose(account, scenario))
    if scenario.cause is None:  # it must work all the same
        assert broken is None
        return
    assert broken is not None
    assert broken.cause == scenario.cause, broken
    assert broken.fix
    assert broken.who


@_named("sign-in")
def test_a_scenario_of_the_sign_in_is_told_and_stores_nothing(
    case: Case, bring_about: Callable[[Scenario], None], scenario: Scenario
) -> None:
    firm = next(iter(case.tenant.state.tenants.values()))
    account = NEWCOMER
    newcomer = firm.user(account.address)
    assert newcomer is not None
    firm.principal.user_consent.pop(newcomer.id, None)
    case.workspace.tokens.forget(account.address)
    bring_about(scenario)
    user = {"username-mistyped": "nobody@contoso.example", "wrong-account": "admin@contoso.example"}
    answer = "cancel" if scenario.name == "consent-cancelled" else "accept"
    cause, page = case.sign_in(account, user.get(scenario.name, ""), answer)
    assert cause == scenario.cause, page
    assert case.workspace.tokens.status(account.address) is None


@_named("renewal")
def test_a_scenario_of_a_new_sign_in_is_diagnosed_after_it(
    case: Case, bring_about: Callable[[Scenario], None], scenario: Scenario
) -> None:
    account = case.signed_in_account(scenario.account)
    bring_about(scenario)
    case.workspace.tokens.forget(account.address)
    case.signed_in.discard(scenario.account)  # whatever comes after needs a sound sign-in
    assert case.sign_in(account)[0] is None
    broken = judgement.root_cause(case.diagnose(account, scenario))
    assert broken is not None
    assert (broken.cause, bool(broken.fix)) == (scenario.cause, True)


@_named("device")
def test_a_scenario_of_the_device_code_is_told(
    case: Case, bring_about: Callable[[Scenario], None], scenario: Scenario
) -> None:
    account = ACCOUNTS[scenario.account]
    bring_about(scenario)
    assert case.sign_in_by_code(account) == scenario.cause


@_named("paste")
def test_a_scenario_of_the_pasted_address_is_told(
    case: Case, bring_about: Callable[[Scenario], None], scenario: Scenario
) -> None:
    bring_about(scenario)
    assert case.sign_in_by_pasting(NEWCOMER) == scenario.cause


@_named("graph")
def test_a_scenario_of_an_administrators_reading_is_told(
    case: Case, bring_about: Callable[[Scenario], None], scenario: Scenario
) -> None:
    account = case.signed_in_account(scenario.account)
    assert case.read_graph(account) is None
    bring_about(scenario)
    assert case.read_graph(account) == scenario.cause


@_named("fetch")
def test_a_scenario_of_a_retrieval_is_diagnosed_by_it(
    case: Case, bring_about: Callable[[Scenario], None], scenario: Scenario, tmp_path: Path
) -> None:
    account = case.signed_in_account(scenario.account)
    bring_about(scenario)
    found: list[Finding] = []
    list(fetch_mail(case.workspace, account, to=tmp_path, on_finding=found.append))
    [broken] = found
    assert broken.cause == scenario.cause
    assert judgement.root_cause(found) is broken
    assert broken.fix
    assert broken.who


@_named("arrival")
def test_a_scenario_of_a_test_mail_that_does_not_arrive_is_diagnosed(
    case: Case, bring_about: Callable[[Scenario], None], scenario: Scenario
) -> None:
    account = case.signed_in_account(scenario.account)
    bring_about(scenario)
    found = send_test(case.workspace, account, round_trip=True, arrival_seconds=0.0)
    broken = judgement.root_cause(found)
    assert broken is not None
    assert (broken.cause, broken.signal) == (scenario.cause, Signal.FAILED)
    assert broken.fix
    assert broken.who


@_named("password")
def test_a_scenario_of_passwords_is_told(
    case: Case, bring_about: Callable[[Scenario], None], scenario: Scenario
) -> None:
    bring_about(scenario)
    assert case.log_in_with_a_password(ACCOUNTS["pop3"]) == scenario.cause


def test_every_scenario_is_in_one_of_the_tests_above() -> None:
    tested = {
        "diagnose",
        "send",
        "sign-in",
        "renewal",
        "device",
        "paste",
        "graph",
        "password",
        "arrival",
        "fetch",
    }
    assert {scenario.shows for scenario in scenarios()} == tested


def test_a_scenario_that_was_taken_back_is_gone(case: Case) -> None:
    account = case.signed_in_account("pop3")
    for name in ("pop3-port-closed", "smtp-inspected", "authority-silent", "tenant-common"):
        take_back = case.tenant.scenarios.start(name)
        take_back()
    case.reload()
    assert not {finding.cause for finding in case.diagnose(account)} - {None}

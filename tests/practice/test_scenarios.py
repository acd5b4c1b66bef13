"""Scenarios as data: what there is, at whom they can be aimed, and that they leave nothing behind."""

from collections.abc import Iterator

import pytest

from msoauth.explaining import causes, for_cause
from msoauth.practice import PracticeTenant
from msoauth.practice.scenario_settings import AREAS, Reach
from msoauth.practice.scenarios import Scenario, ScenarioError, find_scenario, scenarios
from msoauth.practice.state import EXCHANGE_APP_ID

ANNA = "anna.lindqvist@contoso.example"
MAX = "max.weiss@contoso.example"


@pytest.fixture(scope="module")
def tenant() -> Iterator[PracticeTenant]:
    with PracticeTenant() as running:
        for firm in running.state.tenants.values():  # so that there is something to withdraw
            firm.principal.app_roles = {EXCHANGE_APP_ID: {"SMTP.SendAsApp"}}
        yield running


def _snapshot(tenant: PracticeTenant) -> str:
    firm = next(iter(tenant.state.tenants.values()))
    state = (
        firm.app,
        [secret.value for secret in firm.app.secrets],
        firm.principals,
        firm.policies,
        firm.users,
        firm.mailboxes,
        firm.deprovisioned,
        firm.exchange_online,
        firm.smtp_client_authentication_disabled,
        tenant.endpoints,
        tenant.state.clock.offset,
        list(tenant.state.faults),
    )
    return repr(state)


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda s: s.name)
def test_a_scenario_has_a_sentence_a_cause_and_settings_that_exist(scenario: Scenario) -> None:
    assert scenario.says.endswith(".")
    if scenario.cause is not None:
        assert for_cause(scenario.cause).title
    assert scenario.set or scenario.do
    assert all(path.partition(".")[0] in AREAS for path in scenario.set)


def test_they_cover_every_cause_but_those_that_no_tenant_brings_about() -> None:
    assert len(scenarios()) >= 45
    # Whoever has not signed in yet needs no scenario; that POP or IMAP is off, Exchange tells nobody (facts E2).
    told_otherwise = {"session-missing", "pop-disabled", "imap-disabled", "unknown"}
    # Met in other programs' texts only: msoauth itself speaks OAuth, no EWS, and sends a secret, no certificate.
    of_other_programs = {"client-lacks-oauth", "certificate-invalid", "ews-retired"}
    # Nothing in msoauth can meet these yet.
    not_yet = {
        *("exchange-role-missing",),
    }
    missing = set(causes()) - {known.cause for known in scenarios()}
    assert missing == told_otherwise | of_other_programs | not_yet


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda s: s.name)
def test_what_a_scenario_broke_can_be_taken_back(
    tenant: PracticeTenant, scenario: Scenario
) -> None:
    before, file = _snapshot(tenant), tenant.endpoints_file.read_text(encoding="utf-8")
    take_back = tenant.scenarios.start(scenario.name)
    if scenario.set:
        assert _snapshot(tenant) != before
    take_back()
    assert _snapshot(tenant) == before
    assert tenant.endpoints_file.read_text(encoding="utf-8") == file


def test_one_account_alone_can_be_struck(tenant: PracticeTenant) -> None:
    firm = next(iter(tenant.state.tenants.values()))
    take_back = tenant.scenarios.start(f"pop-off@{ANNA.upper()}")
    try:
        assert [m.address for m in firm.mailboxes.values() if not m.pop_enabled] == [ANNA]
    finally:
        take_back()
    take_back = tenant.scenarios.start(f"pop-unavailable@{ANNA}")
    try:
        value = tenant.state.faults.value
        assert value("pop3.unavailable", firm.tenant_id, ANNA)
        assert not value("pop3.unavailable", firm.tenant_id, MAX)
    finally:
        take_back()


@pytest.mark.parametrize("aim", ["contoso legal", "CONTOSO.example", "{tenant_id}"])
def test_one_firm_can_be_named_three_ways(tenant: PracticeTenant, aim: str) -> None:
    firm = next(iter(tenant.state.tenants.values()))
    asked = find_scenario(tenant.state, f"app-disabled@{aim.format(tenant_id=firm.tenant_id)}")
    assert asked.tenants == (firm,)
    assert asked.account is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no-such", "name"),
        ("", "name"),
        ("pop-off@nobody@contoso.example", "aim"),
        ("pop-off@", "aim"),
        ("pop-off@fabrikam.nowhere", "aim"),
        (f"app-disabled@{ANNA}", "narrow"),
        ("clock-ahead@contoso.example", "narrow"),
    ],
)
def test_a_silly_scenario_is_told_before_anything_runs(text: str, problem: str) -> None:
    with pytest.raises(ScenarioError) as told:
        PracticeTenant(scenarios=[text])
    assert told.value.problem == problem


def test_a_mistyped_name_gets_the_one_that_was_meant() -> None:
    with pytest.raises(ScenarioError) as told:
        PracticeTenant(scenarios=["pop-of"])
    assert "pop-off" in told.value.near


def test_several_scenarios_hold_at_once() -> None:
    with PracticeTenant(
        scenarios=[f"pop-off@{ANNA}", f"mailbox-full@{MAX}", "redirect-none"]
    ) as it:
        firm = next(iter(it.state.tenants.values()))
        assert not firm.mailboxes[ANNA].pop_enabled
        assert firm.mailboxes[MAX].pop_enabled
        assert it.state.faults.value("smtp.mailbox-full", MAX)
        assert not firm.app.web_redirect_uris


def test_every_reach_is_met() -> None:
    assert {scenario.reach for scenario in scenarios()} == set(Reach)

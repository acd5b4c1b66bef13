"""What policies mean for a sign-in, as Graph shows them and as the practice sign-in meets them: they agree."""

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from msoauth import checks, judgement
from msoauth.checks.directory_policies import name_policies
from msoauth.errors import AuthError
from msoauth.graph import Graph
from msoauth.graph.conditional_access import Attempt, Effect, Memberships, effect, policy
from msoauth.identity import administrator
from msoauth.model import Account, Signal
from msoauth.practice import conditional_access
from msoauth.practice.conditional_access import ConditionalAccessPolicy, SignInFacts
from msoauth.practice.graph.conditional_access import policy as shown
from msoauth.practice.state import EXCHANGE_APP_ID, GRAPH_APP_ID
from tests.checks.cases import ACCOUNTS, NEWCOMER, running
from tests.checks.test_directory import ADMIN, Office

CHOICES = {
    "users": ("All", "me", "you", "GuestsOrExternalUsers"),
    "groups": ("lawyers", "others"),
    "roles": ("a-role", "b-role"),
    "applications": ("All", "Office365", EXCHANGE_APP_ID, GRAPH_APP_ID, "our-app", "MicrosoftAdminPortals"),
}  # fmt: skip
TYPES = ("all", "browser", "mobileAppsAndDesktopClients", "exchangeActiveSync", "other")
CONTROLS = ("block", "mfa", "compliantDevice", "domainJoinedDevice", "approvedApplication")
STATES = ("enabled", "enabled", "disabled", "enabledForReportingButNotEnforced")


def _some(draw: random.Random, items: tuple[str, ...], chance: float) -> set[str]:
    return {item for item in items if draw.random() < chance}


def _random_policy(draw: random.Random, number: int) -> ConditionalAccessPolicy:
    named: dict[str, Any] = {}
    for what, items in CHOICES.items():
        named[f"include_{what}"] = _some(draw, items, 0.4)
        named[f"exclude_{what}"] = _some(draw, items[1:], 0.1)
    controls = tuple(sorted(_some(draw, CONTROLS[1:], 0.4)) or CONTROLS[:1])
    return ConditionalAccessPolicy(
        f"policy {number}",
        state=draw.choice(STATES),
        client_app_types=_some(draw, TYPES, 0.4) or {"all"},
        transfer_methods={"deviceCodeFlow"} if draw.random() < 0.2 else set(),
        operator=draw.choice(("OR", "AND")),
        built_in_controls=controls,
        sign_in_frequency=timedelta() if draw.random() < 0.1 else None,
        **named,
    )


@pytest.mark.parametrize("seed", range(40))
def test_what_graph_shows_is_judged_as_the_sign_in_meets_it(seed: int) -> None:
    draw = random.Random(seed)
    policies = [_random_policy(draw, number) for number in range(12)]
    groups = frozenset(_some(draw, CHOICES["groups"], 0.5))
    roles = frozenset(_some(draw, CHOICES["roles"], 0.5))
    native, by_code = draw.random() < 0.5, draw.random() < 0.3
    kind = "mobileAppsAndDesktopClients" if native else "browser"
    flow = "deviceCodeFlow" if by_code else ""
    apps = frozenset({EXCHANGE_APP_ID, "Office365", *([] if native else ["our-app"])})
    facts = SignInFacts(
        "me", frozenset({"me", "All"}), groups, roles, EXCHANGE_APP_ID, apps | {"All"}, kind, flow, age=1.0
    )  # fmt: skip
    met = conditional_access.evaluate(policies, facts)
    attempt = Attempt("me", Memberships(groups, roles), apps, kind, flow)
    found = effect([policy(shown(one)) for one in policies], attempt)
    expected: dict[str, set[str]] = {name: set() for name in Effect.__dataclass_fields__}
    for said in met:
        if said.result != "failure":
            continue
        unmet, name = set(said.unmet), said.policy.display_name
        choice = said.policy.operator == "OR"
        devices, mfa = unmet & {"compliantDevice", "domainJoinedDevice"}, "mfa" in unmet
        if said.too_old:
            expected["frequencies"].add(name)
        if "block" in unmet or (unmet == {"approvedApplication"}):
            expected["blocks"].add(name)
        elif choice:
            expected["factors" if mfa else "devices"].add(name)
        else:
            for kind_of, there in (
                ("blocks", "approvedApplication" in unmet),
                ("devices", bool(devices)),
                ("factors", mfa),
            ):
                if there:
                    expected[kind_of].add(name)
    assert {kind: {p.name for p in getattr(found, kind)} for kind in expected} == expected


def _row(**conditions: Any) -> dict[str, Any]:
    row = shown(ConditionalAccessPolicy("one", built_in_controls=("block",)))
    row["conditions"] |= conditions
    return row


ATTEMPT = Attempt("me", Memberships(frozenset(), frozenset()), frozenset({"Office365"}), "browser")


@pytest.mark.parametrize(
    "conditions",
    [
        {"locations": {"includeLocations": ["All"], "excludeLocations": ["AllTrusted"]}},
        {"platforms": {"includePlatforms": ["windows"], "excludePlatforms": []}},
        {"devices": {"deviceFilter": {"mode": "exclude", "rule": "device.isCompliant -eq True"}}},
        {"signInRiskLevels": ["high"]},
        {"users": {"includeUsers": [], "includeGroups": ["g"]}},
        {"users": {"includeUsers": ["All"], "excludeRoles": ["r"]}},
        {
            "applications": {
                "includeApplications": ["All"],
                "applicationFilter": {"mode": "include"},
            }
        },
    ],
)
def test_what_cannot_be_judged_is_called_possible(conditions: dict[str, Any]) -> None:
    unknown = Attempt("me", Memberships(), ATTEMPT.apps, "browser")
    found = effect([policy(_row(**conditions))], unknown)
    assert (found.blocks, [p.name for p in found.possible]) == ((), ["one"])


@pytest.mark.parametrize(
    "conditions",
    [
        {"users": {"includeUsers": ["None"]}},
        {"users": {"includeUsers": ["GuestsOrExternalUsers"]}},
        {"users": {"includeUsers": ["All"], "excludeUsers": ["me"]}},
        {"applications": {"includeApplications": ["None"]}},
        {"applications": {"includeUserActions": ["urn:user:registersecurityinfo"]}},
        {"clientApplications": {"includeServicePrincipals": ["ServicePrincipalsInMyTenant"]}},
        {"clientAppTypes": ["exchangeActiveSync", "other"]},
        {"authenticationFlows": {"transferMethods": "deviceCodeFlow,authenticationTransfer"}},
        {"users": None, "applications": None},
    ],
)
def test_what_is_for_others_does_not_count(conditions: dict[str, Any]) -> None:
    assert effect([policy(_row(**conditions))], ATTEMPT) == Effect()


def test_other_controls_than_the_built_in_ones_ask_the_user() -> None:
    for grant in (
        {"operator": "OR", "builtInControls": [], "authenticationStrength": {"id": "x"}},
        {"operator": "OR", "builtInControls": [], "termsOfUse": ["x"]},
        {"operator": "AND", "builtInControls": [], "customAuthenticationFactors": ["Duo"]},
    ):
        found = effect([policy(_row() | {"grantControls": grant})], ATTEMPT)
        assert [p.name for p in found.factors] == ["one"]
    assert effect([policy({})], ATTEMPT) == Effect()


# -- in a diagnosis -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with running(tmp_path_factory.mktemp("office")) as case:
        case.signed_in_account("pop3")
        made = Office(case, Graph(case.workspace.firms.get("Contoso").cloud, "nobody's"))
        made.graph = made.sign_in(*administrator.SCOPES)
        yield made


def _context(office: Office, account: Account) -> checks.Context:
    graph = Graph(
        office.graph.cloud, office.graph.token.reveal()
    )  # nothing read before is believed
    firm = office.case.workspace.firms.get(account.firm)
    return checks.Context(office.case.workspace, firm, account, graph=graph)


@pytest.fixture
def scenario(office: Office) -> Iterator[Callable[[str], None]]:
    ends: list[Callable[[], None]] = []
    yield lambda name: ends.append(office.case.tenant.scenarios.start(name))
    for end in ends:
        end()


@pytest.mark.parametrize(
    ("name", "signal", "policies"),
    [
        ("conditional-access", Signal.FAILED, "Block access to mail"),
        ("conditional-access-group", Signal.FAILED, "Block access for a group"),
        ("browser-apps-blocked", Signal.FAILED, "Block browser apps"),
        ("app-not-approved", Signal.FAILED, "Require an approved client app"),
        ("device-not-compliant", Signal.WARNING, "Require a compliant device"),
        ("device-not-managed", Signal.WARNING, "Require a managed device"),
        ("mfa-newly-required", Signal.PASSED, "Require multifactor authentication"),
        (
            "mfa-for-all-users",
            Signal.PASSED,
            "Microsoft-managed: Multifactor authentication for all",
        ),
        (
            "device-code-blocked",
            Signal.PASSED,
            "with a code is blocked by “Microsoft-managed: Block",
        ),
        ("sign-in-frequency", Signal.PASSED, "Sign in again after a while"),
        ("security-defaults", Signal.PASSED, "security defaults are on"),
    ],
)
def test_a_diagnosis_with_an_administrator_names_the_policy(
    office: Office, scenario: Callable[[str], None], name: str, signal: Signal, policies: str
) -> None:
    assert (
        office.look()["policies"].summary == "no Conditional Access policy restricts this sign-in"
    )
    scenario(name)
    found = office.look()["policies"]
    assert policies in found.summary
    assert found.signal is signal
    assert (found.cause is None) is (signal is Signal.PASSED)


def test_a_policy_for_somebody_else_is_not_told(
    office: Office, scenario: Callable[[str], None]
) -> None:
    scenario(f"conditional-access@{NEWCOMER.address}")
    assert office.look()["policies"].signal is Signal.PASSED
    assert office.look(NEWCOMER)["policies"].cause == "conditional-access"


def test_policies_that_may_not_be_read_are_no_failure(
    office: Office, scenario: Callable[[str], None]
) -> None:
    scenario(f"graph-role-missing@{ADMIN}")
    found = office.look()["policies"]
    assert (found.signal, found.cause) == (Signal.WARNING, None)
    assert "Policy.Read.All" in found.summary


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("conditional-access", "pop3"),
        ("device-not-compliant", "pop3"),
        ("mfa-newly-required", "pop3"),
        ("desktop-apps-blocked", "device"),
        ("device-code-blocked", "device"),
    ],
)
def test_the_policy_is_named_where_the_token_is_refused(
    office: Office, scenario: Callable[[str], None], name: str, kind: str
) -> None:
    account = office.case.signed_in_account(kind)
    scenario(name)
    wanted = [c for c in checks.SIGN_IN if c.id in ("sign-in.present", "sign-in.token")]
    *_present, found = checks.run(wanted, _context(office, account))
    policies = office.firm.policies.conditional_access
    on = [p.display_name for p in policies if p.state == "enabled"]
    assert found.signal is Signal.FAILED
    assert f"Policy: “{on[0]}”." in found.summary
    # The log of sign-ins names it as well, as that of a sign-in that nobody made on a page.
    logged = office.look(account)["sign-ins"]
    assert "that the app made" in logged.summary
    assert f"by the policy “{on[0]}”" in logged.summary


def test_a_refusal_without_policies_stays_as_it_is(office: Office) -> None:
    context = _context(office, ACCOUNTS["pop3"])
    for error in (
        AuthError("no", cause="conditional-access", claims="{"),
        AuthError("no", cause="conditional-access", claims='{"access_token": []}'),
        AuthError("no", cause="refresh-revoked", claims='{"access_token": {}}'),
    ):
        assert name_policies(context, error) is error


def test_the_log_is_read_behind_the_sign_ins_of_all_others(office: Office) -> None:
    firm, state = office.firm, office.case.tenant.state
    take_back = office.case.tenant.scenarios.start(f"password-expired@{NEWCOMER.address}")
    office.case.workspace.tokens.forget(NEWCOMER.address)
    try:
        office.case.sign_in(NEWCOMER)
    finally:
        take_back()
    for number in range(300):
        state.log_event(
            "sign-in",
            "success",
            tenant=firm.name,
            user=f"u{number}@x.example",
            app_id=firm.app.app_id,
        )
    found = office.look(NEWCOMER)["sign-ins"]
    assert (found.signal, found.cause) == (Signal.FAILED, "password-expired")
    assert judgement.is_problem(found)

"""What an administrator's sign-in shows of the registration, on the practice tenant's Graph."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from msoauth import checks, judgement
from msoauth.graph import Graph
from msoauth.identity import administrator
from msoauth.model import Account, Finding, Signal
from msoauth.practice.consent_policies import EXEMPT_APPS, LEGACY, LOW
from msoauth.practice.registrations import EXEMPTION, AppManagementPolicy, AppRegistration
from msoauth.practice.state import EXCHANGE_APP_ID, GRAPH_APP_ID, MANAGED_CONSENT, Tenant
from tests.checks.cases import ACCOUNTS, NEWCOMER, Case, running
from tests.people import sign_in_as_a_person

ADMIN = "admin@contoso.example"
POP_ID, SEND_ID = "fb698133-92fa-453e-a9ed-688e10f2e5ac", "76faac2a-0f20-42f1-928a-50de5b9dbe52"
ANNA = ACCOUNTS["pop3"]


@dataclass
class Office:
    """A case with an administrator who has signed in."""

    case: Case
    graph: Graph

    @property
    def firm(self) -> Tenant:
        return next(iter(self.case.tenant.state.tenants.values()))

    def sign_in(self, *scopes: str) -> Graph:
        """An administrator signs in, who consents to these permissions."""
        case, firm = self.case, self.case.workspace.firms.get("Contoso")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(administrator, "SCOPES", scopes)
            attempt = administrator.start(case.workspace, firm, "browser", open_browser=False)
        try:
            sign_in_as_a_person(attempt.url, ADMIN, case.password(ADMIN))
            token = attempt.wait(20)
        finally:
            attempt.cancel()
        return Graph(firm.cloud, token.value, signed_in_as=ADMIN)

    def look(self, account: Account | None = ANNA) -> dict[str, Finding]:
        name = account.firm if account else "Contoso"
        graph = Graph(
            self.graph.cloud, self.graph.token.reveal()
        )  # nothing read before is believed
        firm = self.case.workspace.firms.get(name)
        context = checks.Context(self.case.workspace, firm, account, graph=graph)
        wanted = (*checks.NETWORK, *checks.REGISTRATION, *checks.DIRECTORY)
        return {f.check.removeprefix("registration."): f for f in checks.run(wanted, context)}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with running(tmp_path_factory.mktemp("office")) as case:
        case.signed_in_account("pop3")
        firm = case.workspace.firms.get("Contoso")
        attempt = administrator.start(case.workspace, firm, "browser", open_browser=False)
        try:
            sign_in_as_a_person(attempt.url, ADMIN, case.password(ADMIN))
            token = attempt.wait(20)
        finally:
            attempt.cancel()
        yield Office(case, Graph(firm.cloud, token.value, signed_in_as=ADMIN))


def test_a_healthy_registration_has_nothing_red(office: Office) -> None:
    found = office.look()
    names = {check.id.removeprefix("registration.") for check in checks.DIRECTORY}
    assert names <= set(found)
    assert not {name: f for name, f in found.items() if f.signal in (Signal.FAILED, Signal.ERROR)}
    assert found["consent"].summary == "admin consent: an administrator has consented for all users"
    assert "POP.AccessAsUser.All, SMTP.Send" in found["permissions"].summary


def test_without_an_administrator_these_checks_are_not_run(office: Office) -> None:
    firm = office.case.workspace.firms.get("Contoso")
    context = checks.Context(office.case.workspace, firm, ANNA)
    assert not [c.id for c in checks.DIRECTORY if c.applies(context)]


def _set(thing: object, name: str, value: object) -> Callable[[], None]:
    before = getattr(thing, name)
    setattr(thing, name, value)
    return lambda: setattr(thing, name, before)


BREAKS: dict[str, tuple[Callable[[Tenant], Callable[[], None]], str, str]] = {
    "disabled": (lambda f: _set(f.principal, "account_enabled", False), "app", "app-disabled"),
    "single page": (
        lambda f: _both(f, [], ["http://localhost"]),
        "platform",
        "redirect-platform",
    ),
    "other path": (lambda f: _both(f, ["http://localhost/x"], []), "platform", "redirect-mismatch"),
    "desktop": (lambda f: _desktop(f), "platform", "secret-not-allowed"),
    "withdrawn": (lambda f: _withdrawn(f), "consent", "consent-required"),
    "withdrawn, managed": (
        lambda f: _withdrawn(f, MANAGED_CONSENT),
        "consent",
        "admin-consent-required",
    ),
    "unassigned": (
        lambda f: _set(f.principal, "app_role_assignment_required", True),
        "assignment",
        "user-not-assigned",
    ),
    "blocked": (
        lambda f: _set(f.users[ANNA.address], "account_enabled", False),
        "user",
        "user-disabled",
    ),
    "unlicensed": (
        lambda f: _set(f.users[ANNA.address], "licensed", False),
        "user",
        "mailbox-missing",
    ),
}


def _both(firm: Tenant, web: list[str], spa: list[str]) -> Callable[[], None]:
    one, other = _set(firm.app, "web_redirect_uris", web), _set(firm.app, "spa_redirect_uris", spa)
    return lambda: (one(), other())[0]


def _desktop(firm: Tenant) -> Callable[[], None]:
    one = _set(firm.app, "web_redirect_uris", [])
    other = _set(firm.app, "public_client_redirect_uris", ["http://localhost"])
    return lambda: (one(), other())[0]


def _withdrawn(firm: Tenant, setting: str = LEGACY) -> Callable[[], None]:
    one = _set(firm.principal, "user_consent", {})
    other = _set(firm.principal, "admin_consent", {})
    third = _set(firm.policies, "user_consent", setting)
    return lambda: (one(), other(), third())[0]


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_wrong_there_is_named(office: Office, name: str) -> None:
    change, check, cause = BREAKS[name]
    mend = change(office.firm)
    try:
        found = office.look()[check]
    finally:
        mend()
    assert (found.signal, found.cause) == (Signal.FAILED, cause)
    assert found.fix


def test_the_ids_of_graph_under_exchange_are_not_taken_for_its_permissions(office: Office) -> None:
    """Many public scripts mix them up; Entra takes any id, and the portal shows a bare GUID (facts G3)."""
    graph_id = "258f6531-6087-4cc4-bb90-092c5fb3ed3f"  # SMTP.Send of Microsoft Graph
    required = [
        (EXCHANGE_APP_ID, "POP.AccessAsUser.All", "Scope"),
        (EXCHANGE_APP_ID, graph_id, "Scope"),
    ]
    mend = _set(office.firm.app, "required", required)
    try:
        found = office.look()["permissions"]
    finally:
        mend()
    assert found.signal is Signal.WARNING  # it was consented to by scope all the same
    assert "SMTP.Send" in found.summary
    assert graph_id in found.evidence


def test_permissions_listed_under_graph_count_too(office: Office) -> None:
    required = [
        (GRAPH_APP_ID, n, "Scope") for n in ("POP.AccessAsUser.All", "SMTP.Send", "offline_access")
    ]
    mend = _set(office.firm.app, "required", required)
    try:
        assert office.look()["permissions"].signal is Signal.PASSED
    finally:
        mend()


def test_a_permission_that_is_neither_listed_nor_granted_is_named(office: Office) -> None:
    mend = _set(office.firm.app, "required", []), _withdrawn(office.firm)
    try:
        found = office.look()["permissions"]
    finally:
        for one in mend:
            one()
    assert found.cause == "permission-not-registered"


def test_the_log_tells_why_a_user_never_got_through(office: Office) -> None:
    office.case.workspace.tokens.forget(NEWCOMER.address)
    take_back = office.case.tenant.scenarios.start(f"password-expired@{NEWCOMER.address}")
    try:
        cause, _page = office.case.sign_in(NEWCOMER)
        found = office.look(NEWCOMER)["sign-ins"]
    finally:
        take_back()
    assert cause == "password-expired"
    assert (found.signal, found.cause) == (Signal.FAILED, "password-expired")
    assert found.ids["correlation_id"]


def test_the_end_of_the_secret_is_taken_from_the_directory(office: Office) -> None:
    said = office.look()["secret-end"]
    assert said.signal is Signal.PASSED
    assert f"{office.firm.app.secrets[0].end:%Y-%m-%d}" in said.summary


def test_a_reading_that_is_forbidden_is_an_error_and_not_a_failure(office: Office) -> None:
    take_back = office.case.tenant.scenarios.start("graph-role-missing")
    try:
        found = office.look()
    finally:
        take_back()
    assert found["app"].signal is Signal.ERROR
    assert found["app"].cause == "graph-forbidden"
    assert found["consent"].signal is Signal.SKIPPED
    assert found["secret"].signal is Signal.PASSED


def test_the_administrators_token_shows_nowhere(office: Office) -> None:
    assert office.graph.token.reveal() not in repr(office.graph)
    everything = str([f.as_json() for f in office.look().values()])
    assert office.graph.token.reveal() not in everything


@pytest.mark.parametrize(
    ("setting", "low", "signal", "cause", "words"),
    [
        (MANAGED_CONSENT, (), Signal.FAILED, "admin-consent-required", "Let Microsoft manage"),
        ("", (), Signal.FAILED, "admin-consent-required", "Do not allow user consent"),
        (LOW, (), Signal.FAILED, "admin-consent-required", "from verified publishers"),
        (LOW, (POP_ID, SEND_ID), Signal.WARNING, None, "from verified publishers"),
        (LEGACY, (), Signal.WARNING, None, "Allow user consent for apps"),
    ],
)
def test_what_the_first_sign_in_will_meet_is_said_before_it(
    office: Office,
    setting: str,
    low: tuple[str, ...],
    signal: Signal,
    cause: str | None,
    words: str,
) -> None:
    office.case.workspace.tokens.forget(NEWCOMER.address)
    undo = (
        _withdrawn(office.firm, setting),
        _set(office.firm.policies, "low_impact_permissions", set(low)),
    )
    try:
        found = office.look(NEWCOMER)["consent"]
    finally:
        for one in undo:
            one()
    assert (found.signal, found.cause) == (signal, cause)
    assert words in found.evidence
    needed = "POP.AccessAsUser.All"
    assert needed in found.summary
    # Sending alone a user may allow where Microsoft manages consent.
    assert ("SMTP.Send" in found.summary) is (setting != MANAGED_CONSENT)


def test_where_the_policy_may_not_be_read_nothing_is_claimed(office: Office) -> None:
    office.case.workspace.tokens.forget(NEWCOMER.address)
    undo = _withdrawn(office.firm, MANAGED_CONSENT)
    graph = office.graph
    try:
        office.graph = office.sign_in(
            "Application.Read.All", "DelegatedPermissionGrant.Read.All", "User.Read.All"
        )
        found = office.look(NEWCOMER)
    finally:
        office.graph = graph
        undo()
    assert (found["consent"].signal, found["consent"].cause) == (Signal.WARNING, None)
    assert "cannot be read" in found["consent"].summary
    assert (found["secret-policy"].signal, found["secret-policy"].cause) == (Signal.WARNING, None)


def test_without_the_conditions_of_a_policy_what_is_known_of_it_counts(office: Office) -> None:
    office.case.workspace.tokens.forget(NEWCOMER.address)
    undo = _withdrawn(office.firm, MANAGED_CONSENT)
    graph = office.graph
    try:
        office.graph = office.sign_in(
            "Application.Read.All",
            "DelegatedPermissionGrant.Read.All",
            "User.Read.All",
            "Policy.Read.All",
        )
        found = office.look(NEWCOMER)["consent"]
    finally:
        office.graph = graph
        undo()
    assert found.cause == "admin-consent-required"
    assert "SMTP.Send" not in found.summary


def test_the_consent_of_one_user_is_no_admin_consent(office: Office) -> None:
    everything = {"POP.AccessAsUser.All", "IMAP.AccessAsUser.All", "SMTP.Send"}
    undo = _withdrawn(office.firm, MANAGED_CONSENT)
    try:
        consents = office.firm.principal.user_consent
        consents[office.firm.users[ANNA.address].id] = {EXCHANGE_APP_ID: everything}
        of_anna, of_firm = office.look()["consent"], office.look(None)["consent"]
        for user in office.firm.users.values():
            consents[user.id] = {EXCHANGE_APP_ID: everything}
        each = office.look(None)["consent"]
    finally:
        undo()
    assert of_anna.signal is Signal.PASSED
    assert "there is no admin consent" in of_anna.summary
    assert (of_firm.signal, of_firm.cause) == (Signal.FAILED, "admin-consent-required")
    assert f"{NEWCOMER.address}: POP.AccessAsUser.All, SMTP.Send" in of_firm.evidence
    assert each.signal is Signal.PASSED
    assert each.summary.startswith("for each mailbox: the users of all 5 mailboxes")
    assert each.facts == {"consent": "each"}


@pytest.fixture
def vendor(office: Office) -> Iterator[AppRegistration]:
    """The firm uses an app that is registered in another directory, and is an enterprise application here."""
    home = Tenant("Vendor", "7d0c8a53-0000-4000-8000-000000000001", "vendor.example")
    app = AppRegistration(
        EXEMPT_APPS[0].replace("f8", "a8"),
        "Vendor mail",
        sign_in_audience="AzureADMultipleOrgs",
        public_client_redirect_uris=["http://localhost"],
        is_fallback_public_client=True,
    )
    home.register(app)
    state, firm = office.case.tenant.state, office.case.workspace.firms.get("Contoso")
    state.add(home)
    office.firm.enroll(app).admin_consent[EXCHANGE_APP_ID] = {"POP.AccessAsUser.All", "SMTP.Send"}
    office.case.workspace.firms.replace(replace(firm, client_id=app.app_id))
    office.case.workspace.firms.set_secret("Contoso", None)
    yield app
    del state.tenants[home.tenant_id]
    office.firm.principals.pop()
    office.case.reload()


def test_an_app_of_another_directory_is_found_and_what_only_its_vendor_sees_is_said(
    office: Office, vendor: AppRegistration
) -> None:
    found = office.look()
    assert found["app"].signal is Signal.PASSED
    assert "the app Vendor mail of another directory" in found["app"].summary
    assert found["consent"].facts == {"consent": "all"}
    for check in ("secret-policy", "platform", "public-client", "permissions"):
        assert (found[check].signal, found[check].cause) == (Signal.NOT_RUN, None)
        assert "vendor" in found[check].summary
    assert not [f for f in found.values() if f.signal in (Signal.FAILED, Signal.ERROR)]
    vendor_principal = office.firm.principals.pop()
    try:
        assert office.look()["app"].cause == "app-not-found"
    finally:
        office.firm.principals.append(vendor_principal)


@pytest.mark.parametrize(
    ("policies", "own", "signal", "cause", "words"),
    [
        ({}, None, Signal.PASSED, None, "with any end date"),
        ({"block_passwords": True}, None, Signal.WARNING, "secret-blocked", "can't be renewed"),
        ({"max_password_days": 90}, None, Signal.WARNING, "secret-blocked", "90 days at most"),
        ({"max_password_days": 180}, None, Signal.PASSED, None, "180 days at most"),
        ({"block_passwords": True}, EXEMPTION, Signal.PASSED, None, "with any end date"),
        (
            {},
            replace(EXEMPTION, block_passwords=True),
            Signal.WARNING,
            "secret-blocked",
            "the app's own policy",
        ),
        (
            {"block_passwords": True, "restricted_since": datetime(2040, 1, 1, tzinfo=UTC)},
            None,
            Signal.PASSED,
            None,
            "with any end date",
        ),
    ],
)
def test_the_rules_for_new_secrets(
    office: Office,
    policies: dict[str, object],
    own: AppManagementPolicy | None,
    signal: Signal,
    cause: str | None,
    words: str,
) -> None:
    undo = [_set(office.firm.policies, name, value) for name, value in policies.items()]
    undo.append(_set(office.firm.app, "management_policy", own))
    try:
        found = office.look()["secret-policy"]
    finally:
        for one in undo:
            one()
    assert (found.signal, found.cause) == (signal, cause)
    assert words in f"{found.summary} {found.evidence}"


def test_a_missing_secret_that_may_not_be_added_is_the_first_thing_wrong(office: Office) -> None:
    undo = _set(office.firm.policies, "block_passwords", True)
    office.case.workspace.firms.set_secret("Contoso", None)
    try:
        found = office.look()
    finally:
        undo()
        office.case.reload()
    broken = judgement.root_cause(found.values())
    assert broken is not None
    assert (broken.check, broken.cause) == ("registration.secret-policy", "secret-blocked")

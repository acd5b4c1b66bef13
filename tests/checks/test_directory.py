"""What an administrator's sign-in shows of the registration, on the practice tenant's Graph."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from msoauth import checks
from msoauth.graph import Graph
from msoauth.identity import administrator
from msoauth.model import Account, Finding, Signal
from msoauth.practice.state import EXCHANGE_APP_ID, GRAPH_APP_ID, Tenant
from tests.checks.cases import ACCOUNTS, NEWCOMER, Case, running
from tests.people import sign_in_as_a_person

ADMIN = "admin@contoso.example"
ANNA = ACCOUNTS["pop3"]


@dataclass
class Office:
    """A case with an administrator who has signed in."""

    case: Case
    graph: Graph

    @property
    def firm(self) -> Tenant:
        return next(iter(self.case.tenant.state.tenants.values()))

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
    assert "consented" in found["consent"].summary
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


def _withdrawn(firm: Tenant) -> Callable[[], None]:
    one = _set(firm.principal, "user_consent", {})
    other = _set(firm.principal, "admin_consent", {})
    return lambda: (one(), other())[0]


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

"""Every scenario of the practice tenant is diagnosed as its cause, where it shows: by the checks or by the sign-in."""

import json
import smtplib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from msoauth import checks, clouds
from msoauth.errors import AuthError
from msoauth.explain import explain
from msoauth.identity import signin
from msoauth.model import Account, Finding, Firm
from msoauth.practice import PracticeTenant
from msoauth.practice.scenarios import Scenario, apply, scenarios
from msoauth.practice.state import EXCHANGE_APP_ID
from msoauth.store import Workspace
from tests.people import sign_in_as_a_person

ANNA = "anna.lindqvist@contoso.example"
# One account for each way that a mailbox is reached.
ACCOUNTS = {
    "pop3": Account(ANNA, "Contoso"),
    "imap": Account("juergen.mueller@contoso.example", "Contoso", retrieve="imap"),
    "shared": Account("office@contoso.example", "Contoso", login=ANNA),
    "app-only": Account("max.weiss@contoso.example", "Contoso app"),
}
SILENT = 1.5  # seconds that a check waits where nothing will ever answer


@dataclass
class Case:
    """Two firms (delegated and app-only access to one tenant) with an account for each way."""

    tenant: PracticeTenant
    workspace: Workspace
    folder: Path
    signed_in: set[str] = field(default_factory=set)

    def reload(self) -> None:
        """Take the values and endpoints as they are noted now, as a user would who is told of others."""
        file = self.folder / "endpoints.json"
        file.write_text(json.dumps(self.tenant.endpoints), encoding="utf-8")
        cloud, noted = clouds.load(str(file)), self.tenant.endpoints["practice"]["firms"][0]
        for name in ("Contoso", "Contoso app"):
            access = "app-only" if name.endswith("app") else "delegated"
            firm = Firm(name, noted["tenant_id"], noted["client_id"], cloud=cloud, access=access)  # type: ignore[arg-type]
            self.workspace.firms.replace(firm)
            if noted["client_secret"]:
                self.workspace.firms.set_secret(name, noted["client_secret"])
            else:
                self.workspace.firms.forget_secret(name)

    def password(self, address: str) -> str:
        """The password that was noted down for a user."""
        known = self.tenant.endpoints["practice"]["firms"][0]["accounts"]
        return str(next(a["password"] for a in known if a["address"] == address))

    def ready(self, kind: str) -> Account:
        """The account of that kind, signed in while all was well."""
        account = ACCOUNTS[kind]
        if kind != "app-only" and kind not in self.signed_in:
            cause, _page = self.sign_in(account)
            assert cause is None
            self.signed_in.add(kind)
        return account

    def sign_in(
        self, account: Account, user: str = "", answer: str = "accept"
    ) -> tuple[str | None, str]:
        """Sign in through a browser; why it failed (None: it did not), and the last page."""
        attempt = signin.start(self.workspace, account, open_browser=False)
        user = user or account.user
        try:
            password = self.password(user) if "nobody" not in user else "never-asked-for"
            page = sign_in_as_a_person(attempt.url, user, password, patient=False, answer=answer)
            cause = explain(page).cause
            if cause != "unknown":  # the page says it; most refusals never reach the app
                return cause, page
            attempt.wait(20)
        except AuthError as refused:
            return refused.cause, ""
        finally:
            attempt.cancel()
        return None, page

    def sign_in_by_code(self, account: Account) -> str | None:
        try:
            attempt = signin.start(self.workspace, account, "device", open_browser=False)
            attempt.wait(20)
        except AuthError as refused:
            return refused.cause
        return None

    def log_in_with_a_password(self, account: Account) -> str:
        """What SMTP says to a program that sends passwords, explained."""
        context = ssl.create_default_context(cafile=str(self.tenant.ca_file))
        port = self.tenant.endpoints["smtp"]["port"]
        with smtplib.SMTP("localhost", port, timeout=20) as smtp:
            smtp.starttls(context=context)
            with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
                smtp.login(account.address, self.password(account.address))
        return explain(f"{refused.value.smtp_code} {refused.value.smtp_error!r}").cause

    def diagnose(self, account: Account, scenario: Scenario | None = None) -> list[Finding]:
        context = checks.Context(self.workspace, self.workspace.firms.get(account.firm), account)
        if scenario is not None and {"silent", "tls"} & set(map(str, scenario.set.values())):
            context.timeout = SILENT
        if scenario is not None and scenario.cause == "recipient-rejected":
            context.known["recipient"] = "nobody@contoso.example"
        wanted = (*checks.DIAGNOSE, *checks.SEND) if scenario is None else checks.DIAGNOSE
        if scenario is not None and scenario.shows == "send":
            wanted = (*checks.DIAGNOSE, *checks.SEND)
        return list(checks.run(wanted, context))


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    folder = tmp_path_factory.mktemp("case")
    with pytest.MonkeyPatch.context() as patch, PracticeTenant() as tenant:
        patch.setenv("MSOAUTH_PASSPHRASE", "a passphrase for tests")
        with Workspace.open(folder / "workspace") as workspace:
            _allow_the_app(tenant)
            noted = tenant.endpoints["practice"]["firms"][0]
            cloud = clouds.load(str(tenant.endpoints_file))
            for name in ("Contoso", "Contoso app"):
                firm = Firm(name, noted["tenant_id"], noted["client_id"], cloud=cloud)
                workspace.firms.add(firm, noted["client_secret"])
            for account in ACCOUNTS.values():
                workspace.accounts.add(account)
            made = Case(tenant, workspace, folder)
            made.reload()
            yield made


def _allow_the_app(tenant: PracticeTenant) -> None:
    """Application permissions, and what PowerShell does in Exchange (facts A5)."""
    firm = next(iter(tenant.world.firms.values()))
    roles = {"POP.AccessAsApp", "IMAP.AccessAsApp", "SMTP.SendAsApp"}
    firm.principal.app_roles = {EXCHANGE_APP_ID: roles}
    firm.principal.exchange_object_id = firm.principal.object_id
    firm.mailboxes[ACCOUNTS["app-only"].address].full_access.add(firm.principal.object_id)


@pytest.fixture
def bring_about(case: Case) -> Iterator[Callable[[Scenario], None]]:
    taken_back = []

    def begin(scenario: Scenario) -> None:
        taken_back.append(apply(case.tenant, scenario.name))
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
    assert checks.first_broken(case.diagnose(case.ready(kind))) is None


@_named("diagnose", "send")
def test_a_scenario_is_diagnosed_as_its_cause(
    case: Case, bring_about: Callable[[Scenario], None], scenario: Scenario
) -> None:
    account = case.ready(scenario.account)
    bring_about(scenario)
    broken = checks.first_broken(case.diagnose(account, scenario))
    assert broken is not None
    assert broken.cause == scenario.cause, broken
    assert broken.fix
    assert broken.who


@_named("sign-in")
def test_a_scenario_of_the_sign_in_is_told_and_stores_nothing(
    case: Case, bring_about: Callable[[Scenario], None], scenario: Scenario
) -> None:
    firm = next(iter(case.tenant.world.firms.values()))
    account = Account("zoe.obrien@contoso.example", "Contoso")  # nobody else here signs in as she
    firm.users[account.address].mfa = None
    firm.principal.user_consent.pop(firm.users[account.address].id, None)
    case.workspace.tokens.forget(account.address)
    bring_about(scenario)
    user = {"username-mistyped": "nobody@contoso.example", "wrong-account": "admin@contoso.example"}
    answer = "cancel" if scenario.name == "consent-cancelled" else "accept"
    if account.address not in {known.address for known in case.workspace.accounts.list()}:
        case.workspace.accounts.add(account)
    cause, page = case.sign_in(account, user.get(scenario.name, ""), answer)
    assert cause == scenario.cause, page
    assert case.workspace.tokens.status(account.address) is None


@_named("device")
def test_a_scenario_of_the_device_code_is_told(
    case: Case, bring_about: Callable[[Scenario], None], scenario: Scenario
) -> None:
    account = ACCOUNTS[scenario.account]
    bring_about(scenario)
    assert case.sign_in_by_code(account) == scenario.cause


@_named("password")
def test_a_scenario_of_passwords_is_told(
    case: Case, bring_about: Callable[[Scenario], None], scenario: Scenario
) -> None:
    bring_about(scenario)
    assert case.log_in_with_a_password(ACCOUNTS["pop3"]) == scenario.cause


def test_every_scenario_is_in_one_of_the_tests_above() -> None:
    assert {s.shows for s in scenarios()} == {"diagnose", "send", "sign-in", "device", "password"}


def test_a_scenario_that_was_taken_back_is_gone(case: Case) -> None:
    account = case.ready("pop3")
    for name in ("pop3-port-closed", "smtp-inspected", "authority-silent", "tenant-common"):
        take_back = apply(case.tenant, name)
        take_back()
    case.reload()
    assert not {finding.cause for finding in case.diagnose(account)} - {None}

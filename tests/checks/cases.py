"""Sets up a practice tenant with an account for each kind of access, and signs in, diagnoses and breaks them."""

import json
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from msoauth import checks, clouds, judgement
from msoauth.errors import AuthError, MsoauthError
from msoauth.explaining import explain
from msoauth.graph import Graph
from msoauth.identity import administrator, signin
from msoauth.mail.session import ConnectionOptions
from msoauth.model import Account, Finding, Firm
from msoauth.practice import PracticeTenant
from msoauth.practice.scenarios import Scenario
from msoauth.practice.state import Mailbox, Tenant, User
from msoauth.store import Workspace
from tests.people import final_sign_in_address, sign_in_as_a_person

ANNA = "anna.lindqvist@contoso.example"
# One account for each kind of access to a mailbox.
ACCOUNTS = {
    "pop3": Account(ANNA, "Contoso"),
    "imap": Account("juergen.mueller@contoso.example", "Contoso", protocol="imap"),
    "shared": Account("office@contoso.example", "Contoso", login=ANNA),
    "app-only": Account("max.weiss@contoso.example", "Contoso app"),
    "device": Account("zoe.obrien@contoso.example", "Contoso"),
}
NEWCOMER = Account("newcomer@contoso.example", "Contoso")  # no other test signs in as this user
SILENT = 1.0  # seconds that a check waits for a server that never answers


@dataclass
class ShortTimeouts(checks.Context):
    """A context with a short timeout for ports that never answer, and a long one for all others.

    Attributes:
        mute: The ports that say nothing: ``authority``, ``pop3``, ``imap``, ``smtp``.
    """

    mute: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.options = replace(self.options, second_try_after=0.0)
        if "authority" in self.mute:
            self.options = replace(self.options, timeout=SILENT)

    def connection_options(self, transcript: str) -> ConnectionOptions:
        given = super().connection_options(transcript)
        given["timeout"] = SILENT if transcript.partition(".")[0] in self.mute else 20.0
        return given


def mute(*scenarios: Scenario) -> frozenset[str]:
    """The ports on which these scenarios never send a greeting."""
    changes = [change for one in scenarios for change in one.set.items()]
    return frozenset(
        path.removeprefix("port.")
        for path, value in changes
        if path.startswith("port.") and value in ("silent", "tls")
    )


@dataclass
class Case:
    """A workspace with two firms (delegated and app-only access to one tenant) and the accounts above."""

    tenant: PracticeTenant
    workspace: Workspace
    folder: Path
    signed_in: set[str] = field(default_factory=set)

    def reload(self) -> None:
        """Enter the tenant's current ids, secrets and endpoints, as a user would who got new ones."""
        file = self.folder / "endpoints.json"
        file.write_text(json.dumps(self.tenant.endpoints), encoding="utf-8")
        cloud = clouds.load(str(file))
        for firm, secret in _noted(self.tenant, cloud):
            self.workspace.firms.replace(firm)
            self.workspace.firms.set_secret(firm.name, secret or None)

    def password(self, address: str) -> str:
        """The password of a user."""
        known = self.tenant.endpoints["practice"]["firms"][0]["accounts"]
        return str(next(a["password"] for a in known if a["address"] == address))

    def signed_in_account(self, kind: str) -> Account:
        """The account of that kind, signed in before anything is broken."""
        account = ACCOUNTS[kind]
        if kind != "app-only" and kind not in self.signed_in:
            if kind == "device":
                assert self.sign_in_by_code(account, person=True) is None
            else:
                assert self.sign_in(account)[0] is None
            self.signed_in.add(kind)
        return account

    def sign_in(
        self, account: Account, user: str = "", answer: str = "accept"
    ) -> tuple[str | None, str]:
        """Sign in through a browser; returns the cause of failure (None for success) and the last page."""
        attempt = signin.start(self.workspace, account, open_browser=False)
        user = user or account.user
        try:
            password = self.password(user) if "nobody" not in user else "never-asked-for"
            page = sign_in_as_a_person(
                attempt.url, user, password, must_finish=False, answer=answer
            )
            cause = explain(page).cause
            if cause != "unknown":  # the page says it; most refusals never reach the app
                return cause, page
            attempt.wait(20)
        except AuthError as refused:
            return refused.cause, ""
        finally:
            attempt.cancel()
        return None, page

    def sign_in_by_code(self, account: Account, *, person: bool = False) -> str | None:
        """Sign in with a device code; returns the cause of failure, or None."""
        try:
            attempt = signin.start(self.workspace, account, "device", open_browser=False)
            if person:
                password = self.password(account.address)
                sign_in_as_a_person(attempt.url, account.user, password, code=attempt.code)
            attempt.wait(20)
        except AuthError as refused:
            return refused.cause
        return None

    def sign_in_by_pasting(self, account: Account) -> str | None:
        """Sign in by pasting the redirect address; returns the cause of failure, or None."""
        attempt = signin.start(self.workspace, account, "paste", open_browser=False)
        try:
            password = self.password(account.address)
            attempt.paste(final_sign_in_address(attempt.url, account.user, password))
            attempt.wait(20)
        except MsoauthError as refused:
            return refused.cause
        finally:
            attempt.cancel()
        return None

    def read_graph(self, account: Account) -> str | None:
        """Check registration and user with an administrator's sign-in; returns the root cause, or None."""
        firm, admin = self.workspace.firms.get(account.firm), "admin@contoso.example"
        attempt = administrator.start(self.workspace, firm, "browser", open_browser=False)
        try:
            sign_in_as_a_person(attempt.url, admin, self.password(admin))
            token = attempt.wait(20)
        finally:
            attempt.cancel()
        graph = Graph(firm.cloud, token.value)
        context = checks.Context(self.workspace, firm, account, graph=graph)
        wanted = (*checks.NETWORK, *checks.REGISTRATION, *checks.DIRECTORY)
        broken = judgement.root_cause(checks.run(wanted, context))
        return broken.cause if broken else None

    def log_in_with_a_password(self, account: Account) -> str:
        """Log in to SMTP with a password; returns the cause that explains the refusal."""
        context = ssl.create_default_context(cafile=str(self.tenant.ca_file))
        port = self.tenant.endpoints["smtp"]["port"]
        with smtplib.SMTP("localhost", port, timeout=20) as smtp:
            smtp.starttls(context=context)
            with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
                smtp.login(account.address, self.password(account.address))
        return explain(f"{refused.value.smtp_code} {refused.value.smtp_error!r}").cause

    def diagnose(self, account: Account, scenario: Scenario | None = None) -> list[Finding]:
        firm = self.workspace.firms.get(account.firm)
        without_words = mute(scenario) if scenario else frozenset[str]()
        rejected = scenario is not None and scenario.cause == "recipient-rejected"
        options = checks.RunOptions(recipient="nobody@contoso.example" if rejected else None)
        context = ShortTimeouts(self.workspace, firm, account, options=options, mute=without_words)
        wanted = (*checks.DIAGNOSE, *checks.SEND) if scenario is None else checks.DIAGNOSE
        if scenario is not None and scenario.shows == "send":
            wanted = (*checks.DIAGNOSE, *checks.SEND)
        return list(checks.run(wanted, context))


@contextmanager
def running(folder: Path, *, ipv6: bool | None = False) -> Iterator[Case]:
    """Run a practice tenant with a workspace in *folder*."""
    with (
        PracticeTenant(ipv6=ipv6) as tenant,
        Workspace.open(folder / "workspace", passphrase="of this very test") as workspace,
    ):
        practice_firm = next(iter(tenant.state.tenants.values()))
        _prepare(practice_firm)
        tenant.endpoints["practice"]["firms"][0]["accounts"].append(
            {"address": NEWCOMER.address, "password": "anchor-dune-kelp-11"}
        )
        for firm, secret in _noted(tenant, clouds.load(str(tenant.endpoints_file))):
            workspace.firms.add(firm, secret)
        for account in (*ACCOUNTS.values(), NEWCOMER):
            workspace.accounts.add(account)
        yield Case(tenant, workspace, folder)


def _noted(tenant: PracticeTenant, cloud: clouds.Cloud) -> Iterator[tuple[Firm, str]]:
    """The two firms, for delegated and app-only access, each with its client secret."""
    noted = tenant.endpoints["practice"]["firms"][0]
    own = {"Contoso": ("delegated", noted), "Contoso app": ("app-only", noted["apps"][-1])}
    for name, (access, app) in own.items():
        firm = Firm(name, noted["tenant_id"], app["client_id"], cloud=cloud, access=access)  # type: ignore[arg-type]
        yield firm, app["client_secret"]


def _prepare(firm: Tenant) -> None:
    """Give the app FullAccess (facts A5), remove the device-code user's second factor, and add a user."""
    firm.mailboxes[ACCOUNTS["app-only"].address].full_access.add(firm.principals[-1].object_id)
    firm.users[ACCOUNTS["device"].address].mfa_required = False
    firm.users[NEWCOMER.address] = User(NEWCOMER.address, "New Comer", "anchor-dune-kelp-11")
    firm.mailboxes[NEWCOMER.address] = Mailbox(NEWCOMER.address)

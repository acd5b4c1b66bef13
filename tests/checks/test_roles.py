"""Mailbox, login and sender are never confused: who is named in findings, in their steps and in their PowerShell."""

import re
from collections.abc import Callable, Iterator

import pytest

from msoauth import checks, judgement
from msoauth.checks.run import finding_of
from msoauth.errors import AuthError
from msoauth.explaining import causes, explain, for_cause, of_finding
from msoauth.graph import Graph
from msoauth.identity import administrator, sign_in_history
from msoauth.identity.signed_in_user import with_login
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.practice.scenarios import Scenario, scenarios
from msoauth.practice.state import Tenant
from msoauth.reports.letter import letter
from tests.checks.cases import ACCOUNTS, ANNA, NEWCOMER, Case, running
from tests.people import sign_in_as_a_person

FIRM = Firm("Contoso", "contoso.example", "00001111-aaaa-2222-bbbb-3333cccc4444")
OFFICE = ACCOUNTS["shared"]
ADMIN = "admin@contoso.example"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with running(tmp_path_factory.mktemp("case")) as made:
        yield made


@pytest.fixture
def bring_about(case: Case) -> Iterator[Callable[[str], None]]:
    taken_back = []

    def begin(name: str) -> None:
        taken_back.append(case.tenant.scenarios.start(name))
        case.reload()

    yield begin
    for take_back in reversed(taken_back):
        take_back()
    case.reload()


@pytest.fixture(scope="module")
def graph(case: Case) -> Graph:
    firm = case.workspace.firms.get("Contoso")
    attempt = administrator.start(case.workspace, firm, "browser", open_browser=False)
    try:
        sign_in_as_a_person(attempt.url, ADMIN, case.password(ADMIN))
        return Graph(firm.cloud, attempt.wait(20).value)
    finally:
        attempt.cancel()


def tenant_of(case: Case) -> Tenant:
    return next(iter(case.tenant.state.tenants.values()))


def with_administrator(case: Case, graph: Graph, account: Account) -> list[Finding]:
    firm = case.workspace.firms.get(account.firm)
    fresh = Graph(firm.cloud, graph.token.reveal())  # it reads each path once
    context = checks.Context(case.workspace, firm, account, graph=fresh)
    return list(checks.run((*checks.NETWORK, *checks.REGISTRATION, *checks.DIRECTORY), context))


def arguments(command: str) -> dict[str, str]:
    """The arguments of a PowerShell command, by name and without quotes."""
    found = re.findall(r" -(\w+) ('[^']*'|<[^>]*>|[^\s|]+)", command)
    return {name: value.strip("'") for name, value in found}


def check_commands(commands: tuple[str, ...], account: Account, app: str, sender: str) -> None:
    """Whether each command is about the right mailbox, and gives the right to the right one."""
    trustee = app or account.user
    for command in commands:
        given = arguments(command)
        assert "contoso.com" not in command, "an example in place of the mailbox"
        if command.startswith(("Add-MailboxPermission", "Get-EXOMailboxPermission")):
            assert given["Identity"] == account.address
            assert given.get("User", trustee) in (trustee, "<user who signs in>")
        elif command.startswith("Add-RecipientPermission"):
            assert (given["Identity"], given["Trustee"]) == (sender, trustee)
        elif "SmtpClientAuthenticationDisabled" in command and "Enabled" not in given:
            mailbox = account.address if app else account.user
            assert given["Identity"] in (mailbox, account.address)
            if command.startswith("Set-"):
                assert (
                    given["Identity"] == mailbox
                )  # the switch is that of the mailbox that signs in
        elif command.startswith("Set-CASMailbox"):
            assert given["Identity"] == account.address  # POP and IMAP: of the one whose mail it is
        elif command.startswith("New-ServicePrincipal"):
            assert given["ObjectId"] == app


SHOWN = [s for s in scenarios() if s.shows in ("diagnose", "send") and s.cause is not None]


@pytest.mark.parametrize("scenario", SHOWN, ids=lambda s: s.name)
def test_the_powershell_of_a_scenario_names_the_right_roles(
    case: Case, bring_about: Callable[[str], None], scenario: Scenario
) -> None:
    account = case.signed_in_account(scenario.account)
    bring_about(scenario.name)
    firm = case.workspace.firms.get(account.firm)
    app = tenant_of(case).principals[-1].object_id if firm.access == "app-only" else ""
    for finding in case.diagnose(account, scenario):
        if not finding.cause:
            continue
        of_account = of_finding(finding, firm=firm, account=account)
        # Who sends as himself is not the sender that was refused before, and the text names no other.
        unnamed = scenario.name == "throttled-send-as-denied"
        sender = "<mailbox of the sender>" if unnamed else account.address
        check_commands(of_account.powershell, account, app, sender)
        check_commands(of_finding(finding).powershell, account, app, sender)
        assert finding.fix == of_account.fix == of_finding(finding).fix
        assert finding.who == of_account.who


@pytest.mark.parametrize("login", [None, ANNA])
@pytest.mark.parametrize("cause", causes())
def test_the_powershell_of_every_cause_names_the_right_roles(cause: str, login: str | None) -> None:
    """Also of those that show at the sign-in alone, or with an administrator."""
    firm = Firm("Contoso", "contoso.example", "11111111-2222-4333-8444-555555555555")
    account = Account("office@contoso.example", firm.name, login=login)
    placeholder = "<Object ID of the enterprise application>"
    app = placeholder if cause == "service-principal-missing" else ""
    # Whoever signs in for another mailbox sends as that; for a mailbox of one's own no sender is known.
    sender = account.address if login else "<mailbox of the sender>"
    check_commands(for_cause(cause, firm=firm, account=account).powershell, account, app, sender)


@pytest.mark.parametrize("name", ["smtp-auth-off-mailbox", "smtp-auth-off-tenant"])
def test_smtp_auth_is_switched_on_for_who_signs_in(
    case: Case, bring_about: Callable[[str], None], name: str
) -> None:
    """email-oauth2-proxy#426, MailKit#1770: the command named the shared mailbox."""
    account = case.signed_in_account("shared")
    bring_about(name)
    finding = judgement.root_cause(case.diagnose(account))
    assert finding is not None
    commands = of_finding(finding).powershell
    assert [arguments(c)["Identity"] for c in commands if c.startswith("Set-")] == [ANNA]
    assert finding.login == ANNA
    assert ANNA in " ".join(finding.fix)
    request = letter(case.workspace, case.workspace.firms.get("Contoso"), account)
    assert f"Set-CASMailbox -Identity {ANNA}" in request.document.text()
    assert f"Set-CASMailbox -Identity {account.address}" not in request.document.text()


def test_send_as_is_given_on_the_senders_mailbox(
    case: Case, bring_about: Callable[[str], None]
) -> None:
    """Notifuse#250, exchange-docs#396: Identity and Trustee were confused."""
    account = case.signed_in_account("shared")
    bring_about("send-as-missing")
    context = checks.Context(case.workspace, case.workspace.firms.get("Contoso"), account)
    finding = list(checks.run((*checks.MAILBOX, *checks.SEND), context))[-1]
    assert finding.cause == "send-as-denied"
    assert (finding.login, finding.sender) == (ANNA, account.address)
    (command,) = of_finding(finding).powershell
    assert arguments(command) == {
        "Identity": account.address,
        "Trustee": ANNA,
        "AccessRights": "SendAs",
    }
    assert (account.address in finding.fix[0], ANNA in finding.fix[0]) == (True, True)


@pytest.mark.parametrize("kind", ["pop3", "app-only"])
def test_another_sender_is_the_one_that_needs_send_as(case: Case, kind: str) -> None:
    account = case.signed_in_account(kind)
    firm = case.workspace.firms.get(account.firm)
    sender = "juergen.mueller@contoso.example"
    context = checks.Context(
        case.workspace, firm, account, options=checks.RunOptions(sender=sender)
    )
    finding = list(checks.run((*checks.MAILBOX, *checks.SEND), context))[-1]
    assert finding.cause == "send-as-denied"
    app = tenant_of(case).principals[-1].object_id
    (command,) = of_finding(finding, firm=firm, account=account).powershell
    assert arguments(command)["Identity"] == sender
    assert arguments(command)["Trustee"] == (app if kind == "app-only" else ANNA)


def test_a_pasted_refusal_names_its_two_mailboxes() -> None:
    text = "554 5.2.252 SendAsDenied; anna@fabrikam.example not allowed to send as office@fabrikam.example; STOREDRV"
    (command,) = explain(text).powershell
    given = arguments(command)
    assert given["Identity"] == "office@fabrikam.example"
    assert given["Trustee"] == "anna@fabrikam.example"


def test_full_access_comes_first_for_a_delegate(
    case: Case, bring_about: Callable[[str], None]
) -> None:
    """MailKit#1486, frappe#27148: steps about the mailbox's own user, POP and a licence."""
    account = case.signed_in_account("shared")
    bring_about("full-access-missing")
    finding = judgement.root_cause(case.diagnose(account))
    assert finding is not None
    assert (finding.cause, finding.confidence) == ("full-access-missing", "likely")
    first = of_finding(finding).powershell[0]
    assert first.startswith("Add-MailboxPermission")
    assert arguments(first) == {
        "Identity": account.address,
        "User": ANNA,
        "AccessRights": "FullAccess",
    }
    assert "Full Access" in finding.fix[0]
    assert ANNA in finding.fix[0]


def test_what_is_no_mailbox_is_a_possibility_and_certain_with_an_administrator(
    case: Case, bring_about: Callable[[str], None], graph: Graph
) -> None:
    """SuiteCRM#9991: a group's address was entered."""
    account = case.signed_in_account("shared")
    bring_about("group-address")
    alone = judgement.root_cause(case.diagnose(account))
    assert alone is not None
    assert alone.confidence != "certain"
    assert "not-a-mailbox" in alone.possibilities
    assert any("distribution list" in step for step in alone.fix)
    finding = judgement.root_cause(with_administrator(case, graph, account))
    assert finding is not None
    assert (finding.cause, finding.confidence) == ("not-a-mailbox", "certain")
    assert account.address in finding.fix[0]


@pytest.mark.parametrize(
    ("kind", "word"), [("group", "group"), ("contact", "contact"), ("room", "room")]
)
def test_groups_contacts_and_rooms_are_told_apart(
    case: Case, graph: Graph, kind: str, word: str
) -> None:
    box = tenant_of(case).mailboxes[OFFICE.address]
    before, box.kind = box.kind, kind
    try:
        finding = judgement.root_cause(with_administrator(case, graph, OFFICE))
    finally:
        box.kind = before
    assert finding is not None
    assert finding.cause == "not-a-mailbox"
    assert word in finding.summary


def test_an_alias_is_no_mailbox_of_its_own(case: Case, graph: Graph) -> None:
    user = tenant_of(case).users[NEWCOMER.address]
    user.aliases = ("second@contoso.example",)
    try:
        alias = Account("second@contoso.example", "Contoso", login=NEWCOMER.address)
        finding = judgement.root_cause(with_administrator(case, graph, alias))
    finally:
        user.aliases = ()
    assert finding is not None
    assert finding.cause == "not-a-mailbox"
    assert NEWCOMER.address in finding.fix[0]


def test_the_own_user_of_a_shared_mailbox_stays_blocked(
    case: Case, bring_about: Callable[[str], None], graph: Graph
) -> None:
    """AADSTS50057 for a shared mailbox (freescout#619, CIPP#56): "unblock sign-in" was wrong."""
    bring_about(f"shared-user-blocked@{NEWCOMER.address}")
    firm = case.workspace.firms.get("Contoso")
    cause, page = case.sign_in(NEWCOMER)
    assert cause == "user-disabled"
    refusal = sign_in_history.record_reported_text(case.workspace, firm, NEWCOMER, page)
    assert refusal is not None
    assert "shared mailbox" in refusal.fix[0]
    assert "account change" in refusal.fix[1]
    finding = judgement.root_cause(with_administrator(case, graph, NEWCOMER))
    assert finding is not None
    assert finding.cause == "user-disabled"
    assert finding.who == "consultant"
    assert "blocked" in finding.fix[0]
    assert not any("Unblock" in step for step in finding.fix)


def test_the_user_name_that_differs_is_said_in_the_same_breath(
    case: Case, bring_about: Callable[[str], None], graph: Graph
) -> None:
    """glpi#18796, chatwoot#14522, Wino-Mail#643: the right person was refused, and nothing said what helps."""
    bring_about(f"upn-differs@{NEWCOMER.address}")
    firm, upn = case.workspace.firms.get("Contoso"), "newcomer.upn@contoso.example"
    case.workspace.tokens.forget(NEWCOMER.address)
    assert case.sign_in(NEWCOMER)[0] == "account-wrong"
    finding = judgement.root_cause(case.diagnose(NEWCOMER))
    assert finding is not None
    assert finding.cause == "account-wrong"
    command = f"msoauth account change --login {upn} {NEWCOMER.address}"
    assert command in finding.fix[0]
    by_directory = judgement.root_cause(with_administrator(case, graph, NEWCOMER))
    assert by_directory is not None
    assert by_directory.details["signed_in_as"] == upn
    assert command in by_directory.fix[0]
    noted = with_login(NEWCOMER, upn)
    case.workspace.accounts.replace(noted)
    try:
        assert case.sign_in(noted, NEWCOMER.address)[0] is None
        assert judgement.root_cause(case.diagnose(noted)) is None
        assert judgement.root_cause(with_administrator(case, graph, noted)) is None
    finally:
        case.workspace.tokens.forget(NEWCOMER.address)
        case.workspace.accounts.replace(NEWCOMER)
    assert firm.access == "delegated"


def test_a_renamed_user_needs_no_new_sign_in(
    case: Case, bring_about: Callable[[str], None]
) -> None:
    """o365-moodle#2290: "another account signed in … private window" was said of the same person."""
    account = case.signed_in_account("pop3")
    bring_about(f"user-renamed@{ANNA}")
    finding = judgement.root_cause(case.diagnose(account))
    assert finding is not None
    assert (finding.cause, finding.confidence) == ("user-renamed", "certain")
    new = "anna.lindqvist.new@contoso.example"
    assert f"account change --login {new} {ANNA}" in finding.fix[0]
    noted = with_login(account, new)
    case.workspace.accounts.replace(noted)
    try:
        assert judgement.root_cause(case.diagnose(noted)) is None
    finally:
        case.workspace.accounts.replace(account)


def test_somebody_else_is_not_a_renamed_user(case: Case) -> None:
    """Whom somebody notes after the sign-in is another matter than a new user name."""
    account = case.signed_in_account("imap")
    other = replace_login(account, "max.weiss@contoso.example")
    case.workspace.accounts.replace(other)
    try:
        finding = judgement.root_cause(case.diagnose(other))
    finally:
        case.workspace.accounts.replace(account)
    assert finding is not None
    assert finding.cause == "account-wrong"


def replace_login(account: Account, login: str) -> Account:
    return Account(account.address, account.firm, login, account.protocol)


def test_what_sending_said_decides_about_pop(
    case: Case, bring_about: Callable[[str], None]
) -> None:
    account = case.signed_in_account("pop3")
    bring_about(f"pop-off@{ANNA}")
    finding = judgement.root_cause(case.diagnose(account))
    assert finding is not None
    assert finding.details["other"] == "smtp"
    assert finding.possibilities == ("pop-disabled",)
    assert "POP is very likely off" in finding.fix[0]
    assert finding.who == "tenant-admin"
    assert of_finding(finding).powershell[0] == f"Set-CASMailbox -Identity {ANNA} -PopEnabled $true"


def test_nothing_is_asked_of_a_server_that_the_run_leaves_out(
    case: Case, bring_about: Callable[[str], None]
) -> None:
    account = case.signed_in_account("pop3")
    bring_about(f"pop-off@{ANNA}")
    context = checks.Context(case.workspace, case.workspace.firms.get("Contoso"), account)
    findings = list(checks.run(checks.LOGIN_TO_RETRIEVE, context))
    assert "other" not in findings[0].details
    assert "smtp" not in context.state.transcripts


def test_a_domain_with_an_umlaut_is_one_account_in_both_spellings(
    case: Case, bring_about: Callable[[str], None]
) -> None:
    bring_about("umlaut-domain")
    written = "joerg@kanzlei-müller-contoso.example"
    account = Account(written, "Contoso")
    case.workspace.accounts.add(account)
    try:
        wire = "joerg@xn--kanzlei-mller-contoso-mlc.example"
        in_tenant = next(u for u in tenant_of(case).users if u.startswith("joerg@"))
        assert case.workspace.accounts.get(in_tenant).address == written
        assert case.sign_in(account)[0] is None
        findings = case.diagnose(account)
        assert judgement.root_cause(findings) is None
        assert judgement.succeeded(findings)
        assert written in "".join(f.summary for f in findings)
        assert wire.partition("@")[0] in in_tenant
    finally:
        case.workspace.accounts.remove(written)


def test_the_step_that_the_administrator_takes_is_the_administrators() -> None:
    error = AuthError("refused", cause="user-disabled", details={"kind": "shared"})
    firm_less = finding_of(error, "sign-in.token", FIRM, NEWCOMER)
    assert (firm_less.who, firm_less.signal) == ("consultant", Signal.FAILED)
    without = finding_of(replace_details(error), "sign-in.token", FIRM, NEWCOMER)
    assert without.who == "tenant-admin"


def replace_details(error: AuthError) -> AuthError:
    return AuthError(error.summary, cause=error.cause)

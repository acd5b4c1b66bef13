"""Tenants with random combinations of what goes wrong with people and recipients: no certain cause is a wrong one.

For each account, the causes that a diagnosis may name with certainty are read from the practice tenant's state, whatever
scenarios brought it about. A first choice of tenants is drawn always, the others before a release.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from msoauth import checks, judgement
from msoauth.graph import Graph
from msoauth.identity import administrator
from msoauth.model import Account, Finding
from msoauth.practice.state import Tenant, User
from tests.checks.cases import ACCOUNTS, Case, running
from tests.people import sign_in_as_a_person

TENANTS, ALWAYS, TOGETHER = 300, 20, 5
ADMIN = "admin@contoso.example"
OFFICE = ACCOUNTS["shared"].address
KINDS = ("pop3", "imap", "shared", "app-only")
# Scenarios that can be aimed at a person's own mailbox, at a shared one, or at the whole firm.
OF_A_PERSON = (
    *("user-renamed", "pop-off", "imap-off", "smtp-auth-off-mailbox", "no-licence", "sign-in-blocked"),
    *("converted-to-shared", "second-inbox", "sessions-revoked"),
)  # fmt: skip
OF_A_SHARED_MAILBOX = ("full-access-missing", "send-as-missing", "group-address", "pop-off")
OF_THE_FIRM = ("smtp-auth-off-tenant", "token-long", "group-assigned", "umlaut-domain")
# What shows at the sign-in hides what would show at the mail servers.
AT_SIGN_IN = ("user-disabled", "refresh-revoked")


@dataclass
class Draw:
    """A tenant as it was drawn: the scenarios, and whether an administrator signs in for the diagnosis."""

    number: int
    scenarios: list[str]
    administrator: bool


def draw(number: int) -> Draw:
    dice = random.Random(number + 7)  # the first twenty hold every state
    people = [ACCOUNTS[kind].address for kind in ("pop3", "imap", "app-only")]
    chosen = [
        f"{name}@{address}"
        for address in people
        for name in dice.sample(OF_A_PERSON, dice.choice((0, 0, 1, 1, 2)))
    ]
    chosen += [
        f"{name}@{OFFICE}" for name in dice.sample(OF_A_SHARED_MAILBOX, dice.choice((0, 1, 1, 2)))
    ]
    chosen += dice.sample(OF_THE_FIRM, dice.choice((0, 0, 1)))
    return Draw(number, chosen, number % 2 == 0)


@dataclass
class Bench:
    case: Case
    graph: Graph
    ids: dict[str, str]  # object ids by the user name at the sign-in

    @property
    def tenant(self) -> Tenant:
        return next(iter(self.case.tenant.state.tenants.values()))

    def user(self, account: Account) -> User:
        return next(u for u in self.tenant.users.values() if u.id == self.ids[account.user])

    def diagnose(self, account: Account, *, with_administrator: bool, sends: bool) -> list[Finding]:
        firm = self.case.workspace.firms.get(account.firm)
        # Another Graph for each tenant, because it reads each path once.
        graph = Graph(firm.cloud, self.graph.token.reveal()) if with_administrator else None
        options = checks.RunOptions(second_try_after=0.0)
        context = checks.Context(self.case.workspace, firm, account, graph=graph, options=options)
        selection: tuple[checks.Check, ...] = (
            *checks.DIRECTORY,
            *checks.SIGN_IN,
            *checks.MAILBOX,
        )
        if sends:
            selection = (*selection, *checks.SEND)
        return list(checks.run(selection, context, record=False))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with running(tmp_path_factory.mktemp("case")) as case:
        for kind in KINDS:
            case.signed_in_account(kind)
        tenant = next(iter(case.tenant.state.tenants.values()))
        firm = case.workspace.firms.get("Contoso")
        attempt = administrator.start(case.workspace, firm, "browser", open_browser=False)
        try:
            sign_in_as_a_person(attempt.url, ADMIN, case.password(ADMIN))
            graph = Graph(firm.cloud, attempt.wait(20).value)
        finally:
            attempt.cancel()
        yield Bench(case, graph, {u.upn: u.id for u in tenant.users.values()})


def causes_of(bench: Bench, account: Account) -> set[str]:
    """The causes that the tenant has for this account, read from its state."""
    tenant, found = bench.tenant, set[str]()
    box = tenant.mailbox(account.address)
    app_only = account.firm != "Contoso"
    app = tenant.principals[-1] if app_only else tenant.principals[0]
    if app.app.groups_claim:
        found |= {"token too long"}
    assert box is not None
    if box.kind in ("list", "group", "contact", "room"):
        found |= {"not-a-mailbox"}
    sends = box
    if not app_only:
        user = bench.user(account)
        if not user.account_enabled:
            found |= {"user-disabled"}
        if user.tokens_valid_from:
            found |= {"refresh-revoked"}
        if user.upn != account.user:
            found |= {"user-renamed"}
        if not user.licensed and (user.mail or user.upn) == account.address:
            found |= {"mailbox-missing"}
        own = tenant.own_mailbox(user)
        assert own is not None
        sends = own
        if account.login and user.upn.lower() not in box.full_access:
            found |= {"full-access-missing"}
        if account.login and user.upn.lower() not in box.send_as:
            found |= {"send-as-denied"}
        if account.login and (not user.licensed or own.kind == "on-premises"):
            found |= {"mailbox-missing"}  # that of the one who signs in to send
    elif (owner := tenant.user(account.address)) is not None and not owner.licensed:
        found |= {"mailbox-missing"}
    if box.kind == "on-premises":
        found |= {"mailbox-missing"}
    off = tenant.smtp_auth_disabled(sends)
    if off:
        found |= {f"smtp-auth-disabled-{off.lower()}"}
    if not box.pop_enabled:
        found |= {"pop-disabled"}
    if not box.imap_enabled:
        found |= {"imap-disabled"}
    return found


def determinable(causes: set[str], account: Account, *, with_administrator: bool) -> set[str]:
    """Those of an account's causes that the replies, the token or the directory show, and nothing else hides."""
    shown = set[str]()
    if at_sign_in := causes.intersection(AT_SIGN_IN):
        # Entra tells one of the two; the directory shows the other.
        shown |= at_sign_in if len(at_sign_in) == 1 else set()
    elif "user-renamed" in causes:
        shown |= {"user-renamed"}
    elif "token too long" in causes:  # the servers look no further
        shown |= {"token too long"}
    else:
        shown |= {c for c in causes if c.startswith("smtp-auth-disabled")}
        if not shown and "mailbox-missing" not in causes:
            shown |= causes & {"send-as-denied"}
    if with_administrator and account.firm == "Contoso":
        if "not-a-mailbox" in causes:
            shown |= {"not-a-mailbox"}
        elif "user-disabled" in causes:
            shown |= {"user-disabled"}
        elif "user-renamed" not in causes:
            shown |= causes & {"mailbox-missing"}
    return shown


def named(findings: list[Finding]) -> set[str]:
    found = {finding.cause for finding in findings if finding.cause}
    if any("token_length" in finding.details for finding in findings):
        found.add("token too long")
    return found


def judge(bench: Bench, drawn: Draw, account: Account) -> tuple[list[str], set[str], set[str]]:
    """What is wrong with the diagnosis of an account, the causes that it should name, and those that it does."""
    causes = causes_of(bench, account)
    # Send As shows only then, and a mailbox may send no more than 30 mails a minute.
    sends = "send-as-denied" in causes
    findings = bench.diagnose(account, with_administrator=drawn.administrator, sends=sends)
    problem = judgement.root_cause(findings)
    where = f"tenant {drawn.number} ({', '.join(drawn.scenarios)}; administrator: {drawn.administrator}) {account.address}"
    wrong = [
        f"{where}: {f.check} is certain of {f.cause}, and the tenant has {sorted(causes) or 'nothing wrong'}"
        for f in findings
        if f.confidence == "certain" and f.cause and f.cause not in causes
    ]
    if (
        causes
        and problem is None
        and causes & determinable(causes, account, with_administrator=drawn.administrator)
    ):
        wrong.append(f"{where}: nothing was found, and the tenant has {sorted(causes)}")
    if not causes and problem is not None:
        wrong.append(f"{where}: {problem.cause} was found, and nothing is wrong")
    wanted = determinable(causes, account, with_administrator=drawn.administrator)
    return wrong, wanted, named(findings)


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param(
            range(first, first + TOGETHER),
            id=f"{first}-{first + TOGETHER - 1}",
            marks=[pytest.mark.release] if first >= ALWAYS else [],
        )
        for first in range(0, TENANTS, TOGETHER)
    ],
)
def test_what_is_certain_of_a_random_tenant_is_right(bench: Bench, numbers: range) -> None:
    wrong: list[str] = []
    missed: list[str] = []
    count = 0
    for number in numbers:
        drawn = draw(number)
        with ExitStack() as stack:
            for name in drawn.scenarios:
                undo: Callable[[], None] = bench.case.tenant.scenarios.start(name)
                stack.callback(undo)
            for kind in KINDS:
                told, wanted, found = judge(bench, drawn, ACCOUNTS[kind])
                wrong += told
                count += len(wanted)
                missed += [f"{number} {drawn.scenarios} {kind}: {c}" for c in wanted - found]
    assert wrong == []
    assert len(missed) <= 0.05 * count, missed


def test_the_tenants_hold_every_state_alone_and_with_others() -> None:
    drawn = [draw(number) for number in range(TENANTS)]
    names = {name.partition("@")[0] for one in drawn for name in one.scenarios}
    assert names == {*OF_A_PERSON, *OF_A_SHARED_MAILBOX, *OF_THE_FIRM}
    always = {name.partition("@")[0] for one in drawn[:ALWAYS] for name in one.scenarios}
    assert always == names
    assert len({tuple(one.scenarios) for one in drawn}) > TENANTS * 0.8

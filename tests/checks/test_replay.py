"""From bundle to replay: the same account fails with the same cause, for every scenario that a bundle can express."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from msoauth import checks, clouds, judgement
from msoauth.errors import AuthError
from msoauth.identity import sign_in_history, signin
from msoauth.model import Account, Finding, Firm
from msoauth.practice.bundle import read
from msoauth.practice.replay import Replay
from msoauth.practice.scenarios import Scenario, scenarios
from msoauth.reports.bundle import bundle
from msoauth.store import Workspace
from tests.checks.cases import NEWCOMER, Case, ShortTimeouts, mute, running
from tests.people import sign_in_as_a_person

# That a person pressed the wrong button, or a program of somebody else sent a password, is no state of a tenant;
# and a bundle does not tell by which way the user signed in.
EXPRESSED = [
    s
    for s in scenarios()
    if s.shows in ("diagnose", "send", "sign-in")
    and s.set
    and s.account != "device"
    and s.cause not in (None, "consent-declined")
]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with running(tmp_path_factory.mktemp("case")) as made:
        yield made


def diagnosed(
    workspace: Workspace, firm: Firm, account: Account, scenario: Scenario
) -> tuple[checks.Context, list[Finding]]:
    options = checks.RunOptions(recipient=f"nobody@{account.address.rpartition('@')[2]}")
    context = ShortTimeouts(workspace, firm, account, options=options, mute=mute(scenario))
    return context, list(checks.run((*checks.DIAGNOSE, *checks.SEND), context))


def original(case: Case, scenario: Scenario) -> tuple[Account, checks.Context, list[Finding]]:
    """The case as the customer has it."""
    account = case.signed_in_account(scenario.account)
    if scenario.shows == "sign-in":
        account = NEWCOMER
        firm = next(iter(case.tenant.state.tenants.values()))
        firm.principal.user_consent.pop(firm.users[account.address].id, None)
        case.workspace.tokens.forget(account.address)
    take_back = case.tenant.scenarios.start(scenario.name)
    try:
        case.reload()
        firm_there = case.workspace.firms.get(account.firm)
        if scenario.shows == "sign-in":
            _cause, page = case.sign_in(account)
            if page:
                sign_in_history.record_reported_text(case.workspace, firm_there, account, page)
        return account, *diagnosed(case.workspace, firm_there, account, scenario)
    finally:
        take_back()
        case.reload()


@pytest.mark.parametrize("scenario", EXPRESSED, ids=lambda s: s.name)
def test_a_bundle_replays_to_the_same_cause(case: Case, scenario: Scenario, tmp_path: Path) -> None:
    account, there, found = original(case, scenario)
    expected = judgement.root_cause(found)
    assert expected is not None
    assert expected.cause == scenario.cause
    file = tmp_path / "case.zip"
    talks = there.state.transcripts
    made = bundle(case.workspace, there.firm, account, found, talks, pseudonymised=True)
    made.write(file)
    with (
        Replay(read(file)) as replay,
        Workspace.open(tmp_path / "replayed", passphrase="of this very test") as workspace,
    ):
        if not any(one.scenario for one in replay.replayed):
            pytest.fail(f"nothing was found for {expected.check}: {expected.cause}")
        firm, mailbox = set_up(replay, workspace, there.firm, tmp_path)
        if firm.access == "delegated":
            sign_in(replay, workspace, mailbox)
        _context, again = diagnosed(workspace, firm, mailbox, scenario)
    broken = judgement.root_cause(again)
    assert broken is not None, list(replay.notes())
    assert broken.cause == expected.cause, (list(replay.notes()), broken)


def set_up(replay: Replay, workspace: Workspace, there: Firm, folder: Path) -> tuple[Firm, Account]:
    """What support does with the endpoints file of the replay."""
    noted = json.loads(replay.endpoints_file.read_text(encoding="utf-8"))["practice"]["firms"][0]
    cloud = clouds.load(str(replay.endpoints_file))
    firm = Firm(
        noted["name"], noted["tenant_id"], noted["client_id"], cloud=cloud, access=there.access
    )
    workspace.firms.add(firm, noted["client_secret"] or None)
    replayed = replay.case
    mailbox = Account(
        replayed.address,
        firm.name,
        login=None if replayed.login == replayed.address else replayed.login,
        protocol="imap" if replayed.kind == "imap" else "pop3",
    )
    workspace.accounts.add(mailbox)
    return firm, mailbox


def sign_in(replay: Replay, workspace: Workspace, mailbox: Account) -> None:
    """A person signs in with the password that the replay gives out; what the page says is told."""
    known = json.loads(replay.endpoints_file.read_text(encoding="utf-8"))["practice"]["firms"][0]
    password = next(
        (a["password"] for a in known["accounts"] if a["address"] == mailbox.user),
        "never-asked-for",
    )
    try:
        attempt = signin.start(workspace, mailbox, "browser", open_browser=False)
    except AuthError:
        return  # the registration or the network is what is broken
    try:
        page = sign_in_as_a_person(attempt.url, mailbox.user, password, must_finish=False)
        firm = workspace.firms.get(mailbox.firm)
        if sign_in_history.record_reported_text(workspace, firm, mailbox, page) is None:
            attempt.wait(10)
    except AuthError:
        pass
    finally:
        attempt.cancel()

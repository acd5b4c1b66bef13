"""How accounts and firms stand: the newest answers, what will break soon, what hangs on one cause, what changed."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from msoauth.auditing import labels
from msoauth.auditing.history import Change, change, history
from msoauth.auditing.scope import Scope
from msoauth.auditing.status import AccountStatus, status
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.store import Workspace
from msoauth.store.audits import Mark

NOW = datetime.now(UTC)
FIRM = Firm("Contoso Legal", "contoso.example", "11111111-2222-4333-8444-555555555555")
ANNA, MAX = Account("anna@contoso.example", FIRM.name), Account("max@contoso.example", FIRM.name)
OFF = "smtp-auth-disabled-mailbox"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.open(tmp_path / "workspace") as opened:
        opened.firms.add(FIRM)
        for account in (ANNA, MAX):
            opened.accounts.add(account)
            opened.tokens.save(account.address, "{}", signed_in_as=account.address)
        yield opened


def said(
    workspace: Workspace,
    check: str,
    signal: Signal,
    days_ago: float,
    account: Account | None = ANNA,
    *,
    cause: str | None = None,
    **facts: str,
) -> None:
    workspace.journal.append(
        Finding(
            check,
            signal,
            "said",
            cause=cause,
            at=NOW - timedelta(days=days_ago),
            firm=FIRM.name,
            account=account.address if account else "",
            facts=facts,
            evidence="the server's words",
        )
    )


def of(workspace: Workspace, account: Account = ANNA, now: datetime | None = None) -> AccountStatus:
    return next(a for a in status(workspace, now=now).accounts if a.account == account)


def test_an_account_nobody_looked_at_is_hollow(workspace: Workspace) -> None:
    assert of(workspace).signal is Signal.NOT_RUN


def test_the_first_broken_link_its_days_and_the_last_successes(workspace: Workspace) -> None:
    for check in ("sign-in.token", "pop3.login", "smtp.login"):
        said(workspace, check, Signal.PASSED, 9)
    said(workspace, "sign-in.token", Signal.PASSED, 3)
    said(workspace, "pop3.login", Signal.PASSED, 3)
    said(workspace, "smtp.login", Signal.FAILED, 3, cause=OFF)
    said(workspace, "smtp.login", Signal.FAILED, 1, cause=OFF)
    one = of(workspace)
    assert one.signal is Signal.FAILED
    assert one.issue is not None
    assert (one.issue.check, one.issue.cause) == ("smtp.login", OFF)
    assert one.since == NOW - timedelta(days=3)
    assert one.last_sign_in == one.last_retrieval == NOW - timedelta(days=3)
    assert one.last_sending == NOW - timedelta(days=9)
    assert one.finding is not None
    assert one.finding.evidence == "the server's words"


def test_what_was_mended_later_in_a_diagnosis_counts(workspace: Workspace) -> None:
    said(workspace, "smtp.login", Signal.FAILED, 2, cause=OFF)
    said(workspace, "smtp.login", Signal.PASSED, 1)
    assert of(workspace).signal is Signal.PASSED


def test_a_fault_of_ours_is_forgotten_when_the_account_was_looked_at_again(
    workspace: Workspace,
) -> None:
    for account, first in ((ANNA, "sign-in.present"), (None, "registration.values")):
        said(workspace, "audit.account", Signal.ERROR, 2, account, cause="unknown")
        said(workspace, first, Signal.PASSED, 1, account)
    said(workspace, "smtp.login", Signal.PASSED, 1)
    said(workspace, "pop3.login", Signal.SKIPPED, 1)
    assert of(workspace).signal is Signal.PASSED


def test_a_firms_broken_link_bars_its_accounts_until_it_is_mended(workspace: Workspace) -> None:
    said(workspace, "smtp.login", Signal.PASSED, 5)
    said(workspace, "registration.secret", Signal.FAILED, 2, None, cause="secret-expired")
    said(workspace, "smtp.login", Signal.SKIPPED, 2)
    one = of(workspace)
    assert one.signal is Signal.FAILED
    assert one.issue is not None
    assert one.issue.check == "registration.secret"
    said(workspace, "registration.secret", Signal.PASSED, 1, None)
    said(workspace, "smtp.login", Signal.PASSED, 1)
    assert of(workspace).signal is Signal.PASSED


def test_of_two_answers_to_a_question_about_the_firm_the_newer_counts(workspace: Workspace) -> None:
    said(
        workspace, "registration.secret", Signal.FAILED, 2, ANNA, cause="secret-expired"
    )  # a diagnosis
    said(workspace, "smtp.login", Signal.PASSED, 1)
    said(workspace, "registration.secret", Signal.PASSED, 1, None)
    assert of(workspace).signal is Signal.PASSED


def test_a_test_mail_that_failed_once_counts_until_a_later_login(workspace: Workspace) -> None:
    said(workspace, "smtp.login", Signal.PASSED, 3)
    said(workspace, "smtp.send", Signal.FAILED, 2, cause="send-as-denied")
    assert of(workspace).signal is Signal.FAILED
    said(workspace, "smtp.login", Signal.PASSED, 1)
    assert of(workspace).signal is Signal.PASSED


def test_a_refused_sign_in_counts_until_the_token_is_seen_to_work(workspace: Workspace) -> None:
    said(workspace, "sign-in.token", Signal.PASSED, 3)
    said(workspace, "sign-in.attempt", Signal.FAILED, 2, cause="account-wrong")
    assert of(workspace).signal is Signal.FAILED
    said(workspace, "sign-in.token", Signal.PASSED, 1)
    assert of(workspace).signal is Signal.PASSED


def test_answers_of_the_protocol_that_is_not_used_any_more_do_not_count(
    workspace: Workspace,
) -> None:
    said(workspace, "imap.login", Signal.FAILED, 2, cause="imap-disabled")
    said(workspace, "pop3.login", Signal.PASSED, 1)
    assert of(workspace).signal is Signal.PASSED


@pytest.mark.parametrize(
    ("days", "signal"), [(59, Signal.PASSED), (60, Signal.WARNING), (90, Signal.FAILED)]
)
def test_idle_days_are_amber_from_60_and_red_at_90(
    workspace: Workspace, days: int, signal: Signal
) -> None:
    said(workspace, "smtp.login", Signal.PASSED, 0)
    one = of(workspace, now=datetime.now(UTC) + timedelta(days=days))
    assert (one.signal, one.idle_days) == (signal, days)


@pytest.mark.parametrize(
    ("days", "signal"), [(61, Signal.PASSED), (60, Signal.WARNING), (-1, Signal.WARNING)]
)
def test_the_secrets_last_days_are_amber(workspace: Workspace, days: int, signal: Signal) -> None:
    expires = NOW.date() + timedelta(days=days)
    workspace.firms.replace(Firm(FIRM.name, FIRM.tenant, FIRM.client_id, secret_expires=expires))
    said(workspace, "smtp.login", Signal.PASSED, 0)
    one = of(workspace, now=NOW)
    assert (one.signal, one.secret_days) == (signal, days)
    assert status(workspace, now=NOW).firms[0].secret_days == days


def test_a_silent_mailbox_is_amber(workspace: Workspace) -> None:
    said(workspace, "mail.newest", Signal.PASSED, 0, newest=(NOW - timedelta(days=31)).isoformat())
    one = of(workspace)
    assert (one.signal, one.silent_days) == (Signal.WARNING, 31)
    assert "31" in labels.issue_label(one.issue)


def test_who_never_signed_in_is_known(workspace: Workspace) -> None:
    workspace.tokens.forget(ANNA.address)
    assert of(workspace).never_signed_in
    assert not of(workspace, MAX).never_signed_in


def test_what_hangs_on_one_cause_is_one_line(workspace: Workspace) -> None:
    for number in range(5):
        account = Account(f"user{number}@contoso.example", FIRM.name)
        workspace.accounts.add(account)
        said(workspace, "smtp.login", Signal.FAILED, number, account, cause=OFF)
    said(workspace, "sign-in.token", Signal.FAILED, 1, MAX, cause="refresh-revoked")
    stands = status(workspace)
    first, second = stands.groups
    assert len(first.accounts) == 5
    assert labels.group_line(first).startswith("5 accounts: ")
    assert labels.group_who(first) == "tenant-admin"
    assert first.since == NOW - timedelta(days=4)
    assert second.accounts == (MAX.address,)
    assert stands.firms[0].signals[Signal.FAILED] == 6
    assert stands.firms[0].groups == stands.groups


def test_a_mailbox_whose_newest_mail_was_not_read_is_not_called_silent(
    workspace: Workspace,
) -> None:
    said(workspace, "mail.newest", Signal.FAILED, 0, cause="connect-timeout")
    stands = status(workspace)
    one = next(one for one in stands.accounts if one.account == ANNA)
    assert labels.group_label(stands.groups[0]) == labels.issue_label(one.issue)
    assert "No new mail" not in labels.group_line(stands.groups[0])


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (Signal.PASSED, Signal.FAILED, "new"),
        (None, Signal.FAILED, "new"),
        (Signal.PASSED, Signal.WARNING, "new"),
        (Signal.WARNING, Signal.FAILED, "worse"),
        (Signal.FAILED, Signal.WARNING, "better"),
        (Signal.FAILED, Signal.PASSED, "mended"),
        (Signal.FAILED, Signal.ERROR, ""),
        (Signal.PASSED, Signal.PASSED, ""),
        (None, Signal.PASSED, ""),
    ],
)
def test_what_became_of_an_account(before: Signal | None, after: Signal, expected: Change) -> None:
    def mark(signal: Signal) -> Mark:
        return Mark(FIRM.name, ANNA.address, signal)

    assert change(mark(before) if before else None, mark(after)) == expected


def audited(workspace: Workspace, run: str, scope: Scope, signals: dict[Account, Signal]) -> None:
    """An audit that ended so."""
    workspace.audits.begin(run, scope.text(), list(signals))
    for account, signal in signals.items():
        workspace.audits.complete(run, Mark(account.firm, account.address, signal), [])
    workspace.audits.finish(run)


def test_changes_are_those_between_the_last_two_audits(workspace: Workspace) -> None:
    audited(workspace, "r1", Scope(), {ANNA: Signal.PASSED, MAX: Signal.PASSED})
    audited(workspace, "r2", Scope(), {ANNA: Signal.FAILED, MAX: Signal.PASSED})
    stands = status(workspace)
    assert [a.account for a in stands.accounts if a.change == "new"] == [ANNA]
    assert stands.before is not None
    assert stands.before.run == "r1"


EVA, ADA = Account("eva@fabrikam.example", "Fabrikam"), Account("ada@tailspin.example", "Tailspin")


@pytest.fixture
def three_firms(workspace: Workspace) -> Workspace:
    for account in (EVA, ADA):
        domain = account.address.rpartition("@")[2]
        workspace.firms.add(
            Firm(account.firm, domain, FIRM.client_id, secret_expires=date(2027, 1, 1))
        )
        workspace.accounts.add(account)
    return workspace


def test_an_audit_of_one_firm_is_compared_with_the_one_of_all_before_it(
    three_firms: Workspace,
) -> None:
    everybody = dict.fromkeys((ANNA, MAX, EVA, ADA), Signal.FAILED)
    audited(three_firms, "r1", Scope(), everybody)
    audited(three_firms, "r2", Scope.of(["fabrikam"]), {EVA: Signal.PASSED})
    for stands in (status(three_firms), status(three_firms, firm="Fabrikam")):
        assert [a.account for a in stands.accounts if a.change == "mended"] == [EVA]
        assert stands.before is not None
        assert stands.before.run == "r1"
    # And not with one that had not asked, or that had asked for more.
    contoso = status(three_firms, firm=FIRM.name)
    assert contoso.last is not None
    assert (contoso.last.run, contoso.before) == ("r1", None)
    audited(three_firms, "r3", Scope.of(["fabrikam"], send=True), {EVA: Signal.FAILED})
    assert status(three_firms, firm="Fabrikam").before is None
    audited(three_firms, "r4", Scope(), everybody | {EVA: Signal.PASSED})
    assert [a.account for a in status(three_firms).accounts if a.change == "mended"] == [EVA]


def test_a_firms_charts_show_its_own_accounts_and_those_of_all_no_single_firms(
    three_firms: Workspace,
) -> None:
    everybody = dict.fromkeys((ANNA, MAX, EVA, ADA), Signal.PASSED)
    audited(three_firms, "r1", Scope(), everybody | {EVA: Signal.FAILED})
    audited(three_firms, "r2", Scope.of(["fabrikam"]), {EVA: Signal.PASSED})
    audited(three_firms, "r3", Scope.of(["tailspin"]), {ADA: Signal.PASSED})
    own = history(three_firms, ["FABRIKAM"])
    assert [(r.run, r.summary["signals"]) for r in own] == [
        ("r2", {"passed": 1}),
        ("r1", {"failed": 1}),
    ]
    assert own[1].summary["accounts"] == 1
    assert [r.run for r in history(three_firms)] == ["r1"]


def test_a_scope_is_read_as_it_was_written() -> None:
    for scope in (Scope(), Scope.of(["Müller", "b"], send=True)):
        assert Scope.read(scope.text()) == scope
    assert Scope.of(["B", "a"]).text() == Scope.of(["A", "b"]).text()


def test_what_is_worst_comes_first(workspace: Workspace) -> None:
    said(workspace, "smtp.login", Signal.PASSED, 1, ANNA)
    said(workspace, "smtp.login", Signal.FAILED, 1, MAX, cause=OFF)
    assert [a.account for a in status(workspace).accounts] == [MAX, ANNA]


def test_some_firms_and_no_word_of_the_others(three_firms: Workspace) -> None:
    workspace = three_firms
    two = status(workspace, firm=["fabrikam", "TAILSPIN"])
    assert {a.account for a in two.accounts} == {EVA, ADA}
    assert [f.firm.name for f in two.firms] == ["Fabrikam", "Tailspin"]
    assert [a.account.address for a in status(workspace, firm="fabrikam").accounts] == [
        "eva@fabrikam.example"
    ]
    assert len(status(workspace).firms) == 3


def test_a_cancelled_diagnosis_makes_no_broken_account_green(workspace: Workspace) -> None:
    said(workspace, "smtp.login", Signal.FAILED, 2, cause=OFF)
    said(workspace, "smtp.login", Signal.SKIPPED, 1)
    one = of(workspace)
    assert one.signal is Signal.FAILED
    assert one.since == NOW - timedelta(days=2)


def test_a_sign_in_that_was_cancelled_is_no_check_of_the_account(workspace: Workspace) -> None:
    said(workspace, "sign-in.attempt", Signal.SKIPPED, 1)
    one = of(workspace)
    assert (one.signal, one.checked_at) == (Signal.NOT_RUN, None)


def test_what_is_about_to_expire_hides_no_account_that_was_broken_before_a_cancelled_diagnosis(
    workspace: Workspace,
) -> None:
    soon = NOW.date() + timedelta(days=20)
    workspace.firms.replace(Firm(FIRM.name, FIRM.tenant, FIRM.client_id, secret_expires=soon))
    said(workspace, "smtp.login", Signal.FAILED, 2, cause=OFF)
    said(workspace, "smtp.login", Signal.SKIPPED, 1)
    assert of(workspace).signal is Signal.FAILED


def test_what_was_only_skipped_is_not_green(workspace: Workspace) -> None:
    said(workspace, "smtp.login", Signal.SKIPPED, 1)
    assert of(workspace).signal is Signal.NOT_RUN
    said(workspace, "registration.secret", Signal.PASSED, 0.5, None)  # the firm's trouble passed
    assert of(workspace).signal is Signal.NOT_RUN
    said(workspace, "smtp.login", Signal.PASSED, 0.2)
    assert of(workspace).signal is Signal.PASSED


@pytest.mark.parametrize("account", [ANNA, None])
def test_dates_are_judged_by_todays_calendar_and_not_by_an_old_answer(
    workspace: Workspace, account: Account | None
) -> None:
    def signal(days: int) -> Signal:
        expires = NOW.date() + timedelta(days=days)
        workspace.firms.replace(
            Firm(FIRM.name, FIRM.tenant, FIRM.client_id, secret_expires=expires)
        )
        return of(workspace, now=NOW).signal

    said(workspace, "registration.secret-end", Signal.FAILED, 2, account, cause="secret-expired")
    said(workspace, "smtp.login", Signal.PASSED, 1)
    assert signal(-1) is Signal.WARNING  # whoever asked: the secret is accepted as yet
    assert signal(400) is Signal.PASSED  # the date of the new secret was noted since
    said(workspace, "registration.directory", Signal.WARNING, 0, None, cause="throttled")
    said(workspace, "smtp.login", Signal.SKIPPED, 0)
    one = of(workspace, now=NOW)
    assert one.issue is not None
    assert one.issue.check == "registration.directory"  # this is what kept it from its login


def test_a_firm_without_accounts_is_not_green(tmp_path: Path) -> None:
    with Workspace.open(tmp_path / "empty") as opened:
        opened.firms.add(FIRM)
        [firm] = status(opened).firms
    assert firm.signal is Signal.NOT_RUN


def test_mail_dated_in_the_future_is_no_days_old(workspace: Workspace) -> None:
    said(workspace, "mail.newest", Signal.PASSED, 0, newest=(NOW + timedelta(days=2)).isoformat())
    assert of(workspace, now=NOW).silent_days == 0

"""What an audit promises: every account once, findings stored before they are told, and nobody's trouble anybody else's."""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from msoauth import checks
from msoauth.auditing import AccountResult, Audit
from msoauth.checks.context import Outcome
from msoauth.errors import AuthError, InputError, StoreError
from msoauth.identity import probes
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.store import Workspace
from tests.auditing.conftest import FIRM, Office


def accounts(looked: Iterator[AccountResult] | list[AccountResult]) -> list[str]:
    return sorted(one.account.address for one in looked if one.account)


def test_every_account_is_yielded_once_and_is_in_the_journal_by_then(office: Office) -> None:
    running = Audit(office.workspace, workers=4)
    seen = []
    for looked in running:
        seen.append(looked)
        kept = office.workspace.journal.findings(run=running.run)
        assert _names(looked.findings) <= _names(kept)
    assert accounts(seen) == sorted(office.addresses)
    assert {looked.signal for looked in seen} == {Signal.PASSED}
    assert running.progress.done == running.progress.total == len(office.addresses)
    assert running.progress.left == 0.0


def _names(findings: Iterable[Finding]) -> set[tuple[str, str]]:
    return {(finding.account, finding.check) for finding in findings}


def test_the_questions_about_the_firm_are_asked_once_and_not_for_each_account(
    office: Office,
) -> None:
    running = Audit(office.workspace, workers=4)
    list(running)
    counts = Counter(f.check for f in office.workspace.journal.findings(run=running.run))
    assert counts["registration.secret"] == counts["network.pop3"] == counts["network.smtp"] == 1
    assert counts["pop3.login"] == counts["smtp.login"] == len(office.addresses)
    assert "network.imap" not in counts  # no account uses it


def test_accounts_of_a_firm_whose_secret_is_refused_hang_on_that_one_link(office: Office) -> None:
    office.workspace.firms.set_secret(FIRM, "not~the~secret~of~this~app~at~all~12345")
    seen = [looked for looked in Audit(office.workspace) if looked.account]
    assert {(s.signal, s.issue.check if s.issue else "") for s in seen} == {
        (Signal.FAILED, "registration.secret")
    }
    assert all(
        f.signal is Signal.SKIPPED for s in seen for f in s.findings if f.check == "smtp.login"
    )


def test_an_outage_while_the_firm_is_looked_at_leaves_no_account_green_that_was_not_looked_at(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_given: object) -> str:
        raise AuthError("busy (HTTP 503)", cause="service-unavailable", retriable=True)

    monkeypatch.setattr("msoauth.auditing.queue.FIRST_PAUSE", 0.01)
    monkeypatch.setattr(probes, "discover", busy)
    seen = [looked for looked in Audit(office.workspace, workers=2) if looked.account]
    assert {(one.signal, one.issue.cause if one.issue else "") for one in seen} == {
        (Signal.WARNING, "service-unavailable")
    }
    assert {f.signal for one in seen for f in one.findings if f.check == "sign-in.token"} == {
        Signal.SKIPPED
    }


def test_an_outage_that_passes_while_the_audit_runs_leaves_no_trace(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    real = probes.discover

    def busy_once(*given: Any) -> str:
        asked.append(given)
        if len(asked) == 1:
            raise AuthError("busy (HTTP 503)", cause="service-unavailable", retriable=True)
        return real(*given)

    monkeypatch.setattr("msoauth.auditing.queue.FIRST_PAUSE", 0.01)
    monkeypatch.setattr(probes, "discover", busy_once)
    seen = {looked.signal for looked in Audit(office.workspace, workers=2) if looked.account}
    assert seen == {Signal.PASSED}
    assert len(asked) == 2


def test_an_outage_while_tokens_are_renewed_is_told_of_each_account(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msoauth.auditing.queue.FIRST_PAUSE", 0.01)
    office.tenant.state.faults.set("token.status", 503)
    seen = [looked for looked in Audit(office.workspace, workers=2) if looked.account]
    assert {(looked.signal, looked.issue.cause if looked.issue else "") for looked in seen} == {
        (Signal.WARNING, "service-unavailable")
    }


def test_a_fault_of_ours_while_a_firm_is_looked_at_leaves_its_accounts_to_be_looked_at(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(_context: checks.Context) -> bool:
        raise ZeroDivisionError("a bug of ours")

    faulty = checks.Check("registration.values", str, lambda _c: Outcome("fine"), applies=fault)
    monkeypatch.setattr(checks, "REGISTRATION", (faulty,))
    running = Audit(office.workspace, workers=2)
    seen = {(looked.account is None, looked.signal) for looked in running}
    assert seen == {(True, Signal.ERROR), (False, Signal.PASSED)}
    assert not running.cancelled


def test_a_broken_off_audit_goes_on_where_it_stopped(office: Office) -> None:
    first = Audit(office.workspace, workers=2)
    before = []
    for looked in first:
        before.append(looked)
        if len(accounts(before)) == 3:
            break
    second = Audit(office.workspace, workers=2)
    after = list(second)
    assert second.resumed
    assert second.run == first.run
    assert second.skipped >= 3
    assert second.skipped + len(accounts(after)) == len(office.addresses)
    assert second.progress.done == len(office.addresses)
    counts = Counter(
        f.account for f in office.workspace.journal.findings() if f.check == "sign-in.token"
    )
    assert counts == Counter(office.addresses)
    third = Audit(office.workspace)
    assert len(accounts(list(third))) == len(office.addresses)
    assert not third.resumed


def test_an_audit_that_is_iterated_over_again_records_no_empty_one(office: Office) -> None:
    running = Audit(office.workspace, workers=2)
    assert accounts(list(running)) == sorted(office.addresses)
    assert list(running) == []
    [finished] = office.workspace.audits.finished(5)
    assert finished.summary["accounts"] == len(office.addresses)


def test_a_fresh_audit_begins_anew(office: Office) -> None:
    first = Audit(office.workspace)
    next(iter(first))
    fresh = Audit(office.workspace, fresh=True)
    assert len(accounts(list(fresh))) == len(office.addresses)
    assert fresh.run != first.run


def test_an_account_removed_since_the_audit_broke_off_is_not_missed(office: Office) -> None:
    first = iter(Audit(office.workspace, workers=1))
    next(first)
    first.close()  # type: ignore[attr-defined]
    gone = office.addresses[-1]
    office.workspace.accounts.remove(gone)
    second = Audit(office.workspace)
    assert gone not in accounts(list(second))
    assert office.workspace.audits.finished(1)[0].run == second.run


def test_one_accounts_trouble_does_not_stop_the_others(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, off = office.addresses[:2]
    office.mailbox_off(off)
    real = checks.LOGIN_TO_SEND[0].applies

    def fault(context: checks.Context) -> bool:
        if context.mailbox.address == bad:
            raise ZeroDivisionError("a bug of ours")
        return real(context)

    faulty = checks.Check("smtp.login", lambda: "", checks.LOGIN_TO_SEND[0].act, applies=fault)
    monkeypatch.setattr(checks, "LOGIN_TO_SEND", (faulty,))
    signals = {one.account.address: one for one in Audit(office.workspace) if one.account}
    assert signals.pop(bad).signal is Signal.ERROR
    broken = signals.pop(off)
    assert broken.signal is Signal.FAILED
    assert broken.issue is not None
    assert (broken.issue.check, broken.issue.cause) == ("smtp.login", "smtp-auth-disabled-mailbox")
    assert {one.signal for one in signals.values()} == {Signal.PASSED}
    assert len(signals) == len(office.addresses) - 2


def test_nothing_is_sent_unless_it_is_asked_for(office: Office) -> None:
    def sent() -> int:
        boxes = [
            m for firm in office.tenant.state.tenants.values() for m in firm.mailboxes.values()
        ]
        return sum(len(box.sent or ()) for box in boxes)

    list(Audit(office.workspace))
    assert sent() == 0
    list(Audit(office.workspace, send=True))
    assert sent() == len(office.addresses)


def test_a_cancelled_audit_ends_at_once_and_records_nothing_of_what_it_did_not_do(
    office: Office,
) -> None:
    cancelled = threading.Event()
    running = Audit(office.workspace, workers=2, cancelled=cancelled)
    for looked in running:
        if looked.account:
            cancelled.set()
    assert running.cancelled
    kept = list(office.workspace.journal.findings())
    assert not [f for f in kept if "cancelled" in f.summary]
    assert office.workspace.audits.finished(1) == []


def test_two_audits_of_one_workspace_are_not_run_at_once(office: Office) -> None:
    running = iter(Audit(office.workspace, workers=2))
    next(running)
    with (
        Workspace.open(office.folder) as other,
        pytest.raises(InputError, match="Another audit"),
    ):
        list(Audit(other))
    running.close()  # type: ignore[attr-defined]
    assert list(Audit(office.workspace))


def test_a_store_that_fails_ends_the_audit_with_its_sentence_and_it_goes_on_later(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = office.workspace.audits.complete
    stored: list[str] = []

    def failing(run: str, mark: object, findings: object, **options: object) -> bool:
        if len(stored) == 3:
            raise StoreError("The disk is full.")
        stored.append("")
        return real(run, mark, findings, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(office.workspace.audits, "complete", failing)
    seen: list[AccountResult] = []
    with pytest.raises(StoreError, match="disk is full"):
        seen.extend(Audit(office.workspace, workers=1))
    monkeypatch.undo()
    second = Audit(office.workspace)
    rest = accounts(list(second))
    assert second.resumed
    assert second.skipped + len(rest) == len(office.addresses)


def test_a_tenant_that_says_too_many_is_asked_again_before_it_counts(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msoauth.auditing.queue.FIRST_PAUSE", 0.01)
    tries: Counter[str] = Counter()
    always, once = office.addresses[:2]

    def act(context: checks.Context) -> Outcome:
        address = context.mailbox.address
        tries[address] += 1
        if address == always or (address == once and tries[once] == 1):
            return Outcome("too many", Signal.WARNING, "throttled")
        return Outcome("fine")

    monkeypatch.setattr(checks, "SIGN_IN", (checks.Check("sign-in.token", lambda: "", act),))
    monkeypatch.setattr(checks, "LOGIN_TO_RETRIEVE", ())
    monkeypatch.setattr(checks, "LOGIN_TO_SEND", ())
    signals = {one.account.address: one.signal for one in Audit(office.workspace) if one.account}
    assert tries[always] == 3
    assert tries[once] == 2
    assert signals.pop(always) is Signal.WARNING
    assert set(signals.values()) == {Signal.PASSED}


def test_unusable_wishes_are_refused_in_a_sentence(office: Office) -> None:
    with pytest.raises(InputError, match="no firm"):
        Audit(office.workspace, firm="Nobody")
    with pytest.raises(InputError, match="at least one"):
        Audit(office.workspace, workers=0)
    with pytest.raises(InputError, match="PostgreSQL"):
        Audit(office.workspace, share=True)


def test_only_the_firm_that_was_asked_for_is_audited(office: Office) -> None:
    office.workspace.firms.add(
        Firm("Fabrikam", "fabrikam.example", "11111111-2222-4333-8444-555555555555")
    )
    office.workspace.accounts.add(Account("eva@fabrikam.example", "Fabrikam"))
    assert accounts(list(Audit(office.workspace, firm=FIRM.upper()))) == sorted(
        a for a in office.addresses if a != "eva@fabrikam.example"
    )


def test_a_refusal_that_passes_by_itself_breaks_no_account(office: Office) -> None:
    for account in office.workspace.accounts.list():
        office.workspace.accounts.replace(replace(account, protocol="imap"))
    take_back = office.tenant.scenarios.start("refusal-passes")
    try:
        seen = [one for one in Audit(office.workspace, second_try_after=0.0) if one.account]
    finally:
        take_back()
    assert {one.signal for one in seen} == {Signal.PASSED}
    for one in seen:
        [login] = [f for f in one.findings if f.check == "imap.login"]
        assert "second try" in login.summary
        assert "The first try was refused: " in login.evidence
        assert "authenticated but not connected" in login.evidence


def test_what_does_not_pass_is_broken_and_was_tried_twice(office: Office) -> None:
    anna, *_others = office.workspace.accounts.list()
    office.workspace.accounts.replace(replace(anna, protocol="imap"))
    for firm in office.tenant.state.tenants.values():
        if (mailbox := firm.mailbox(anna.address)) is not None:
            mailbox.imap_enabled = False
    seen = [one for one in Audit(office.workspace, second_try_after=0.0) if one.account]
    broken = [one for one in seen if one.signal is Signal.FAILED]
    assert [one.account and one.account.address for one in broken] == [anna.address]
    [login] = [f for f in broken[0].findings if f.check == "imap.login"]
    assert "The second try, 0 seconds later, failed too." in login.evidence
    assert login.evidence.count("authenticated but not connected") == 1


def test_the_pause_before_the_second_try_ends_when_the_audit_is_cancelled(office: Office) -> None:
    for account in office.workspace.accounts.list():
        office.workspace.accounts.replace(replace(account, protocol="imap"))
    office.tenant.state.faults.set("imap.not-connected")
    running = Audit(office.workspace, second_try_after=3600.0)
    cancelling = threading.Timer(0.5, running.cancel)
    cancelling.start()
    assert not [one for one in running if one.account]  # and it ends long before the hour
    cancelling.join()

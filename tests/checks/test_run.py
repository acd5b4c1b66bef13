"""What `run` promises: order, journal, skipping, and that no check's trouble is anybody else's."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from msoauth.checks import DIAGNOSE, REGISTRATION
from msoauth.checks.run import Check, Context, Outcome, run
from msoauth.errors import AuthError, MailError, VaultError
from msoauth.judgement import root_cause
from msoauth.model import Account, Firm, Signal
from msoauth.store import Workspace

FIRM = Firm("Contoso Legal", "contoso.example", "11111111-2222-4333-8444-555555555555")
ACCOUNT = Account("anna@contoso.example", "Contoso Legal")


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    with Workspace.open(tmp_path / "workspace") as workspace:
        yield Context(workspace, FIRM, ACCOUNT)


def passing(check_id: str, needs: tuple[str, ...] = ()) -> Check:
    return Check(check_id, lambda: check_id, lambda _context: Outcome("fine"), needs=needs)


def raising(check_id: str, failure: Exception, needs: tuple[str, ...] = ()) -> Check:
    def act(_context: Context) -> Outcome:
        raise failure

    return Check(check_id, lambda: check_id, act, needs=needs)


def test_findings_come_in_the_order_of_the_checks_even_when_a_later_one_is_ready_first(
    context: Context,
) -> None:
    later_is_done = threading.Event()

    def slow(_context: Context) -> Outcome:
        assert later_is_done.wait(10)
        return Outcome("slow")

    def quick(_context: Context) -> Outcome:
        later_is_done.set()
        return Outcome("quick")

    found = run((Check("a.slow", lambda: "", slow), Check("b.quick", lambda: "", quick)), context)
    assert [finding.check for finding in found] == ["a.slow", "b.quick"]


def test_a_finding_is_in_the_journal_before_it_is_yielded(context: Context) -> None:
    for finding in run((passing("a.one"), passing("a.two")), context):
        assert finding.check in {
            kept.check for kept in context.workspace.journal.findings(run=context.run)
        }


def test_what_hangs_on_a_failed_check_is_skipped_and_says_on_which(context: Context) -> None:
    failure = AuthError("The secret was refused.", cause="secret-invalid", evidence="AADSTS7000215")
    found = list(
        run(
            (
                raising("a.first", failure),
                passing("b.next", ("a.first",)),
                passing("c.last", ("b.next",)),
            ),
            context,
        )
    )
    assert [finding.signal for finding in found] == [Signal.FAILED, Signal.SKIPPED, Signal.SKIPPED]
    assert "a.first" in found[1].summary
    assert "a.first" in found[2].summary  # not b.next, which is only skipped itself


def test_a_run_ends_with_one_sentence_about_the_first_broken_link(context: Context) -> None:
    def sentence(*checks: Check) -> str:
        findings = run(checks, context)
        while True:
            try:
                next(findings)
            except StopIteration as end:
                return str(end.value)

    wrong = AuthError("The secret was refused.", cause="secret-invalid")
    assert sentence(passing("a.first")) == "Every link holds."
    said = sentence(passing("a.first"), raising("b.next", wrong), passing("c.last", ("b.next",)))
    assert said == "The first broken link is b.next: The secret was refused."


def test_a_check_may_wait_for_another_without_hanging_on_it(context: Context) -> None:
    order: list[str] = []

    def fail(_context: Context) -> Outcome:
        order.append("a.first")
        raise AuthError("no", cause="secret-invalid")

    def note(_context: Context) -> Outcome:
        order.append("b.next")
        return Outcome("fine")

    checks = (Check("a.first", str, fail), Check("b.next", str, note, after=("a.first",)))
    assert [finding.signal for finding in run(checks, context)] == [Signal.FAILED, Signal.PASSED]
    assert order == ["a.first", "b.next"]


def test_every_check_of_a_diagnosis_says_what_it_asks_and_needs_only_earlier_ones() -> None:
    seen: set[str] = set()
    for check in DIAGNOSE:
        assert check.title()
        assert check.asks().endswith((".", "?"))
        assert seen.issuperset(check.needs), check.id
        assert seen.issuperset(check.after), check.id
        seen.add(check.id)
    assert len(seen) == len(DIAGNOSE)


def test_a_failure_carries_cause_steps_and_who_can_take_them(context: Context) -> None:
    failure = AuthError(
        "The secret was refused.",
        cause="secret-invalid",
        evidence="AADSTS7000215: …",
        ids={"trace_id": "t-1"},
    )
    [finding] = run((raising("a.first", failure),), context)
    assert (finding.cause, finding.who, finding.ids) == (
        "secret-invalid",
        "consultant",
        {"trace_id": "t-1"},
    )
    assert finding.fix
    assert finding.evidence == "AADSTS7000215: …"
    assert (finding.firm, finding.account, finding.run) == (FIRM.name, ACCOUNT.address, context.run)


@pytest.mark.parametrize(
    ("failure", "signal"),
    [
        (
            MailError("Too many connections.", stage="work", cause="throttled", retriable=True),
            Signal.WARNING,
        ),
        (MailError("Refused.", stage="authenticate", cause="mail-login-rejected"), Signal.FAILED),
        (VaultError("The passphrase is wrong."), Signal.ERROR),
        (ZeroDivisionError("a bug of ours"), Signal.ERROR),
    ],
)
def test_the_signal_tells_whose_trouble_it_is(
    context: Context, failure: Exception, signal: Signal
) -> None:
    [finding] = run((raising("a.first", failure),), context)
    assert finding.signal == signal


def test_ctrl_c_while_the_last_check_runs_ends_it(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_self: object, _timeout: object = None) -> object:
        raise KeyboardInterrupt

    def wait_for_the_end(given: Context) -> Outcome:
        assert given.cancelled.wait(20)
        return Outcome("ended")

    monkeypatch.setattr(Future, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(run((Check("a.last", lambda: "last", wait_for_the_end),), context))
    assert context.cancelled.is_set()


def test_a_vault_that_does_not_open_is_told_by_the_checks_that_need_it(tmp_path: Path) -> None:
    with Workspace.open(tmp_path / "w", passphrase="the right one") as workspace:
        workspace.firms.add(FIRM)
        workspace.firms.set_secret(FIRM.name, "a-secret-value-of-some-length")
    with Workspace.open(tmp_path / "w", passphrase="a wrong one") as workspace:
        found = {f.check: f for f in run(REGISTRATION, Context(workspace, FIRM))}
        assert workspace.firms.has_secret(FIRM.name)
    assert found["registration.values"].signal is Signal.ERROR
    assert "passphrase" in found["registration.values"].summary


def test_a_secret_in_an_unexpected_exception_is_not_in_the_finding(context: Context) -> None:
    bug = RuntimeError("POST failed: client_secret=planted-marker-4711&scope=x")
    [finding] = run((raising("a.first", bug),), context)
    assert "planted-marker-4711" not in str(finding.as_json())


def test_independent_checks_run_side_by_side(context: Context) -> None:
    together = threading.Barrier(3, timeout=10)

    def meet(_context: Context) -> Outcome:
        together.wait()
        return Outcome("met")

    found = list(run([Check(f"a.{n}", lambda: "", meet) for n in range(3)], context))
    assert {finding.signal for finding in found} == {Signal.PASSED}


def test_a_cancelled_run_starts_nothing_more(context: Context) -> None:
    context.cancelled.set()
    [finding] = run((raising("a.first", AssertionError("must not run")),), context)
    assert finding.signal == Signal.SKIPPED


def test_the_first_broken_link_is_red_before_amber(context: Context) -> None:
    busy = MailError("busy", stage="work", cause="throttled", retriable=True)
    found = list(
        run(
            (raising("a.amber", busy), raising("b.red", AuthError("no", cause="secret-invalid"))),
            context,
        )
    )
    broken = root_cause(found)
    assert broken is not None
    assert broken.check == "b.red"
    ours = VaultError("The passphrase is wrong.")
    purple = list(run((raising("a.purple", ours), raising("b.amber", busy)), context))
    assert root_cause(purple) == purple[0]
    assert root_cause([*purple, *found]) == broken  # what is broken before what we could not see
    assert root_cause([]) is None

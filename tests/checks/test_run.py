"""What `run` promises: order, journal, skipping, and that no check's trouble is anybody else's."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from msoauth.checks import CONNECT, DIAGNOSE, REGISTRATION
from msoauth.checks.context import Check, Context, Outcome, RunOptions
from msoauth.checks.run import Threads, run
from msoauth.clouds import Endpoint
from msoauth.errors import AuthError, MailError, StoreError, VaultError
from msoauth.identity.access_tokens import AccessToken
from msoauth.judgement import root_cause
from msoauth.mail.connection import Connection
from msoauth.mail.pop3 import Pop3Session
from msoauth.mail.transcript import Transcript
from msoauth.model import Account, Finding, Firm, Signal
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
        assert seen.issuperset({*check.after} - {c.id for c in CONNECT}), check.id
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


def test_ctrl_c_ends_the_checks_that_are_under_way(context: Context) -> None:
    under_way, ended = threading.Event(), threading.Event()

    def interrupted(_context: Context) -> Outcome:
        assert under_way.wait(20)
        raise KeyboardInterrupt

    def wait_for_the_end(given: Context) -> Outcome:
        under_way.set()
        assert given.cancelled.wait(20)
        ended.set()
        return Outcome("ended")

    checks = (Check("a.first", str, interrupted), Check("b.last", str, wait_for_the_end))
    with pytest.raises(KeyboardInterrupt):
        list(run(checks, context))
    assert ended.wait(20)


def test_a_journal_that_cannot_be_written_ends_the_checks_that_are_under_way(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, ended = threading.Event(), threading.Event()

    def full(*_findings: Finding) -> None:
        assert under_way.wait(20)
        raise StoreError("The disk is full.")

    def wait_for_the_end(given: Context) -> Outcome:
        under_way.set()
        if given.cancelled.wait(5):
            ended.set()
        return Outcome("ended")

    monkeypatch.setattr(context.workspace.journal, "append", full)
    checks = (passing("a.first"), Check("b.last", str, wait_for_the_end))
    with pytest.raises(StoreError, match="disk is full"):
        list(run(checks, context))
    assert ended.wait(20)


def test_a_failure_that_comes_of_the_cancellation_is_no_finding_about_the_server(
    context: Context,
) -> None:
    def cancelled_meanwhile(given: Context) -> Outcome:
        given.cancelled.set()
        raise MailError("outlook.example:995, connect: cancelled.", stage="connect")

    [finding] = run((Check("network.pop3", str, cancelled_meanwhile),), context)
    assert (finding.signal, finding.cause) == (Signal.SKIPPED, None)
    assert "cancelled" in finding.summary


@pytest.mark.parametrize("workers", [1, 8])
def test_what_fails_only_for_now_blocks_what_needs_it_too(context: Context, workers: int) -> None:
    busy = MailError("busy", stage="work", cause="throttled", retriable=True)
    checks = (raising("a.first", busy), passing("b.next", ("a.first",)))
    found = list(run(checks, context, workers=workers))
    assert [finding.signal for finding in found] == [Signal.WARNING, Signal.SKIPPED]
    assert "a.first" in found[1].summary


def test_findings_that_are_known_already_block_what_needs_them(context: Context) -> None:
    known = [
        Finding("a.bad", Signal.WARNING, "busy", cause="throttled"),
        Finding("a.good", Signal.WARNING, "not nice, but no reason to stop"),
    ]
    checks = (passing("b.one", ("a.bad",)), passing("b.two", ("a.good",)))
    found = list(run(checks, context, known=known))
    assert [(finding.check, finding.signal) for finding in found] == [
        ("b.one", Signal.SKIPPED),
        ("b.two", Signal.PASSED),
    ]


def test_one_worker_is_the_callers_thread_and_keeps_the_order(context: Context) -> None:
    seen: list[tuple[str, threading.Thread]] = []

    def noting(name: str) -> Check:
        def act(_context: Context) -> Outcome:
            seen.append((name, threading.current_thread()))
            return Outcome("fine")

        return Check(name, str, act)

    list(run([noting(f"a.{n}") for n in range(5)], context, workers=1))
    assert seen == [(f"a.{n}", threading.current_thread()) for n in range(5)]


def test_a_journal_that_the_caller_writes_is_left_alone(context: Context) -> None:
    assert [f.signal for f in run((passing("a.one"),), context, record=False)] == [Signal.PASSED]
    assert not list(context.workspace.journal.findings(run=context.run))


def test_runs_that_share_fewer_threads_than_they_could_use_all_come_to_their_end(
    context: Context,
) -> None:
    def chain(run_number: int) -> list[Check]:
        checks = [passing(f"{run_number}.{n}") for n in range(4)]
        return [*checks, passing(f"{run_number}.last", tuple(check.id for check in checks))]

    ends: list[list[Signal]] = []
    threads = Threads(3, "shared")
    done = threading.Semaphore(0)

    def one(number: int) -> None:
        own = Context(context.workspace, FIRM, ACCOUNT)
        found = run(chain(number), own, workers=threads, record=False)
        ends.append([finding.signal for finding in found])
        done.release()

    with closing(threads):
        for number in range(50):
            threads.submit(lambda number=number: one(number))  # type: ignore[misc]
        assert all(done.acquire(timeout=20) for _number in range(50))
    assert ends == [[Signal.PASSED] * 5] * 50


def test_closing_returns_at_once_and_what_hangs_leaves_nothing_behind(context: Context) -> None:
    begun, let_go, ended = threading.Event(), threading.Event(), threading.Event()

    def hang(given: Context) -> Outcome:
        begun.set()
        assert let_go.wait(20), "closing waited for the check"
        connection = Connection(server, Transcript(), 20.0, None)
        connection.open()
        given.state.sessions.keep(Pop3Session(connection))
        ended.set()
        return Outcome("late")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        server = Endpoint("127.0.0.1", listening.getsockname()[1], "starttls")
        findings = run((passing("a.first"), Check("b.hangs", str, hang)), context)
        assert next(findings).check == "a.first"
        assert begun.wait(20)
        findings.close()
        assert context.cancelled.is_set()
        let_go.set()
        peer, _address = listening.accept()
        with peer:
            peer.settimeout(20)
            assert peer.recv(1) == b""  # closed
    assert ended.wait(20)
    assert [f.check for f in context.workspace.journal.findings(run=context.run)] == ["a.first"]


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


def test_independent_checks_run_concurrently(context: Context) -> None:
    together = threading.Barrier(3, timeout=10)

    def meet(_context: Context) -> Outcome:
        together.wait()
        return Outcome("met")

    found = list(run([Check(f"a.{n}", lambda: "", meet) for n in range(3)], context))
    assert {finding.signal for finding in found} == {Signal.PASSED}


def test_a_check_that_is_ready_is_begun_while_the_caller_waits_for_another(
    context: Context,
) -> None:
    other_begun, next_done = threading.Event(), threading.Event()

    def first(_context: Context) -> Outcome:
        assert other_begun.wait(20)
        return Outcome("the caller's thread carried it out")

    def other(_context: Context) -> Outcome:
        other_begun.set()
        assert next_done.wait(5), "what waited for the first check was not begun"
        return Outcome("slow")

    def after_first(_context: Context) -> Outcome:
        next_done.set()
        return Outcome("quick")

    checks = (
        Check("a.first", str, first),
        Check("b.other", str, other),
        Check("c.next", str, after_first, needs=("a.first",)),
    )
    assert {finding.signal for finding in run(checks, context)} == {Signal.PASSED}


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


def test_no_secret_of_a_run_is_shown(context: Context) -> None:
    marker = "planted-marker-4711"
    context.options = RunOptions(user_reported_error=marker)
    context.state.token = AccessToken(marker, datetime.now(UTC))
    context.state.transcripts["smtp"] = Transcript()
    context.state.transcripts["smtp"].client(marker)
    assert marker not in f"{context!r} {context.options!r} {context.state!r}"


def test_conversations_come_in_the_order_of_a_diagnosis_whoever_was_greeted_first(
    context: Context,
) -> None:
    for name in ("smtp", "pop3", "smtp.send", "mail.round-trip"):
        context.connection_options(name)
    said = list(context.state.ordered_transcripts())
    assert said == ["pop3", "smtp", "smtp.send", "mail.round-trip"]

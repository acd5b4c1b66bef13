"""What findings amount to: severity, root cause, what blocks what."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msoauth.errors import AuthError, MailError, MsoauthError, StoreError, VaultError
from msoauth.judgement import (
    blocker,
    blocks,
    is_problem,
    outdated,
    root_cause,
    severity,
    signal_of,
    verdict,
    worst,
)
from msoauth.model import Finding, Signal

PASSED, WARNING, FAILED = Signal.PASSED, Signal.WARNING, Signal.FAILED
ERROR, SKIPPED, NOT_RUN = Signal.ERROR, Signal.SKIPPED, Signal.NOT_RUN
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def finding(signal: Signal, cause: str | None = None, check: str = "a.check") -> Finding:
    return Finding(check, signal, f"{check} said", cause=cause, at=NOW)


signals = st.sampled_from(Signal)
causes = st.none() | st.sampled_from(["throttled", "secret-expired", "unknown"])
findings = st.lists(st.builds(finding, signals, causes, st.sampled_from(["a.x", "b.y", "c.z"])))


# Severity


def test_what_is_not_known_is_no_success_and_error_is_not_failed() -> None:
    order = [PASSED, NOT_RUN, SKIPPED, WARNING, ERROR, FAILED]
    assert sorted(Signal, key=severity) == order
    assert severity(PASSED) == 0
    assert len({severity(signal) for signal in Signal}) == len(Signal)


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        ([], NOT_RUN),
        ([PASSED], PASSED),
        ([PASSED, SKIPPED], SKIPPED),
        ([PASSED, NOT_RUN], NOT_RUN),
        ([WARNING, SKIPPED], WARNING),
        ([ERROR, WARNING], ERROR),
        ([ERROR, FAILED], FAILED),
    ],
)
def test_the_worst_of_some_signals(of: list[Signal], expected: Signal) -> None:
    assert worst(of) is expected


@given(st.lists(signals))
def test_the_worst_is_green_only_when_all_are(of: list[Signal]) -> None:
    assert (worst(of) is PASSED) == (bool(of) and set(of) == {PASSED})


# What a failure is


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (MsoauthError("no"), FAILED),
        (AuthError("refused", cause="secret-invalid"), FAILED),
        (AuthError("busy", cause="service-unavailable", retriable=True), WARNING),
        (MailError("busy", stage="work", cause="throttled", retriable=True), WARNING),
        (MailError("refused", stage="authenticate", cause="mail-login-rejected"), FAILED),
        (StoreError("the disk is full"), ERROR),
        (VaultError("the passphrase is wrong"), ERROR),
        (AuthError("no role", cause="graph-forbidden"), ERROR),
        (AuthError("no role", cause="graph-forbidden", retriable=True), ERROR),
    ],
)
def test_the_signal_of_a_failure(failure: MsoauthError, expected: Signal) -> None:
    assert signal_of(failure) is expected


# What blocks what


@pytest.mark.parametrize(
    ("signal", "cause", "problem", "blocking"),
    [
        (PASSED, None, False, False),
        (WARNING, None, False, False),  # a remark
        (WARNING, "throttled", True, True),  # also when it may pass by itself
        (FAILED, None, True, True),
        (FAILED, "secret-expired", True, True),
        (ERROR, None, True, True),
        (ERROR, "unknown", True, True),
        (SKIPPED, None, False, True),
        (NOT_RUN, None, False, False),
    ],
)
def test_what_is_a_problem_and_what_blocks(
    signal: Signal, cause: str | None, problem: bool, blocking: bool
) -> None:
    one = finding(signal, cause)
    assert (is_problem(one), blocks(one)) == (problem, blocking)


@given(findings)
def test_the_blocker_is_the_first_that_blocks(made: list[Finding]) -> None:
    found = blocker(made)
    assert found is next(iter(filter(blocks, made)), None)
    assert found is not None or root_cause(made) is None  # what is a problem blocks


# The root cause


@pytest.mark.parametrize(
    ("made", "place"),
    [
        ([], None),
        ([(PASSED, None)], None),
        ([(PASSED, None), (WARNING, None)], None),
        ([(SKIPPED, None), (NOT_RUN, None)], None),
        ([(WARNING, None), (WARNING, "throttled")], 1),
        ([(WARNING, "throttled"), (FAILED, "x")], 1),
        ([(WARNING, "throttled"), (ERROR, "unknown")], 1),
        ([(ERROR, "unknown"), (FAILED, "x")], 1),
        ([(ERROR, None), (WARNING, "throttled"), (FAILED, None)], 2),
        ([(FAILED, "x"), (SKIPPED, None), (FAILED, "y")], 0),
        ([(PASSED, None), (ERROR, "x"), (ERROR, "y")], 1),
        ([(WARNING, "throttled"), (SKIPPED, None)], 0),
    ],
)
def test_the_root_cause_is_the_first_of_the_most_severe(
    made: list[tuple[Signal, str | None]], place: int | None
) -> None:
    rows = [finding(signal, cause) for signal, cause in made]
    assert root_cause(rows) is (None if place is None else rows[place])


@given(findings)
def test_the_root_cause_is_never_less_severe_than_another_problem(made: list[Finding]) -> None:
    cause = root_cause(made)
    problems = [one for one in made if is_problem(one)]
    if cause is None:
        assert not problems
    else:
        assert is_problem(cause)
        assert all(severity(cause.signal) >= severity(one.signal) for one in problems)
        before = made[: next(n for n, one in enumerate(made) if one is cause)]
        assert all(
            severity(one.signal) < severity(cause.signal) for one in filter(is_problem, before)
        )


@given(findings, st.integers(0, 8))
def test_a_check_that_passed_changes_no_root_cause(made: list[Finding], place: int) -> None:
    more = [*made[:place], finding(PASSED), *made[place:]]
    assert root_cause(more) is root_cause(made)


# A run in one sentence


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ([finding(PASSED)], "Every link holds."),
        ([finding(PASSED), finding(WARNING)], "Every link holds."),
        ([finding(PASSED), finding(SKIPPED)], "The run was broken off; what was checked holds."),
        (
            [finding(WARNING, "throttled", "b.y"), finding(SKIPPED)],
            "The first broken link is b.y: b.y said",
        ),
    ],
)
def test_a_run_in_one_sentence(made: list[Finding], said: str) -> None:
    assert verdict(made) == said


# What a later answer outdates


@pytest.mark.parametrize(
    ("check", "by"),
    [
        ("smtp.send", "smtp.login"),
        ("mail.retrieve", "imap.login"),
        ("sign-in.attempt", "sign-in.token"),
        ("audit.account", "sign-in.present"),
    ],
)
def test_a_later_pass_of_the_check_that_answers_for_it_outdates_an_answer(
    check: str, by: str
) -> None:
    old = finding(FAILED, "x", check)

    def later(signal: Signal, seconds: int) -> dict[str, Finding]:
        return {by: Finding(by, signal, "", at=NOW + timedelta(seconds=seconds))}

    assert outdated(old, later(PASSED, 1))
    assert not outdated(old, later(PASSED, 0))
    assert not outdated(old, later(PASSED, -1))
    assert not outdated(old, later(WARNING, 1))
    assert not outdated(old, {"pop3.capabilities": later(PASSED, 1)[by]})
    assert not outdated(finding(FAILED, "x", "pop3.login"), later(PASSED, 1))

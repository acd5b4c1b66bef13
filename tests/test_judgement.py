"""What findings amount to: severity, root cause, what blocks what, what is about to expire, and each limit at its edge."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msoauth import checks
from msoauth.errors import AuthError, MailError, MsoauthError, StoreError, VaultError
from msoauth.judgement import (
    NEWEST_MAIL,
    SECRET_END,
    TOKEN_AGE,
    Dates,
    Issue,
    account_issue,
    account_signal,
    blocker,
    blocks,
    clock_is_wrong,
    current,
    current_of_firm,
    days_left,
    days_since,
    expiring,
    idle_signal,
    is_problem,
    outdated,
    proven,
    proven_signal,
    root_cause,
    secret_signal,
    severity,
    signal_of,
    silence_signal,
    succeeded,
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


# Whether a step is done


@pytest.mark.parametrize(
    ("made", "done"),
    [
        ([], False),
        ([finding(PASSED)], True),
        ([finding(PASSED), finding(WARNING)], True),  # a remark
        ([finding(PASSED), finding(WARNING, "throttled")], False),
        ([finding(PASSED), finding(SKIPPED)], False),
        ([finding(PASSED), finding(NOT_RUN)], False),
        ([finding(PASSED), finding(ERROR)], False),
        ([finding(FAILED)], False),
    ],
)
def test_a_step_is_done_when_all_was_checked_and_nothing_is_wrong(
    made: list[Finding], done: bool
) -> None:
    assert succeeded(made) is done


@given(findings)
def test_what_has_a_root_cause_is_not_done(made: list[Finding]) -> None:
    assert not (succeeded(made) and root_cause(made))


@pytest.mark.parametrize(
    ("passed", "expected"),
    [
        ((), False),
        (("pop3.login",), False),
        (("smtp.login", "smtp.send"), False),
        (("pop3.login", "smtp.login"), True),
        (("imap.login", "smtp.send"), True),
        (("mail.retrieve", "smtp.login"), True),
        (("sign-in.token", "mail.round-trip"), False),
    ],
)
def test_mail_is_proven_when_it_was_retrieved_and_sent(
    passed: tuple[str, ...], expected: bool
) -> None:
    assert proven([finding(PASSED, check=check) for check in passed]) is expected
    assert not proven([finding(WARNING, check=check) for check in passed])


def test_an_account_is_handed_over_green_only_when_mail_is_proven() -> None:
    both = [finding(PASSED, check=check) for check in ("pop3.login", "smtp.login")]
    expires, fails = Issue(SECRET_END, WARNING, days=30), Issue("smtp.login", FAILED)
    assert [proven_signal(issue, both) for issue in (None, expires)] == [PASSED, PASSED]
    assert [proven_signal(issue, both[:1]) for issue in (None, expires)] == [NOT_RUN, NOT_RUN]
    assert proven_signal(fails, both) is FAILED


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


# Which answers count


def said(check: str, signal: Signal, minutes: int = 0, cause: str | None = None) -> Finding:
    return Finding(check, signal, "", cause=cause, at=NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize(("own", "firm", "counts"), [(1, 0, "own"), (0, 0, "firm"), (0, 1, "firm")])
def test_of_two_answers_to_a_question_about_the_firm_the_newer_counts(
    own: int, firm: int, counts: str
) -> None:
    mine, theirs = said("network.smtp", FAILED, own), said("network.smtp", PASSED, firm)
    kept, of_firm = current([mine], [theirs], "pop3")
    assert (kept, of_firm) == (([mine], []) if counts == "own" else ([], [theirs]))


def test_what_was_skipped_takes_no_answers_place() -> None:
    told, left_out = said("registration.secret", FAILED), said("registration.secret", SKIPPED, 1)
    assert current([left_out], [told], "pop3") == ([], [told])
    assert current([told], [left_out], "pop3") == ([told], [])


def test_the_protocol_that_is_not_used_does_not_count() -> None:
    own = [said(check, FAILED) for check in ("imap.login", "network.imap", "pop3.login")]
    assert [one.check for one in current(own, [], "pop3")[0]] == ["pop3.login"]
    assert [one.check for one in current(own, [], "imap")[0]] == ["imap.login", "network.imap"]


def test_what_a_later_check_outdates_does_not_count() -> None:
    own = [said("smtp.send", FAILED), said("smtp.login", PASSED, 1)]
    firm = [said("audit.account", ERROR), said("registration.values", PASSED, 1)]
    kept, of_firm = current(own, firm, "pop3")
    assert [one.check for one in (*kept, *of_firm)] == ["smtp.login", "registration.values"]


def test_a_firms_answer_counts_until_the_same_check_passes_later_with_an_account() -> None:
    asked = said("registration.secret", FAILED)
    counts = [(PASSED, 1, []), (PASSED, -1, [asked]), (FAILED, 1, [asked])]
    for signal, minutes, expected in counts:
        other = said("registration.secret", signal, minutes)
        assert current_of_firm([asked], [said("smtp.login", PASSED, 2), other]) == expected
    firm = [said("audit.account", ERROR), said("registration.values", PASSED, 1)]
    assert current_of_firm(firm, []) == firm[1:]


def test_answers_are_put_into_the_order_in_which_causes_come_before_effects() -> None:
    mixed = [
        said(check, PASSED)
        for check in ("mail.newest", "x.new", "smtp.login", "network.proxy", "a.new")
    ]
    ordered = [one.check for one in checks.in_order(mixed)]
    assert ordered == ["network.proxy", "smtp.login", "mail.newest", "a.new", "x.new"]


# The limits, each at its edge


@pytest.mark.parametrize(
    ("days", "expected"),
    [(61, PASSED), (60, WARNING), (59, WARNING), (1, WARNING), (0, WARNING), (-1, FAILED)],
)
def test_a_secret_is_warned_of_from_60_days_on_and_good_through_its_last_day(
    days: int, expected: Signal
) -> None:
    assert secret_signal(days) is expected


@pytest.mark.parametrize(
    ("days", "expected"),
    [(0, PASSED), (59, PASSED), (60, WARNING), (61, WARNING), (89, WARNING), (90, FAILED), (91, FAILED)],
)  # fmt: skip
def test_a_token_is_warned_of_from_60_days_on_and_gone_after_90(
    days: int, expected: Signal
) -> None:
    assert idle_signal(days) is expected


@pytest.mark.parametrize(
    ("days", "limit", "expected"),
    [(29, 30, PASSED), (30, 30, WARNING), (31, 30, WARNING), (6, 7, PASSED), (7, 7, WARNING)],
)
def test_a_mailbox_is_silent_from_the_limit_on(days: int, limit: int, expected: Signal) -> None:
    assert silence_signal(days, limit) is expected
    assert silence_signal(30) is WARNING


@pytest.mark.parametrize(
    ("ahead", "wrong"), [(0, False), (300, False), (-300, False), (300.5, True), (-301, True)]
)
def test_a_clock_may_be_wrong_by_five_minutes(ahead: float, wrong: bool) -> None:
    assert clock_is_wrong(ahead) is wrong


def test_days_are_counted_whole() -> None:
    assert days_left(date(2026, 12, 1), date(2026, 11, 30)) == 1
    assert days_left(date(2026, 11, 29), date(2026, 11, 30)) == -1
    assert days_since(NOW - timedelta(hours=47), NOW) == 1
    assert days_since(NOW + timedelta(days=3), NOW) == 0  # a clock is wrong somewhere


# What is about to expire


def ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (Dates(), None),
        (Dates(NOW.date() + timedelta(days=61), ago(59), ago(29)), None),
        (Dates(NOW.date() + timedelta(days=60)), Issue(SECRET_END, WARNING, "secret-expired", 60)),
        (Dates(NOW.date() - timedelta(days=1)), Issue(SECRET_END, WARNING, "secret-expired", -1)),
        (Dates(token_used=ago(60)), Issue(TOKEN_AGE, WARNING, "refresh-expired", 60)),
        (Dates(token_used=ago(90)), Issue(TOKEN_AGE, FAILED, "refresh-expired", 90)),
        (Dates(latest_message=ago(30)), Issue(NEWEST_MAIL, WARNING, None, 30)),
    ],
)
def test_what_is_about_to_expire(dates: Dates, expected: Issue | None) -> None:
    assert expiring(dates, NOW) == ([expected] if expected else [])
    assert account_issue([finding(PASSED)], [], dates, NOW) == expected
    if expected:
        assert expected.expiring is (expected.signal is WARNING)


def test_how_long_a_mailbox_may_be_silent_is_the_callers_choice() -> None:
    dates = Dates(latest_message=ago(10))
    assert not expiring(dates, NOW, silent_days=11)
    assert expiring(dates, NOW, silent_days=10)


# What stands for an account


FIRM_RED = said("registration.secret", FAILED, cause="secret-invalid")


@pytest.mark.parametrize(
    ("own", "firm", "check"),
    [
        ([], [], None),
        ([said("smtp.login", PASSED)], [], None),
        ([said("pop3.login", WARNING, cause="throttled"), said("smtp.login", FAILED)], [], "smtp.login"),
        ([said("smtp.login", PASSED)], [FIRM_RED], None),  # it blocks nothing here
        ([], [FIRM_RED], "registration.secret"),
        ([said("smtp.login", SKIPPED)], [FIRM_RED], "registration.secret"),
        ([said("pop3.login", WARNING, cause="throttled"), said("smtp.login", SKIPPED)], [FIRM_RED], "registration.secret"),
        ([said("pop3.login", FAILED), said("smtp.login", SKIPPED)], [FIRM_RED], "pop3.login"),
        ([said("pop3.login", ERROR), said("smtp.login", SKIPPED)], [FIRM_RED], "pop3.login"),
        ([said("pop3.login", WARNING, cause="throttled"), said("smtp.login", SKIPPED)], [], "pop3.login"),
        ([said("smtp.login", SKIPPED)], [said("registration.directory", WARNING, cause="throttled")], "registration.directory"),
        ([said("smtp.login", SKIPPED)], [said("network.graph", WARNING)], None),
    ],
)  # fmt: skip
def test_what_stands_for_an_account(
    own: list[Finding], firm: list[Finding], check: str | None
) -> None:
    issue = account_issue(own, firm, Dates(), NOW)
    assert (issue.check if issue else None) == check
    assert issue is None or (issue.days is None and not issue.expiring)


def test_what_fails_now_comes_before_what_is_expiring_and_after_what_has_expired() -> None:
    soon, gone = Dates(NOW.date() + timedelta(days=9)), Dates(token_used=ago(90))
    busy = said("pop3.login", WARNING, cause="throttled")
    for own, dates, check in (
        ([busy], soon, "pop3.login"),
        ([said("smtp.login", FAILED)], gone, "smtp.login"),
        ([busy], gone, TOKEN_AGE),
        ([said("smtp.login", PASSED)], soon, SECRET_END),
    ):
        issue = account_issue(own, [], dates, NOW)
        assert issue is not None
        assert issue.check == check


def test_a_date_that_is_known_counts_more_than_what_a_check_said_of_it_then() -> None:
    own = [
        said(SECRET_END, FAILED, cause="secret-expired"),
        said(TOKEN_AGE, FAILED, cause="refresh-expired"),
    ]
    assert account_issue(own, [], Dates(), NOW) == Issue(SECRET_END, FAILED, "secret-expired")
    later = Dates(NOW.date() + timedelta(days=400))
    assert account_issue(own, [], later, NOW) == Issue(TOKEN_AGE, FAILED, "refresh-expired")
    later = Dates(NOW.date() + timedelta(days=400), token_used=ago(1))
    assert account_issue(own, [], later, NOW) is None


@given(findings, findings)
def test_an_accounts_issue_is_never_less_severe_than_its_root_cause(
    own: list[Finding], firm: list[Finding]
) -> None:
    issue = account_issue(own, firm, Dates(), NOW)
    cause = root_cause(own)
    if cause is not None:
        assert issue is not None
        assert severity(issue.signal) >= severity(cause.signal)
    if issue is None:
        assert account_signal(issue, own) in (PASSED, NOT_RUN)


@pytest.mark.parametrize(
    ("issue", "made", "expected"),
    [
        (Issue("smtp.login", ERROR), [PASSED], ERROR),
        (None, [], NOT_RUN),
        (None, [SKIPPED, SKIPPED], NOT_RUN),
        (None, [SKIPPED, PASSED], PASSED),
        (None, [WARNING], PASSED),
    ],
)
def test_the_signal_of_an_account(
    issue: Issue | None, made: list[Signal], expected: Signal
) -> None:
    assert account_signal(issue, [finding(signal) for signal in made]) is expected

"""What must be alike on SQLite and PostgreSQL: storing, sealing, locking, latest results, and the work list of an audit."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from msoauth.errors import InputError, StoreError, VaultError
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.store import Workspace, schema
from msoauth.store.audits import Mark
from msoauth.store.database import store_error
from msoauth.store.locks import HeldError

FIRM = Firm(
    "Contoso Legal",
    "contoso.example",
    "11111111-2222-4333-8444-555555555555",
    secret_expires=date(2027, 5, 31),
)
ANNA = Account("Anna@contoso.example", "Contoso Legal")
MAX = Account("max@contoso.example", "Contoso Legal")
MARKER = "planted~marker.4711-secret-value"
START = datetime(2026, 11, 1, tzinfo=UTC)


def found(check: str, signal: Signal, day: int = 0, account: Account | None = ANNA) -> Finding:
    return Finding(
        check,
        signal,
        "said",
        at=START + timedelta(days=day),
        firm=FIRM.name,
        account=account.address if account else "",
        cause="throttled" if signal is Signal.FAILED else None,
        seconds=0.5,
        run=f"r{day}",
    )


def test_everything_comes_back_as_it_went_in_and_sealed(either: Workspace, place: str) -> None:
    either.firms.add(FIRM, secret=MARKER)
    either.accounts.add(ANNA)
    either.tokens.save(ANNA.address, f'{{"secret": "{MARKER}"}}', signed_in_as=ANNA.address)
    either.journal.append(found("smtp.login", Signal.FAILED))
    either.settings.set("firm", FIRM.name)
    with Workspace.open(place) as again:
        assert again.firms.list() == [FIRM]
        assert again.accounts.list() == [ANNA]
        assert again.firms.secret(FIRM.name).reveal() == MARKER  # type: ignore[union-attr]
        assert again.tokens.load(ANNA.address) == f'{{"secret": "{MARKER}"}}'
        assert list(again.tokens.statuses()) == ["anna@contoso.example"]
        assert list(again.journal.findings()) == [found("smtp.login", Signal.FAILED)]
        assert again.settings.get("firm") == FIRM.name
    with either.database.engine.connect() as connection:
        for table in schema.metadata.sorted_tables:
            for row in connection.execute(sa.select(table)):
                assert MARKER not in str(row)
                assert MARKER.encode() not in b"".join(v for v in row if isinstance(v, bytes))
    with (
        Workspace.open(place, passphrase="planted~wrong~passphrase") as wrong,
        pytest.raises(VaultError),
    ):
        wrong.firms.secret(FIRM.name)


def test_duplicates_are_refused_in_a_sentence(either: Workspace) -> None:
    either.firms.add(FIRM)
    with pytest.raises(InputError, match="already"):
        either.firms.add(FIRM)


def test_the_latest_answer_stands_and_knows_since_when_it_is_so(either: Workspace) -> None:
    for day, signal in enumerate(
        [Signal.PASSED, Signal.FAILED, Signal.SKIPPED, Signal.FAILED, Signal.FAILED]
    ):
        either.journal.append(found("smtp.login", signal, day))
    [result] = either.journal.latest_results()
    assert (result.firm, result.account) == (FIRM.name, "anna@contoso.example")
    assert (result.signal, result.verdict, result.cause) == (
        Signal.FAILED,
        Signal.FAILED,
        "throttled",
    )
    assert result.at == START + timedelta(days=4)
    assert result.since == START + timedelta(days=1)
    assert result.passed_at == START
    assert either.journal.by_id([result.finding])[result.finding].run == "r4"


def test_a_skipped_question_keeps_its_last_answer(either: Workspace) -> None:
    either.journal.append(found("smtp.login", Signal.PASSED, 0))
    either.journal.append(found("smtp.login", Signal.SKIPPED, 1), found("a.b", Signal.SKIPPED, 1))
    never, login = sorted(either.journal.latest_results(), key=lambda s: s.check)
    assert (login.signal, login.verdict, login.since) == (Signal.SKIPPED, Signal.PASSED, START)
    assert (never.verdict, never.since, never.passed_at) == (None, None, None)


def test_findings_come_page_by_page_in_order_and_whole(
    either: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msoauth.store.journal.PAGE_ROWS", 4)
    made = [found(f"c{n:02}", Signal.PASSED, n) for n in range(11)]
    either.journal.append(*made[:6])
    either.journal.append(*made[6:])
    assert list(either.journal.findings()) == made
    assert list(either.journal.findings(since=made[3].at)) == made[3:]
    assert list(either.journal.findings(limit=5)) == made[-5:]


def test_many_threads_append_at_once_and_each_finding_is_there_when_its_thread_goes_on(
    either: Workspace,
) -> None:
    gate = threading.Barrier(16)
    missing: list[str] = []

    def work(number: int) -> None:
        gate.wait()
        for n in range(5):
            check = f"c{number}.{n}"
            either.journal.append(found(check, Signal.PASSED))
            if n == 4 and check not in {f.check for f in either.journal.findings(limit=80)}:
                missing.append(check)

    together(work, 16)
    assert not missing
    assert len(list(either.journal.findings())) == len(either.journal.latest_results()) == 80


def together(work: Callable[[int], None], count: int) -> None:
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as failure:  # noqa: BLE001 - raised below
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if failures:
        raise failures[0]


def test_sixty_four_threads_hold_a_lock_each_and_still_work(either: Workspace) -> None:
    either.firms.add(FIRM)
    gate = threading.Barrier(64)

    def work(number: int) -> None:
        with either.tokens.lock(f"user{number}@contoso.example"):
            gate.wait(30)
            assert either.firms.get(FIRM.name) == FIRM

    together(work, 64)


def test_a_lock_keeps_out_threads_and_processes_and_goes_with_its_holder(
    either: Workspace, place: str
) -> None:
    with either.locks.hold("audit"), Workspace.open(place) as other:
        for workspace in (either, other):
            with pytest.raises(HeldError), workspace.locks.hold("audit"):
                raise AssertionError("both hold it")
    script = (
        "import sys, msoauth\n"
        "w = msoauth.Workspace.open(sys.argv[1])\n"
        "with w.locks.hold('audit'):\n    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, place],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "held"
        with pytest.raises(HeldError), either.locks.hold("audit"):
            raise AssertionError("both hold it")
        holder.kill()
        with either.locks.hold("audit", seconds=30):
            pass


def test_an_account_is_done_once_and_its_findings_come_with_it(either: Workspace) -> None:
    either.firms.add(FIRM)
    either.audits.begin("r1", "all", [ANNA, MAX])
    mark = Mark(FIRM.name, "anna@contoso.example", Signal.FAILED, "smtp.login", "throttled", 1.5)
    findings = [found("smtp.login", Signal.FAILED)]
    assert either.audits.complete("r1", mark, findings)
    assert not either.audits.complete("r1", mark, findings)
    assert len(list(either.journal.findings())) == 1
    assert either.audits.remaining("r1") == [(FIRM.name, "max@contoso.example")]
    assert either.audits.counts("r1") == {"done": 1, "open": 1}
    assert either.audits.marks("r1") == [mark]
    run = either.audits.unfinished("all", since=START)
    assert run is not None
    assert run.run == "r1"
    either.audits.finish("r1")
    assert either.audits.unfinished("all", since=START) is None
    [finished] = either.audits.finished(5)
    assert finished.summary["signals"] == {"failed": 1}
    assert finished.summary["causes"] == {"throttled": 1}


def test_a_workspace_of_the_first_layout_is_brought_up_to_date(
    either: Workspace, place: str
) -> None:
    for day, signal in enumerate([Signal.PASSED, Signal.FAILED, Signal.FAILED]):
        either.journal.append(found("smtp.login", signal, day))
    expected = either.journal.latest_results()
    with either.database.engine.begin() as connection:
        for table in ("audit_accounts", "audits", "standings"):
            connection.exec_driver_sql(f"DROP TABLE {table}")
        connection.exec_driver_sql("ALTER TABLE journal DROP COLUMN seconds")
        connection.exec_driver_sql("UPDATE meta SET value = '1' WHERE key = 'version'")
    either.close()
    with Workspace.open(place) as again:
        assert again.journal.latest_results() == expected
        assert len(list(again.journal.findings())) == 3
        again.journal.append(found("smtp.login", Signal.PASSED, 3))
        assert again.journal.latest_results()[0].signal is Signal.PASSED
        again.audits.begin("r1", "all", [])
    with Workspace.open(place) as once_more:
        assert len(once_more.journal.latest_results()) == 1


def test_addresses_in_another_spelling_get_the_one_that_is_compared(
    either: Workspace, place: str
) -> None:
    written = Account("anna@müller.example", ANNA.firm)
    either.firms.add(FIRM)
    either.accounts.add(written)
    either.tokens.save(written, "{}", signed_in_as=written.address)
    with either.database.engine.begin() as connection:
        connection.execute(schema.tokens.delete())
        wire = "anna@xn--mller-kva.example"
        of_anna = schema.accounts.update().where(schema.accounts.c.address == written.address)
        connection.execute(of_anna.values(key=wire, address=wire))
        connection.exec_driver_sql("ALTER TABLE tokens DROP COLUMN object_id")
        connection.exec_driver_sql("UPDATE meta SET value = '3' WHERE key = 'version'")
    either.close()
    with Workspace.open(place) as again:
        assert again.accounts.get("Anna@Müller.example").firm == written.firm
        assert again.accounts.get(wire) == again.accounts.get("anna@MÜLLER.example")
        again.tokens.save(wire, "{}", signed_in_as=wire)
        again.accounts.remove("anna@müller.example")


def test_a_newer_layout_is_refused_in_one_sentence(either: Workspace, place: str) -> None:
    with either.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE meta SET value = '99' WHERE key = 'version'")
    with pytest.raises(StoreError, match="update msoauth"):
        Workspace.open(place)


def test_a_day_asked_for_begins_in_utc(either: Workspace) -> None:
    day = datetime(2026, 11, 23, tzinfo=UTC)
    for at in (day - timedelta(microseconds=1), day):
        either.journal.append(Finding("a.b", Signal.PASSED, "x", at=at))
    assert [finding.at for finding in either.journal.findings(since=day.date())] == [day]
    assert len(either.journal.frame(since=day.date())) == 1


@pytest.mark.parametrize(
    ("code", "standard"),
    [
        (sqlite3.SQLITE_READONLY, PermissionError),
        (sqlite3.SQLITE_BUSY, TimeoutError),
        (sqlite3.SQLITE_FULL, StoreError),
        (None, ConnectionError),
    ],
)
def test_an_error_of_the_database_is_what_the_standard_library_calls_it(
    code: int | None, standard: type[Exception]
) -> None:
    cause = sqlite3.OperationalError("words of the database")
    if code is not None:
        cause.sqlite_errorcode = code
    lost = code is None
    problem = sa.exc.OperationalError("SELECT 1", None, cause, connection_invalidated=lost)
    told = store_error(problem)
    assert isinstance(told, StoreError)
    assert isinstance(told, standard)
    assert isinstance(told, OSError) is issubclass(standard, OSError)
    assert "words of the database" in str(told)

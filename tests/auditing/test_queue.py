"""Who comes next: firms in turn, never more of one than its limit, and less of one that says "too many"."""

import threading

import pytest

from msoauth.auditing.queue import WorkQueue
from msoauth.model import Account


def of(firm: str, *names: str, login: str | None = None) -> list[Account]:
    return [Account(f"{name}@{firm}.example", firm, login=login) for name in names]


def test_firms_come_in_turn() -> None:
    queue = WorkQueue(per_firm=9, per_mailbox=9)
    queue.put(of("a", "1", "2", "3"))
    queue.put(of("b", "1"))
    queue.close()
    taken = [queue.take() for _ in range(4)]
    assert [account.firm for account in taken if account] == ["a", "b", "a", "a"]


def test_no_more_of_one_firm_than_its_limit() -> None:
    queue = WorkQueue(per_firm=2, per_mailbox=9)
    queue.put(of("a", *"123"))
    queue.close()
    first, _second = queue.take(), queue.take()
    got: list[Account | None] = []
    waiting = threading.Thread(target=lambda: got.append(queue.take()))
    waiting.start()
    waiting.join(0.1)
    assert not got
    assert first is not None
    queue.done(first)
    waiting.join(10)
    assert got


def test_shared_mailboxes_of_one_user_wait_for_one_another() -> None:
    queue = WorkQueue(per_firm=9, per_mailbox=1)
    queue.put(of("a", "office", "info", login="anna@a.example") + of("a", "max"))
    queue.close()
    assert [account and account.address for account in (queue.take(), queue.take())] == [
        "office@a.example",
        "max@a.example",
    ]
    assert queue.waiting == 1


def test_all_workers_go_home_when_the_last_is_done() -> None:
    queue = WorkQueue(per_firm=9, per_mailbox=9)
    queue.put(of("a", *map(str, range(50))))
    queue.close()
    done: list[str] = []

    def work() -> None:
        while (account := queue.take()) is not None:
            done.append(account.address)
            queue.done(account)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert len(set(done)) == len(done) == 50


def test_a_firm_that_says_too_many_pauses_is_asked_less_and_recovers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("msoauth.auditing.queue.FIRST_PAUSE", 0.05)
    queue = WorkQueue(per_firm=4, per_mailbox=9)
    queue.put(of("a", *map(str, range(12))))
    queue.close()
    running = [queue.take() for _ in range(4)]
    for account in running:
        assert account is not None
        queue.put_back(account)
    first = queue.take()  # after the pause, and alone
    assert first is not None
    got: list[Account | None] = []
    second = threading.Thread(target=lambda: got.append(queue.take()))
    second.start()
    second.join(0.1)
    assert second.is_alive()
    queue.done(first)
    second.join(10)
    assert got
    third = queue.take()  # one success, and one more at a time
    assert third is not None


def test_a_firm_that_says_too_many_to_everybody_does_not_hold_the_audit_for_hours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("msoauth.auditing.queue.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("msoauth.auditing.queue.MAX_WAIT", 0.05)
    queue = WorkQueue(per_firm=4, per_mailbox=9)
    queue.put(of("a", *map(str, range(100))))
    queue.close()
    put_back = 0
    while (account := queue.take()) is not None:
        if queue.put_back(account):
            put_back += 1
        else:
            queue.done(account, throttled=True)
    assert 2 <= put_back <= 5  # and not three times each of a hundred
    assert queue.waiting == 0


@pytest.mark.parametrize("throttled", [True, False])
def test_only_what_went_well_renews_the_patience(
    monkeypatch: pytest.MonkeyPatch, throttled: bool
) -> None:
    monkeypatch.setattr("msoauth.auditing.queue.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("msoauth.auditing.queue.MAX_WAIT", 0.005)
    queue = WorkQueue(per_firm=4, per_mailbox=9)
    queue.put(of("a", *"123"))
    first = queue.take()
    assert first is not None
    assert queue.put_back(first)
    second = queue.take()
    assert second is not None
    assert not queue.put_back(second)
    queue.done(second, throttled=throttled)
    third = queue.take()
    assert third is not None
    assert queue.put_back(third) is not throttled


def test_cleared_is_empty_for_everybody() -> None:
    queue = WorkQueue(per_firm=1, per_mailbox=1)
    queue.put(of("a", "1", "2"))
    first = queue.take()
    queue.clear()
    assert first is not None
    queue.done(first)
    assert queue.take() is None


def test_who_waits_for_an_account_goes_home_when_the_rest_is_dropped() -> None:
    queue = WorkQueue(per_firm=1, per_mailbox=1)
    queue.put(of("a", "1", "2"))
    assert queue.take() is not None  # and it is never finished: its audit was cancelled
    waiting = threading.Thread(target=queue.take, daemon=True)
    waiting.start()
    queue.clear()
    waiting.join(5)
    assert not waiting.is_alive()

"""Panels whose messages, workers and cells meet: none sees half of what another does, and nothing is lost."""

import threading
import weakref
from collections.abc import Callable, Iterator

import pytest

from msoauth.model import Account, Firm
from msoauth.ui.jobs import Job, Jobs
from msoauth.ui.mailbox import MailPanel
from msoauth.ui.session import Session, Watcher
from msoauth.ui.widgets import View


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def raising(problem: Exception) -> None:
    raise problem


def test_a_worker_draws_when_no_message_is_being_heard() -> None:
    drawn: list[str] = []
    jobs = Jobs(raising)

    def act(_name: str, _value: str) -> None:
        jobs.start(lambda job: jobs.show(job, lambda: drawn.append("worker")))
        assert jobs._future is not None
        with pytest.raises(TimeoutError):  # were it not held up, it would have ended long ago
            jobs.wait(0.2)
        drawn.append("message")

    View(acted=act)._guarded(None, {"event": "act"}, [])
    jobs.wait()
    assert drawn == ["message", "worker"]


def test_work_that_is_cancelled_before_it_said_how_is_stopped_all_the_same() -> None:
    job, stopped = Job(), list[str]()
    job.cancel()
    job.on_cancel(lambda: stopped.append("at once"))
    assert stopped == ["at once"]


class Joining(weakref.WeakSet[Watcher]):
    """Lets another thread join while it is gone through."""

    def __init__(self, join: Callable[[], threading.Thread]) -> None:
        super().__init__()
        self.join = join

    def __iter__(self) -> Iterator[Watcher]:
        for watcher in super().__iter__():
            self.join().join(0.2)
            yield watcher


def test_a_panel_may_come_to_be_in_a_cell_while_a_choice_is_told(
    session: Session, firm: Firm
) -> None:
    for name in ("anna", "max"):
        session.workspace.accounts.add(Account(f"{name}@contoso.example", firm.name))
    late: list[MailPanel] = []
    joining: list[threading.Thread] = []

    def join() -> threading.Thread:
        joining.append(in_thread(lambda: late.append(MailPanel(session, inline=True))))
        return joining[-1]

    session._watchers = Joining(join)
    panels = [MailPanel(session, inline=True) for _ in range(2)]
    session.choose_account("max@contoso.example")
    for thread in joining:
        thread.join(10)
    assert len(late) == len(joining) > 0
    assert all("max@contoso.example</option>" in panel.bar.html for panel in [*panels, *late])

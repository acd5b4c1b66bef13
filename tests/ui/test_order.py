"""Panels whose messages, workers and cells meet: none sees half of what another does, and nothing is lost."""

import re
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from msoauth.errors import AuthError
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.store import Secret
from msoauth.ui.diagnosis import DiagnosePanel
from msoauth.ui.jobs import Job, Jobs
from msoauth.ui.mailbox import MailPanel
from msoauth.ui.panel import Panel
from msoauth.ui.registration import RegisterPanel
from msoauth.ui.session import Session, Watcher
from msoauth.ui.users import UsersPanel
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
        with pytest.raises(TimeoutError):  # were it not held up, it would have ended long ago
            jobs.wait(0.2)
        drawn.append("message")

    View(on_action=act).receive(None, {"event": "act"}, [])
    jobs.wait()
    assert drawn == ["message", "worker"]


def test_jobs_come_one_after_another_and_leave_no_thread() -> None:
    done: list[str] = []
    threads: list[threading.Thread] = []
    begun, go_on = threading.Event(), threading.Event()
    jobs = Jobs(raising)

    def work(name: str, job: Job) -> None:
        threads.append(threading.current_thread())
        begun.set()
        assert go_on.wait(20)
        done.append(f"{name}, {'cancelled' if job.cancelled.is_set() else 'wanted'}")

    jobs.start(lambda job: work("first", job))
    assert begun.wait(20)
    for name in ("second", "third"):
        jobs.start(lambda job, name=name: work(name, job))  # type: ignore[misc]
    go_on.set()
    jobs.wait()
    assert done == ["first, cancelled", "third, wanted"]
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_work_that_is_cancelled_before_it_said_how_is_stopped_all_the_same() -> None:
    job, stopped = Job(), list[str]()
    job.cancel()
    job.on_cancel(lambda: stopped.append("at once"))
    assert stopped == ["at once"]


def test_a_button_that_is_enabled_again_finds_the_work_ended(
    session: Session, firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.workspace.accounts.add(Account("anna@contoso.example", firm.name))
    session.workspace.firms.set_secret(firm.name, Secret("old~secret~of~the~firm"))
    register = RegisterPanel(session, inline=True)
    mail = MailPanel(session, inline=True)
    diagnose = DiagnosePanel(session, inline=True)
    busy: list[bool] = []
    for panel in (register, mail, diagnose):

        def note(working: bool, *, panel: Panel = panel) -> None:
            if not working:
                busy.append(panel.jobs.busy)

        monkeypatch.setattr(panel, "set_busy", note)

    def refuse(*_arguments: object, **_options: object) -> None:
        raise AuthError("The new secret is refused.", cause="secret-wrong")

    finding = Finding("mail.retrieve", Signal.PASSED, "")

    def retrieved(
        *_of: object, on_finding: Callable[[Finding], None], **_how: object
    ) -> Iterator[Any]:
        on_finding(finding)
        return iter(())

    monkeypatch.setattr(register, "run_checks", lambda *_of: [finding])
    monkeypatch.setattr("msoauth.ui.registration.replace_secret", refuse)
    monkeypatch.setattr("msoauth.ui.mailbox.fetch_mail", retrieved)
    monkeypatch.setattr(diagnose, "run_checks", lambda *_of: [finding])
    presses: list[tuple[Panel, Callable[[], None]]] = [
        (register, lambda: register.form.press("check")),
        (mail, lambda: mail.retrieve.press("retrieve")),
        (diagnose, lambda: diagnose.choice.press("diagnose")),
    ]
    for worked, press in presses:
        before = len(busy)
        press()
        assert len(busy) > before
        assert worked.state is Signal.PASSED
    register.form.type("secret", "new~secret~of~the~firm")
    register.form.press("check")
    assert register.state is Signal.FAILED
    assert not any(busy)


def test_a_failure_over_a_message_leaves_work_that_is_under_way_its_cancel_button(
    session: Session, firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = DiagnosePanel(session, inline=True)
    disabled: list[bool] = []
    monkeypatch.setattr(
        panel.error_form, "press", lambda _name: raising(RuntimeError("of another button"))
    )

    def look() -> None:
        disabled.extend(b["disabled"] for b in panel.choice.buttons if b["name"] == "cancel")

    def work(_job: Job) -> None:
        panel.set_busy(True)
        panel.error_form.receive(panel.error_form, {"event": "press", "name": "explain"}, [])
        look()
        raise RuntimeError("of the work")

    panel.jobs.start(work)
    look()
    assert disabled == [False, True]


def test_what_is_typed_while_a_new_secret_is_checked_stays(
    session: Session, firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = session.workspace
    workspace.firms.set_secret(firm.name, Secret("old~secret~of~the~firm"))
    panel = RegisterPanel(session)
    form = panel.form

    def hear(number: int, **message: Any) -> None:
        form.receive(form, {**message, "page": "p", "number": number}, [])

    def replaced(*_arguments: object, **_options: object) -> None:
        hear(3, event="input", name="redirect_uri", value="http://localhost:81")
        workspace.firms.set_secret(firm.name, Secret("new~secret~of~the~firm"))

    monkeypatch.setattr("msoauth.ui.registration.replace_secret", replaced)
    monkeypatch.setattr("msoauth.ui.registration.REGISTRATION", ())
    hear(1, event="input", name="secret", value="new~secret~of~the~firm")
    hear(2, event="press", name="check")
    panel.jobs.wait()
    assert form.text("redirect_uri") == "http://localhost:81"
    assert form.typed("secret") == ""
    workspace.firms.add(Firm("Another", "fabrikam.example", "1a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"))
    panel.reload()  # what is being typed is worth more than what another notebook did
    assert form.text("redirect_uri") == "http://localhost:81"


def test_one_mailbox_is_waited_for_at_a_time(
    session: Session, firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("anna", "max", "zoe"):
        session.workspace.accounts.add(Account(f"{name}@contoso.example", firm.name))
    panel, go_on = UsersPanel(session), threading.Event()
    monkeypatch.setattr("msoauth.ui.users.SIGN_IN", ())
    monkeypatch.setattr("msoauth.identity.signin.propose_flow", lambda *_of: go_on.wait(10))
    panel.on_action("sign-in", "anna@contoso.example")
    panel.on_action("sign-in", "max@contoso.example")
    assert [a for a, known in panel.list.statuses.items() if known.state == "running"] == [
        "max@contoso.example"
    ]
    panel.on_action("check", "zoe@contoso.example")
    assert [a for a, known in panel.list.statuses.items() if known.state == "running"] == [
        "zoe@contoso.example"
    ]
    panel.cancel()
    go_on.set()
    panel.jobs.wait()


def test_what_was_seen_when_signing_in_is_noted_of_the_mailbox_and_the_text_that_were_explained(
    session: Session, firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("anna", "max"):
        session.workspace.accounts.add(Account(f"{name}@contoso.example", firm.name))
    noted: list[tuple[str, str]] = []
    monkeypatch.setattr(
        "msoauth.identity.sign_in_history.record_reported_text",
        lambda _workspace, _firm, account, text: noted.append((account.address, text)),
    )
    panel = DiagnosePanel(session, inline=True)
    refusal = "AADSTS50105: Your administrator has configured the application to block users"
    panel.error_form.type("text", refusal)
    panel.error_form.press("explain")
    panel.error_form.type("text", "AADSTS65001: something else")
    session.choose_account("max@contoso.example")
    button = re.search(r'data-act="note" data-value="([^"]*)"', panel.explanation.html)
    assert button is not None
    panel.explanation.act("note", button[1])
    assert noted == [("anna@contoso.example", refusal)]
    assert "anna@contoso.example" in panel.explanation.html


def test_a_panel_may_come_to_be_in_a_cell_while_a_choice_is_told(
    session: Session, firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("anna", "max"):
        session.workspace.accounts.add(Account(f"{name}@contoso.example", firm.name))
    late: list[MailPanel] = []
    joining: list[threading.Thread] = []

    def join() -> threading.Thread:
        joining.append(in_thread(lambda: late.append(MailPanel(session, inline=True))))
        return joining[-1]

    class Joining(weakref.WeakSet[Watcher]):
        """Lets another thread join while it is gone through."""

        def __iter__(self) -> Iterator[Watcher]:
            for watcher in super().__iter__():
                join().join(0.2)
                yield watcher

    with monkeypatch.context() as patched:
        patched.setattr(weakref, "WeakSet", Joining)
        session = Session(session.workspace)
    panels = [MailPanel(session, inline=True) for _ in range(2)]
    session.choose_account("max@contoso.example")
    for thread in joining:
        thread.join(10)
    assert len(late) == len(joining) > 0
    assert all("max@contoso.example</option>" in panel.bar.html for panel in [*panels, *late])

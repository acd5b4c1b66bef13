"""Another language in the middle of things: what was typed, found out and made is there as before."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from msoauth.graph import Graph
from msoauth.mail.messages import MessageSummary
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.ui.diagnosis import DiagnosePanel
from msoauth.ui.jobs import Job
from msoauth.ui.mailbox import MailPanel
from msoauth.ui.registration import RegisterPanel
from msoauth.ui.session import Session
from msoauth.ui.users import UsersPanel


@pytest.fixture
def go_on() -> Iterator[threading.Event]:
    """What work in a test waits for."""
    event = threading.Event()
    yield event
    event.set()


def german(panel: RegisterPanel | UsersPanel | MailPanel | DiagnosePanel) -> None:
    panel.bar.act("choose-language", "de")


def test_another_language_comes_at_once_when_the_work_it_waited_for_is_cancelled(
    session: Session, go_on: threading.Event
) -> None:
    panel = RegisterPanel(session)

    def work(_job: Job) -> None:
        go_on.wait(10)

    panel.jobs.start(work)
    german(panel)
    labels = [field["label"] for field in panel.form.fields]
    assert "Client secret value" in labels
    panel.cancel()
    labels = [field["label"] for field in panel.form.fields]
    assert "Client secret value" not in labels


def test_a_list_that_is_being_taken_is_told_in_the_new_language(
    session: Session, firm: Firm, go_on: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = UsersPanel(session)
    add = session.workspace.accounts.add
    monkeypatch.setattr(
        session.workspace.accounts, "add", lambda account: go_on.wait(10) and add(account)
    )
    panel.account_import.form.type("list", "anna@contoso.example")
    panel.account_import.form.press("add")
    many = panel.account_import
    german(panel)
    assert panel.account_import is many
    go_on.set()
    many.jobs.wait()
    assert panel.account_import is not many
    assert "1 Postfach" in panel.account_import.outcome.html
    assert "anna@contoso.example" in panel.list.html


def test_a_new_firm_that_is_being_typed_stays_a_new_one(session: Session, firm: Firm) -> None:
    panel = RegisterPanel(session, inline=True)
    panel.form.press("new")
    panel.form.type("name", "Fabrikam")
    german(panel)
    assert panel.form.text("name") == "Fabrikam"
    assert "name" not in panel.form.errors
    panel.form.type("name", "Fabrikam Legal")
    assert "name" not in panel.form.errors
    assert not any(b["disabled"] for b in panel.form.buttons if b["name"] == "check")


def test_retrieved_mail_stays(
    session: Session, firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.workspace.accounts.add(Account("anna@contoso.example", firm.name))
    panel = MailPanel(session, inline=True)
    when = datetime(2026, 11, 1, tzinfo=UTC)
    mail = MessageSummary("1", when, "anna@contoso.example", "", "Hello", 10, (), 0)

    def retrieved(
        *_of: object, on_finding: Callable[[Finding], None], **_how: object
    ) -> Iterator[MessageSummary]:
        yield mail
        on_finding(Finding("mail.retrieve", Signal.PASSED, ""))

    monkeypatch.setattr("msoauth.ui.mailbox.fetch_mail", retrieved)
    panel.retrieve.press("retrieve")
    german(panel)
    assert "Hello" in panel.table.html
    assert len(panel.frame()) == 1


def test_an_administrator_stays_signed_in_and_a_run_may_be_handed_on(
    session: Session, firm: Firm
) -> None:
    panel = DiagnosePanel(session, inline=True)
    panel.administrator.graph[firm.name] = Graph(
        firm.cloud, "a token of an administrator", signed_in_as="admin@contoso.example"
    )
    actions = panel.actions
    german(panel)
    assert "admin@contoso.example" in panel.administrator.view.html
    assert panel.actions is actions
    assert actions.view in panel.body.children


def test_what_is_typed_into_any_form_of_a_panel_stays(session: Session, firm: Firm) -> None:
    diagnosis, users = DiagnosePanel(session, inline=True), UsersPanel(session, inline=True)
    diagnosis.error_form.type("text", "AADSTS50034")
    diagnosis.administrator.sign_in_view.paste_form.type("answer", "http://localhost/?code=x")
    users.add_form.type("address", "anna@contoso.example")
    users.account_import.form.type("list", "max@contoso.example")
    german(users)
    assert diagnosis.error_form.text("text") == "AADSTS50034"
    assert users.add_form.text("address") == "anna@contoso.example"
    assert users.account_import.form.text("list") == "max@contoso.example"
    assert users.account_import.form.fields[0]["label"] == "Eine Liste von Postfächern"

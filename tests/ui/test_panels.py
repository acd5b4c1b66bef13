"""The panels without a browser: what they say at each field, what they keep, and what never gets into them."""

import json
import threading

import pytest

from msoauth.model import Finding, Signal
from msoauth.practice import PracticeTenant
from msoauth.ui import html
from msoauth.ui.diagnosis import DiagnosePanel
from msoauth.ui.mailbox import MailPanel
from msoauth.ui.registration import RegisterPanel
from msoauth.ui.registration_form import secret_of, values_in_text
from msoauth.ui.session import Session
from msoauth.ui.users import UsersPanel
from msoauth.ui.widgets import Form
from tests.people import sign_in_as_a_person

GUID = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
OTHER = "1a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
SECRET = "planted~marker~of~a~client~secret~value1"


def state_of(*forms: Form) -> str:
    """All that a notebook could save of these widgets."""
    return json.dumps([form.get_state() for form in forms], default=str)


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("client_id", "hello", "GUID"),
        ("tenant", "anna@contoso.example", "e-mail address"),
        ("tenant", "common", "any directory"),
        ("secret", GUID, "Secret ID"),
        ("redirect_uri", "http://contoso.example", "localhost"),
        ("name", " ", "needs a name"),
    ],
)
def test_each_field_says_what_is_wrong_with_it_as_one_types(
    session: Session, field: str, typed: str, said: str
) -> None:
    panel = RegisterPanel(session, inline=True)
    panel.form.type(field, typed)
    assert said in panel.form.errors[field]
    assert set(panel.form.errors) == {field}


def test_blanks_and_line_breaks_around_a_pasted_value_do_no_harm(session: Session) -> None:
    panel = RegisterPanel(session, inline=True)
    panel.form.type("client_id", f"  {GUID}\r\n")
    panel.form.type("tenant", "\tcontoso.example ")
    assert panel.form.errors == {}


def test_a_pasted_block_fills_all_fields_and_keeps_the_secret_out_of_the_state(
    session: Session,
) -> None:
    panel = RegisterPanel(session, inline=True)
    block = f"Application (client) ID : {GUID}\nDirectory (tenant) ID : {OTHER}\nClient secret value: {SECRET}\n"
    panel.form.receive(panel.form, {"event": "block", "name": "name", "text": block}, [])
    assert (panel.form.text("client_id"), panel.form.text("tenant")) == (GUID, OTHER)
    assert panel.form.typed("secret") == SECRET
    assert SECRET not in state_of(panel.form)
    assert SECRET not in repr(panel.form)


def test_the_german_names_are_understood() -> None:
    found = values_in_text(f"Anwendungs-ID (Client)\n{GUID}\nVerzeichnis-ID (Mandant)\n{OTHER}")
    assert found == {"client_id": GUID, "tenant": OTHER}


def test_what_was_typed_survives_a_refusal(session: Session) -> None:
    panel = RegisterPanel(session, inline=True)
    panel.form.type("name", "Contoso")
    panel.form.type("client_id", "wrong")
    panel.form.press("check")
    assert panel.form.errors
    assert panel.form.text("name") == "Contoso"
    assert panel.form.text("client_id") == "wrong"
    assert session.firms() == []


def test_from_the_form_to_a_mail_that_arrived(tenant: PracticeTenant, session: Session) -> None:
    register = RegisterPanel(session, inline=True)
    register.on_action("practice", "")
    register.form.press("check")
    assert register.state is Signal.PASSED, register.results.html
    known = tenant.endpoints["practice"]["firms"][0]
    assert known["client_secret"] not in state_of(register.form)
    assert register.form.typed("secret") == ""
    again = RegisterPanel(session, inline=True)  # as after a restart of the kernel
    assert again.form.text("client_id") == known["client_id"]
    assert again.state is Signal.PASSED

    users = UsersPanel(session)
    users.on_action("practice", "")
    person = known["accounts"][1]
    users.sign_in(next(a for a in session.accounts() if a.address == person["address"]))
    for _turn in range(2000):
        if users.sign_in_view.attempt is not None:
            break
        threading.Event().wait(0.01)
    assert users.sign_in_view.attempt is not None
    last = sign_in_as_a_person(
        users.sign_in_view.attempt.url, person["address"], person["password"]
    )
    users.jobs.wait()
    assert "Verification code received" in last
    assert session.workspace.tokens.status(person["address"]) is not None
    assert "signed in" in users.list.html

    session.choose_account(person["address"])
    mail = MailPanel(session, inline=True)
    mail.retrieve.press("retrieve")
    assert mail.state is Signal.PASSED, mail.results.html
    assert len(mail.frame()) >= 10
    mail.send.press("send")
    assert {f.check: f.signal for f in mail.rows} == {
        "mail.retrieve": Signal.PASSED,
        "smtp.send": Signal.PASSED,
        "mail.round-trip": Signal.PASSED,
    }
    shown = "".join(
        v.html for v in (mail.results, mail.table, users.list, users.results, register.results)
    )
    assert "eyJ" not in shown
    assert known["client_secret"] not in shown


def test_a_duplicate_mailbox_and_one_without_a_domain_are_told_at_the_field(
    tenant: PracticeTenant, session: Session
) -> None:
    register = RegisterPanel(session, inline=True)
    register.on_action("practice", "")
    register.form.press("check")
    users = UsersPanel(session, inline=True)
    for typed, said in (
        ("anna", "no domain"),
        ("a@contoso.example", ""),
        ("A@contoso.example", "already"),
    ):
        users.add_form.type("address", typed)
        users.add_form.press("add")
        assert said in users.add_form.errors.get("address", ""), typed
    assert users.add_form.text("address") == "A@contoso.example"


def test_a_fault_of_ours_is_told_without_a_secret(session: Session) -> None:
    panel = RegisterPanel(session, inline=True)
    panel.form.keep_secret("secret", SECRET)
    assert secret_of(panel.form) is not None  # from now on it is known to be one
    panel.jobs.start(lambda _job: (_ for _ in ()).throw(RuntimeError(f"broke at {SECRET}")))
    assert "fault in msoauth" in panel.message.html
    assert SECRET not in panel.message.html


def test_what_comes_from_outside_is_escaped() -> None:
    finding = Finding(
        "x", Signal.FAILED, "<script>alert(1)</script>", evidence="<img src=x onerror=alert(1)>"
    )
    shown = html.findings([finding])
    assert "<script" not in shown
    assert "<img" not in shown


def test_the_broken_link_is_opened_and_an_error_text_is_explained(
    tenant: PracticeTenant, session: Session
) -> None:
    register = RegisterPanel(session, inline=True)
    register.on_action("practice", "")
    register.form.press("check")
    users = UsersPanel(session, inline=True)
    users.on_action("practice", "")
    panel = DiagnosePanel(session, inline=True)
    panel.choice.press("diagnose")
    assert panel.state is Signal.FAILED
    assert "sign-in.present" in panel.message.html  # nobody has signed in
    assert "session-missing" in panel.results.html
    assert set(panel.frame()["signal"]) >= {"passed", "failed", "skipped"}
    panel.error_form.type(
        "text",
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
    )
    panel.error_form.press("explain")
    assert "smtp-auth-disabled-mailbox" in panel.explanation.html

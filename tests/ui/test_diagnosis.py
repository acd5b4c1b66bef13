"""Notebook 4 without a browser: the chain, what can be handed on, an administrator's sign-in, a replay."""

import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial

import ipywidgets
import pytest

from msoauth.identity import administrator, signin
from msoauth.identity.administrator import AdministratorToken as Token
from msoauth.identity.flows import SignIn
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.practice import PracticeTenant
from msoauth.store import Workspace
from msoauth.ui.diagnosis import DiagnosePanel
from msoauth.ui.registration import RegisterPanel
from msoauth.ui.session import Session
from msoauth.ui.users import UsersPanel
from tests.people import sign_in_as_a_person

ANNA = "anna.lindqvist@contoso.example"
ADMIN = "admin@contoso.example"
CODE = "planted~marker~of~an~authorization~code"


def stored_state() -> str:
    """What Jupyter would store of all widgets there are."""
    return json.dumps(ipywidgets.Widget.get_manager_state())


class Saved:
    """What the browser was asked to save."""

    def __init__(self, panel: DiagnosePanel) -> None:
        self.files: dict[str, bytes] = {}
        panel.download = lambda name, content, kind="": self.files.update({name: content})  # type: ignore[method-assign]


def password(tenant: PracticeTenant, address: str) -> str:
    known = tenant.endpoints["practice"]["firms"][0]["accounts"]
    return str(next(a["password"] for a in known if a["address"] == address))


@pytest.fixture
def panel(tenant: PracticeTenant, session: Session) -> Iterator[DiagnosePanel]:
    register = RegisterPanel(session, inline=True)
    register.on_action("practice", "")
    register.form.press("check")
    UsersPanel(session, inline=True).on_action("practice", "")
    session.choose_account(ANNA)
    made = DiagnosePanel(session, inline=True)
    yield made
    made.actions.close()


def sign_in(panel: DiagnosePanel, tenant: PracticeTenant) -> None:
    account = panel.workspace.accounts.get(ANNA)
    attempt = signin.start(panel.workspace, account, "browser", open_browser=False)
    person = threading.Thread(
        target=sign_in_as_a_person, args=(attempt.url, ANNA, password(tenant, ANNA)), daemon=True
    )
    person.start()
    attempt.wait(20)
    person.join(20)


def test_a_button_notes_the_new_name_of_a_renamed_user(
    panel: DiagnosePanel, tenant: PracticeTenant
) -> None:
    sign_in(panel, tenant)
    tenant.scenarios.start(f"user-renamed@{ANNA}")
    panel.choice.press("diagnose")
    new = "anna.lindqvist.new@contoso.example"
    assert f"Note {new} as the user name" in panel.message.html
    assert f'data-value="{ANNA} {new}"' in panel.message.html
    panel.on_action("note-user-name", f"{ANNA} {new}")
    assert panel.workspace.accounts.get(ANNA).login == new
    assert "Nobody has to sign in again" in panel.message.html
    panel.choice.press("diagnose")
    assert panel.state is Signal.PASSED


def test_the_chain_marks_the_broken_link_and_offers_what_mends_it(
    panel: DiagnosePanel, tenant: PracticeTenant
) -> None:
    sign_in(panel, tenant)
    tenant.scenarios.start("smtp-auth-off-mailbox")
    panel.choice.press("diagnose")
    assert panel.state is Signal.FAILED
    assert panel.check_row.html.count("mso-broken") == 1
    assert "smtp.login" in panel.message.html
    assert "SmtpClientAuthentication is disabled" in panel.message.html  # the server's own words
    assert "Set-CASMailbox" in panel.message.html
    assert "Copy the commands" in panel.message.html
    assert "Copy the steps" in panel.message.html
    assert "SmtpClientAuthentication is disabled" in panel.transcripts.html  # the conversation
    assert "eyJ" not in panel.transcripts.html
    saved = Saved(panel)
    panel.message.act("letter", "account")
    assert "Authenticated SMTP" in panel.actions.view.html
    for form in ("html", "md", "eml"):
        panel.actions.view.act("letter-save", form)
    assert {name.rpartition(".")[2] for name in saved.files} == {"html", "md", "eml"}


def test_the_bundle_is_looked_at_before_it_is_saved(
    panel: DiagnosePanel, tenant: PracticeTenant
) -> None:
    panel.choice.press("diagnose")
    saved = Saved(panel)
    panel.message.act("bundle-look", "plain")
    assert "findings.jsonl" in panel.actions.view.html
    assert ANNA in panel.actions.view.html
    assert not saved.files
    panel.actions.view.act("bundle-look", "other")
    assert ANNA not in panel.actions.view.html
    panel.actions.view.act("bundle-save", "")
    [(name, content)] = saved.files.items()
    assert name.endswith(".zip")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert json.loads(archive.read("bundle.json"))["pseudonymised"] is True


def test_a_letter_without_anything_to_ask_for_says_so(
    panel: DiagnosePanel, tenant: PracticeTenant
) -> None:
    sign_in(panel, tenant)
    panel.choice.press("diagnose")
    assert panel.state is Signal.PASSED
    panel.message.act("letter", "account")
    assert "Nothing in the latest findings" in panel.actions.view.html


def test_what_the_user_saw_is_noted_down_and_named(
    panel: DiagnosePanel, tenant: PracticeTenant
) -> None:
    panel.error_form.type(
        "text", "Need admin approval. AADSTS90094: The grant requires admin permission."
    )
    panel.error_form.press("explain")
    assert "saw this when signing in" in panel.explanation.html
    panel.explanation.act("note", ANNA)
    panel.choice.press("diagnose")
    assert "admin-consent-required" in panel.results.html


def test_an_administrator_signs_in_and_is_forgotten(
    panel: DiagnosePanel, tenant: PracticeTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, people = administrator.start, list[threading.Thread]()

    def at_once(*arguments: object, **_options: object) -> SignIn[Token]:
        firm = panel.session.firm()
        assert firm is not None
        attempt = start(panel.workspace, firm, "browser", open_browser=False)
        known = (attempt.url, ADMIN, password(tenant, ADMIN))
        people.append(threading.Thread(target=sign_in_as_a_person, args=known, daemon=True))
        people[-1].start()
        return attempt

    monkeypatch.setattr(administrator, "start", at_once)
    assert "never stored" in panel.administrator.view.html
    panel.administrator.view.act("admin")
    people[0].join(20)
    assert ADMIN in panel.administrator.view.html
    panel.choice.press("diagnose")
    assert "registration.consent" in {finding.check for finding in panel.rows}
    token = next(iter(panel.administrator.graph.values())).token.reveal()
    for file in panel.workspace.folder.rglob("*"):
        if file.is_file():
            assert token.encode() not in file.read_bytes()
    assert token not in json.dumps(
        [part.get_state() for part in (panel.administrator.view, panel.results)], default=str
    )
    panel.administrator.view.act("forget")
    assert panel.administrator.graph == {}


def test_an_authorization_code_that_is_pasted_for_an_administrator_is_in_no_widgets_state(
    panel: DiagnosePanel, tenant: PracticeTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = administrator.start
    stored: list[str] = []

    def by_paste(workspace: Workspace, firm: Firm, *_flow: object) -> SignIn[Token]:
        attempt = start(workspace, firm, "paste")
        monkeypatch.setattr(attempt, "wait", partial(pasting, attempt, attempt.wait))
        return attempt

    def pasting(attempt: SignIn[Token], wait: Callable[[], Token]) -> Token:
        form = panel.administrator.sign_in_view.paste_form
        form.type("answer", f"http://localhost/?code={CODE}&state=of-another-sign-in")
        stored.append(stored_state())
        form.press("paste")
        assert form.errors["answer"]  # the state is not this sign-in's
        stored.append(stored_state())
        attempt.cancel()
        return wait()

    monkeypatch.setattr(administrator, "start", by_paste)
    panel.administrator.view.act("admin")
    stored.append(stored_state())
    assert len(stored) == 3
    for state in stored:
        assert "The address at which the browser ended" in state  # so this is the right place
        assert CODE not in state
    assert panel.state is Signal.SKIPPED  # cancelled, and not refused
    assert "Cancelled." in panel.message.html
    assert "For administrators" in panel.administrator.view.html


def test_the_forms_cancel_ends_an_administrators_sign_in_too(
    panel: DiagnosePanel, tenant: PracticeTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = administrator.start

    def started(workspace: Workspace, firm: Firm, *_flow: object) -> SignIn[Token]:
        attempt = start(workspace, firm, "device")
        monkeypatch.setattr(attempt, "wait", partial(cancelling, attempt, attempt.wait))
        return attempt

    def cancelling(attempt: SignIn[Token], wait: Callable[[], Token]) -> Token:
        assert attempt.code in panel.administrator.sign_in_view.view.html
        panel.choice.press("cancel")
        return wait()

    monkeypatch.setattr(administrator, "start", started)
    panel.administrator.view.act("admin")
    assert panel.state is Signal.SKIPPED
    assert "Cancelled." in panel.message.html
    assert panel.administrator.sign_in_view.view.html == ""
    assert "For administrators" in panel.administrator.view.html


def test_a_case_is_replayed_under_other_names(panel: DiagnosePanel, tenant: PracticeTenant) -> None:
    sign_in(panel, tenant)
    tenant.scenarios.start("smtp-auth-off-mailbox")
    panel.choice.press("diagnose")
    panel.message.act("replay", "")
    said = panel.actions.view.html
    assert "smtp-auth-disabled-mailbox" in said
    assert ANNA not in said
    firms = [firm.name for firm in panel.workspace.firms.list() if firm.name.endswith("(replay)")]
    assert len(firms) == 1
    assert len(panel.workspace.accounts.list(firms[0])) == 1


def test_a_diagnosis_that_was_cancelled_is_not_green_after_a_restart(
    session: Session, firm: Firm
) -> None:
    account = Account("anna@contoso.example", firm.name)
    session.workspace.accounts.add(account)
    session.workspace.journal.append(
        *(
            Finding(check, signal, "", firm=firm.name, account=account.address, run="r1")
            for check, signal in (
                ("network.authority", Signal.PASSED),
                ("sign-in.token", Signal.SKIPPED),
            )
        )
    )
    session.choose_account(account.address)
    assert DiagnosePanel(session, inline=True).state is Signal.SKIPPED

"""What all panels share: the header and its choices, the language, failures, downloads, and many mailboxes at once."""

import json
import zipfile
from dataclasses import replace

import pytest
from markupsafe import Markup

from msoauth.clouds import GLOBAL
from msoauth.model import Account, Finding, Firm, Link, Signal
from msoauth.practice import PracticeTenant
from msoauth.texts import _, language
from msoauth.ui import guide, html
from msoauth.ui.account_import import AccountImport
from msoauth.ui.jobs import Job
from msoauth.ui.mailbox import MailPanel
from msoauth.ui.registration import RegisterPanel
from msoauth.ui.registration_form import secret_of
from msoauth.ui.session import Session
from msoauth.ui.start_panel import StartPanel
from msoauth.ui.users import UsersPanel

SECRET = "planted~marker~of~a~client~secret~value1"


def other_firm(session: Session) -> Firm:
    firm = Firm("Fabrikam", "fabrikam.example", "1a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")
    session.workspace.firms.add(firm)
    return firm


def test_an_empty_workspace_says_where_to_begin(session: Session) -> None:
    panel = StartPanel(session, inline=True)
    assert "go on here" in panel.steps.html
    assert panel.steps.html.index("1 Register the firm") < panel.steps.html.index("go on here")
    assert panel.frame().empty
    for shown in (RegisterPanel, UsersPanel, MailPanel):
        assert shown(session, inline=True).bar.html


def test_the_way_marks_where_one_is_and_leads_to_the_other_notebooks(session: Session) -> None:
    bar = UsersPanel(session, inline=True).bar.html
    assert '<span aria-current="page">2 Sign in the users</span>' in bar
    assert 'data-notebook="3 Retrieve and send.ipynb"' in bar
    assert 'href="3%20Retrieve%20and%20send.ipynb"' in bar


def test_firm_and_mailbox_are_chosen_once_for_all_panels_and_remembered(
    session: Session, firm: Firm
) -> None:
    other = other_firm(session)
    session.workspace.accounts.add(Account("anna@contoso.example", firm.name))
    session.workspace.accounts.add(Account("zoe@fabrikam.example", other.name))
    register, mail = RegisterPanel(session, inline=True), MailPanel(session, inline=True)
    assert register.form.text("name") == "Contoso Legal"
    mail.bar.act("choose-firm", "Fabrikam")
    assert register.form.text("name") == "Fabrikam"
    assert '<option value="Fabrikam" selected>' in register.bar.html
    assert '<option value="zoe@fabrikam.example" selected>' in mail.bar.html
    later = Session(session.workspace)  # as in another notebook, or tomorrow
    assert later.firm() == other


def test_what_another_notebook_did_is_seen_when_the_panel_comes_into_sight_again(
    session: Session, firm: Firm
) -> None:
    panel = MailPanel(session, inline=True)
    session.workspace.accounts.add(Account("anna@contoso.example", firm.name))
    assert "anna@contoso.example" not in panel.bar.html
    panel.bar.on_message({"event": "visible", "language": "en-GB"}, [])
    assert "anna@contoso.example" in panel.bar.html
    assert not any(b["disabled"] for b in panel.retrieve.buttons if b["name"] == "retrieve")


def test_what_is_being_typed_is_not_lost_to_what_another_notebook_did(
    session: Session, firm: Firm
) -> None:
    panel = RegisterPanel(session, inline=True)
    panel.form.type("tenant", "fabrikam.example")
    other_firm(session)
    panel.bar.on_message({"event": "visible", "language": "en"}, [])
    assert panel.form.text("tenant") == "fabrikam.example"
    assert "Fabrikam" in panel.bar.html


def test_a_choice_made_in_another_notebook_is_acted_on_when_it_is_seen(
    session: Session, firm: Firm
) -> None:
    for name in ("anna", "max"):
        session.workspace.accounts.add(Account(f"{name}@contoso.example", firm.name))
    panel = MailPanel(session, inline=True)
    panel.show_findings([Finding("mail.retrieve", Signal.PASSED, "Anna's")])
    Session(session.workspace).choose_account("max@contoso.example")
    # The two may stand side by side: what is on screen here is still Anna.
    account = session.account()
    assert account is not None
    assert account.address == "anna@contoso.example"
    panel.bar.on_message({"event": "visible", "language": "en"}, [])
    assert '<option value="max@contoso.example" selected>' in panel.bar.html
    assert session.account() != account
    assert panel.rows == []


def test_whoever_chooses_a_mailbox_chooses_its_firm(session: Session, firm: Firm) -> None:
    session.workspace.accounts.add(Account("anna@contoso.example", firm.name))
    Session(session.workspace).choose_firm(other_firm(session).name)
    session.choose_account("anna@contoso.example")
    assert Session(session.workspace).firm() == firm


def test_a_cell_that_is_run_again_shows_the_choice_made_in_another_notebook(
    session: Session, firm: Firm
) -> None:
    RegisterPanel(session, inline=True).form.type(
        "tenant", "typed, and then the cell was run again"
    )
    Session(session.workspace).choose_firm(other_firm(session).name)
    panel = RegisterPanel(session, inline=True)
    panel.bar.on_message({"event": "visible", "language": "en"}, [])
    assert panel.form.text("name") == "Fabrikam"


def test_a_choice_made_in_another_notebook_stops_no_work_and_takes_nothing_typed(
    session: Session, firm: Firm
) -> None:
    register, mail = RegisterPanel(session, inline=True), MailPanel(session, inline=True)
    elsewhere = Session(session.workspace)
    elsewhere.choose_firm(other_firm(session).name)

    def work(job: Job) -> None:
        mail.bar.on_message({"event": "visible", "language": "en"}, [])
        mail.jobs.show(job, lambda: mail.note.show(Markup("still here")))

    mail.jobs.start(work)
    assert mail.note.html == "still here"
    assert session.firm() == firm
    register.form.type("tenant", "contoso-legal.example")
    register.bar.on_message({"event": "visible", "language": "en"}, [])
    assert register.form.text("tenant") == "contoso-legal.example"
    assert '<option value="Contoso Legal" selected>' in register.bar.html
    assert "Fabrikam" in register.bar.html
    register.form.press("new")
    register.bar.on_message({"event": "visible", "language": "en"}, [])
    assert register.form.text("name") == "Fabrikam"


def test_the_language_follows_the_browser_until_one_is_chosen(session: Session) -> None:
    panel = RegisterPanel(session, inline=True)
    panel.bar.on_message({"event": "visible", "language": "de-AT"}, [])
    assert language() == "de"
    panel.bar.act("choose-language", "en")
    assert language() == "en"
    later = RegisterPanel(Session(session.workspace), inline=True)
    later.bar.on_message({"event": "visible", "language": "de"}, [])
    assert language() == "en"


def test_a_change_of_language_loses_nothing_that_was_typed(session: Session) -> None:
    panel = RegisterPanel(session, inline=True)
    panel.form.type("name", "Kanzlei Müller")
    panel.form.type("secret", SECRET)
    panel.form.type("client_id", "wrong")
    panel.bar.act("choose-language", "de")
    assert panel.form.text("name") == "Kanzlei Müller"
    assert panel.form.text("client_id") == "wrong"
    assert panel.form.typed("secret") == SECRET
    assert SECRET not in json.dumps(panel.form.get_state(), default=str)


def test_what_was_typed_is_kept_whatever_happens_after_a_change_of_language(
    session: Session, firm: Firm
) -> None:
    panel = RegisterPanel(session, inline=True)
    former = panel.form
    panel.form.type("tenant", "fabrikam.example")
    panel.bar.act("choose-language", "de")
    # The browser's word of the last keys may come when the form has been replaced already.
    former.on_message({"event": "input", "name": "name", "value": "Kanzlei Müller"}, [])
    other_firm(session)
    panel.bar.on_message({"event": "visible", "language": "de"}, [])
    assert panel.form.text("tenant") == "fabrikam.example"
    assert panel.form.text("name") == "Kanzlei Müller"


def test_a_change_of_language_waits_for_the_work_that_is_under_way(session: Session) -> None:
    panel = RegisterPanel(session, inline=True)

    def work(_job: object) -> None:
        panel.message.show(panel.progress_line("…"))
        form = panel.form
        panel.bar.act("choose-language", "de")
        assert panel.form is form

    before = panel.form
    panel.jobs.start(work)
    assert panel.form is not before


def test_a_failure_over_a_message_of_the_browser_is_shown_and_redacted(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = RegisterPanel(session, inline=True)
    panel.form.type("secret", SECRET)
    assert secret_of(panel.form) is not None  # from now on it is known to be one

    def broken(_name: str) -> None:
        raise RuntimeError(f"broke at {SECRET}")

    monkeypatch.setattr(panel.form, "press", broken)
    panel.form.receive(panel.form, {"event": "press", "name": "check"}, [])
    assert panel.state is Signal.FAILED
    assert "fault in msoauth" in panel.message.html
    assert SECRET not in panel.message.html


def test_a_download_reaches_the_browser_as_bytes(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = StartPanel(session, inline=True)
    sent: list[tuple[object, object]] = []
    monkeypatch.setattr(
        panel.bar, "send", lambda content, buffers=None: sent.append((content, buffers))
    )
    panel.download("findings.csv", b"a;b", "text/csv")
    assert sent == [
        ({"event": "download", "name": "findings.csv", "kind": "text/csv"}, [b"a;b"]),
    ]


def test_the_checklist_ticks_itself_off(session: Session, firm: Firm) -> None:
    panel = RegisterPanel(session, inline=True)
    assert "0 of 5 done" in panel.guide.html
    session.workspace.journal.append(
        Finding("registration.secret", Signal.PASSED, "", firm=firm.name),
        Finding("registration.redirect", Signal.FAILED, "", firm=firm.name),
    )
    panel.draw_guide()
    assert "1 of 5 done" in panel.guide.html
    assert '<li data-state="failed">' in panel.guide.html


def test_the_guide_carries_the_ids_once_they_are_known(session: Session) -> None:
    unknown = guide.registration(session, None, {})
    assert "ApplicationsListBlade" in unknown
    firm = Firm("Contoso", "contoso.example", "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")
    known = guide.registration(session, firm, {})
    assert f"Credentials/appId/{firm.client_id}" in known
    assert f"contoso.example/adminconsent?client_id={firm.client_id}" in known


def _consent_item(guide_html: str) -> str:
    (item,) = [i for i in guide_html.split("<li ") if "adminconsent?client_id=" in i]
    return item


def test_the_tick_of_consent_says_whether_it_is_for_all_or_for_each_mailbox(
    session: Session, firm: Firm
) -> None:
    anna = Account("anna@contoso.example", firm.name)
    session.workspace.accounts.add(anna)
    journal = session.workspace.journal
    users, register = UsersPanel(session, inline=True), RegisterPanel(session, inline=True)

    def items() -> set[str]:
        for panel in (users, register):
            panel.refresh()
        return {_consent_item(users.guide.html), _consent_item(register.guide.html)}

    assert all('data-state="not-run"' in item and "to do" in item for item in items())
    assert "before you call anybody" in users.consent_box.html
    assert f"contoso.example/adminconsent?client_id={firm.client_id}" in users.consent_box.html
    token = Finding("sign-in.scopes", Signal.PASSED, "", firm=firm.name, account=anna.address)
    required = replace(
        token, check="registration.consent", signal=Signal.FAILED, cause="admin-consent-required"
    )
    journal.append(required)
    assert all('data-state="failed"' in item and "to do first" in item for item in items())
    assert "must consent: until then" in users.consent_box.html
    journal.append(replace(required, signal=Signal.PASSED, cause=None, facts={"consent": "user"}))
    assert all(
        'data-state="not-run"' in item for item in items()
    )  # that of one user is none for all
    journal.append(token)
    assert all('data-state="passed"' in item and "for each mailbox" in item for item in items())
    assert users.consent_box.html == ""
    journal.append(replace(required, signal=Signal.PASSED, cause=None, facts={"consent": "all"}))
    assert all(">admin consent</span>" in item for item in items())
    session.workspace.firms.replace(replace(firm, access="app-only"))
    users.refresh()
    assert users.consent_box.html == ""


def test_names_from_outside_are_escaped_in_header_and_guide(session: Session) -> None:
    firm = Firm("<b>Bold</b>", "contoso.example", "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")
    session.workspace.firms.add(firm)
    session.workspace.accounts.add(
        Account("x&y@contoso.example", firm.name, login="<i>@contoso.example")
    )
    for panel in (StartPanel(session, inline=True), UsersPanel(session, inline=True)):
        for view in (panel.bar, panel.guide, panel.head):
            assert "<b>Bold" not in view.html
            assert "<i>@" not in view.html
    assert "x&amp;y@contoso.example" in panel.bar.html


def many(session: Session) -> AccountImport:
    def failed(problem: Exception) -> None:
        raise problem

    return AccountImport(session, on_failure=failed, on_added=lambda: None, inline=True)


def test_a_pasted_list_adds_what_it_can_and_tells_the_rest(session: Session, firm: Firm) -> None:
    box = many(session)
    box.form.type("list", "anna@contoso.example\nanna\nmax@contoso.example;;imap")
    box.form.press("add")
    assert [a.address for a in session.accounts()] == [
        "anna@contoso.example",
        "max@contoso.example",
    ]
    assert "2 mailboxes were added." in box.outcome.html
    assert "no domain" in box.outcome.html
    assert "anna\n" in box.form.text("list")  # what could not be taken is still there to be mended


def test_an_uploaded_list_of_500_mailboxes_is_taken_and_drawn(session: Session, firm: Firm) -> None:
    panel = UsersPanel(session, inline=True)
    lines = "\n".join(f"user{n:03}@contoso.example" for n in range(500))
    panel.account_import.form.on_message(
        {"event": "file", "name": "file", "file": "users.csv"}, [lines.encode("utf-8")]
    )
    assert len(session.accounts()) == 500
    assert "500 mailboxes were added." in panel.account_import.outcome.html
    assert "user499@contoso.example" in panel.list.html
    assert "user499@contoso.example" in panel.bar.html


def test_a_list_that_cannot_be_read_is_told_at_its_field(session: Session, firm: Firm) -> None:
    box = many(session)
    box.form.press("add")
    assert box.form.errors["list"]
    box.form.on_message({"event": "file", "name": "file", "file": "list.xlsx"}, [b"no zip"])
    assert "list.xlsx" in box.form.errors["file"]


def test_texts_are_english_at_their_source() -> None:
    assert _("Save and check") == "Save and check"


def test_a_failure_can_be_saved_as_a_support_bundle_without_its_secrets(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = RegisterPanel(session, inline=True)
    panel.form.type("secret", SECRET)
    assert secret_of(panel.form) is not None
    sent: list[bytes] = []
    monkeypatch.setattr(panel.bar, "send", lambda _content, buffers: sent.extend(buffers))
    panel.jobs.start(lambda _job: (_ for _ in ()).throw(RuntimeError(f"broke at {SECRET}")))
    panel.message.act("bundle")
    [bundle] = (session.workspace.folder / "bundles").iterdir()
    assert str(bundle) in panel.message.html
    assert sent == [bundle.read_bytes()]
    with zipfile.ZipFile(bundle) as archive:
        text = "".join(archive.read(name).decode() for name in archive.namelist())
    assert "RuntimeError: broke at" in text
    assert SECRET not in text


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "//evil.example", "/\\evil.example", "data:x"]
)
def test_only_web_addresses_and_paths_of_this_server_become_links(url: str) -> None:
    assert "<a" not in html.link(Link("here", url))
    assert 'href="/proxy/1/admin"' in html.link(Link("here", "/proxy/1/admin"))


def test_a_firm_of_another_cloud_keeps_it_when_it_is_saved_beside_the_practice_tenant(
    tenant: PracticeTenant, session: Session
) -> None:
    away = replace(GLOBAL, name="away", authority="https://localhost:9/")  # nobody listens there
    firm = Firm("Nowhere Law", "contoso.example", "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", away)
    session.workspace.firms.add(firm)
    panel = RegisterPanel(session, inline=True)
    [options] = [f["options"] for f in panel.form.fields if f["name"] == "cloud"]
    assert "away (localhost:9)" in dict(options).values()
    panel.form.press("check")
    assert session.workspace.firms.get(firm.name).cloud == away
    assert panel.state in (Signal.FAILED, Signal.ERROR, Signal.WARNING)
    assert panel.form.text("tenant") == "contoso.example"


def test_a_step_that_was_only_busy_is_neither_done_nor_called_working(
    session: Session, firm: Firm
) -> None:
    session.workspace.journal.append(
        Finding("registration.directory", Signal.WARNING, "", cause="throttled", firm=firm.name),
        Finding("registration.secret", Signal.SKIPPED, "", firm=firm.name),
    )
    panel = RegisterPanel(session, inline=True)
    assert "0 of 5 done" in panel.guide.html
    start = StartPanel(session, inline=True)
    assert str(start.state_word).startswith("0 of 5")
    first = next(row for row in start.steps.html.split("<tr>") if "go on here" in row)
    assert "warning" in first


def test_a_remark_is_no_reason_to_call_a_step_undone(session: Session, firm: Firm) -> None:
    session.workspace.journal.append(
        Finding("registration.secret", Signal.PASSED, "", firm=firm.name),
        Finding("registration.secret-end", Signal.WARNING, "not recorded", firm=firm.name),
    )
    assert str(StartPanel(session, inline=True).state_word).startswith("1 of 5")


def test_the_root_cause_is_the_finding_that_is_opened() -> None:
    shown = html.findings(
        [
            Finding("a.error", Signal.ERROR, "s", cause="graph-forbidden", evidence="ours"),
            Finding("b.failed", Signal.FAILED, "s", cause="secret-expired", evidence="theirs"),
        ]
    )
    assert 'data-key=" b.failed" open' in shown


def test_what_was_recognized_in_a_list_is_shown_as_a_table(session: Session, firm: Firm) -> None:
    box = many(session)
    box.form.type("list", "UPN,EmailAddress\nanna@contoso.example,zoe.o'brien@contoso.example")
    box.form.press("add")
    assert "1 mailbox was added." in box.outcome.html
    assert "Mailbox: “EmailAddress”; user who signs in: “UPN”." in box.outcome.html
    table = box.outcome.html.partition("<table")[2]
    assert table.index("zoe.o&#39;brien@contoso.example") < table.index("anna@contoso.example")


def test_only_a_guess_is_asked_about_and_nothing_is_added_before_the_answer(
    session: Session, firm: Firm
) -> None:
    box = many(session)
    for answer, added in (("cancel", 0), ("confirm", 2), ("confirm", 2)):
        box.form.type("list", "Name,UPN\nAnna,anna@contoso.example\nMax,max@contoso.example")
        if added == 0 or not session.accounts():
            box.form.press("add")
            assert "no column of mailboxes" in box.outcome.html
            assert "Add 2 mailboxes" in box.outcome.html
            assert session.accounts() == []
        box.outcome.act(answer)  # the second time a stale button: nothing is added twice
        assert len(session.accounts()) == added


def test_a_mailbox_whose_domain_looks_mistyped_is_asked_about_once(
    session: Session, firm: Firm
) -> None:
    panel = UsersPanel(session, inline=True)
    panel.add_form.type("address", "anna@contoso.exmaple")
    panel.add_form.press("add")
    assert "contoso.exmaple is nearly contoso.example" in panel.add_form.errors["address"]
    assert session.accounts() == []
    panel.add_form.press("add")
    assert [a.address for a in session.accounts()] == ["anna@contoso.exmaple"]

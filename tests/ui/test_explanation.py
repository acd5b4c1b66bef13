"""Explaining a pasted text in notebook 4: marked words, other possibilities, and what is not known."""

import re
import zipfile
from io import BytesIO

import pytest

from msoauth.model import Account, Firm
from msoauth.texts import use_language
from msoauth.ui.diagnosis import DiagnosePanel
from msoauth.ui.explanation_view import marked_text
from msoauth.ui.session import Session
from tests.ui.test_diagnosis import Saved, stored_state

REFUSED = "-ERR Authentication failure: unknown user name or bad password."
STRANGE = "The flux <b>capacitor</b> reports 88 and stops. client_secret=planted-marker-of-a-secret"
MARK = re.compile(r"<mark>(.*?)</mark>", re.DOTALL)
NEXT = re.compile(r'data-act="other-cause" data-value="(\d+)"')


@pytest.fixture
def panel(session: Session, firm: Firm) -> DiagnosePanel:
    session.workspace.accounts.add(Account("anna@contoso.example", firm.name))
    return DiagnosePanel(session, inline=True)


def explain(panel: DiagnosePanel, text: str) -> str:
    panel.error_form.type("text", text)
    panel.error_form.press("explain")
    return str(panel.explanation.html)


def test_the_words_that_decide_are_marked_and_named(panel: DiagnosePanel) -> None:
    text = "Dear IT,\nit <i>says</i>: AADSTS50105: The user is not assigned.\nRegards"
    shown = explain(panel, text)
    assert "AADSTS50105" in " ".join(MARK.findall(shown))
    assert "The answer rests on: “AADSTS50105" in re.sub(r"&#34;", '"', shown)
    assert "it &lt;i&gt;says&lt;/i&gt;:" in shown  # the rest of the text, escaped
    assert "Dear IT," in shown
    assert "Certain" in shown


def test_not_this_shows_the_next_possibility_until_none_is_left(panel: DiagnosePanel) -> None:
    shown = explain(panel, REFUSED)
    seen = []
    while "None of the known causes fits" not in shown:
        seen.append(re.findall(r"<span class='mso-quiet'>\((.*?)\)</span>", shown)[0])
        assert "Not this?" in shown
        panel.explanation.act("other-cause", NEXT.findall(shown)[0])
        shown = panel.explanation.html
    assert seen[:2] == ["mail-login-rejected", "pop-disabled"]
    assert len(seen) == len(set(seen)) == 3
    panel.explanation.act("other-cause", "0")
    assert "mail-login-rejected" in panel.explanation.html
    assert MARK.search(panel.explanation.html)


@pytest.mark.parametrize("value", ["", "-1", "x", "99999"])
def test_a_number_that_is_none_does_no_harm(panel: DiagnosePanel, value: str) -> None:
    explain(panel, REFUSED)
    panel.explanation.act("other-cause", value)
    assert panel.explanation.html


def test_a_shared_mailbox_gets_its_own_answer_and_commands(
    panel: DiagnosePanel, session: Session, firm: Firm
) -> None:
    session.workspace.accounts.add(
        Account("office@contoso.example", firm.name, "anna@contoso.example")
    )
    session.choose_account("office@contoso.example")
    shown = explain(panel, REFUSED)
    assert "full-access-missing" in shown
    assert "anna@contoso.example signs in to open the mailbox office@contoso.example." in shown
    assert "-Identity office@contoso.example -User anna@contoso.example" in shown


def test_what_is_not_known_goes_into_the_bundle_without_its_secret(panel: DiagnosePanel) -> None:
    shown = explain(panel, STRANGE)
    assert "Unknown error" in shown
    assert "1 place looks like a secret" in shown
    assert '<mark class="mso-hidden">[hidden]</mark>' in shown
    assert "&lt;b&gt;capacitor" in shown
    assert "planted-marker" not in shown
    saved = Saved(panel)
    panel.explanation.act("text-bundle")
    preview = panel.actions.view.html
    assert "error.txt" in preview
    assert not saved.files  # it is looked at first
    panel.actions.view.act("bundle-save")
    ((name, content),) = saved.files.items()
    assert name.endswith(".zip")
    with zipfile.ZipFile(BytesIO(content)) as archive:
        kept = archive.read("error.txt").decode()
    assert "flux <b>capacitor</b>" in kept
    assert "[hidden]" in kept
    assert "planted-marker" not in kept
    assert "planted-marker" not in stored_state().replace(STRANGE, "")


def test_without_a_mailbox_the_bundle_waits_for_one(session: Session) -> None:
    shown = explain(DiagnosePanel(session, inline=True), STRANGE)
    assert "Choose a mailbox above" in shown
    assert "text-bundle" not in shown


def test_a_secret_among_the_words_that_decide_is_hidden(panel: DiagnosePanel) -> None:
    shown = explain(
        panel,
        "grant_type=refresh_token&client_secret=planted-marker-of-a-secret AADSTS7000215: Invalid client secret provided.",
    )
    assert "secret-invalid" in shown
    assert "planted-marker" not in shown


def test_of_a_long_text_what_is_around_the_words_is_shown(panel: DiagnosePanel) -> None:
    line = "2026-11-30 10:00:00 INFO nothing to tell of\n"
    shown = explain(panel, line * 900 + "AADSTS50105: not assigned\n" + line * 900)
    assert "AADSTS50105" in " ".join(MARK.findall(shown))
    assert len(shown) < 40_000


@pytest.mark.parametrize(
    ("text", "spans", "shown"),
    [
        ("a<b>c", [], "a&lt;b&gt;c"),
        ("one two three", [(4, 7)], "one <mark>two</mark> three"),
        ("one two three", [(4, 7), (5, 9)], "one <mark>two</mark><mark> t</mark>hree"),
        ("<two>", [(0, 5)], "<mark>&lt;two&gt;</mark>"),
        ("one", [(0, 99)], "<mark>one</mark>"),
        ("one", [(2, 1), (7, 9)], "one"),
    ],
)
def test_marks_are_where_they_belong(text: str, spans: list[tuple[int, int]], shown: str) -> None:
    assert str(marked_text(text, spans)) == shown


@pytest.mark.parametrize("span", [(0, 16), (13, 27), (27, 70), (0, 70)])
def test_no_mark_shows_a_part_of_a_secret(span: tuple[int, int]) -> None:
    text = "client_secret=planted-marker-of-a-secret was refused"
    shown = str(marked_text(text, [span]))
    assert "planted" not in shown
    assert "marker" not in shown
    assert "was refused" in shown.replace("<mark>", "").replace("</mark>", "")


def test_it_is_told_in_german(panel: DiagnosePanel) -> None:
    use_language("de")
    try:
        assert "Die Antwort beruht auf:" in explain(panel, REFUSED)
        assert "Trifft nicht zu?" in panel.explanation.html
        assert "Unbekannter Fehler" in explain(panel, STRANGE)
    finally:
        use_language("en")

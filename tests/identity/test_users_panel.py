"""The sign-in panel without a browser: the same for all three ways, and what it offers when one goes wrong."""

import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import pytest

from msoauth.identity import signin
from msoauth.identity.flows import SignIn
from msoauth.model import Finding, Signal
from msoauth.ui import users
from msoauth.ui.session import Session
from msoauth.ui.users import UsersPanel
from tests.identity.authority import Answer, Authority, refused
from tests.identity.conftest import Office


@pytest.fixture
def panel(office: Office) -> Iterator[UsersPanel]:
    office.workspace.settings.set("language", "en")
    made = UsersPanel(Session(office.workspace))
    yield made
    made.cancel()


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it never came about"
        threading.Event().wait(0.01)


def begin(panel: UsersPanel, office: Office, act: str) -> SignIn[signin.SignedIn]:
    panel.on_action(act, office.anna.address)
    until(lambda: panel.sign_in_view.attempt)
    assert panel.sign_in_view.attempt is not None
    return panel.sign_in_view.attempt


@pytest.mark.parametrize("via", ["browser", "device", "paste"])
def test_each_way_shows_what_to_do_the_time_left_and_the_other_ways(
    panel: UsersPanel, office: Office, authority: Authority, via: str
) -> None:
    authority.token = lambda _form: refused("authorization_pending", "AADSTS70016: pending")
    attempt = begin(panel, office, via)
    shown = panel.sign_in_view.view.html
    assert "data-until" in shown
    assert attempt.url.replace("&", "&amp;") in shown
    for other in {"browser", "device", "paste"} - {via}:
        assert f'data-act="{other}"' in shown
    assert ('data-copy="FJC3MZ5XW"' in shown) == (via == "device")
    assert (panel.sign_in_view.paste_form.layout.display == "") == (via == "paste")
    panel.on_action("cancel", "")
    assert panel.sign_in_view.view.html == ""
    assert "not signed in" in panel.list.html


def test_the_way_that_nobody_chose_says_why(panel: UsersPanel, office: Office) -> None:
    begin(panel, office, "sign-in")
    assert "sign-in pages are on this computer" in panel.sign_in_view.view.html


def test_another_account_is_named_and_the_remedy_offered(
    panel: UsersPanel, office: Office, authority: Authority
) -> None:
    authority.user = "max@contoso.example"
    authority.come_back(begin(panel, office, "browser"))
    panel.jobs.wait()
    shown = panel.message.html
    assert "max@contoso.example signed in, but anna@contoso.example was expected" in shown
    for words in ("Use another account", "Sign out and forget account", "private window"):
        assert words in shown
    assert "oauth2/v2.0/logout" in shown
    assert office.workspace.tokens.status(office.anna.address) is None
    authority.user = office.anna.address
    attempt = begin(panel, office, "another")
    assert "prompt=login" in attempt.url
    authority.come_back(attempt)
    panel.jobs.wait()
    assert "is signed in" in panel.message.html


def test_a_pasted_text_without_an_address_is_told_at_its_field(
    panel: UsersPanel, office: Office, authority: Authority
) -> None:
    attempt = begin(panel, office, "paste")
    form = panel.sign_in_view.paste_form
    form.type("answer", "Guten Tag")
    form.press("paste")
    assert "no address" in form.errors["answer"]
    home, answer = authority.answer_to(attempt)
    form.type("answer", f"{home}/?{urlencode(answer)}")
    assert answer["code"] not in str(form.get_state())
    form.press("paste")
    panel.jobs.wait()
    assert office.workspace.tokens.status(office.anna.address) is not None
    assert answer["code"] not in str(form.get_state())


def test_a_blocked_device_code_offers_the_link(
    panel: UsersPanel, office: Office, authority: Authority
) -> None:
    authority.token = lambda _form: refused(
        "invalid_grant",
        "AADSTS53003: Access has been blocked by Conditional Access policies.",
        error_codes=[53003],
    )
    begin(panel, office, "device")
    panel.jobs.wait()
    assert 'data-act="paste"' in panel.message.html
    assert "Send a link instead" in panel.message.html


@pytest.mark.parametrize(
    ("error", "words", "cause", "linked"),
    [
        (
            "access_denied",
            "AADSTS65004: User declined to consent to access the app.",
            "consent-declined",
            False,
        ),
        (
            "access_denied",
            "AADSTS90094: The grant requires admin permission.",
            "admin-consent-required",
            True,
        ),
        (
            "invalid_grant",
            "AADSTS65001: The user or administrator has not consented to use the application.",
            "consent-required",
            True,
        ),
    ],
)
def test_three_kinds_of_missing_consent_are_told_apart_and_the_link_is_one_click(
    panel: UsersPanel,
    office: Office,
    authority: Authority,
    error: str,
    words: str,
    cause: str,
    linked: bool,
) -> None:
    authority.come_back(begin(panel, office, "browser"), error=error, error_description=words)
    panel.jobs.wait()
    shown = panel.message.html
    assert f"({cause})" in shown
    assert ("Copy the admin-consent link" in shown) == linked
    assert ("/v2.0/adminconsent?client_id=" in shown) == linked


def test_what_fails_for_good_is_red_with_its_cause_and_one_button(
    panel: UsersPanel, office: Office, authority: Authority
) -> None:
    office.sign_in()
    authority.token = lambda _form: refused(
        "invalid_grant",
        "AADSTS50173: The provided grant has expired due to it being revoked.",
        error_codes=[50173],
    )
    panel.on_action("check", office.anna.address)
    panel.jobs.wait()
    row = panel.list.html
    assert 'data-state="failed"' in row
    assert "revoked" in row
    assert 'data-act="sign-in"' in row
    assert 'data-act="check"' not in row
    again = UsersPanel(Session(office.workspace))  # as after a restart of the kernel
    assert 'data-state="failed"' in again.list.html


def test_what_fails_for_now_stays_amber_and_is_tried_again(
    panel: UsersPanel, office: Office, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.sign_in()
    shown: list[str] = []
    draw = panel.draw_list

    def drawn() -> None:
        draw()
        box = panel.sign_in_view.view.html
        if "Tried again in" in box:
            shown.append(f"{panel.list.statuses[office.anna.address].state} {box}")
            authority.token = authority.grant

    monkeypatch.setattr(panel, "draw_list", drawn)
    monkeypatch.setattr(users, "LONGEST_PAUSE", 0.05)
    authority.token = lambda _form: Answer("busy", 429, {"Retry-After": "0"})
    panel.on_action("check", office.anna.address)
    panel.jobs.wait()
    assert len(shown) == 1
    assert "warning" in shown[0]
    assert "data-until" in shown[0]
    assert 'data-state="failed"' not in panel.list.html


def test_a_finding_older_than_the_sign_in_counts_no_more(office: Office) -> None:
    office.workspace.journal.append(
        Finding(
            "sign-in.token",
            Signal.FAILED,
            "x",
            cause="refresh-revoked",
            firm="Contoso",
            account=office.anna.address,
            run="r",
        )
    )
    office.sign_in()
    panel = UsersPanel(Session(office.workspace))
    assert 'data-state="passed"' in panel.list.html


def test_a_sign_in_that_is_cancelled_leaves_the_mailbox_as_it_was(
    panel: UsersPanel, office: Office, authority: Authority
) -> None:
    office.sign_in()
    attempt = begin(panel, office, "browser")
    attempt.cancel()  # by whatever way
    panel.jobs.wait()
    assert "Cancelled." in panel.message.html
    assert panel.sign_in_view.view.html == ""
    for shown in (panel, UsersPanel(Session(office.workspace))):
        assert shown.state is Signal.PASSED
        assert 'data-state="passed"' in shown.list.html
        assert 'data-state="failed' not in shown.message.html + shown.list.html
        assert "was cancelled" not in shown.results.html
    newest = list(office.workspace.journal.findings(account=office.anna.address))[-1]
    assert (newest.check, newest.signal, newest.cause) == ("sign-in.attempt", Signal.SKIPPED, None)

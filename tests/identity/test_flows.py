"""Which sign-in flow is chosen where, how each is cancelled, and what it says when it goes wrong."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from msoauth import waiting
from msoauth.errors import AuthError, CancelledError, InputError
from msoauth.identity import administrator, flows, sign_in_history, signin
from msoauth.identity.environment import Flow, choose_flow
from msoauth.model import Firm, Signal
from tests.identity.authority import Answer, Authority, Form, refused
from tests.identity.conftest import Office
from tests.ports import reserved_port

FIRM = Firm("Contoso", "contoso.example", "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")
SCREEN = {"DISPLAY": ":0"}
FLOWS: tuple[Flow, ...] = ("browser", "device", "paste")


@pytest.mark.parametrize(
    ("environ", "secret", "flow", "said"),
    [
        (SCREEN, True, "browser", "browser is on this computer"),
        ({"WSL_DISTRO_NAME": "Debian"}, True, "browser", "browser is on this computer"),
        ({}, True, "paste", "no screen"),
        ({**SCREEN, "SSH_CONNECTION": "x"}, True, "paste", "SSH"),
        ({**SCREEN, "SSH_CONNECTION": "x"}, False, "device", "code can be entered"),
        ({**SCREEN, "JUPYTERHUB_USER": "anna"}, True, "paste", "JupyterHub"),
        ({"JUPYTERHUB_USER": "jovyan", "BINDER_REPO_URL": "x"}, False, "device", "Binder"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, True, "paste", "container"),
    ],
)
def test_the_flow_follows_the_environment_and_says_why(
    tmp_path: Path, environ: dict[str, str], secret: bool, flow: str, said: str
) -> None:
    choice = choose_flow(FIRM, has_secret=secret, environ=environ, root=tmp_path, platform="linux")
    assert choice.flow == flow
    assert said in choice.reason


def test_a_container_is_known_by_its_mark(tmp_path: Path) -> None:
    (tmp_path / ".dockerenv").touch()
    for platform in ("linux", "darwin"):
        choice = choose_flow(
            FIRM, has_secret=True, environ=SCREEN, root=tmp_path, platform=platform
        )
        assert choice.flow == "paste"


def test_a_redirect_uri_elsewhere_leaves_the_link(tmp_path: Path) -> None:
    firm = Firm("C", "contoso.example", FIRM.client_id, redirect_uri="https://contoso.example/cb")
    choice = choose_flow(firm, has_secret=True, environ=SCREEN, root=tmp_path, platform="darwin")
    assert (choice.flow, firm.redirect_uri in choice.reason) == ("paste", True)


def test_a_challenge_is_never_answered_by_a_code(tmp_path: Path) -> None:
    hub = {"JUPYTERHUB_USER": "anna"}
    choice = choose_flow(FIRM, has_secret=False, challenged=True, environ=hub, root=tmp_path)
    assert choice.flow == "paste"


def test_the_user_may_choose_another_flow(office: Office) -> None:
    for flow in FLOWS:
        attempt = office.start(flow)
        assert attempt.flow == flow
        attempt.cancel()


def test_without_a_screen_no_browser_is_opened_and_the_address_is_given(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    attempt = signin.start(office.workspace, office.anna, "browser", open_browser=True)
    attempt.cancel()
    assert opened == []
    assert "No browser could be opened" in attempt.message
    assert attempt.url.startswith(office.authority.base)


def test_a_browser_that_cannot_be_opened_or_does_not_return_stops_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "DISPLAY", ":0")
    monkeypatch.setattr("webbrowser.open", lambda _url: False)
    attempt = signin.start(office.workspace, office.anna, "browser")
    assert "No browser could be opened" in attempt.message
    attempt.cancel()
    release = threading.Event()
    monkeypatch.setattr(flows, "OPEN_SECONDS", 0.05)
    monkeypatch.setattr("webbrowser.open", lambda _url: release.wait(20))
    attempt = signin.start(office.workspace, office.anna, "browser")
    release.set()
    attempt.cancel()
    assert "in the browser" in attempt.message


def test_an_abandoned_sign_in_ends_by_itself_and_frees_its_port(office: Office) -> None:
    with reserved_port() as port:
        firm = office.authority.firm(redirect_uri=f"http://localhost:{port}")
        office.workspace.firms.replace(firm)
        attempt = office.start()
        assert 200 < attempt.seconds_left <= 300
        with pytest.raises(AuthError, match="Nobody signed in within 5 minutes") as ended:
            attempt.wait(0.1)
        assert ended.value.cause == "code-expired"
        office.start().cancel()


def test_two_sign_ins_at_once_do_not_mix(office: Office, authority: Authority) -> None:
    one, two = office.start(), office.start()
    home, answer = authority.answer_to(one)
    strange = authority.answer_to(two)[1]
    with pytest.raises(AuthError):
        office.finish(two, lambda _attempt: two.cancel())
    result = office.finish(one, lambda _attempt: authority.come_back(one))
    assert result.signed_in_as == authority.user
    assert answer["state"] != strange["state"]
    assert urlsplit(home).port != urlsplit(authority.answer_to(two)[0]).port


def test_device_polls_on_through_pending_slow_down_and_an_outage(
    office: Office, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def wait(_event: threading.Event, seconds: float) -> bool:
        waits.append(seconds)
        return False

    answers = [
        refused("authorization_pending", "AADSTS70016: pending"),
        Answer("Service Unavailable", 503, {"Retry-After": "7"}),
        refused("slow_down", "slower"),
    ]

    def token(form: Form) -> Answer:
        return answers.pop(0) if answers else authority.grant(form)

    authority.token = token
    attempt = office.start("device")
    assert (attempt.url, attempt.code) == ("https://device.example/", "FJC3MZ5XW")
    with monkeypatch.context() as quick:
        quick.setattr(waiting, "wait", wait)
        result = attempt.wait()
    assert result.signed_in_as == authority.user
    assert waits == [1.0, 7.0, 6.0]
    assert "client_secret" not in authority.asked[-1]


@pytest.mark.parametrize(
    ("answer", "cause", "other"),
    [
        (refused("authorization_declined", "declined"), "consent-declined", None),
        (
            refused("expired_token", "AADSTS70020: This device code has expired.", error_codes=[70020]),
            "code-expired", None,
        ),
        (
            refused("invalid_grant", "AADSTS53003: Access has been blocked by Conditional Access policies."
                    " The access policy does not allow token issuance.", error_codes=[53003]),
            "conditional-access", "paste",
        ),
        (
            refused("invalid_client", "AADSTS7000218: The request body must contain the following parameter:"
                    " 'client_assertion' or 'client_secret'.", 401, error_codes=[7000218]),
            "secret-required", "paste",
        ),
    ],
)  # fmt: skip
def test_a_refused_device_code_names_its_cause_and_the_flow_to_offer(
    office: Office, authority: Authority, answer: Answer, cause: str, other: str | None
) -> None:
    authority.token = lambda _form: answer
    with pytest.raises(AuthError) as told:
        office.start("device").wait(20)
    assert told.value.cause == cause
    assert signin.alternative_flow("device", told.value) == other
    assert signin.alternative_flow("browser", told.value) is None


def test_a_device_answer_that_is_none_and_a_code_nobody_enters(
    office: Office, authority: Authority
) -> None:
    authority.device = lambda _form: Answer({"user_code": "x"})
    with pytest.raises(AuthError, match="no token that can be read"):
        office.start("device")
    authority.device = lambda _form: refused("unauthorized_client", "AADSTS700016: not found")
    with pytest.raises(AuthError) as told:
        office.start("device")
    assert told.value.cause == "app-not-found"
    authority.device = authority.code
    authority.token = lambda _form: refused("authorization_pending", "AADSTS70016: pending")
    with pytest.raises(AuthError, match="Nobody entered the code in time"):
        office.start("device").wait(0.1)


@pytest.mark.parametrize("flow", FLOWS)
def test_cancel_ends_every_flow_at_once_and_is_neither_a_refusal_nor_unknown(
    office: Office, authority: Authority, flow: Flow
) -> None:
    authority.token = lambda _form: refused("authorization_pending", "AADSTS70016: pending")
    with pytest.raises(CancelledError, match="cancelled") as told:
        office.finish(office.start(flow), lambda attempt: attempt.cancel())
    assert told.value.cause == "cancelled"
    assert office.workspace.tokens.status(office.anna.address) is None
    [written] = office.workspace.journal.findings(account=office.anna.address)
    assert (written.check, written.signal, written.cause) == (
        "sign-in.attempt",
        Signal.SKIPPED,
        None,
    )


@pytest.mark.parametrize("flow", FLOWS)
def test_an_administrators_cancel_is_the_same_and_is_not_written_down(
    office: Office, authority: Authority, flow: Flow
) -> None:
    authority.token = lambda _form: refused("authorization_pending", "AADSTS70016: pending")
    attempt = administrator.start(office.workspace, office.firm, flow, open_browser=False)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(attempt.wait, 20)
        attempt.cancel()
    with pytest.raises(CancelledError):
        waiting.result()
    assert list(office.workspace.journal.findings()) == []


@pytest.mark.parametrize("flow", FLOWS)
def test_what_arrives_after_a_cancel_is_not_stored(
    office: Office, authority: Authority, flow: Flow
) -> None:
    attempt = office.start(flow)

    def cancel_meanwhile(form: Form) -> Answer:
        attempt.cancel()
        return authority.grant(form)

    def answer() -> None:
        if flow == "paste":
            home, fields = authority.answer_to(attempt)
            attempt.paste(f"{home}/?{urlencode(fields)}")
        elif flow == "browser":
            authority.come_back(attempt)

    authority.token = cancel_meanwhile
    with pytest.raises(CancelledError):
        office.finish(attempt, lambda _attempt: answer())
    assert office.workspace.tokens.status(office.anna.address) is None


def test_ctrl_c_at_a_terminal_is_a_cancel(
    office: Office, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_form: Form) -> Answer:
        raise KeyboardInterrupt

    attempt = office.start("paste")
    home, fields = authority.answer_to(attempt)
    attempt.paste(f"{home}/?{urlencode(fields)}")
    monkeypatch.setattr("msoauth.identity.http.post", lambda *_of, **_more: interrupt({}))
    with pytest.raises(KeyboardInterrupt):
        attempt.wait(20)
    [written] = office.workspace.journal.findings(account=office.anna.address)
    assert (written.signal, written.cause) == (Signal.SKIPPED, None)


def test_cancel_on_microsofts_page_stays_a_refusal(office: Office, authority: Authority) -> None:
    said = "AADSTS65004: User declined to consent to access the app."
    with pytest.raises(AuthError) as told:
        office.finish(
            office.start(),
            lambda attempt: authority.come_back(
                attempt, error="access_denied", error_description=said
            ),
        )
    assert told.value.cause == "consent-declined"
    assert not isinstance(told.value, CancelledError)


@pytest.mark.parametrize("flow", FLOWS)
def test_the_users_and_the_administrators_sign_in_show_the_same(office: Office, flow: Flow) -> None:
    mine = office.start(flow)
    theirs = administrator.start(office.workspace, office.firm, flow, open_browser=False)
    for attempt in (mine, theirs):
        assert attempt.flow == flow
        assert attempt.url.startswith("https://")
        assert bool(attempt.code) == (flow == "device")
        assert attempt.message
        assert attempt.reason == ""  # the caller named the flow
        assert attempt.seconds_left > 200
        attempt.cancel()


def test_a_flow_that_nobody_named_comes_with_its_reason(office: Office) -> None:
    attempt = signin.start(office.workspace, office.anna, open_browser=False)
    theirs = administrator.start(office.workspace, office.firm, open_browser=False)
    attempt.cancel()
    theirs.cancel()
    assert attempt.reason == theirs.reason != ""


@pytest.mark.parametrize("ahead", [-3600.0, 0.0, 3600.0])
def test_the_time_left_is_counted_by_the_servers_clock(
    office: Office, authority: Authority, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    authority.clock = ahead
    authority.token = lambda _form: refused("authorization_pending", "AADSTS70016: pending")
    attempt = office.start("device")
    assert 890 < attempt.seconds_left <= 900
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 7200)  # somebody sets this computer's clock
    assert 890 < attempt.seconds_left <= 900
    monkeypatch.undo()
    authority.clock = ahead + 600  # this computer slept for ten minutes
    with pytest.raises(AuthError, match="Nobody entered the code in time"):
        attempt.wait(0.1)
    assert 280 < attempt.seconds_left <= 302  # a Date header has whole seconds


def test_app_only_needs_no_sign_in(office: Office) -> None:
    office.workspace.firms.replace(office.authority.firm(access="app-only"))
    with pytest.raises(InputError, match="nobody signs in"):
        office.start()


def test_a_challenge_is_kept_for_the_sign_in_that_answers_it(
    office: Office, authority: Authority
) -> None:
    claims = '{"access_token":{"capolids":{"essential":true,"values":["a-policy"]}}}'
    sign_in_history.keep_challenge(office.workspace, office.anna, claims)
    attempt = office.start()
    asked = parse_qs(urlsplit(attempt.url).query)
    assert "a-policy" in asked["claims"][0]
    authority.token = lambda _form: refused("invalid_grant", "AADSTS50126: wrong password")
    with pytest.raises(AuthError):
        office.finish(attempt, authority.come_back)
    assert sign_in_history.pending_challenge(office.workspace, office.anna) == claims
    authority.token = authority.grant
    office.finish(office.start(), authority.come_back)
    assert sign_in_history.pending_challenge(office.workspace, office.anna) is None
    later = office.start()
    later.cancel()
    assert "claims" not in parse_qs(urlsplit(later.url).query)

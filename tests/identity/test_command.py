"""``msoauth sign-in``: one command for all ways, and what it says when one goes wrong."""

import io
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest

from msoauth.cli import main
from msoauth.identity import administrator, signin
from msoauth.identity.flows import SignIn
from tests.identity.authority import Authority, refused
from tests.identity.conftest import Office

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(office: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    starts = {module: module.start for module in (signin, administrator)}

    def run(
        *arguments: str,
        person: Callable[[SignIn[Any]], object] = lambda _attempt: None,
        typed: Callable[[SignIn[Any]], str] = lambda _attempt: "",
        command: Sequence[str] = ("sign-in", office.anna.address, "--no-open"),
    ) -> tuple[int, str, str]:
        threads: list[threading.Thread] = []

        def start(real: Callable[..., SignIn[Any]], *about: object, **how: object) -> SignIn[Any]:
            attempt = real(*about, **how)
            monkeypatch.setattr("sys.stdin", io.StringIO(typed(attempt)))
            threads.append(threading.Thread(target=person, args=(attempt,)))
            threads[0].start()
            return attempt

        for module, real in starts.items():
            monkeypatch.setattr(module, "start", partial(start, real))
        with pytest.raises(SystemExit) as ended:
            main([*command, *arguments])
        for thread in threads:
            thread.join(20)
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return run


def test_the_browser_way_is_taken_where_it_works(
    run: Run, office: Office, authority: Authority
) -> None:
    status, out, err = run(person=authority.come_back)
    assert status == 0
    assert f"Signed in as {office.anna.address}" in out
    assert authority.base in out
    assert "at most 5 minutes" in err


def test_the_device_way_shows_address_and_code(run: Run, authority: Authority) -> None:
    status, out, _err = run("--via", "device")
    assert status == 0
    assert "https://device.example/" in out
    assert "FJC3MZ5XW" in out


def test_a_mail_is_pasted_line_by_line(run: Run, authority: Authority) -> None:
    def mail(attempt: SignIn[Any]) -> str:
        home, answer = authority.answer_to(attempt)
        url = f"{home}/?{urlencode(answer)}"
        return f"Guten Tag\n\nVon: Anna\n> {url[:40]}\n> {url[40:]}\n\n"

    status, out, err = run("--via", "paste", typed=mail)
    assert status == 0
    assert "Send this link to" in out
    assert "no address with an answer" in err  # said at the empty line after the greeting


def test_an_input_that_ends_without_an_address_is_told_in_one_line(run: Run) -> None:
    status, _out, err = run("--via", "paste", typed=lambda _attempt: "Guten Tag\n")
    assert status == 2
    assert "no address with an answer" in err


def test_on_a_hub_the_link_is_taken_and_the_reason_said(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_USER", "anna")
    status, out, err = run()
    assert status == 2  # nobody pasted anything
    assert "Send this link" in out
    assert "The “paste” way: This runs in JupyterHub" in err


def test_another_account_is_named_with_the_commands_that_help(
    run: Run, authority: Authority
) -> None:
    authority.user = "max@contoso.example"
    status, out, _err = run(person=authority.come_back)
    assert status == 1
    assert "max@contoso.example signed in, but anna@contoso.example was expected" in out
    assert "--another" in out
    assert "oauth2/v2.0/logout" in out
    assert "account change --login UPN anna@contoso.example" in out


def test_missing_consent_comes_with_the_administrators_link(run: Run, authority: Authority) -> None:
    status, out, _err = run(
        person=lambda attempt: authority.come_back(
            attempt,
            error="access_denied",
            error_description="AADSTS90094: The grant requires admin permission.",
        )
    )
    assert status == 1
    assert "/v2.0/adminconsent?client_id=" in out


def test_a_blocked_code_comes_with_the_command_for_the_link(run: Run, authority: Authority) -> None:
    authority.token = lambda _form: refused(
        "invalid_grant",
        "AADSTS53003: Access has been blocked by Conditional Access policies.",
        error_codes=[53003],
    )
    status, out, _err = run("--via", "device")
    assert status == 1
    assert "--via paste" in out


def test_who_signs_in_to_a_shared_mailbox_is_changed(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    for login, kept in (
        ("max@contoso.example", "max@contoso.example"),
        (office.anna.address, None),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["account", "change", office.anna.address, "--login", login])
        assert not ended.value.code
        assert office.workspace.accounts.get(office.anna.address).login == kept
    assert "signs in" in capsys.readouterr().out


@pytest.mark.parametrize("hub", [True, False])
def test_an_administrator_is_shown_the_same_and_stdout_stays_that_of_the_command(
    run: Run, office: Office, authority: Authority, monkeypatch: pytest.MonkeyPatch, hub: bool
) -> None:
    def pasted(attempt: SignIn[Any]) -> str:
        home, answer = authority.answer_to(attempt)
        return f"{home}/?{urlencode(answer)}\n" if hub else ""

    monkeypatch.setattr("msoauth.checks.DIAGNOSE", ())
    monkeypatch.setenv("BROWSER", "true")
    if hub:
        monkeypatch.setenv("JUPYTERHUB_USER", "anna")
    command = ("diagnose", office.anna.address, "--admin", "--json")
    person = authority.come_back if not hub else lambda _attempt: None
    status, out, err = run(command=command, typed=pasted, person=person)
    assert status == 0, err
    assert out == ""
    assert authority.base in err
    assert "an administrator of Contoso" in err
    assert ("Send this link to" in err) == hub
    assert ("at most 5 minutes" in err) == (not hub)


@pytest.mark.parametrize("command", [("sign-in",), ("diagnose", "--admin")])
def test_a_sign_in_that_is_cancelled_is_neither_a_refusal_nor_a_fault(
    run: Run, office: Office, monkeypatch: pytest.MonkeyPatch, command: Sequence[str]
) -> None:
    monkeypatch.setenv("BROWSER", "true")
    status, out, err = run(
        office.anna.address, command=command, person=lambda attempt: attempt.cancel()
    )
    assert status == 130
    assert err.splitlines()[-1] == "Interrupted."
    assert "✖" not in out + err

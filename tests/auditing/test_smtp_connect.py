"""An audit opens the SMTP session of an account while its token is renewed, and leaves none open."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from msoauth import checks
from msoauth.auditing import AccountResult, Audit
from msoauth.errors import AuthError, MailError
from msoauth.identity import access_tokens
from msoauth.identity.access_tokens import AccessToken
from msoauth.mail.pop3 import Pop3Session
from msoauth.mail.smtp import SmtpSession
from msoauth.model import Account, Finding, Signal
from msoauth.store import Workspace
from tests.auditing.conftest import Office

WAIT = 20.0  # seconds after which something will never come


class Greetings:
    """Watches what the audit begins with the SMTP server."""

    def __init__(self) -> None:
        self.sessions: list[SmtpSession] = []
        self.seconds: list[float] = []
        self.done = threading.Event()

    def greet(self, *given: Any, **options: Any) -> SmtpSession:
        start = time.perf_counter()
        session = _greet(*given, **options)
        self.seconds.append(time.perf_counter() - start)
        self.sessions.append(session)
        self.done.set()
        return session


_greet = SmtpSession.connect
_renew = access_tokens.access_token


@pytest.fixture
def greetings(monkeypatch: pytest.MonkeyPatch) -> Greetings:
    watched = Greetings()
    monkeypatch.setattr(SmtpSession, "connect", watched.greet)
    monkeypatch.setattr(
        checks.context, "LOGIN_WITHIN", 60.0
    )  # a busy computer takes long for a token
    return watched


@pytest.fixture
def one(office: Office) -> Office:
    """An office of one mailbox, so that nothing else is greeted."""
    for address in office.addresses[1:]:
        office.workspace.accounts.remove(address)
    return office


def renewing(
    monkeypatch: pytest.MonkeyPatch, then: Callable[[Workspace, Account], AccessToken]
) -> None:
    def renew(workspace: Workspace, account: Account, **_options: Any) -> AccessToken:
        return then(workspace, account)

    monkeypatch.setattr(access_tokens, "access_token", renew)


def smtp(looked: list[AccountResult]) -> Finding:
    return next(f for one in looked for f in one.findings if f.check == "smtp.login")


def test_the_server_is_greeted_while_the_token_is_renewed(
    one: Office, greetings: Greetings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renew(workspace: Workspace, account: Account) -> AccessToken:
        assert greetings.done.wait(WAIT), "nothing was begun"
        return _renew(workspace, account, force=True)

    renewing(monkeypatch, renew)
    looked = list(Audit(one.workspace))
    assert {account.signal for account in looked} == {Signal.PASSED}
    assert len(greetings.sessions) == 1
    assert smtp(looked).seconds >= greetings.seconds[0]  # in the findings it is one login


def test_mail_is_looked_for_while_the_smtp_login_is_made(
    one: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The round trips of one do not add to those of the other."""
    both = threading.Barrier(2, timeout=WAIT)
    for kind in (Pop3Session, SmtpSession):

        def log_in(session: Any, *given: Any, real: Any = kind.log_in) -> None:
            both.wait()
            real(session, *given)

        monkeypatch.setattr(kind, "log_in", log_in)
    assert {account.signal for account in Audit(one.workspace)} == {Signal.PASSED}


def test_nobody_is_greeted_for_an_account_that_nobody_signed_in(
    one: Office, greetings: Greetings
) -> None:
    one.workspace.tokens.forget(one.addresses[0])
    looked = list(Audit(one.workspace))
    assert smtp(looked).signal is Signal.SKIPPED
    assert not greetings.sessions


def test_nobody_is_greeted_when_the_firm_itself_cannot_sign_in(
    one: Office, greetings: Greetings
) -> None:
    one.workspace.firms.set_secret(
        one.workspace.firms.list()[0].name, "not~the~secret~of~this~app~at~all~12345"
    )
    assert smtp(list(Audit(one.workspace))).signal is Signal.SKIPPED
    assert not greetings.sessions


def test_a_session_that_no_login_takes_over_is_ended(
    one: Office, greetings: Greetings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_workspace: Workspace, _account: Account) -> AccessToken:
        assert greetings.done.wait(WAIT)
        raise AuthError("refused", cause="refresh-revoked")

    renewing(monkeypatch, refuse)
    looked = list(Audit(one.workspace))
    assert smtp(looked).signal is Signal.SKIPPED
    with pytest.raises(MailError, match="closed"):
        greetings.sessions[0].connection.send(b"NOOP\r\n")


def test_a_server_that_turns_the_session_away_is_what_the_login_says(
    one: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def turn_away(*_given: Any, **_options: Any) -> SmtpSession:
        raise MailError("no", stage="greeting", cause="service-unavailable", evidence="421 4.3.2")

    monkeypatch.setattr(SmtpSession, "connect", turn_away)
    found = smtp(list(Audit(one.workspace)))
    assert (found.signal, found.cause, found.evidence) == (
        Signal.FAILED,
        "service-unavailable",
        "421 4.3.2",
    )


def test_a_server_that_was_let_wait_for_long_is_greeted_anew(
    one: Office, greetings: Greetings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks.context, "LOGIN_WITHIN", -1.0)
    assert {looked.signal for looked in Audit(one.workspace)} == {Signal.PASSED}
    assert len(greetings.sessions) == 2

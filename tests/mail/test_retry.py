"""A server that is busy is recognised, waited for where waiting helps, and named as busy, not as broken."""

import threading

import pytest

from msoauth.clouds import GLOBAL, Endpoint
from msoauth.errors import MailError, Stage
from msoauth.mail.connection import Connection
from msoauth.mail.fetch import Session, fetch
from msoauth.mail.reply_errors import error_from_reply
from msoauth.mail.retry import Retry, RetryPolicy
from msoauth.mail.round_trip import wait_for_arrival
from msoauth.mail.transcript import Transcript
from tests.mail.fake_pop3 import FakePop3, make_messages, subjects


def _connection(endpoint: Endpoint = Endpoint("localhost", 995, "implicit")) -> Connection:  # noqa: B008 - frozen
    made = Connection(endpoint, Transcript(), 20, None)
    made.stage = Stage.AUTHENTICATE
    return made


@pytest.mark.parametrize(
    ("reply", "cause", "seconds"),
    [
        ("432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information. [Hostname=X]", "throttled", None),
        ("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", "throttled", None),
        ("421 4.7.500 Server busy. Please try again later.", "throttled", None),
        ("421 4.3.2 The maximum number of concurrent server connections has exceeded a limit", "throttled", None),
        ("M3 BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds", "throttled", 92.415),
        ("-ERR [LOGIN-DELAY] minimum time between logins", "throttled", None),
        ("-ERR Too many connections", "throttled", None),
        ("M2 NO [INUSE] too many sessions", "throttled", None),
        ("-ERR [IN-USE] Mailbox is in use", "mailbox-busy", None),
        ("-ERR Mailbox is locked by another POP session", "mailbox-busy", None),
        ("-ERR [SYS/TEMP] Temporary failure", "service-unavailable", None),
        ("M2 NO [UNAVAILABLE] Server Unavailable. 15", "service-unavailable", None),
        ("421 4.4.1 Connection timed out", "service-unavailable", None),
        ("454 4.7.0 Temporary authentication failure. [X]", "service-unavailable", None),
    ],
)  # fmt: skip
def test_passing_trouble_is_told_apart(reply: str, cause: str, seconds: float | None) -> None:
    failure = error_from_reply(_connection(), reply, "refused")
    assert (failure.cause, failure.retriable) == (cause, True)
    assert failure.retry_after == seconds
    assert reply in failure.evidence


@pytest.mark.parametrize(
    "reply",
    [
        "-ERR [AUTH] Authentication failed.",
        "-ERR Authentication failure: unknown user name or bad password.",
        "535 5.7.3 Authentication unsuccessful [X]",
        "552 5.5.3 Too many recipients",
        "554 5.4.6 Too many hops",
        "421 4.7.66 TLS 1.0 and 1.1 are not supported. [X]",
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        "550 5.2.251 Sender throttled due to continuous mailbox full errors.",
        "550 5.2.254 Sender throttled due to continuous too many recipients errors.",
    ],
)
def test_what_will_not_pass_is_not_waited_for(reply: str) -> None:
    assert not error_from_reply(_connection(), reply, "refused").retriable


def test_another_servers_words_are_told_only_in_the_place_of_microsofts() -> None:
    reply = "535 Incorrect authentication data"  # Exim's
    assert error_from_reply(_connection(GLOBAL.smtp), reply, "refused").cause == "other-provider"
    assert error_from_reply(_connection(), reply, "refused").cause == "mail-login-rejected"


def busy(cause: str = "throttled", retry_after: float | None = None) -> MailError:
    failure = MailError("The server is busy.", stage="authenticate", cause=cause, retriable=True)
    failure.retry_after = retry_after
    return failure


class Server:
    """Gives out boxes; before each it may be busy."""

    def __init__(self, *turns: MailError | FakePop3) -> None:
        self._turns = list(turns)

    def __call__(self) -> Session:
        turn = self._turns.pop(0)
        if isinstance(turn, MailError):
            raise turn
        return turn.session


def test_a_busy_server_is_waited_for_with_growing_pauses_that_are_told() -> None:
    told: list[Retry] = []
    policy = RetryPolicy(120, told.append, sleep=lambda _seconds: False)
    rows = list(fetch(Server(busy(), busy(), busy(), FakePop3(make_messages(2))), policy))
    assert len(rows) == 2
    pauses = [wait.seconds for wait in told]
    assert len(pauses) == 3
    assert pauses[0] < pauses[1] < pauses[2]
    assert told[2].waited == pytest.approx(sum(pauses[:2]))
    assert "120 s" in str(told[0])
    assert "The server is busy." in str(told[0])


def test_the_server_may_say_itself_how_long() -> None:
    told: list[Retry] = []
    policy = RetryPolicy(120, told.append, sleep=lambda _seconds: False)
    list(fetch(Server(busy(retry_after=92.4), FakePop3([])), policy))
    assert [wait.seconds for wait in told] == [92.4]


@pytest.mark.parametrize("cause", ["throttled", "mailbox-busy"])
def test_at_the_limit_the_trouble_is_told_by_its_name(cause: str) -> None:
    policy = RetryPolicy(5, sleep=lambda _seconds: False)
    with pytest.raises(MailError) as given_up:
        list(fetch(Server(*[busy(cause)] * 99), policy))
    assert given_up.value.cause == cause
    assert policy.waited <= 5
    with pytest.raises(MailError):
        list(fetch(Server(busy(cause, retry_after=6)), RetryPolicy(5)))


def test_what_will_not_pass_is_raised_at_once() -> None:
    failure = MailError("no", stage="authenticate", cause="mail-login-rejected")
    with pytest.raises(MailError, match="no"):
        list(fetch(Server(failure), RetryPolicy(99)))


def test_after_a_break_nothing_is_retrieved_or_told_twice(tmp_path: object) -> None:
    from pathlib import Path

    mails = make_messages(8)
    last = FakePop3(mails)
    policy = RetryPolicy(99, sleep=lambda _seconds: False)
    boxes = Server(FakePop3(mails, breaks_after=3), busy(), FakePop3(mails, breaks_after=2), last)
    rows = list(fetch(boxes, policy, to=Path(str(tmp_path)) / "box"))
    assert subjects(rows) == sorted(f"Brief {n}" for n in range(8))
    assert len(last.handed_over) == 3


def test_a_pause_can_be_cancelled() -> None:
    cancelled = threading.Event()
    policy = RetryPolicy(99, lambda _wait: cancelled.set(), cancelled)
    with pytest.raises(MailError):
        list(fetch(Server(busy(), FakePop3([])), policy))


MESSAGE_ID = "<marker@contoso.example>"
ARRIVED = ("new", f"Message-ID: {MESSAGE_ID}\r\n\r\nhello\r\n".encode())


def test_a_test_mail_is_waited_for_with_a_clock_and_through_busy_moments() -> None:
    seen: list[float] = []
    boxes = Server(FakePop3(make_messages(2)), busy(), FakePop3([*make_messages(2), ARRIVED]))
    seconds = wait_for_arrival(
        boxes, MESSAGE_ID, cancelled=threading.Event(), limit=60, progress=seen.append
    )
    assert 0 < seconds < 30
    assert seen == sorted(seen)
    assert len(seen) >= 3


def test_an_id_in_the_text_of_another_mail_is_not_the_mail() -> None:
    other = ("o", f"Subject: about {MESSAGE_ID}\r\nReferences: {MESSAGE_ID}\r\n\r\n".encode())
    with pytest.raises(MailError, match="was not in the inbox"):
        wait_for_arrival(
            Server(*[FakePop3([other])] * 99), MESSAGE_ID, cancelled=threading.Event(), limit=0.3
        )


def test_the_wait_for_a_test_mail_can_be_cancelled() -> None:
    cancelled = threading.Event()
    with pytest.raises(MailError, match="cancelled"):
        wait_for_arrival(
            Server(*[FakePop3([])] * 99),
            MESSAGE_ID,
            cancelled=cancelled,
            progress=lambda _seconds: cancelled.set(),
        )

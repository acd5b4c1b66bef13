"""Replies of servers are read by functions that need no server, and errors are the standard library's as well."""

import pytest

from msoauth.errors import MailConnectionError, MailError, MailTimeoutError, Stage
from msoauth.mail import imap, pop3, smtp
from msoauth.mail.session import ReplyStatus


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("+OK", ReplyStatus.OK),
        ("+OK Microsoft Exchange Online POP3 service is ready.", ReplyStatus.OK),
        ("-ERR Authentication failure: unknown user name or bad password.", ReplyStatus.REFUSED),
        ("+ eyJzdGF0dXMiOiI0MDEifQ==", ReplyStatus.CONTINUE),
        ("+", ReplyStatus.CONTINUE),
    ],
)
def test_pop3_replies(line: str, status: ReplyStatus) -> None:
    reply = pop3.parse_reply(line)
    assert (reply.status, reply.text, reply.ok) == (status, line, status is ReplyStatus.OK)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("M2 OK AUTHENTICATE completed.", ReplyStatus.OK),
        ("M2 ok done", ReplyStatus.OK),
        ("M2 NO AUTHENTICATE failed.", ReplyStatus.REFUSED),
        ("M2 BAD Command Error. 12", ReplyStatus.REFUSED),
        ("+ ", ReplyStatus.CONTINUE),
    ],
)
def test_imap_replies(line: str, status: ReplyStatus) -> None:
    assert imap.parse_reply("M2", line).status is status


def test_what_is_no_reply_is_refused() -> None:
    for line in ("", "OK", "* OK ready", "220 ready"):
        with pytest.raises(ValueError):
            pop3.parse_reply(line)
    for line in ("", "M1 OK done", "M22 OK done", "* OK done"):
        with pytest.raises(ValueError):
            imap.parse_reply("M2", line)
    for line in ("", "25", "2x0 ok", "+OK", "٢٥٠ ok"):
        with pytest.raises(ValueError):
            smtp.parse_line(line)
    for line in ("+OK", "+OK many", "+OK 3", "+OK 3 ٤"):
        with pytest.raises(ValueError):
            pop3.parse_stat(line)


def test_numbers_in_replies() -> None:
    assert smtp.parse_line("250-SIZE 157286400") == (250, True)
    assert smtp.parse_line("250 OK") == smtp.parse_line("250") == (250, False)
    assert pop3.parse_stat("+OK 3 12044") == (3, 12044)
    assert pop3.parse_listing(b" 2  AQAB ") == (2, "AQAB")
    assert pop3.parse_listing(b"-1 5") == pop3.parse_listing(b"x 5") == (0, "5")


def test_errors_are_caught_by_the_names_of_the_standard_library() -> None:
    with pytest.raises(TimeoutError) as late:
        raise MailTimeoutError("no answer", stage="greeting", cause="connect-timeout")
    assert isinstance(late.value, MailError)
    assert (late.value.stage, late.value.summary, str(late.value)) == (
        Stage.GREETING,
        "no answer",
        "no answer",
    )
    with pytest.raises(ConnectionError):
        raise MailConnectionError("it broke", stage=Stage.WORK, retriable=True)
    assert f"{Stage.WORK}" == "work"

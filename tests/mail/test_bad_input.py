"""Nothing that a user or a mail brings along becomes a command, a header or a field of its own."""

import base64
import contextlib
import ssl
from collections.abc import Iterator
from email import message_from_bytes, policy

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from msoauth import redact
from msoauth.errors import InputError, MsoauthError
from msoauth.mail import sasl
from msoauth.mail.imap import ImapSession
from msoauth.mail.pop3 import Pop3Session
from msoauth.mail.round_trip import compose_test_mail
from msoauth.mail.smtp import SmtpSession
from tests.mail.hostile import TOKEN, USER, Hostile, hostile

EVIL = (
    "a@b.example\r\nRSET", "a@b.example\nDATA", "a@b.example\x00", "a@b.example\x01auth=Bearer x",
    "a@b.example>\r\n", "a@b.example> SIZE=1", "a b@c.example", "@", "a", "", "a@", "@b.example",
    "a\x7f@b.example", "a\u2028@b.example", "a\ud800@b.example", "a@b.example\x85",
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _forgotten() -> Iterator[None]:
    """Made-up tokens such as ``0000`` are not taken out of what later tests read in this process."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(redact, "remember", lambda *_secrets: None)
        yield


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Hostile]]:
    """A good server of each protocol, that keeps what it hears."""
    ca = trustme.CA()
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(file)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("localhost").configure_cert(context)
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(hostile(name, context, str(file)))
            for name in ("pop3", "imap", "smtp")
        }


@pytest.mark.parametrize("address", EVIL)
def test_no_address_becomes_a_command_of_smtp(servers: dict[str, Hostile], address: str) -> None:
    server = servers["smtp"]
    mail = compose_test_mail(USER, USER, "x")
    with server.open() as session:
        assert isinstance(session, SmtpSession)
        for sender, recipient in ((address, USER), (USER, address)):
            with pytest.raises(InputError):
                session.send(mail, sender, [recipient])
        with pytest.raises(InputError):
            session.check_sender(address)
    received = server.peers[-1].received
    assert received[-1] == b"QUIT"
    assert not [line for line in received if line.startswith((b"MAIL", b"RCPT", b"RSET", b"DATA"))]


@pytest.mark.parametrize("address", EVIL)
def test_no_address_becomes_a_header(address: str) -> None:
    with pytest.raises(InputError) as told:
        compose_test_mail(USER, address, "x")
    assert "\n" not in str(told.value)
    with pytest.raises(InputError):
        compose_test_mail(address, USER, "x")


@given(st.text(max_size=80))
@settings(max_examples=40)
def test_any_subject_is_one_field(subject: str) -> None:
    mail = compose_test_mail(USER, "ben@contoso.example", f"a{subject}\r\nBcc: eve@evil.example")
    raw = mail.as_bytes(policy=policy.SMTP)
    again = message_from_bytes(raw, policy=policy.default)
    assert again["Bcc"] is None
    assert len(again.get_all("Subject", [])) == 1
    assert raw.isascii()
    kinds = [part.get_content_type() for part in again.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_sasl_string_has_its_two_fields_and_no_more(user: str, token: str) -> None:
    try:
        line = sasl.xoauth2(user, token)
    except InputError as told:
        assert "\n" not in str(told)  # noqa: PT017
        return
    fields = base64.b64decode(line).decode().split("\x01")
    assert fields == [f"user={user}", f"auth=Bearer {token}", "", ""]


@given(st.text(max_size=40), st.text(min_size=1, max_size=40))
def test_an_oauthbearer_string_has_its_fields_and_no_more(user: str, token: str) -> None:
    try:
        line = sasl.oauthbearer(user, token, "localhost", 995)
    except InputError:
        return
    fields = base64.b64decode(line).decode().split("\x01")
    assert len(fields) == 6
    assert fields[0].startswith("n,a=")
    assert fields[0].count(",") == 2


@pytest.mark.parametrize("name", ["pop3", "imap", "smtp"])
@pytest.mark.parametrize("bad", ["a\r\nb", "a\nQUIT", "a\x00b", "a\x01auth=x", ""])
def test_no_login_is_tried_with_what_could_be_more_than_a_login(
    servers: dict[str, Hostile], name: str, bad: str
) -> None:
    from msoauth.mail.imap import ImapSession
    from msoauth.mail.smtp import SmtpSession

    server = servers[name]
    opener = {"pop3": Pop3Session.open, "imap": ImapSession.open, "smtp": SmtpSession.open}[name]
    for user, token in ((bad, TOKEN), (USER, bad)):
        with pytest.raises(InputError):
            opener(server.endpoint, user, token, ca_file=server.ca_file)
    assert not [line for line in server.peers[-1].received if b"AUTH " in line]


def test_a_command_with_a_line_in_it_never_leaves(servers: dict[str, Hostile]) -> None:
    with servers["imap"].open() as session:
        assert isinstance(session, ImapSession)
        for text in ("NOOP\r\nM9 LOGOUT", "NOOP\x00", "NOOP ü"):
            with pytest.raises(MsoauthError):
                session.connection.command(text)
    assert not [line for line in servers["imap"].peers[-1].received if b"NOOP" in line]

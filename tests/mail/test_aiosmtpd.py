"""Submission to aiosmtpd, a server that nobody here wrote and that runs everywhere."""

import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from msoauth.clouds import Endpoint
from msoauth.errors import InputError, MailError
from msoauth.mail.retry import RetryPolicy
from msoauth.mail.round_trip import compose_test_mail, send_with_retries
from msoauth.mail.smtp import SmtpSession
from msoauth.mail.transcript import Transcript
from tests.mail.hostile import TOKEN, USER
from tests.ports import reserved_port


class Mailbox:
    """Takes mail; may answer the first mails in other words."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.senders: list[tuple[str, list[str]]] = []
        self.answers: list[str] = []

    async def auth_XOAUTH2(self, server: Any, _words: list[str]) -> AuthResult:  # noqa: N802
        said = await server.challenge_auth("")
        return AuthResult(success=TOKEN.encode() in said, handled=False)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answers:
            return self.answers.pop(0)
        self.mails.append(bytes(envelope.content))
        self.senders.append((envelope.mail_from, [*envelope.rcpt_tos, *envelope.mail_options]))
        return "250 2.0.0 OK"


class Running:
    def __init__(self, port: int, ca_file: str, box: Mailbox) -> None:
        self.port, self.ca_file, self.box = port, ca_file, box

    def open(self, token: str = TOKEN, transcript: Transcript | None = None) -> SmtpSession:
        return SmtpSession.open(
            Endpoint("localhost", self.port, "starttls"),
            USER,
            token,
            transcript=transcript,
            timeout=20,
            ca_file=self.ca_file,
        )


@pytest.fixture(params=[True, False], ids=["SMTPUTF8", "ASCII only"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("localhost").configure_cert(context)
    box = Mailbox()

    class Server(Controller):
        def factory(self) -> SMTP:
            return SMTP(
                box,
                tls_context=context,
                auth_required=True,
                enable_SMTPUTF8=request.param,
                loop=self.loop,
            )

    with reserved_port() as port:
        controller = Server(box, hostname="127.0.0.1", port=port, ready_timeout=60)
        controller.start()
        try:
            yield Running(port, str(tmp_path / "ca.pem"), box)
        finally:
            controller.stop()


def test_the_mail_arrives_as_it_was_composed(server: Running) -> None:
    mail = compose_test_mail(USER, "ben@müller.example", "Grüße aus der Kanzlei: ä ö ü")
    transcript = Transcript()
    with server.open(transcript=transcript) as session:
        session.check_sender(USER)
    assert not server.box.senders
    with server.open(transcript=transcript) as session:
        session.send(mail, USER, ["ben@müller.example"])
    assert str(mail["Message-ID"]).encode() in server.box.mails[0]
    assert server.box.senders[0][0] == USER
    assert server.box.senders[0][1][0] == "ben@xn--mller-kva.example"
    assert TOKEN not in transcript.text()


def test_lines_with_dots_arrive_as_they_were(server: Running) -> None:
    mail = EmailMessage()
    mail["Subject"] = "dots"
    mail.set_content(".\n..\n...three\nend\n")
    with server.open() as session:
        session.send(mail, USER, [USER])
    assert server.box.mails[0].endswith(b"\r\n.\r\n..\r\n...three\r\nend\r\n")


def test_an_address_with_umlauts_needs_a_server_that_takes_them(
    server: Running, request: pytest.FixtureRequest
) -> None:
    mail = compose_test_mail(USER, "jürgen@contoso.example", "x")
    with server.open() as session:
        if "SMTPUTF8" in session.capabilities:
            session.send(mail, USER, ["jürgen@contoso.example"])
            assert "SMTPUTF8" in server.box.senders[0][1]
            assert "jürgen@contoso.example" in server.box.senders[0][1]
        else:
            with pytest.raises(InputError, match="umlauts"):
                session.send(mail, USER, ["jürgen@contoso.example"])
            assert not server.box.mails


def test_a_busy_server_gets_the_mail_once_when_it_has_time(server: Running) -> None:
    busy = "432 4.3.2 Concurrent connections limit exceeded"
    server.box.answers = [busy, busy]
    mail = compose_test_mail(USER, USER, "x")
    policy = RetryPolicy(99, sleep=lambda _seconds: False)
    send_with_retries(server.open, mail, USER, [USER], policy)
    assert len(server.box.mails) == 1
    assert policy.waited > 0
    server.box.answers = [busy] * 99
    with pytest.raises(MailError) as given_up:
        send_with_retries(
            server.open, mail, USER, [USER], RetryPolicy(3, sleep=lambda _seconds: False)
        )
    assert given_up.value.cause == "throttled"
    assert len(server.box.mails) == 1


def test_a_wrong_token_is_refused_at_its_stage(server: Running) -> None:
    with pytest.raises(MailError) as refused:
        server.open(token="another-token-of-another")
    assert (refused.value.stage, refused.value.cause) == ("authenticate", "mail-login-rejected")

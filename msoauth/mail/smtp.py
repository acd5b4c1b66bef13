"""SMTP submission with XOAUTH2: STARTTLS first, always."""

import socket
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.policy import SMTPUTF8 as SMTPUTF8_POLICY
from typing import Self

from msoauth.clouds import Endpoint
from msoauth.errors import InputError, MailError
from msoauth.mail import sasl, wire
from msoauth.mail.refusals import refusal
from msoauth.mail.wire import Transcript, Wire
from msoauth.redact import redact
from msoauth.texts import _


class SmtpSession:
    """An authenticated session."""

    def __init__(self, connection: Wire) -> None:
        self._wire = connection
        self.offered: dict[str, str] = {}

    @property
    def connection(self) -> Wire:
        """The connection below: its certificate's issuer, its timing."""
        return self._wire

    def log_in(self, user: str, access_token: str) -> None:
        """Log in. The connection is closed on failure.

        Raises:
            MailError: with the stage where it broke.
        """
        try:
            with self._wire.at("authenticate"):
                _authenticate(self, self._wire, user, access_token)
        except BaseException:
            self._wire.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self.close()

    def sender_accepted(self, address: str) -> None:
        """Have the server accept *address* as sender, then take it back: the smallest real act after a login.

        Raises:
            MailError: the sender was refused.
        """
        with self._wire.at("work"):
            self._expect(
                250,
                f"MAIL FROM:<{_envelope(address)}>",
                _("the sender {address} was refused").format(address=address),
            )
            self._expect(250, "RSET", _("the server refused to start over"))

    def send(self, message: EmailMessage, sender: str, recipients: Sequence[str]) -> str:
        """Send *message*; the server's closing reply, which holds its own id of the message.

        Raises:
            MailError: sender, a recipient or the message was refused; nothing was sent then.
            InputError: an address cannot be sent to in this protocol.
        """
        addresses = [_envelope(sender), *map(_envelope, recipients)]
        international = not all(address.isascii() for address in addresses)
        if international and "SMTPUTF8" not in self.offered:
            raise InputError(_("This server takes only addresses without umlauts."))
        policy = SMTPUTF8_POLICY if international else SMTP_POLICY
        content = message.as_bytes(policy=policy)
        limit = self.offered.get("SIZE", "")
        if limit.isdigit() and 0 < int(limit) < len(content):
            raise MailError(
                _("The message has {size} bytes; the server takes {limit}.").format(
                    size=len(content), limit=limit
                ),
                stage="work",
                cause="message-rejected",
            )
        options = f" SIZE={len(content)}" if "SIZE" in self.offered else ""
        options += " BODY=8BITMIME" if "8BITMIME" in self.offered and not content.isascii() else ""
        options += " SMTPUTF8" if international else ""
        with self._wire.at("work"):
            self._expect(
                250,
                f"MAIL FROM:<{addresses[0]}>{options}",
                _("the sender {address} was refused").format(address=sender),
            )
            for address in addresses[1:]:
                self._expect(
                    250,
                    f"RCPT TO:<{address}>",
                    _("the recipient {address} was refused").format(address=address),
                    also=251,
                )
            self._expect(354, "DATA", _("the server did not take the message"))
            body = content if content.endswith(b"\r\n") else content + b"\r\n"
            if body.startswith(b"."):
                body = b"." + body
            self._wire.transcript.remark(f"{len(body)} bytes sent")
            self._wire.send(body.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            code, text = self._reply()
            if code != 250:
                raise refusal(self._wire, text, _("the message was refused"))
            return redact(text)

    def _expect(self, code: int, command: str, why: str, *, also: int = 0) -> str:
        self._wire.command(command)
        got, text = self._reply()
        if got not in (code, also):
            raise refusal(self._wire, text, why)
        return text

    def _reply(self) -> tuple[int, str]:
        lines = []
        while True:
            line = self._wire.reply()
            if len(line) < 3 or not line[:3].isdigit():
                raise self._wire.failure(
                    _("the server answered out of turn"), "service-unavailable", line
                )
            lines.append(line)
            if line[3:4] != "-":
                return int(line[:3]), "\n".join(lines)
            if len(lines) > 200:
                raise self._wire.failure(
                    _("the server's answer does not end"), "service-unavailable", line
                )

    def hello(self) -> None:
        """Introduce ourselves and learn what the server offers; what was known before is forgotten (RFC 3207)."""
        text = self._expect(250, f"EHLO {_own_name()}", _("the server refused the greeting"))
        lines = [line[4:].strip() for line in text.splitlines()[1:]]
        self.offered = {
            name.upper(): rest
            for name, _blank, rest in (line.partition(" ") for line in lines)
            if name
        }

    def close(self) -> None:
        """Say QUIT and let go."""
        try:
            with self._wire.at("work"):
                self._wire.command("QUIT")
                self._wire.reply()
        except MailError:
            pass  # the work is done
        finally:
            self._wire.close()


def _envelope(address: str) -> str:
    """An address as it may stand in an SMTP command: nothing that could begin another."""
    if not address or any(ord(c) <= 32 or ord(c) == 127 or c in "<>" for c in address):
        raise InputError(
            _("“{address}” is not an address.").format(
                address="".join(c for c in address[:80] if c.isprintable())
            )
        )
    return address


def _own_name() -> str:
    """A name for EHLO that every server takes: Exchange answers 501 to one like ``MacBook..`` (facts E4)."""
    name = socket.getfqdn()
    good = name.isascii() and all(
        part and part.replace("-", "").isalnum() for part in name.split(".")
    )
    return name if good and "." in name else "[127.0.0.1]"


def greet_smtp(
    endpoint: Endpoint,
    *,
    transcript: Transcript | None = None,
    timeout: float = wire.TIMEOUT,
    ca_file: str | None = None,
) -> SmtpSession:
    """A session before its login: connected, greeted, encrypted, and what the server offers known.

    Raises:
        MailError: with the stage where it broke.
    """
    connection = wire.connect(endpoint, timeout=timeout, transcript=transcript, ca_file=ca_file)
    try:
        session = SmtpSession(connection)
        with connection.at("greeting"):
            code, text = session._reply()
            if code != 220:
                raise refusal(connection, text, _("the server turned the connection away"))
            session.hello()
        if endpoint.tls == "starttls":
            with connection.at("tls"):
                if "STARTTLS" not in session.offered:
                    raise connection.failure(_("the server offers no STARTTLS"), "tls-failed")
                session._expect(220, "STARTTLS", _("the server refused STARTTLS"))
            connection.start_tls()
            with connection.at("greeting"):
                session.hello()
    except BaseException:
        connection.close()
        raise
    return session


def open_smtp(
    endpoint: Endpoint,
    user: str,
    access_token: str,
    *,
    transcript: Transcript | None = None,
    timeout: float = wire.TIMEOUT,
    ca_file: str | None = None,
) -> SmtpSession:
    """Log in to an SMTP submission server, over TLS or not at all.

    Args:
        user: Who signed in; for a shared mailbox this is not the mailbox (facts/field).

    Raises:
        MailError: with the stage where it broke.
    """
    session = greet_smtp(endpoint, transcript=transcript, timeout=timeout, ca_file=ca_file)
    session.log_in(user, access_token)
    return session


def _authenticate(session: SmtpSession, connection: Wire, user: str, token: str) -> None:
    mechanisms = session.offered.get("AUTH", "").upper().split()
    bearer = "OAUTHBEARER" in mechanisms and "XOAUTH2" not in mechanisms
    if bearer:
        mechanism, line = (
            "OAUTHBEARER",
            sasl.oauthbearer(user, token, connection.endpoint.host, connection.endpoint.port),
        )
    else:
        mechanism, line = "XOAUTH2", sasl.xoauth2(user, token)
    session._expect(
        334,
        f"AUTH {mechanism}",
        _("the server does not take {mechanism}").format(mechanism=mechanism),
    )
    connection.command(line, shown=f"[{mechanism} string of {user}]")
    code, text = session._reply()
    said = None
    if code == 334:
        # Exchange goes straight to 535; others first say why, and wait for an empty line (RFC 7628).
        said = sasl.challenge(text[4:])
        connection.command("AQ==" if bearer else "")
        code, text = session._reply()
    if code != 235:
        raise refusal(connection, text, _("the login was refused"), challenge=said)

"""An SMTP submission session with XOAUTH2 (RFC 6409), always over TLS."""

import socket
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.policy import SMTPUTF8 as SMTPUTF8_POLICY

from msoauth.addresses import ascii_form
from msoauth.errors import InputError, MailError
from msoauth.explaining.voices import foreign_server
from msoauth.mail import sasl, unverified_facts
from msoauth.mail.connection import Connection, MailSession
from msoauth.mail.reply_errors import error_from_reply
from msoauth.redact import redact
from msoauth.texts import _

_REPLY_LINES = 200
_EXCHANGE_GREETING = " Microsoft ESMTP MAIL Service ready"


class SmtpSession(MailSession):
    """An SMTP session.

    Attributes:
        capabilities: The EHLO keywords in upper case, each with its parameters.
        is_exchange: Whether the server's greeting is that of Exchange (facts E4).
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.capabilities: dict[str, str] = {}
        self.is_exchange = False

    def _greet(self) -> None:
        connection = self.connection
        code, text = self._greeting()
        if code != 220:
            raise error_from_reply(connection, text, _("the server turned the connection away"))
        self.is_exchange = _EXCHANGE_GREETING in text
        self.hello()
        if connection.endpoint.tls == "starttls":
            connection.enter("tls")
            if "STARTTLS" not in self.capabilities:
                foreign = foreign_server(text)
                raise connection.failure(
                    _("another provider's mail server answers, and it offers no STARTTLS")
                    if foreign
                    else _("the server offers no STARTTLS"),
                    "other-provider" if foreign else "tls-failed",
                    text,
                )
            try:
                self._expect(220, "STARTTLS", _("the server refused STARTTLS"))
            except MailError as error:
                error.cause = "tls-failed" if error.cause == "unknown" else error.cause
                raise
            connection.start_tls()
            self.hello()

    def _greeting(self) -> tuple[int, str]:
        """Read the server's greeting; when there is none because the port expects TLS, the error says so."""
        connection = self.connection
        try:
            return self._reply()
        except MailError as error:
            if error.cause != "connect-timeout" or connection.endpoint.tls == "implicit":
                raise
            if not unverified_facts.port_expects_tls(
                connection.endpoint, timeout=connection.timeout
            ):
                raise
            raise connection.failure(
                _("the port begins with TLS, but plain text and then STARTTLS were expected"),
                "tls-failed",
                error.evidence,
            ) from None

    def _authenticate(self, user: str, token: str) -> None:
        connection = self.connection
        mechanisms = self.capabilities.get("AUTH", "").upper().split()
        login = sasl.login(mechanisms, user, token, connection.endpoint, connection.transcript)
        begin = f"AUTH {login.mechanism}"
        if self.is_exchange:
            # On one line, which saves a round trip (exchange-dev).
            connection.command(f"{begin} {login.line}", placeholder=f"{begin} {login.placeholder}")
        else:
            # In two steps: with a token, one line exceeds the command length of many servers.
            self._expect(
                334,
                begin,
                _("the server does not take {mechanism}").format(mechanism=login.mechanism),
            )
            connection.command(login.line, placeholder=login.placeholder)
        code, text = self._reply()
        challenge = None
        if code == 334:
            # Exchange answers 535 at once; others first send a challenge and wait for an empty line (RFC 7628).
            challenge = sasl.challenge(text[4:])
            connection.command(login.abort_response)
            code, text = self._reply()
        if code != 235:
            raise error_from_reply(
                connection, text, _("the login was refused"), challenge=challenge
            )

    def check_sender(self, address: str) -> None:
        """Check that the server accepts *address* as sender (MAIL FROM), the smallest command that proves a login.

        Afterwards the session can only be closed.

        Raises:
            MailError: the sender was refused.
            InputError: the address is not valid in SMTP.
        """
        sender = envelope(address)
        options = "" if sender.isascii() else self._smtputf8_option()
        self._expect(
            250,
            f"MAIL FROM:<{sender}>{options}",
            _("the sender {address} was refused").format(address=address),
        )

    def send(self, message: EmailMessage, sender: str, recipients: Sequence[str]) -> str:
        """Send *message*; returns the server's final reply, which holds its id of the message.

        Args:
            sender: The envelope sender, which may differ from the user who logged in (Send As).

        Raises:
            MailError: sender, a recipient or the message was refused; nothing was sent then. When the connection
                breaks after the final dot, the message may have been accepted, so the error is not ``retriable``.
            InputError: an address is not valid in SMTP.
        """
        addresses = [envelope(sender), *map(envelope, recipients)]
        if len(addresses) < 2:
            raise InputError(_("The message has no recipient."), field="to")
        international = not all(address.isascii() for address in addresses)
        options = self._smtputf8_option() if international else ""
        content = message.as_bytes(policy=SMTPUTF8_POLICY if international else SMTP_POLICY)
        limit = self.capabilities.get("SIZE", "")
        if limit.isdigit() and 0 < int(limit) < len(content):
            raise self.connection.failure(
                _("the message has {size} bytes; the server takes {limit}").format(
                    size=len(content), limit=limit
                ),
                "message-rejected",
                f"SIZE {limit}",
            )
        if not content.isascii() and "8BITMIME" in self.capabilities:
            options += " BODY=8BITMIME"
        if "SIZE" in self.capabilities:
            options += f" SIZE={len(content)}"
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
        return self._send_content(content)

    def _send_content(self, content: bytes) -> str:
        body = content if content.endswith(b"\r\n") else content + b"\r\n"
        if body.startswith(b"."):
            body = b"." + body
        stuffed = body.replace(b"\r\n.", b"\r\n..")
        self.connection.send(stuffed)
        self.connection.transcript.remark(f"{len(stuffed)} bytes sent")
        try:
            self.connection.send(b".\r\n")
            code, text = self._reply()
        except MailError as error:
            error.retriable = False  # it may have been accepted: never send it twice
            raise
        if code < 400 and code != 250:
            raise self.connection.unexpected_reply(text)
        if code != 250:
            raise error_from_reply(self.connection, text, _("the message was refused"))
        return redact(text)

    def _smtputf8_option(self) -> str:
        if "SMTPUTF8" not in self.capabilities:
            raise InputError(_("This server takes only addresses without umlauts."))
        return " SMTPUTF8"

    def _expect(self, code: int, command: str, why: str, *, also: int = 0) -> str:
        self.connection.command(command, unicode="SMTPUTF8" in self.capabilities)
        status, text = self._reply()
        if status in (code, also):
            return text
        if status < 400:  # not an answer to this command
            raise self.connection.unexpected_reply(text)
        raise error_from_reply(self.connection, text, why)

    def _reply(self) -> tuple[int, str]:
        lines: list[str] = []
        while True:
            line = self.connection.reply()
            code = line[:3]
            if not (code.isascii() and code.isdigit() and len(code) == 3) or (
                lines and code != lines[0][:3]
            ):
                raise self.connection.unexpected_reply(line)
            lines.append(line)
            if line[3:4] != "-":
                return int(code), "\n".join(lines)
            if len(lines) > _REPLY_LINES:
                raise self.connection.failure(
                    _("the server's answer does not end"), "service-unavailable", line
                )

    def hello(self) -> None:
        """Send EHLO and read the server's keywords, instead of those from before STARTTLS (RFC 3207).

        Raises:
            MailError: the server refused.
        """
        self.capabilities = {}
        text = self._expect(250, f"EHLO {_ehlo_name()}", _("the server refused the greeting"))
        lines = [line[4:].strip() for line in text.splitlines()[1:]]
        # Some old servers write AUTH=LOGIN.
        pairs = (line.replace("AUTH=", "AUTH ", 1).partition(" ") for line in lines if line)
        for name, _blank, rest in pairs:
            previous = self.capabilities.get(name.upper())
            self.capabilities[name.upper()] = f"{previous} {rest}" if previous else rest

    def _say_goodbye(self) -> None:
        self.connection.command("QUIT")
        self.connection.reply()


def envelope(address: str) -> str:
    """Check an address and return it in the form for an SMTP command, without blanks, brackets or control characters.

    Raises:
        InputError: it is not an address.
    """
    address = ascii_form(address)
    if (
        not address.isprintable()
        or any(c.isspace() or c in "<>" for c in address)
        or not all(address.rpartition("@"))
    ):
        raise InputError(_("“{address}” is not an address.").format(address=redact(address, 80)))
    return address


def _ehlo_name() -> str:
    """A name for EHLO that every server accepts; Exchange answers 501 to one like ``MacBook..`` (facts E4)."""
    name = socket.gethostname()  # getfqdn() could wait half a minute for DNS
    is_valid = name.isascii() and all(
        part and part.replace("-", "").isalnum() for part in name.split(".")
    )
    return name if is_valid and "." in name else "[127.0.0.1]"

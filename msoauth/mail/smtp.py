"""An SMTP submission session with XOAUTH2 (RFC 6409), always over TLS."""

import socket
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.policy import SMTPUTF8 as SMTPUTF8_POLICY
from enum import IntEnum

from msoauth.addresses import ascii_form
from msoauth.errors import InputError, MailError, Stage
from msoauth.mail import unverified_facts
from msoauth.mail.connection import Connection
from msoauth.mail.session import MailSession, Reply, ReplyStatus
from msoauth.redact import redact
from msoauth.texts import _

_REPLY_LINES = 200
_EXCHANGE_GREETING = " Microsoft ESMTP MAIL Service ready"


class SmtpCode(IntEnum):
    """The codes of the replies that carry a command out (RFC 5321, 4.2.3; RFC 4954, 4)."""

    READY = 220
    AUTHENTICATED = 235
    OK = 250
    WILL_FORWARD = 251
    START_MAIL = 354


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
        self._greeting_text = ""
        self._awaited: tuple[SmtpCode, ...] = (SmtpCode.READY,)

    def _greeting(self) -> Reply:
        """Read the server's greeting; when there is none because the port expects TLS, the error says so."""
        connection = self.connection
        try:
            greeting = self._reply()
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
        self.is_exchange = _EXCHANGE_GREETING in greeting.text
        self._greeting_text = greeting.text
        return greeting

    def _ask_for_tls(self) -> Reply:
        self._read_capabilities()  # STARTTLS comes after EHLO
        if "STARTTLS" not in self.capabilities:
            self.connection.enter(Stage.TLS)
            return Reply(ReplyStatus.REFUSED, self._greeting_text)
        self._awaited = (SmtpCode.READY,)
        return super()._ask_for_tls()

    def _login_offers(self) -> tuple[list[str], bool]:
        self._awaited = (SmtpCode.AUTHENTICATED,)
        # With a token, one line exceeds the length of a command at many servers, but not at Exchange (exchange-dev).
        return self.capabilities.get("AUTH", "").upper().split(), self.is_exchange

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
            SmtpCode.OK,
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
            SmtpCode.OK,
            f"MAIL FROM:<{addresses[0]}>{options}",
            _("the sender {address} was refused").format(address=sender),
        )
        for address in addresses[1:]:
            self._expect(
                SmtpCode.OK,
                f"RCPT TO:<{address}>",
                _("the recipient {address} was refused").format(address=address),
                SmtpCode.WILL_FORWARD,
            )
        self._expect(SmtpCode.START_MAIL, "DATA", _("the server did not take the message"))
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
            self._awaited = (SmtpCode.OK,)
            reply = self._reply()
        except MailError as error:
            error.retriable = False  # it may have been accepted: never send it twice
            raise
        if not reply.ok:
            raise self._error(reply, _("the message was refused"))
        return redact(reply.text)

    def _smtputf8_option(self) -> str:
        if "SMTPUTF8" not in self.capabilities:
            raise InputError(_("This server takes only addresses without umlauts."))
        return " SMTPUTF8"

    def _expect(self, code: SmtpCode, command: str, why: str, *also: SmtpCode) -> str:
        self._awaited = (code, *also)
        reply = self._ask(command)
        if not reply.ok:
            raise self._error(reply, why)
        return reply.text

    def _read_reply(self) -> Reply:
        lines: list[str] = []
        more = True
        while more:
            line = self.connection.reply()
            code, more = parse_line(line)
            if lines and line[:3] != lines[0][:3]:
                raise ValueError(line)
            lines.append(line)
            if len(lines) > _REPLY_LINES:
                raise self.connection.failure(
                    _("the server's answer does not end"), "service-unavailable", line
                )
        if code < 300 and code not in self._awaited:
            raise ValueError(line)
        status = ReplyStatus.CONTINUE if code < 400 else ReplyStatus.REFUSED
        return Reply(
            ReplyStatus.OK if code in self._awaited else status, "\n".join(lines), line[4:]
        )

    def _read_capabilities(self) -> None:
        """Send EHLO and read the server's keywords, instead of those from before STARTTLS (RFC 3207).

        Raises:
            MailError: the server refused.
        """
        self.capabilities = {}
        text = self._expect(
            SmtpCode.OK, f"EHLO {_ehlo_name()}", _("the server refused the greeting")
        )
        lines = [line[4:].strip() for line in text.splitlines()[1:]]
        # Some old servers write AUTH=LOGIN.
        pairs = (line.replace("AUTH=", "AUTH ", 1).partition(" ") for line in lines if line)
        for name, _blank, rest in pairs:
            previous = self.capabilities.get(name.upper())
            self.capabilities[name.upper()] = f"{previous} {rest}" if previous else rest
        self._sends_unicode = "SMTPUTF8" in self.capabilities


def parse_line(line: str) -> tuple[int, bool]:
    """The code in a line of a reply, and whether more lines of it follow.

    Example: ``250-SIZE 157286400`` gives ``(250, True)``.

    Raises:
        ValueError: it is no line of a reply.
    """
    code = line[:3]
    if not (code.isascii() and code.isdigit() and len(code) == 3):
        raise ValueError(line)
    return int(code), line[3:4] == "-"


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

"""The course of a session, the same for POP3, IMAP and SMTP: connect, greet, encrypt, log in, close."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from enum import Enum, auto
from typing import NamedTuple, Self, TypedDict, Unpack

from msoauth.clouds import Endpoint
from msoauth.errors import MailError, Stage
from msoauth.explaining.voices import foreign_server
from msoauth.mail import sasl
from msoauth.mail.connection import TIMEOUT, Connection
from msoauth.mail.reply_errors import error_from_reply
from msoauth.mail.transcript import Transcript
from msoauth.texts import _


class ConnectionOptions(TypedDict, total=False):
    """Options of a connection.

    Attributes:
        transcript: Where it is recorded; None for a new one.
        timeout: Seconds that each stage may take.
        ca_file: A PEM file to trust instead of the operating system's store.
        cancelled: Set it to end any wait of the connection.
        family: Connect over ``IPv6`` or ``IPv4`` only; empty for whichever answers first.
    """

    transcript: Transcript | None
    timeout: float
    ca_file: str | None
    cancelled: threading.Event | None
    family: str


class ReplyStatus(Enum):
    """What a reply means, in each of the protocols: done, more is wanted, or refused."""

    OK = auto()
    CONTINUE = auto()
    REFUSED = auto()


class Reply(NamedTuple):
    """A server's reply to a command.

    Attributes:
        text: The reply as it came.
        challenge: What follows the status of a reply that wants more (SASL).
    """

    status: ReplyStatus
    text: str
    challenge: str = ""

    @property
    def ok(self) -> bool:
        """Whether the command was carried out."""
        return self.status is ReplyStatus.OK


class MailSession(ABC):
    """The base of the POP3, IMAP and SMTP sessions.

    Attributes:
        connection: Its connection, which holds the certificate's issuer and the seconds of each stage.
    """

    _starttls, _auth, _goodbye = "STARTTLS", "AUTH", "QUIT"  # the protocol's commands
    _sends_unicode = False
    _may_be_interrupted = False  # by what the server says unasked
    _unread = 0  # replies that were asked for and not read: the next bytes are theirs

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @classmethod
    def connect(cls, endpoint: Endpoint, **options: Unpack[ConnectionOptions]) -> Self:
        """Open a session without logging in: connect, encrypt, read the greeting and the server's capabilities.

        Raises:
            MailError: with the stage where it failed.
        """
        connection = Connection(
            endpoint,
            options.get("transcript") or Transcript(),
            options.get("timeout", TIMEOUT),
            options.get("ca_file"),
            options.get("cancelled"),
            options.get("family", ""),
        )
        try:
            connection.open()
            session = cls(connection)
            session._greet()
        except BaseException:
            connection.close()
            raise
        return session

    @classmethod
    def open(
        cls, endpoint: Endpoint, user: str, access_token: str, **options: Unpack[ConnectionOptions]
    ) -> Self:
        """Open a session and log in: :meth:`connect`, then :meth:`log_in`."""
        session = cls.connect(endpoint, **options)
        session.log_in(user, access_token)
        return session

    def _greet(self) -> None:
        connection = self.connection
        greeting = self._greeting()
        if not greeting.ok:
            raise error_from_reply(
                connection, greeting.text, _("the server turned the connection away")
            )
        if connection.endpoint.tls == "starttls":
            reply = self._ask_for_tls()
            if not reply.ok:
                foreign = foreign_server(reply.text)
                error = error_from_reply(
                    connection,
                    reply.text,
                    _("another provider's mail server answers, and it offers no STARTTLS")
                    if foreign
                    else _("the server offers no STARTTLS"),
                )
                if foreign or error.cause == "unknown":
                    error.cause = "other-provider" if foreign else "tls-failed"
                raise error
            connection.start_tls()
        self._read_capabilities()

    def _greeting(self) -> Reply:
        """Read the server's greeting."""
        return self._reply()

    def _ask_for_tls(self) -> Reply:
        self.connection.enter(Stage.TLS)
        return self._ask(self._starttls)

    @abstractmethod
    def _read_capabilities(self) -> None:
        """Ask for the server's capabilities."""

    def log_in(self, user: str, access_token: str) -> None:
        """Log in, and verify that the mailbox opens where the protocol allows it; close the connection on failure.

        Args:
            user: For POP3 and IMAP the mailbox, for a shared one too; for SMTP the user who signed in (exchange-dev).

        Raises:
            MailError: with the stage where it failed.
            InputError: the user name or the token cannot be sent.
        """
        try:
            self.connection.enter(Stage.AUTHENTICATE)
            self._authenticate(user, access_token)
            self._verify_login()
            self.connection.enter(Stage.WORK)
        except BaseException:
            self.connection.close()
            raise

    def _authenticate(self, user: str, token: str) -> None:
        connection = self.connection
        mechanisms, at_once = self._login_offers()
        login = sasl.login(mechanisms, user, token, connection.endpoint, connection.transcript)
        begin = f"{self._auth} {login.mechanism}"
        if at_once:
            reply = self._ask(f"{begin} {login.line}", f"{begin} {login.placeholder}")
        else:
            reply = self._ask(begin)
            if reply.status is not ReplyStatus.CONTINUE:
                raise self._error(
                    reply,
                    _("the server does not take {mechanism}").format(mechanism=login.mechanism),
                )
            reply = self._exchange(login.line, login.placeholder)
        if reply.ok:
            return
        challenge = None
        if reply.status is ReplyStatus.CONTINUE:
            # Exchange's SMTP answers 535 at once; others wait for an answer to their challenge (RFC 7628).
            challenge = sasl.challenge(reply.challenge)
            reply = self._exchange(login.abort_response)
        raise self._error(reply, _("the login was refused"), challenge=challenge)

    def _error(self, reply: Reply, why: str, *, challenge: str | None = None) -> MailError:
        """The error for another reply than the one that was expected."""
        if reply.status is ReplyStatus.REFUSED:
            return error_from_reply(self.connection, reply.text, why, challenge=challenge)
        return self.connection.unexpected_reply(reply.text)

    @abstractmethod
    def _login_offers(self) -> tuple[Iterable[str], bool]:
        """The SASL mechanisms that the server offers, in upper case.

        Returns:
            Also whether the SASL string may stand on the line of the command, which saves a round trip.
        """

    def _verify_login(self) -> None:  # noqa: B027 - SMTP has no mailbox
        """Check that the mailbox opens: Exchange also accepts logins to mailboxes that it then does not open."""

    def _ask(self, command: str, placeholder: str | None = None) -> Reply:
        """Send a command and read the reply to it.

        Args:
            placeholder: What the transcript shows in its place, where the command holds a secret.
        """
        return self._exchange(command, placeholder)

    def _exchange(self, line: str, placeholder: str | None = None) -> Reply:
        """Send a line as it is, a command or the answer to a challenge, and read the reply to it."""
        self.connection.command(
            line,
            placeholder=placeholder,
            unicode=self._sends_unicode,
            require_silence=not self._may_be_interrupted,
        )
        return self._reply()

    def _reply(self) -> Reply:
        """Read the reply to what was sent."""
        try:
            return self._read_reply()
        except ValueError as problem:
            raise self.connection.unexpected_reply(str(problem)) from None

    @abstractmethod
    def _read_reply(self) -> Reply:
        """Read a reply; raises ValueError with what is none."""

    def close(self) -> None:
        """End the session and close the connection."""
        try:
            if not self._unread:
                self._ask(self._goodbye)
        except MailError:
            pass  # nothing is left to do: a server may disconnect early
        finally:
            self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_args: object) -> None:
        self.close()

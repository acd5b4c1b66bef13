"""POP3 with XOAUTH2: log in, count, list, retrieve. There is no command here that deletes."""

from collections.abc import Iterator, Sequence
from typing import Self

from msoauth.clouds import Endpoint
from msoauth.errors import MailError
from msoauth.mail import sasl, wire
from msoauth.mail.refusals import refusal
from msoauth.mail.wire import Transcript, Wire
from msoauth.texts import _

_WINDOW = 50  # commands under way at once, where the server offers PIPELINING


class Pop3Session:
    """A session in TRANSACTION state. Message numbers count from 1, the oldest first."""

    def __init__(self, connection: Wire, count: int, size: int) -> None:
        self._wire = connection
        self.count = count
        self.size = size
        self.pipelining = False
        self.capabilities: dict[str, list[str]] = {}

    @property
    def connection(self) -> Wire:
        """The connection below: its certificate's issuer, its timing."""
        return self._wire

    def log_in(self, user: str, access_token: str) -> None:
        """Log in and prove it with STAT: an accepted AUTH proves nothing. The connection is closed on failure.

        Raises:
            MailError: with the stage where it broke.
        """
        connection = self._wire
        try:
            with connection.at("authenticate"):
                _authenticate(connection, self.capabilities, user, access_token)
                connection.command("STAT")
                if not self._positive():
                    raise refusal(
                        connection,
                        self._last,
                        _("the login was accepted, but the mailbox could not be opened"),
                    )
                words = self._last.split()
                if len(words) < 3 or not (words[1].isdigit() and words[2].isdigit()):
                    raise connection.failure(
                        _("the server's STAT makes no sense"), "service-unavailable", self._last
                    )
                self.count, self.size = int(words[1]), int(words[2])
        except BaseException:
            connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self.close()

    def stat(self) -> tuple[int, int]:
        """Number of messages, and their bytes, as the server said right after the login."""
        return self.count, self.size

    def sizes(self) -> dict[int, int]:
        """Bytes of each message by its number."""
        with self._wire.at("work"):
            return dict(_pair(line) for line in self._many("LIST"))

    def uidl(self) -> dict[int, str]:
        """The unique id of each message by its number; empty when the server keeps none."""
        with self._wire.at("work"):
            self._wire.command("UIDL")
            if not self._positive():
                return {}
            found = {}
            for line in self._lines():
                number, blank, uid = line.partition(b" ")
                if blank and number.isdigit():
                    found[int(number)] = uid.strip().decode("ascii", "replace")
            return found

    def retrieve(self, numbers: Sequence[int]) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Messages one after another, each as its lines (CRLF kept), streamed: consume one before the next."""
        yield from self._each([(number, f"RETR {number}") for number in numbers])

    def top(self, numbers: Sequence[int], lines: int = 0) -> Iterator[tuple[int, Iterator[bytes]]]:
        """The headers of messages, and so many lines of each body, in the same way."""
        yield from self._each([(number, f"TOP {number} {lines}") for number in numbers])

    def _each(self, commands: Sequence[tuple[int, str]]) -> Iterator[tuple[int, Iterator[bytes]]]:
        window = _WINDOW if self.pipelining else 1
        sent = 0
        for done, (number, command) in enumerate(commands):
            with self._wire.at("work"):
                if sent == done:
                    batch = [text for _number, text in commands[sent : sent + window]]
                    for text in batch:
                        self._wire.transcript.client(text)
                    self._wire.send("".join(f"{text}\r\n" for text in batch).encode())
                    sent += len(batch)
                if not self._positive():
                    raise refusal(
                        self._wire, self._last, _("{command} was refused").format(command=command)
                    )
            body = self._body()
            yield number, body
            for (
                _rest
            ) in body:  # whoever stopped reading in the middle must not shift the next reply
                pass

    def _body(self) -> Iterator[bytes]:
        size = 0
        with self._wire.at("work"):
            for line in self._lines():
                size += len(line) + 2
                yield line + b"\r\n"
            self._wire.transcript.remark(f"{size} bytes received")

    def _many(self, command: str) -> list[bytes]:
        self._wire.command(command)
        if not self._positive():
            raise refusal(
                self._wire, self._last, _("{command} was refused").format(command=command)
            )
        return [*self._lines()]

    def _lines(self) -> Iterator[bytes]:
        while (line := self._wire.line()) != b".":
            yield line[1:] if line.startswith(b".") else line

    def _positive(self) -> bool:
        self._last = self._wire.reply()
        if self._last.startswith("+OK"):
            return True
        if self._last.startswith("-ERR"):
            return False
        raise self._wire.failure(
            _("the server answered out of turn"), "service-unavailable", self._last
        )

    def close(self) -> None:
        """Say QUIT and let go. Nothing was marked, so QUIT deletes nothing."""
        try:
            with self._wire.at("work"):
                self._wire.command("QUIT")
                self._wire.reply()
        except MailError:
            pass  # the work is done; a server that hangs up early took nothing away
        finally:
            self._wire.close()


def _pair(line: bytes) -> tuple[int, int]:
    number, _blank, rest = line.partition(b" ")
    size = rest.split(b" ")[0]
    return (int(number), int(size)) if number.isdigit() and size.isdigit() else (0, 0)


def greet_pop3(
    endpoint: Endpoint,
    *,
    transcript: Transcript | None = None,
    timeout: float = wire.TIMEOUT,
    ca_file: str | None = None,
) -> Pop3Session:
    """A session before its login: connected, encrypted, greeted, and its capabilities known.

    Raises:
        MailError: with the stage where it broke.
    """
    connection = wire.connect(endpoint, timeout=timeout, transcript=transcript, ca_file=ca_file)
    try:
        session = Pop3Session(connection, 0, 0)
        with connection.at("greeting"):
            if not session._positive():
                raise refusal(connection, session._last, _("the server turned the connection away"))
            session.capabilities = _capabilities(session, connection)
        session.pipelining = "PIPELINING" in session.capabilities
    except BaseException:
        connection.close()
        raise
    return session


def open_pop3(
    endpoint: Endpoint,
    user: str,
    access_token: str,
    *,
    transcript: Transcript | None = None,
    timeout: float = wire.TIMEOUT,
    ca_file: str | None = None,
) -> Pop3Session:
    """Connect and log in over POP3.

    Args:
        user: The mailbox, for a shared one too (exchange-dev).

    Raises:
        MailError: with the stage where it broke.
    """
    session = greet_pop3(endpoint, transcript=transcript, timeout=timeout, ca_file=ca_file)
    session.log_in(user, access_token)
    return session


def _capabilities(session: Pop3Session, connection: Wire) -> dict[str, list[str]]:
    connection.command("CAPA")
    if not session._positive():
        return {}
    words = [line.decode("ascii", "replace").upper().split() for line in session._lines()]
    return {w[0]: w[1:] for w in words if w}


def _authenticate(
    connection: Wire,
    capabilities: dict[str, list[str]],
    user: str,
    token: str,
) -> None:
    offered = capabilities.get("SASL", [])
    bearer = "OAUTHBEARER" in offered and "XOAUTH2" not in offered
    if bearer:
        mechanism, line = (
            "OAUTHBEARER",
            sasl.oauthbearer(user, token, connection.endpoint.host, connection.endpoint.port),
        )
    else:
        mechanism, line = "XOAUTH2", sasl.xoauth2(user, token)
    # Two steps always: on one line it is longer than a POP3 command may be, and Exchange hangs up.
    connection.command(f"AUTH {mechanism}")
    reply = connection.reply()
    if not reply.startswith("+") or reply.startswith("+OK"):
        raise refusal(
            connection, reply, _("the server does not take {mechanism}").format(mechanism=mechanism)
        )
    connection.command(line, shown=f"[{mechanism} string of {user}]")
    reply = connection.reply()
    said = None
    if reply.startswith("+") and not reply.startswith("+OK"):
        said = sasl.challenge(reply[1:])
        connection.command("AQ==" if bearer else "")
        reply = connection.reply()
    if not reply.startswith("+OK"):
        raise refusal(connection, reply, _("the login was refused"), challenge=said)

"""POP3 with XOAUTH2: log in, count, list, retrieve. What deletes is one method of a long name that nothing here calls."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Self, Unpack

from msoauth.clouds import Endpoint
from msoauth.errors import InputError, MailError
from msoauth.mail import headers, sasl
from msoauth.mail.connection import Connection, ConnectionOptions, connect
from msoauth.mail.reply_errors import error_from_reply
from msoauth.texts import _

# Under way at once where the server offers PIPELINING: enough to fill a line of 100 ms and 300 Mbit/s,
# little enough that a break costs little.
_WINDOW = 128  # commands
LINES = 5_000_000  # of a listing
_WINDOW_BYTES = 4 << 20  # bytes of messages, by the sizes that LIST told


class Pop3Session:
    """A session. Message numbers count from 1, the oldest first.

    Attributes:
        connection: What it goes over: the certificate's issuer, the seconds of each stage.
        count: Number of messages, as the server said right after the login.
        size: Their bytes.
        refused: What the server said of messages that it did not hand over, by number.
    """

    def __init__(self, connection: Connection, count: int = 0, size: int = 0) -> None:
        self.connection = connection
        self._sizes: dict[int, int] = {}
        self._under_way = 0
        self._exact = False
        self._last = ""
        self.count = count
        self.size = size
        self.pipelining = False
        self.capabilities: dict[str, list[str]] = {}
        self.refused: dict[int, str] = {}

    def log_in(self, user: str, access_token: str) -> None:
        """Log in and prove it with STAT: an accepted AUTH proves nothing. The connection is closed on failure.

        Args:
            user: The mailbox, for a shared one too (exchange-dev).

        Raises:
            MailError: with the stage where it broke.
            InputError: the user name or the token cannot be sent.
        """
        try:
            self.connection.enter("authenticate")
            self._authenticate(user, access_token)
            self.connection.command("STAT")
            if not self._positive():
                raise error_from_reply(
                    self.connection,
                    self._last,
                    _("the login was accepted, but the mailbox could not be opened"),
                )
            words = self._last.split()
            if len(words) < 3 or not (_number(words[1]) and _number(words[2])):
                raise self.connection.failure(
                    _("the server's STAT makes no sense"), "service-unavailable", self._last
                )
            self.count, self.size = int(words[1]), int(words[2])
            self.connection.enter("work")
        except BaseException:
            self.connection.close()
            raise

    def ask_capabilities(self) -> dict[str, list[str]]:
        """What the server offers (CAPA), each with its arguments; empty where it knows no CAPA.

        Raises:
            MailError: the conversation broke.
        """
        if not self._ask("CAPA"):
            return {}
        words = [line.decode("ascii", "replace").upper().split() for line in self._lines()]
        return {w[0]: w[1:] for w in words if w}

    def _authenticate(self, user: str, token: str) -> None:
        connection = self.connection
        login = sasl.login(
            self.capabilities.get("SASL", ()),
            user,
            token,
            connection.endpoint,
            connection.transcript,
        )
        # Two steps always: on one line it is longer than a POP3 command may be, and Exchange hangs up.
        connection.command(f"AUTH {login.mechanism}")
        reply = connection.reply()
        if not _continues(reply):
            raise error_from_reply(
                connection,
                reply,
                _("the server does not take {mechanism}").format(mechanism=login.mechanism),
            )
        connection.command(login.line, shown=login.shown)
        reply = connection.reply()
        said = None
        if _continues(reply):
            said = sasl.challenge(reply[1:])
            connection.command(login.dismissal)
            reply = connection.reply()
        if not reply.startswith("+OK"):
            raise error_from_reply(connection, reply, _("the login was refused"), challenge=said)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self.close()

    def stat(self) -> tuple[int, int]:
        """Number of messages, and their bytes, as the server said right after the login."""
        return self.count, self.size

    def sizes(self) -> dict[int, int]:
        """Bytes of each message by its number, as far as the server knows them."""
        if not self._ask("LIST"):
            raise error_from_reply(
                self.connection, self._last, _("{command} was refused").format(command="LIST")
            )
        self._sizes = {
            int(number): int(size)
            for number, size in self._pairs()
            if _number(number) and _number(size)
        }
        return dict(self._sizes)

    def uidl(self) -> dict[int, str]:
        """The unique id of each message by its number; empty when the server keeps none."""
        if not self._ask("UIDL"):
            return {}
        return {int(number): uid for number, uid in self._pairs() if _number(number) and uid}

    def retrieve(self, numbers: Sequence[int]) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Messages one after another, each in pieces, streamed byte for byte: consume one before the next.

        A message that the server does not hand over is left out and noted in ``refused``.
        """
        yield from self._each([(number, f"RETR {number}") for number in numbers], self._sizes)

    def top(self, numbers: Sequence[int], lines: int = 0) -> Iterator[tuple[int, Iterator[bytes]]]:
        """The headers of messages, and so many lines of each body, in the same way."""
        yield from self._each([(number, f"TOP {number} {lines}") for number in numbers], {})

    def latest_message_date(self) -> datetime | None:
        """When the latest message arrived, in UTC; None when there is none, or it has no readable date.

        Raises:
            MailError: the connection broke.
        """
        for _number, pieces in self.top([self.count] if self.count else []):
            return headers.arrival_date(b"".join(pieces))
        return None

    def _each(
        self, commands: Sequence[tuple[int, str]], sizes: Mapping[int, int]
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        sent = expected = 0
        for done, (number, _command) in enumerate(commands):
            self._under_way = sent - done
            # The window is filled anew when it is half empty: many commands in one packet.
            if sent == done:
                self.connection.expect_silence()
            if sent == done or (
                self.pipelining and self._under_way < _WINDOW // 2 and expected < _WINDOW_BYTES // 2
            ):
                batch = []
                while sent < len(commands) and (
                    sent == done
                    or (self.pipelining and sent - done < _WINDOW and expected < _WINDOW_BYTES)
                ):
                    batch.append(commands[sent][1])
                    expected += sizes.get(commands[sent][0], 0)
                    sent += 1
                for text in batch:
                    self.connection.transcript.own("C", text)
                self.connection.send("".join(f"{text}\r\n" for text in batch).encode())
                self._under_way = sent - done
            expected -= sizes.get(number, 0)
            if not self._positive():
                self._refused(number)
                continue
            body = self._body()
            yield number, body
            for _rest in body:
                pass  # whoever stopped reading in the middle must not shift the next reply
        self._under_way = 0
        self.connection.expect_silence()

    def doubtful(self, number: int, size: int) -> bool:
        """Whether a message of this size may be another's: of a server that answered something twice, say.

        Commands that are under way at once are told apart by their order alone, so the sizes of LIST are
        the only witness; of servers that do not know them exactly they are none.
        """
        if not self.pipelining or self._sizes.get(number) is None:
            return False
        if self._sizes[number] == size:
            self._exact = True
            return False
        return self._exact

    def _refused(self, number: int) -> None:
        said = error_from_reply(
            self.connection, self._last, _("message {n} was refused").format(n=number)
        )
        if said.retriable:
            raise said
        self.refused[number] = self._last

    def _body(self) -> Iterator[bytes]:
        size = 0
        for piece in self.connection.block():
            size += len(piece)
            yield piece
        self.connection.transcript.own("-", f"{size} bytes received")

    def _ask(self, command: str) -> bool:
        self.connection.command(command)
        return self._positive()

    def _pairs(self) -> Iterator[tuple[str, str]]:
        for line in self._lines():
            number, _blank, rest = line.decode("utf-8", "replace").strip().partition(" ")
            yield number, rest.strip().partition(" ")[0]

    def _lines(self) -> Iterator[bytes]:
        count = 0
        while (line := self.connection.line()) != b".":
            count += 1
            if count > LINES:
                raise self.connection.failure(
                    _("the server's answer does not end"), "service-unavailable"
                )
            yield line[1:] if line.startswith(b".") else line
        if count:
            self.connection.transcript.remark(f"{count} lines received")

    def _positive(self) -> bool:
        self._last = self.connection.reply()
        if self._last.startswith("+OK"):
            return True
        if self._last.startswith("-ERR"):
            return False
        raise self.connection.failure(
            _("the server answered out of turn"), "service-unavailable", self._last
        )

    def delete_from_server_for_good(self, uids: Collection[str]) -> None:
        """Delete the messages of these unique ids from the mailbox. No command or panel of msoauth calls this.

        The server deletes when the session is ended in good order, which this does: all or nothing.

        Raises:
            InputError: an id is not there, or is that of more than one message; nothing is deleted then.
            MailError: the server refused, or the conversation broke.
        """
        known = self.uidl()
        numbers = []
        for uid in uids:
            found = [number for number, candidate in known.items() if candidate == uid]
            if len(found) != 1:
                raise InputError(
                    _("{n} messages have the unique id “{uid}”; nothing was deleted.").format(
                        n=len(found), uid=uid
                    )
                )
            numbers += found
        for number in numbers:
            if not self._ask(f"DELE {number}"):
                reason = error_from_reply(
                    self.connection, self._last, _("the deletion was refused")
                )
                self.connection.close()  # without QUIT: what was marked before stays
                raise reason
        try:
            if not self._ask("QUIT"):
                raise error_from_reply(self.connection, self._last, _("the deletion was refused"))
        finally:
            self.connection.close()

    def close(self, *, wait: bool = True) -> None:
        """Say QUIT and let go. Nothing was marked, so QUIT deletes nothing.

        Args:
            wait: For the answer, which tells nothing but takes a round trip.
        """
        try:
            if not self._under_way:  # else what comes next is a message, not an answer to QUIT
                self.connection.command("QUIT")
                if wait:
                    self.connection.reply()
        except MailError:
            pass  # the work is done; a server that hangs up early took nothing away
        finally:
            self.connection.close()


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _continues(reply: str) -> bool:
    return reply.startswith("+") and not reply.startswith("+OK")


def greet_pop3(
    endpoint: Endpoint,
    *,
    capabilities: dict[str, list[str]] | None = None,
    **options: Unpack[ConnectionOptions],
) -> Pop3Session:
    """A session before its login: connected, encrypted, greeted, and its capabilities known.

    Args:
        capabilities: Those that this server told a moment ago; it is not asked again, which saves a round trip.

    Raises:
        MailError: with the stage where it broke.
    """
    connection = connect(endpoint, **options)
    try:
        session = Pop3Session(connection)
        connection.enter("greeting")
        if not session._positive():
            raise error_from_reply(
                connection, session._last, _("the server turned the connection away")
            )
        if endpoint.tls == "starttls":
            if not session._ask("STLS"):
                raise connection.failure(
                    _("the server offers no STARTTLS"), "tls-failed", session._last
                )
            connection.start_tls()
            connection.enter("greeting")
        session.capabilities = session.ask_capabilities() if capabilities is None else capabilities
        session.pipelining = "PIPELINING" in session.capabilities
    except BaseException:
        connection.close()
        raise
    return session


def open_pop3(
    endpoint: Endpoint, user: str, access_token: str, **options: Unpack[ConnectionOptions]
) -> Pop3Session:
    """Connect and log in over POP3.

    Args:
        user: The mailbox, for a shared one too (exchange-dev).

    Raises:
        MailError: with the stage where it broke.
    """
    session = greet_pop3(endpoint, **options)
    session.log_in(user, access_token)
    return session

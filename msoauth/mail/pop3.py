"""A read-only POP3 session with XOAUTH2 (RFC 1939): list and retrieve mail, pipelined where the server allows it.

It has no method that deletes mail.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from msoauth.mail import headers, sasl
from msoauth.mail.connection import Connection, MailSession
from msoauth.mail.reply_errors import error_from_reply
from msoauth.texts import _

LINES = 5_000_000  # limit of a multi-line answer
# How far commands are sent ahead of the replies where the server offers PIPELINING: enough for a connection of
# 300 Mbit/s and 100 ms, and little to repeat when it breaks.
_WINDOW = 128  # commands
_WINDOW_BYTES = 4 << 20  # of messages, by the sizes in LIST


class Pop3Session(MailSession):
    """A POP3 session. Message numbers count from 1, the oldest first.

    Attributes:
        count: Number of messages at the login.
        size: Their total size in bytes.
        capabilities: The server's capabilities (CAPA), each with its arguments; empty if it does not support CAPA.
        refused_replies: The server's replies for messages that it did not deliver, by number.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._sizes: dict[int, int] = {}
        self._in_flight = 0
        self._sizes_are_exact = False
        self._status = ""
        self.count = self.size = 0
        self.pipelining = False
        self.capabilities: dict[str, list[str]] = {}
        self.refused_replies: dict[int, str] = {}

    def _greet(self) -> None:
        connection = self.connection
        if not self._read_status():
            raise error_from_reply(
                connection, self._status, _("the server turned the connection away")
            )
        if connection.endpoint.tls == "starttls":
            if not self._ask("STLS"):
                raise connection.failure(
                    _("the server offers no STARTTLS"), "tls-failed", self._status
                )
            connection.start_tls()
        if self._ask("CAPA"):
            offers = [line.decode("ascii", "replace").upper().split() for line in self._multiline()]
            self.capabilities = {offer[0]: offer[1:] for offer in offers if offer}
        self.pipelining = "PIPELINING" in self.capabilities

    def _authenticate(self, user: str, token: str) -> None:
        connection = self.connection
        login = sasl.login(
            self.capabilities.get("SASL", ()),
            user,
            token,
            connection.endpoint,
            connection.transcript,
        )
        # Always in two steps: on one line, the token exceeds the length of a POP3 command and Exchange disconnects.
        connection.command(f"AUTH {login.mechanism}")
        reply = connection.reply()
        if not _is_continuation(reply):
            raise error_from_reply(
                connection,
                reply,
                _("the server does not take {mechanism}").format(mechanism=login.mechanism),
            )
        connection.command(login.line, placeholder=login.placeholder)
        reply = connection.reply()
        challenge = None
        if _is_continuation(reply):
            challenge = sasl.challenge(reply[1:])
            connection.command(login.abort_response)
            reply = connection.reply()
        if not reply.startswith("+OK"):
            raise error_from_reply(
                connection, reply, _("the login was refused"), challenge=challenge
            )
        self._verify_login()

    def _verify_login(self) -> None:
        """Send STAT, because Exchange also accepts AUTH for a mailbox that it then does not open."""
        if not self._ask("STAT"):
            raise error_from_reply(
                self.connection,
                self._status,
                _("the login was accepted, but the mailbox could not be opened"),
            )
        words = self._status.split()
        if len(words) < 3 or not (_is_number(words[1]) and _is_number(words[2])):
            raise self.connection.failure(
                _("the server's STAT makes no sense"), "service-unavailable", self._status
            )
        self.count, self.size = int(words[1]), int(words[2])

    def sizes(self) -> dict[int, int]:
        """The size of each message in bytes by its number, as LIST gives it."""
        if not self._ask("LIST"):
            raise error_from_reply(
                self.connection, self._status, _("{command} was refused").format(command="LIST")
            )
        self._sizes = {
            int(number): int(size)
            for number, size in self._numbered_lines()
            if _is_number(number) and _is_number(size)
        }
        return dict(self._sizes)

    def uidl(self) -> dict[int, str]:
        """The unique id of each message by its number; empty when the server does not support UIDL."""
        if not self._ask("UIDL"):
            return {}
        return {
            int(number): uid for number, uid in self._numbered_lines() if _is_number(number) and uid
        }

    def retrieve(
        self, numbers: Sequence[int], *, headers_only: bool = False
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Retrieve messages one after another, each as pieces; consume one before asking for the next.

        A message that the server does not deliver is left out and noted in ``refused_replies``.

        Args:
            headers_only: Use TOP instead of RETR; it also marks no message as read.

        Raises:
            MailError: the connection broke, or a reply says to try again later.
        """
        if headers_only:
            yield from self._pipelined([(number, f"TOP {number} 0") for number in numbers], {})
        else:
            commands = [(number, f"RETR {number}") for number in numbers]
            yield from self._pipelined(commands, self._sizes)

    def latest_message_date(self) -> datetime | None:
        """When the latest message arrived, in UTC; None when there is none, or it has no readable date.

        Raises:
            MailError: the connection broke.
        """
        latest = [self.count] if self.count else []
        for _number, pieces in self.retrieve(latest, headers_only=True):
            return headers.arrival_date(b"".join(pieces))
        return None

    def _pipelined(
        self, commands: Sequence[tuple[int, str]], sizes: Mapping[int, int]
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        sent = expected = 0
        for answered, (number, _command) in enumerate(commands):
            self._in_flight = sent - answered
            # Refill the window when it is half empty, so that one packet carries many commands.
            if sent == answered:
                self.connection.expect_silence()
            if sent == answered or (
                self.pipelining and self._in_flight < _WINDOW // 2 and expected < _WINDOW_BYTES // 2
            ):
                batch = []
                while sent < len(commands) and (
                    sent == answered
                    or (self.pipelining and sent - answered < _WINDOW and expected < _WINDOW_BYTES)
                ):
                    batch.append(commands[sent][1])
                    expected += sizes.get(commands[sent][0], 0)
                    sent += 1
                for text in batch:
                    self.connection.transcript.client(text)
                self.connection.send("".join(f"{text}\r\n" for text in batch).encode())
                self._in_flight = sent - answered
            expected -= sizes.get(number, 0)
            if not self._read_status():
                self._note_refused(number)
                continue
            body = self._body()
            yield number, body
            for _rest in body:
                pass  # skip what the caller left unread: the next reply follows it
        self._in_flight = 0
        self.connection.expect_silence()

    def is_suspect(self, number: int, size: int) -> bool:
        """Whether a message of this size may belong to another command, because the server answered one twice.

        Pipelined answers are matched to commands by their order alone. Only the sizes in LIST can show a shift, and
        only on servers where they are exact.
        """
        if not self.pipelining or self._sizes.get(number) is None:
            return False
        if self._sizes[number] == size:
            self._sizes_are_exact = True
            return False
        return self._sizes_are_exact

    def _note_refused(self, number: int) -> None:
        error = error_from_reply(
            self.connection, self._status, _("message {n} was refused").format(n=number)
        )
        if error.retriable:
            raise error
        self.refused_replies[number] = self._status

    def _body(self) -> Iterator[bytes]:
        size = 0
        for piece in self.connection.block():
            size += len(piece)
            yield piece
        self.connection.transcript.remark(f"{size} bytes received")

    def _ask(self, command: str) -> bool:
        self.connection.command(command)
        return self._read_status()

    def _numbered_lines(self) -> Iterator[tuple[str, str]]:
        for line in self._multiline():
            number, _blank, rest = line.decode("utf-8", "replace").strip().partition(" ")
            yield number, rest.strip().partition(" ")[0]

    def _multiline(self) -> Iterator[bytes]:
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

    def _read_status(self) -> bool:
        self._status = self.connection.reply()
        if self._status.startswith("+OK"):
            return True
        if self._status.startswith("-ERR"):
            return False
        raise self.connection.unexpected_reply(self._status)

    def _say_goodbye(self) -> None:
        """Send QUIT. Nothing was marked for deletion, so QUIT deletes nothing."""
        if not self._in_flight:  # else the next bytes are a message, not the answer to QUIT
            self._ask("QUIT")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _is_continuation(reply: str) -> bool:
    return reply.startswith("+") and not reply.startswith("+OK")

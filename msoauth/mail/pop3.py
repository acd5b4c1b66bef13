"""A read-only POP3 session with XOAUTH2 (RFC 1939): list and retrieve mail, pipelined where the server allows it.

It has no method that deletes mail.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from msoauth.mail import headers
from msoauth.mail.connection import Connection
from msoauth.mail.session import MailSession, Reply, ReplyStatus
from msoauth.texts import _

LINES = 5_000_000  # limit of a multi-line answer
# How far commands are sent ahead of the replies where the server offers PIPELINING: enough for a connection of
# 300 Mbit/s and 100 ms, and little to repeat when it breaks.
_WINDOW = 128  # commands
_WINDOW_BYTES = 4 << 20  # of messages, by the sizes in LIST


class Pop3Session(MailSession):
    """A POP3 session. Message numbers count from 1, the oldest first; QUIT deletes nothing, for nothing is marked.

    Attributes:
        count: Number of messages at the login.
        size: Their total size in bytes.
        capabilities: The server's capabilities (CAPA), each with its arguments; empty if it does not support CAPA.
        refused_replies: The server's replies for messages that it did not deliver, by number.
    """

    _starttls = "STLS"

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._sizes: dict[int, int] = {}
        self._sizes_are_exact = False
        self.count = self.size = 0
        self.pipelining = False
        self.capabilities: dict[str, list[str]] = {}
        self.refused_replies: dict[int, str] = {}

    def _read_capabilities(self) -> None:
        if self._ask("CAPA").ok:
            offers = [line.decode("ascii", "replace").upper().split() for line in self._multiline()]
            self.capabilities = {offer[0]: offer[1:] for offer in offers if offer}
        self.pipelining = "PIPELINING" in self.capabilities

    def _login_offers(self) -> tuple[list[str], bool]:
        # With a token, a line exceeds the length of a POP3 command and Exchange disconnects.
        return self.capabilities.get("SASL", []), False

    def _verify_login(self) -> None:
        """Send STAT, because Exchange also accepts AUTH for a mailbox that it then does not open."""
        reply = self._ask("STAT")
        if not reply.ok:
            raise self._error(
                reply, _("the login was accepted, but the mailbox could not be opened")
            )
        try:
            self.count, self.size = parse_stat(reply.text)
        except ValueError:
            raise self.connection.failure(
                _("the server's STAT makes no sense"), "service-unavailable", reply.text
            ) from None

    def sizes(self) -> dict[int, int]:
        """The size of each message in bytes by its number, as LIST gives it."""
        reply = self._ask("LIST")
        if not reply.ok:
            raise self._error(reply, _("{command} was refused").format(command="LIST"))
        listed = map(parse_listing, self._multiline())
        self._sizes = {number: int(size) for number, size in listed if number and _is_number(size)}
        return dict(self._sizes)

    def uidl(self) -> dict[int, str]:
        """The unique id of each message by its number; empty when the server does not support UIDL."""
        if not self._ask("UIDL").ok:
            return {}
        listed = map(parse_listing, self._multiline())
        return {number: uid for number, uid in listed if number and uid}

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
            self._unread = sent - answered
            # Refill the window when it is half empty, so that one packet carries many commands.
            if sent == answered:
                self.connection.expect_silence()
            if sent == answered or (
                self.pipelining and self._unread < _WINDOW // 2 and expected < _WINDOW_BYTES // 2
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
                self._unread = sent - answered
            expected -= sizes.get(number, 0)
            reply = self._reply()
            if not reply.ok:
                self._note_refused(number, reply)
                continue
            body = self._body()
            yield number, body
            for _rest in body:
                pass  # skip what the caller left unread: the next reply follows it
        self._unread = 0
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

    def _note_refused(self, number: int, reply: Reply) -> None:
        error = self._error(reply, _("message {n} was refused").format(n=number))
        if error.retriable or reply.status is not ReplyStatus.REFUSED:
            raise error
        self.refused_replies[number] = reply.text

    def _body(self) -> Iterator[bytes]:
        size = 0
        for piece in self.connection.block():
            size += len(piece)
            yield piece
        self.connection.transcript.remark(f"{size} bytes received")

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

    def _read_reply(self) -> Reply:
        return parse_reply(self.connection.reply())


def parse_reply(line: str) -> Reply:
    """The status in a reply.

    Example: ``-ERR Authentication failure: unknown user name or bad password.`` is refused, ``+ eyJzdGF0dXMi`` wants
    more, ``+OK 3 12044`` is done.

    Raises:
        ValueError: it is no reply.
    """
    for start, status in (
        ("+OK", ReplyStatus.OK),
        ("-ERR", ReplyStatus.REFUSED),
        ("+", ReplyStatus.CONTINUE),
    ):
        if line.startswith(start):
            return Reply(status, line, line[1:])
    raise ValueError(line)


def parse_stat(line: str) -> tuple[int, int]:
    """Number and total size of the messages in a reply to STAT.

    Example: ``+OK 3 12044`` gives ``(3, 12044)``.

    Raises:
        ValueError: it does not hold them.
    """
    words = line.split()
    if len(words) < 3 or not (_is_number(words[1]) and _is_number(words[2])):
        raise ValueError(line)
    return int(words[1]), int(words[2])


def parse_listing(line: bytes) -> tuple[int, str]:
    """A message's number, and its size or unique id, in a line of the answer to LIST or UIDL; 0 for no number.

    Example: ``2 AQABAAAAAADZ`` gives ``(2, "AQABAAAAAADZ")``.
    """
    number, _blank, rest = line.decode("utf-8", "replace").strip().partition(" ")
    return int(number) if _is_number(number) else 0, rest.strip().partition(" ")[0]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19

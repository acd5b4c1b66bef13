"""A read-only IMAP session with XOAUTH2 (RFC 3501): it uses EXAMINE and BODY.PEEK only."""

import re
from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime

from msoauth.errors import MailError
from msoauth.mail import sasl
from msoauth.mail.connection import LINE_LIMIT, Connection, MailSession
from msoauth.mail.imap_parser import Folder, parse_list, parse_status, quote_folder
from msoauth.mail.reply_errors import error_from_reply
from msoauth.texts import _

_SEQUENCE = re.compile(rb"\* (\d{1,10}) FETCH ", re.IGNORECASE)
_UID = re.compile(rb"\bUID (\d{1,10})\b", re.IGNORECASE)
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d{1,18})\b", re.IGNORECASE)
_BODY = re.compile(rb"\bBODY\[[^\]]*\](?:<\d+>)? ", re.IGNORECASE)
_QUOTED_BODY = re.compile(rb'BODY\[[^\]]*\] (NIL|"((?:[^"\\]|\\.)*)")', re.IGNORECASE)
_EXISTS = re.compile(rb"\* (\d{1,10}) EXISTS", re.IGNORECASE)
_SEARCH = re.compile(rb"\* SEARCH((?: \d{1,10})*)\s*$", re.IGNORECASE)
_VALIDITY = re.compile(rb"\[UIDVALIDITY (\d{1,10})\]", re.IGNORECASE)
_INTERNALDATE = re.compile(rb'\bINTERNALDATE "([^"]{20,30})"', re.IGNORECASE)
_AUTH = re.compile(rb"\bAUTH=([A-Z0-9_-]+)")

_BATCH = 100  # messages in one FETCH command
_LITERAL = re.compile(rb"\{(\d{1,18})\}$")  # at the end of a line: that many bytes follow
ANSWER_LIMIT = 256 << 20  # bytes of one answer without message bodies
_RECORDED_LINES = 200  # lines of one answer that the transcript shows


class CommandChannel:
    """Sends IMAP commands, each with a tag of its own, and reads the responses to them (RFC 3501, 2.2).

    Attributes:
        connection: The connection; message bodies are read from it directly.
        logout_sent: LOGOUT was sent, so that the server's BYE is no failure.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.logout_sent = False
        self._tag = 0

    def send(self, command: str, *, placeholder: str | None = None) -> str:
        """Send a command; returns its tag, with which the server completes it.

        Args:
            placeholder: What the transcript shows in its place, where the command holds a secret.
        """
        self._tag += 1
        tag = f"M{self._tag}"
        self.connection.command(
            f"{tag} {command}",
            placeholder=None if placeholder is None else f"{tag} {placeholder}",
            require_silence=False,
        )
        return tag

    def ask(self, command: str) -> list[bytes]:
        """Send a command; returns the untagged responses to it.

        Raises:
            MailError: the server refused, or the connection broke.
        """
        return self.responses(self.send(command))

    def responses(self, tag: str) -> list[bytes]:
        """The untagged responses up to the completion of a command, each literal in them as a quoted string.

        Raises:
            MailError: the server refused, or the connection broke.
        """
        lines: list[bytes] = []
        received = 0
        while True:
            line = self.connection.line()
            while literal := _LITERAL.search(line):
                if int(literal[1]) > LINE_LIMIT:
                    raise self.connection.failure(
                        _("the server sent a line without end"), "service-unavailable"
                    )
                content = b"".join(self.connection.exactly(int(literal[1])))
                line = line[: literal.start()] + _quoted_string(content) + self.connection.line()
            if line.startswith(tag.encode() + b" "):
                if len(lines) > _RECORDED_LINES:
                    self.connection.transcript.remark(f"{len(lines)} lines received")
                self.connection.transcript.server(line.decode("utf-8", "replace"))
                self.check_completion(tag, line)
                return lines
            if len(lines) < _RECORDED_LINES:
                self.connection.transcript.server(line.decode("utf-8", "replace"))
            if not line.startswith((b"* ", b"+")):
                raise self.connection.unexpected_reply(line)
            self.check_bye(line)
            lines.append(line)
            received += len(line)
            if received > ANSWER_LIMIT:
                raise self.connection.failure(
                    _("the server's answer does not end"), "service-unavailable"
                )

    def tagged_or_continuation(self) -> str:
        """The next line that is not untagged: a continuation request, or the completion of a command."""
        while (reply := self.connection.reply()).startswith("*"):
            self.check_bye(reply.encode())
        return reply

    def check_completion(self, tag: str, line: bytes) -> None:
        """Raise unless the line completes the command with OK.

        Raises:
            MailError: it is NO or BAD.
        """
        text = line.decode("utf-8", "replace")
        if not text.upper().startswith(f"{tag} OK"):
            raise error_from_reply(self.connection, text, _("the server refused"))

    def check_bye(self, line: bytes) -> None:
        """Raise when the server ends the session unasked.

        Raises:
            MailError: the line is ``* BYE`` and no LOGOUT was sent.
        """
        if line.upper().startswith(b"* BYE") and not self.logout_sent:
            raise error_from_reply(
                self.connection, line.decode("utf-8", "replace"), _("the server ended the session")
            )


def _quoted_string(content: bytes) -> bytes:
    return b'"' + content.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


class ImapSession(MailSession):
    """An IMAP session with a folder open read-only; after the login, the inbox.

    Attributes:
        messages: Number of messages in the folder when it was opened.
        uid_validity: The folder's UIDVALIDITY; UIDs identify messages only as long as it stays the same.
        capabilities: The server's capabilities, in upper case.
        refused_replies: The server's replies for messages that it did not deliver, by UID.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._commands = CommandChannel(connection)
        self._uids: dict[int, int] = {}  # by sequence number
        self._in_body = False
        self.messages = 0
        self.uid_validity = ""
        self.capabilities = b""
        self.refused_replies: dict[int, str] = {}

    def _greet(self) -> None:
        connection = self.connection
        greeting = connection.reply()
        # PREAUTH would be a session that is logged in already, perhaps as another user.
        if not greeting.upper().startswith(("* OK", "* BYE")):
            raise connection.unexpected_reply(greeting)
        if greeting.upper().startswith("* BYE"):
            raise error_from_reply(connection, greeting, _("the server turned the connection away"))
        if connection.endpoint.tls == "starttls":
            try:
                self._commands.ask("STARTTLS")
            except MailError as error:
                raise connection.failure(
                    _("the server offers no STARTTLS"), "tls-failed", error.evidence
                ) from None
            connection.start_tls()
        self.capabilities = b" ".join(self._commands.ask("CAPABILITY")).upper()

    def _authenticate(self, user: str, token: str) -> None:
        commands, connection = self._commands, self.connection
        mechanisms = [name.decode() for name in _AUTH.findall(self.capabilities)]
        login = sasl.login(mechanisms, user, token, connection.endpoint, connection.transcript)
        start = f"AUTHENTICATE {login.mechanism}"
        if b"SASL-IR" in self.capabilities.split():
            tag = commands.send(f"{start} {login.line}", placeholder=f"{start} {login.placeholder}")
        else:
            tag = commands.send(start)
            reply = commands.tagged_or_continuation()
            if not reply.startswith("+"):
                raise error_from_reply(
                    connection,
                    reply,
                    _("the server does not take {mechanism}").format(mechanism=login.mechanism),
                )
            connection.command(login.line, placeholder=login.placeholder, require_silence=False)
        challenge = None
        reply = commands.tagged_or_continuation()
        if reply.startswith("+"):
            challenge = sasl.challenge(reply[1:])
            connection.command(login.abort_response, require_silence=False)
            reply = commands.tagged_or_continuation()
        if not reply.startswith(f"{tag} "):
            raise connection.unexpected_reply(reply)
        if not reply.upper().startswith(f"{tag} OK"):
            raise error_from_reply(
                connection, reply, _("the login was refused"), challenge=challenge
            )
        # Exchange also accepts logins to mailboxes that it then does not open.
        self.examine("INBOX")

    def examine(self, folder: str) -> int:
        """Open a folder read-only; returns the number of its messages.

        Args:
            folder: Its name as in :meth:`folders`, not in modified UTF-7.
        """
        self.messages, self.uid_validity, self._uids = 0, "", {}
        for line in self._commands.ask(f"EXAMINE {quote_folder(folder)}"):
            exists, validity = _EXISTS.match(line), _VALIDITY.search(line)
            self.messages = int(exists[1]) if exists else self.messages
            self.uid_validity = validity[1].decode() if validity else self.uid_validity
        return self.messages

    def folders(self) -> list[Folder]:
        """All folders."""
        return [
            folder for line in self._commands.ask('LIST "" "*"') if (folder := parse_list(line))
        ]

    def counts(self, folder: str) -> dict[str, int]:
        """``MESSAGES``, ``UNSEEN`` and ``UIDNEXT`` of a folder, without opening it."""
        counts: dict[str, int] = {}
        for line in self._commands.ask(f"STATUS {quote_folder(folder)} (MESSAGES UNSEEN UIDNEXT)"):
            counts.update(parse_status(line))
        return counts

    def latest_message_date(self) -> datetime | None:
        """When the latest message of the folder arrived (its INTERNALDATE), in UTC; None when there is none.

        Raises:
            MailError: the connection broke.
        """
        if not self.messages:
            return None
        for line in self._commands.ask(f"FETCH {self.messages} (INTERNALDATE)"):
            if match := _INTERNALDATE.search(line):
                try:
                    text = match[1].decode("ascii").strip()
                    return datetime.strptime(text, "%d-%b-%Y %H:%M:%S %z").astimezone(UTC)
                except ValueError:
                    return None
        return None

    def sizes(self) -> dict[int, int]:
        """The size of each message in bytes by its UID; 0 for one that the server lists but says nothing about."""
        if not self.messages:
            return {}
        sizes = {}
        for line in self._commands.ask("FETCH 1:* (UID RFC822.SIZE)"):
            sequence, uid, size = _SEQUENCE.match(line), _UID.search(line), _SIZE.search(line)
            if sequence and uid and size:
                sizes[int(uid[1])] = int(size[1])
                self._uids[int(sequence[1])] = int(uid[1])
        if len(sizes) < self.messages:
            sizes = dict.fromkeys(self._search_all(), 0) | sizes
        return sizes

    def remaining(self) -> set[int]:
        """The UIDs of the messages that are there now."""
        self._commands.ask("NOOP")  # lets the server say which were deleted (RFC 3501, 7.4.1)
        return self._search_all()

    def _search_all(self) -> set[int]:
        matches = map(_SEARCH.match, self._commands.ask("UID SEARCH ALL"))
        return {int(uid) for match in matches if match for uid in match[1].split()}

    def retrieve(
        self, uids: Sequence[int], *, headers_only: bool = False
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Retrieve messages, each as pieces; consume one before asking for the next.

        They come in the server's order. A message that was deleted meanwhile is left out; one that the server does
        not deliver is left out and noted in ``refused_replies``.

        Raises:
            MailError: the connection broke, or a reply says to try again later.
        """
        part = "BODY.PEEK[HEADER]" if headers_only else "BODY.PEEK[]"
        for start in range(0, len(uids), _BATCH):
            batch = list(uids[start : start + _BATCH])
            delivered: set[int] = set()
            error_text = yield from self._fetch(batch, part, delivered)
            if error_text is None:
                continue
            for uid in [uid for uid in batch if uid not in delivered]:
                single_error = (
                    error_text
                    if len(batch) == 1
                    else (yield from self._fetch([uid], part, delivered))
                )
                if single_error is not None:
                    self.refused_replies[uid] = single_error

    def _fetch(
        self, uids: Sequence[int], part: str, delivered: set[int]
    ) -> Generator[tuple[int, Iterator[bytes]], None, str | None]:
        """Send one FETCH and yield its messages; returns the server's reply when it refused the command."""
        tag = self._commands.send(f"UID FETCH {','.join(map(str, uids))} (UID {part})")
        while True:
            line = self.connection.line()
            self.connection.transcript.server(line.decode("utf-8", "replace"))
            if line.startswith(tag.encode() + b" "):
                return self._completion_error(tag, line)
            self._commands.check_bye(line)
            if not (_SEQUENCE.match(line) and _BODY.search(line)):
                continue  # an unsolicited response, such as changed flags
            literal, quoted = _LITERAL.search(line), _QUOTED_BODY.search(line)
            uid = self._uid_of(line, uids)
            if literal is None and quoted is None:
                raise self.connection.unexpected_reply(line)
            body = (
                self._body(int(literal[1]))
                if literal
                else iter([re.sub(rb"\\(.)", rb"\1", quoted[2] or b"") if quoted else b""])
            )
            if uid in delivered:  # the server sent it twice
                uid = None
            if uid is not None:
                delivered.add(uid)
                yield uid, body
            for _rest in body:
                pass

    def _uid_of(self, line: bytes, uids: Sequence[int]) -> int | None:
        match, sequence = _UID.search(line), _SEQUENCE.match(line)
        # Some servers send the UID after the body; then the sequence number from sizes() identifies the message.
        uid = int(match[1]) if match else self._uids.get(int(sequence[1])) if sequence else None
        if uid is None and len(uids) == 1:
            uid = uids[0]
        return uid if uid in uids else None

    def _body(self, size: int) -> Iterator[bytes]:
        self._in_body = True
        yield from self.connection.exactly(size)
        rest = self.connection.line()
        if not (rest.endswith(b")") and rest.startswith((b")", b" "))):
            # The literal had another length than announced, so the bytes read are not the message.
            raise self.connection.unexpected_reply(rest)
        self._in_body = False
        self.connection.transcript.remark(f"{size} bytes received")

    def _completion_error(self, tag: str, line: bytes) -> str | None:
        """The server's reply when it refused the command for good, None for OK; raises when retrying may help."""
        try:
            self._commands.check_completion(tag, line)
        except MailError as failure:
            if failure.retriable:
                raise
            return failure.evidence
        return None

    def _say_goodbye(self) -> None:
        self._commands.logout_sent = True
        if not self._in_body:  # else the next bytes are a message, not the answer to LOGOUT
            self._commands.ask("LOGOUT")

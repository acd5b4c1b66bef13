"""A read-only IMAP session with XOAUTH2 (RFC 3501): it uses EXAMINE and BODY.PEEK only."""

import re
from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime

from msoauth.errors import MailError
from msoauth.mail.connection import Connection
from msoauth.mail.reply_errors import error_from_reply
from msoauth.mail.session import MailSession, Reply, ReplyStatus
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
_UNTAGGED_LINES = 1000  # before the reply to a login or to LOGOUT
_RECORDED_LINES = 200  # lines of one answer that the transcript shows


class ImapSession(MailSession):
    """An IMAP session with a folder open read-only; after the login, the inbox.

    Attributes:
        messages: Number of messages in the folder when it was opened.
        uid_validity: The folder's UIDVALIDITY; UIDs identify messages only as long as it stays the same.
        capabilities: The server's capabilities, in upper case.
        refused_replies: The server's replies for messages that it did not deliver, by UID.
    """

    _auth, _goodbye = "AUTHENTICATE", "LOGOUT"
    _may_be_interrupted = True

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._number, self._tag = 0, ""
        self._leaving = False
        self._uids: dict[int, int] = {}  # by sequence number
        self.messages = 0
        self.uid_validity = ""
        self.capabilities = b""
        self.refused_replies: dict[int, str] = {}

    # Commands and the responses to them (RFC 3501, 2.2)

    def _next_tag(self) -> str:
        self._number += 1
        self._tag = f"M{self._number}"
        return self._tag

    def _ask(self, command: str, placeholder: str | None = None) -> Reply:
        tag = self._next_tag()
        return self._exchange(f"{tag} {command}", placeholder and f"{tag} {placeholder}")

    def _read_reply(self) -> Reply:
        for _line in range(_UNTAGGED_LINES):
            text = self.connection.reply()
            if not text.startswith("*"):
                return parse_reply(self._tag, text)
            self._check_bye(text)
        raise self.connection.failure(_("the server's answer does not end"), "service-unavailable")

    def _send(self, command: str) -> None:
        """Send a command whose responses are read one by one."""
        self.connection.command(f"{self._next_tag()} {command}", require_silence=False)

    def _responses(self, command: str) -> list[bytes]:
        """Send a command; returns the untagged responses to it, of which none may hold a literal.

        Raises:
            MailError: the server refused, or the connection broke.
        """
        self._send(command)
        lines: list[bytes] = []
        received = 0
        while True:
            line = self.connection.line()
            text = line.decode("utf-8", "replace")
            is_last = text.startswith(f"{self._tag} ")
            if is_last and len(lines) > _RECORDED_LINES:
                self.connection.transcript.remark(f"{len(lines)} lines received")
            if is_last or len(lines) < _RECORDED_LINES:
                self.connection.transcript.server(text)
            if is_last:
                self._check_done(text)
                return lines
            if not line.startswith((b"* ", b"+")) or _LITERAL.search(line):
                raise self.connection.unexpected_reply(line)
            self._check_bye(text)
            lines.append(line)
            received += len(line)
            if received > ANSWER_LIMIT:
                raise self.connection.failure(
                    _("the server's answer does not end"), "service-unavailable"
                )

    def _check_done(self, text: str) -> None:
        """Raise unless the line completes the command with OK.

        Raises:
            MailError: it is NO or BAD.
        """
        if not parse_reply(self._tag, text).ok:
            raise error_from_reply(self.connection, text, _("the server refused"))

    def _check_bye(self, text: str) -> None:
        """Raise when the server ends the session unasked.

        Raises:
            MailError: the line is ``* BYE`` and no LOGOUT was sent.
        """
        if text.upper().startswith("* BYE") and not self._leaving:
            raise error_from_reply(self.connection, text, _("the server ended the session"))

    # The course of a session

    def _greeting(self) -> Reply:
        text = self.connection.reply()
        # PREAUTH would be a session that is logged in already, perhaps as another user.
        if not text.upper().startswith(("* OK", "* BYE")):
            raise self.connection.unexpected_reply(text)
        return Reply(
            ReplyStatus.OK if text.upper().startswith("* OK") else ReplyStatus.REFUSED, text
        )

    def _read_capabilities(self) -> None:
        self.capabilities = b" ".join(self._responses("CAPABILITY")).upper()

    def _login_offers(self) -> tuple[list[str], bool]:
        mechanisms = [name.decode() for name in _AUTH.findall(self.capabilities)]
        return mechanisms, b"SASL-IR" in self.capabilities.split()

    def _verify_login(self) -> None:
        """Open the inbox, because Exchange also accepts logins to mailboxes that it then does not open."""
        self.examine("INBOX")

    def close(self) -> None:
        """End the session and close the connection."""
        self._leaving = True  # the server answers with BYE
        super().close()

    def examine(self, folder: str) -> int:
        """Open a folder read-only; returns the number of its messages.

        Args:
            folder: Its name, such as ``INBOX``, as it stands in a command.
        """
        self.messages, self.uid_validity, self._uids = 0, "", {}
        for line in self._responses(f"EXAMINE {folder}"):
            exists, validity = _EXISTS.match(line), _VALIDITY.search(line)
            self.messages = int(exists[1]) if exists else self.messages
            self.uid_validity = validity[1].decode() if validity else self.uid_validity
        return self.messages

    def latest_message_date(self) -> datetime | None:
        """When the latest message of the folder arrived (its INTERNALDATE), in UTC; None when there is none.

        Raises:
            MailError: the connection broke.
        """
        if not self.messages:
            return None
        for line in self._responses(f"FETCH {self.messages} (INTERNALDATE)"):
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
        for line in self._responses("FETCH 1:* (UID RFC822.SIZE)"):
            sequence, uid, size = _SEQUENCE.match(line), _UID.search(line), _SIZE.search(line)
            if sequence and uid and size:
                sizes[int(uid[1])] = int(size[1])
                self._uids[int(sequence[1])] = int(uid[1])
        if len(sizes) < self.messages:
            sizes = dict.fromkeys(self._search_all(), 0) | sizes
        return sizes

    def remaining(self) -> set[int]:
        """The UIDs of the messages that are there now."""
        self._responses("NOOP")  # lets the server say which were deleted (RFC 3501, 7.4.1)
        return self._search_all()

    def _search_all(self) -> set[int]:
        matches = map(_SEARCH.match, self._responses("UID SEARCH ALL"))
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
        self._send(f"UID FETCH {','.join(map(str, uids))} (UID {part})")
        while True:
            line = self.connection.line()
            text = line.decode("utf-8", "replace")
            self.connection.transcript.server(text)
            if text.startswith(f"{self._tag} "):
                return self._completion_error(text)
            self._check_bye(text)
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
        self._unread = 1
        yield from self.connection.exactly(size)
        rest = self.connection.line()
        if not (rest.endswith(b")") and rest.startswith((b")", b" "))):
            # The literal had another length than announced, so the bytes read are not the message.
            raise self.connection.unexpected_reply(rest)
        self._unread = 0
        self.connection.transcript.remark(f"{size} bytes received")

    def _completion_error(self, text: str) -> str | None:
        """The server's reply when it refused the command for good, None for OK; raises when retrying may help."""
        try:
            self._check_done(text)
        except MailError as failure:
            if failure.retriable:
                raise
            return failure.evidence
        return None


def parse_reply(tag: str, line: str) -> Reply:
    """The status in a line that completes the command with that tag, or asks for more.

    Example: ``M2 NO AUTHENTICATE failed.`` is refused, ``+ eyJzdGF0dXMi`` wants more, ``M3 OK LOGOUT completed.`` is done.

    Raises:
        ValueError: it is neither.
    """
    if line.startswith("+"):
        return Reply(ReplyStatus.CONTINUE, line, line[1:])
    if not line.startswith(f"{tag} "):
        raise ValueError(line)
    return Reply(
        ReplyStatus.OK if line.upper().startswith(f"{tag} OK") else ReplyStatus.REFUSED, line
    )

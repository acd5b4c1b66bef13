"""IMAP with XOAUTH2: look, and leave no trace (EXAMINE and PEEK only)."""

import re
from collections.abc import Iterator, Sequence
from typing import Self

from msoauth.clouds import Endpoint
from msoauth.errors import MailError
from msoauth.mail import sasl, wire
from msoauth.mail.refusals import refusal
from msoauth.mail.wire import Transcript, Wire
from msoauth.texts import _

_LITERAL = re.compile(rb"\{(\d{1,12})\}$")
_UID = re.compile(rb"\bUID (\d+)")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")


class ImapSession:
    """A session with the inbox opened read-only."""

    def __init__(self, connection: Wire) -> None:
        self._wire = connection
        self._tag = 0
        self.messages = 0
        self.uid_validity = ""
        self.offered = b""

    @property
    def connection(self) -> Wire:
        """The connection below: its certificate's issuer, its timing."""
        return self._wire

    def log_in(self, user: str, access_token: str) -> None:
        """Log in and prove it with EXAMINE: an accepted AUTHENTICATE proves nothing. Closed on failure.

        Raises:
            MailError: with the stage where it broke.
        """
        try:
            with self._wire.at("authenticate"):
                _authenticate(self, self._wire, self.offered, user, access_token)
                for line in self._ask("EXAMINE INBOX"):
                    exists = re.match(rb"\* (\d+) EXISTS", line)
                    validity = re.search(rb"\[UIDVALIDITY (\d+)\]", line)
                    self.messages = int(exists[1]) if exists else self.messages
                    self.uid_validity = validity[1].decode() if validity else self.uid_validity
        except BaseException:
            self._wire.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self.close()

    def count(self) -> int:
        """Number of messages in the inbox when it was opened."""
        return self.messages

    def folders(self) -> list[str]:
        """The names of all folders, as the server spells them."""
        with self._wire.at("work"):
            return [
                line.rsplit(b" ", 1)[-1].strip(b'"').decode("ascii", "replace")
                for line in self._ask('LIST "" "*"')
                if line.startswith(b"* LIST")
            ]

    def sizes(self) -> dict[int, int]:
        """Bytes of each message by its UID."""
        if not self.messages:
            return {}
        found = {}
        with self._wire.at("work"):
            for line in self._ask("FETCH 1:* (UID RFC822.SIZE)"):
                uid, size = _UID.search(line), _SIZE.search(line)
                if uid and size:
                    found[int(uid[1])] = int(size[1])
        return found

    def retrieve(
        self, uids: Sequence[int], *, headers_only: bool = False
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Messages one after another, each in pieces, streamed: consume one before the next."""
        part = "BODY.PEEK[HEADER]" if headers_only else "BODY.PEEK[]"
        for uid in uids:
            with self._wire.at("work"):
                tag = self._send(f"UID FETCH {uid} {part}")
                size = self._literal_of(tag)
            if size is None:
                continue  # it has gone since the list was made
            body = self._body(size)
            yield uid, body
            for _rest in body:
                pass
            with self._wire.at("work"):
                self._until(tag)

    def _body(self, size: int) -> Iterator[bytes]:
        with self._wire.at("work"):
            yield from self._wire.exactly(size)
            self._wire.transcript.remark(f"{size} bytes received")

    def _literal_of(self, tag: str) -> int | None:
        while True:
            line = self._wire.line()
            if line.startswith(tag.encode() + b" "):
                self._wire.transcript.server(line.decode("utf-8", "replace"))
                self._judge(tag, line)
                return None
            literal = _LITERAL.search(line)
            self._wire.transcript.server(line.decode("utf-8", "replace"))
            self._bye(line)
            if literal and b"FETCH" in line:
                return int(literal[1])

    def _send(self, command: str) -> str:
        self._tag += 1
        tag = f"M{self._tag}"
        self._wire.command(f"{tag} {command}")
        return tag

    def _ask(self, command: str) -> list[bytes]:
        return self._until(self._send(command))

    def _until(self, tag: str) -> list[bytes]:
        lines: list[bytes] = []
        while True:
            line = self._wire.line()
            self._wire.transcript.server(line.decode("utf-8", "replace"))
            if line.startswith(tag.encode() + b" "):
                self._judge(tag, line)
                return lines
            self._bye(line)
            lines.append(line)

    def _judge(self, tag: str, line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        if not text.upper().startswith(f"{tag} OK"):
            raise refusal(self._wire, text, _("the server refused"))

    def _bye(self, line: bytes) -> None:
        if line.upper().startswith(b"* BYE") and not self._leaving:
            raise refusal(
                self._wire, line.decode("utf-8", "replace"), _("the server ended the session")
            )

    _leaving = False

    def close(self) -> None:
        """Say LOGOUT and let go."""
        self._leaving = True
        try:
            with self._wire.at("work"):
                self._ask("LOGOUT")
        except MailError:
            pass  # the work is done
        finally:
            self._wire.close()


def greet_imap(
    endpoint: Endpoint,
    *,
    transcript: Transcript | None = None,
    timeout: float = wire.TIMEOUT,
    ca_file: str | None = None,
) -> ImapSession:
    """A session before its login: connected, encrypted, greeted, and its capabilities known.

    Raises:
        MailError: with the stage where it broke.
    """
    connection = wire.connect(endpoint, timeout=timeout, transcript=transcript, ca_file=ca_file)
    try:
        session = ImapSession(connection)
        with connection.at("greeting"):
            greeting = connection.reply()
            if not greeting.upper().startswith(("* OK", "* PREAUTH")):
                raise refusal(connection, greeting, _("the server turned the connection away"))
            session.offered = b" ".join(session._ask("CAPABILITY")).upper()
    except BaseException:
        connection.close()
        raise
    return session


def open_imap(
    endpoint: Endpoint,
    user: str,
    access_token: str,
    *,
    transcript: Transcript | None = None,
    timeout: float = wire.TIMEOUT,
    ca_file: str | None = None,
) -> ImapSession:
    """Connect and log in over IMAP.

    Raises:
        MailError: with the stage where it broke.
    """
    session = greet_imap(endpoint, transcript=transcript, timeout=timeout, ca_file=ca_file)
    session.log_in(user, access_token)
    return session


def _authenticate(
    session: ImapSession, connection: Wire, offered: bytes, user: str, token: str
) -> None:
    bearer = b"AUTH=OAUTHBEARER" in offered and b"AUTH=XOAUTH2" not in offered
    if bearer:
        mechanism, line = (
            "OAUTHBEARER",
            sasl.oauthbearer(user, token, connection.endpoint.host, connection.endpoint.port),
        )
    else:
        mechanism, line = "XOAUTH2", sasl.xoauth2(user, token)
    session._tag += 1
    tag = f"M{session._tag}"
    shown = f"[{mechanism} string of {user}]"
    if b"SASL-IR" in offered:
        connection.command(
            f"{tag} AUTHENTICATE {mechanism} {line}",
            shown=f"{tag} AUTHENTICATE {mechanism} {shown}",
        )
    else:
        connection.command(f"{tag} AUTHENTICATE {mechanism}")
        reply = connection.reply()
        if not reply.startswith("+"):
            raise refusal(
                connection,
                reply,
                _("the server does not take {mechanism}").format(mechanism=mechanism),
            )
        connection.command(line, shown=shown)
    said = None
    while True:
        reply = connection.reply()
        if reply.startswith("+"):
            said = sasl.challenge(reply[1:])
            connection.command("AQ==" if bearer else "")
        elif reply.startswith(f"{tag} "):
            break
        elif not reply.startswith("*"):
            raise connection.failure(
                _("the server answered out of turn"), "service-unavailable", reply
            )
    if not reply.upper().startswith(f"{tag} OK"):
        raise refusal(connection, reply, _("the login was refused"), challenge=said)

"""A connection to a mail server: reached, encrypted, and then lines and blocks in, bytes out, each within its time."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Self, TypedDict, Unpack

from msoauth import tls
from msoauth.clouds import Endpoint
from msoauth.errors import InputError, MailError
from msoauth.mail import dial
from msoauth.mail.conversation import Conversation
from msoauth.mail.framing import Inbox
from msoauth.mail.transcript import Transcript
from msoauth.texts import _

TIMEOUT = 30.0
_CHUNK = 1 << 16
_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_PROGRESS = (
    512  # bytes that must come in each time limit: a server that drips is a server that hangs
)


class Wire(Conversation):
    """A connection: lines and blocks in, bytes out, everything recorded.

    A stage before ``work`` must be over within *timeout* seconds. At work each wait for an answer has
    that long, and while a long answer comes in, each part of 512 bytes.

    Attributes:
        cancelled: Set it to end whatever the connection waits for.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        transcript: Transcript,
        timeout: float,
        ca_file: str | None,
        cancelled: threading.Event | None = None,
    ) -> None:
        super().__init__(endpoint, transcript, timeout)
        self.cancelled = cancelled or threading.Event()
        self._ca_file = ca_file
        self._inbox = Inbox(self._more, self._endless)
        self._socket: socket.socket | None = None
        self._progress = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        if self._socket is not None:
            self.note_time()
            with suppress(OSError):
                self._socket.close()
            self._socket = None

    def open(self) -> None:
        """Resolve, connect and, where TLS comes first, begin it."""
        host, port = self.endpoint.host, self.endpoint.port
        try:
            addresses = dial.addresses(host, port, self.timeout, self.cancelled)
        except (socket.gaierror, ValueError) as problem:  # ValueError: what can be no host's name
            raise self.failure(_("the host name does not resolve"), "dns-failed", problem) from None
        except TimeoutError as problem:
            raise self.failure(
                _("the host name did not resolve in time"), "dns-failed", problem
            ) from None
        except (OSError, dial.CancelledError) as problem:
            raise self.broken(problem) from None
        self.enter("connect")
        try:
            plain = dial.first_to_answer(addresses, self.timeout, self.cancelled)
            self._take(plain)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = plain.getpeername()[0]
        except (OSError, dial.CancelledError) as problem:
            raise self.broken(problem) from None
        self.transcript.remark(f"connected to {peer} port {port}")
        if self.endpoint.tls == "implicit":
            self.start_tls()

    def start_tls(self) -> None:
        """Begin TLS; whatever came in plain text before is not believed."""
        plain = self._connection
        self.enter("tls")
        self._nothing_unread(
            _("the server sent plain text into the beginning of TLS"), "tls-failed"
        )
        try:
            context = tls.context(self._ca_file)
            secured = dial.encrypt(plain, context, self.endpoint.host, self.timeout, self.cancelled)
            self._take(secured)
            self.issuer = dial.issuer(secured)
        except (OSError, ValueError, dial.CancelledError) as problem:
            raise self.broken(problem) from None
        self.transcript.remark(f"{secured.version()}, certificate issued by {self.issuer or '?'}")

    def _take(self, connection: socket.socket) -> None:
        """From now on *connection* is the one; it never blocks, so that each wait can be cancelled."""
        connection.setblocking(False)
        self._socket = connection

    @property
    def _connection(self) -> socket.socket:
        if self._socket is None:
            raise self.failure(_("the connection is closed"), "service-unavailable")
        return self._socket

    def expect_silence(self) -> None:
        """Nothing the server said may be unread: what came unasked is no answer to what is asked next.

        Raises:
            MailError: something is.
        """
        self._nothing_unread(_("the server spoke out of turn"), "service-unavailable")

    def _nothing_unread(self, why: str, cause: str) -> None:
        unread = self._inbox.unread()
        if unread:
            text = unread.decode("utf-8", "replace")
            self.transcript.server(text)
            raise self.failure(why, cause, text, retriable=self.stage == "work")

    def _endless(self, why: str) -> MailError:
        return self.failure(why, "service-unavailable")

    # What we say

    def send(self, data: bytes) -> None:
        """Send bytes; recording them is the caller's, who knows what they are."""
        connection = self._connection
        if self.stage == "work":
            self.allowance = self.timeout
        left = memoryview(data)
        deadline = time.monotonic() + self.timeout
        try:
            while left:
                if self.cancelled.is_set():
                    raise dial.CancelledError
                try:
                    left = left[connection.send(left[:_CHUNK]) :]
                except _NOT_YET as wants:
                    # TLS may want to read before it writes.
                    write = not isinstance(wants, ssl.SSLWantReadError)
                    dial.ready(connection, dial.POLL, write=write)
                    if time.monotonic() >= deadline:
                        raise TimeoutError from None
                else:
                    deadline = time.monotonic() + self.timeout
        except (OSError, dial.CancelledError) as problem:
            raise self.broken(problem) from None

    def command(
        self, line: str, *, shown: str | None = None, unicode: bool = False, alone: bool = True
    ) -> None:
        """Send a line.

        Args:
            shown: Stands in the transcript where the line holds what must not be seen.
            unicode: The line may hold more than ASCII (SMTPUTF8).
            alone: Nothing the server said may be unread: what came unasked is no answer to this.

        Raises:
            InputError: the line holds what could become another command.
        """
        if not (line.isprintable() and (unicode or line.isascii())):
            raise InputError(
                _("“{text}” holds characters that cannot be sent.").format(
                    text="".join(c if c.isprintable() else "·" for c in (shown or line))[:80]
                )
            )
        if alone:
            self.expect_silence()
        self.transcript.client(line if shown is None else shown)
        if not isinstance(self._socket, ssl.SSLSocket):
            self.said_in_plain.append(line)
        self.send(line.encode("utf-8") + b"\r\n")

    # What the server says

    def line(self) -> bytes:
        """The next line of the server, without its end; not recorded."""
        return self._inbox.line()

    def reply(self) -> str:
        """The next line of the server, recorded."""
        text = self.line().decode("utf-8", "replace")
        self.transcript.server(text)
        return text

    def exactly(self, count: int) -> Iterator[bytes]:
        """The next *count* bytes, in pieces; not recorded."""
        return self._inbox.exactly(count)

    def block(self) -> Iterator[bytes]:
        """What comes until a line that is a dot (RFC 1939), in pieces, byte for byte; not recorded."""
        return self._inbox.block()

    def _is_readable(self, connection: socket.socket) -> bool:
        """Whether something is there within some time."""
        ahead = isinstance(connection, ssl.SSLSocket) and connection.pending()
        return bool(ahead) or dial.ready(connection, dial.POLL)

    def _more(self) -> bytes:
        """Wait for more bytes."""
        connection = self._connection
        while True:
            began = time.monotonic()
            try:
                received = connection.recv(_CHUNK) if self._is_readable(connection) else None
            except _NOT_YET:  # a part of a TLS record
                received = None
            except OSError as problem:
                raise self.broken(problem) from None
            self.allowance -= time.monotonic() - began
            if received is None or self.allowance <= 0:
                if self.cancelled.is_set():
                    raise self.broken(dial.CancelledError())
                if self.allowance <= 0:
                    raise self.broken(TimeoutError())
            if received is not None:
                break
        if not received:
            raise self.failure(
                _("the server closed the connection"), "service-unavailable", retriable=True
            )
        self._progress += len(received)
        if self.stage == "work" and self._progress >= _PROGRESS:
            self._progress = 0
            self.allowance = self.timeout
        return received


class Options(TypedDict, total=False):
    """How a conversation is held.

    Attributes:
        transcript: What records it.
        timeout: Seconds that each step may take.
        ca_file: A PEM file to trust instead of the operating system's store.
        cancelled: Set it to end whatever the conversation waits for.
    """

    transcript: Transcript | None
    timeout: float
    ca_file: str | None
    cancelled: threading.Event | None


def connect(endpoint: Endpoint, **options: Unpack[Options]) -> Wire:
    """A connection to *endpoint*, with TLS where it comes first.

    Raises:
        MailError: with the stage where it broke.
    """
    wire = Wire(
        endpoint,
        options.get("transcript") or Transcript(),
        options.get("timeout", TIMEOUT),
        options.get("ca_file"),
        options.get("cancelled"),
    )
    try:
        wire.open()
    except BaseException:
        wire.close()
        raise
    return wire

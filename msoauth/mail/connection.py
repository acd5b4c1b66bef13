"""A connection to a mail server: opened, encrypted, and read and written within time and size limits.

The three protocols share it. It records a transcript, measures how long each stage takes, and turns every failure
into a :class:`~msoauth.errors.MailError` that names the stage. The stages are ``resolve``, ``connect``, ``tls``,
``greeting``, ``authenticate`` and ``work``.
"""

import socket
import ssl
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Self, TypedDict, Unpack

from msoauth import tls
from msoauth.clouds import Endpoint
from msoauth.errors import InputError, MailError
from msoauth.mail import sockets, unverified_facts
from msoauth.mail.transcript import Transcript
from msoauth.texts import _

TIMEOUT = 30.0  # seconds
LINE_LIMIT = 1 << 20  # bytes; real mail exceeds the 1,000 of the standards by far, but not this
BLOCK_LIMIT = 1 << 30  # bytes of one message; Exchange takes 150 MB
_CHUNK = 1 << 16
_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
# Bytes that must arrive within each time limit: a server that sends a byte now and then counts as hanging.
_PROGRESS = 512


class ReadBuffer:
    """Bytes received but not read yet; read as lines, as a count of bytes or as a dot-terminated block.

    Args:
        receive: Waits for more bytes; raises when none come.
        too_long: Makes the error for a line or message beyond its limit, from its description.
    """

    def __init__(self, receive: Callable[[], bytes], too_long: Callable[[str], MailError]) -> None:
        self._receive, self._too_long = receive, too_long
        self._buffer = bytearray()
        self._start = 0

    def unread(self) -> bytes:
        """The first 500 unread bytes, without reading them."""
        return bytes(self._buffer[self._start : self._start + 500])

    def _fill(self) -> None:
        """Wait for more bytes, and drop those that were read: the unread ones begin at ``_start`` = 0 afterwards."""
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        self._buffer += self._receive()

    def line(self) -> bytes:
        """The next line, without its CRLF or LF."""
        searched = self._start
        while True:
            end = self._buffer.find(b"\n", searched)
            if end >= 0:
                line = bytes(self._buffer[self._start : end])
                self._start = end + 1
                return line.removesuffix(b"\r")
            unread = len(self._buffer) - self._start
            if unread > LINE_LIMIT:
                raise self._too_long(_("the server sent a line without end"))
            self._fill()
            searched = self._start + unread

    def exactly(self, count: int) -> Iterator[bytes]:
        """The next *count* bytes, in pieces."""
        if count > BLOCK_LIMIT:
            raise self._too_long(_("the server sent a message without end"))
        while count > 0:
            if len(self._buffer) == self._start:
                self._fill()
            piece = bytes(self._buffer[self._start : self._start + min(count, _CHUNK)])
            self._start += len(piece)
            count -= len(piece)
            yield piece

    def block(self) -> Iterator[bytes]:
        """What comes until a line that is a dot (RFC 1939), in pieces, byte for byte; not recorded.

        A bare LF is part of the text: only CRLF ends a line here, or a text that a server stuffed by the
        book would end at a ``\\n.\\n`` of its own.
        """
        while len(self._buffer) - self._start < 3:
            self._fill()
        if self._buffer.startswith(b".", self._start):
            if self._buffer.startswith(b".\r\n", self._start):
                self._start += 3
                return
            self._start += 1
        received = 0
        searched = self._start
        while True:
            end = self._buffer.find(b"\r\n.\r\n", searched)
            if end >= 0:
                piece = bytes(self._buffer[self._start : end + 2])
                self._start = end + 5
                yield piece.replace(b"\r\n..", b"\r\n.") if b"\r\n.." in piece else piece
                return
            # The last four bytes may be the beginning of the terminator: keep them from the first CR on.
            tail = self._buffer.find(b"\r", max(self._start, len(self._buffer) - 4))
            tail = len(self._buffer) if tail < 0 else tail
            if tail - self._start >= _CHUNK:
                piece = bytes(self._buffer[self._start : tail])
                self._start = tail
                received += len(piece)
                if received > BLOCK_LIMIT:
                    raise self._too_long(_("the server sent a message without end"))
                yield piece.replace(b"\r\n..", b"\r\n.") if b"\r\n.." in piece else piece
            ahead = tail - self._start
            self._fill()
            searched = self._start + ahead


class Connection:
    """Lines and blocks in, bytes out, all of it recorded in the transcript.

    Each stage before ``work`` must be over within *timeout* seconds. In ``work``, each wait for an answer has
    that long, and during a long answer so has each part of 512 bytes.

    Attributes:
        stage: The present stage; a failure carries it.
        timeout: Seconds that a stage may take; in ``work``, each wait.
        cancelled: Set it to end whatever the connection waits for.
        seconds: What each stage took so far, by its name.
        issuer: Who issued the server's certificate (a company's TLS proxy shows itself here); empty if unknown.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        transcript: Transcript,
        timeout: float,
        ca_file: str | None,
        cancelled: threading.Event | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.transcript = transcript
        self.timeout = timeout
        self.stage = "resolve"
        self.seconds: dict[str, float] = {}
        self.issuer = ""
        self.cancelled = cancelled or threading.Event()
        self._ca_file = ca_file
        self._buffer = ReadBuffer(self._receive, self._too_long)
        self._socket: socket.socket | None = None
        self._progress = 0
        self._time_left = timeout  # of the stage; in work, of the present wait
        self._sent_unencrypted: list[str] = []
        self._entered = time.perf_counter()

    def close(self) -> None:
        """Close the connection; may be called more than once."""
        if self._socket is not None:
            self._note_time()
            with suppress(OSError):
                self._socket.close()
            self._socket = None

    def open(self) -> None:
        """Resolve the host name, connect and, where the endpoint wants it from the start, negotiate TLS.

        The greeting is the next stage.

        Raises:
            MailError: with the stage where it failed.
        """
        host, port = self.endpoint.host, self.endpoint.port
        try:
            addresses = sockets.resolve(host, port, self.timeout, self.cancelled)
        except (socket.gaierror, ValueError) as problem:  # ValueError: not a valid host name
            raise self.failure(_("the host name does not resolve"), "dns-failed", problem) from None
        except TimeoutError as problem:
            raise self.failure(
                _("the host name did not resolve in time"), "dns-failed", problem
            ) from None
        except (OSError, sockets.CancelledError) as problem:
            raise self.error_from(problem) from None
        self.enter("connect")
        try:
            plain = sockets.connect_any(addresses, self.timeout, self.cancelled)
            self._use(plain)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = plain.getpeername()[0]
        except (OSError, sockets.CancelledError) as problem:
            raise self.error_from(problem) from None
        self.transcript.remark(f"connected to {peer} port {port}")
        if self.endpoint.tls == "implicit":
            self.start_tls()
        else:
            self.enter("greeting")

    def start_tls(self) -> None:
        """Negotiate TLS, at once or after STARTTLS. The greeting is the next stage.

        Plain text that arrived before it is an error: an attacker may have put it there (CVE-2011-0411).

        Raises:
            MailError: it failed, or the certificate is not trusted.
        """
        plain = self._connection
        self.enter("tls")
        self._nothing_unread(
            _("the server sent plain text into the beginning of TLS"), "tls-failed"
        )
        try:
            context = tls.context(self._ca_file)
            secured = sockets.start_tls(
                plain, context, self.endpoint.host, self.timeout, self.cancelled
            )
            self._use(secured)
            self.issuer = sockets.certificate_issuer(secured)
        except (OSError, ValueError, sockets.CancelledError) as problem:
            raise self.error_from(problem) from None
        self.transcript.remark(f"{secured.version()}, certificate issued by {self.issuer or '?'}")
        self.enter("greeting")

    def _use(self, connection: socket.socket) -> None:
        """Take *connection* for all that follows; it never blocks, so that each wait can be cancelled."""
        connection.setblocking(False)
        self._socket = connection

    @property
    def _connection(self) -> socket.socket:
        if self._socket is None:
            raise self.failure(_("the connection is closed"), "service-unavailable")
        return self._socket

    def expect_silence(self) -> None:
        """Make sure that nothing from the server is unread, or it would be taken for the next answer.

        Raises:
            MailError: something is unread.
        """
        self._nothing_unread(_("the server spoke out of turn"), "service-unavailable")

    def _nothing_unread(self, why: str, cause: str) -> None:
        unread = self._buffer.unread()
        if unread:
            text = unread.decode("utf-8", "replace")
            self.transcript.server(text)
            raise self.failure(why, cause, text, retriable=self.stage == "work")

    def _too_long(self, why: str) -> MailError:
        return self.failure(why, "service-unavailable")

    # Stages and failures

    def enter(self, stage: str) -> None:
        """Begin a stage: note the time of the one before; failures name the new one from now on."""
        self._note_time()
        self.stage = stage
        self._time_left = self.timeout

    def _note_time(self) -> None:
        """Add the time since the last call to the present stage, here and in the transcript."""
        now = time.perf_counter()
        for seconds in (self.seconds, self.transcript.seconds):
            seconds[self.stage] = seconds.get(self.stage, 0.0) + now - self._entered
        self._entered = now

    def failure(
        self,
        why: str,
        cause: str,
        problem: BaseException | str = "",
        *,
        retriable: bool = False,
        challenge: str | None = None,
    ) -> MailError:
        """The error for a failure in the present stage; the transcript gets a remark.

        Args:
            why: What happened, as a clause for people.
            cause: Its id in the catalogue of causes.
            problem: The server's or the system's own words.
            challenge: The decoded SASL challenge with which the server refused a login.
        """
        evidence = problem if isinstance(problem, str) else f"{type(problem).__name__}: {problem}"
        self.transcript.remark(f"{self.stage}: {why}")
        return MailError(
            _("{host}:{port}, {stage}: {why}.").format(
                host=self.endpoint.host, port=self.endpoint.port, stage=self.stage, why=why
            ),
            stage=self.stage,
            cause=cause,
            evidence=self.transcript.shown(evidence)[:2000],
            retriable=retriable,
            challenge=challenge,
        )

    def unexpected_reply(self, reply: str | bytes) -> MailError:
        """The error for a line that does not answer what was asked."""
        text = reply if isinstance(reply, str) else reply.decode("utf-8", "replace")
        return self.failure(_("the server answered out of turn"), "service-unavailable", text)

    def error_from(self, problem: Exception) -> MailError:
        """The error for an exception of the operating system or of TLS."""
        if isinstance(problem, sockets.CancelledError):
            return self.failure(_("cancelled"), "unknown")
        if isinstance(problem, TimeoutError):
            return self.failure(
                _("no answer came within {seconds:.0f} seconds").format(seconds=self.timeout),
                # After a greeting the server is known to be there: no firewall drops what we send.
                "service-unavailable"
                if self.stage in ("authenticate", "work")
                else "connect-timeout",
                problem,
                retriable=self.stage == "work",
            )
        if isinstance(problem, ssl.SSLCertVerificationError):
            return self._untrusted(problem)
        if isinstance(problem, ssl.SSLError) or self.stage == "tls":
            return self.failure(_("the TLS connection failed"), "tls-failed", problem)
        if isinstance(problem, ConnectionRefusedError):
            return self.failure(_("the connection was refused"), "connect-refused", problem)
        return self.failure(
            _("the connection broke"), "service-unavailable", problem, retriable=True
        )

    def _untrusted(self, problem: ssl.SSLCertVerificationError) -> MailError:
        """The error for an untrusted certificate; its issuer tells a company's TLS proxy from a wrong server."""
        self.issuer = unverified_facts.certificate_issuer(
            self.endpoint, self._sent_unencrypted, min(self.timeout, 5.0)
        )
        why = _("the server's certificate is not trusted")
        if self.issuer:
            why = _("the server's certificate, issued by {issuer}, is not trusted").format(
                issuer=self.transcript.shown(self.issuer)
            )
        return self.failure(why, "tls-untrusted", problem)

    # Sending

    def send(self, data: bytes) -> None:
        """Send bytes; the caller records them in the transcript, without secrets.

        Raises:
            MailError: they could not be sent in time.
        """
        connection = self._connection
        if self.stage == "work":
            self._time_left = self.timeout
        left = memoryview(data)
        deadline = time.monotonic() + self.timeout
        try:
            while left:
                if self.cancelled.is_set():
                    raise sockets.CancelledError
                try:
                    left = left[connection.send(left[:_CHUNK]) :]
                except _NOT_YET as wants:
                    # TLS may want to read before it writes.
                    write = not isinstance(wants, ssl.SSLWantReadError)
                    sockets.wait_ready(connection, sockets.POLL, write=write)
                    if time.monotonic() >= deadline:
                        raise TimeoutError from None
                else:
                    deadline = time.monotonic() + self.timeout
        except (OSError, sockets.CancelledError) as problem:
            raise self.error_from(problem) from None

    def command(
        self, line: str, *, shown: str | None = None, unicode: bool = False, alone: bool = True
    ) -> None:
        """Send a command line and record it.

        Args:
            shown: What the transcript shows in its place, where the line holds a secret.
            unicode: Allow characters beyond ASCII (SMTPUTF8).
            alone: Call :meth:`expect_silence` first; False where untagged responses may arrive at any time (IMAP).

        Raises:
            InputError: the line holds a line break or another character that could begin a second command.
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
            self._sent_unencrypted.append(line)
        self.send(line.encode("utf-8") + b"\r\n")

    # Receiving

    def line(self) -> bytes:
        """The next line from the server, without its line end; the caller records it."""
        return self._buffer.line()

    def reply(self) -> str:
        """The next line from the server as text, recorded."""
        text = self.line().decode("utf-8", "replace")
        self.transcript.server(text)
        return text

    def exactly(self, count: int) -> Iterator[bytes]:
        """The next *count* bytes, in pieces; not recorded (IMAP literals)."""
        return self._buffer.exactly(count)

    def block(self) -> Iterator[bytes]:
        """A multi-line answer up to its final dot, in pieces; not recorded (POP3 messages)."""
        return self._buffer.block()

    def _is_readable(self, connection: socket.socket) -> bool:
        """Wait up to :data:`sockets.POLL` seconds for bytes; whether there are some."""
        ahead = isinstance(connection, ssl.SSLSocket) and connection.pending()
        return bool(ahead) or sockets.wait_ready(connection, sockets.POLL)

    def _receive(self) -> bytes:
        """Wait for more bytes.

        Raises:
            MailError: the time is over, the connection broke, or it was cancelled.
        """
        connection = self._connection
        while True:
            began = time.monotonic()
            try:
                received = connection.recv(_CHUNK) if self._is_readable(connection) else None
            except _NOT_YET:  # TLS has received a part of a record only
                received = None
            except OSError as problem:
                raise self.error_from(problem) from None
            self._time_left -= time.monotonic() - began
            if received is None or self._time_left <= 0:
                if self.cancelled.is_set():
                    raise self.error_from(sockets.CancelledError())
                if self._time_left <= 0:
                    raise self.error_from(TimeoutError())
            if received is not None:
                break
        if not received:
            raise self.failure(
                _("the server closed the connection"), "service-unavailable", retriable=True
            )
        self._progress += len(received)
        if self.stage == "work" and self._progress >= _PROGRESS:
            self._progress = 0
            self._time_left = self.timeout
        return received


class ConnectionOptions(TypedDict, total=False):
    """Options of a connection.

    Attributes:
        transcript: Records it; None for a new one.
        timeout: Seconds that each stage may take.
        ca_file: A PEM file to trust instead of the operating system's store.
        cancelled: Set it to end whatever the connection waits for.
    """

    transcript: Transcript | None
    timeout: float
    ca_file: str | None
    cancelled: threading.Event | None


class MailSession(ABC):
    """What the sessions of POP3, IMAP and SMTP share: how they are opened, log in and end.

    Attributes:
        connection: What it goes over: the certificate's issuer, the seconds of each stage.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @classmethod
    def connect(cls, endpoint: Endpoint, **options: Unpack[ConnectionOptions]) -> Self:
        """A session up to its login: connected, encrypted, greeted, and the server's capabilities known.

        Raises:
            MailError: with the stage where it failed.
        """
        connection = Connection(
            endpoint,
            options.get("transcript") or Transcript(),
            options.get("timeout", TIMEOUT),
            options.get("ca_file"),
            options.get("cancelled"),
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
        """Connect and log in: :meth:`connect`, then :meth:`log_in`."""
        session = cls.connect(endpoint, **options)
        session.log_in(user, access_token)
        return session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self.close()

    @abstractmethod
    def _greet(self) -> None:
        """Read the server's greeting, negotiate STARTTLS where the endpoint wants it, and ask for capabilities."""

    def log_in(self, user: str, access_token: str) -> None:
        """Log in, and verify it where the protocol allows it. The connection is closed on failure.

        Args:
            user: For POP3 and IMAP the mailbox, for a shared one too; for SMTP the user who signed in (exchange-dev).

        Raises:
            MailError: with the stage where it failed.
            InputError: the user name or the token cannot be sent.
        """
        try:
            self.connection.enter("authenticate")
            self._authenticate(user, access_token)
            self.connection.enter("work")
        except BaseException:
            self.connection.close()
            raise

    @abstractmethod
    def _authenticate(self, user: str, token: str) -> None: ...

    def close(self) -> None:
        """End the session and close the connection."""
        try:
            self._say_goodbye()
        except MailError:
            pass  # the work is done: a server may disconnect early
        finally:
            self.connection.close()

    @abstractmethod
    def _say_goodbye(self) -> None: ...

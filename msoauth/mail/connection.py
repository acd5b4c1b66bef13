"""A connection to a mail server: opened, encrypted, and read and written within time and size limits.

The three protocols share it. It records a transcript, measures how long each stage takes, and turns every failure
into a :class:`~msoauth.errors.MailError` that names the stage.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress

from msoauth import tls
from msoauth.clouds import Endpoint
from msoauth.errors import InputError, MailConnectionError, MailError, MailTimeoutError, Stage
from msoauth.mail import sockets, unverified_facts
from msoauth.mail.transcript import Transcript
from msoauth.redact import redact
from msoauth.texts import _

TIMEOUT = 30.0  # seconds
LINE_LIMIT = 1 << 20  # bytes; real mail exceeds the 1,000 of the standards by far, but not this
BLOCK_LIMIT = 1 << 30  # bytes of one message; Exchange takes 150 MB
_CHUNK = 1 << 16
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
# Bytes that must arrive within each time limit: a server that sends a byte now and then counts as hanging.
_MIN_PROGRESS = 512


class ReadBuffer:
    """Bytes received but not read yet; read as lines, as a count of bytes or as a dot-terminated block.

    Args:
        receive: Waits for more bytes; raises when none come.
        too_long: Creates the error for a line or message beyond its limit, from its description.
    """

    def __init__(self, receive: Callable[[], bytes], too_long: Callable[[str], MailError]) -> None:
        self._receive, self._too_long_error = receive, too_long
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
                raise self._too_long_error(_("the server sent a line without end"))
            self._fill()
            searched = self._start + unread

    def exactly(self, count: int) -> Iterator[bytes]:
        """The next *count* bytes, in pieces."""
        if count > BLOCK_LIMIT:
            raise self._too_long_error(_("the server sent a message without end"))
        while count > 0:
            if len(self._buffer) == self._start:
                self._fill()
            piece = bytes(self._buffer[self._start : self._start + min(count, _CHUNK)])
            self._start += len(piece)
            count -= len(piece)
            yield piece

    def block(self) -> Iterator[bytes]:
        """The bytes before the line that is only a dot (RFC 1939), in pieces and unchanged; not recorded.

        Only CRLF ends a line here. Servers double a leading dot (dot-stuffing) only after CRLF, so a bare ``\\n.\\n``
        is text of the message and not its end.
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
                    raise self._too_long_error(_("the server sent a message without end"))
                yield piece.replace(b"\r\n..", b"\r\n.") if b"\r\n.." in piece else piece
            searched_bytes = tail - self._start
            self._fill()
            searched = self._start + searched_bytes


class Connection:
    """A connection to a mail server: sends commands, reads lines and blocks, and records them in the transcript.

    Each stage before ``work`` must be over within *timeout* seconds. In ``work``, each wait for an answer has
    that long, and during a long answer so has each part of 512 bytes.

    Attributes:
        stage: The current stage; errors name it.
        timeout: Seconds that a stage may take; in ``work``, each wait.
        cancelled: Set it to end any wait of the connection.
        seconds: The time that each stage took so far, by its name.
        family: ``IPv6`` or ``IPv4``, over which it is connected; empty before.
        other_family: The other one, if the host has addresses of it; else empty.
        issuer: Who issued the server's certificate (by which a company's TLS proxy is recognised); empty if unknown.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        transcript: Transcript,
        timeout: float,
        ca_file: str | None,
        cancelled: threading.Event | None = None,
        family: str = "",
    ) -> None:
        self.endpoint = endpoint
        self.transcript = transcript
        self.timeout = timeout
        self.stage = Stage.RESOLVE
        self.seconds: dict[str, float] = {}
        self.issuer = ""
        self.family = self.other_family = ""
        self.cancelled = cancelled or threading.Event()
        self._ca_file = ca_file
        self._wanted_family = family
        self._other_addresses: list[sockets.Address] = []
        self._buffer = ReadBuffer(self._receive, self._too_long_error)
        self._socket: socket.socket | None = None
        self._bytes_since_reset = 0
        self._time_left = timeout  # of the stage; in ``work``, of the current wait
        self._plaintext_commands: list[str] = []
        self._time_noted = time.perf_counter()

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
        except (OSError, CancelledError) as problem:
            raise self.error_from(problem) from None
        wanted = [
            address
            for address in addresses
            if self._wanted_family in ("", sockets.FAMILIES.get(address[0]))
        ]
        if not wanted:
            why = _("the host name has no {family} address").format(family=self._wanted_family)
            raise self.failure(why, "dns-failed")
        self.enter(Stage.CONNECT)
        try:
            connection = sockets.connect_any(wanted, self.timeout, self.cancelled)
            self._set_socket(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = connection.getpeername()[0]
        except (OSError, CancelledError) as problem:
            raise self.error_from(problem) from None
        self.family = sockets.FAMILIES.get(connection.family, "")
        self._other_addresses = [a for a in addresses if a[0] != connection.family]
        for family, _address in self._other_addresses:
            self.other_family = sockets.FAMILIES.get(family, "")
        self.transcript.remark(f"connected to {peer} port {port}")
        if self.endpoint.tls == "implicit":
            self.start_tls()
        else:
            self.enter(Stage.GREETING)

    def other_family_error(self, seconds: float) -> str:
        """Why no connection comes about over the other family within *seconds*; empty if one does.

        Raises:
            MailError: it was cancelled.
        """
        try:
            sockets.connect_any(self._other_addresses, seconds, self.cancelled).close()
        except CancelledError as problem:
            raise self.error_from(problem) from None
        except OSError as problem:
            return str(problem)
        return ""

    def start_tls(self) -> None:
        """Negotiate TLS, at once or after STARTTLS. The greeting is the next stage.

        Plain text that arrived before it is an error: an attacker may have put it there (CVE-2011-0411).

        Raises:
            MailError: it failed, or the certificate is not trusted.
        """
        tcp_socket = self._open_socket
        self.enter(Stage.TLS)
        self._require_nothing_unread(
            _("the server sent plain text into the beginning of TLS"), "tls-failed"
        )
        try:
            context = tls.context(self._ca_file)
            tls_socket = sockets.start_tls(
                tcp_socket, context, self.endpoint.host, self.timeout, self.cancelled
            )
            self._set_socket(tls_socket)
            self.issuer = sockets.certificate_issuer(tls_socket)
        except (OSError, ValueError, CancelledError) as problem:
            raise self.error_from(problem) from None
        self.transcript.remark(
            f"{tls_socket.version()}, certificate issued by {self.issuer or '?'}"
        )
        self.enter(Stage.GREETING)

    def _set_socket(self, connection: socket.socket) -> None:
        """Use *connection* from now on, non-blocking, so that each wait can be cancelled."""
        connection.setblocking(False)
        self._socket = connection

    @property
    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise self.failure(_("the connection is closed"), "service-unavailable")
        return self._socket

    def expect_silence(self) -> None:
        """Check that nothing from the server is unread: it would be taken for the answer to the next command.

        Raises:
            MailError: something is unread.
        """
        self._require_nothing_unread(_("the server spoke out of turn"), "service-unavailable")

    def _require_nothing_unread(self, why: str, cause: str) -> None:
        unread = self._buffer.unread()
        if unread:
            text = unread.decode("utf-8", "replace")
            self.transcript.server(text)
            raise self.failure(why, cause, text, retriable=self.stage == Stage.WORK)

    def _too_long_error(self, why: str) -> MailError:
        return self.failure(why, "service-unavailable")

    # Stages and failures

    def enter(self, stage: Stage) -> None:
        """Begin a stage: record the time that the previous one took; errors name the new one from now on."""
        self._note_time()
        self.stage = stage
        self._time_left = self.timeout

    def _note_time(self) -> None:
        """Add the time since the last call to the current stage, here and in the transcript."""
        now = time.perf_counter()
        for seconds in (self.seconds, self.transcript.seconds):
            seconds[self.stage] = seconds.get(self.stage, 0.0) + now - self._time_noted
        self._time_noted = now

    def failure(
        self,
        why: str,
        cause: str,
        problem: BaseException | str = "",
        *,
        kind: type[MailError] = MailError,
        retriable: bool = False,
        challenge: str | None = None,
    ) -> MailError:
        """The error for a failure in the current stage; also recorded in the transcript.

        Args:
            why: What happened, as a clause for people.
            cause: Its id in the catalogue of causes.
            problem: The server's or the operating system's own message.
            kind: Its class.
            challenge: The decoded SASL challenge with which the server refused a login.
        """
        evidence = problem if isinstance(problem, str) else f"{type(problem).__name__}: {problem}"
        self.transcript.remark(f"{self.stage}: {why}")
        return kind(
            _("{host}:{port}, {stage}: {why}.").format(
                host=self.endpoint.host, port=self.endpoint.port, stage=self.stage, why=why
            ),
            stage=self.stage,
            cause=cause,
            evidence=self.transcript.mask(evidence, 2000),
            retriable=retriable,
            challenge=challenge,
        )

    def unexpected_reply(self, reply: str | bytes) -> MailError:
        """The error for a reply that does not belong to the command that was sent."""
        text = reply if isinstance(reply, str) else reply.decode("utf-8", "replace")
        return self.failure(_("the server answered out of turn"), "service-unavailable", text)

    def error_from(self, problem: Exception) -> MailError:
        """The error for an exception of the operating system or of TLS."""
        if isinstance(problem, CancelledError):
            return self.failure(_("cancelled"), "unknown")
        if isinstance(problem, TimeoutError):
            return self.failure(
                _("no answer came within {seconds:.0f} seconds").format(seconds=self.timeout),
                # The server has answered before, so no firewall drops what we send.
                "service-unavailable"
                if self.stage in (Stage.AUTHENTICATE, Stage.WORK)
                else "connect-timeout",
                problem,
                kind=MailTimeoutError,
                retriable=self.stage == Stage.WORK,
            )
        if isinstance(problem, ssl.SSLCertVerificationError):
            return self._untrusted_error(problem)
        if isinstance(problem, ssl.SSLError) or self.stage == Stage.TLS:
            return self.failure(_("the TLS connection failed"), "tls-failed", problem)
        if isinstance(problem, ConnectionRefusedError):
            why, cause, retriable = _("the connection was refused"), "connect-refused", False
        else:
            why, cause, retriable = _("the connection broke"), "service-unavailable", True
        return self.failure(why, cause, problem, kind=MailConnectionError, retriable=retriable)

    def _untrusted_error(self, problem: ssl.SSLCertVerificationError) -> MailError:
        """The error for an untrusted certificate; it names the issuer, by which a company's TLS proxy is recognised."""
        self.issuer = unverified_facts.certificate_issuer(
            self.endpoint, self._plaintext_commands, min(self.timeout, 5.0)
        )
        why = _("the server's certificate is not trusted")
        if self.issuer:
            why = _("the server's certificate, issued by {issuer}, is not trusted").format(
                issuer=self.transcript.mask(self.issuer)
            )
        return self.failure(why, "tls-untrusted", problem)

    # Sending

    def send(self, data: bytes) -> None:
        """Send bytes; the caller records them in the transcript, without secrets.

        Raises:
            MailError: they could not be sent in time.
        """
        connection = self._open_socket
        if self.stage == Stage.WORK:
            self._time_left = self.timeout
        remaining = memoryview(data)
        deadline = time.monotonic() + self.timeout
        try:
            while remaining:
                if self.cancelled.is_set():
                    raise CancelledError
                try:
                    remaining = remaining[connection.send(remaining[:_CHUNK]) :]
                except _WOULD_BLOCK as error:
                    # TLS may want to read before it writes.
                    write = not isinstance(error, ssl.SSLWantReadError)
                    sockets.wait_ready(connection, sockets.POLL, write=write)
                    if time.monotonic() >= deadline:
                        raise TimeoutError from None
                else:
                    deadline = time.monotonic() + self.timeout
        except (OSError, CancelledError) as problem:
            raise self.error_from(problem) from None

    def command(
        self,
        line: str,
        *,
        placeholder: str | None = None,
        unicode: bool = False,
        require_silence: bool = True,
    ) -> None:
        """Send a command line and record it.

        Args:
            placeholder: What the transcript shows in its place, where the line holds a secret.
            unicode: Allow characters beyond ASCII (SMTPUTF8).
            require_silence: Call :meth:`expect_silence` first; False where untagged responses may arrive at any
                time (IMAP).

        Raises:
            InputError: the line holds a line break or another character that could begin a second command.
        """
        if not (line.isprintable() and (unicode or line.isascii())):
            raise InputError(
                _("“{text}” holds characters that cannot be sent.").format(
                    text=redact(placeholder or line, 80)
                )
            )
        if require_silence:
            self.expect_silence()
        self.transcript.client(line if placeholder is None else placeholder)
        if not isinstance(self._socket, ssl.SSLSocket):
            self._plaintext_commands.append(line)
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
        """Wait up to :data:`sockets.POLL` seconds for bytes; returns whether there are any."""
        # Bytes that TLS has decrypted already do not make the socket readable.
        decrypted = isinstance(connection, ssl.SSLSocket) and connection.pending()
        return bool(decrypted) or sockets.wait_ready(connection, sockets.POLL)

    def _receive(self) -> bytes:
        """Wait for more bytes.

        Raises:
            MailError: the time limit is reached, the connection broke, or it was cancelled.
        """
        connection = self._open_socket
        while True:
            began = time.monotonic()
            try:
                received = connection.recv(_CHUNK) if self._is_readable(connection) else None
            except _WOULD_BLOCK:  # TLS has received only a part of a record
                received = None
            except OSError as problem:
                raise self.error_from(problem) from None
            self._time_left -= time.monotonic() - began
            if received is None or self._time_left <= 0:
                if self.cancelled.is_set():
                    raise self.error_from(CancelledError())
                if self._time_left <= 0:
                    raise self.error_from(TimeoutError())
            if received is not None:
                break
        if not received:
            raise self.failure(
                _("the server closed the connection"),
                "service-unavailable",
                kind=MailConnectionError,
                retriable=True,
            )
        self._bytes_since_reset += len(received)
        if self.stage == Stage.WORK and self._bytes_since_reset >= _MIN_PROGRESS:
            self._bytes_since_reset = 0
            self._time_left = self.timeout
        return received

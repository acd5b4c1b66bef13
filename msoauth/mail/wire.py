"""A connection to a mail server, in stages: resolve, connect, TLS, greeting, authenticate, work."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from msoauth import tls
from msoauth.clouds import Endpoint
from msoauth.errors import InputError, MailError
from msoauth.mail import dial
from msoauth.mail.transcript import Transcript
from msoauth.texts import _

__all__ = ["LINE_LIMIT", "TIMEOUT", "Timing", "Transcript", "Wire", "connect"]

TIMEOUT = 30.0
LINE_LIMIT = (
    1 << 20
)  # a line of real mail may pass the 1,000 octets of the standards by far, but not this
BLOCK_LIMIT = 1 << 30  # bytes of one message; Exchange takes 150 MB
_CHUNK = 1 << 16
_PROGRESS = (
    512  # bytes that must come in each time limit: a server that drips is a server that hangs
)


@dataclass
class Timing:
    """Seconds that each stage took."""

    seconds: dict[str, float] = field(default_factory=dict)


class Wire:
    """A connection: lines and blocks in, bytes out, everything recorded.

    A stage before ``work`` must be over within *timeout* seconds. At work each wait for an answer has
    that long, and while a long answer comes in, each part of 512 bytes.

    Attributes:
        stage: Where the conversation is; a failure carries it.
        issuer: Who issued the server's certificate (a company's proxy shows itself here), or empty.
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
        self.endpoint = endpoint
        self.transcript = transcript
        self.timing = Timing()
        self.timeout = timeout
        self.issuer = ""
        self.stage = "resolve"
        self.cancelled = cancelled or threading.Event()
        self._ca_file = ca_file
        self._buffer = bytearray()
        self._start = 0
        self._socket: socket.socket | None = None
        self._entered = time.perf_counter()
        self._allowance = timeout
        self._progress = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        if self._socket is not None:
            self._note_time()
            with suppress(OSError):
                self._socket.close()
            self._socket = None

    def enter(self, stage: str) -> None:
        """Begin a stage: the time of the one before is noted, and failures are named after the new one."""
        self._note_time()
        self.stage = stage
        self._allowance = self.timeout

    def _note_time(self) -> None:
        now = time.perf_counter()
        for seconds in (self.timing.seconds, self.transcript.seconds):
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
        """The error for what went wrong at the present stage."""
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

    def _broken(self, problem: Exception) -> MailError:
        """The error for what the operating system or TLS said."""
        if isinstance(problem, dial.CancelledError):
            return self.failure(_("cancelled"), "unknown")
        if isinstance(problem, TimeoutError):
            return self.failure(
                _("no answer came within {seconds:.0f} seconds").format(seconds=self.timeout),
                # A server that greeted us is there: it is not a firewall that keeps silent.
                "service-unavailable"
                if self.stage in ("authenticate", "work")
                else "connect-timeout",
                problem,
                retriable=self.stage == "work",
            )
        if isinstance(problem, ssl.SSLCertVerificationError):
            return self.failure(
                _("the server's certificate is not trusted"), "tls-untrusted", problem
            )
        if isinstance(problem, ssl.SSLError) or self.stage == "tls":
            return self.failure(_("the TLS connection failed"), "tls-failed", problem)
        if isinstance(problem, ConnectionRefusedError):
            return self.failure(_("the connection was refused"), "connect-refused", problem)
        return self.failure(
            _("the connection broke"), "service-unavailable", problem, retriable=True
        )

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
            raise self._broken(problem) from None
        self.enter("connect")
        try:
            self._socket = dial.first_to_answer(addresses, self.timeout, self.cancelled)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.settimeout(dial.POLL)
            peer = self._socket.getpeername()[0]
        except (OSError, dial.CancelledError) as problem:
            raise self._broken(problem) from None
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
            self._socket = secured
            secured.settimeout(dial.POLL)
            self.issuer = dial.issuer(secured)
        except (OSError, ValueError, dial.CancelledError) as problem:
            raise self._broken(problem) from None
        self.transcript.remark(f"{secured.version()}, certificate issued by {self.issuer or '?'}")

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
        if len(self._buffer) > self._start:
            unread = bytes(self._buffer[self._start : self._start + 500])
            self.transcript.server(unread.decode("utf-8", "replace"))
            raise self.failure(
                why, cause, unread.decode("utf-8", "replace"), retriable=self.stage == "work"
            )

    # What we say

    def send(self, data: bytes) -> None:
        """Send bytes; recording them is the caller's, who knows what they are."""
        connection = self._connection
        if self.stage == "work":
            self._allowance = self.timeout
        try:
            connection.settimeout(self.timeout)
            for start in range(0, len(data), _CHUNK):
                if self.cancelled.is_set():
                    raise dial.CancelledError
                connection.sendall(data[start : start + _CHUNK])
            connection.settimeout(dial.POLL)
        except (OSError, dial.CancelledError) as problem:
            raise self._broken(problem) from None

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
        self.send(line.encode("utf-8") + b"\r\n")

    # What the server says

    def line(self) -> bytes:
        """The next line of the server, without its end; not recorded."""
        return self._raw_line().removesuffix(b"\n").removesuffix(b"\r")

    def _raw_line(self) -> bytes:
        searched = self._start
        while True:
            end = self._buffer.find(b"\n", searched)
            if end >= 0:
                line = bytes(self._buffer[self._start : end + 1])
                self._start = end + 1
                return line
            unread = len(self._buffer) - self._start
            if unread > LINE_LIMIT:
                raise self.failure(_("the server sent a line without end"), "service-unavailable")
            self._fill()
            searched = self._start + unread

    def reply(self) -> str:
        """The next line of the server, recorded."""
        text = self.line().decode("utf-8", "replace")
        self.transcript.server(text)
        return text

    def exactly(self, count: int) -> Iterator[bytes]:
        """The next *count* bytes, in pieces; not recorded."""
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
            # What begins with the first CR of the last four bytes may be the beginning of an end.
            tail = self._buffer.find(b"\r", max(self._start, len(self._buffer) - 4))
            tail = len(self._buffer) if tail < 0 else tail
            if tail - self._start >= _CHUNK:
                piece = bytes(self._buffer[self._start : tail])
                self._start = tail
                received += len(piece)
                if received > BLOCK_LIMIT:
                    raise self.failure(
                        _("the server sent a message without end"), "service-unavailable"
                    )
                yield piece.replace(b"\r\n..", b"\r\n.") if b"\r\n.." in piece else piece
            ahead = tail - self._start
            self._fill()
            searched = self._start + ahead

    def _fill(self) -> None:
        """Wait for more bytes. Positions in the buffer are counted from ``_start`` afterwards."""
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        connection = self._connection
        while True:
            began = time.monotonic()
            try:
                received = connection.recv(_CHUNK)
            except TimeoutError:
                received = None
            except OSError as problem:
                raise self._broken(problem) from None
            self._allowance -= time.monotonic() - began
            if received is None or self._allowance <= 0:
                if self.cancelled.is_set():
                    raise self._broken(dial.CancelledError())
                if self._allowance <= 0:
                    raise self._broken(TimeoutError())
            if received is not None:
                break
        if not received:
            raise self.failure(
                _("the server closed the connection"), "service-unavailable", retriable=True
            )
        self._buffer += received
        self._progress += len(received)
        if self.stage == "work" and self._progress >= _PROGRESS:
            self._progress = 0
            self._allowance = self.timeout


def begins_with_tls(endpoint: Endpoint, *, timeout: float = TIMEOUT) -> bool:
    """Whether a port takes a TLS handshake as the first thing; whose certificate it has does not matter here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent: only the kind of port is asked
    try:
        with (
            socket.create_connection((endpoint.host, endpoint.port), timeout) as plain,
            context.wrap_socket(plain, server_hostname=endpoint.host),
        ):
            return True
    except OSError:
        return False


def connect(
    endpoint: Endpoint,
    *,
    timeout: float = TIMEOUT,
    transcript: Transcript | None = None,
    ca_file: str | None = None,
    cancelled: threading.Event | None = None,
) -> Wire:
    """A connection to *endpoint*, with TLS where it comes first.

    Args:
        timeout: Seconds that each step may take.
        ca_file: A PEM file to trust instead of the operating system's store.
        cancelled: Set it to end whatever the connection waits for.

    Raises:
        MailError: with the stage where it broke.
    """
    wire = Wire(endpoint, transcript or Transcript(), timeout, ca_file, cancelled)
    try:
        wire.open()
    except BaseException:
        wire.close()
        raise
    return wire

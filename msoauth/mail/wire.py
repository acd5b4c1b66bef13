"""A connection to a mail server, in stages: resolve, connect, TLS, greeting, authenticate, work."""

import functools
import selectors
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self

import truststore

from msoauth.clouds import Endpoint
from msoauth.errors import MailError
from msoauth.mail.transcript import Transcript
from msoauth.redact import redact
from msoauth.texts import _

__all__ = ["LINE_LIMIT", "Timing", "Transcript", "Wire", "connect"]

TIMEOUT = 30.0
LINE_LIMIT = (
    1 << 20
)  # a line of real mail may pass the 1,000 octets of the standards by far, but not this
_HEAD_START = 0.25  # seconds that an address family gets before the other is tried too (RFC 8305)
_CHUNK = 1 << 16


@dataclass
class Timing:
    """Seconds that each stage took."""

    seconds: dict[str, float] = field(default_factory=dict)


class Wire:
    """A connection: lines and blocks in, bytes out, everything recorded.

    Attributes:
        stage: Where the conversation is; a failure carries it.
        issuer: Who issued the server's certificate (a company's proxy shows itself here), or empty.
    """

    def __init__(
        self, endpoint: Endpoint, transcript: Transcript, timeout: float, ca_file: str | None
    ) -> None:
        self.endpoint = endpoint
        self.transcript = transcript
        self.timing = Timing()
        self.timeout = timeout
        self.issuer = ""
        self.stage = "resolve"
        self._ca_file = ca_file
        self._buffer = bytearray()
        self._start = 0
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
            self._socket = None

    @contextmanager
    def at(self, stage: str) -> Iterator[None]:
        """Do something in a stage: timed, and with its failures named after it."""
        self.stage = stage
        start = time.perf_counter()
        try:
            yield
        except TimeoutError as problem:
            raise self.failure(
                _("no answer came within {seconds:.0f} seconds").format(seconds=self.timeout),
                "connect-timeout",
                problem,
                retriable=stage == "work",
            ) from None
        except ssl.SSLCertVerificationError as problem:
            raise self.failure(
                _("the server's certificate is not trusted"), "tls-untrusted", problem
            ) from None
        except ssl.SSLError as problem:
            raise self.failure(_("the TLS connection failed"), "tls-failed", problem) from None
        except OSError as problem:
            cause = (
                "tls-failed"
                if stage == "tls"
                else "connect-refused"
                if isinstance(problem, ConnectionRefusedError)
                else "service-unavailable"
            )
            raise self.failure(
                _("the connection broke"), cause, problem, retriable=cause == "service-unavailable"
            ) from None
        finally:
            self.timing.seconds[stage] = (
                self.timing.seconds.get(stage, 0.0) + time.perf_counter() - start
            )

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
            evidence=redact(evidence)[:2000],
            retriable=retriable,
            challenge=challenge,
        )

    def open(self) -> None:
        """Resolve, connect and, where TLS comes first, begin it."""
        with self.at("resolve"):
            try:
                found = socket.getaddrinfo(
                    self.endpoint.host, self.endpoint.port, type=socket.SOCK_STREAM
                )
            except (socket.gaierror, UnicodeError) as problem:
                raise self.failure(
                    _("the host name does not resolve"), "dns-failed", problem
                ) from None
        with self.at("connect"):
            self._socket = _race(
                [(family, address) for family, _k, _p, _c, address in found], self.timeout
            )
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.transcript.remark(
                f"connected to {self._socket.getpeername()[0]} port {self.endpoint.port}"
            )
        if self.endpoint.tls == "implicit":
            self.start_tls()

    def start_tls(self) -> None:
        """Begin TLS; whatever came in plain text before is not believed."""
        plain = self._connection
        with self.at("tls"):
            if len(self._buffer) > self._start:
                raise self.failure(
                    _("the server sent plain text into the beginning of TLS"), "tls-failed"
                )
            self._buffer.clear()
            self._start = 0
            plain.settimeout(self.timeout)
            secured = _tls(self._ca_file).wrap_socket(plain, server_hostname=self.endpoint.host)
            self._socket = secured
            self.issuer = _issuer(secured)
            self.transcript.remark(
                f"{secured.version()}, certificate issued by {self.issuer or '?'}"
            )

    @property
    def _connection(self) -> socket.socket:
        if self._socket is None:
            raise self.failure(_("the connection is closed"), "service-unavailable")
        return self._socket

    def send(self, data: bytes) -> None:
        """Send bytes; recording them is the caller's, who knows what they are."""
        self._connection.sendall(data)

    def command(self, line: str, *, shown: str | None = None) -> None:
        """Send a line. *shown* stands in the transcript where the line holds what must not be seen."""
        self.transcript.client(line if shown is None else shown)
        self.send(line.encode("utf-8") + b"\r\n")

    def line(self) -> bytes:
        """The next line of the server, without its end; not recorded."""
        while True:
            end = self._buffer.find(b"\n", self._start)
            if end >= 0:
                line = bytes(self._buffer[self._start : end])
                self._start = end + 1
                if self._start > _CHUNK:
                    del self._buffer[: self._start]
                    self._start = 0
                return line[:-1] if line.endswith(b"\r") else line
            if len(self._buffer) - self._start > LINE_LIMIT:
                raise self.failure(_("the server sent a line without end"), "service-unavailable")
            self._fill()

    def exactly(self, count: int) -> Iterator[bytes]:
        """The next *count* bytes, in pieces; not recorded."""
        while count > 0:
            if len(self._buffer) == self._start:
                self._fill()
            piece = bytes(self._buffer[self._start : self._start + min(count, _CHUNK)])
            self._start += len(piece)
            count -= len(piece)
            yield piece

    def reply(self) -> str:
        """The next line of the server, recorded."""
        text = self.line().decode("utf-8", "replace")
        self.transcript.server(text)
        return text

    def _fill(self) -> None:
        if self._start == len(self._buffer):
            self._buffer.clear()
            self._start = 0
        received = self._connection.recv(_CHUNK)
        if not received:
            raise self.failure(
                _("the server closed the connection"), "service-unavailable", retriable=True
            )
        self._buffer += received


def connect(
    endpoint: Endpoint,
    *,
    timeout: float = TIMEOUT,
    transcript: Transcript | None = None,
    ca_file: str | None = None,
) -> Wire:
    """A connection to *endpoint*, with TLS where it comes first.

    Args:
        timeout: Seconds that each step may take.
        ca_file: A PEM file to trust instead of the operating system's store.

    Raises:
        MailError: with the stage where it broke.
    """
    wire = Wire(endpoint, transcript or Transcript(), timeout, ca_file)
    try:
        wire.open()
    except BaseException:
        wire.close()
        raise
    return wire


@functools.lru_cache(maxsize=16)
def _tls(ca_file: str | None) -> ssl.SSLContext:
    context = (
        ssl.create_default_context(cafile=ca_file)
        if ca_file
        else truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _issuer(connection: ssl.SSLSocket) -> str:
    certificate: dict[str, Any] = connection.getpeercert() or {}
    parts = dict(pair for group in certificate.get("issuer", ()) for pair in group)
    return str(parts.get("organizationName") or parts.get("commonName") or "")


def _race(
    addresses: list[tuple[socket.AddressFamily, tuple[object, ...]]], timeout: float
) -> socket.socket:
    """The first connection to come about: IPv6 and IPv4 in turn, each with a head start over the next."""
    ordered = _interleaved(addresses)
    deadline = time.monotonic() + timeout
    failure: OSError = TimeoutError("no address answered")
    with selectors.DefaultSelector() as selector:
        pending: list[socket.socket] = []
        try:
            while ordered or pending:
                if ordered:
                    family, address = ordered.pop(0)
                    try:
                        candidate = socket.socket(family, socket.SOCK_STREAM)
                    except OSError as problem:  # the family is not there on this computer
                        failure = problem
                        continue
                    candidate.setblocking(False)
                    candidate.connect_ex(address)
                    selector.register(candidate, selectors.EVENT_WRITE)
                    pending.append(candidate)
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                for key, _events in selector.select(min(left, _HEAD_START) if ordered else left):
                    candidate = key.fileobj  # type: ignore[assignment]
                    error = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    selector.unregister(candidate)
                    pending.remove(candidate)
                    if error == 0:
                        candidate.settimeout(timeout)
                        return candidate
                    candidate.close()
                    failure = _os_error(error)
            raise failure
        finally:
            for candidate in pending:
                candidate.close()


def _os_error(number: int) -> OSError:
    import os

    return OSError(number, os.strerror(number))


def _interleaved(
    addresses: list[tuple[socket.AddressFamily, tuple[object, ...]]],
) -> list[tuple[socket.AddressFamily, tuple[object, ...]]]:
    six = [a for a in addresses if a[0] == socket.AF_INET6]
    four = [a for a in addresses if a[0] == socket.AF_INET]
    mixed = [pair for both in zip(six, four, strict=False) for pair in both]
    return mixed + six[len(four) :] + four[len(six) :]

"""A client's TCP connection to one of the mail servers, with TLS and bounded buffers in both directions.

asyncio's StreamReader keeps plaintext that was read before STARTTLS, and leaves the limits to its users;
this protocol keeps at most a line (or one network buffer) and forgets everything when TLS begins.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import cast

from msoauth.practice.network import TOO_OLD

HIGH_WATER = 64 * 1024  # bytes kept unread before the peer is told to wait
DROP_AT = 20  # bytes of an answer that still arrive when a fault drops the connection inside it
CHUNK = 128 * 1024  # bytes handed to the transport at once
CLOSING = 2.0  # seconds that a peer has to answer TLS's close_notify and to read the rest

_log = logging.getLogger("msoauth.practice")


class ConnectionClosedError(Exception):
    """The peer is gone, or was too slow, or the connection was dropped on purpose."""


# What is raised when a peer ends normally; anything else is an error of the server, or an attack.
_PEER_LEFT = (ConnectionClosedError, ConnectionResetError, BrokenPipeError)


class LineTooLongError(Exception):
    """The peer sent more than a line may have without ending it."""


class IdleError(Exception):
    """The peer said nothing complete for too long."""


class Connection(asyncio.Protocol):
    """A connection of a client; runs ``serve`` in a task of its own once it is established.

    Attributes:
        latency: Returns the seconds to wait before each answer.
        write_seconds: How long a peer may take to read what is sent to it.
        protocol: The name of the mail protocol, for the log.
        received: Bytes received and not consumed yet; a consumer sets ``answered`` to False.
        answered: Whether anything was sent since then: only the first bytes of an answer wait for the latency.
    """

    def __init__(
        self,
        serve: Callable[["Connection"], Awaitable[None]],
        latency: Callable[[], float],
        write_seconds: float = 30.0,
        protocol: str = "mail",
    ) -> None:
        self.latency = latency
        self.write_seconds = write_seconds
        self.protocol = protocol
        self.received = bytearray()
        self.answered = False
        self.task: asyncio.Task[None] | None = None
        self._serve = serve
        self._transport: asyncio.Transport | None = None
        self._raw: asyncio.Transport | None = None  # the TCP connection below TLS
        self._close_timer: asyncio.TimerHandle | None = None
        self._eof = False
        self._lost: Exception | None = None
        self._end_logged = False
        self._full = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._blocked = False
        self._out: list[bytes] = []
        self._out_size = 0
        self._allowance: int | None = None

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the session."""
        self._transport = self._raw = cast(asyncio.Transport, transport)
        self.task = asyncio.get_running_loop().create_task(self._run())

    def data_received(self, data: bytes) -> None:
        """Buffer the data; stop reading while the buffer is full."""
        self.received += data
        if len(self.received) >= HIGH_WATER and not self._full and self._transport is not None:
            self._full = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """The peer sends no more; the transport closes itself."""
        self._eof = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake the tasks that wait for the peer."""
        self._eof = True
        self._lost = exc
        self._wake()
        if self._close_timer is not None:
            self._close_timer.cancel()
        if self._writer is not None and not self._writer.done():
            self._writer.set_exception(ConnectionClosedError())

    def pause_writing(self) -> None:
        """The peer reads slowly."""
        self._blocked = True

    def resume_writing(self) -> None:
        """The peer has read."""
        self._blocked = False
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    # Reading

    async def more(self) -> None:
        """Send what was written, and wait until more data arrives.

        Raises:
            ConnectionClosedError: the peer is gone.
        """
        received_before = len(self.received)
        await self.flush()
        if self._eof or self._transport is None:
            raise ConnectionClosedError
        if self._full:
            self._full = False
            self._transport.resume_reading()
        if len(self.received) > received_before:  # it came while flushing, or within resume_reading
            return
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # Writing

    def write(self, data: bytes) -> None:
        """Put bytes into the answer; it is sent when the next line is awaited, or by :meth:`flush`."""
        self._out.append(data)
        self._out_size += len(data)

    async def send(self, data: bytes) -> None:
        """Like :meth:`write`, but long answers go out piece by piece."""
        self.write(data)
        if self._out_size >= CHUNK:
            await self.flush()

    async def flush(self) -> None:
        """Send what was written.

        Raises:
            ConnectionClosedError: the peer is gone, or does not read.
        """
        if not self._out:
            return
        data = b"".join(self._out)
        self._out.clear()
        self._out_size = 0
        if not self.answered:
            self.answered = True
            if (seconds := self.latency()) > 0:
                await asyncio.sleep(seconds)
        if self._allowance is not None:
            data, self._allowance = data[: self._allowance], self._allowance - len(data)
        view = memoryview(data)
        for start in range(0, len(view), CHUNK):
            if self._transport is None or self._transport.is_closing():
                raise ConnectionClosedError
            self._transport.write(view[start : start + CHUNK])
            if self._blocked:
                await self._wait_writable()
        if self._allowance is not None and self._allowance <= 0:
            self.abort("dropped on purpose inside an answer")
            raise ConnectionClosedError

    async def _wait_writable(self) -> None:
        self._writer = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self.write_seconds):
                await self._writer
        except TimeoutError:
            self.abort(f"the peer read nothing for {self.write_seconds:g} s")
            raise ConnectionClosedError from None
        finally:
            self._writer = None

    def drop_after(self, count: int) -> None:
        """Send *count* more bytes at most, then drop the connection without closing TLS."""
        self._allowance = count

    # TLS and the end

    async def start_tls(
        self, context: ssl.SSLContext | None, seconds: float, reply: bytes | None = None
    ) -> None:
        """Begin TLS as the server; discard what came in plain text and was not answered.

        Args:
            context: The server's certificate; None refuses every handshake, as servers with an old TLS do.
            seconds: How long the handshake may take.
            reply: Sent in plain text before the handshake (SMTP's 220).

        Raises:
            OSError: the handshake failed (``ssl.SSLError`` is one).
        """
        transport = self._transport
        if transport is None:
            raise ConnectionClosedError
        transport.pause_reading()
        self.received.clear()
        if reply is not None:
            self.write(reply)
            await self.flush()
            self.answered = False
        if context is None:
            transport.resume_reading()
            self._full = False
            async with asyncio.timeout(seconds):
                await self.more()
            self.write(TOO_OLD)
            await self.flush()
            self._log_end("TLS was refused on purpose as too new")
            self._close()
            raise ConnectionClosedError
        self._transport = await asyncio.get_running_loop().start_tls(
            transport,
            self,
            context,
            server_side=True,
            ssl_handshake_timeout=seconds,
            ssl_shutdown_timeout=CLOSING,
        )
        self._full = False

    def remote(self) -> tuple[str, int] | None:
        """The peer's address and port, once it was connected."""
        name = self._raw.get_extra_info("peername") if self._raw else None
        return (str(name[0]), int(name[1])) if name else None

    def peer(self) -> str:
        """The peer's address."""
        name = self.remote()
        return name[0] if name else "127.0.0.1"

    def abort(self, why: str, level: int = logging.INFO) -> None:
        """Drop the connection now, and log *why*."""
        self._log_end(why, level)
        if self._raw is not None:
            self._raw.abort()

    def end(self, why: str) -> None:
        """Drop the connection now, log *why*, and end its session."""
        self.abort(why)
        if self.task is not None:
            self.task.cancel()

    def _log_end(self, why: str, level: int = logging.INFO) -> None:
        """Log why the connection ends, once: later reasons only follow from the first."""
        if not self._end_logged:
            self._end_logged = True
            address, port = self.remote() or ("?", 0)
            _log.log(level, "%s connection of %s:%d closed: %s", self.protocol, address, port, why)

    def _close(self) -> None:
        if self._transport is None or self._raw is None or self._raw.is_closing():
            return
        self._transport.close()
        # A peer that does not read the last answer would keep the socket open for ever.
        self._close_timer = asyncio.get_running_loop().call_later(CLOSING, self._raw.abort)

    async def _run(self) -> None:
        try:
            await self._serve(self)
            await self.flush()
            self._log_end("the session is over", logging.DEBUG)
        except (ConnectionClosedError, LineTooLongError, IdleError, OSError) as end:
            if isinstance(why := self._lost or end, _PEER_LEFT):  # peers come and go
                self.abort(f"the peer has left ({why!r})", logging.DEBUG)
            else:
                self.abort(repr(why))
        except asyncio.CancelledError:
            self.abort("the session was cancelled")
            raise
        except Exception:  # noqa: BLE001 - one session must not end the others
            _log.exception("A practice mail session failed")
            self.abort("the session failed")
        finally:
            self._close()

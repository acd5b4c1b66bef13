"""Serve HTTP with limits on connections, times and sizes, so that a flood of requests does no harm."""

import asyncio
import socket
import ssl
from email.utils import format_datetime
from typing import Any

import tornado.httpserver
import tornado.iostream
import tornado.web

from msoauth.practice import network
from msoauth.practice.network import Stop
from msoauth.practice.state import PracticeState

# Connections at a time; the oldest is closed for a new one. On Windows tornado waits with select(), which takes 512
# sockets.
MAX_CONNECTIONS = 200 if network.IS_WINDOWS else 1500
IDLE = 30.0  # seconds for a handshake and a whole header, and between two requests
BODY = 15.0  # seconds for a whole body
WRITE = 30.0  # seconds in which a client must have read an answer
BODY_SIZE = 1 << 20
HEADER_SIZE = 1 << 16

# The answer to plain HTTP on an HTTPS port; sent at once, it is what a client that begins with TLS receives.
PLAIN_HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class ProgramEndpoint(tornado.web.RequestHandler):
    """An HTTP endpoint for programs: it answers JSON, after the practice tenant's latency."""

    state: PracticeState

    def set_default_headers(self) -> None:
        self.set_header("Server", "practice")
        self.set_header("Cache-Control", "no-store, no-cache")
        self.set_header("Content-Type", "application/json; charset=utf-8")

    async def prepare(self) -> None:
        self.set_header("Date", format_datetime(self.state.clock.now(), usegmt=True))
        if self.state.latency:
            await asyncio.sleep(self.state.latency)


class _BoundedServer(tornado.httpserver.HTTPServer):
    """An HTTP server with a bounded number of connections."""

    def initialize(self, *args: Any, **options: Any) -> None:
        self._most: int = options.pop("most")
        self._write: float = options.pop("write")
        super().initialize(*args, **options)
        self._writing_since: dict[tornado.iostream.IOStream, float] = {}
        self._timer = asyncio.get_running_loop().call_later(
            self._write / 4, self._close_slow_readers
        )
        self._streams: dict[tornado.iostream.IOStream, None] = {}

    def handle_stream(self, stream: tornado.iostream.IOStream, address: Any) -> None:
        """Serve a connection; the oldest ends when there are too many."""
        if len(self._streams) >= self._most:
            self._streams = {open_: None for open_ in self._streams if not open_.closed()}
            while len(self._streams) >= self._most:
                oldest = next(iter(self._streams))
                del self._streams[oldest]
                oldest.close()
        self._streams[stream] = None
        super().handle_stream(stream, address)

    def _close_slow_readers(self) -> None:
        """Close connections whose client does not read: tornado would wait for ever, with the answer in memory."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        writing = [stream for stream in self._streams if stream.writing()]
        self._writing_since = {s: self._writing_since.get(s, now) for s in writing}
        for stream, since in self._writing_since.items():
            if now - since > self._write:
                stream.close()
        self._timer = loop.call_later(self._write / 4, self._close_slow_readers)

    def abort(self) -> None:
        """End every connection."""
        self._timer.cancel()
        for stream in self._streams:
            stream.close()
        self._streams.clear()


def listen(
    app: tornado.web.Application,
    sock: socket.socket,
    tls: ssl.SSLContext | None,
    *,
    most: int = MAX_CONNECTIONS,
    idle: float = IDLE,
    body: float = BODY,
    write: float = WRITE,
) -> Stop:
    """Serve *app* on a listening socket, on the running loop; returns the function that ends it.

    Args:
        most: Connections at a time.
        idle: Seconds for a handshake and a whole header, and between two requests.
        body: Seconds for a whole body.
        write: Seconds in which a client must have read an answer.
    """
    server = _BoundedServer(
        app,
        ssl_options=tls,
        max_body_size=BODY_SIZE,
        max_header_size=HEADER_SIZE,
        idle_connection_timeout=idle,
        body_timeout=body,
        most=most,
        write=write,
    )
    server.add_sockets([sock])

    def stop() -> None:
        server.stop()
        server.abort()

    return stop

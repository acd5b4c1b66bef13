"""The HTTP servers' limits: how many connections, how long, how big; a flood of strangers starves nobody."""

import socket
import ssl
import sys
from typing import Any

import tornado.httpserver
import tornado.iostream
import tornado.web

from msoauth.practice.network import Stop

# Connections at a time; the oldest gives way. On Windows tornado waits with select(), which takes 512 sockets.
MOST = 200 if sys.platform == "win32" else 1500
IDLE = 30.0  # seconds for a handshake and a whole header, and between two requests
BODY = 15.0  # seconds for a whole body
BODY_SIZE = 1 << 20
HEADER_SIZE = 1 << 16

# What servers say to plain HTTP on their HTTPS port; sent first, it meets a client that begins with TLS.
PLAIN_HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _Server(tornado.httpserver.HTTPServer):
    """An HTTP server with a bounded number of connections."""

    def initialize(self, *args: Any, **options: Any) -> None:
        self._most: int = options.pop("most")
        super().initialize(*args, **options)
        self._streams: dict[tornado.iostream.IOStream, None] = {}

    def handle_stream(self, stream: tornado.iostream.IOStream, address: Any) -> None:
        """Serve a connection; the oldest ends when there are too many."""
        if len(self._streams) >= self._most:
            self._streams = {kept: None for kept in self._streams if not kept.closed()}
            while len(self._streams) >= self._most:
                oldest = next(iter(self._streams))
                del self._streams[oldest]
                oldest.close()
        self._streams[stream] = None
        super().handle_stream(stream, address)

    def abort(self) -> None:
        """End every connection."""
        for stream in self._streams:
            stream.close()
        self._streams.clear()


def listen(
    app: tornado.web.Application,
    sock: socket.socket,
    tls: ssl.SSLContext | None,
    *,
    most: int = MOST,
    idle: float = IDLE,
    body: float = BODY,
) -> Stop:
    """Serve *app* on a listening socket, on the running loop; gives what ends it.

    Args:
        most: Connections at a time.
        idle: Seconds for a handshake and a whole header, and between two requests.
        body: Seconds for a whole body.
    """
    server = _Server(
        app,
        ssl_options=tls,
        max_body_size=BODY_SIZE,
        max_header_size=HEADER_SIZE,
        idle_connection_timeout=idle,
        body_timeout=body,
        most=most,
    )
    server.add_sockets([sock])

    def stop() -> None:
        server.stop()
        server.abort()

    return stop

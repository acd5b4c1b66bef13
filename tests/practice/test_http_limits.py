"""The HTTP servers under hostile clients: bounded connections, headers, bodies and time; others are served."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
import tornado.web
from tornado.iostream import StreamClosedError

from msoauth.practice.certificates import TlsContexts
from msoauth.practice.http import listen
from msoauth.practice.network import Port, Ports, Stop
from tests.loops import running_loop

MOST = 30
BIG = 30_000_000  # more than the network's buffers take


class _Hello(tornado.web.RequestHandler):
    def get(self) -> None:
        self.finish("hello")

    def post(self) -> None:
        self.finish(str(len(self.request.body)))


class _Big(tornado.web.RequestHandler):
    def initialize(self, gone: threading.Event) -> None:
        self.gone = gone

    async def get(self) -> None:
        self.write(b"x" * BIG)
        try:
            await self.flush()
        except StreamClosedError:
            self.gone.set()


class Served:
    """An HTTPS server with tight limits, on a loop in a thread."""

    def __init__(self, folder: Path, secure: bool, loop: asyncio.AbstractEventLoop) -> None:
        self.ca_file = folder / "ca.pem"
        self.secure = secure
        tls = TlsContexts.make(self.ca_file)
        self.gone = threading.Event()  # somebody who asked for much was dropped
        self.loop = loop
        app = tornado.web.Application(
            [("/", _Hello), ("/big", _Big, {"gone": self.gone})], log_function=lambda _handler: None
        )

        async def serve(sock: socket.socket, context: ssl.SSLContext | None) -> Stop:
            return listen(
                app, sock, context if secure else None, most=MOST, idle=2.0, body=2.0, write=0.5
            )

        self.ports = Ports()
        opening = self.ports.open("web", Port("127.0.0.1", 0, serve, tls, b""))
        self.port = asyncio.run_coroutine_threadsafe(opening, self.loop).result(10)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.ports.close(), self.loop).result(10)

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def connected(self) -> socket.socket:
        if not self.secure:
            return self.raw()
        context = ssl.create_default_context(cafile=str(self.ca_file))
        return context.wrap_socket(self.raw(), server_hostname="localhost")

    def assert_it_serves(self) -> None:
        scheme = "https" if self.secure else "http"
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(self.ca_file)
            answer = session.get(f"{scheme}://localhost:{self.port}/", timeout=20)
        assert answer.text == "hello"


@pytest.fixture(params=["https", "http"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    with running_loop() as loop:
        made = Served(tmp_path, request.param == "https", loop)
        yield made
        made.close()


def _until_closed(sock: socket.socket) -> bytes:
    data = b""
    with suppress(OSError):
        while piece := sock.recv(65536):
            data += piece
    return data


def test_a_flood_of_half_open_connections_gives_way(served: Served) -> None:
    flood = [served.raw() for _ in range(5 * MOST)]
    for _ in range(3):
        served.assert_it_serves()
    for sock in flood:
        sock.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc",
        b"\x00\xff\x16\x03garbage\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    ],
    ids=["nothing", "half-a-header", "half-a-body", "garbage", "huge", "negative"],
)
def test_what_is_unfinished_or_nonsense_is_left_in_time(served: Served, sent: bytes) -> None:
    sock = served.connected()
    sock.sendall(sent)
    answer = _until_closed(sock)  # comes back only when the server has closed the connection
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    sock.close()
    served.assert_it_serves()


def test_an_endless_header_is_cut(served: Served) -> None:
    sock = served.connected()
    with suppress(OSError):
        sock.sendall(b"GET / HTTP/1.1\r\n")
        for _ in range(100):
            sock.sendall(b"X: " + b"a" * 8000 + b"\r\n")
    _until_closed(sock)
    sock.close()
    served.assert_it_serves()


def test_who_does_not_read_the_answer_is_dropped(served: Served) -> None:
    sock = served.connected()
    sock.sendall(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
    assert served.gone.wait(20)
    assert len(_until_closed(sock)) < BIG
    sock.close()
    served.assert_it_serves()


def test_plain_text_on_the_port_of_tls_harms_nobody(served: Served) -> None:
    sock = served.raw()
    sock.sendall(b"\xff" * 5000)
    _until_closed(sock)
    sock.close()
    served.assert_it_serves()

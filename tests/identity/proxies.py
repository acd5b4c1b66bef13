"""Proxies that a test sends its requests through: HTTP CONNECT with a password, and SOCKS 5."""

import base64
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from typing import BinaryIO


class Proxy:
    """A proxy on loopback that passes connections on to one port, whatever host is asked for.

    Args:
        port: Where it passes connections on to.
        password: ``name:password`` that the client must give; empty for none.
        socks: Speak SOCKS 5 in place of HTTP.
    """

    def __init__(self, port: int, password: str = "", *, socks: bool = False) -> None:
        self.asked: list[str] = []
        self._target = port
        self._password = password
        self._talk = self._talk_socks if socks else self._talk_http
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    def _serve(self) -> None:
        while True:
            try:
                client, _who = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._handle, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _handle(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, client.makefile("rb") as lines:
            if not self._talk(client, lines):
                return
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                back = threading.Thread(target=_copy, args=(server, client), daemon=True)
                back.start()
                _copy(client, server)
                back.join()

    def _talk_http(self, client: socket.socket, lines: BinaryIO) -> bool:
        self.asked.append(lines.readline().decode().split()[1])
        head = dict(
            line.decode().strip().lower().split(": ", 1)
            for line in iter(lines.readline, b"\r\n")
            if b": " in line
        )
        expected = base64.b64encode(self._password.encode()).decode().lower()
        if self._password and head.get("proxy-authorization") != f"basic {expected}":
            client.sendall(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
            )
            return False
        client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        return True

    def _talk_socks(self, client: socket.socket, data: BinaryIO) -> bool:
        _version, methods = data.read(2)
        data.read(methods)
        client.sendall(b"\x05\x02" if self._password else b"\x05\x00")
        if self._password:
            data.read(1)
            name = data.read(data.read(1)[0])
            given = name + b":" + data.read(data.read(1)[0])
            right = given == self._password.encode()
            client.sendall(b"\x01\x00" if right else b"\x01\x01")
            if not right:
                return False
        _version, _command, _reserved, kind = data.read(4)
        host = data.read(data.read(1)[0]).decode() if kind == 3 else str(data.read(4))
        self.asked.append(f"{host}:{struct.unpack('!H', data.read(2))[0]}")
        client.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        return True

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(5)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def proxy(port: int, password: str = "", *, socks: bool = False) -> Iterator[Proxy]:
    """A running :class:`Proxy`."""
    running = Proxy(port, password, socks=socks)
    try:
        yield running
    finally:
        running.close()

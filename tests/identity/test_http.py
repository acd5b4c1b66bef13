"""Connections to the sign-in service are used again, and one that was hung up meanwhile does no harm."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
import trustme

from msoauth.clouds import GLOBAL, Cloud
from msoauth.identity import http

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers each connection by a script: ``answer``, or ``hang up`` when a request has come."""

    def __init__(self, ca: trustme.CA, script: list[list[str]]) -> None:
        self.connections = 0
        self._script = script
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("localhost", key_type=trustme.KeyType.ECDSA).configure_cert(self._tls)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for steps in self._script:
            try:
                plain, _who = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with plain, self._tls.wrap_socket(plain, server_side=True) as connection:
                for step in steps:
                    if not connection.recv(65536) or step == "hang up":
                        break
                    connection.sendall(ANSWER)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # wakes the thread that waits for a connection, on Linux
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[[list[list[str]]], tuple[Server, Cloud]]]:
    ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
    file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(file)
    servers: list[Server] = []

    def start(script: list[list[str]]) -> tuple[Server, Cloud]:
        server = Server(ca, script)
        servers.append(server)
        address = f"https://localhost:{server.port}/"
        return server, replace(GLOBAL, name="test", authority=address, ca_file=str(file))

    yield start
    http.forget_connections()
    for server in servers:
        server.close()


def ask(cloud: Cloud, method: str = "GET") -> str:
    with http.session(cloud) as session:
        return session.request(method, cloud.authority).text


def test_two_sessions_share_one_connection(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]],
) -> None:
    server, cloud = served([["answer", "answer"]])
    assert [ask(cloud), ask(cloud)] == ["ok", "ok"]
    assert server.connections == 1


def test_a_connection_that_was_hung_up_while_idle_is_made_anew(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]],
) -> None:
    server, cloud = served([["answer", "hang up"], ["answer"]])
    assert [ask(cloud), ask(cloud, "POST")] == ["ok", "ok"]
    assert server.connections == 2


def test_a_server_that_hangs_up_on_a_new_connection_is_not_asked_twice(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]],
) -> None:
    server, cloud = served([["hang up"], ["answer"]])
    with pytest.raises(requests.ConnectionError):
        ask(cloud, "POST")
    assert server.connections == 1


def test_the_issuer_of_the_certificate_is_named(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]],
) -> None:
    _server, cloud = served([["answer"]])
    assert http.reach(cloud, cloud.authority).issuer.startswith("trustme")

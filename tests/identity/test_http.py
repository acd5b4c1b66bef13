"""Connections to the sign-in service are used again, and one that was hung up meanwhile does no harm."""

import contextlib
import re
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest
import trustme
from urllib3 import exceptions

from msoauth.clouds import GLOBAL, Cloud
from msoauth.errors import LocalError
from msoauth.explaining import for_cause
from msoauth.identity import http
from msoauth.identity.auth_errors import transport_error
from tests.identity.proxies import proxy
from tests.ports import reserved_port

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


BROKEN_OFF = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"
NO_GZIP = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"
LATIN = b"HTTP/1.1 502 No\r\nContent-Type: text/html; charset=iso-8859-1\r\nContent-Length: 1\r\n\r\n\xfc"
REDIRECT = b"HTTP/1.1 307 Go\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n"
REPLIES = {
    "answer": ANSWER,
    "redirect": REDIRECT,
    "broken off": BROKEN_OFF,
    "no gzip": NO_GZIP,
    "latin": LATIN,
}
FORM = {"grant_type": "refresh_token", "refresh_token": "a b&c=ü"}


class Server:
    """Answers each connection by a script: with a reply, or ``hang up`` when a request has come."""

    def __init__(self, ca: trustme.CA, script: list[list[str]]) -> None:
        self.connections = 0
        self.heard: list[bytes] = []
        self._script = script
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("localhost", "login.example", key_type=trustme.KeyType.ECDSA).configure_cert(
            self._tls
        )
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
            with (
                contextlib.suppress(OSError),
                plain,
            ):  # a client that does not trust us, or hangs up
                self._talk(self._tls.wrap_socket(plain, server_side=True), steps)

    def _talk(self, connection: ssl.SSLSocket, steps: list[str]) -> None:
        with connection:
            for step in steps:
                self.heard.append(_request(connection))
                if not self.heard[-1] or step == "hang up":
                    break
                connection.sendall(REPLIES[step])

    def close(self) -> None:
        with contextlib.suppress(OSError):  # wakes the thread that waits for a connection, on Linux
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


def _request(connection: ssl.SSLSocket) -> bytes:
    """A whole request, its body too."""
    heard = b""
    while b"\r\n\r\n" not in heard and (more := connection.recv(65536)):
        heard += more
    head, blank, body = heard.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    while length and len(body) < int(length[1]) and (more := connection.recv(65536)):
        body += more
    return head + blank + body


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
    if method == "GET":
        return http.get(cloud, cloud.authority).text
    return http.post(cloud, cloud.authority, data={}).text


def test_two_requests_share_one_connection(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]],
) -> None:
    server, cloud = served([["answer", "answer"]])
    assert [ask(cloud), ask(cloud)] == ["ok", "ok"]
    assert server.connections == 1


def test_a_connection_that_nobody_uses_any_more_is_closed(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, cloud = served([["answer", "answer"], ["answer"]])
    assert ask(cloud) == "ok"
    later = time.monotonic() + 60
    monkeypatch.setattr(http, "time", SimpleNamespace(monotonic=lambda: later))
    assert ask(cloud) == "ok"
    assert server.connections == 2
    assert server.heard[1] == b""  # the client has hung up


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
    with pytest.raises(exceptions.ProtocolError):
        ask(cloud, "POST")
    assert server.connections == 1


def test_the_issuer_of_the_certificate_is_named(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]],
) -> None:
    _server, cloud = served([["answer"]])
    assert http.reach(cloud, cloud.authority).issuer.startswith("trustme")


def send(cloud: Cloud, **options: Any) -> http.Reply:
    return http.post(cloud, cloud.authority, data=FORM, **options)


def test_a_form_goes_over_the_connections_of_the_sessions(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]],
) -> None:
    server, cloud = served([["answer", "answer", "answer"]])
    assert ask(cloud) == "ok"
    reply = send(cloud, headers={"X-More": "1"}, params={"slice": "2"})
    assert (reply.status_code, reply.text) == (200, "ok")
    assert ask(cloud) == "ok"
    assert server.connections == 1
    head, _blank, body = server.heard[1].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /?slice=2 HTTP/1.1\r\n")
    assert b"\r\nX-More: 1" in head
    assert head.lower().count(b"content-length") == 1
    assert parse_qs(body.decode()) == {name: [value] for name, value in FORM.items()}


def test_a_form_is_sent_anew_where_the_connection_was_hung_up_while_idle(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]],
) -> None:
    server, cloud = served([["answer", "hang up"], ["answer"]])
    assert [ask(cloud), send(cloud).text] == ["ok", "ok"]
    assert server.connections == 2


def test_a_form_is_not_sent_twice_to_a_server_that_hangs_up(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]],
) -> None:
    server, cloud = served([["hang up"], ["answer"]])
    with pytest.raises(exceptions.ProtocolError) as caught:
        send(cloud)
    assert server.connections == 1
    assert transport_error(caught.value, "It").cause == "tls-failed"


@pytest.mark.parametrize("step", ["broken off", "no gzip"])
def test_an_answer_that_does_not_come_whole_is_no_unreachable_server_and_asks_nobody_twice(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]], step: str
) -> None:
    server, cloud = served([["answer", step], ["answer"]])
    assert send(cloud).text == "ok"
    with pytest.raises(exceptions.HTTPError) as caught:
        send(cloud)
    assert transport_error(caught.value, "It").cause == "unknown"
    assert len(server.heard) == 2


def test_a_page_in_another_encoding_is_read_as_what_it_is(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]],
) -> None:
    _server, cloud = served([["latin"]])
    assert send(cloud).text == "ü"


def test_a_form_does_not_follow_a_redirect(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]],
) -> None:
    _server, cloud = served([["redirect"]])
    assert send(cloud).status_code == 307


def test_a_form_goes_to_no_server_whose_certificate_is_not_trusted(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]], tmp_path: Path
) -> None:
    server, cloud = served([["answer"]])
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(stranger)
    with pytest.raises(exceptions.SSLError) as caught:
        send(replace(cloud, ca_file=str(stranger)))
    assert transport_error(caught.value, "It").cause == "tls-untrusted"
    assert not server.heard


def test_other_certificates_in_the_same_file_count_at_once(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]],
) -> None:
    server, cloud = served([["answer"], ["answer"]])
    assert send(cloud).status_code == 200
    trustme.CA().cert_pem.write_to_path(str(cloud.ca_file))
    with pytest.raises(exceptions.SSLError):
        send(cloud)
    assert len(server.heard) == 1


def test_a_missing_file_of_certificates_is_told(tmp_path: Path) -> None:
    cloud = replace(GLOBAL, name="own", ca_file=str(tmp_path / "ca.pem"))
    with pytest.raises(LocalError, match="certificates to trust") as caught:
        send(cloud)
    assert "ca.pem" in caught.value.summary


def test_a_form_that_nobody_takes_is_told_with_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(file)
    with socket.create_server(("127.0.0.1", 0)) as silent, reserved_port() as closed_port:
        port = silent.getsockname()[1]
        cloud = replace(
            GLOBAL, name="test", authority=f"https://127.0.0.1:{port}/", ca_file=str(file)
        )
        with pytest.raises(exceptions.TimeoutError) as caught:
            send(cloud, timeout=0.05)
        assert transport_error(caught.value, "It").cause == "connect-timeout"
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port}")
        with pytest.raises(exceptions.ProxyError) as refused:
            send(replace(cloud, authority="https://login.example/"))
        assert transport_error(refused.value, "It").cause == "proxy-required"
        monkeypatch.delenv("HTTPS_PROXY")
        closed = replace(cloud, authority=f"https://127.0.0.1:{closed_port}/")
        with pytest.raises(exceptions.NewConnectionError) as nobody:
            send(closed)
    assert transport_error(nobody.value, "It").cause == "connect-refused"
    unknown = replace(cloud, authority="https://no-such-host.invalid/")
    with pytest.raises(exceptions.NameResolutionError) as lost:
        send(unknown)
    assert transport_error(lost.value, "It").cause == "dns-failed"


@pytest.mark.parametrize("step", ["hang up", "broken off", "no gzip"])
def test_a_form_that_failed_is_not_in_what_is_told_of_it(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]], step: str
) -> None:
    _server, cloud = served([[step]])
    planted = {"client_secret": "planted-secret-4711", "refresh_token": "planted-secret-4712"}
    with pytest.raises(exceptions.HTTPError) as caught:
        http.post(cloud, cloud.authority, data=planted)
    told = transport_error(caught.value, "It")
    shown = [*traceback.format_exception(caught.value), repr(told), told.summary, told.evidence]
    assert "planted-secret" not in "".join(shown)


def test_the_answer_to_a_form_is_not_shown() -> None:
    assert "planted-secret-4711" not in repr(http.Reply(200, {}, '{"t": "planted-secret-4711"}'))


def elsewhere(cloud: Cloud, server: Server) -> Cloud:
    """The cloud under a host name, which only a proxy leads to."""
    return replace(cloud, authority=f"https://login.example:{server.port}/")


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_proxy_with_a_name_and_a_password_leads_to_the_server(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]],
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
) -> None:
    server, cloud = served([["answer", "answer"]])
    with proxy(server.port, "anna:p:@ss", socks=scheme == "socks5h") as through:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://anna:p%3A%40ss@127.0.0.1:{through.port}")
        there = elsewhere(cloud, server)
        assert [ask(there), ask(there, "POST")] == ["ok", "ok"]
        assert through.asked == [f"login.example:{server.port}"]
        http.forget_connections()


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_proxy_that_wants_another_password_is_told_as_that(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]],
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
) -> None:
    server, cloud = served([["answer"]])
    with proxy(server.port, "anna:right", socks=scheme == "socks5h") as through:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://anna:wrong@127.0.0.1:{through.port}")
        with pytest.raises(exceptions.HTTPError) as refused:
            send(elsewhere(cloud, server))
    told = transport_error(refused.value, "It")
    assert told.cause == "proxy-required"
    assert "wrong" not in told.evidence
    assert not server.heard


def test_a_socks_proxy_without_its_package_says_which_one(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, cloud = served([["answer"]])
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(exceptions.ProxyError) as refused:
        send(elsewhere(cloud, server))
    told = transport_error(refused.value, "It")
    assert told.cause == "proxy-required"
    assert "PySocks" in told.evidence


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("", "https://login.example/", False),
        ("login.example", "https://login.example/", True),
        (".example", "https://login.example:8443/", True),
        ("other.example", "https://login.example/", False),
        ("10.0.0.0/8", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://11.1.2.3/", False),
        ("", "https://localhost:1234/", True),
        ("", "https://127.0.0.1:1234/", True),
        ("", "https://[::1]:1234/", True),
        ("*", "https://login.example/", True),
    ],
)
def test_what_needs_no_proxy_is_reached_without_one(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, url: str, direct: bool
) -> None:
    for name in ("https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert http.proxy_for(url) == (None if direct else "http://proxy.example:3128")


@pytest.mark.parametrize(
    ("says", "proxy_url"),
    [
        ("407", "http://anna:wrong-4711@127.0.0.1:{living}"),
        ("socks", "socks5h://anna:wrong-4711@127.0.0.1:{living}"),
        ("dead", "http://127.0.0.1:{dead}"),
        ("dead", "socks5h://127.0.0.1:{dead}"),
    ],
)
def test_a_proxy_that_refuses_is_named_with_what_it_said(
    served: Callable[[list[list[str]]], tuple[Server, Cloud]],
    monkeypatch: pytest.MonkeyPatch,
    says: str,
    proxy_url: str,
) -> None:
    server, cloud = served([["answer"]])
    socks = proxy_url.startswith("socks")
    with reserved_port() as dead, proxy(server.port, "anna:right", socks=socks) as through:
        monkeypatch.setenv("HTTPS_PROXY", proxy_url.format(living=through.port, dead=dead))
        with pytest.raises(exceptions.HTTPError) as refused:
            send(elsewhere(cloud, server))
    told = transport_error(refused.value, "It")
    name = f"127.0.0.1:{dead if says == 'dead' else through.port}"
    assert (told.cause, told.details) == ("proxy-required", {"proxy_says": says, "proxy": name})
    assert name in told.summary
    steps = for_cause(told.cause, details=told.details).fix
    assert name in steps[0]  # which one, in place of "enter the proxy"
    assert "wrong-4711" not in f"{told.summary}{told.evidence}{steps}"


def test_a_proxys_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "ftp://anna:planted-secret-4711@proxy.example")
    with pytest.raises(exceptions.ProxyError) as refused:
        send(replace(GLOBAL, name="test", authority="https://login.example/"))
    told = transport_error(refused.value, "It")
    assert "planted-secret-4711" not in f"{told!r}{told.summary}{told.evidence}"

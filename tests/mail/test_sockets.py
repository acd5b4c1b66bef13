"""Addresses are tried side by side, and what cannot be reached is told apart."""

import errno
import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from msoauth.clouds import Endpoint
from msoauth.errors import MailConnectionError, MailError, MailTimeoutError
from msoauth.mail import sockets
from msoauth.mail.pop3 import Pop3Session
from tests.ports import reserved_port

NEVER = threading.Event()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_an_address_without_a_route_gives_way_to_the_next(listener: socket.socket) -> None:
    # What a network without IPv6 says of an IPv6 address is said by connect() itself, and only there.
    nowhere: sockets.Address = (socket.AF_INET, ("255.255.255.255", 9))
    found = sockets.connect_any([nowhere, (socket.AF_INET, listener.getsockname())], 10.0, NEVER)
    with found:
        assert found.getpeername() == listener.getsockname()


def test_a_silent_address_costs_a_fraction_of_a_second(listener: socket.socket) -> None:
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    try:
        for filler in fillers:  # the queue is full: who comes now gets no answer
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        start = time.monotonic()
        found = sockets.connect_any(
            [(socket.AF_INET, full.getsockname()), (socket.AF_INET, listener.getsockname())],
            20.0,
            NEVER,
        )
        found.close()
        assert time.monotonic() - start < 5
    finally:
        for closing in (full, *fillers):
            closing.close()


def test_a_connection_that_came_about_while_nobody_could_look_is_taken(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy computer this thread may get no processor for longer than the time limit.
    moments = iter([0.0])
    clock = SimpleNamespace(monotonic=lambda: next(moments, 99.0))
    monkeypatch.setattr(sockets, "time", clock)
    found = sockets.connect_any([(socket.AF_INET, listener.getsockname())], 10.0, NEVER)
    with found:
        assert found.getpeername() == listener.getsockname()


def test_when_nothing_answers_every_address_is_named() -> None:
    with reserved_port() as port, pytest.raises(ConnectionRefusedError) as refused:
        sockets.connect_any(
            [
                (socket.AF_INET, ("127.0.0.1", port)),
                (socket.AF_INET, ("255.255.255.255", 9)),
            ],
            10.0,
            NEVER,
        )
    assert refused.value.errno == errno.ECONNREFUSED
    assert "127.0.0.1" in str(refused.value)
    assert "255.255.255.255" in str(refused.value)


def test_addresses_of_both_ip_versions_alternate_and_ipv6_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [
        (family, socket.SOCK_STREAM, 6, "", (address, 995))
        for family, address in (
            (socket.AF_INET, "192.0.2.1"),
            (socket.AF_INET, "192.0.2.2"),
            (socket.AF_INET6, "2001:db8::1"),
        )
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_host, **_options: found)
    addresses = sockets.resolve("twofold.example", 995, 20.0, NEVER)
    assert [address[0] for _family, address in addresses] == [
        "2001:db8::1",
        "192.0.2.1",
        "192.0.2.2",
    ]


@pytest.mark.parametrize(
    ("host", "cause"),
    [("no-such-host.invalid", "dns-failed"), ("a\0b", "dns-failed"), ("ü" * 80, "dns-failed")],
)
def test_a_name_that_does_not_resolve_is_told(host: str, cause: str) -> None:
    with pytest.raises(MailError) as refused:
        Pop3Session.connect(Endpoint(host, 995, "implicit"), timeout=20)
    assert (refused.value.stage, refused.value.cause) == ("resolve", cause)


def test_a_closed_port_is_told() -> None:
    with reserved_port() as port, pytest.raises(MailConnectionError) as refused:
        Pop3Session.connect(Endpoint("127.0.0.1", port, "implicit"), timeout=20)
    assert (refused.value.stage, refused.value.cause) == ("connect", "connect-refused")


def test_a_server_that_accepts_and_says_nothing_is_left_in_time(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    sockets.resolve("127.0.0.1", port, 20.0, NEVER)  # known, it costs none of the time below
    with pytest.raises(MailTimeoutError) as refused:
        Pop3Session.connect(Endpoint("127.0.0.1", port, "implicit"), timeout=0.5)
    assert (refused.value.stage, refused.value.cause) == ("tls", "connect-timeout")


def test_a_wait_can_be_cancelled(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    cancelled = threading.Event()
    timer = threading.Timer(0.3, cancelled.set)
    timer.start()
    start = time.monotonic()
    with pytest.raises(MailError, match="cancelled"):
        Pop3Session.connect(
            Endpoint("127.0.0.1", port, "implicit"), timeout=60, cancelled=cancelled
        )
    assert time.monotonic() - start < 10
    timer.join()


def test_what_comes_too_late_is_handed_over_to_be_put_away() -> None:
    go_on, put_away = threading.Event(), threading.Event()

    def late() -> str:
        go_on.wait(20)
        return "late"

    with pytest.raises(TimeoutError):
        sockets.run_abandonable(late, 0.05, NEVER, discard=lambda _made: put_away.set())
    go_on.set()
    assert put_away.wait(20)

"""Ports that misbehave as networks do, at the number that clients were told, and serve again afterwards."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from msoauth.practice.network import BEHAVIOURS
from tests.practice.exchange.conftest import Exchange, sasl

ANNA = "anna@contoso.example"
PORTS = ("pop3", "imap", "smtp")
GREETINGS = {"pop3": b"+OK The Microsoft", "imap": b"* OK The Microsoft", "smtp": b"220 "}


@contextmanager
def misbehaving(exchange: Exchange, name: str, behaviour: str) -> Iterator[None]:
    """The port misbehaves within the block, under the same number, and serves before and after."""
    number = exchange.port(name)
    exchange.state.faults.set(f"port.{name}", behaviour)
    try:
        yield
    finally:
        exchange.state.faults.clear(f"port.{name}")
        assert exchange.port(name) == number
        assert_it_serves(exchange, name)


def assert_it_serves(exchange: Exchange, name: str) -> None:
    dialogue = exchange.dialogue(name)
    assert dialogue.line().encode().startswith(GREETINGS[name])
    dialogue.sock.close()


def secured(exchange: Exchange, name: str) -> ssl.SSLSocket:
    """TLS from the first byte, or after STARTTLS."""
    sock = exchange.raw(name)
    if name == "smtp":
        for line in (b"", b"EHLO client.example\r\n", b"STARTTLS\r\n"):
            sock.sendall(line)
            while b"\n" not in (said := sock.recv(4096)):
                assert said
    return exchange.wrap(sock)


@pytest.mark.parametrize("name", PORTS)
def test_a_closed_port_refuses(exchange: Exchange, name: str) -> None:
    with misbehaving(exchange, name, "closed"), pytest.raises(ConnectionRefusedError):
        exchange.raw(name)


@pytest.mark.parametrize("name", PORTS)
def test_a_silent_port_says_nothing(exchange: Exchange, name: str) -> None:
    with misbehaving(exchange, name, "silent"):
        sock = exchange.raw(name)
        sock.sendall(b"hello\r\n")
        sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sock.recv(1)


@pytest.mark.parametrize("name", PORTS)
def test_a_port_that_resets_cuts_the_connection(exchange: Exchange, name: str) -> None:
    with misbehaving(exchange, name, "reset"):
        sock = exchange.raw(name)
        sock.sendall(b"hello\r\n")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


@pytest.mark.parametrize("name", PORTS)
def test_a_certificate_that_nobody_trusts(exchange: Exchange, name: str) -> None:
    with misbehaving(exchange, name, "untrusted"), pytest.raises(ssl.SSLCertVerificationError):
        secured(exchange, name)


@pytest.mark.parametrize("name", PORTS)
def test_tls_that_is_too_old(exchange: Exchange, name: str) -> None:
    with (
        misbehaving(exchange, name, "old-tls"),
        pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"),
    ):
        secured(exchange, name)


@pytest.mark.parametrize("name", ["pop3", "imap"])
def test_plain_text_where_tls_is_expected(exchange: Exchange, name: str) -> None:
    with misbehaving(exchange, name, "plain"):
        assert exchange.raw(name).recv(100).startswith(GREETINGS[name])
        with pytest.raises(ssl.SSLError):
            secured(exchange, name)


def test_tls_where_plain_text_is_expected(exchange: Exchange) -> None:
    with misbehaving(exchange, "smtp", "tls"):
        under = exchange.wrap(exchange.raw("smtp"))
        assert under.recv(100).startswith(b"220 ")


def test_a_proxy_answers_for_the_server(exchange: Exchange) -> None:
    with misbehaving(exchange, "pop3", "proxy"):
        under = exchange.wrap(exchange.raw("pop3"))
        under.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert under.recv(1000).startswith(b"HTTP/1.1 407 ")


def test_another_providers_server_answers_without_starttls(exchange: Exchange) -> None:
    with misbehaving(exchange, "smtp", "exim"):
        sock = exchange.raw("smtp")
        assert b" ESMTP Exim " in sock.recv(1000)
        sock.sendall(b"EHLO client.example\r\n")
        answer = sock.recv(1000)
        assert answer.startswith(b"250-")
        assert b"STARTTLS" not in answer
        sock.sendall(b"QUIT\r\n")
        assert sock.recv(1000).startswith(b"221 ")


def test_who_was_connected_stays_connected(exchange: Exchange) -> None:
    pop = exchange.dialogue("pop3")
    pop.line()
    pop.ask("AUTH XOAUTH2")
    assert pop.ask(sasl(ANNA, exchange.token())).startswith("+OK")
    with misbehaving(exchange, "pop3", "closed"):
        assert pop.ask("NOOP") == "+OK"


def test_only_one_port_is_struck(exchange: Exchange) -> None:
    with misbehaving(exchange, "imap", "closed"):
        assert_it_serves(exchange, "pop3")


def test_there_is_a_test_for_each_behaviour() -> None:
    assert set(BEHAVIOURS) == {
        "closed",
        "silent",
        "reset",
        "plain",
        "tls",
        "untrusted",
        "exim",
        "old-tls",
        "proxy",
    }


def test_a_flood_of_a_silent_port_is_bounded(exchange: Exchange) -> None:
    with misbehaving(exchange, "pop3", "silent"):
        flood = [
            socket.create_connection(("127.0.0.1", exchange.port("pop3")), 20) for _ in range(700)
        ]
        flood[0].settimeout(20)
        assert flood[0].recv(1) == b""  # the oldest gave way
        for sock in flood:
            sock.close()

"""Why a connection ended is in the log: one line with the protocol, the peer and the reason."""

import asyncio
import logging
import socket
import ssl
import time

import pytest

from msoauth.practice.exchange import Limits, Timing
from tests.practice.exchange.conftest import Dialogue, Exchange, Start, sasl

ANNA = "anna@contoso.example"
PORTS = ("pop3", "imap", "smtp")


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "msoauth.practice")


def closings(
    caplog: pytest.LogCaptureFixture, level: int, peer: socket.socket | tuple[str, int]
) -> list[str]:
    """The reasons that the log tells at that level for the connection of *peer*, a client's socket or address."""
    address, port = peer if isinstance(peer, tuple) else peer.getsockname()[:2]
    beginning = f"connection of {address}:{port} closed: "
    return [
        record.getMessage().partition(beginning)[2]
        for record in caplog.records
        if record.name == "msoauth.practice"
        and record.levelno == level
        and beginning in record.getMessage()
    ]


def until_nobody_is_connected(exchange: Exchange) -> None:
    async def wait() -> None:
        while tasks := [
            w.task for w in exchange.servers.service.connections.all() if w.task is not None
        ]:
            await asyncio.wait(tasks)

    asyncio.run_coroutine_threadsafe(wait(), exchange.loop).result(20)


def log_in(exchange: Exchange) -> Dialogue:
    pop = exchange.dialogue("pop3")
    pop.line()
    pop.ask("AUTH XOAUTH2")
    assert pop.ask(sasl(ANNA, exchange.token())) == "+OK User successfully authenticated."
    return pop


def read_to_the_end(sock: socket.socket) -> None:
    try:
        while sock.recv(65536):
            pass
    except OSError:
        pass


@pytest.mark.parametrize("name", ["pop3", "imap"])
def test_a_handshake_that_fails(
    exchange: Exchange, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    sock = exchange.raw(name)
    sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    read_to_the_end(sock)
    until_nobody_is_connected(exchange)
    (why,) = closings(caplog, logging.INFO, sock)
    assert why.startswith("SSLError(")
    assert any(record.getMessage().startswith(f"{name} ") for record in caplog.records)


def test_a_handshake_that_takes_too_long(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    exchange = start(timing=Timing(handshake=0.01))
    sock = exchange.raw("pop3")
    read_to_the_end(sock)
    until_nobody_is_connected(exchange)
    (why,) = closings(caplog, logging.INFO, sock)
    assert "handshake is taking longer than 0.01 seconds" in why


def test_one_that_makes_room_for_another(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    exchange = start(limits=Limits(connections=1))
    first = exchange.dialogue("smtp")
    first.line()
    exchange.dialogue("smtp").line()
    read_to_the_end(first.sock)
    assert closings(caplog, logging.INFO, first.sock) == ["it makes room for a newer connection"]


def test_one_for_which_there_is_no_room(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    exchange = start(limits=Limits(connections=1))
    log_in(exchange)
    second = exchange.raw("smtp")
    read_to_the_end(second)
    assert closings(caplog, logging.INFO, second) == ["there are too many connections"]


def test_a_peer_that_does_not_read(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    exchange = start(timing=Timing(write=0.05))
    exchange.mailbox(ANNA).deliver(b"Subject: big\r\n\r\n" + b"x" * 4_000_000)
    pop = log_in(exchange)
    pop.sock.sendall(f"RETR {len(exchange.mailbox(ANNA).messages)}\r\n".encode() * 20)
    until_nobody_is_connected(exchange)
    assert closings(caplog, logging.INFO, pop.sock) == ["the peer read nothing for 0.05 s"]


def test_a_drop_on_purpose(exchange: Exchange, caplog: pytest.LogCaptureFixture) -> None:
    exchange.state.faults.set("pop3.drop")
    pop = log_in(exchange)
    pop.send("RETR 1")
    read_to_the_end(pop.sock)
    assert closings(caplog, logging.INFO, pop.sock) == ["dropped on purpose inside an answer"]


def test_tls_that_is_refused_on_purpose(
    exchange: Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    exchange.state.faults.set("port.smtp", "old-tls")
    smtp = exchange.dialogue("smtp")
    smtp.line()
    smtp.ehlo()
    assert smtp.ask("STARTTLS").startswith("220 ")
    name = smtp.sock.getsockname()
    with pytest.raises(ssl.SSLError, match=r"(?i)version"):
        exchange.wrap(smtp.sock)
    until_nobody_is_connected(exchange)  # the client is told before the log
    assert closings(caplog, logging.INFO, name) == ["TLS was refused on purpose as too new"]


def test_the_end_of_the_practice_tenant(
    exchange: Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    pop = log_in(exchange)
    asyncio.run_coroutine_threadsafe(exchange.servers.close(), exchange.loop).result(20)
    assert closings(caplog, logging.INFO, pop.sock) == ["the practice tenant ends"]


@pytest.mark.parametrize("name", PORTS)
def test_a_peer_that_leaves_is_no_news(
    exchange: Exchange, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    gone = exchange.dialogue(name)
    gone.line()
    with socket.socket(fileno=socket.dup(gone.sock.fileno())) as named:
        gone.sock.close()
        named.shutdown(socket.SHUT_RDWR)
        until_nobody_is_connected(exchange)
        assert len(closings(caplog, logging.DEBUG, named)) == 1
        assert not closings(caplog, logging.INFO, named)


def test_a_session_that_is_over_is_no_news(
    exchange: Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    pop = log_in(exchange)
    pop.ask("QUIT")
    until_nobody_is_connected(exchange)
    assert closings(caplog, logging.DEBUG, pop.sock) == ["the session is over"]
    assert not closings(caplog, logging.INFO, pop.sock)


def test_a_client_that_was_stalled_before_its_handshake_is_waited_for(exchange: Exchange) -> None:
    """A paused computer, or a process without a processor, is no reason to cut the connection."""
    sock = exchange.raw("pop3")

    async def stalled() -> None:
        while not exchange.servers.service.connections.all():
            await asyncio.sleep(0)
        for _ in range(10):  # until the time limit of the handshake is set
            await asyncio.sleep(0)
        # The client's own limit is 30 seconds by default: 29 are over now, without a word of it.
        exchange.loop.time = lambda: time.monotonic() + 29  # type: ignore[method-assign]
        for _ in range(10):
            await asyncio.sleep(0)

    asyncio.run_coroutine_threadsafe(stalled(), exchange.loop).result(20)
    assert Dialogue(exchange.wrap(sock), exchange).line().startswith("+OK")

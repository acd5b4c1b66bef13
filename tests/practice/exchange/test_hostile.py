"""Clients that mean harm: the others go on being served, and nothing grows without bound."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from msoauth.practice.exchange import Limits, Timing
from tests.practice.exchange.conftest import Dialogue, Exchange, Start, sasl

ANNA = "anna@contoso.example"
CLARA = "clara@contoso.example"
# Quick to lose patience, and not too quick for a good client on a busy computer.
QUICK = Timing(handshake=2.0, before_login=2.0, smtp_idle=2.0, write=0.5)
PORTS = ("pop3", "imap", "smtp")


def log_in(exchange: Exchange, user: str = ANNA) -> Dialogue:
    pop = exchange.dialogue("pop3")
    pop.line()
    pop.ask("AUTH XOAUTH2")
    assert pop.ask(sasl(user, exchange.token(user))) == "+OK User successfully authenticated."
    return pop


@contextmanager
def a_good_client_beside(exchange: Exchange) -> Iterator[None]:
    """Somebody who logs in over and over, and is served every time, at least once after it began."""
    stop, served, wrong = threading.Event(), threading.Event(), []

    def work() -> None:
        try:
            while not (stop.is_set() and served.is_set()):
                pop = log_in(exchange, CLARA)
                assert pop.ask("STAT").startswith("+OK")
                assert pop.ask("QUIT").startswith("+OK")
                pop.sock.close()
                served.set()
        except Exception as problem:  # noqa: BLE001 - it is shown by the test's own thread
            wrong.append(problem)
            served.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        served.clear()
        stop.set()
        thread.join(60)
    assert not wrong, wrong
    assert not thread.is_alive()


def until_closed(sock: socket.socket) -> int:
    """Read to the end; the number of bytes that came."""
    count = 0
    try:
        while data := sock.recv(65536):
            count += len(data)
    except OSError:
        pass
    return count


def endless_line(exchange: Exchange, name: str) -> None:
    dialogue = exchange.dialogue(name)
    dialogue.line()
    try:
        for _ in range(64):
            dialogue.sock.sendall(b"A" * 65536)
    except OSError:
        return  # closed before it had all: that is what is wanted
    until_closed(dialogue.sock)


def garbage_in_place_of_a_handshake(exchange: Exchange, name: str) -> None:
    sock = exchange.raw(name)
    try:
        sock.sendall(b"\x00\xff\x16\x03GET / HTTP/1.1\r\n\r\n" * 400)
    except OSError:
        return
    until_closed(sock)


def garbage_after_the_handshake(exchange: Exchange, name: str) -> None:
    plain = exchange.raw(name)
    under = exchange.wrap(plain) if name != "smtp" else Dialogue(plain, exchange).secure().sock
    # Past Python's TLS, into the encrypted connection.
    with socket.socket(fileno=socket.dup(under.fileno())) as below:
        below.sendall(b"\x17\x03\x03\xff\xff" + b"\xff" * 4000)
        below.shutdown(socket.SHUT_WR)
        until_closed(below)


def nothing_at_all(exchange: Exchange, name: str) -> None:
    until_closed(exchange.raw(name))


def half_a_handshake(exchange: Exchange, name: str) -> None:
    sock = exchange.raw(name)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = exchange.client.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    sock.sendall(outgoing.read()[:50])
    until_closed(sock)


def nothing_after_the_greeting(exchange: Exchange, name: str) -> None:
    dialogue = exchange.dialogue(name)
    dialogue.line()
    until_closed(dialogue.sock)


@pytest.mark.parametrize("name", PORTS)
@pytest.mark.parametrize(
    "attack",
    [
        endless_line,
        garbage_in_place_of_a_handshake,
        garbage_after_the_handshake,
        nothing_at_all,
        half_a_handshake,
        nothing_after_the_greeting,
    ],
    ids=lambda attack: attack.__name__,
)
def test_it_is_left_in_time_and_harms_nobody(
    start: Start, attack: Callable[[Exchange, str], None], name: str
) -> None:
    exchange = start(timing=QUICK)
    with a_good_client_beside(exchange):
        attack(exchange, name)  # comes back only when the server has closed the connection


def test_who_does_not_read_is_dropped_before_much_is_kept_for_him(start: Start) -> None:
    exchange = start(timing=QUICK)
    exchange.mailbox(ANNA).deliver(b"Subject: big\r\n\r\n" + b"x" * 4_000_000)
    slow = log_in(exchange)
    number = len(exchange.mailbox(ANNA).messages)
    with a_good_client_beside(exchange):
        slow.sock.sendall(f"RETR {number}\r\n".encode() * 200)
        own = next(
            connection
            for connection in exchange.servers.service.connections.all()
            if connection.remote() == slow.sock.getsockname()
        )
        assert own.task is not None
        # Part of the first answers fits into the network's buffers; then the time to read is over.
        done = asyncio.run_coroutine_threadsafe(asyncio.wait([own.task], timeout=20), exchange.loop)
        assert not done.result(30)[1]
    assert until_closed(slow.sock) < 20_000_000


def test_a_flood_of_strangers_gives_way_to_who_signs_in(start: Start) -> None:
    exchange = start(limits=Limits(connections=40))
    known = log_in(exchange)
    # One port, where connections are taken in the order of their coming: the flood comes first.
    flood = [exchange.raw("pop3") for _ in range(300)]
    for _ in range(3):  # the flood stays; the oldest of it makes room
        assert log_in(exchange, CLARA).ask("QUIT").startswith("+OK")
    assert known.ask("NOOP") == "+OK"  # who had signed in stays
    assert len(exchange.servers.service.connections.all()) <= 40
    for sock in flood:
        sock.close()


def test_thousands_of_connections_one_after_another_leave_nothing_behind(start: Start) -> None:
    exchange = start(timing=QUICK)
    with a_good_client_beside(exchange):
        for number in range(2000):
            sock = socket.create_connection(("127.0.0.1", exchange.port(PORTS[number % 3])), 20)
            if number % 2:
                sock.sendall(b"\x16\x03\x01")
            sock.close()
    log_in(exchange).ask("QUIT")


def submitting(exchange: Exchange, sender: str) -> Dialogue:
    smtp = exchange.dialogue("smtp").secure()
    smtp.ask("AUTH XOAUTH2")
    assert smtp.ask(sasl(sender, exchange.token(sender))).startswith("235 ")
    smtp.ask(f"MAIL FROM:<{sender}>")
    smtp.ask(f"RCPT TO:<{CLARA}>")
    assert smtp.ask("DATA").startswith("354 ")
    return smtp


def test_mails_under_way_share_a_bounded_room(start: Start) -> None:
    exchange = start(limits=Limits(receiving=1_000_000))
    budget = exchange.servers.service.receiving

    async def held() -> None:
        while budget.reserved < 600_000:
            await asyncio.sleep(0)  # lets the server read on

    first = submitting(exchange, ANNA)
    first.sock.sendall(b"Subject: one\r\n\r\n" + b"x" * 600_000 + b"\r\n")
    asyncio.run_coroutine_threadsafe(held(), exchange.loop).result(20)
    second = submitting(exchange, CLARA)
    second.sock.sendall(b"Subject: two\r\n\r\n" + b"y" * 900_000 + b"\r\n")
    assert second.ask(".").startswith("552 5.3.4")
    assert first.ask(".").startswith("250 2.0.0 OK")
    assert budget.reserved == 0


def test_a_chunk_that_is_refused_takes_no_room(start: Start) -> None:
    exchange = start(limits=Limits(receiving=1_000_000))
    smtp = submitting(exchange, ANNA)
    smtp.ask("Subject: none\r\n\r\n.")
    smtp.sock.sendall(b"BDAT 900000\r\n" + b"x" * 900_000)
    assert smtp.line().startswith("503 ")
    assert exchange.servers.service.receiving.reserved == 0
    smtp.ask(f"MAIL FROM:<{ANNA}>")
    smtp.ask(f"RCPT TO:<{CLARA}>")
    smtp.sock.sendall(b"BDAT 3 LAST\r\nx\r\n")
    assert smtp.line().startswith("250 2.0.0 OK")


def test_mailboxes_do_not_fill_the_memory(start: Start) -> None:
    exchange = start(limits=Limits(kept=500_000))
    replies = []
    for _ in range(3):
        smtp = submitting(exchange, ANNA)
        smtp.sock.sendall(b"Subject: big\r\n\r\n" + b"x" * 100_000 + b"\r\n")
        replies.append(smtp.ask(".")[:9])
        smtp.ask("QUIT")
    assert replies == ["250 2.0.0", "250 2.0.0", "554 5.2.2"]
    exchange.mailbox(ANNA).sent.clear()
    exchange.mailbox(CLARA).messages.clear()
    smtp = submitting(exchange, ANNA)
    assert smtp.ask("Subject: small\r\n\r\nx\r\n.").startswith("250 ")

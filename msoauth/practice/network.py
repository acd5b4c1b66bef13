"""Listening ports that can misbehave as networks do: closed, silent, the wrong protocol, an unknown certificate.

A misbehaving port keeps its number, so a client that knows it meets the fault, and is served again as soon as
the fault is cleared. Host names that do not resolve are simulated in the endpoints file, by scenarios.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msoauth.ports import take_alone
from msoauth.practice.certificates import TlsContexts
from msoauth.practice.faults import Faults

BACKLOG = 1024
_SPARE_FILES = 256  # open files reserved for everything else in the process
_MOST = 500  # connections of a misbehaving port; the oldest is closed for a new one

IPV6 = "::1"  # the loopback address

Stop = Callable[[], None]
# Serves on a listening socket with that certificate; None refuses TLS after STARTTLS as too old.
Serve = Callable[[socket.socket, ssl.SSLContext | None], Awaitable[Stop]]
# The alert by which a server that knows no TLS 1.2 refuses a handshake: fatal, protocol_version (RFC 5246, 7.2).
TOO_OLD = bytes.fromhex("15 0301 0002 02 46")

IS_WINDOWS = sys.platform == "win32"

# behaviour → what a client meets
BEHAVIOURS = {
    "closed": "connections are refused",
    "silent": "connections are taken, and nothing is ever said",
    "reset": "connections are cut off as soon as the client says something",
    "plain": "plain text where TLS is expected",
    "tls": "TLS from the first byte where plain text is expected",
    "untrusted": "a certificate of an authority that nobody trusts",
    "old-tls": "only versions of TLS that clients of today refuse",
    "exim": "another provider's mail server (Exim) answers in Microsoft's place, without TLS",
    "proxy": "a proxy that wants to be signed in to answers in the server's place",
}


def localhost_has_ipv6() -> bool:
    """Whether this computer's ``localhost`` is ``::1`` too, so that clients try it, and it can be listened on."""
    try:
        found = socket.getaddrinfo("localhost", None, socket.AF_INET6, socket.SOCK_STREAM)
        if IPV6 not in [address[0] for *_kind, address in found]:
            return False
        _bind(IPV6, 0).close()
    except OSError:
        return False
    return True


def connection_share(count: int) -> float:
    """The share of *count* connections that this process may open, up to 1.0; raises its open-file limit if allowed."""
    if IS_WINDOWS:  # no such limit there
        return 1.0
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + _SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        new_limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (new_limit, hard))
            soft = new_limit
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return 1.0
    return max(0.01, (soft - _SPARE_FILES) / count)


class Port:
    """A listening port of the practice tenant, which serves or misbehaves.

    Args:
        host: The address to listen on.
        number: The port; 0 takes a free one.
        serve: Serves on a listening socket; returns the function that ends it and closes the socket.
        tls: The certificates.
        greeting: What the server sends first in plain text.
        starttls: TLS begins after STARTTLS, not with the first byte.
        also: Further addresses to listen on, with the same number.

    Attributes:
        number: The port, once it was opened.
        behaviour: One of BEHAVIOURS, or None while it serves.
    """

    def __init__(
        self,
        host: str,
        number: int,
        serve: Serve,
        tls: TlsContexts,
        greeting: bytes,
        *,
        starttls: bool = False,
        also: Sequence[str] = (),
    ) -> None:
        self.number = number
        self.behaviour: str | None = None
        self._hosts = (host, *also)
        self._serve = serve
        self._tls = tls
        self._greeting = greeting
        self._starttls = starttls
        self._stops: list[Stop] = []

    async def open(self, behaviour: str | None = None) -> None:
        """Serve, or misbehave, from now on, instead of what the port did before.

        Raises:
            OSError: the port is taken.
            KeyError: there is no such behaviour.
        """
        if behaviour is not None and behaviour not in BEHAVIOURS:
            raise KeyError(behaviour)
        self.close()
        socks = _bind_all(self._hosts, self.number)
        self.number = socks[0].getsockname()[1]
        self.behaviour = behaviour
        try:
            for sock in socks:
                self._stops.append(await self._begin(sock, behaviour))
        except BaseException:
            for sock in socks:
                sock.close()
            raise

    def close(self) -> None:
        """Close the port."""
        while self._stops:
            self._stops.pop()()

    async def _begin(self, sock: socket.socket, behaviour: str | None) -> Stop:
        if behaviour == "closed":
            return sock.close  # bound, so that nobody else takes the port, but not listening
        sock.listen(BACKLOG)
        if behaviour is None:
            return await self._serve(sock, self._tls.trusted)
        if behaviour == "untrusted":
            return await self._serve(sock, self._tls.untrusted)
        if behaviour == "old-tls" and self._starttls:
            return await self._serve(sock, None)
        return await self._misbehave(sock, behaviour)

    async def _misbehave(self, sock: socket.socket, behaviour: str) -> Stop:
        answers = {
            "plain": (self._greeting,),
            "tls": (self._greeting,),
            "exim": EXIM,
            "proxy": (PROXY,),
            "old-tls": (TOO_OLD,),
        }.get(behaviour, ())
        connections: dict[_MisbehavingConnection, None] = {}
        closed = asyncio.Event()

        def create_connection() -> _MisbehavingConnection:
            speaks_first = behaviour in ("plain", "tls", "exim")  # as mail servers do
            return _MisbehavingConnection(
                connections, closed, answers, speaks_first=speaks_first, resets=behaviour == "reset"
            )

        secure = self._tls.trusted if behaviour in ("tls", "proxy") else None
        server = await asyncio.get_running_loop().create_server(
            create_connection, sock=sock, ssl=secure
        )

        def stop() -> None:
            closed.set()
            server.close()
            for connection in list(connections):
                connection.abort()

        return stop


class PortTakenError(OSError):
    """Another program has the port.

    Attributes:
        port: Its number.
    """

    def __init__(self, port: int, problem: OSError) -> None:
        super().__init__(problem.errno, problem.strerror)
        self.port = port


class Ports:
    """All ports of a practice tenant, by name."""

    def __init__(self) -> None:
        self._ports: dict[str, Port] = {}

    async def open(self, name: str, port: Port) -> int:
        """Open a port, which `close` closes; returns its number.

        Raises:
            PortTakenError: another program has the port, or opening it needs more rights.
        """
        try:
            await port.open()
        except OSError as problem:
            raise PortTakenError(port.number, problem) from None
        self._ports[name] = port
        return port.number

    def follow(self, faults: Faults) -> None:
        """Follow the ``port.NAME`` faults from now on; call it on the loop that serves."""
        loop, loop_thread = asyncio.get_running_loop(), threading.get_ident()
        tasks: set[asyncio.Task[None]] = set()

        def reopen(fault: str) -> None:
            area, _dot, name = fault.partition(".")
            if area != "port" or name not in self._ports:
                return
            change = self._ports[name].open(faults.value(fault))
            if threading.get_ident() == loop_thread:  # a change in the admin center
                task = loop.create_task(change)
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            else:
                asyncio.run_coroutine_threadsafe(change, loop).result(10)

        faults.listeners.append(reopen)

    async def close(self) -> None:
        """Close all ports, on the loop that serves; connections that were accepted last still get their tasks."""
        for port in self._ports.values():
            port.close()
        # asyncio needs three rounds of the loop from accepting a connection to starting its task.
        for _round in range(3):
            await asyncio.sleep(0)


PROXY = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"Office gateway\"\r\n"
    b"Content-Type: text/html\r\nContent-Length: 51\r\nConnection: close\r\n\r\n"
    b"<html><body>Sign in to the gateway.</body></html>\r\n"
)  # fmt: skip


# What a web host's server says to who is redirected to it; it offers no STARTTLS (facts E4 has Exchange's own).
EXIM = (
    b"220 srv17.hoster.example ESMTP Exim 4.96 #2 Mon, 30 Nov 2026 10:00:00 +0000\r\n",
    b"250-srv17.hoster.example Hello client.example [203.0.113.7]\r\n250-PIPELINING\r\n250 HELP\r\n",
    b"221 srv17.hoster.example closing connection\r\n",
)


class _MisbehavingConnection(asyncio.Protocol):
    """A connection to a misbehaving port: it gets the answers one after the other, or is reset."""

    def __init__(
        self,
        connections: dict["_MisbehavingConnection", None],
        closed: asyncio.Event,
        answers: tuple[bytes, ...],
        *,
        speaks_first: bool,
        resets: bool,
    ) -> None:
        self._connections = connections
        self._closed = closed
        self._answers = list(answers)
        self._speaks_first = speaks_first
        self._resets = resets
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        if len(self._connections) >= _MOST:
            next(iter(self._connections)).abort()
        self._connections[self] = None
        if self._closed.is_set():  # after this connection was accepted
            self.abort()
        elif self._speaks_first:
            self._send_answer()

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - whatever it is
        if self._resets:
            sock = self._transport.get_extra_info("socket")
            # With a linger time of 0, closing sends a reset. Windows takes two short numbers, others two ints.
            linger = struct.pack("hh" if IS_WINDOWS else "ii", 1, 0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.abort()
        else:
            self._send_answer()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio names it
        self._connections.pop(self, None)

    def abort(self) -> None:
        """Drop the connection."""
        self._connections.pop(self, None)
        self._transport.abort()

    def _send_answer(self) -> None:
        if self._answers:
            self._transport.write(self._answers.pop(0))


def _bind_all(hosts: Sequence[str], number: int) -> list[socket.socket]:
    """A socket on each address, all with the same number: a free one where it is 0."""
    for attempt in range(20):
        socks = [_bind(hosts[0], number)]
        try:
            socks += [_bind(host, socks[0].getsockname()[1]) for host in hosts[1:]]
        except OSError:  # somebody has that number at another of the addresses
            socks[0].close()
            if number or attempt == 19:
                raise
        else:
            break
    return socks


def _bind(host: str, number: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        if sock.family is socket.AF_INET6:  # IPv4 has a socket of its own
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        take_alone(sock)
        sock.setblocking(False)
        sock.bind((host, number))
    except BaseException:
        sock.close()
        raise
    return sock

"""Listening: three ports, one loop, one task a connection."""

import asyncio
import contextlib
import ssl
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from msoauth.practice.exchange.imap.session import ImapSession
from msoauth.practice.exchange.pop3 import Pop3Session
from msoauth.practice.exchange.service import Limits, Service, Timing
from msoauth.practice.exchange.smtp import SmtpSession
from msoauth.practice.exchange.wire import Wire
from msoauth.practice.state import World
from msoauth.practice.tokens import Signer

BACKLOG = 1024
SPARE_FILES = 256  # open files left to everything else in the process


class ExchangeServers:
    """The running mail servers.

    Attributes:
        ports: The port of ``pop3``, ``imap`` and ``smtp``.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.ports: dict[str, int] = {}
        self._servers: list[asyncio.Server] = []

    async def listen(
        self, name: str, host: str, port: int, session: Callable[[Wire], Awaitable[None]]
    ) -> None:
        """Open one port."""
        service = self.service

        async def serve(wire: Wire) -> None:
            if not service.door.enter(wire):
                wire.abort()
                return
            try:
                await session(wire)
            finally:
                service.door.leave(wire)

        def made() -> Wire:
            return Wire(serve, lambda: service.world.latency, service.timing.write)

        loop = asyncio.get_running_loop()
        server = await loop.create_server(made, host, port, backlog=BACKLOG)
        self._servers.append(server)
        self.ports[name] = server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Close the ports and drop every connection."""
        for server in self._servers:
            server.close()
        tasks = []
        for wire in self.service.door.all():
            wire.abort()
            if wire.task is not None:
                wire.task.cancel()
                tasks.append(wire.task)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
        self._servers.clear()


async def start_exchange(
    world: World,
    signer: Signer,
    ssl_context: ssl.SSLContext,
    host: str,
    ports: Mapping[str, int],
    *,
    timing: Timing | None = None,
    limits: Limits | None = None,
) -> ExchangeServers:
    """Start POP3 and IMAP (TLS from the first byte) and SMTP (STARTTLS) on the running loop.

    Args:
        world: What is read at every login, so a changed setting is seen by the next one.
        signer: The key by which tokens are checked.
        ssl_context: The servers' certificate.
        host: Address to listen on.
        ports: Port for ``pop3``, ``imap``, ``smtp``; 0 or absent takes a free one.
        timing: Time-outs, when not the usual ones.
        limits: Limits, when not the usual ones.

    Raises:
        OSError: a port is taken.
    """
    limits = limits or Limits()
    limits = _within_open_files(limits)
    service = Service(world, signer, ssl_context, timing or Timing(), limits)
    servers = ExchangeServers(service)

    async def pop3(wire: Wire) -> None:
        await wire.start_tls(ssl_context, service.timing.handshake)
        await Pop3Session(service, wire).run()

    async def imap(wire: Wire) -> None:
        await wire.start_tls(ssl_context, service.timing.handshake)
        await ImapSession(service, wire).run()

    async def smtp(wire: Wire) -> None:
        await SmtpSession(service, wire).run()

    try:
        await servers.listen("pop3", host, ports.get("pop3", 0), pop3)
        await servers.listen("imap", host, ports.get("imap", 0), imap)
        await servers.listen("smtp", host, ports.get("smtp", 0), smtp)
    except BaseException:
        await servers.close()
        raise
    return servers


def _within_open_files(limits: Limits) -> Limits:
    """As many connections as this process may have open files; the soft limit is raised where it can be."""
    if sys.platform == "win32":
        return limits
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        new = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (new, hard))
            soft = new
    if soft == resource.RLIM_INFINITY:
        return limits
    most = max(16, min(limits.connections, soft - SPARE_FILES))
    return replace(limits, connections=most)

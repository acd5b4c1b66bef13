"""Start the POP3, IMAP and SMTP servers on the running loop, with one task for each connection."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from weakref import WeakSet

from msoauth.practice.certificates import TlsContexts
from msoauth.practice.exchange.connection import Connection
from msoauth.practice.exchange.imap.session import ImapSession
from msoauth.practice.exchange.pop3 import Pop3Session
from msoauth.practice.exchange.service import Limits, Service, Timing
from msoauth.practice.exchange.smtp import SmtpSession
from msoauth.practice.network import BACKLOG, Port, Ports, Serve, Stop
from msoauth.practice.state import PracticeState
from msoauth.practice.tokens import Signer

GREETINGS = {  # what a misbehaving port sends first
    "pop3": b"+OK The Microsoft Exchange POP3 service is ready. []\r\n",
    "imap": b"* OK The Microsoft Exchange IMAP4 service is ready. []\r\n",
    "smtp": b"220 outlook.office365.com Microsoft ESMTP MAIL Service ready\r\n",
}


class ExchangeServers:
    """The running mail servers.

    Attributes:
        ports: The port of ``pop3``, ``imap`` and ``smtp``.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self._connections: WeakSet[Connection] = WeakSet()
        self.ports: dict[str, int] = {}

    async def listen(
        self,
        sock: socket.socket,
        session: Callable[[Connection], Awaitable[None]],
        protocol: str,
    ) -> Stop:
        """Serve on one listening socket; returns the function that ends it. *protocol* is its name in the log."""
        service = self.service

        async def serve(connection: Connection) -> None:
            if not service.connections.admit(connection):
                connection.abort("there are too many connections")
                return
            try:
                await session(connection)
            finally:
                service.connections.remove(connection)

        def create_connection() -> Connection:
            connection = Connection(
                serve, lambda: service.state.latency, service.timing.write, protocol
            )
            self._connections.add(connection)
            return connection

        loop = asyncio.get_running_loop()
        server = await loop.create_server(create_connection, sock=sock, backlog=BACKLOG)
        return server.close

    async def close(self) -> None:
        """Drop every connection, even after its session; whoever opened the ports closes them before."""
        tasks = []
        for connection in list(self._connections):
            connection.end("the practice tenant ends")
            if connection.task is not None:
                tasks.append(connection.task)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


async def start_exchange(
    state: PracticeState,
    signer: Signer,
    tls: TlsContexts,
    ports: Ports,
    host: str,
    numbers: Mapping[str, int],
    *,
    timing: Timing | None = None,
    limits: Limits | None = None,
    also: Sequence[str] = (),
) -> ExchangeServers:
    """Start POP3 and IMAP (TLS from the first byte) and SMTP (STARTTLS) on the running loop.

    Args:
        state: Read at every login, so that a changed setting takes effect at the next one.
        signer: The key by which tokens are checked.
        tls: The servers' certificates.
        ports: Opens the three ports, and closes them in the end.
        host: Address to listen on.
        numbers: Port for ``pop3``, ``imap``, ``smtp``; 0 or absent takes a free one.
        timing: Time-outs; None for the default.
        limits: Limits; None for the default.
        also: Further addresses to listen on.

    Raises:
        OSError: a port is taken.
    """
    service = Service(state, signer, timing or Timing(), limits or Limits())
    servers = ExchangeServers(service)

    def sessions(tls: ssl.SSLContext | None) -> dict[str, Callable[[Connection], Awaitable[None]]]:
        async def pop3(connection: Connection) -> None:
            await connection.start_tls(tls, service.timing.handshake)
            await Pop3Session(service, connection).run()

        async def imap(connection: Connection) -> None:
            await connection.start_tls(tls, service.timing.handshake)
            await ImapSession(service, connection).run()

        async def smtp(connection: Connection) -> None:
            await SmtpSession(service, connection, tls).run()

        return {"pop3": pop3, "imap": imap, "smtp": smtp}

    def server(name: str) -> Serve:
        async def serve(sock: socket.socket, tls: ssl.SSLContext | None) -> Stop:
            return await servers.listen(sock, sessions(tls)[name], name)

        return serve

    for name, greeting in GREETINGS.items():
        number, starttls = numbers.get(name, 0), name == "smtp"
        port = Port(host, number, server(name), tls, greeting, starttls=starttls, also=also)
        servers.ports[name] = await ports.open(name, port)
    return servers

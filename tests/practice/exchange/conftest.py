"""A practice Exchange of its own for each test, on a loop in a thread, and tokens for it."""

import asyncio
import base64
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from msoauth.practice.certificates import TlsContexts
from msoauth.practice.exchange import ExchangeServers, Limits, Timing, start_exchange
from msoauth.practice.network import Ports
from msoauth.practice.registrations import AppRegistration, new_id
from msoauth.practice.state import Mailbox, PracticeState, Tenant, User
from msoauth.practice.tokens import Signer
from tests.loops import running_loop

HOST = "127.0.0.1"
ALL = "POP.AccessAsUser.All IMAP.AccessAsUser.All SMTP.Send"
MAILS = (
    (
        b"From: Ben <ben@fabrikam.example>\r\nTo: anna@contoso.example\r\nSubject: First\r\n"
        b"Date: Mon, 02 Nov 2026 10:00:00 +0100\r\nMessage-ID: <one@fabrikam.example>\r\n\r\n"
        b"Hello\r\n.a line with a dot\r\n..two dots\r\n.\r\nend\r\n"
    ),
    (
        b"From: Clara <clara@contoso.example>\r\nTo: anna@contoso.example\r\n"
        b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <two@contoso.example>\r\n\r\nTwo\r\n"
    ),
    b"From: ben@fabrikam.example\r\nTo: anna@contoso.example\r\nSubject: Third\r\n\r\n"
    + b"x" * 900,
)


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer()


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[TlsContexts, Path]:
    """Certificates, and the file of the authority that they hang on."""
    ca_file = tmp_path_factory.mktemp("ca") / "ca.pem"
    return TlsContexts.make(ca_file), ca_file


@dataclass
class Exchange:
    """A running practice Exchange as a test sees it."""

    state: PracticeState
    firm: Tenant
    signer: Signer
    servers: ExchangeServers
    ports: Ports
    loop: asyncio.AbstractEventLoop
    client: ssl.SSLContext
    ca_file: Path
    sockets: list[socket.socket] = field(default_factory=list)

    def port(self, name: str) -> int:
        return self.servers.ports[name]

    def mailbox(self, address: str) -> Mailbox:
        found = self.firm.mailbox(address)
        assert found is not None
        return found

    def token(self, upn: str = "anna@contoso.example", scp: str = ALL, **changes: Any) -> str:
        now = int(self.state.clock.time())
        claims = {
            "aud": "https://outlook.office.com",
            "iss": f"https://sts.windows.net/{self.firm.tenant_id}/",
            "iat": now,
            "nbf": now,
            "exp": now + 4500,
            "appid": self.firm.app.app_id,
            "idtyp": "user",
            "oid": new_id(),
            "tid": self.firm.tenant_id,
            "upn": upn,
            "unique_name": upn,
            "scp": scp,
            "ver": "1.0",
        }
        claims |= changes
        return self.signer.sign({k: v for k, v in claims.items() if v is not None})

    def app_token(self, role: str, oid: str) -> str:
        return self.token(scp=None, upn=None, unique_name=None, roles=[role], oid=oid, idtyp="app")  # type: ignore[arg-type]

    def raw(self, name: str) -> socket.socket:
        sock = socket.create_connection((HOST, self.port(name)), timeout=20)
        self.sockets.append(sock)
        return sock

    def wrap(self, sock: socket.socket) -> ssl.SSLSocket:
        tls = self.client.wrap_socket(sock, server_hostname="localhost")
        self.sockets.append(tls)
        return tls

    def dialogue(self, name: str) -> "Dialogue":
        """A connection to POP3 or IMAP under TLS, or to SMTP before STARTTLS; the greeting is unread."""
        sock = self.raw(name)
        return Dialogue(self.wrap(sock) if name != "smtp" else sock, self)

    def log(self) -> list[str]:
        return [entry.outcome for entry in self.state.log]


class Dialogue:
    """Lines to and fro, as they are on the wire."""

    def __init__(self, sock: socket.socket, exchange: Exchange) -> None:
        self.sock = sock
        self.exchange = exchange
        self._rest = b""

    def send(self, line: str) -> None:
        self.sock.sendall(line.encode() + b"\r\n")

    def line(self) -> str:
        while b"\r\n" not in self._rest:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(self._rest)
            self._rest += data
        line, self._rest = self._rest.split(b"\r\n", 1)
        return line.decode("utf-8", "surrogateescape")

    def ask(self, line: str) -> str:
        self.send(line)
        return self.line()

    def until_dot(self) -> list[str]:
        lines = []
        while (line := self.line()) != ".":
            lines.append(line)
        return lines

    def reply(self) -> list[str]:
        """An SMTP reply of one or more lines."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return lines

    def ehlo(self) -> list[str]:
        self.send("EHLO client.example")
        return self.reply()

    def secure(self) -> "Dialogue":
        """SMTP: greeting, EHLO, STARTTLS, EHLO; the new dialogue under TLS."""
        assert self.line().startswith("220 ")
        self.ehlo()
        assert self.ask("STARTTLS") == "220 2.0.0 SMTP server ready"
        under = Dialogue(self.exchange.wrap(self.sock), self.exchange)
        under.ehlo()
        return under

    def closed(self) -> bool:
        """Whether the server has closed and sent nothing more."""
        try:
            return self._rest == b"" and self.sock.recv(1) == b""
        except (ssl.SSLError, ConnectionError):
            return True


def sasl(user: str, token: str) -> str:
    return base64.b64encode(f"user={user}\x01auth=Bearer {token}\x01\x01".encode()).decode()


def contoso() -> Tenant:
    firm = Tenant("Contoso Legal", new_id(), "contoso.example")
    firm.register(AppRegistration(new_id(), "Mail"))
    for name in ("anna", "clara", "dora"):
        upn = f"{name}@contoso.example"
        firm.users[upn] = User(upn, name.title(), "not-used-here")
        firm.mailboxes[upn] = Mailbox(upn)
    firm.users["anna@contoso.example"].aliases = ("anna.maier@contoso.example",)
    firm.mailboxes["anna@contoso.example"] = Mailbox("anna@contoso.example", _load=lambda: MAILS)
    shared = "kanzlei@contoso.example"
    firm.mailboxes[shared] = Mailbox(shared, kind="shared", _load=lambda: MAILS[:1])
    return firm


Start = Callable[..., Exchange]


@pytest.fixture
def start(signer: Signer, tls: tuple[TlsContexts, Path]) -> Iterator[Start]:
    """Start a practice Exchange with its own time-outs and limits."""
    running: list[Exchange] = []

    async def begin_on_loop(
        state: PracticeState, timing: Timing | None, limits: Limits | None
    ) -> tuple[ExchangeServers, Ports]:
        ports = Ports()
        servers = await start_exchange(
            state, signer, tls[0], ports, HOST, {}, timing=timing, limits=limits
        )
        ports.follow(state.faults)
        return servers, ports

    def begin(timing: Timing | None = None, limits: Limits | None = None) -> Exchange:
        state, firm = PracticeState(), contoso()
        state.add(firm)
        client = ssl.create_default_context(cafile=str(tls[1]))
        loop = stack.enter_context(running_loop())
        servers, ports = asyncio.run_coroutine_threadsafe(
            begin_on_loop(state, timing, limits), loop
        ).result(10)
        exchange = Exchange(state, firm, signer, servers, ports, loop, client, tls[1])
        running.append(exchange)
        return exchange

    async def end_on_loop(exchange: Exchange) -> None:
        await exchange.ports.close()
        await exchange.servers.close()

    with ExitStack() as stack:
        yield begin
        for exchange in running:
            for sock in exchange.sockets:
                sock.close()
            asyncio.run_coroutine_threadsafe(end_on_loop(exchange), exchange.loop).result(10)


@pytest.fixture
def exchange(start: Start) -> Exchange:
    return start()

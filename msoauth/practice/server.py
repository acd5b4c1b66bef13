"""Running a practice tenant: all its servers in one thread, on loopback; nothing is left behind."""

import asyncio
import contextlib
import shutil
import socket
import ssl
import tempfile
import threading
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import tornado.web

from msoauth.practice import graph
from msoauth.practice.address import Address
from msoauth.practice.admin import routes as admin_routes
from msoauth.practice.certificates import TlsContexts
from msoauth.practice.clock import Clock
from msoauth.practice.endpoints import EndpointsFile, describe
from msoauth.practice.entra import api
from msoauth.practice.entra import routes as people_routes
from msoauth.practice.entra.grants import Authority
from msoauth.practice.entra.pages import NotFound, SignInSite
from msoauth.practice.entra.signin import AuthorizePage
from msoauth.practice.exchange import ExchangeServers, Limits, start_exchange
from msoauth.practice.http import MOST, PLAIN_HTTP, listen
from msoauth.practice.network import Port, Ports, Stop, connection_share
from msoauth.practice.scenarios import RunningScenarios, aimed
from msoauth.practice.seed import tenants as seeded_tenants
from msoauth.practice.state import PracticeState
from msoauth.practice.tokens import Signer

HOST = "127.0.0.1"
END_SECONDS = 10.0  # that a tenant may take to end; one that takes longer is told of
_PORTS = ("people", "authority", "pop3", "imap", "smtp")


class PracticeTenant:
    """A whole Microsoft 365 tenant in this process, from ``with`` to its end.

    Args:
        scenarios: States to start in: ``NAME``, or ``NAME@AIM`` for one tenant or account.
        accounts: So many accounts more than the few that are always there.
        latency: Seconds by which every answer is delayed.
        clock: How far its clock is ahead of the computer's.
        port_base: The first of five ports in a row; 0 takes free ones.
        firms: How many tenants, or their names.
        people_base: Public address of the browser pages when a proxy serves them, without which they are at
            ``http://localhost:PORT``; ``{port}`` in it stands for their port. See `Address`.

    Raises:
        ScenarioError: there is no such scenario, tenant or account.
        FirmsError: *firms* names none, or two that get the same domain.

    >>> with msoauth.practice.PracticeTenant(scenarios=["pop-off"]) as tenant:
    ...     tenant.endpoints["practice"]["firms"][0]["name"]
    'Contoso Legal'

    Attributes:
        state: Its state; changes are seen by the next request.
        scenarios: The scenarios that are on; ``scenarios.start("pop-off")`` lets something go wrong.
        endpoints: What is in the endpoints file.
        endpoints_file: Where it lies until the end.
    """

    def __init__(
        self,
        *,
        scenarios: Iterable[str] = (),
        accounts: int = 0,
        latency: float = 0.0,
        clock: timedelta = timedelta(),
        port_base: int = 0,
        firms: int | Iterable[str] = 1,
        people_base: str = "",
    ) -> None:
        self.state = PracticeState(clock=Clock(clock), latency=latency)
        for tenant in seeded_tenants(self.state.clock, firms, accounts):
            self.state.add(tenant)
        self.address = Address(people_base)
        self._wanted = tuple(scenarios)
        for scenario in self._wanted:
            aimed(self.state, scenario)  # raises for a wrong name before anything runs
        self._ports = {name: port_base + n if port_base else 0 for n, name in enumerate(_PORTS)}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="msoauth-practice-"))
        try:
            self._start(self._folder)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_about: object) -> None:
        self._stop()

    @property
    def ca_file(self) -> Path:
        """The certificate authority that clients must trust."""
        return self._inside / "ca.pem"

    @property
    def endpoints(self) -> dict[str, Any]:
        """What is in the endpoints file."""
        return self.scenarios.endpoints.content

    @property
    def endpoints_file(self) -> Path:
        """The endpoints file."""
        return self._inside / "endpoints.json"

    @property
    def people_url(self) -> str:
        """The address of the browser pages."""
        return self.address.url

    @property
    def admin_url(self) -> str:
        """The admin center."""
        return f"{self.people_url}/admin"

    @property
    def _inside(self) -> Path:
        if self._folder is None:
            raise RuntimeError("the practice tenant is not running")
        return self._folder

    def _start(self, folder: Path) -> None:
        tls = TlsContexts.make(folder / "ca.pem")
        self.scenarios = RunningScenarios(self.state, EndpointsFile(self.endpoints_file))
        ready: threading.Event = threading.Event()
        failure: list[BaseException] = []
        self._thread = threading.Thread(
            target=self._run, args=(tls, ready, failure), name="practice tenant", daemon=True
        )
        self._thread.start()
        ready.wait()
        if failure:
            raise failure[0]
        self.scenarios.endpoints.begin(
            describe(self.state, self._ports, self.admin_url, self.ca_file)
        )
        for scenario in self._wanted:
            self.scenarios.start(scenario)

    def notes(self) -> Iterator[str]:
        """Lines to print beside the instructions; `Replay` has some."""
        yield from ()

    def _run(self, tls: TlsContexts, ready: threading.Event, failure: list[BaseException]) -> None:
        async def serve() -> None:
            stop = asyncio.Event()
            self._loop, self._stop_event = asyncio.get_running_loop(), stop
            ports = Ports()
            exchange: ExchangeServers | None = None
            try:
                signer = Signer()
                authority = Authority(self.state, signer)
                site = SignInSite(authority, self.address)
                people = _people_app(site, self.scenarios)
                mail = Limits()
                part = connection_share(
                    mail.connections + 2 * MOST
                )  # of the files that may be open
                web = max(8, int(MOST * part))
                await self._open(ports, "people", people, tls, web)
                self.address.port = self._ports["people"]
                await self._open(ports, "authority", _api_app(authority, site), tls, web)
                mail = replace(mail, connections=max(16, int(mail.connections * part)))
                exchange = await start_exchange(
                    self.state, signer, tls, ports, HOST, self._ports, limits=mail
                )
                self._ports |= exchange.ports
                ports.follow(self.state.faults)
                ready.set()
                await stop.wait()
            except BaseException as problem:
                failure.append(problem)
                raise
            finally:
                await ports.close()
                if exchange is not None:
                    await exchange.close()
                ready.set()

        with contextlib.suppress(OSError):  # it is in `failure`
            asyncio.run(serve())

    async def _open(
        self, ports: Ports, name: str, app: tornado.web.Application, tls: TlsContexts, most: int
    ) -> None:
        secure = name == "authority"  # browser pages open without a certificate warning

        async def serve(sock: socket.socket, context: ssl.SSLContext | None) -> Stop:
            return listen(app, sock, context if secure else None, most=most)

        port = Port(HOST, self._ports[name], serve, tls, PLAIN_HTTP)
        self._ports[name] = await ports.open(name, port)

    def _stop(self) -> None:
        if self._loop is not None and self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop_event.set)
            self._thread.join(END_SECONDS)
            if self._thread.is_alive():
                under_way = ", ".join(
                    sorted(task.get_name() for task in asyncio.all_tasks(self._loop))
                )
                warnings.warn(
                    f"The practice tenant did not end within {END_SECONDS:g} seconds; still under way: {under_way}.",
                    RuntimeWarning,
                    stacklevel=3,
                )
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def _api_app(authority: Authority, site: SignInSite) -> tornado.web.Application:
    address = site.address
    # Microsoft serves both from one host; a program may ask there, where a person's address leads to a proxy.
    asked = (r"/([^/]+)/oauth2/v2\.0/authorize", AuthorizePage, {"site": site})
    return tornado.web.Application(
        [*api.routes(authority, address), *graph.routes(authority.state, authority.signer), asked],
        log_function=_quiet,
        default_handler_class=api.NotFound,
        default_handler_args={"authority": authority, "address": address},
    )


def _people_app(site: SignInSite, running: RunningScenarios) -> tornado.web.Application:
    return tornado.web.Application(
        [*people_routes(site), *admin_routes(site, running)],
        log_function=_quiet,
        default_handler_class=NotFound,
        default_handler_args={"site": site},
    )


def _quiet(_handler: tornado.web.RequestHandler) -> None:
    """Log nothing: addresses hold codes."""

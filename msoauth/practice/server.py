"""Run a practice tenant: all its servers in one thread, on loopback; it leaves nothing behind."""

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

import tornado.routing
import tornado.web
from tornado.httputil import HTTPServerRequest

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
from msoauth.practice.http import MAX_CONNECTIONS, PLAIN_HTTP, listen
from msoauth.practice.network import (
    IPV6,
    Port,
    Ports,
    Stop,
    connection_share,
    localhost_has_ipv6,
)
from msoauth.practice.scenarios import RunningScenarios, find_scenario
from msoauth.practice.seed import tenants as seeded_tenants
from msoauth.practice.state import PracticeState
from msoauth.practice.tokens import Signer

HOST = "127.0.0.1"
END_SECONDS = 10.0  # that a tenant may take to end before a warning is shown
_PORTS = ("people", "authority", "pop3", "imap", "smtp")


class PracticeTenant:
    """A simulated Microsoft 365 tenant in this process, for the duration of a ``with`` block.

    Args:
        scenarios: Scenarios to start with: ``NAME``, or ``NAME@AIM`` for one tenant or account.
        accounts: Number of accounts in addition to the few that are always there.
        latency: Seconds by which every answer is delayed.
        clock: How far its clock is ahead of the computer's.
        port_base: The first of five ports in a row; 0 takes free ones.
        firms: How many tenants, or their names.
        people_base: Public address of the browser pages when a proxy serves them; empty for
            ``http://localhost:PORT``; ``{port}`` in it stands for their port. See `Address`.
        ipv6: Whether it listens on ``::1`` as well as on ``127.0.0.1``; None where ``localhost`` is both.

    Raises:
        ScenarioError: there is no such scenario, tenant or account.
        FirmsError: *firms* names none, or two that get the same domain.

    >>> with msoauth.practice.PracticeTenant(scenarios=["pop-off"]) as tenant:
    ...     tenant.endpoints["practice"]["firms"][0]["name"]
    'Contoso Legal'

    Attributes:
        state: Its state; changes are seen by the next request.
        scenarios: The running scenarios; ``scenarios.start("pop-off")`` starts another one.
        endpoints: The content of the endpoints file.
        endpoints_file: Its path; it is deleted when the block ends.
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
        ipv6: bool | None = None,
    ) -> None:
        self.state = PracticeState(clock=Clock(clock), latency=latency)
        for tenant in seeded_tenants(self.state.clock, firms, accounts):
            self.state.add(tenant)
        self.address = Address(people_base)
        self._also = (IPV6,) if (localhost_has_ipv6() if ipv6 is None else ipv6) else ()
        self._initial_scenarios = tuple(scenarios)
        for scenario in self._initial_scenarios:
            find_scenario(self.state, scenario)  # raises for a wrong name before anything runs
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

    def __exit__(self, *_args: object) -> None:
        self._stop()

    @property
    def ca_file(self) -> Path:
        """The certificate authority that clients must trust."""
        return self._running_folder / "ca.pem"

    @property
    def endpoints(self) -> dict[str, Any]:
        """The content of the endpoints file."""
        return self.scenarios.endpoints.content

    @property
    def endpoints_file(self) -> Path:
        """The endpoints file."""
        return self._running_folder / "endpoints.json"

    @property
    def people_url(self) -> str:
        """The address of the browser pages."""
        return self.address.url

    @property
    def admin_url(self) -> str:
        """The admin center, with the token that opens it."""
        return self.address.admin

    @property
    def _running_folder(self) -> Path:
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
        for scenario in self._initial_scenarios:
            self.scenarios.start(scenario)

    def notes(self) -> Iterator[str]:
        """Lines to print after the instructions; `Replay` overrides this."""
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
                limits = Limits()
                share = connection_share(limits.connections + 2 * MAX_CONNECTIONS)
                web_connections = max(8, int(MAX_CONNECTIONS * share))
                await self._open(ports, "people", people, tls, web_connections)
                self.address.port = self._ports["people"]
                await self._open(
                    ports, "authority", _api_app(authority, site), tls, web_connections
                )
                limits = replace(limits, connections=max(16, int(limits.connections * share)))
                exchange = await start_exchange(
                    self.state,
                    signer,
                    tls,
                    ports,
                    HOST,
                    self._ports,
                    limits=limits,
                    also=self._also,
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

        # Windows' other loop gives a port up when a client resets its connection at once (cpython#93821).
        with (
            contextlib.suppress(OSError),  # `failure` has it, for the thread that waits
            asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner,
        ):
            runner.run(serve())

    async def _open(
        self, ports: Ports, name: str, app: tornado.web.Application, tls: TlsContexts, most: int
    ) -> None:
        secure = name == "authority"  # browser pages open without a certificate warning

        async def serve(sock: socket.socket, context: ssl.SSLContext | None) -> Stop:
            return listen(app, sock, context if secure else None, most=most)

        port = Port(HOST, self._ports[name], serve, tls, PLAIN_HTTP, also=self._also)
        self._ports[name] = await ports.open(name, port)

    def _stop(self) -> None:
        if self._loop is not None and self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop_event.set)
            self._thread.join(END_SECONDS)
            if self._thread.is_alive():
                unfinished = ", ".join(
                    sorted(task.get_name() for task in asyncio.all_tasks(self._loop))
                )
                warnings.warn(
                    f"The practice tenant did not end within {END_SECONDS:g} seconds; still under way: {unfinished}.",
                    RuntimeWarning,
                    stacklevel=3,
                )
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


class _ToPages(tornado.web.RequestHandler):
    """Microsoft serves pages and API from one host, so a program may open a page on this one: it goes to the other."""

    def initialize(self, address: Address) -> None:
        self.address = address

    def get(self, *_path: str) -> None:
        self.redirect(f"{self.address.url}{self.request.uri}", status=307)

    post = get


class _WithoutPage(tornado.routing.PathMatches):
    """Requests with ``prompt=none``, which show no page: a program that is no browser makes them too."""

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        return super().match(request) if request.arguments.get("prompt") == [b"none"] else None


def _api_app(authority: Authority, site: SignInSite) -> tornado.web.Application:
    address = site.address
    authorize = r"/([^/]+)/oauth2/v2\.0/authorize$"
    pages = r"/(?:[^/]+/(?:oauth2/v2\.0/(?:authorize|logout)|(?:v2\.0/)?adminconsent)|devicelogin|error)"
    return tornado.web.Application(
        [
            *api.routes(authority, address),
            *graph.routes(authority.state, authority.signer),
            tornado.routing.Rule(_WithoutPage(authorize), AuthorizePage, {"site": site}),
            (pages, _ToPages, {"address": address}),
        ],
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
    """Log nothing: URLs contain authorization codes."""

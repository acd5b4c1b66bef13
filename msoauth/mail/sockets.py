"""TCP and TLS sockets with a time limit and cancellation: name lookup, Happy Eyeballs (RFC 8305), handshake."""

import contextlib
import ctypes
import errno
import importlib
import os
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from typing import Any, TypeVar

from msoauth.texts import _

# Poll where there is one: epoll and kqueue would open and close a descriptor of their own for each wait.
Selector: type[selectors.BaseSelector] = getattr(
    selectors, "PollSelector", selectors.DefaultSelector
)

Address = tuple[socket.AddressFamily, tuple[Any, ...]]
FAMILIES = {socket.AF_INET6: "IPv6", socket.AF_INET: "IPv4"}
Result = TypeVar("Result")

POLL = 0.2  # seconds between two checks for cancellation
_HEAD_START = 0.25  # seconds before the next address is tried as well (RFC 8305, 5)
_IN_PROGRESS = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY, 10035}  # 10035: Windows


def wait_ready(connection: socket.socket, seconds: float, *, write: bool = False) -> bool:
    """Wait until the socket can be read (or written) or is closed by the peer; returns False after *seconds*.

    Raises:
        OSError: the connection is closed.
    """
    with Selector() as selector:
        try:
            selector.register(connection, selectors.EVENT_WRITE if write else selectors.EVENT_READ)
        except ValueError:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None
        return bool(selector.select(max(0.0, seconds)))


def run_abandonable(
    action: Callable[[], Result],
    timeout: float,
    cancelled: threading.Event,
    discard: Callable[[Result], None] = lambda _result: None,
) -> Result:
    """Run *action* in a daemon thread; abandon it on timeout or cancellation.

    For actions that cannot be interrupted: looking up a host name, a TLS handshake that the operating system verifies.

    Args:
        discard: Called with the result of an abandoned action, to close it.

    Raises:
        TimeoutError: it took longer than *timeout* seconds.
        CancelledError: *cancelled* was set.
    """
    future: Future[Result] = Future()

    def act() -> None:
        try:
            result = action()
        except BaseException as problem:  # noqa: BLE001 - raised again in the calling thread
            if future.set_running_or_notify_cancel():
                future.set_exception(problem)
        else:
            if future.set_running_or_notify_cancel():
                future.set_result(result)
            else:
                discard(result)

    threading.Thread(target=act, daemon=True, name="abandonable").start()
    deadline = time.monotonic() + timeout
    while True:
        remaining = deadline - time.monotonic()
        done = wait([future], max(0.0, min(POLL, remaining))).done
        if not done and (remaining <= 0 or cancelled.is_set()) and future.cancel():
            raise CancelledError if cancelled.is_set() else TimeoutError
        if done:
            return future.result()


_CACHE_SECONDS = 30.0  # after which a name is looked up again
_resolved: dict[tuple[str, int], tuple[float, list[Address]]] = {}


def resolve(host: str, port: int, timeout: float, cancelled: threading.Event) -> list[Address]:
    """The addresses of *host*, IPv6 and IPv4 alternating (RFC 8305, 4); cached for half a minute.

    Raises:
        OSError, ValueError: the name does not resolve, or is no name.
        TimeoutError: it did not resolve in time.
        CancelledError: *cancelled* was set.
    """
    cached = _resolved.get((host, port))
    if cached is not None and time.monotonic() - cached[0] < _CACHE_SECONDS:
        return cached[1]
    addresses = run_abandonable(lambda: _look_up(host, port), timeout, cancelled)
    if len(_resolved) > 200:
        _resolved.clear()
    _resolved[host, port] = (time.monotonic(), addresses)
    return addresses


def _look_up(host: str, port: int) -> list[Address]:
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    ipv6: list[Address] = [(f, a) for f, _k, _p, _c, a in infos if f == socket.AF_INET6]
    ipv4: list[Address] = [(f, a) for f, _k, _p, _c, a in infos if f == socket.AF_INET]
    alternating = [address for pair in zip(ipv6, ipv4, strict=False) for address in pair]
    return alternating + ipv6[len(ipv4) :] + ipv4[len(ipv6) :]


def connect_any(
    addresses: list[Address], timeout: float, cancelled: threading.Event
) -> socket.socket:
    """The first connection that succeeds; each address gets a head start over the next (Happy Eyeballs).

    Raises:
        OSError: none succeeded; the text names each address and its error.
        TimeoutError: none answered in time.
        CancelledError: *cancelled* was set.
    """
    untried = list(addresses)
    deadline = time.monotonic() + timeout
    failures: list[tuple[str, int]] = []
    pending: dict[socket.socket, str] = {}
    with Selector() as selector:
        try:
            while untried or pending:
                next_attempt = deadline
                if untried:
                    _start_connecting(untried.pop(0), pending, failures, selector)
                    next_attempt = (
                        min(deadline, time.monotonic() + _HEAD_START) if untried else deadline
                    )
                failed_before = len(failures)
                while pending and len(failures) == failed_before:
                    if cancelled.is_set():
                        raise CancelledError
                    # Poll once more after the deadline: on a busy computer this thread may not have run until now.
                    seconds = max(0.0, min(POLL, next_attempt - time.monotonic()))
                    winner = _first_connected(selector, seconds, pending, failures)
                    if winner is not None:
                        return winner
                    if seconds == 0:
                        break
                if time.monotonic() >= deadline:
                    raise TimeoutError(
                        "; ".join(
                            [
                                *_describe(failures),
                                *(f"{name}: no answer" for name in pending.values()),
                            ]
                        )
                    )
            raise _connect_error(failures)
        finally:
            for candidate in pending:
                candidate.close()


def _start_connecting(
    address: Address,
    pending: dict[socket.socket, str],
    failures: list[tuple[str, int]],
    selector: selectors.BaseSelector,
) -> None:
    family, socket_address = address
    try:
        candidate = socket.socket(family, socket.SOCK_STREAM)
    except OSError as problem:  # no IPv6 here
        failures.append((str(socket_address[0]), problem.errno or errno.EAFNOSUPPORT))
        return
    candidate.setblocking(False)
    # A missing route (IPv6 on a network without it) is reported here, and nowhere else.
    error = candidate.connect_ex(socket_address)
    if error not in _IN_PROGRESS:
        candidate.close()
        failures.append((str(socket_address[0]), error))
        return
    selector.register(candidate, selectors.EVENT_WRITE)
    pending[candidate] = str(socket_address[0])


def _first_connected(
    selector: selectors.BaseSelector,
    seconds: float,
    pending: dict[socket.socket, str],
    failures: list[tuple[str, int]],
) -> socket.socket | None:
    for key, _events in selector.select(seconds):
        candidate = next(s for s in pending if s is key.fileobj)
        error = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        selector.unregister(candidate)
        name = pending.pop(candidate)
        if error == 0:
            return candidate
        candidate.close()
        failures.append((name, error))
    return None


def _describe(failures: list[tuple[str, int]]) -> list[str]:
    return [f"{name}: {error_name(number)}" for name, number in failures]


def error_name(number: int) -> str:
    """What the system says of one of its numbers; Winsock's, from 10000, stand in Windows' own table."""
    if number >= 10_000 and hasattr(ctypes, "FormatError"):
        return str(ctypes.FormatError(number))
    return os.strerror(number)


def allow_open_files(count: int) -> None:
    """Have the system let this process open so many files and connections at a time, as far as it may: macOS' limit is 256."""
    try:
        resource: Any = importlib.import_module("resource")
    except ImportError:
        return  # Windows has no such limit
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        new = count if hard == resource.RLIM_INFINITY else min(count, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (new, hard))


def _connect_error(failures: list[tuple[str, int]]) -> OSError:
    if not failures:
        return OSError(errno.EADDRNOTAVAIL, _("the name has no address"))
    # A refused connection says more than a missing route.
    numbers = [number for _name, number in failures]
    refused = next((n for n in numbers if n in (errno.ECONNREFUSED, 10061)), numbers[-1])
    return OSError(refused, "; ".join(_describe(failures)))


def start_tls(
    tcp_socket: socket.socket,
    context: ssl.SSLContext,
    host: str,
    timeout: float,
    cancelled: threading.Event,
) -> ssl.SSLSocket:
    """Negotiate TLS on a connected socket.

    Raises:
        OSError, ValueError: it failed.
        CancelledError: *cancelled* was set.
    """
    tcp_socket.getpeername()  # raises after a reset, where wrap_socket() would return a socket without TLS
    if type(context) is ssl.SSLContext:
        tls_socket = _handshake(tcp_socket, context, host, timeout, cancelled)
    else:  # with the operating system's verifier (truststore) the handshake cannot be interrupted
        tcp_socket.settimeout(timeout)
        tls_socket = run_abandonable(
            lambda: context.wrap_socket(tcp_socket, server_hostname=host),
            timeout,
            cancelled,
            discard=lambda late: late.close(),
        )
    if tls_socket.version() is None:
        tls_socket.close()
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    return tls_socket


def _handshake(
    tcp_socket: socket.socket,
    context: ssl.SSLContext,
    host: str,
    timeout: float,
    cancelled: threading.Event,
) -> ssl.SSLSocket:
    """Do the handshake in this thread, non-blocking, so that it can be cancelled."""
    deadline = time.monotonic() + timeout
    tls_socket = context.wrap_socket(
        tcp_socket, server_hostname=host, do_handshake_on_connect=False
    )
    try:
        tls_socket.setblocking(False)
        while True:
            try:
                tls_socket.do_handshake()
                return tls_socket
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
                write = isinstance(error, ssl.SSLWantWriteError)
            while not wait_ready(tls_socket, min(POLL, deadline - time.monotonic()), write=write):
                if cancelled.is_set():
                    raise CancelledError
                if time.monotonic() >= deadline:
                    raise TimeoutError
    except BaseException:
        tls_socket.close()
        raise


def certificate_issuer(connection: ssl.SSLSocket) -> str:
    """The organisation, else the common name, that issued the server's certificate; empty if unknown."""
    certificate: dict[str, Any] = connection.getpeercert() or {}
    parts = dict(pair for group in certificate.get("issuer", ()) for pair in group)
    return str(parts.get("organizationName") or parts.get("commonName") or "")

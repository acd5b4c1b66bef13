"""Reaching a server: its addresses tried side by side (RFC 8305), and TLS that believes whom the system believes."""

import errno
import os
import select
import selectors
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from msoauth.texts import _

# For one or two sockets that wait once: epoll and kqueue would be opened and closed each time.
Selector: type[selectors.BaseSelector] = getattr(
    selectors, "PollSelector", selectors.DefaultSelector
)

Address = tuple[socket.AddressFamily, tuple[Any, ...]]
Made = TypeVar("Made")

POLL = 0.2  # seconds after which a wait looks whether it was cancelled
_HEAD_START = 0.25  # seconds that an address gets before the next one is tried too
_UNDER_WAY = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY, 10035}  # 10035: Windows


def by_select(descriptor: int, seconds: float, *, write: bool) -> bool:
    """As :func:`ready`, on every system; elsewhere than on Windows it knows small numbers only."""
    wanted = [descriptor]
    # Windows tells a connection that failed among the third.
    return any(select.select([] if write else wanted, wanted if write else [], wanted, seconds))


if sys.platform == "win32":
    _ready = by_select
else:

    def _ready(descriptor: int, seconds: float, *, write: bool) -> bool:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLOUT if write else select.POLLIN)
        return bool(waiting.poll(seconds * 1000))


def ready(connection: socket.socket, seconds: float, *, write: bool = False) -> bool:
    """Whether something can be read (or written) within some time, or the connection has ended.

    Raises:
        OSError: the connection is closed.
    """
    descriptor = connection.fileno()
    if descriptor < 0:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return _ready(descriptor, max(0.0, seconds), write=write)


class CancelledError(Exception):
    """Somebody asked to stop."""


def beside(
    action: Callable[[], Made],
    timeout: float,
    cancelled: threading.Event,
    unwanted: Callable[[Made], None] = lambda _made: None,
) -> Made:
    """What *action* returns; it is left alone when it takes too long or nobody wants it any more.

    For what cannot be interrupted: looking up a name, a TLS handshake.

    Args:
        unwanted: Gets what is made after all when nobody waits for it any more.

    Raises:
        TimeoutError: it took longer than *timeout* seconds.
        CancelledError: *cancelled* was set.
    """
    future: Future[Made] = Future()

    def act() -> None:
        try:
            made = action()
        except BaseException as problem:  # noqa: BLE001 - raised again below, where it belongs
            if future.set_running_or_notify_cancel():
                future.set_exception(problem)
        else:
            if future.set_running_or_notify_cancel():
                future.set_result(made)
            else:
                unwanted(made)

    threading.Thread(target=act, daemon=True, name="dial").start()
    deadline = time.monotonic() + timeout
    while True:
        left = deadline - time.monotonic()
        done = wait([future], max(0.0, min(POLL, left))).done
        if not done and (left <= 0 or cancelled.is_set()) and future.cancel():
            raise CancelledError if cancelled.is_set() else TimeoutError
        if done:
            return future.result()


_KEPT_SECONDS = 30.0  # a name is looked up again after so long
_known: dict[tuple[str, int], tuple[float, list[Address]]] = {}


def addresses(host: str, port: int, timeout: float, cancelled: threading.Event) -> list[Address]:
    """The addresses of *host*; asked once in half a minute, however many connections are made.

    Raises:
        OSError, ValueError: the name does not resolve, or is no name.
        TimeoutError: it did not resolve in time.
        CancelledError: *cancelled* was set.
    """
    known = _known.get((host, port))
    if known is not None and time.monotonic() - known[0] < _KEPT_SECONDS:
        return known[1]
    found = beside(lambda: resolve(host, port), timeout, cancelled)
    if len(_known) > 200:
        _known.clear()
    _known[host, port] = (time.monotonic(), found)
    return found


def resolve(host: str, port: int) -> list[Address]:
    """The addresses of *host*, IPv6 and IPv4 in turn.

    Raises:
        OSError, ValueError: the name does not resolve, or is no name.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    six: list[Address] = [(f, a) for f, _k, _p, _c, a in found if f == socket.AF_INET6]
    four: list[Address] = [(f, a) for f, _k, _p, _c, a in found if f == socket.AF_INET]
    mixed = [address for both in zip(six, four, strict=False) for address in both]
    return mixed + six[len(four) :] + four[len(six) :]


def first_to_answer(
    addresses: list[Address], timeout: float, cancelled: threading.Event
) -> socket.socket:
    """The first connection to come about; each address gets a head start over the next.

    Raises:
        OSError: none came about; the text names every address and what became of it.
        TimeoutError: none answered in time.
        CancelledError: *cancelled* was set.
    """
    left = list(addresses)
    deadline = time.monotonic() + timeout
    failures: list[tuple[str, int]] = []
    pending: dict[socket.socket, str] = {}
    with Selector() as selector:
        try:
            while left or pending:
                next_at = deadline
                if left:
                    _begin(left.pop(0), pending, failures, selector)
                    next_at = min(deadline, time.monotonic() + _HEAD_START) if left else deadline
                failed_before = len(failures)
                while pending and len(failures) == failed_before:
                    if cancelled.is_set():
                        raise CancelledError
                    # A last look when the time is over: this thread may have had no processor before.
                    patience = max(0.0, min(POLL, next_at - time.monotonic()))
                    winner = _settled(selector, patience, pending, failures)
                    if winner is not None:
                        return winner
                    if patience == 0:
                        break
                if time.monotonic() >= deadline:
                    raise TimeoutError(
                        "; ".join([*_told(failures), *(f"{name}: no answer" for name in pending.values())])
                    )  # fmt: skip
            raise _failure(failures)
        finally:
            for candidate in pending:
                candidate.close()


def _begin(
    address: Address,
    pending: dict[socket.socket, str],
    failures: list[tuple[str, int]],
    selector: selectors.BaseSelector,
) -> None:
    family, where = address
    try:
        candidate = socket.socket(family, socket.SOCK_STREAM)
    except OSError as problem:  # this computer does not know the family
        failures.append((str(where[0]), problem.errno or errno.EAFNOSUPPORT))
        return
    candidate.setblocking(False)
    # No route (IPv6 on a network without) is told here, and here only.
    told = candidate.connect_ex(where)
    if told not in _UNDER_WAY:
        candidate.close()
        failures.append((str(where[0]), told))
        return
    selector.register(candidate, selectors.EVENT_WRITE)
    pending[candidate] = str(where[0])


def _settled(
    selector: selectors.BaseSelector,
    patience: float,
    pending: dict[socket.socket, str],
    failures: list[tuple[str, int]],
) -> socket.socket | None:
    for key, _events in selector.select(patience):
        candidate = next(s for s in pending if s is key.fileobj)
        error = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        selector.unregister(candidate)
        name = pending.pop(candidate)
        if error == 0:
            return candidate
        candidate.close()
        failures.append((name, error))
    return None


def _told(failures: list[tuple[str, int]]) -> list[str]:
    return [f"{name}: {os.strerror(number)}" for name, number in failures]


def _failure(failures: list[tuple[str, int]]) -> OSError:
    if not failures:
        return OSError(errno.EADDRNOTAVAIL, _("the name has no address"))
    # A refusal says more than a route that is missing.
    numbers = [number for _name, number in failures]
    refused = next((n for n in numbers if n in (errno.ECONNREFUSED, 10061)), numbers[-1])
    return OSError(refused, "; ".join(_told(failures)))


def encrypt(
    plain: socket.socket,
    context: ssl.SSLContext,
    host: str,
    timeout: float,
    cancelled: threading.Event,
) -> ssl.SSLSocket:
    """TLS over a connection.

    Raises:
        OSError, ValueError: it failed.
        CancelledError: *cancelled* was set.
    """
    plain.getpeername()  # of a connection that was reset, wrap_socket() would make one without TLS
    if type(context) is ssl.SSLContext:
        return _shake_hands(plain, context, host, timeout, cancelled)
    # Where the operating system verifies, the handshake cannot be interrupted.
    plain.settimeout(timeout)
    return beside(
        lambda: _wrapped(plain, context, host),
        timeout,
        cancelled,
        unwanted=lambda late: late.close(),
    )


def _wrapped(plain: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    secured = context.wrap_socket(plain, server_hostname=host)
    try:
        if secured.version() is None:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    except BaseException:
        secured.close()
        raise
    return secured


def _shake_hands(
    plain: socket.socket,
    context: ssl.SSLContext,
    host: str,
    timeout: float,
    cancelled: threading.Event,
) -> ssl.SSLSocket:
    """A handshake in this thread, a step whenever the other side has answered."""
    deadline = time.monotonic() + timeout
    secured = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
    try:
        secured.setblocking(False)
        while True:
            write = False
            try:
                secured.do_handshake()
                break
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLWantWriteError:
                write = True
            while not ready(secured, min(POLL, deadline - time.monotonic()), write=write):
                if cancelled.is_set():
                    raise CancelledError
                if time.monotonic() >= deadline:
                    raise TimeoutError
        if secured.version() is None:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    except BaseException:
        secured.close()
        raise
    return secured


def issuer(connection: ssl.SSLSocket) -> str:
    """Who issued the server's certificate, or an empty text."""
    certificate: dict[str, Any] = connection.getpeercert() or {}
    parts = dict(pair for group in certificate.get("issuer", ()) for pair in group)
    return str(parts.get("organizationName") or parts.get("commonName") or "")

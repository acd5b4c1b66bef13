"""A line with a round-trip time: a relay of TCP connections that hands every byte over later, in order."""

import contextlib
import heapq
import itertools
import multiprocessing
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection


class _Side:
    """One direction of a connection: what is to be written, and whether there will be more."""

    def __init__(self, into: socket.socket) -> None:
        self.into = into
        self.waiting = bytearray()
        self.over = False


def _serve(target: int, one_way: float, told: Connection) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    told.send(listener.getsockname()[1])
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    due: list[tuple[float, int, _Side, bytes]] = []
    numbers = itertools.count()

    def write(side: _Side) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            while side.waiting:
                del side.waiting[: side.into.send(side.waiting)]
        if side.over and not side.waiting:
            with contextlib.suppress(OSError):
                side.into.shutdown(socket.SHUT_WR)

    while True:
        wait = None
        while due:
            wait = due[0][0] - time.monotonic()
            if wait > 0:
                break
            _when, _number, side, data = heapq.heappop(due)
            side.over = side.over or not data
            side.waiting += data
            write(side)
            wait = None
        if any(key.data and key.data.waiting for key in selector.get_map().values()):
            wait = min(wait or 0.001, 0.001)  # a full buffer: look again soon
            for key in list(selector.get_map().values()):
                if key.data and key.data.waiting:
                    write(key.data)
        for key, _events in selector.select(wait):
            if key.fileobj is listener:
                client, _address = listener.accept()
                server = socket.create_connection(("127.0.0.1", target))
                for end, other in ((client, server), (server, client)):
                    end.setblocking(False)
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    selector.register(end, selectors.EVENT_READ, _Side(other))
                continue
            assert isinstance(key.fileobj, socket.socket)
            try:
                data = key.fileobj.recv(1 << 18)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            heapq.heappush(due, (time.monotonic() + one_way, next(numbers), key.data, data))
            if not data:
                selector.unregister(key.fileobj)


@contextmanager
def relay(target: int, round_trip: float) -> Iterator[int]:
    """A port of this computer that leads to its port *target*, *round_trip* seconds away."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(target, round_trip / 2, there), daemon=True)
    process.start()
    try:
        yield int(here.recv())
    finally:
        process.terminate()
        process.join()

"""Ports for programs that must be told one: kept, so that the system gives them to nobody else meanwhile."""

import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def kept_port() -> Iterator[int]:
    """A port of 127.0.0.1 at which connections are refused, until a server of the test's own listens there.

    A port that was only looked up and let go goes to whoever asks for one next: of the many servers that tests
    beside this one start, one had it at times before the program that was told it. This one stays bound without
    listening; who binds it by number with SO_REUSEADDR, as servers on POSIX do, can listen beside.
    """
    with socket.socket() as kept:
        if os.name == "posix":
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        port = int(kept.getsockname()[1])
        if os.name != "posix":  # Windows lets nobody in beside
            kept.close()
        yield port


def unasked_port() -> int:
    """A port for a program that must have it alone: free, and of those that the system gives to nobody unasked."""
    while True:
        port = random.SystemRandom().randrange(20_000, 30_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port

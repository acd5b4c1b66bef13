"""TCP ports for programs that cannot take port 0, without another program getting them first."""

import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections until the test starts a server on it.

    A free port that is released before the server starts may go to another test's server meanwhile. This one stays
    bound without listening: a server that binds it with SO_REUSEADDR, as usual on POSIX, can listen on it all the same.
    """
    with socket.socket() as kept:
        if os.name == "posix":
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        port = int(kept.getsockname()[1])
        if os.name != "posix":  # on Windows nobody else could bind it
            kept.close()
        yield port


def exclusive_port() -> int:
    """A free port for a program that binds it without SO_REUSEADDR; port 0 never gives one of this range."""
    while True:
        port = random.SystemRandom().randrange(20_000, 30_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port

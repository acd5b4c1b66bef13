"""Taking a port so that no other program gets what is sent to it."""

import socket


def take_alone(listener: socket.socket) -> None:
    """Prepare a socket to listen on a port of its own; call it before ``bind``.

    On Windows ``SO_REUSEADDR`` would let two programs share a port, and ``SO_EXCLUSIVEADDRUSE`` prevents it. Elsewhere
    ``SO_REUSEADDR`` only skips the minutes for which a port stays in TIME_WAIT after its last connection.
    """
    exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
    listener.setsockopt(
        socket.SOL_SOCKET, socket.SO_REUSEADDR if exclusive is None else exclusive, 1
    )

"""Read what a client sends: lines, counted bytes and dot-stuffed mails, each within a limit."""

import asyncio
import re
from collections.abc import Callable

from msoauth.practice.exchange.connection import Connection, IdleError, LineTooLongError

BARE_LF = re.compile(rb"(?<!\r)\n")  # a line end that a stored mail does not have


async def readline(connection: Connection, limit: int, seconds: float) -> bytes:
    """The next line without its end; sends buffered answers before it waits.

    Args:
        limit: Longest line in bytes.
        seconds: How long the whole line may take.

    Raises:
        LineTooLongError: the line exceeds *limit*; the connection cannot be used any more.
        IdleError: the line was not complete after *seconds*.
        ConnectionClosedError: the peer is gone.
    """
    end = connection.received.find(b"\n")
    if end < 0:
        try:
            async with asyncio.timeout(seconds):
                while end < 0:
                    searched = len(connection.received)
                    if searched > limit:
                        raise LineTooLongError
                    await connection.more()
                    end = connection.received.find(b"\n", searched)
        except TimeoutError:
            raise IdleError from None
    if end > limit:
        raise LineTooLongError
    line = bytes(connection.received[:end])
    del connection.received[: end + 1]
    connection.answered = False
    return line.removesuffix(b"\r")


async def read_exactly(connection: Connection, count: int, seconds: float) -> bytes:
    """The next *count* bytes; *seconds* is how long the peer may be silent between two pieces."""
    await connection.flush()
    parts = bytearray()
    while len(parts) < count:
        if not connection.received:
            await _wait_for_more(connection, seconds)
        take = min(count - len(parts), len(connection.received))
        parts += connection.received[:take]
        del connection.received[:take]
    connection.answered = False
    return bytes(parts)


async def skip(connection: Connection, count: int, seconds: float) -> None:
    """Read and forget *count* bytes."""
    await connection.flush()
    while count:
        if not connection.received:
            await _wait_for_more(connection, seconds)
        take = min(count, len(connection.received))
        del connection.received[:take]
        count -= take
    connection.answered = False


async def read_dotted(
    connection: Connection,
    limit: int,
    seconds: float,
    reserve: Callable[[int], bool] = lambda _size: True,
) -> bytes | None:
    """The lines up to a line with a single dot, dot-stuffing undone; None when over *limit* bytes.

    *reserve* is called with the number of bytes so far and returns whether they may be kept in memory. Only CRLF ends a
    line here: a bare LF before the dot must not end a mail (SMTP smuggling).
    """
    await connection.flush()
    # The leading CRLF keeps an empty mail and a dot in the first line from being special cases.
    body = bytearray(b"\r\n")
    searched = 0
    too_big = False
    while True:
        body += connection.received
        connection.received.clear()
        end = body.find(b"\r\n.\r\n", max(0, searched - 4))
        if end >= 0:
            break
        if len(body) > limit + 2 or not reserve(len(body)):
            too_big = True
            del body[:-4]
            reserve(0)
        searched = len(body)
        await _wait_for_more(connection, seconds)
    connection.received += body[end + 5 :]
    connection.answered = False
    if too_big or end > limit:
        return None
    return bytes(body[: end + 2]).replace(b"\r\n.", b"\r\n")[2:]


async def _wait_for_more(connection: Connection, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await connection.more()
    except TimeoutError:
        raise IdleError from None

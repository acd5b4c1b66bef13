"""What a client says, cut as the mail protocols cut it: lines, counted bytes, dot-stuffed mails; all bounded."""

import asyncio
from collections.abc import Callable

from msoauth.practice.exchange.wire import IdleError, LineTooLongError, Wire


async def readline(wire: Wire, limit: int, seconds: float) -> bytes:
    """The next line without its end; answers that wait are sent before waiting for it.

    Args:
        limit: Bytes that the line may have.
        seconds: How long the whole line may take.

    Raises:
        LineTooLongError: *limit* was passed; the connection cannot be used any more.
        IdleError: *seconds* passed.
        WireClosedError: the peer is gone.
    """
    end = wire.received.find(b"\n")
    if end < 0:
        try:
            async with asyncio.timeout(seconds):
                while end < 0:
                    searched = len(wire.received)
                    if searched > limit:
                        raise LineTooLongError
                    await wire.more()
                    end = wire.received.find(b"\n", searched)
        except TimeoutError:
            raise IdleError from None
    if end > limit:
        raise LineTooLongError
    line = bytes(wire.received[:end])
    del wire.received[: end + 1]
    wire.answered = False
    return line.removesuffix(b"\r")


async def read_exactly(wire: Wire, count: int, seconds: float) -> bytes:
    """The next *count* bytes; *seconds* is how long the peer may be silent between two pieces."""
    await wire.flush()
    parts = bytearray()
    while len(parts) < count:
        if not wire.received:
            await _patiently(wire, seconds)
        take = min(count - len(parts), len(wire.received))
        parts += wire.received[:take]
        del wire.received[:take]
    wire.answered = False
    return bytes(parts)


async def skip(wire: Wire, count: int, seconds: float) -> None:
    """Read and forget *count* bytes."""
    await wire.flush()
    while count:
        if not wire.received:
            await _patiently(wire, seconds)
        take = min(count, len(wire.received))
        del wire.received[:take]
        count -= take
    wire.answered = False


async def read_dotted(
    wire: Wire, limit: int, seconds: float, holds: Callable[[int], bool] = lambda _size: True
) -> bytes | None:
    """The lines up to a line with a single dot, dot-stuffing undone; None when over *limit* bytes.

    *holds* is told how much is kept by now, and says whether that may be. Only CRLF ends a line here: a bare LF before the dot must not end a mail (SMTP smuggling).
    """
    await wire.flush()
    body = bytearray(b"\r\n")  # so that an empty mail and a dot in the first line need no case
    known = 0
    too_big = False
    while True:
        body += wire.received
        wire.received.clear()
        end = body.find(b"\r\n.\r\n", max(0, known - 4))
        if end >= 0:
            break
        if len(body) > limit + 2 or not holds(len(body)):
            too_big = True
            del body[:-4]
            holds(0)
        known = len(body)
        await _patiently(wire, seconds)
    wire.received += body[end + 5 :]
    wire.answered = False
    if too_big or end > limit:
        return None
    return bytes(body[: end + 2]).replace(b"\r\n.", b"\r\n")[2:]


async def _patiently(wire: Wire, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await wire.more()
    except TimeoutError:
        raise IdleError from None

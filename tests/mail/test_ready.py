"""Waiting for a connection: both ways that the systems have say the same."""

import contextlib
import selectors
import socket
from collections.abc import Callable, Iterator

import pytest

from msoauth.mail import sockets

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=[sockets.Selector, selectors.SelectSelector], ids=["poll", "select"])
def ready(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """Waiting, as this system does it and as Windows does."""
    monkeypatch.setattr(sockets, "Selector", request.param)
    return sockets.wait_ready


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)
        yield one, other


def test_what_came_is_told_and_silence_is_too(pair: Pair, ready: Callable[..., bool]) -> None:
    one, other = pair
    assert not ready(one, 0.0)
    other.send(b"x")
    assert ready(one, 20.0)


def test_an_end_wakes_who_waits(pair: Pair, ready: Callable[..., bool]) -> None:
    one, other = pair
    other.close()
    assert ready(one, 20.0)
    assert one.recv(1) == b""


def test_room_to_write_is_told_and_its_lack_too(pair: Pair, ready: Callable[..., bool]) -> None:
    one, _other = pair
    assert ready(one, 20.0, write=True)
    with contextlib.suppress(BlockingIOError):
        while True:
            one.send(b"x" * 65536)
    assert not ready(one, 0.0, write=True)


def test_a_connection_that_was_closed_is_an_error_of_the_system(pair: Pair) -> None:
    pair[0].close()
    with pytest.raises(OSError, match="descriptor"):
        sockets.wait_ready(pair[0], 1.0)


def test_a_time_that_has_passed_is_no_wait_for_ever(pair: Pair) -> None:
    assert not sockets.wait_ready(pair[0], -1.0)

"""One Dovecot for all tests of a worker, with a new user for each test."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.leaks import long_lived
from tests.mail.dovecot import Dovecot, Server, running_dovecot


@pytest.fixture(scope="session")
def _server() -> Iterator[Server]:
    with long_lived(running_dovecot()) as server:
        yield server


@pytest.fixture
def dovecot(_server: Server) -> Dovecot:
    """A fresh user's mailbox."""
    view = Dovecot(_server, f"anna-{uuid4().hex[:8]}@contoso.example")
    view.deliver()
    return view

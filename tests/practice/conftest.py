"""A running practice tenant for the tests of its pages."""

from collections.abc import Iterator

import pytest

from msoauth.practice import PracticeTenant
from tests.practice.browser import Browser, Place, let_users_consent
from tests.practice.office import Office, running_office


@pytest.fixture
def place() -> Iterator[Place]:
    """Two tenants whose users consent for themselves; what a new tenant's policy forbids them, test_consent.py tells."""
    with PracticeTenant(firms=2) as tenant:
        let_users_consent(tenant)
        yield Place(tenant)


@pytest.fixture
def browser(place: Place) -> Browser:
    return place.browser()


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    with running_office() as running:
        yield running

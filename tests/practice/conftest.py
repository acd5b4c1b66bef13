"""A running practice tenant for the tests of its pages."""

from collections.abc import Iterator

import pytest

from msoauth.practice import PracticeTenant
from tests.practice.browser import Browser, Place


@pytest.fixture
def place() -> Iterator[Place]:
    with PracticeTenant(firms=2) as tenant:
        yield Place(tenant)


@pytest.fixture
def browser(place: Place) -> Browser:
    return place.browser()

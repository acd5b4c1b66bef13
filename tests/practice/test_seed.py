"""What a practice tenant starts with."""

import re

from msoauth.practice.seed import secret_value


def test_a_client_secret_has_the_length_and_the_mark_of_the_portals() -> None:
    assert re.fullmatch(r"[\w.~-]{3}8Q~[\w.~-]{34}", secret_value(), re.ASCII)

"""The mail of the practice tenant: of the last days whatever day it is, so that no mailbox looks abandoned."""

import email
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from msoauth.practice import corpus


def dates(count: int) -> list[datetime]:
    headers = (email.message_from_bytes(raw)["Date"] for raw in corpus.typical(count))
    return [parsedate_to_datetime(header) for header in headers if header]


@pytest.mark.parametrize("count", [12, 40])
def test_the_newest_mail_came_lately_and_none_will_come_tomorrow(count: int) -> None:
    now, found = datetime.now(UTC), dates(count)
    assert now - timedelta(days=3) < max(found) < now
    assert len(found) == count - 1  # one has no date, as real mail has at times

"""No token that was reported as stored is lost, however many processes are killed at whatever moment."""

from pathlib import Path

import pytest

from tests.identity.storm import storm


@pytest.mark.parametrize(
    ("processes", "refreshes", "accounts"),
    [
        (4, 15, 3),
        pytest.param(20, 200, 10, marks=[pytest.mark.release, pytest.mark.timeout(3600)]),
    ],
)
def test_a_storm_of_renewals_with_half_the_processes_killed_loses_nothing(
    tmp_path: Path, processes: int, refreshes: int, accounts: int
) -> None:
    outcome = storm(tmp_path, processes=processes, refreshes=refreshes, accounts=accounts)
    assert outcome.failures == []
    assert outcome.killed == processes // 2
    assert outcome.integrity == "ok"
    assert outcome.renewed == set(outcome.stored)
    for address, number in outcome.reported.items():
        assert outcome.stored[address] >= number, address

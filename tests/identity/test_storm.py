"""No token that was reported as stored is lost, however many processes are killed at whatever moment."""

from pathlib import Path

from tests.identity.storm import storm


def test_a_storm_of_renewals_with_half_the_processes_killed_loses_nothing(tmp_path: Path) -> None:
    outcome = storm(tmp_path, processes=4, refreshes=15, accounts=3)
    assert outcome.failures == []
    assert outcome.killed == 2
    assert outcome.integrity == "ok"
    assert outcome.renewed == set(outcome.stored)
    for address, number in outcome.reported.items():
        assert outcome.stored[address] >= number, address

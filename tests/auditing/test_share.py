"""One audit shared by several computers through PostgreSQL: nobody twice, and a dead one's accounts go to the others."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from msoauth.auditing import Audit
from msoauth.enrol import enrol
from msoauth.errors import AuthError, InputError, StoreError
from msoauth.identity import probes
from msoauth.model import Signal
from msoauth.practice import PracticeTenant
from msoauth.store import Workspace
from tests.postgres import PASSWORD, Server

pytestmark = [pytest.mark.real("postgresql"), pytest.mark.xdist_group("postgresql")]

# What `msoauth audit --share --json` does, with a lease short enough for a test.
_SCRIPT = """
import json, sys
from msoauth.store import Workspace
from msoauth.auditing import Audit
with Workspace.open(sys.argv[1]) as workspace:
    for looked in Audit(workspace, workers=2, share=True, lease=2.0):
        print(json.dumps(looked.account.address if looked.account else ""), flush=True)
"""


@pytest.fixture
def place(server: Server) -> str:
    return server.new_database()


@pytest.fixture
def workspace(place: str) -> Iterator[Workspace]:
    with PracticeTenant(accounts=20, latency=0.02) as tenant, Workspace.open(place) as opened:
        for _address in enrol(opened, tenant.endpoints_file):
            pass
        yield opened


def start(place: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, place],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "killed_after", [2, *(pytest.param(n, marks=pytest.mark.release) for n in (1, 3, 4, 5, 6) * 4)]
)
def test_three_processes_and_one_of_them_killed(
    workspace: Workspace, place: str, killed_after: int
) -> None:
    victim, *others = [start(place) for _ in range(3)]
    assert victim.stdout is not None
    told: list[str] = []
    for line in victim.stdout:
        told.append(json.loads(line))
        if len([t for t in told if t]) == killed_after:
            break
    victim.kill()
    told += [json.loads(line) for line in victim.stdout if line.endswith("\n")]
    for other in others:
        out, err = other.communicate(timeout=90)
        assert other.returncode == 0, err
        told += [json.loads(line) for line in out.splitlines()]
    victim.communicate()
    addresses = [account.address for account in workspace.accounts.list()]
    [run] = workspace.audits.finished(5)
    assert run.summary["accounts"] == len(addresses)
    counts = Counter(told)
    counts.pop("", None)
    assert set(counts.values()) == {1}
    # What the victim had stored and not yet said is missing from what was told, and in the journal all the same.
    assert set(counts) <= set(addresses)
    assert len(addresses) - len(counts) <= 2
    journal = [f for f in workspace.journal.findings(run=run.run) if f.check == "sign-in.token"]
    assert Counter(f.account for f in journal) == Counter(addresses)
    firm = [f.check for f in workspace.journal.findings(run=run.run) if not f.account]
    assert Counter(firm)["registration.secret"] == 1


def test_who_joins_says_so_and_counts_what_the_others_did(workspace: Workspace, place: str) -> None:
    first = Audit(workspace, workers=1, share=True, lease=1.0)
    running = iter(first)
    next(looked for looked in running if looked.account)
    command = [sys.executable, "-m", "msoauth", "--workspace", place, "audit", "--share", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as joined:
        assert joined.stdout is not None
        assert joined.stderr is not None
        told = joined.stdout.readline()  # it has begun; only now the first one goes on
        list(running)
        # Not by communicate(): that would miss what readline() has taken from the pipe beside its line.
        out, err = joined.stdout.read(), joined.stderr.read()
    assert joined.returncode == 0, err
    assert "Taking part in the audit that is under way" in err
    assert "broken off" not in err
    assert {json.loads(line)["account"] for line in (told + out).splitlines()} - {""}
    assert first.progress.done == len(workspace.accounts.list())


def test_a_shared_audit_asks_again_about_a_firm_that_failed_only_for_now(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    real = probes.discover

    def busy_once(*given: Any) -> str:
        asked.append(given)
        if len(asked) == 1:
            raise AuthError("busy (HTTP 503)", cause="service-unavailable", retriable=True)
        return real(*given)

    monkeypatch.setattr("msoauth.auditing.queue.FIRST_PAUSE", 0.01)
    monkeypatch.setattr(probes, "discover", busy_once)
    running = Audit(workspace, workers=2, share=True)
    assert {looked.signal for looked in running if looked.account} == {Signal.PASSED}
    assert len(asked) == 2


def test_who_wants_an_audit_alone_does_not_join_and_is_not_joined(
    workspace: Workspace, place: str
) -> None:
    running = iter(Audit(workspace, workers=1, share=True))
    next(running)
    with Workspace.open(place) as other, pytest.raises(InputError, match="Another audit"):
        list(Audit(other))
    running.close()  # type: ignore[attr-defined]
    alone = iter(Audit(workspace, workers=1))
    next(alone)
    with Workspace.open(place) as other, pytest.raises(InputError, match="Another audit"):
        list(Audit(other, share=True))
    alone.close()  # type: ignore[attr-defined]


def test_what_was_claimed_and_not_done_is_given_back(workspace: Workspace) -> None:
    running = Audit(workspace, workers=2, share=True)
    for looked in running:
        if looked.account:
            break
    again = Audit(workspace, workers=8, share=True)
    done = [looked for looked in again if looked.account]
    assert again.resumed
    assert again.skipped + len(done) == len(workspace.accounts.list())


def test_a_database_that_goes_away_in_mid_run_is_one_sentence_and_the_run_goes_on(
    workspace: Workspace, server: Server, place: str
) -> None:
    running = iter(Audit(workspace, workers=2))
    for _looked in range(3):
        next(running)
    server.disconnect_all(place)
    with pytest.raises(StoreError, match="does not answer") as gone:
        list(running)
    assert PASSWORD not in str(gone.value)
    assert "\n" not in str(gone.value)
    server.allow_connections(place)
    again = Audit(workspace, workers=4)
    rest = [looked for looked in again if looked.account]
    assert again.resumed
    assert again.skipped + len(rest) == len(workspace.accounts.list())

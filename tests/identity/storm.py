"""Many processes renew tokens on one workspace, and half of them are killed at random moments.

The tests run a small storm; the whole one: ``python -m tests.identity.storm --processes 20 --refreshes 200``.
"""

import argparse
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import msoauth
from msoauth.identity import access_tokens
from msoauth.identity.client import scopes_for, token_cache_from_grant
from msoauth.model import Account
from msoauth.store import Workspace
from tests.identity.authority import SECRET, Authority, running

PASSPHRASE = "a passphrase for tests"

# Renews random accounts; a line goes out when a token was reported as stored.
_WORKER = """
import random, sys
sys.path.insert(0, sys.argv[1])
from msoauth.identity import access_tokens
from msoauth.store import Workspace
with Workspace.open(sys.argv[2], passphrase=sys.argv[3]) as workspace:
    accounts = workspace.accounts.list()
    print("ready", flush=True)
    for _turn in range(int(sys.argv[4])):
        account = random.choice(accounts)
        token = access_tokens.access_token(workspace, account, force=True)
        print(account.address, token.value, flush=True)
"""


@dataclass
class Outcome:
    """What a storm left behind.

    Attributes:
        reported: By address, the number of the newest token that somebody said was stored.
        stored: By address, the number of the token that is there.
        renewed: Addresses whose tokens can be renewed without a new sign-in.
        killed: Processes that were killed before their end.
        failures: What processes that nobody killed complained of.
        integrity: What SQLite says of its file.
    """

    reported: dict[str, int] = field(default_factory=dict)
    stored: dict[str, int] = field(default_factory=dict)
    renewed: set[str] = field(default_factory=set)
    killed: int = 0
    lines: int = 0
    failures: list[str] = field(default_factory=list)
    integrity: str = ""


def storm(folder: Path, *, processes: int, refreshes: int, accounts: int) -> Outcome:
    """Let it rage, and look at what is left."""
    outcome = Outcome()
    with running(folder) as authority:
        with Workspace.open(folder / "workspace", passphrase=PASSPHRASE) as workspace:
            _sign_everybody_in(workspace, authority, accounts)
        workers = [_Worker(folder, refreshes, doomed=n % 2 == 0) for n in range(processes)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            outcome.killed += worker.killed
            outcome.lines += len(worker.said)
            if not worker.killed and worker.complaint:
                outcome.failures.append(worker.complaint)
            for address, number in worker.said:
                outcome.reported[address] = max(outcome.reported.get(address, 0), number)
        with Workspace.open(folder / "workspace", passphrase=PASSPHRASE) as workspace:
            for account in workspace.accounts.list():
                outcome.stored[account.address] = _number(
                    access_tokens.access_token(workspace, account).value
                )
                access_tokens.access_token(workspace, account, force=True)
                if _number(authority.asked[-1]["refresh_token"]) == outcome.stored[account.address]:
                    outcome.renewed.add(account.address)
        with sqlite3.connect(folder / "workspace" / "msoauth.db") as connection:
            outcome.integrity = str(connection.execute("PRAGMA integrity_check").fetchone()[0])
        connection.close()
    return outcome


def _sign_everybody_in(workspace: Workspace, authority: Authority, accounts: int) -> None:
    firm = authority.firm()
    workspace.firms.add(firm, SECRET)
    for number in range(accounts):
        address = f"user{number:03}@contoso.example"
        account = Account(address, firm.name)
        workspace.accounts.add(account)
        authority.user = address
        granted = authority.grant({"scope": " ".join(scopes_for(account, firm.cloud))}).body
        assert isinstance(granted, dict)
        claims = {"preferred_username": address, "oid": address, "tid": firm.tenant, "sub": address}
        cache = token_cache_from_grant(firm, {**granted, "id_token_claims": claims})
        workspace.tokens.save(address, cache, signed_in_as=address)


def _number(token: str) -> int:
    return int(token.rpartition("-")[2])


class _Worker(threading.Thread):
    """A process, what it said, and its end."""

    def __init__(self, folder: Path, refreshes: int, *, doomed: bool) -> None:
        super().__init__()
        self.said: list[tuple[str, int]] = []
        self.killed = False
        self.complaint = ""
        self._last_line = random.randrange(refreshes) if doomed else refreshes + 1
        # Who is to be killed has no end of its own, which might come before his killer gets a processor.
        turns = sys.maxsize if doomed else refreshes
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _WORKER,
                str(Path(msoauth.__file__).parents[1]),
                str(folder / "workspace"),
                PASSPHRASE,
                str(turns),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self) -> None:
        with self._process as process:
            assert process.stdout is not None
            assert process.stderr is not None
            for line in process.stdout:
                if line.startswith("ready"):
                    continue
                if line.endswith("\n"):
                    address, token = line.split()
                    self.said.append((address, _number(token)))
                if len(self.said) > self._last_line and not self.killed:
                    threading.Event().wait(
                        random.random() * 0.05
                    )  # somewhere within the next renewal
                    self.killed = process.poll() is None
                    process.kill()
            self.complaint = process.stderr.read()[-2000:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=20)
    parser.add_argument("--refreshes", type=int, default=200)
    parser.add_argument("--accounts", type=int, default=10)
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcome = storm(Path(folder), **vars(options))
    lost = {a: n for a, n in outcome.reported.items() if outcome.stored[a] < n}
    print(
        f"{outcome.lines} renewals reported as stored, {outcome.killed} processes killed, "
        f"{time.monotonic() - start:.0f} s"
    )
    print(f"tokens lost: {lost or 'none'}")
    print(f"accounts that need a new sign-in: {options.accounts - len(outcome.renewed)}")
    print(f"complaints: {outcome.failures or 'none'}; the file: {outcome.integrity}")
    sys.exit(
        bool(
            lost
            or outcome.failures
            or outcome.integrity != "ok"
            or len(outcome.renewed) < options.accounts
        )
    )


if __name__ == "__main__":
    main()

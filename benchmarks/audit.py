"""What an audit of a thousand and of ten thousand accounts costs, beside the obvious script; and the journal and reports.

The practice tenant runs in a process of its own and lets every answer wait 40 ms. "The rate that the round trips
alone allow" is workers / (round trips of one account x 40 ms). The obvious script renews a token and logs in over
POP3 and SMTP with one curl each, under `xargs -P 64`; it neither stores nor explains anything.
"""

import argparse
import contextlib
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msoauth.auditing import Audit
from msoauth.auditing.status import status
from msoauth.enrol import enrol
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.reports.excel import excel_report
from msoauth.reports.html_report import html_page
from msoauth.store import Workspace

LATENCY = 0.040  # seconds
WORKERS = 64
CHECKS = ("sign-in.present", "sign-in.token", "sign-in.audience", "sign-in.scopes", "sign-in.user",
          "sign-in.age", "pop3.login", "smtp.login", "mail.newest")  # fmt: skip
SCRIPT = """\
token=$(curl -sS --cacert "$CA" -d "client_id=$CLIENT" --data-urlencode "client_secret=$SECRET" \\
  -d grant_type=refresh_token --data-urlencode "refresh_token=$2" \\
  -d "scope=https://outlook.office.com/POP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access" \\
  "$TOKEN_URL" | sed 's/.*"access_token": *"\\([^"]*\\)".*/\\1/')
curl -sS --cacert "$CA" --user "$1:" --oauth2-bearer "$token" --request STAT --head "$POP3" >/dev/null || exit 1
curl -sS --cacert "$CA" --ssl-reqd --user "$1:" --oauth2-bearer "$token" --request NOOP "$SMTP" >/dev/null || exit 1
echo "$1"
"""


@dataclass
class Table:
    """What was measured."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)

    def add(self, case: str, what: str, value: float, unit: str) -> None:
        self.rows.append({"case": case, "what": what, "value": round(value, 3), "unit": unit})
        print(f"  {case:34} {what:46} {value:12,.2f} {unit}", file=sys.stderr)


@contextlib.contextmanager
def practice(accounts: int, folder: Path) -> Iterator[Path]:
    """A practice tenant in a process of its own; its endpoints file."""
    command = [
        sys.executable,
        "-m",
        "msoauth",
        "practice",
        "serve",
        "--json",
        "--accounts",
        str(accounts),
        "--latency",
        str(LATENCY * 1000),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        file = folder / "endpoints.json"
        file.write_text(server.stdout.readline(), encoding="utf-8")
        try:
            yield file
        finally:
            server.terminate()


def child(place: str, workers: int) -> None:
    """An audit in a process of its own; what it cost, as JSON."""
    with Workspace.open(place) as workspace:
        cpu, start = time.process_time(), time.perf_counter()
        seconds, passed, count = [], 0, 0
        for result in Audit(workspace, workers=workers, per_firm=workers, fresh=True):
            if result.account is not None:
                count += 1
                passed += result.signal is Signal.PASSED
                seconds.append(result.seconds)
                if workers == 1 and count == 6:
                    break
        spent = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(
            json.dumps(
                {
                    "accounts": count,
                    "passed": passed,
                    "seconds": spent,
                    "each": min(seconds),
                    "cpu": time.process_time() - cpu,
                    "megabytes": peak / (1 << 20 if sys.platform == "darwin" else 1 << 10),
                }
            )
        )


def audited(place: Path, workers: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", str(place), str(workers)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def audits(table: Table, accounts: int, folder: Path, *, script: bool) -> float:
    """An audit of so many accounts; its rate."""
    case = f"audit of {accounts:,} accounts"
    place = folder / f"workspace-{accounts}"
    with practice(accounts, folder) as endpoints:
        with Workspace.open(place) as workspace:
            many = sum(1 for _address in enrol(workspace, endpoints))
        alone = audited(place, 1)
        trips = int(alone["each"] / LATENCY)
        bound = WORKERS / (trips * LATENCY)
        ours = audited(place, WORKERS)
        rate = ours["accounts"] / ours["seconds"]
        assert ours["passed"] == ours["accounts"] == many
        table.add(case, "round trips of an account", trips, "")
        table.add(case, "rate that they alone allow, 64 workers", bound, "accounts/s")
        table.add(case, "rate", rate, "accounts/s")
        table.add(case, "processor time in the client", ours["cpu"] / many * 1000, "ms/account")
        table.add(case, "memory at its highest", ours["megabytes"], "MB")
        table.ratios[f"{accounts} accounts: rate / rate of the round trips"] = rate / bound
        if script:
            theirs = curl(place, endpoints, folder)
            if theirs is None:
                table.rows.append(
                    {
                        "case": "curl under xargs",
                        "what": "not measured: curl or xargs is missing",
                        "value": None,
                        "unit": "",
                    }
                )
                print("  curl under xargs -P 64: curl or xargs is missing", file=sys.stderr)
            else:
                table.add("curl under xargs -P 64", "rate", theirs, "accounts/s")
                table.ratios["audit / curl under xargs"] = rate / theirs
    return rate


def curl(place: Path, endpoints: Path, folder: Path) -> float | None:
    """The rate of the obvious script on the same accounts; None without curl or xargs."""
    if not shutil.which("curl") or not shutil.which("xargs"):
        return None
    data = json.loads(endpoints.read_text(encoding="utf-8"))
    firm = data["practice"]["firms"][0]
    lines = []
    with Workspace.open(place) as workspace:
        for account in workspace.accounts.list():
            cache = json.loads(workspace.tokens.load(account.address) or "{}")
            token = next(iter(cache["RefreshToken"].values()))["secret"]
            lines.append(f"{account.address} {token}\n")
    script, list_ = folder / "login.sh", folder / "accounts.txt"
    script.write_text(SCRIPT, encoding="utf-8")
    list_.write_text("".join(lines), encoding="utf-8")
    list_.chmod(0o600)
    environment = os.environ | {
        "CA": data["ca_file"],
        "CLIENT": firm["client_id"],
        "SECRET": firm["client_secret"],
        "TOKEN_URL": f"{data['authority']}{firm['tenant_id']}/oauth2/v2.0/token",
        "POP3": f"pop3s://localhost:{data['pop3']['port']}/",
        "SMTP": f"smtp://localhost:{data['smtp']['port']}/",
    }
    start = time.perf_counter()
    with list_.open("rb") as given:
        done = subprocess.run(
            ["xargs", "-P", str(WORKERS), "-L", "1", "sh", str(script)],
            stdin=given,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    spent = time.perf_counter() - start
    assert len(done.stdout.split()) == len(lines), done.stderr[-2000:]
    return len(lines) / spent


def journal(table: Table, findings: int, accounts: int, folder: Path) -> None:
    """The journal: filled as an audit fills it, then asked how everything stands."""
    case = f"journal of {findings:,} findings"
    firms = [
        Firm(f"Firm {n:03}", f"firm{n}.example", "11111111-2222-4333-8444-555555555555")
        for n in range(100)
    ]
    people = [
        Account(f"user{n:05}@firm{n % 100}.example", firms[n % 100].name) for n in range(accounts)
    ]
    runs = max(1, findings // (accounts * len(CHECKS)))
    begun = datetime.now(UTC) - timedelta(days=runs)
    with Workspace.open(folder / "journal", passphrase="of a benchmark") as workspace:
        for firm in firms:
            workspace.firms.add(firm)
        for account in people:
            workspace.accounts.add(account)
            workspace.tokens.save(account.address, "{}", signed_in_as=account.address)
        made = [0] * 16

        def fill(worker: int) -> None:
            for run in range(runs):
                at = begun + timedelta(days=run)
                for account in people[worker::16]:
                    workspace.journal.append(*(_finding(c, account, run, at) for c in CHECKS))
                    made[worker] += len(CHECKS)

        threads = [threading.Thread(target=fill, args=(n,)) for n in range(16)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        table.add(
            case,
            "appending, 16 threads, 9 at a time",
            sum(made) / (time.perf_counter() - start),
            "findings/s",
        )
        month = datetime.now(UTC) - timedelta(days=31)
        questions: dict[str, Callable[[], Any]] = {
            f"status of {accounts:,} accounts": lambda: status(workspace),
            "frame() of one firm's month": lambda: workspace.journal.frame(
                firm=firms[0].name, since=month
            ),
        }
        for name, ask in questions.items():
            times, size = [], 0
            for _round in range(3):
                start = time.perf_counter()
                got = ask()
                times.append(time.perf_counter() - start)
                size = len(got.accounts) if hasattr(got, "accounts") else len(got)
            table.add(case, f"{name} ({size:,} rows)", statistics.median(times), "s")
        stands = status(workspace)
        start = time.perf_counter()
        (folder / "audit.xlsx").write_bytes(excel_report(stands, []))
        table.add(f"report of {accounts:,} accounts", "Excel", time.perf_counter() - start, "s")
        start = time.perf_counter()
        page = html_page(stands, [])
        (folder / "audit.html").write_text(page, encoding="utf-8")
        table.add(f"report of {accounts:,} accounts", "HTML", time.perf_counter() - start, "s")


def _finding(check: str, account: Account, run: int, at: datetime) -> Finding:
    broken = check == "smtp.login" and hash((account.address, run // 3)) % 20 == 0
    return Finding(
        check,
        Signal.FAILED if broken else Signal.PASSED,
        "the login was refused" if broken else "SMTP login works and the sender is accepted",
        evidence="535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled"
        if broken
        else "",
        cause="smtp-auth-disabled-mailbox" if broken else None,
        seconds=0.3,
        at=at,
        firm=account.firm,
        account=account.address,
        run=f"run{run:03}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="200 accounts and 50,000 findings")
    parser.add_argument(
        "--child", nargs=2, metavar=("WORKSPACE", "WORKERS"), help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    if options.child:
        child(options.child[0], int(options.child[1]))
        return
    os.environ["MSOAUTH_PASSPHRASE"] = "of a benchmark"
    table = Table()
    with tempfile.TemporaryDirectory(prefix="msoauth-bench-") as name:
        folder = Path(name)
        rate = audits(table, 200 if options.quick else 1000, folder, script=True)
        if not options.quick:
            many = audits(table, 10_000, folder, script=False)
            table.ratios["rate at 10,000 / rate at 1,000"] = many / rate
        journal(
            table, 50_000 if options.quick else 1_000_000, 1000 if options.quick else 10_000, folder
        )
    ratios = {name: round(value, 3) for name, value in table.ratios.items()}
    if options.json:
        print(
            json.dumps(
                {
                    "name": "audit",
                    "machine": platform.platform(),
                    "rows": table.rows,
                    "ratios": ratios,
                }
            )
        )
        return
    for what, value in ratios.items():
        print(f"{what}: {value:.2f}")


if __name__ == "__main__":
    main()

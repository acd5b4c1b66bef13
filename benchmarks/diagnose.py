"""Diagnosing one account over a link of 40 ms, beside the time that the link alone takes for what must be asked.

The practice tenant runs in a process of its own. The round trips that a diagnosis needs are those that wait for one
another: what is asked side by side counts once. They are listed below, so that anybody can count them again.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.relay import relay
from msoauth import checks, clouds, judgement
from msoauth.identity import signin
from msoauth.model import Account, Firm, Signal
from msoauth.store import Workspace
from tests.people import sign_in_as_a_person

ROUND_TRIP = 0.040  # seconds
AIM = 1.15

# The longest chain of questions of which each needs the answer before it. The sign-in service's three (discovery, is the
# secret accepted, is the grant good) and the POP3 login are shorter than what runs beside them.
NEEDED = (
    "SMTP: the greeting",
    "SMTP: EHLO",
    "SMTP: STARTTLS",
    "SMTP: EHLO once more, under TLS",
    "SMTP: AUTH XOAUTH2 with the token",
    "SMTP: MAIL FROM (a login proves nothing)",
    "SMTP: QUIT",
)
# A real line also takes its time for TLS, whose first flight goes before the first question under it. (The relay
# connects at once, so TCP's own round trip is not among them.)
NEEDED_ON_A_LINE = (*NEEDED[:3], "SMTP: TLS", *NEEDED[3:])


@contextmanager
def practice(latency: float) -> Iterator[dict[str, Any]]:
    """A practice tenant in a process of its own; gives its endpoints."""
    command = [sys.executable, "-m", "msoauth", "practice", "serve", "--json"]
    command += ["--latency", str(latency * 1000)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def signed_in(workspace: Workspace, endpoints: dict[str, Any], file: Path) -> Account:
    """The firm and one of its users, signed in."""
    file.write_text(json.dumps(endpoints), encoding="utf-8")
    noted = endpoints["practice"]["firms"][0]
    firm = Firm("Contoso", noted["tenant_id"], noted["client_id"], cloud=clouds.load(str(file)))
    workspace.firms.add(firm, noted["client_secret"])
    person = noted["accounts"][1]
    account = Account(person["address"], "Contoso")
    workspace.accounts.add(account)
    attempt = signin.start(workspace, account, "browser", open_browser=False)
    told = (attempt.url, account.address, person["password"])
    threading.Thread(target=sign_in_as_a_person, args=told, daemon=True).start()
    attempt.wait(30)
    return account


def seconds_of(workspace: Workspace, account: Account, side_by_side: bool) -> float:
    """One diagnosis from its first check to its last sentence."""
    context = checks.Context(workspace, workspace.firms.get("Contoso"), account)
    start = time.perf_counter()
    made = list(checks.run(checks.DIAGNOSE, context, workers=8 if side_by_side else 1))
    took = time.perf_counter() - start
    assert judgement.root_cause(made) is None, judgement.verdict(made)
    assert {f.signal for f in made} <= {Signal.PASSED, Signal.WARNING}
    return took


def through_relays(stack: ExitStack, endpoints: dict[str, Any]) -> dict[str, Any]:
    """The same endpoints at the far end of a line."""
    far = json.loads(json.dumps(endpoints))
    port = int(endpoints["authority"].rstrip("/").rpartition(":")[2])
    authority = stack.enter_context(relay(port, ROUND_TRIP))
    far["authority"] = f"https://localhost:{authority}/"
    far["graph"] = f"https://localhost:{authority}/graph/"
    for name in ("pop3", "imap", "smtp"):
        far[name]["port"] = stack.enter_context(relay(endpoints[name]["port"], ROUND_TRIP))
    return dict(far)


def measure(rounds: int) -> list[tuple[str, str, float]]:
    """Rows of case, what, seconds."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        cases = {"answers 40 ms late": NEEDED, "a line of 40 ms": NEEDED_ON_A_LINE}
        for number, (case, needed) in enumerate(cases.items()):
            latency = ROUND_TRIP if needed is NEEDED else 0.0
            place = Path(folder) / str(number)
            with ExitStack() as stack:
                endpoints = stack.enter_context(practice(latency))
                if needed is NEEDED_ON_A_LINE:
                    endpoints = through_relays(stack, endpoints)
                workspace = stack.enter_context(Workspace.open(place, passphrase="of a benchmark"))
                account = signed_in(workspace, endpoints, Path(folder) / f"{number}.json")
                times: dict[bool, list[float]] = {True: [], False: []}
                for _round in range(rounds):
                    for side_by_side in times:  # interleaved, so that a busy moment hits both alike
                        times[side_by_side].append(seconds_of(workspace, account, side_by_side))
            rows += [
                (case, "the link's own time", len(needed) * ROUND_TRIP),
                (case, "diagnose", statistics.median(times[True])),
                (case, "diagnose, fastest", min(times[True])),
                (case, "one check after another", statistics.median(times[False])),
            ]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    rows = measure(5 if options.quick else 25)
    value = {(case, what): seconds for case, what, seconds in rows}
    ratios = {}
    for case in dict.fromkeys(case for case, _what, _seconds in rows):
        own = value[case, "the link's own time"]
        ratios[f"diagnose / link, {case}"] = round(value[case, "diagnose"] / own, 3)
        ratios[f"one after another / diagnose, {case}"] = round(
            value[case, "one check after another"] / value[case, "diagnose"], 3
        )
    if options.json:
        table = [{"case": c, "what": w, "value": round(v, 4), "unit": "s"} for c, w, v in rows]
        print(
            json.dumps(
                {
                    "name": "diagnose",
                    "machine": platform.platform(),
                    "rows": table,
                    "ratios": ratios,
                }
            )
        )
        return
    print(f"Round trips that wait for one another: {len(NEEDED)}")
    for name in NEEDED:
        print(f"    {name}")
    for case, what, seconds in rows:
        print(f"{case:20} {what:26} {seconds * 1000:8.0f} ms")
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f}" + (f" (at most {AIM} is the aim)" if "/ link" in name else ""))


if __name__ == "__main__":
    main()

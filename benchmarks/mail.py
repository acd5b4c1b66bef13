"""Retrieval over POP3 with XOAUTH2 from a private Dovecot over TLS, beside curl, plain poplib and mpop.

The same work for all: every message ends as a file of its own on disk. Programs are measured as processes,
poplib and msoauth inside this one; what a fresh process of msoauth costs stands in a row of its own.
"""

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.mail_clients import CONTENDERS, RETRIEVAL, ours, the_least
from benchmarks.relay import relay
from msoauth.mail.transcript import Transcript
from tests.mail.dovecot import Dovecot, running_dovecot

ROUND_TRIP = 0.020
Rows = list[dict[str, object]]


class Silent(Transcript):
    """Records nothing: what the transcript costs is the difference."""

    def hide(self, *secrets: str) -> None:
        pass

    def _add(self, direction: str, line: str) -> None:
        pass

    def own(self, direction: str, text: str) -> None:
        pass

    def shown(self, text: str) -> str:
        return text


def mail(number: int, size: int) -> bytes:
    """A message of about *size* bytes; lines of base64, as most mail is made of."""
    head = (
        f"From: Anna <anna@contoso.example>\r\nTo: ben@contoso.example\r\nSubject: Brief {number}\r\n"
        f"Date: Mon, 02 Nov 2026 10:00:00 +0100\r\nMessage-ID: <{number}@contoso.example>\r\n\r\n"
    ).encode()
    line = b"TWFuIGlzIGRpc3Rpbmd1aXNoZWQsIG5vdCBvbmx5IGJ5IGhpcyByZWFzb24sIGJ1dCBieSB0aGlz\r\n"
    return head + line * max(1, (size - len(head)) // len(line))


def seconds(
    action: Callable[[Path], None],
    expected: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """What *action* takes with an empty folder; checks that so many files of mail are in it then."""
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder)
        start = clock()
        action(to)
        took = clock() - start
        if expected is not None:
            found = [f for f in to.rglob("*") if f.is_file() and f.stat().st_size > 500]
            made = len(
                [
                    f
                    for f in found
                    if not f.name.startswith(".") and f.name not in ("mpoprc", "uidls")
                ]
            )
            assert made == expected, f"{made} files in place of {expected}"
        return took


def race(box: Dovecot, ports: dict[str, int], count: int, rounds: int) -> Rows:
    """Everybody in turn, again and again, so that a busy moment hits all alike."""
    present = {
        name: act
        for name, act in CONTENDERS.items()
        if name not in ("curl", "mpop") or shutil.which(name)
    }
    times: dict[tuple[str, str], list[float]] = {}
    for where, port in ports.items():
        # One after another takes a minute over a slow line; once is enough to tell ten times.
        for turn in range(rounds):
            order = list(present)
            random.shuffle(order)
            for name in order:
                if turn > 0 and where != "loopback" and name in ("poplib", "curl"):
                    continue
                act = present[name]
                times.setdefault((where, name), []).append(
                    seconds(lambda to, act=act, port=port: act(box, port, to), count)  # type: ignore[misc]
                )
    return [
        {
            "case": f"{count} messages of 8 KB, {where}",
            "what": name,
            "value": round(statistics.median(took), 3),
            "unit": "s",
        }
        for (where, name), took in times.items()
    ]


def resuming(server_box: Callable[[str], Dovecot], total: int, new: int, rounds: int) -> Rows:
    """A large mailbox of which all but a few messages are there; beside a client that knows which are new."""
    large = server_box("large")
    old = [mail(n, 1000) for n in range(total - new)]
    fresh = [mail(n, 1000) for n in range(total - new, total)]
    large.deliver(*old)
    port = large.server.ports["pop3"]
    rows: Rows = []
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder) / "mail"
        start = time.perf_counter()
        ours(large, port, to)
        everything = time.perf_counter() - start
        large.deliver(*fresh)
        resumed, least, nothing = [], [], []
        for turn in range(rounds):
            copy = Path(folder) / f"copy{turn}"
            shutil.copytree(to, copy)
            if hasattr(os, "sync"):
                os.sync()  # what copying left to be written is nobody's retrieval
            start = time.perf_counter()
            ours(large, port, copy)
            resumed.append(time.perf_counter() - start)
            start = time.perf_counter()
            ours(large, port, copy)
            nothing.append(time.perf_counter() - start)
            shutil.rmtree(copy)
            least.append(seconds(lambda to: the_least(large, port, to, new), new))
    case = f"resuming: {total} messages, {new} of them new"
    for what, value in (
        (f"the first {total - new}", everything),
        (f"{new} new ones beside {total - new} that are there", statistics.median(resumed)),
        ("nothing new", statistics.median(nothing)),
        (f"poplib that is told which {new} are new", statistics.median(least)),
    ):
        rows.append({"case": case, "what": what, "value": round(value, 3), "unit": "s"})
    return rows


def memory(box: Dovecot, megabytes: int) -> Rows:
    """The peak of a process of its own that retrieves one large message."""
    box.deliver(mail(1, megabytes << 20))
    port = box.server.ports["pop3"]
    with tempfile.TemporaryDirectory() as folder:
        peak = "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
        told = subprocess.run(
            [
                sys.executable,
                "-c",
                RETRIEVAL + peak,
                str(port),
                box.user,
                box.token,
                box.ca_file,
                folder,
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        assert max(f.stat().st_size for f in Path(folder).glob("*.eml")) > (megabytes << 20) * 0.9
    return [
        {
            "case": f"one message of {megabytes} MB",
            "what": "peak memory of the process",
            "value": round(int(told.stdout) / 1024, 1),
            "unit": "MiB",
        }
    ]


def transcript(box: Dovecot, count: int, rounds: int) -> Rows:
    """The same retrieval with and without a record, in turn: what the processor has to do, the least of many."""
    port = box.server.ports["pop3"]
    kept: dict[str, list[float]] = {"recorded and redacted": [], "not recorded": []}
    for _round in range(rounds):
        for what, make in (("recorded and redacted", Transcript), ("not recorded", Silent)):
            kept[what].append(
                seconds(lambda to, make=make: ours(box, port, to, make()), count, time.process_time)  # type: ignore[misc]
            )
    return [
        {
            "case": f"the record of {count} messages, loopback, processor time",
            "what": what,
            "value": round(min(took), 3),
            "unit": "s",
        }
        for what, took in kept.items()
    ]


def ratios(rows: Rows) -> dict[str, float]:
    """What must hold, as numbers."""
    at = {(str(row["case"]), str(row["what"])): float(str(row["value"])) for row in rows}
    found: dict[str, float] = {}
    for case in dict.fromkeys(case for case, what in at if what == "msoauth"):
        for other in ("poplib", "curl", "mpop"):
            if (case, other) in at:
                found[f"{case}: msoauth / {other}"] = round(
                    at[case, "msoauth"] / at[case, other], 3
                )
    for case, what in list(at):
        if what == "recorded and redacted":
            found["transcript: with / without"] = round(
                at[case, what] / at[case, "not recorded"], 3
            )
        if what == "nothing new":
            new = next(w for c, w in at if c == case and " beside " in w)
            least = next(w for c, w in at if c == case and "is told" in w)
            everything = next(w for c, w in at if c == case and w.startswith("the first"))
            found["resuming: msoauth / a client that is told what is new"] = round(
                at[case, new] / at[case, least], 3
            )
            found["resuming: with new / everything"] = round(
                at[case, new] / at[case, everything], 3
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    count, rounds = (300, 3) if options.quick else (2000, 3)
    missing = [name for name in ("curl", "mpop") if shutil.which(name) is None]
    for name in missing:
        print(f"{name} is not installed: it is left out", file=sys.stderr)
    rows: Rows = []
    with running_dovecot() as server:

        def box(name: str) -> Dovecot:
            view = Dovecot(server, f"{name}@contoso.example")
            view.deliver()
            return view

        letters = box("letters")
        letters.deliver(*(mail(n, 8192) for n in range(count)))
        port = server.ports["pop3"]
        seconds(lambda to: ours(letters, port, to), count)  # Dovecot builds its index once
        with relay(port, ROUND_TRIP) as far:
            rows += race(letters, {"loopback": port, "20 ms round trip": far}, count, rounds)
        rows += transcript(letters, count, 3 * rounds)
        rows += resuming(box, 2000 if options.quick else 20_000, 200, 3)
        rows += memory(box("heavy"), 200)
    found = ratios(rows)
    if options.json:
        machine = f"{platform.platform()}, {os.cpu_count()} cores"
        told = {
            "name": "mail",
            "machine": machine,
            "rows": rows,
            "ratios": found,
            "missing": missing,
        }
        print(json.dumps(told))
        return
    for row in rows:
        print(f"{row['case']:55} {row['what']:50} {row['value']:>9} {row['unit']}")
    for name, value in found.items():
        print(f"{name:80} {value:>8}")


if __name__ == "__main__":
    main()

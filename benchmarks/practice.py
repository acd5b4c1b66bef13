"""How fast the practice tenant starts, and how many complete logins it serves: token refresh, POP3 login, QUIT.

The load comes from a process of its own, 64 at a time, each login over two fresh TLS connections. Beside it
stands the least that asyncio can do here: a server of canned answers to the same bytes.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import platform
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import psutil
import trustme

AT_A_TIME = 64
ACCOUNTS, LATENCY = 10_000, 40
READY, AUTHENTICATED = b"+OK ready\r\n", b"+OK User successfully authenticated.\r\n"


@dataclass
class Target:
    """A server under load, as its endpoints file tells, and its process."""

    endpoints: dict[str, Any]
    process: psutil.Process
    seconds: float

    def cpu(self) -> float:
        """CPU seconds that it has used so far."""
        used = self.process.cpu_times()
        return float(used.user + used.system)


@contextlib.contextmanager
def started(command: list[str]) -> Iterator[Target]:
    """Start a server whose first line is its endpoints file; it ends with the block."""
    begun = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            endpoints = json.loads(process.stdout.readline())
            seconds = time.perf_counter() - begun
            yield Target(endpoints, psutil.Process(process.pid), seconds)
        finally:
            process.terminate()


def practice(*options: str) -> list[str]:
    """The command of a practice tenant."""
    return ["-m", "msoauth", "practice", "serve", "--json", *options]


# The load, in a process of its own


async def login(endpoints: dict[str, Any], tls: ssl.SSLContext, address: str, form: bytes) -> None:
    """A complete login: a new access token, then POP3 with it, then QUIT."""
    firm, authority = endpoints["practice"]["firms"][0], urlsplit(endpoints["authority"])
    reader, writer = await asyncio.open_connection(
        authority.hostname, authority.port, ssl=tls, server_hostname="localhost"
    )
    head = f"POST /{firm['tenant_id']}/oauth2/v2.0/token HTTP/1.1\r\nHost: {authority.netloc}\r\n"
    head += "Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: {len(form)}\r\n\r\n".encode() + form)
    answer = (await reader.read(-1)).partition(b"\r\n\r\n")[2]
    writer.close()
    token = json.loads(answer)["access_token"]
    pop3 = endpoints["pop3"]
    reader, writer = await asyncio.open_connection(
        pop3["host"], pop3["port"], ssl=tls, server_hostname="localhost"
    )
    await _said(reader, b"+OK")
    writer.write(b"AUTH XOAUTH2\r\n")
    await _said(reader, b"+ ")
    sasl = base64.b64encode(f"user={address}\x01auth=Bearer {token}\x01\x01".encode())
    writer.write(sasl + b"\r\n")
    await _said(reader, b"+OK User")
    writer.write(b"QUIT\r\n")
    await _said(reader, b"+OK")
    writer.close()


async def _said(reader: asyncio.StreamReader, beginning: bytes) -> None:
    line = await reader.readline()
    assert line.startswith(beginning), line


async def load(endpoints: dict[str, Any], grants: list[dict[str, str]], count: int) -> float:
    """Logins a second over *count* logins, after a few that are not counted."""
    tls = ssl.create_default_context(cafile=endpoints["ca_file"])
    firm = endpoints["practice"]["firms"][0]
    forms = [
        urlencode(
            {
                "grant_type": "refresh_token",
                "client_id": firm["client_id"],
                "client_secret": firm["client_secret"],
                "refresh_token": grant["refresh_token"],
                "scope": "https://outlook.office.com/POP.AccessAsUser.All "
                "https://outlook.office.com/SMTP.Send offline_access openid profile",
                "client_info": "1",
            }
        ).encode()
        for grant in grants
    ]
    waiting = iter(range(count))

    async def worker() -> None:
        for number in waiting:
            which = number % len(grants)
            await login(endpoints, tls, grants[which]["address"], forms[which])

    await login(endpoints, tls, grants[0]["address"], forms[0])
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_A_TIME):
            group.create_task(worker())
    return count / (time.perf_counter() - begun)


def under_load(target: Target, count: int, runs: int) -> tuple[float, float]:
    """Medians: logins a second, and the server's CPU milliseconds for each."""
    rates, costs = [], []
    for _ in range(runs):
        before = target.cpu()
        command = [sys.executable, __file__, "--load", str(count)]
        done = subprocess.run(
            command, input=json.dumps(target.endpoints), text=True, check=True, capture_output=True
        )
        rates.append(float(done.stdout))
        costs.append(1000 * (target.cpu() - before) / count)
    return statistics.median(rates), statistics.median(costs)


def grants_of(endpoints: dict[str, Any]) -> list[dict[str, str]]:
    """Refresh tokens of all users, by the practice tenant's own shortcut."""
    practice_part = endpoints["practice"]
    if "admin" not in practice_part:  # the server of canned answers
        return [
            {"address": f"user{n}@canned.example", "refresh_token": "x" * 400} for n in range(9)
        ]
    url = practice_part["admin"].replace("/admin?", "/practice/grants?")
    asked = json.dumps({"tenant": practice_part["firms"][0]["tenant_id"]}).encode()
    request = urllib.request.Request(url, asked, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - it is ours, on loopback
        return list(json.loads(answer.read())["grants"])


# The least that asyncio can do: canned answers


async def canned() -> None:
    """Serve canned answers until the end of the process; the first line tells where."""
    token = json.dumps({"access_token": "t" * 1500, "refresh_token": "r" * 400}).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(token), token)

    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        writer.write(answer)
        writer.close()

    async def pop3(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for said in (READY, b"+ \r\n", AUTHENTICATED, b"+OK\r\n"):
            writer.write(said)
            if said != b"+OK\r\n":
                await reader.readline()
        writer.close()

    with tempfile.TemporaryDirectory() as folder:
        ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
        ca_file = Path(folder) / "ca.pem"
        ca.cert_pem.write_to_path(str(ca_file))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("localhost", key_type=trustme.KeyType.ECDSA).configure_cert(tls)
        ports = []
        for serve in (http, pop3):
            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, backlog=1024)
            ports.append(server.sockets[0].getsockname()[1])
        firm = {"tenant_id": "canned", "client_id": "canned", "client_secret": "canned"}
        endpoints = {
            "authority": f"https://localhost:{ports[0]}/",
            "pop3": {"host": "localhost", "port": ports[1]},
            "ca_file": str(ca_file),
            "practice": {"firms": [firm]},
        }
        print(json.dumps(endpoints), flush=True)
        await asyncio.Event().wait()


# The measurement


def measure(quick: bool) -> tuple[list[tuple[str, str, float, str]], dict[str, float]]:
    """Rows (case, what, value, unit) and ratios."""
    runs, count = (3, 600) if quick else (5, 3000)
    rows: list[tuple[str, str, float, str]] = []
    starts = []
    for _ in range(runs):
        with started(practice()) as plain:
            starts.append((plain.seconds, plain.cpu()))
    rows.append(("plain tenant", "start", statistics.median(s for s, _ in starts), "s"))
    rows.append(("plain tenant", "CPU to start", statistics.median(c for _, c in starts), "s"))
    full = practice("--accounts", str(ACCOUNTS), "--latency", str(LATENCY))
    case = f"{ACCOUNTS:,} accounts, {LATENCY} ms"
    with started(full) as slow:
        rows.append((case, "start", slow.seconds, "s"))
        rows.append((case, "CPU to start", slow.cpu(), "s"))
        slow_rate, slow_cost = under_load(slow, count, runs)
        rows.append((case, "logins, 64 at a time", slow_rate, "1/s"))
        rows.append((case, "server CPU a login", slow_cost, "ms"))
        rows.append((case, "memory after them", slow.process.memory_info().rss / 2**20, "MB"))
    with started(practice("--accounts", str(ACCOUNTS))) as fast:
        rate, cost = under_load(fast, count, runs)
    rows.append((f"{ACCOUNTS:,} accounts", "logins, 64 at a time", rate, "1/s"))
    rows.append((f"{ACCOUNTS:,} accounts", "server CPU a login", cost, "ms"))
    with started([__file__, "--canned"]) as floor:
        floor_rate, floor_cost = under_load(floor, count, runs)
    rows.append(("canned answers", "logins, 64 at a time", floor_rate, "1/s"))
    rows.append(("canned answers", "server CPU a login", floor_cost, "ms"))
    return rows, {
        "logins: practice tenant / canned answers": rate / floor_rate,
        "server CPU a login: practice tenant / canned answers": cost / floor_cost,
    }


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--load", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--canned", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.canned:
        asyncio.run(canned())
    if options.load:
        endpoints = json.load(sys.stdin)
        print(asyncio.run(load(endpoints, grants_of(endpoints), options.load)))
        return
    rows, ratios = measure(options.quick)
    if options.json:
        shown = [{"case": c, "what": w, "value": round(v, 3), "unit": u} for c, w, v, u in rows]
        ratios = {name: round(value, 3) for name, value in ratios.items()}
        print(
            json.dumps(
                {
                    "name": "practice",
                    "machine": platform.platform(),
                    "rows": shown,
                    "ratios": ratios,
                }
            )
        )
        return
    for c, w, v, u in rows:
        print(f"{c:24} {w:24} {v:10.2f} {u}")
    for name, value in ratios.items():
        print(f"{name}: {value:.2f}")
    print("Aims: start under 1 s (plain) and 5 s (10,000), 400 MB, 150 logins/s.")


if __name__ == "__main__":
    main()

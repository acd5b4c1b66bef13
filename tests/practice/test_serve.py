"""`practice serve` as another program starts it: the endpoints on its first line, gone when it is ended."""

import json
import os
import socket
import ssl
import stat
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from msoauth.practice import PracticeTenant, server
from msoauth.practice.state import PracticeState


def test_serve_with_firms_behind_a_proxys_address() -> None:
    command = [
        *(sys.executable, "-m", "msoauth", "practice", "serve", "--json"),
        *(
            "--firms",
            "Contoso Legal, Kanzlei Müller",
            "--people-base",
            "https://hub.example/proxy/{port}",
        ),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            endpoints = json.loads(process.stdout.readline())
            first, second = endpoints["practice"]["firms"]
            assert (first["domain"], second["domain"]) == (
                "contoso.example",
                "kanzlei-muller.example",
            )
            assert second["apps"][0]["client_id"] == second["client_id"] != first["client_id"]
            admin = endpoints["practice"]["admin"]
            assert admin.startswith("https://hub.example/proxy/")
            direct = f"http://localhost:{'/'.join(admin.split('/')[-2:])}"
            assert "Kanzlei Müller" in requests.get(direct, timeout=20).text
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
@pytest.mark.parametrize("redirected", ["stdout", "stderr"])
def test_files_with_its_passwords_are_its_users_alone(tmp_path: Path, redirected: str) -> None:
    """The endpoints file that ``--to`` writes, and what a shell redirects."""
    named, printed = tmp_path / "named", tmp_path / "printed"
    command = [sys.executable, "-m", "msoauth", "practice", "serve", "--json", "--to", str(named)]
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with printed.open("wb") as file:
        process = subprocess.Popen(command, umask=0, **(streams | {redirected: file}))
    with process:
        try:
            other = process.stderr if redirected == "stdout" else process.stdout
            assert other is not None
            assert other.readline()
            assert {stat.S_IMODE(path.stat().st_mode) for path in (named, printed)} == {0o600}
            endpoints = json.loads(named.read_text(encoding="utf-8"))
            assert "token=" in endpoints["practice"]["admin"]
        finally:
            process.terminate()
            process.communicate(timeout=20)
    if redirected == "stdout":
        assert json.loads(printed.read_text(encoding="utf-8").splitlines()[0]) == endpoints


def test_it_listens_on_loopback_alone() -> None:
    before = {c.laddr for c in psutil.Process().net_connections("tcp") if c.status == "LISTEN"}
    with PracticeTenant():
        listening = {
            c.laddr for c in psutil.Process().net_connections("tcp") if c.status == "LISTEN"
        }
        new = listening - before
        assert len(new) >= 5  # pages, token service, POP3, IMAP, SMTP
        assert {address.ip for address in new} <= {"127.0.0.1", "::1"}


def test_passwords_and_secrets_are_those_of_one_run() -> None:
    with PracticeTenant() as first, PracticeTenant() as second:
        [one], [other] = (running.endpoints["practice"]["firms"] for running in (first, second))
        assert one["client_secret"] != other["client_secret"]
        passwords = [{a["password"] for a in firm["accounts"]} for firm in (one, other)]
        assert not passwords[0] & passwords[1]


def test_what_clients_send_cannot_fill_the_log() -> None:
    state = PracticeState()
    state.log_event("token", "x" * 1_000_000, user="u" * 9999, correlation_id="c" * 9999)
    (entry,) = state.log
    assert len(entry.outcome) + len(entry.user) + len(entry.correlation_id) < 1000


def test_its_end_is_the_end_of_a_connection_that_waits_for_the_clients_farewell() -> None:
    with PracticeTenant() as tenant:
        context = ssl.create_default_context(cafile=str(tenant.ca_file))
        port = tenant.endpoints["pop3"]["port"]
        plain = socket.create_connection(("127.0.0.1", port), timeout=20)
        with context.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(b"QUIT\r\n")
            while client.recv(1000):
                pass
            below = socket.socket(fileno=client.detach())  # TLS has ended, for the server alone
    with below:
        below.settimeout(20)
        assert below.recv(1) == b""


class _Endless(float):
    """A delay that keeps whoever looks at it, and so the tenant's loop."""

    asked, answered = threading.Event(), threading.Event()

    def __gt__(self, other: object) -> bool:
        self.asked.set()
        return not self.answered.wait(60)


def test_one_that_does_not_end_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "END_SECONDS", 0.1)
    with ExitStack() as stack:
        tenant = stack.enter_context(PracticeTenant())
        tenant.state.latency = delay = _Endless()
        port = tenant.endpoints["smtp"]["port"]
        with socket.create_connection(("127.0.0.1", port), timeout=20):
            assert delay.asked.wait(20)
            with pytest.warns(RuntimeWarning, match=r"did not end within 0\.1 seconds"):
                stack.close()
            delay.answered.set()

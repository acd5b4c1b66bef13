"""`practice serve` as another program starts it: the endpoints on its first line, gone when it is ended."""

import json
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import ExitStack

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
            direct = f"http://localhost:{admin.split('/')[-2]}/admin"
            assert "Kanzlei Müller" in requests.get(direct, timeout=20).text
        finally:
            process.terminate()
            process.wait(20)


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

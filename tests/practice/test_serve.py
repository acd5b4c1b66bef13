"""`practice serve` as another program starts it: the endpoints on its first line, gone when it is ended."""

import json
import subprocess
import sys

import requests

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

"""The whole path on the command line, from two processes, as the contract says: JSON on stdout and nothing else."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.people import sign_in_as_a_person

MSOAUTH = (sys.executable, "-m", "msoauth")


def run(*arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*MSOAUTH, *arguments],
        input=typed,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.fixture
def endpoints(tmp_path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """``practice serve --json`` in a process of its own."""
    with subprocess.Popen(
        [*MSOAUTH, "practice", "serve", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            file = tmp_path / "endpoints.json"
            file.write_text(line, encoding="utf-8")
            yield file, json.loads(line)
        finally:
            server.terminate()


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_from_registration_to_a_mail_that_arrived(endpoints: tuple[Path, dict[str, Any]]) -> None:
    file, data = endpoints
    firm = data["practice"]["firms"][0]
    person = firm["accounts"][1]
    address = person["address"]
    added = run(
        "firm",
        "add",
        "Contoso",
        "--tenant",
        firm["tenant_id"],
        "--client-id",
        firm["client_id"],
        "--secret-stdin",
        "--cloud",
        str(file),
        typed=f"{firm['client_secret']}\n",
    )
    assert added.returncode == 0, added.stderr
    checked = run("firm", "check", "Contoso", "--json")
    assert checked.returncode == 0, checked.stdout
    assert {f["signal"] for f in lines(checked.stdout)} <= {"passed", "warning"}
    assert run("account", "add", address, "--firm", "Contoso").returncode == 0
    with subprocess.Popen(
        [*MSOAUTH, "sign-in", address, "--no-open"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as sign_in:
        try:
            assert sign_in.stdout is not None
            said = iter(sign_in.stdout)
            found = (re.search(r"https?://\S+/authorize\S+", line) for line in said)
            url = next(match[0] for match in found if match is not None)
            page = sign_in_as_a_person(url, address, person["password"])
            assert "Verification code received" in page
            rest = "".join(said)
            assert sign_in.wait(60) == 0, rest
        finally:
            sign_in.kill()  # or what went wrong is told only when nobody has signed in for five minutes
    fetched = run("fetch", address, "--json", "--limit", "3")
    assert fetched.returncode == 0, fetched.stderr
    messages = lines(fetched.stdout)
    assert len(messages) == 3
    keys = {"uidl", "date", "from", "to", "subject", "size", "attachments", "status"}
    assert set(messages[0]) == keys
    assert {message["status"] for message in messages} == {"retrieved"}
    sent = run("send-test", address, "--json", "--round-trip")
    assert [(f["check"], f["signal"]) for f in lines(sent.stdout)] == [
        ("smtp.send", "passed"),
        ("mail.round-trip", "passed"),
    ]
    diagnosed = run("diagnose", address, "--json")
    assert diagnosed.returncode == 0, diagnosed.stdout
    journal = lines(run("journal", "--json").stdout)
    assert {"registration.secret", "mail.retrieve", "smtp.send", "pop3.login"} <= {
        f["check"] for f in journal
    }
    outputs = "".join([checked.stdout, rest, fetched.stdout, sent.stdout, json.dumps(journal)])
    assert firm["client_secret"] not in outputs
    assert person["password"] not in outputs
    assert not re.search(r"eyJ[\w-]{10,}\.", outputs)

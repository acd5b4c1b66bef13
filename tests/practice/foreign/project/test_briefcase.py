"""The tests of the tiny mail program, as its developers write them with msoauth's pytest plugin."""

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

MAIL = b"From: clerk@court.example\r\nTo: anna@x.example\r\nSubject: Hearing on Monday\r\n\r\n10:30\r\n"


def run(microsoft365, folder: Path, *options: str) -> subprocess.CompletedProcess:
    """Run the program for the first user, told of nothing but endpoints and CA."""
    anna = microsoft365.accounts[0]
    endpoints = microsoft365.endpoints
    config = {
        "user": anna.address,
        "client_id": microsoft365.firm["client_id"],
        "client_secret": microsoft365.firm["client_secret"],
        "refresh_token": microsoft365.tokens(anna)["refresh_token"],
        "token_url": f"{microsoft365.authority}/oauth2/v2.0/token",
        "imap_host": endpoints["imap"]["host"],
        "imap_port": endpoints["imap"]["port"],
        "smtp_host": endpoints["smtp"]["host"],
        "smtp_port": endpoints["smtp"]["port"],
    }
    file = folder / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return subprocess.run(
        [sys.executable, Path(__file__).with_name("briefcase.py"), file, *options],
        env={**os.environ, **microsoft365.environment, "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )


def test_it_lists_the_unread_mail(microsoft365, tmp_path):
    microsoft365.deliver(microsoft365.accounts[0], MAIL)
    done = run(microsoft365, tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[-1] == "Hearing on Monday"


def test_it_sends_the_list(microsoft365, tmp_path):
    ben = microsoft365.accounts[1]
    before = len(microsoft365.inbox(ben))
    done = run(microsoft365, tmp_path, "--send", ben.address)
    assert done.returncode == 0, done.stderr
    assert len(microsoft365.inbox(ben)) == before + 1


@pytest.mark.microsoft365(scenario="smtp-auth-off-tenant")
def test_it_says_why_it_cannot_send(microsoft365, tmp_path):
    done = run(microsoft365, tmp_path, "--send", microsoft365.accounts[1].address)
    assert done.returncode == 1
    assert "535 5.7.139" in done.stderr
    assert "SmtpClientAuthentication is disabled for the Tenant." in done.stderr


def test_each_test_has_a_firm_of_its_own(microsoft365):
    assert all(
        b"Hearing on Monday" not in mail for mail in microsoft365.inbox(microsoft365.accounts[0])
    )


def test_a_user_signs_in_in_the_browser(microsoft365):
    asked = {
        "client_id": microsoft365.firm["client_id"],
        "response_type": "code",
        "redirect_uri": "http://localhost:9999",
        "scope": "https://outlook.office.com/IMAP.AccessAsUser.All offline_access",
        "state": "s",
    }
    page = f"{microsoft365.authority}/oauth2/v2.0/authorize?{urlencode(asked)}"
    back = microsoft365.sign_in(page, microsoft365.accounts[0])
    assert back.startswith("http://localhost:9999/?code=")
    assert parse_qs(urlsplit(back).query)["state"] == ["s"]

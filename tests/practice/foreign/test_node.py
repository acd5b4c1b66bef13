"""Node's libraries against the practice tenant, unmodified: msal-node, openid-client, nodemailer and imapflow."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.packages import npm_packages
from tests.practice.office import ANNA, MAIL_SCOPES, MAX, Office, refresh_token

PACKAGES = (
    "@azure/msal-node@7.2.3",
    "imapflow@2.10.2",
    "nodemailer@10.6.1",
    "openid-client@6.9.0",
)
SCRIPTS = Path(__file__).with_name("node")

pytestmark = [pytest.mark.real("nodejs", "npm"), pytest.mark.xdist_group("node-clients")]


@pytest.fixture(scope="module")
def folder(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the scripts and the packages."""
    modules = npm_packages(pytestconfig.cache.mkdir("node-clients"), *PACKAGES)
    made = tmp_path_factory.mktemp("node") / "scripts"
    shutil.copytree(SCRIPTS, made)
    (made / "node_modules").symlink_to(modules)
    return made


def run(office: Office, folder: Path, script: str) -> dict[str, Any]:
    """Run a script; a person signs in where it asks for that. Returns what it reports."""
    told = {
        "authority": office.authority,
        "scopes": MAIL_SCOPES,
        "web": office.app(0),
        "desktop": office.app(1),
        "service": office.app(2),
        "user": MAX,
        "token": office.tokens[MAX],
        "refresh": refresh_token(office.tenant, MAX),
        "smtp": office.port("smtp"),
        "imap": office.port("imap"),
    }
    found: dict[str, Any] = {}
    with subprocess.Popen(
        ["node", "--no-warnings", script, json.dumps(told)],
        cwd=folder,
        env={**os.environ, "NODE_EXTRA_CA_CERTS": office.ca},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            said = json.loads(line)
            if "page" in said:
                process.stdin.write(office.sign_in(said["page"], code=said["code"]) + "\n")
                process.stdin.flush()
            else:
                found[said["name"]] = said["value"]
        complaints = process.stderr.read()
        assert process.wait(60) == 0, f"{found}\n{complaints}"
    return found


def scopes_of(token: str) -> set[str]:
    return set(jwt.decode(token, options={"verify_signature": False})["scp"].split())


def test_msal_node_signs_in_in_every_way(office: Office, folder: Path) -> None:
    found = run(office, folder, "msal.mjs")
    wanted = {scope.rpartition("/")[2] for scope in MAIL_SCOPES}
    assert found["code"]["user"] == found["device"]["user"] == ANNA
    assert scopes_of(found["code"]["token"]) == scopes_of(found["device"]["token"]) == wanted
    assert found["silent"] is True
    assert found["app"] == "Bearer"
    assert found["refusal"]["code"] == "invalid_client"
    assert "AADSTS7000215: Invalid client secret provided." in found["refusal"]["message"]


def test_openid_client_trusts_the_issuer_and_userinfo(office: Office, folder: Path) -> None:
    office.firm.app.web_redirect_uris.append("http://localhost/callback")
    found = run(office, folder, "openid.mjs")
    assert found["issuer"] == f"{office.authority}/v2.0"
    assert found["user"] == ANNA
    assert found["renewed"] is True
    assert found["device"] == sorted(MAIL_SCOPES)
    assert found["refusal"]["status"] == 400
    assert found["refusal"]["text"].startswith("AADSTS9002313: ")


def test_nodemailer_sends_and_imapflow_reads(office: Office, folder: Path) -> None:
    found = run(office, folder, "mail.mjs")
    assert len(found["sent"]) == 3
    assert all(answer.startswith("250 2.0.0 OK <") for answer in found["sent"])
    assert found["verified"] is True
    assert found["refused"]["code"] == 535
    assert found["refused"]["text"].startswith("535 5.7.3 Authentication unsuccessful [")
    assert found["denied"] == "AUTHENTICATE failed."
    assert ["Sent Items", "\\Sent"] in found["folders"]
    assert ["Junk Email", "\\Junk"] in found["folders"]
    assert found["found"] == 3
    assert found["one"]["subject"].startswith("Klage ./. Müller ")
    assert (found["one"]["type"], found["one"]["source"]) == ("text/plain", True)
    assert found["moved"] == [1, 2, 3]
    assert found["put"] is True
    assert found["status"] == [3, 0, 4]
    assert found["told"] is True

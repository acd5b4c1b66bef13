"""More foreign clients against the practice tenant, unmodified; too long to install for every run of .ci/run."""

import json
import os
import subprocess
from email import message_from_bytes
from email.header import decode_header, make_header
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
import requests

from tests.packages import pip_packages
from tests.practice.foreign.azure import resource_manager
from tests.practice.office import ANNA, MAX, Office, refresh_token

SCRIPTS = Path(__file__).with_name("scripts")
JAVA = Path("/usr/share/java")
pytestmark = [
    pytest.mark.release,
    pytest.mark.xdist_group("release-clients"),
    pytest.mark.timeout(900),  # seconds: azure-cli alone takes minutes to install
]


def run(*command: str | Path, **env: str) -> str:
    """Run a program to its end; its standard output."""
    done = subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def base_of(mail: bytes) -> bytes:
    """A mail with its subject decoded."""
    return str(make_header(decode_header(str(message_from_bytes(mail)["Subject"])))).encode()


def graph_token(office: Office) -> str:
    """An administrator's token for Graph, by the authorization code flow."""
    admin = next(user.upn for user in office.firm.users.values() if user.admin)
    app, scope = (
        office.app(),
        " ".join(f"https://graph.microsoft.com/{name}" for name in ("User.Read.All", "User.Read")),
    )
    asked = {
        "client_id": app["client_id"], "response_type": "code", "scope": scope,
        "redirect_uri": "http://localhost:8400",
    }  # fmt: skip
    page = f"{office.tenant.people_url}/{office.firm.tenant_id}/oauth2/v2.0/authorize?{urlencode(asked)}"
    code = parse_qs(urlsplit(office.sign_in(page, admin)).query)["code"][0]
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": "http://localhost:8400",
        "client_id": app["client_id"], "client_secret": app["client_secret"], "scope": scope,
    }  # fmt: skip
    url = f"{office.authority}/oauth2/v2.0/token"
    return str(requests.post(url, data=form, verify=office.ca, timeout=20).json()["access_token"])


@pytest.fixture
def token_file(office: Office, tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(office.tokens[ANNA], encoding="utf-8")
    return file


def local_mails(box: Path) -> list[bytes]:
    """The mails of a Maildir and its folders, with LF."""
    files = [file for inner in ("new", "cur") for file in box.glob(f"**/{inner}/*")]
    return [file.read_bytes().replace(b"\r\n", b"\n") for file in files]


@pytest.mark.real("isync", "libsasl2-modules-kdexoauth2")
def test_mbsync_keeps_a_mailbox_in_step_both_ways(
    office: Office, tmp_path: Path, token_file: Path
) -> None:
    box = tmp_path / "mail"
    box.mkdir()
    rc = tmp_path / "mbsyncrc"
    rc.write_text(
        f"""
IMAPAccount practice
Host localhost
Port {office.port("imap")}
User {ANNA}
PassCmd "cat {token_file}"
AuthMechs XOAUTH2
SSLType IMAPS
SystemCertificates no
CertificateFile {office.ca}

IMAPStore far
Account practice

MaildirStore near
Path {box}/
Inbox {box}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns INBOX "Sent Items" Mandate*
Create Both
Expunge Both
SyncState {tmp_path}/state/
""",
        encoding="utf-8",
    )
    (tmp_path / "state").mkdir()
    run("mbsync", "-c", rc, "-a")
    inbox = office.mailbox(ANNA).messages
    assert len(local_mails(box / "INBOX")) == len(inbox)
    (box / "Mandate" / "cur").mkdir(parents=True)
    (box / "Mandate" / "new").mkdir()
    (box / "Mandate" / "tmp").mkdir()
    (box / "Mandate" / "cur" / "1.a.b:2,FS").write_bytes(b"Subject: put here\n\nx\n")
    gone = next((box / "INBOX" / "cur").iterdir(), None) or next((box / "INBOX" / "new").iterdir())
    name = gone.name.partition(":2,")[0]
    gone.rename(box / "INBOX" / "cur" / f"{name}:2,ST")  # T: trashed
    before = len(inbox)
    run("mbsync", "-c", rc, "-a")
    assert len(inbox) == before - 1
    (put,) = office.mailbox(ANNA).folders["mandate"].messages
    assert put.seen
    assert put.flags == {"\\Flagged"}
    office.mailbox(ANNA).deliver(b"Subject: later\r\n\r\nx\r\n")
    run("mbsync", "-c", rc, "-a")
    assert any(b"Subject: later" in mail for mail in local_mails(box / "INBOX"))


@pytest.mark.real("offlineimap3")
def test_offlineimap3_syncs_with_a_refresh_token(office: Office, tmp_path: Path) -> None:
    app, box = office.app(), tmp_path / "mail"
    rc = tmp_path / "offlineimaprc"
    rc.write_text(
        f"""
[general]
accounts = practice
metadata = {tmp_path}/state
[Account practice]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {box}
[Repository far]
type = IMAP
remotehost = localhost
remoteport = {office.port("imap")}
remoteuser = {ANNA}
ssl = yes
sslcacertfile = {office.ca}
auth_mechanisms = XOAUTH2
oauth2_request_url = {office.authority}/oauth2/v2.0/token
oauth2_client_id = {app["client_id"]}
oauth2_client_secret = {app["client_secret"]}
oauth2_refresh_token = {refresh_token(office.tenant, ANNA)}
""",
        encoding="utf-8",
    )
    run("offlineimap", "-c", rc, "-o", "-u", "basic", SSL_CERT_FILE=office.ca)
    assert len(local_mails(box / "INBOX")) == len(office.mailbox(ANNA).messages)
    assert (box / "Junk Email").is_dir()
    new = box / "INBOX" / "cur" / "9.x.y:2,S"
    new.write_bytes(
        b"From: a@b.example\nSubject: put by offlineimap\nDate: Mon, 02 Nov 2026 10:00:00 +0100\n\nx\n"
    )
    run("offlineimap", "-c", rc, "-o", "-u", "basic", SSL_CERT_FILE=office.ca)
    put = [m for m in office.mailbox(ANNA).messages if b"put by offlineimap" in m.raw]
    assert [message.seen for message in put] == [True]


@pytest.mark.real("neomutt")
def test_neomutt_sends(office: Office, tmp_path: Path, token_file: Path) -> None:
    rc = tmp_path / "neomuttrc"
    rc.write_text(
        f"""
set from = "{ANNA}"
set use_from = yes
set ssl_starttls = yes
set ssl_force_tls = yes
set ssl_use_system_certs = no
set certificate_file = "{office.ca}"
set ssl_verify_host = yes
set smtp_url = "smtp://{ANNA}@localhost:{office.port("smtp")}/"
set smtp_authenticators = "xoauth2"
set smtp_oauth_refresh_command = "cat {token_file}"
set copy = no
""",
        encoding="utf-8",
    )
    before = len(office.mailbox(MAX).messages)
    subprocess.run(
        ["neomutt", "-n", "-F", rc, "-s", "Klage von Mutt", "--", MAX],
        input=b"Gr\xc3\xbc\xc3\x9fe\n.\n",
        env={**os.environ, "LC_ALL": "C.UTF-8", "HOME": str(tmp_path)},
        check=True,
        timeout=120,
        capture_output=True,
    )
    assert b"Klage von Mutt" in office.mailbox(MAX).messages[before].raw


@pytest.mark.real("libjakarta-mail-java", "default-jdk-headless")
def test_jakarta_mail_sends_searches_and_reads(office: Office, tmp_path: Path) -> None:
    store = tmp_path / "trust.p12"
    run(
        "keytool", "-importcert", "-noprompt", "-alias", "practice", "-file", office.ca,
        "-keystore", store, "-storetype", "PKCS12", "-storepass", "changeit",
    )  # fmt: skip
    said = run(
        "java", f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=changeit",
        "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8",
        "-cp", f"{JAVA}/jakarta-mail.jar:{JAVA}/jakarta-activation.jar",
        SCRIPTS / "Mail.java", MAX, office.tokens[MAX],
        *(str(office.port(name)) for name in ("imap", "pop3", "smtp")),
    ).splitlines()  # fmt: skip
    assert said == [
        "created true",
        "found 1 Klage ./. Müller",
        "body Grüße|.",
        "expunged 1",
        "kept 1",
        # This version sends the token on the line of AUTH, which Exchange Online refuses over POP3 (facts E2).
        "pop3 Protocol error. Connection is closed. 10",
        "refused AUTHENTICATE failed.",
    ]


@pytest.mark.real("libphp-phpmailer", "php-cli")
def test_phpmailer_sends_and_is_refused(office: Office) -> None:
    before = len(office.mailbox(MAX).messages)
    said = run(
        "php", SCRIPTS / "mail.php", ANNA, office.tokens[ANNA], str(office.port("smtp")), office.ca, MAX
    ).splitlines()  # fmt: skip
    assert said[0] == "sent"
    assert said[1].startswith("refused ")
    assert b"von PHP" in base_of(office.mailbox(MAX).messages[before].raw)


@pytest.mark.real("ruby")
def test_rubys_net_imap_reads_and_idles(office: Office) -> None:
    with subprocess.Popen(
        [
            "ruby",
            SCRIPTS / "mail.rb",
            ANNA,
            office.tokens[ANNA],
            str(office.port("imap")),
            office.ca,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = []
        for line in process.stdout:
            said.append(line.strip())
            if said[-1] == "idling":
                office.mailbox(ANNA).deliver(b"Subject: while idling\r\n\r\nx\r\n")
        complaints = process.stderr.read()
        assert process.wait(60) == 0, complaints
    assert said[:2] == ["refused AUTHENTICATE failed.", "sent Sent Items"]
    assert said[2].startswith("one ")
    assert said[3] == "flagged 1"
    assert said[-2:] == ["idling", "exists"]


@pytest.fixture(scope="module")
def python(pytestconfig: pytest.Config) -> Path:
    folder = pytestconfig.cache.mkdir("python-clients")
    return pip_packages(folder, "aioimaplib==2.0.3", "msgraph-sdk==1.65.0")


def test_aioimaplib_reads_and_waits(office: Office, python: Path) -> None:
    said = run(
        python / "python", SCRIPTS / "aioimaplib_client.py",
        ANNA, office.tokens[ANNA], str(office.port("imap")), office.ca,
    )  # fmt: skip
    assert json.loads(said) == {"capability": True, "found": True, "exists": True, "moved": "OK"}


def test_msgraph_sdk_reads_users_by_pages_and_filters(office: Office, python: Path) -> None:
    said = run(
        python / "python", SCRIPTS / "graph_client.py",
        office.tenant.endpoints["graph"], graph_token(office), SSL_CERT_FILE=office.ca,
    )  # fmt: skip
    found = json.loads(said)
    assert sorted(found["users"]) == sorted(office.firm.users)
    assert found["count"] == len(office.firm.users)
    assert found["like"] == [MAX]
    assert found["me"].endswith("@contoso.example")
    assert found["refused"] == "Request_ResourceNotFound"


def test_azure_cli_logs_in_without_a_user(
    office: Office, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    programs = pip_packages(pytestconfig.cache.mkdir("azure-cli"), "azure-cli==2.91.0")
    app, authority = office.app(2), office.tenant.endpoints["authority"].rstrip("/")
    with resource_manager(authority) as (manager, manager_ca):
        trusted = tmp_path / "trusted.pem"
        trusted.write_bytes(Path(office.ca).read_bytes() + manager_ca)
        env = {
            "REQUESTS_CA_BUNDLE": str(trusted),
            "AZURE_CONFIG_DIR": str(tmp_path / "azure"),
            "AZURE_CORE_COLLECT_TELEMETRY": "0",
            "AZURE_CORE_INSTANCE_DISCOVERY": "false",
        }
        az = programs / "az"
        run(
            az, "cloud", "register", "-n", "practice", "--endpoint-resource-manager", manager, **env
        )
        run(az, "cloud", "set", "-n", "practice", **env)
        who = [
            "login",
            "--service-principal",
            "-u",
            app["client_id"],
            "--tenant",
            office.firm.tenant_id,
        ]
        run(az, *who, "-p", app["client_secret"], "--allow-no-subscriptions", **env)
        wanted = ["account", "get-access-token", "--resource", "https://outlook.office365.com"]
        token = json.loads(run(az, *wanted, **env))["accessToken"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["roles"] == ["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"]

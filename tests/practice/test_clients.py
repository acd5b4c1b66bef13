"""Programs that nobody here wrote work against the practice tenant, unmodified: told endpoints and CA, no more."""

import email
import email.policy
import os
import poplib
import re
import smtplib
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from msoauth.practice.state import Mailbox
from tests.people import sign_in_as_a_person
from tests.ports import exclusive_port, reserved_port
from tests.practice.office import ANNA, MAX, Office


def run(*command: str, text: str = "") -> str:
    """Run a program to its end; its standard output."""
    done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=60)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout.decode("utf-8", "replace")


# curl


def curl(office: Office, folder: Path, *command: str) -> str:
    # The token goes through a file: on the command line everybody on the computer could read it.
    file = folder / "curlrc"
    file.write_text(f'oauth2-bearer = "{office.tokens[ANNA]}"\n', encoding="utf-8")
    told = ("--cacert", office.ca, "--user", ANNA, "--login-options", "AUTH=XOAUTH2")
    return run("curl", "--silent", "--show-error", "--config", str(file), *told, *command)


@pytest.mark.real("curl")
def test_curl_retrieves_a_mail_over_pop3(office: Office, tmp_path: Path) -> None:
    text = curl(office, tmp_path, f"pop3s://localhost:{office.port('pop3')}/1")
    assert text == office.mailbox(ANNA).messages[0].raw.decode()


@pytest.mark.real("curl")
def test_curl_retrieves_a_mail_over_imap(office: Office, tmp_path: Path) -> None:
    url = f"imaps://localhost:{office.port('imap')}/INBOX;MAILINDEX=1"
    assert curl(office, tmp_path, url) == office.mailbox(ANNA).messages[0].raw.decode()


@pytest.mark.real("curl")
def test_curl_sends_a_mail(office: Office, tmp_path: Path) -> None:
    mail = tmp_path / "mail.eml"
    mail.write_text(f"From: {ANNA}\nTo: {MAX}\nSubject: from curl\n\nHello\n", encoding="utf-8")
    curl(
        office,
        tmp_path,
        "--ssl-reqd",
        "--mail-from",
        ANNA,
        "--mail-rcpt",
        MAX,
        "--upload-file",
        str(mail),
        f"smtp://localhost:{office.port('smtp')}/client.example",
    )
    assert _subjects(office.mailbox(MAX)) >= {"from curl"}


def _subjects(mailbox: Mailbox) -> set[str]:
    policy = email.policy.default
    parsed = (email.message_from_bytes(m.raw, policy=policy) for m in mailbox.messages)
    return {str(mail["Subject"]) for mail in parsed}


# mpop and msmtp


def _account(office: Office, folder: Path, user: str, name: str, *more: str) -> str:
    token = folder / "token"
    token.write_text(office.tokens[user], encoding="utf-8")
    file = folder / "rc"
    lines = [
        "account default",
        "host localhost",
        f"port {office.port(name)}",
        f"user {user}",
        "auth xoauth2",
        f"passwordeval cat {token}",
        "tls on",
        f"tls_trust_file {office.ca}",
        *more,
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    file.chmod(0o600)
    return str(file)


@pytest.mark.real("mpop")
def test_mpop_retrieves_a_whole_mailbox_once(office: Office, tmp_path: Path) -> None:
    box = tmp_path / "Maildir"
    for part in ("cur", "new", "tmp"):
        (box / part).mkdir(parents=True)
    delivery = (
        "tls_starttls off",
        f"delivery maildir {box}",
        f"uidls_file {tmp_path}/uidls",
        "keep on",
    )
    file = _account(office, tmp_path, MAX, "pop3", *delivery)
    run("mpop", "--quiet", "--file", file)
    assert len(list((box / "new").iterdir())) == len(office.mailbox(MAX).messages)
    before = set((box / "new").iterdir())
    run("mpop", "--quiet", "--file", file)  # it knows them by their UIDL
    assert set((box / "new").iterdir()) == before


@pytest.mark.real("msmtp")
def test_msmtp_sends_a_mail(office: Office, tmp_path: Path) -> None:
    file = _account(office, tmp_path, ANNA, "smtp", "tls_starttls on", f"from {ANNA}")
    mail = f"From: {ANNA}\nTo: {MAX}\nSubject: from msmtp\n\n.\n..\nHello\n"
    run("msmtp", "--file", file, MAX, text=mail)
    arrived = next(m.raw for m in office.mailbox(MAX).messages if b"from msmtp" in m.raw)
    assert arrived.endswith(b"\r\n\r\n.\r\n..\r\nHello\r\n")


# emailproxy: a whole proxy, with a sign-in of its own


class Proxy:
    """emailproxy as its users run it; the sign-in page that it asks for is answered by a person."""

    def __init__(self, office: Office, folder: Path, user: str) -> None:
        self.office, self.user = office, user
        self._ports = ExitStack()
        self.pop3, self.smtp = (self._ports.enter_context(reserved_port()) for _ in range(2))
        web = exclusive_port()
        endpoints = office.tenant.endpoints
        firm = endpoints["practice"]["firms"][0]
        config = folder / "emailproxy.config"
        config.write_text(
            f"""
[POP-{self.pop3}]
server_address = localhost
server_port = {office.port("pop3")}
local_address = 127.0.0.1

[SMTP-{self.smtp}]
server_address = localhost
server_port = {office.port("smtp")}
server_starttls = True
local_address = 127.0.0.1

[{user}]
permission_url = {office.tenant.people_url}/{firm["tenant_id"]}/oauth2/v2.0/authorize
token_url = {endpoints["authority"]}{firm["tenant_id"]}/oauth2/v2.0/token
oauth2_scope = https://outlook.office.com/POP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access
redirect_uri = http://localhost:{web}
client_id = {firm["client_id"]}
client_secret = {firm["client_secret"]}
""",
            encoding="utf-8",
        )
        command = [sys.executable, "-u", "-m", "emailproxy", "--no-gui", "--local-server-auth"]
        self.process = subprocess.Popen(
            [*command, "--config-file", str(config), "--log-file", str(folder / "log"), "--debug"],
            cwd=folder,
            env={
                **os.environ,
                "SSL_CERT_FILE": office.ca,
            },  # its TLS is Python's, which OpenSSL's variable tells
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said: list[str] = []
        self.ready = threading.Event()
        self._people: list[threading.Thread] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            asked = re.search(r"http://\S+/authorize\?\S+", line)
            if asked is not None and not self._people:
                known = (asked[0], self.user, self.office.password(self.user))
                person = threading.Thread(target=sign_in_as_a_person, args=known, daemon=True)
                self._people.append(person)
                person.start()
            if "Initialised Email OAuth 2.0 Proxy" in line:
                self.ready.set()
        self.ready.set()

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self._reader.join(20)
        if self.process.stdout is not None:
            self.process.stdout.close()
        for person in self._people:
            person.join(20)
        self._ports.close()


@pytest.fixture
def proxy(office: Office, tmp_path: Path) -> Iterator[Proxy]:
    made = Proxy(office, tmp_path, ANNA)
    try:
        assert made.ready.wait(30), made.said
        assert made.process.poll() is None, made.said
        yield made
    finally:
        made.close()


def test_emailproxy_retrieves_and_sends_for_a_program_that_knows_only_passwords(
    office: Office, proxy: Proxy
) -> None:
    with closing(poplib.POP3("127.0.0.1", proxy.pop3, timeout=60)) as pop:
        pop.user(ANNA)
        assert pop.pass_("a password for the proxy alone").startswith(b"+OK"), proxy.said
        assert pop.stat()[0] == len(office.mailbox(ANNA).messages)
        first = office.mailbox(ANNA).messages[0].raw
        assert b"\r\n".join(pop.retr(1)[1]) == first.removesuffix(b"\r\n")
        pop.quit()
    with smtplib.SMTP("127.0.0.1", proxy.smtp, timeout=60) as smtp:
        smtp.login(ANNA, "a password for the proxy alone")
        smtp.sendmail(ANNA, [MAX], f"From: {ANNA}\r\nSubject: by proxy\r\n\r\nHello\r\n".encode())
    assert "by proxy" in _subjects(office.mailbox(MAX))
    assert not any(entry.outcome.startswith("AUTH LOGIN") for entry in office.tenant.state.log)

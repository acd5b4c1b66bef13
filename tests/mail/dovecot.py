"""Runs a Dovecot with ports and folders of its own: POP3, IMAP and submission with XOAUTH2 and OAUTHBEARER."""

import getpass
import grp
import http.server
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trustme
from aiosmtpd.controller import Controller

from msoauth.clouds import Endpoint
from tests.ports import reserved_port
from tests.processes import terminate

_TOKEN = "good-token-planted-marker."


def token_for(user: str) -> str:
    """The access token that this Dovecot accepts for *user*."""
    return f"{_TOKEN}{user}"


class _Introspection(http.server.BaseHTTPRequestHandler):
    """Tells Dovecot whose a token is (token introspection, RFC 7662)."""

    def do_GET(self) -> None:
        token = parse_qs(urlsplit(self.path).query).get("token", [""])[0]
        answer: dict[str, Any] = {"active": "false"}
        if token.startswith(_TOKEN):
            user = token.removeprefix(_TOKEN)
            answer = {"active": "true", "username": user, "email": user}
        body = json.dumps(answer).encode()
        self.send_response(200 if token.startswith(_TOKEN) else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_about: Any) -> None:
        """Log nothing: the URLs contain tokens."""


class Sink:
    """Keeps the mail that the submission server relays."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(  # noqa: N802 - aiosmtpd names it
        self, _server: Any, _session: Any, envelope: Any
    ) -> str:
        self.mails.append(bytes(envelope.content))
        return "250 OK"


@dataclass
class Server:
    """A running Dovecot, and the mail that its submission server relayed."""

    home: Path
    ca_file: str
    ports: dict[str, int]
    sink: Sink
    relay: int  # the port where the sink takes mail

    @property
    def base(self) -> Path:
        return self.home.parent

    def endpoint(self, name: str) -> Endpoint:
        return Endpoint("localhost", self.ports[name], "starttls" if name == "smtp" else "implicit")


@dataclass
class Dovecot:
    """One user's view of a running Dovecot."""

    server: Server
    user: str

    @property
    def token(self) -> str:
        return token_for(self.user)

    @property
    def ca_file(self) -> str:
        return self.server.ca_file

    def endpoint(self, name: str) -> Endpoint:
        return self.server.endpoint(name)

    @property
    def maildir(self) -> Path:
        return self.server.home / self.user / "Maildir"

    def deliver(self, *mails: bytes, folder: str = "") -> None:
        """Put mails into the inbox, or another folder by its name on the server."""
        place = self.maildir / (f".{folder}" if folder else "")
        for inner in ("new", "cur", "tmp"):
            (place / inner).mkdir(parents=True, exist_ok=True)
        for number, raw in enumerate(mails, len(list((place / "new").iterdir()))):
            (place / "new" / f"17{number:08d}.M{number}P1.contoso").write_bytes(raw)
        _chown_to_nobody(self.server.home / self.user)

    def files(self) -> list[str]:
        """The Maildir flags of every mail in the inbox."""
        kept = [f.name for inner in ("new", "cur") for f in (self.maildir / inner).iterdir()]
        return sorted(name.partition(":2,")[2] for name in kept)

    def mails(self) -> list[bytes]:
        """What was sent through submission with this user as its sender or recipient."""
        return [mail for mail in self.server.sink.mails if self.user.encode() in mail]


def _chown_to_nobody(folder: Path) -> None:
    """Give *folder* to the user as whom a Dovecot started by root works."""
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for place in (folder, *folder.rglob("*")):
            os.chown(place, nobody.pw_uid, nobody.pw_gid)


def wait_until_listening(port: int, server: "subprocess.Popen[bytes]") -> bool:
    """Wait until a server accepts connections; returns whether it does within a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        with suppress(subprocess.TimeoutExpired):
            server.wait(0.05)
    return False


def read_logs(*logs: Path) -> str:
    """The logs of a server that did not start."""
    return "\n".join(log.read_text(errors="replace") for log in logs if log.exists())


@contextmanager
def running_dovecot() -> Iterator[Server]:
    """Run Dovecot until the block ends."""
    with ExitStack() as stack:
        # A short path (a Unix socket's has 107 characters at most) that another user may enter.
        base = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="dc", ignore_cleanup_errors=True)
            )
        )
        base.chmod(0o755)
        introspection = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Introspection)
        stack.callback(introspection.server_close)
        stack.callback(introspection.shutdown)
        threading.Thread(target=introspection.serve_forever, daemon=True).start()
        sink = Sink()
        relay = Controller(
            sink,
            hostname="127.0.0.1",
            port=stack.enter_context(reserved_port()),
            ready_timeout=60,
        )
        relay.start()
        stack.callback(relay.stop)
        ca = trustme.CA()
        ca.cert_pem.write_to_path(base / "ca.pem")
        certificate = ca.issue_cert("localhost")
        certificate.private_key_and_cert_chain_pem.write_to_path(base / "server.pem")
        ports = {name: stack.enter_context(reserved_port()) for name in ("pop3", "imap", "smtp")}
        home = base / "home"
        home.mkdir()
        _chown_to_nobody(home)
        (base / "oauth2.conf").write_text(
            f"introspection_url = http://127.0.0.1:{introspection.server_address[1]}/introspect?token=\n"
            "introspection_mode = get\nusername_attribute = username\nactive_attribute = active\nactive_value = true\n"
        )
        config = base / "dovecot.conf"
        config.write_text(_config(base, ports, relay.port))
        program = shutil.which("dovecot") or "/usr/sbin/dovecot"
        said = stack.enter_context((base / "said").open("wb"))  # before it has opened its log
        server = stack.enter_context(
            subprocess.Popen([program, "-F", "-c", str(config)], stdout=said, stderr=said)
        )
        stack.callback(terminate, server)
        for port in ports.values():
            assert wait_until_listening(port, server), read_logs(base / "said", base / "log")
        yield Server(home, str(base / "ca.pem"), ports, sink, relay.port)


def _config(base: Path, ports: dict[str, int], relay: int) -> str:
    root = os.geteuid() == 0
    me = getpass.getuser()
    worker = "nobody" if root else me
    group = grp.getgrgid(pwd.getpwnam(worker).pw_gid).gr_name
    users = (
        "default_internal_user = dovecot\ndefault_login_user = dovenull\n"
        if root
        else (
            f"default_internal_user = {me}\ndefault_login_user = {me}\ndefault_internal_group = {group}\n"
        )
    )
    return f"""
base_dir = {base}/run
state_dir = {base}/state
instance_name = {base.name}
log_path = {base}/log
protocols = pop3 imap submission
listen = 127.0.0.1
ssl = required
ssl_cert = <{base}/server.pem
ssl_key = <{base}/server.pem
{users}first_valid_uid = 1
auth_mechanisms = xoauth2 oauthbearer
auth_failure_delay = 0
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {base}/oauth2.conf
}}
userdb {{
  driver = static
  args = uid={worker} gid={group} home={base}/home/%u
}}
mail_location = maildir:{base}/home/%u/Maildir
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener pop3s {{
    port = {ports["pop3"]}
    ssl = yes
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {ports["imap"]}
    ssl = yes
  }}
}}
service submission-login {{
  chroot =
  inet_listener submission {{
    port = {ports["smtp"]}
  }}
}}
service anvil {{
  chroot =
  # No penalty for addresses whose logins failed: all tests come from one.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  unix_listener {base}/sasl {{
    mode = 0666
  }}
}}
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
submission_relay_trusted = no
"""

"""The clients of the mail benchmark: each retrieves a whole mailbox over POP3 with XOAUTH2, a file for every message."""

import poplib
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from msoauth.clouds import Endpoint
from msoauth.mail.fetch import fetch
from msoauth.mail.pop3 import Pop3Session
from msoauth.mail.retry import RetryPolicy
from msoauth.mail.sasl import xoauth2
from msoauth.mail.transcript import Transcript
from tests.mail.dovecot import Dovecot

RETRIEVAL = """\
import sys
from pathlib import Path
from msoauth.clouds import Endpoint
from msoauth.mail.fetch import fetch
from msoauth.mail.pop3 import Pop3Session
from msoauth.mail.retry import RetryPolicy
port, user, token, ca, to = sys.argv[1:]
server = Endpoint("localhost", int(port), "implicit")
box = lambda: Pop3Session.open(server, user, token, ca_file=ca)
[None for _ in fetch(box, RetryPolicy(0), to=Path(to))]
"""


def ours(box: Dovecot, port: int, to: Path, transcript: Transcript | None = None) -> None:
    endpoint = Endpoint("localhost", port, "implicit")

    def log_in() -> Pop3Session:
        return Pop3Session.open(
            endpoint, box.user, box.token, transcript=transcript, ca_file=box.ca_file
        )

    for _row in fetch(log_in, RetryPolicy(0), to=to):
        pass


def fresh_process(box: Dovecot, port: int, to: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", RETRIEVAL, str(port), box.user, box.token, box.ca_file, str(to)],
        check=True,
    )


def _log_in(box: Dovecot, port: int) -> poplib.POP3_SSL:
    poplib._MAXLINE = 1 << 20  # type: ignore[attr-defined]
    context = ssl.create_default_context(cafile=box.ca_file)
    session = poplib.POP3_SSL("localhost", port, context=context)
    session._shortcmd("AUTH XOAUTH2")  # type: ignore[attr-defined]
    session._shortcmd(xoauth2(box.user, box.token))  # type: ignore[attr-defined]
    return session


def _keep(session: poplib.POP3_SSL, number: int, to: Path) -> None:
    _reply, lines, _octets = session.retr(number)
    (to / f"{number}.eml").write_bytes(b"\r\n".join(lines) + b"\r\n")


def plain_poplib(box: Dovecot, port: int, to: Path) -> None:
    session = _log_in(box, port)
    count, _size = session.stat()
    for number in range(1, count + 1):
        _keep(session, number, to)
    session.quit()


def the_least(box: Dovecot, port: int, to: Path, newest: int) -> None:
    """What any client must do that finds out what is new and knows already which: both lists, and those mails."""
    session = _log_in(box, port)
    session.list()
    session.uidl()
    count, _size = session.stat()
    for number in range(count - newest + 1, count + 1):
        _keep(session, number, to)
    session.quit()


def curl(box: Dovecot, port: int, to: Path) -> None:
    count = len(list((box.maildir / "new").iterdir())) + len(list((box.maildir / "cur").iterdir()))
    subprocess.run(
        [
            "curl",
            "--silent",
            "--show-error",
            "--cacert",
            box.ca_file,
            "--user",
            f"{box.user}:",
            "--oauth2-bearer",
            box.token,
            "--login-options",
            "AUTH=XOAUTH2",
            "--output",
            str(to / "#1.eml"),
            f"pop3s://localhost:{port}/[1-{count}]",
        ],
        check=True,
    )


def mpop(box: Dovecot, port: int, to: Path) -> None:
    for inner in ("cur", "new", "tmp"):
        (to / inner).mkdir()
    config = to / "mpoprc"
    config.write_text(
        f"account box\nhost localhost\nport {port}\ntls on\ntls_starttls off\ntls_trust_file {box.ca_file}\n"
        f"auth xoauth2\nuser {box.user}\npasswordeval echo {box.token}\nkeep on\nreceived_header off\n"
        f"uidls_file {to}/uidls\ndelivery maildir {to}\n"
    )
    config.chmod(0o600)
    subprocess.run(["mpop", "-C", str(config), "--quiet", "box"], check=True)


CONTENDERS: dict[str, Callable[[Dovecot, int, Path], None]] = {
    "msoauth": ours,
    "msoauth, fresh process": fresh_process,
    "poplib": plain_poplib,
    "curl": curl,
    "mpop": mpop,
}

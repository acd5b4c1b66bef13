"""Submission through a Postfix that asks Dovecot who may send."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from msoauth.clouds import Endpoint
from msoauth.errors import MailError
from msoauth.mail.round_trip import compose_test_mail
from msoauth.mail.smtp import SmtpSession
from msoauth.mail.transcript import Transcript
from tests.mail.dovecot import Dovecot, Server, read_logs, wait_until_listening
from tests.ports import reserved_port

pytestmark = pytest.mark.real("dovecot-core", "dovecot-submissiond", "postfix")

_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
smtp unix - - n - - smtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
_MAIN = """
compatibility_level = 3.6
queue_directory = {base}/queue
data_directory = {base}/data
maillog_file = {base}/log
maillog_file_prefixes = {base}
myhostname = mail.contoso.example
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_tls_cert_file = {dovecot}/server.pem
smtpd_tls_key_file = {dovecot}/server.pem
smtpd_tls_security_level = encrypt
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {dovecot}/sasl
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
message_size_limit = 100000
relayhost = [127.0.0.1]:{relay}
smtp_tls_security_level = none
"""


@pytest.fixture(scope="module")
def postfix(_server: Server) -> Iterator[int]:
    if os.geteuid() != 0:
        pytest.skip("Postfix's master can only be started by root")
    with (
        tempfile.TemporaryDirectory(prefix="pf", ignore_cleanup_errors=True) as folder,
        reserved_port() as port,
    ):
        base = Path(folder)
        base.chmod(0o755)
        for inner in ("conf", "queue", "data"):
            (base / inner).mkdir()
            (base / inner).chmod(0o755)  # whatever the umask of who runs this
        subprocess.run(["chown", "postfix", str(base / "data")], check=True)
        (base / "conf" / "master.cf").write_text(_MASTER.format(port=port))
        (base / "conf" / "main.cf").write_text(
            _MAIN.format(base=base, dovecot=_server.base, relay=_server.relay)
        )
        for file in (base / "conf").iterdir():
            file.chmod(0o644)
        command = ["postfix", "-c", str(base / "conf")]
        with (
            (base / "said").open("wb") as said,
            subprocess.Popen(
                [*command, "start-fg"], stdout=said, stderr=said, umask=0o022
            ) as server,
        ):
            try:
                assert wait_until_listening(port, server), read_logs(base / "said", base / "log")
                yield port
            finally:
                # "stop" would wait some seconds for processes that have nothing more to do.
                subprocess.run([*command, "abort"], check=False, capture_output=True)
                server.wait(20)


def _open(port: int, dovecot: Dovecot, token: str, transcript: Transcript) -> SmtpSession:
    return SmtpSession.open(
        Endpoint("localhost", port, "starttls"),
        dovecot.user,
        token,
        transcript=transcript,
        timeout=20,
        ca_file=dovecot.ca_file,
    )


def test_a_mail_with_umlauts_is_taken_whole(postfix: int, dovecot: Dovecot) -> None:
    transcript = Transcript()
    mail = compose_test_mail(dovecot.user, "jürgen@müller.example", "Grüße aus der Kanzlei")
    with _open(postfix, dovecot, dovecot.token, transcript) as session:
        session.check_sender(dovecot.user)
    with _open(postfix, dovecot, dovecot.token, transcript) as session:
        assert session.capabilities["SIZE"] == "100000"
        assert session.send(mail, dovecot.user, ["jürgen@müller.example"]).startswith("250")
    said = transcript.text()
    assert "RCPT TO:<jürgen@xn--mller-kva.example>" in said
    assert "SMTPUTF8" in said
    assert dovecot.token not in said
    assert "Grüße" not in said  # of the mail only its size is recorded


def test_a_refused_token_is_told_with_the_challenge(postfix: int, dovecot: Dovecot) -> None:
    transcript = Transcript()
    with pytest.raises(MailError) as refused:
        _open(postfix, dovecot, "bad-token-planted", transcript)
    assert (refused.value.stage, refused.value.cause) == ("authenticate", "mail-login-rejected")
    assert "535" in refused.value.evidence
    assert "401" in str(refused.value.challenge)
    assert "bad-token-planted" not in transcript.text()


def test_a_mail_that_is_too_large_is_not_even_begun(postfix: int, dovecot: Dovecot) -> None:
    mail = EmailMessage()
    mail["Subject"] = "gross"
    mail.set_content("x" * 70 + "\n" * 1, cte="8bit")
    mail.add_attachment(b"x" * 120_000, maintype="application", subtype="octet-stream")
    transcript = Transcript()
    with _open(postfix, dovecot, dovecot.token, transcript) as session:
        with pytest.raises(MailError) as refused:
            session.send(mail, dovecot.user, ["ben@contoso.example"])
        assert refused.value.cause == "message-rejected"
    assert "MAIL FROM" not in transcript.text()

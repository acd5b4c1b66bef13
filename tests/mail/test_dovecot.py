"""Retrieval and sending against servers that nobody here wrote."""

from pathlib import Path

import pytest

from msoauth.errors import MailError
from msoauth.mail.fetch import fetch
from msoauth.mail.imap import open_imap
from msoauth.mail.pop3 import open_pop3
from msoauth.mail.smtp import open_smtp
from msoauth.mail.testmail import compose_test_mail
from msoauth.mail.transcript import Transcript
from tests.mail.dovecot import Dovecot

pytestmark = pytest.mark.real(
    "dovecot-core", "dovecot-pop3d", "dovecot-imapd", "dovecot-submissiond"
)

HEAD = b"From: J\xc3\xbcrgen <j@fabrikam.example>\r\nTo: anna@contoso.example\r\nDate: Mon, 02 Nov 2026 10:0%d:00 +0100\r\nSubject: %b\r\n\r\n"
MAILS = (
    HEAD % (1, b"Dots") + b".\r\n..two\r\n.one dot\r\nend\r\n",
    HEAD % (2, b"Long") + b"x" * 70_000 + b"\r\n",
    HEAD % (3, "Straße".encode()) + bytes(range(128, 256)) + b"\r\n",
    HEAD % (4, b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=") + b"plain\r\n" * 3000,
)


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
def test_mail_arrives_byte_for_byte_and_the_mailbox_stays_as_it_was(
    dovecot: Dovecot, tmp_path: Path, protocol: str
) -> None:
    dovecot.deliver(*MAILS)
    opener = open_imap if protocol == "imap" else open_pop3
    transcript = Transcript()

    def retrieve() -> list[str]:
        with opener(
            dovecot.endpoint(protocol),
            dovecot.user,
            dovecot.token,
            transcript=transcript,
            timeout=20,
            ca_file=dovecot.ca_file,
        ) as session:
            return [row.subject for row in fetch(session, to=tmp_path / "mail")]

    assert sorted(retrieve()) == ["Dots", "Grüße", "Long", "Straße"]
    assert sorted(f.read_bytes() for f in (tmp_path / "mail").glob("*.eml")) == sorted(MAILS)
    before = dovecot.files()
    assert len(before) == 4
    # Over POP3 it is Dovecot that marks what was read as seen; over IMAP we ask it not to.
    assert not any("T" in name or (protocol == "imap" and "S" in name) for name in before)
    assert len(retrieve()) == 4  # the second time out of the files
    assert dovecot.files() == before
    assert dovecot.token not in transcript.text()


def test_a_refused_token_is_told_with_the_servers_challenge(dovecot: Dovecot) -> None:
    with pytest.raises(MailError) as refused:
        open_pop3(
            dovecot.endpoint("pop3"),
            dovecot.user,
            "bad-token",
            transcript=Transcript(),
            timeout=20,
            ca_file=dovecot.ca_file,
        )
    assert refused.value.stage == "authenticate"
    assert "Authentication failed" in refused.value.evidence
    assert "401" in refused.value.evidence


def test_a_certificate_that_nobody_vouches_for_is_refused(dovecot: Dovecot) -> None:
    with pytest.raises(MailError) as refused:
        open_pop3(
            dovecot.endpoint("pop3"),
            dovecot.user,
            dovecot.token,
            transcript=Transcript(),
            timeout=20,
            ca_file=None,
        )
    assert refused.value.cause == "tls-untrusted"


def test_a_test_mail_goes_through_submission(dovecot: Dovecot) -> None:
    transcript = Transcript()
    mail = compose_test_mail(dovecot.user, "ben@fabrikam.example", subject="Grüße aus der Kanzlei")
    with open_smtp(
        dovecot.endpoint("smtp"),
        dovecot.user,
        dovecot.token,
        transcript=transcript,
        timeout=20,
        ca_file=dovecot.ca_file,
    ) as session:
        session.send(mail, dovecot.user, ["ben@fabrikam.example"])
    assert len(dovecot.mails()) == 1
    assert str(mail["Message-ID"]).encode() in dovecot.mails()[0]
    assert dovecot.token not in transcript.text()

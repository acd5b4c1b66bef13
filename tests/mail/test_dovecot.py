"""Retrieval and sending against servers that nobody here wrote."""

from pathlib import Path

import pytest

from msoauth.errors import MailError
from msoauth.mail.imap import ImapSession
from msoauth.mail.pop3 import Pop3Session
from msoauth.mail.round_trip import compose_test_mail
from msoauth.mail.smtp import SmtpSession
from msoauth.mail.transcript import Transcript
from tests.mail.dovecot import Dovecot
from tests.mail.fake_pop3 import fetch

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
    opener = ImapSession.open if protocol == "imap" else Pop3Session.open
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
        Pop3Session.open(
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
        Pop3Session.open(
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
    with SmtpSession.open(
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


def _pop3(dovecot: Dovecot, transcript: Transcript | None = None) -> Pop3Session:
    return Pop3Session.open(
        dovecot.endpoint("pop3"),
        dovecot.user,
        dovecot.token,
        transcript=transcript,
        timeout=20,
        ca_file=dovecot.ca_file,
    )


@pytest.mark.parametrize("token_is_good", [True, False])
@pytest.mark.parametrize("protocol", ["pop3", "imap", "imap without SASL-IR", "smtp"])
def test_oauthbearer_is_spoken_where_only_that_is_offered(
    dovecot: Dovecot, protocol: str, token_is_good: bool
) -> None:
    transcript = Transcript()
    token = dovecot.token if token_is_good else "bad-token-planted-marker"
    outcome: MailError | None = None
    try:
        if protocol == "pop3":
            pop3 = Pop3Session.connect(
                dovecot.endpoint("pop3"), transcript=transcript, ca_file=dovecot.ca_file
            )
            pop3.capabilities["SASL"] = ["OAUTHBEARER"]
            with pop3:
                pop3.log_in(dovecot.user, token)
        elif protocol == "smtp":
            smtp = SmtpSession.connect(
                dovecot.endpoint("smtp"), transcript=transcript, ca_file=dovecot.ca_file
            )
            smtp.capabilities["AUTH"] = "OAUTHBEARER"
            with smtp:
                smtp.log_in(dovecot.user, token)
                smtp.check_sender(dovecot.user)
        else:
            imap = ImapSession.connect(
                dovecot.endpoint("imap"), transcript=transcript, ca_file=dovecot.ca_file
            )
            imap.capabilities = imap.capabilities.replace(b"AUTH=XOAUTH2", b"")
            if "without" in protocol:
                imap.capabilities = imap.capabilities.replace(b"SASL-IR", b"")
            with imap:
                imap.log_in(dovecot.user, token)
    except MailError as refused:
        outcome = refused
    said = transcript.text()
    assert "OAUTHBEARER" in said
    assert token not in said
    if token_is_good:
        assert outcome is None, outcome
    else:
        assert outcome is not None
        assert (outcome.stage, outcome.cause) == ("authenticate", "mail-login-rejected")
        assert "invalid_token" in str(outcome.challenge) or "401" in str(outcome.challenge)


def test_an_imap_folder_is_read_without_a_trace(dovecot: Dovecot, tmp_path: Path) -> None:
    dovecot.deliver(*MAILS[:1])
    dovecot.deliver(*MAILS[2:], folder="Archive")
    transcript = Transcript()
    with ImapSession.open(
        dovecot.endpoint("imap"),
        dovecot.user,
        dovecot.token,
        transcript=transcript,
        timeout=20,
        ca_file=dovecot.ca_file,
    ) as session:
        assert session.messages == 1
        assert session.examine("Archive") == session.messages == 2
        headers = {
            uid: b"".join(pieces)
            for uid, pieces in session.retrieve(list(session.sizes()), headers_only=True)
        }
        assert all(raw.endswith(b"\r\n\r\n") for raw in headers.values())
        rows = list(fetch(session, to=tmp_path))
        assert sorted(row.subject for row in rows) == ["Grüße", "Straße"]
        with pytest.raises(MailError):
            session.examine("Nirgendwo")
    commands = [entry.text for entry in transcript.entries if entry.direction == "C"]
    assert not [line for line in commands if "SELECT" in line or "STORE" in line or "BODY[" in line]


def test_many_messages_come_through_the_window_in_order(dovecot: Dovecot, tmp_path: Path) -> None:
    mails = [b"Subject: %d\r\n\r\n" % n + b"line\r\n.\r\n" * (n % 50) for n in range(400)]
    dovecot.deliver(*mails)
    with _pop3(dovecot) as session:
        assert session.pipelining
        numbers = list(range(1, 401))
        came = [(n, b"".join(pieces)) for n, pieces in session.retrieve(numbers)]
        assert [n for n, _raw in came] == numbers
        assert sorted(raw for _n, raw in came) == sorted(mails)
        heads = [b"".join(raw) for _n, raw in session.retrieve(numbers[:5], headers_only=True)]
        assert all(head.startswith(b"Subject: ") for head in heads)
        assert not any(b"line" in head for head in heads)
        # Whoever looks at the beginning of a message only gets the next one whole all the same.
        some = session.retrieve([7, 8])
        next(next(some)[1])
        assert b"".join(next(some)[1]) == dict(came)[8]


def test_nothing_is_deleted_by_who_retrieves(dovecot: Dovecot) -> None:
    dovecot.deliver(*MAILS)
    transcript = Transcript()
    with _pop3(dovecot, transcript) as session:
        uids = session.uidl()
        list(fetch(session))
    assert "DELE" not in transcript.text()
    with _pop3(dovecot) as session:
        assert session.uidl() == uids
        assert len(uids) == len(MAILS)


def test_no_part_of_mail_knows_a_command_that_deletes_or_marks() -> None:
    import msoauth

    package = Path(msoauth.__file__).parent
    commands = [
        file.name
        for file in (package / "mail").rglob("*.py")
        if any(
            word in file.read_text(encoding="utf-8")
            for word in ("DELE", "EXPUNGE", "STORE ", "SELECT ")
        )
    ]
    assert commands == []

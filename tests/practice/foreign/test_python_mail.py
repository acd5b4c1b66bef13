"""Python's mail libraries against the practice tenant, unmodified: imapclient, imap_tools, aiosmtplib, getmail6."""

import asyncio
import email
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import aiosmtplib
import imap_tools
import imapclient
import pytest
from imapclient.exceptions import IMAPClientError, LoginError

from tests.practice.office import ANNA, MAX, Office

SUBJECT = "Klageschrift Müller ./. Weiß"


def a_mail(subject: str = SUBJECT) -> EmailMessage:
    """A mail with umlauts and an attached one."""
    inner = EmailMessage()
    inner["Subject"], inner["From"] = "attached", MAX
    inner.set_content("Anlage\r\n")
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = f"Anna Lindqvist <{ANNA}>", MAX, subject
    mail.set_content("Sehr geehrte Frau Müller,\r\n.\r\n..\r\nGrüße\r\n")
    mail.add_attachment(inner)
    return mail


@pytest.fixture
def imap(office: Office) -> imapclient.IMAPClient:
    client = imapclient.IMAPClient("localhost", office.port("imap"), ssl_context=office.tls)
    client.oauth2_login(ANNA, office.tokens[ANNA])
    return client


def test_imapclient_reads_searches_and_sorts_into_folders(
    office: Office, imap: imapclient.IMAPClient
) -> None:
    with imap:
        assert imap.has_capability("MOVE")
        assert imap.has_capability("UIDPLUS")
        assert imap.find_special_folder(b"\\Sent") == "Sent Items"
        assert imap.find_special_folder(b"\\Trash") == "Deleted Items"
        imap.create_folder("Mandate/Müller")
        assert ((b"\\HasNoChildren",), b"/", "Mandate/Müller") in [
            (tuple(f), s, n) for f, s, n in imap.list_folders()
        ]
        with pytest.raises(IMAPClientError, match="Mailbox already exists"):
            imap.create_folder("Mandate")
        imap.append("Mandate/Müller", a_mail().as_bytes(), flags=[imapclient.DRAFT])
        opened = imap.select_folder("Mandate/Müller")
        assert opened[b"EXISTS"] == 1
        assert b"$MDNSent" in opened[b"PERMANENTFLAGS"]
        (uid,) = imap.search(["UNSEEN", "DRAFT", "NOT", "DELETED", "LARGER", 10])
        found = imap.fetch(
            [uid], ["ENVELOPE", "BODYSTRUCTURE", "BODY.PEEK[2]", "FLAGS", "RFC822.SIZE"]
        )[uid]
        assert found[b"ENVELOPE"].from_[0].mailbox == b"anna.lindqvist"
        assert found[b"BODYSTRUCTURE"].is_multipart
        attached = email.message_from_bytes(found[b"BODY[2]"])
        assert attached["Subject"] == "attached"
        imap.copy([uid], "Archive")
        assert imap.folder_status("Archive")[b"MESSAGES"] == 1
        imap.move([uid], "Deleted Items")
        assert imap.search() == []
        imap.select_folder("Deleted Items")
        gone = imap.search()
        imap.add_flags(gone, [imapclient.DELETED])
        imap.uid_expunge(gone)
        assert imap.folder_status("Deleted Items")[b"MESSAGES"] == 0
        imap.delete_folder("Mandate/Müller")
        with pytest.raises(IMAPClientError, match=r"Command Argument Error\. 11"):
            imap.search(["KEYWORD", "$Forwarded"])


def test_imapclient_is_told_of_new_mail_while_it_idles(
    office: Office, imap: imapclient.IMAPClient
) -> None:
    with imap:
        number = imap.select_folder("INBOX")[b"EXISTS"]
        imap.idle()
        office.mailbox(ANNA).deliver(a_mail("idle").as_bytes())
        told: list[object] = []
        while (number + 1, b"EXISTS") not in told:
            told += imap.idle_check(timeout=20)
        imap.idle_done()


def test_a_wrong_token_is_refused_as_exchange_online_refuses_it(office: Office) -> None:
    for user, token in ((ANNA, "nonsense"), (MAX, "ey.J.x")):
        client = imapclient.IMAPClient("localhost", office.port("imap"), ssl_context=office.tls)
        with client, pytest.raises(LoginError, match=r"AUTHENTICATE failed\."):
            client.oauth2_login(user, token)


def test_imap_tools_reads_flags_and_moves(office: Office) -> None:
    office.mailbox(MAX).deliver(a_mail().as_bytes())
    box = imap_tools.MailBox("localhost", office.port("imap"), ssl_context=office.tls)
    with box.xoauth2(MAX, office.tokens[MAX]) as mailbox:
        newest = imap_tools.AND(seen=False, from_="Lindqvist")
        (mail,) = mailbox.fetch(newest, mark_seen=False)
        assert mail.subject == SUBJECT
        assert mail.from_ == ANNA
        assert [a.content_type for a in mail.attachments] == ["message/rfc822"]
        assert mail.uid is not None
        mailbox.flag(mail.uid, imap_tools.MailMessageFlags.FLAGGED, True)
        either = imap_tools.OR(flagged=True, answered=True)
        assert mailbox.uids(imap_tools.AND(either, imap_tools.NOT(deleted=True))) == [mail.uid]
        assert {f.name for f in mailbox.folder.list()} >= {"INBOX", "Sent Items", "Junk Email"}
        mailbox.folder.create("Akten")
        mailbox.move([mail.uid], "Akten")
        assert mailbox.folder.status("Akten")["MESSAGES"] == 1
        mailbox.folder.rename("Akten", "Alte Akten")
        mailbox.folder.set("Alte Akten")
        mailbox.delete(mailbox.uids())
        assert mailbox.uids() == []
        mailbox.folder.set("INBOX")
        with mailbox.idle as idle:
            office.mailbox(MAX).deliver(a_mail("idle").as_bytes())
            assert any(b"EXISTS" in line for line in idle.poll(timeout=20))


def test_aiosmtplib_sends_and_is_refused(office: Office) -> None:
    async def send() -> None:
        smtp = aiosmtplib.SMTP(
            hostname="localhost", port=office.port("smtp"), tls_context=office.tls, start_tls=True
        )
        async with smtp:
            await smtp.ehlo()
            assert smtp.supports_extension("chunking")
            assert smtp.supports_extension("smtputf8")
            with pytest.raises(aiosmtplib.SMTPAuthenticationError) as refused:
                await smtp.auth_xoauth2(ANNA, "nonsense")
            assert refused.value.code == 535
            assert refused.value.message.startswith("5.7.3 Authentication unsuccessful [")
            assert (await smtp.auth_xoauth2(ANNA, office.tokens[ANNA])).code == 235
            _errors, said = await smtp.send_message(a_mail())
            assert said.startswith("2.0.0 OK <")
            with pytest.raises(aiosmtplib.SMTPDataError) as denied:
                await smtp.sendmail(MAX, [ANNA], b"Subject: x\r\n\r\nx\r\n")
            assert denied.value.message.startswith("5.2.252 SendAsDenied;")

    before = len(office.mailbox(MAX).messages)
    with ThreadPoolExecutor(1) as pool:  # a browser's test may keep this thread's loop running
        pool.submit(lambda: asyncio.run(send())).result(60)
    arrived = office.mailbox(MAX).messages[before].raw
    assert email.message_from_bytes(arrived).get_payload(1).get_content_type() == "message/rfc822"  # type: ignore[union-attr,unused-ignore]


@pytest.mark.skipif(sys.platform == "win32", reason="getmail6 does not run on Windows")
@pytest.mark.parametrize("protocol", ["IMAP", "POP3"])
def test_getmail6_retrieves_a_whole_mailbox_once(
    office: Office, tmp_path: Path, protocol: str
) -> None:
    token = tmp_path / "token"
    token.write_text(office.tokens[ANNA], encoding="utf-8")
    rc, box = tmp_path / "getmailrc", tmp_path / "box"
    rc.write_text(
        f"""
[retriever]
type = Simple{protocol}SSLRetriever
server = localhost
port = {office.port(protocol.lower())}
username = {ANNA}
use_xoauth2 = true
password_command = ("cat", "{token}")
ca_certs = {office.ca}
[destination]
type = MDA_external
path = /usr/bin/tee
arguments = ("-a", "{box}")
unixfrom = true
allow_root_commands = true
[options]
read_all = false
delivered_to = false
received = false
""",
        encoding="utf-8",
    )
    program = Path(sys.executable).with_name("getmail")
    for _run in range(2):
        done = subprocess.run(
            [program, "--getmaildir", str(tmp_path), "--rcfile", str(rc)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        kept = box.read_bytes().replace(b"\r\n", b"\n")
        bodies = [
            message.raw.replace(b"\r\n", b"\n").partition(b"\n\n")[2].strip()
            for message in office.mailbox(ANNA).messages
        ]
        assert [body[:60] for body in bodies if body not in kept] == []
        assert kept.count(b"From unknown ") == len(bodies)

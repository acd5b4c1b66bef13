"""The parts of odd mails over IMAP, byte for byte as a real Dovecot hands them over (RFC 3501, 6.4.5 and 7.4.2)."""

import imaplib
import re
import ssl
from collections.abc import Iterator

import pytest

from msoauth.practice.exchange.imap.structure import bodystructure, envelope, parse
from tests.mail.dovecot import Dovecot, running_dovecot
from tests.practice.exchange.conftest import Exchange
from tests.practice.exchange.test_imap import ANNA, log_in

MAILS = {
    "plain": b"From: a@b.example\r\nSubject: x\r\n\r\nHi\r\nyou\r\n",
    "latin1": b"Subject: Gr\xfc\xdfe aus Wien\r\nContent-Type: TEXT/Plain; CharSet=ISO-8859-1\r\n"
    b"Content-Transfer-Encoding: 8BIT\r\nContent-Language: de, en\r\nContent-MD5: abc\r\n"
    b"Content-Location: here\r\nContent-ID: <1@x>\r\nContent-Description: a b\r\n\r\nGr\xfc\xdfe\r\n",
    "nested": b'Subject: n\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="a"\r\n\r\n'
    b"preamble\r\n--a\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n"
    b"Content-Type: text/html; format=flowed\r\n\r\n<p>\r\n\r\n--b--\r\nepilogue\r\n--a\r\n"
    b'Content-Type: message/rfc822\r\nContent-Disposition: attachment; filename="x.eml"\r\n\r\n'
    b"Subject: in\r\nFrom: q@r.example\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n"
    b"inner\r\n--c\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n--c--\r\n\r\n--a\r\n"
    b'Content-Type: application/pdf; name="p.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n'
    b"\r\n--a--\r\nepilogue\r\n",
    "attached": b"Content-Type: multipart/mixed; boundary=d\r\n\r\n--d\r\nContent-Type: text/plain\r\n\r\nsee\r\n"
    b"--d\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: S\xfc\xdf\r\n"
    b"To: b@c.example\r\n\r\nbody \xe4\r\nsecond\r\n--d--\r\n",
    "parameters": b"Content-Type: application/x; name*0=abc; name*1=\"d;e\"; x=y\r\n"
    b"Content-Disposition: Attachment; filename*=utf-8''%e2%82%ac.txt; size=3\r\n\r\nx\r\n",
    "digest": b"Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: i\r\n\r\nbody\r\n--d\r\n"
    b"Content-Type: text/plain\r\n\r\nt\r\n--d--\r\n",
    "unended": b"Content-Type: multipart/mixed; boundary=d\r\n\r\n--d\r\nContent-Type: text/plain\r\n\r\nnot ended",
    "no parts": b"Content-Type: multipart/mixed; boundary=zz\r\n\r\nnothing\r\n",
    "no boundary": b"Content-Type: multipart/mixed\r\n\r\nnothing\r\n",
    "empty parts": b"Content-Type: multipart/mixed; boundary=e\r\n\r\n--e\r\n\r\n--e\r\n\r\n\r\n--e--\r\n",
    "no header": b"\r\nbody\r\n",
    "folded": b"Subject: one\r\n two\r\n\tthree\r\nFrom: \"C, d\" <c@d.example>,\r\n e@f.example\r\n\r\nx\r\n",
    "groups": b"To: undisclosed-recipients:;\r\nCc: G: a@b.example, \"C \\\"d\\\"\" <c@d.example>;, "
    b"=?utf-8?q?x?= <e@f.example>\r\nBcc: h@i.example (Comment)\r\nReply-To:\r\n\r\nx\r\n",
    "quotes": b"Subject: a \"b\" \\c\r\nContent-Type: text/plain; x=\"a\\\"b\"\r\n\r\nx\r\n",
}  # fmt: skip
SECTIONS = (
    "", "HEADER", "TEXT", "1", "1.MIME", "2", "2.MIME", "2.HEADER", "2.TEXT", "3", "1.1", "1.2", "1.2.MIME", "2.1",
    "2.2", "2.1.MIME", "HEADER.FIELDS (Subject From)", "HEADER.FIELDS.NOT (Subject)",
    "2.HEADER.FIELDS (SUBJECT)", "2.HEADER.FIELDS.NOT (Subject)",
)  # fmt: skip


def structures(imap: imaplib.IMAP4, number: int) -> dict[str, bytes]:
    """ENVELOPE, BODY and BODYSTRUCTURE as they are on the wire, but for the form of their strings."""
    found = {}
    for item in ("ENVELOPE", "BODY", "BODYSTRUCTURE"):
        pieces = imap.fetch(str(number), f"({item})")[1]
        wire = b"".join(
            piece if isinstance(piece, bytes) else b"\r\n".join(piece or ()) for piece in pieces
        )
        found[item] = _quoted(wire.removesuffix(b")").partition(b"(%b " % item.encode())[2])
    return found


def _quoted(wire: bytes) -> bytes:
    """Every literal as a quoted string: which of the two is written, the server is free to choose."""
    while (literal := re.search(rb"\{(\d+)\}\r\n", wire)) is not None:
        end = literal.end() + int(literal[1])
        text = wire[literal.end() : end].replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        wire = wire[: literal.start()] + b'"' + text + b'"' + wire[end:]
    return wire


def sections(imap: imaplib.IMAP4, number: int) -> dict[str, bytes]:
    """The bytes of every section; one that is not there has none."""
    found = {}
    for name in SECTIONS:
        piece = imap.fetch(str(number), f"(BODY.PEEK[{name}])")[1][0]
        found[name] = piece[1] if isinstance(piece, tuple) else b""
    return found


@pytest.fixture(scope="module")
def by_dovecot() -> Iterator[dict[str, tuple[dict[str, bytes], dict[str, bytes]]]]:
    with running_dovecot() as server:
        account = Dovecot(server, ANNA)
        account.deliver(*MAILS.values())
        tls = ssl.create_default_context(cafile=account.ca_file)
        with imaplib.IMAP4_SSL("localhost", server.ports["imap"], ssl_context=tls) as imap:
            said = f"user={ANNA}\x01auth=Bearer {account.token}\x01\x01".encode()
            imap.authenticate("XOAUTH2", lambda _challenge: said)
            imap.select("INBOX", readonly=True)
            yield {
                name: (structures(imap, number), sections(imap, number))
                for number, name in enumerate(MAILS, 1)
            }


@pytest.mark.real("dovecot-core", "dovecot-imapd")
@pytest.mark.parametrize("name", MAILS)
def test_parts_and_structures_are_those_of_a_real_dovecot(
    exchange: Exchange, by_dovecot: dict[str, tuple[dict[str, bytes], dict[str, bytes]]], name: str
) -> None:
    exchange.mailbox(ANNA).messages.clear()
    exchange.mailbox(ANNA).deliver(MAILS[name])
    imap = imaplib.IMAP4_SSL("localhost", exchange.port("imap"), ssl_context=exchange.client)
    with imap:
        said = f"user={ANNA}\x01auth=Bearer {exchange.token()}\x01\x01".encode()
        imap.authenticate("XOAUTH2", lambda _challenge: said)
        imap.select("INBOX", readonly=True)
        expected_structures, expected_sections = by_dovecot[name]
        assert sections(imap, 1) == expected_sections
        assert structures(imap, 1) == expected_structures


def test_a_part_that_is_not_there_is_nil(exchange: Exchange) -> None:
    imap, _answer = log_in(exchange)
    imap.send("A3 SELECT INBOX")
    while not imap.line().startswith("A3"):
        pass
    assert imap.ask("A4 FETCH 1 (BODY.PEEK[2])") == "* 1 FETCH (BODY[2] NIL)"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"Kanzlei", b'((NIL NIL "Kanzlei" ""))'),
        (b"Kanzlei <kanzlei>", b'(("Kanzlei" NIL "kanzlei" ""))'),
        (b"Rechtsanw\xe4ltin Lindqvist", b'((NIL NIL {24}\r\nRechtsanw\xe4ltin Lindqvist ""))'),
        (b'"a b"@c.example', b'((NIL NIL "a b" "c.example"))'),
        (b"a@b@c.example", b'((NIL NIL "a@b" "c.example"))'),
        (b"<>", b'((NIL NIL "" ""))'),
        (b",,", b"NIL"),
    ],
)
def test_an_address_without_a_domain_is_a_local_part(field: bytes, expected: bytes) -> None:
    root = parse(b"From: " + field + b"\r\n\r\n")
    assert envelope(root).split(b" ", 2)[2].startswith(expected)


def test_a_hostile_nesting_is_bounded() -> None:
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(3000)
    )
    assert len(bodystructure(parse(deep), extended=True)) < 10_000
    wide = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\n" * 50_000
    assert len(parse(wide).children) == 1000
    assert re.match(rb"\(NIL", envelope(parse(b"From: " + b"<" * 50_000 + b"\r\n\r\n")))

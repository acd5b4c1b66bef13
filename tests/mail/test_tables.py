"""What a table shows of mails that other clients were found to read rightly (docs/facts: foreign clients)."""

import binascii
import os
from collections.abc import Iterable

import pytest

from msoauth.mail.messages import MessageSummary, summary_of
from msoauth.mail.structure import scan


def summary(text: bytes, piece: int = 0) -> MessageSummary:
    """The summary of a mail that is fed whole, or in pieces of that many bytes."""
    raw = text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    size = piece or len(raw)
    return summary_of("1", scan(raw[n : n + size] for n in range(0, len(raw), size)))


def listed(text: bytes, piece: int = 0) -> list[tuple[str, int | None]]:
    return [(a.name, a.size) for a in summary(text, piece).attachments]


def mixed(*parts: bytes, kind: bytes = b"mixed", boundary: bytes = b"boundary=b") -> bytes:
    head = b"Subject: x\nContent-Type: multipart/" + kind + b"; " + boundary + b"\n\n"
    return head + b"".join(b"--b\n" + part + b"\n" for part in parts) + b"--b--\n"


def uuencoded(content: bytes, backtick: bool) -> bytes:
    lines = [
        binascii.b2a_uu(content[n : n + 45], backtick=backtick) for n in range(0, len(content), 45)
    ]
    return b"begin 644 brief.pdf\n" + b"".join(lines) + (b"`\n" if backtick else b" \n") + b"end\n"


@pytest.mark.parametrize("backtick", [True, False])
@pytest.mark.parametrize("size", [0, 1, 44, 45, 46, 5000])
@pytest.mark.parametrize("encoding", [b"x-uuencode", b"X-UUE", b"uuencode"])
def test_a_uuencoded_attachment_has_the_size_of_its_content(
    encoding: bytes, size: int, backtick: bool
) -> None:
    part = b"Content-Type: application/pdf; name=brief.pdf\nContent-Transfer-Encoding: " + encoding
    text = mixed(b"\nHello", part + b"\n\n" + uuencoded(os.urandom(size), backtick) + b"trailing")
    for piece in (0, 7, 1000):
        assert listed(text, piece) == [("brief.pdf", size)]


@pytest.mark.parametrize(
    "boundary",
    [b"boundary*0=b", b'boundary*0="b"', b"boundary*=us-ascii''b", b"Boundary*0*=us-ascii'en'%62",
     b"x=1;\n boundary*0=b;\n charset=utf-8"],
)  # fmt: skip
def test_a_boundary_may_be_written_as_rfc_2231_has_it(boundary: bytes) -> None:
    pdf = b"Content-Type: application/pdf; name=a.pdf\n\n1234"
    assert listed(mixed(b"\nHello", pdf, boundary=boundary)) == [("a.pdf", 4)]


def test_a_boundary_in_several_pieces_is_put_together() -> None:
    text = mixed(b"\nHello", b"Content-Type: application/pdf; name=a.pdf\n\n1234").replace(
        b"--b", b"--first-second"
    )
    text = text.replace(b"boundary=b", b'boundary*1=-second; boundary*0="first"')
    assert listed(text) == [("a.pdf", 4)]


def test_the_headers_of_a_mail_are_no_attached_mail() -> None:
    report = mixed(
        b"\nNot delivered",
        b"Content-Type: message/delivery-status\n\nFinal-Recipient: x",
        b"Content-Type: message/rfc822-headers\n\nSubject: y",
        b"Content-Type: text/rfc822-headers\n\nSubject: y",
        kind=b"report",
    )
    assert listed(report) == []
    attached = b"Content-Type: message/rfc822-headers; name=h.txt\n\nabc"
    assert listed(mixed(b"\nHello", attached)) == [("h.txt", 3)]


def test_an_unindented_line_without_a_colon_belongs_to_no_field() -> None:
    text = b"Subject: Hello\nwhoever wrote this\n indented\nTo: anna@contoso.example,\n max@contoso.example\n\nx"
    found = summary(text)
    assert found.subject == "Hello"
    assert found.to == "anna@contoso.example, max@contoso.example"


def test_the_parts_of_a_digest_are_mails() -> None:
    text = mixed(
        b"\nSubject: one\n\nHello",
        b"Content-Type: message/rfc822\n\nSubject: two\n\nHi",
        b"Content-Type: text/plain\n\nThe list's greeting",
        kind=b"digest",
    )
    assert [name for name, _size in listed(text)] == ["(an attached mail)"] * 2
    inner = mixed(b"\nplain", kind=b"alternative").partition(b"\n")[2]
    assert listed(text.replace(b"--b--", b"--b\n" + inner.replace(b"b", b"c") + b"--b--"))[2:] == []


@pytest.mark.parametrize(
    ("part", "is_listed"),
    [
        (b"Content-Type: application/pdf", True),
        (b"Content-Type: application/octet-stream", True),
        (b"Content-Type: image/tiff", True),
        (b"Content-Type: text/csv", True),
        (b"Content-Type: application/ms-tnef", True),
        (b"Content-Type: image/png\nContent-ID: <a>", False),
        (b"Content-Type: image/png\nContent-Disposition: inline", False),
        (b"Content-Type: text/html; charset=utf-8", False),
        (b"Content-Type: TEXT/PLAIN", False),
        (b"Content-Type: text/calendar; method=REQUEST", False),
        (b"Content-Type: application/pkcs7-signature", False),
        (b"Content-Type: nonsense", False),
        (b"X-Other: 1", False),
    ],
)
def test_an_attachment_is_listed_without_name_and_disposition(part: bytes, is_listed: bool) -> None:
    expected = [("(without a name)", 4)] if is_listed else []
    assert listed(mixed(b"\nHello", part + b"\n\n1234")) == expected
    whole = b"Subject: a fax\n" + part + b"\n\n1234"
    assert listed(whole) == expected


def test_hostile_structures_cost_no_more() -> None:
    def pieces() -> Iterable[bytes]:
        yield b"Content-Type: multipart/mixed; " + b"boundary*0=a;" * 3000 + b"\n\n"
        yield b"Content-Transfer-Encoding: x-uuencode\n\n" + b"M" * 300_000

    assert summary_of("1", scan(pieces())).size > 300_000

"""What a message is made of is found out while it streams by, however it is cut into pieces."""

import base64
import email
import email.policy
import time
from email.message import EmailMessage

from hypothesis import given, settings
from hypothesis import strategies as st

from msoauth.mail.messages import MessageSummary, summary_of
from msoauth.mail.structure import Scanner, scan


def _mail(attachments: dict[str, bytes], *, newline: bytes = b"\r\n") -> bytes:
    message = EmailMessage()
    message["From"] = "Anna <anna@contoso.example>"
    message["Subject"] = "Akten"
    message.set_content("Guten Tag\n\nanbei die Akten.\n")
    message.add_alternative("<p>Guten Tag</p>", subtype="html")
    for name, content in attachments.items():
        message.add_attachment(
            content, maintype="application", subtype="octet-stream", filename=name
        )
    return message.as_bytes(policy=email.policy.SMTP).replace(b"\r\n", newline)


CONTENTS = {"Klage Entwurf.pdf": bytes(range(256)) * 9, "leer.txt": b"", "ein Byte": b"x"}


def _sizes(row: MessageSummary) -> dict[str, int | None]:
    return {attachment.name: attachment.size for attachment in row.attachments}


def test_attachments_have_their_names_and_exact_sizes() -> None:
    for newline in (b"\r\n", b"\n"):
        row = summary_of("1", scan([_mail(CONTENTS, newline=newline)]))
        assert _sizes(row) == {name: len(content) for name, content in CONTENTS.items()}


@given(st.lists(st.integers(0, 4000), max_size=30))
@settings(max_examples=60)
def test_it_does_not_matter_where_the_pieces_are_cut(cuts: list[int]) -> None:
    raw = _mail(CONTENTS)
    whole = scan([raw])
    places = sorted({min(cut, len(raw)) for cut in cuts})
    pieces = [raw[a:b] for a, b in zip([0, *places], [*places, len(raw)], strict=True)]
    cut = scan(pieces)
    assert cut.fields == whole.fields
    assert cut.parts == whole.parts
    assert cut.size == whole.size


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.integers(0, 3))
@settings(max_examples=60)
def test_nested_parts_are_found_as_pythons_own_parser_finds_them(
    contents: list[bytes], depth: int
) -> None:
    message = EmailMessage()
    message.set_content("text")
    for number, content in enumerate(contents):
        message.add_attachment(
            content, maintype="application", subtype="x", filename=f"f{number}.bin"
        )
    for _level in range(depth):
        outer = EmailMessage()
        outer.make_mixed()
        outer.attach(message)
        message = outer
    raw = message.as_bytes(policy=email.policy.SMTP)
    theirs = {
        part.get_filename(): len(part.get_payload(decode=True) or b"")
        for part in email.message_from_bytes(raw).walk()
        if part.get_filename()
    }
    assert _sizes(summary_of("1", scan([raw]))) == theirs


@given(st.binary(max_size=600))
@settings(max_examples=200)
def test_any_bytes_at_all_make_a_row(raw: bytes) -> None:
    row = summary_of("1", scan([raw]))
    assert row.size == len(raw)
    assert all(text.isprintable() for text in (row.from_, row.to, row.subject))


@given(
    st.lists(
        st.sampled_from(
            [
                b"Content-Type: multipart/mixed; boundary=a\r\n",
                b'Content-Type: multipart/mixed; boundary="b b"\r\n',
                b"Content-Type: message/rfc822\r\n",
                b"Content-Disposition: attachment; filename*=x''%zz\r\n",
                b'Content-Disposition: attachment; filename="=?utf-8?b?w?=\r\n',
                b"Subject: =?utf-8?q?=C3?= =?utf-8?q?=BC?=\r\n",
                b"Date: Mon, 99 Foo 0000 99:99:99 +9999\r\n",
                b"\r\n",
                b"\n",
                b"--a\r\n",
                b"--a--\r\n",
                b"--b b\r\n",
                b"--b b--\r\n",
                b"text\r\n",
                b"\x00\xff",
            ]
        ),
        max_size=40,
    )
)
@settings(max_examples=300)
def test_broken_structures_make_a_row_too(lines: list[bytes]) -> None:
    raw = b"".join(lines)
    assert summary_of("1", scan([raw])).size == len(raw)
    assert scan([raw]).parts == scan([raw[i : i + 1] for i in range(len(raw))]).parts


def test_ten_thousand_attachments_do_not_stall_the_table() -> None:
    part = b"--x\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nhello\r\n"
    raw = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + part * 10_000 + b"--x--\r\n"
    start = time.thread_time()
    row = summary_of("1", scan([raw]))
    assert time.thread_time() - start < 3
    assert len(row.attachments) + row.more_attachments == 10_000
    assert row.attachments[199].size == 5
    assert "9,800" in row.attachments_text()


def test_a_subject_of_ten_megabytes_is_cut_and_what_follows_it_is_found() -> None:
    raw = b"Subject: " + b"x" * (10 << 20) + b"\r\nFrom: anna@contoso.example\r\n\r\nhello"
    start = time.thread_time()
    seen = Scanner()
    for place in range(0, len(raw), 1 << 16):
        seen.feed(raw[place : place + (1 << 16)])
    seen.close()
    row = summary_of("1", scan([raw]))
    assert time.thread_time() - start < 3
    assert len(row.subject) == 2000
    assert row.from_ == "anna@contoso.example"
    assert len(seen.fields[b"subject"]) < 20_000


def test_nesting_a_hundred_deep_does_no_harm() -> None:
    raw = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(500)
    )
    raw += b"Content-Disposition: attachment; filename=deep.txt\r\n\r\nhello\r\n"
    raw += b"".join(b"--b%d--\r\n" % n for n in reversed(range(500)))
    start = time.thread_time()
    assert summary_of("1", scan([raw])).size == len(raw)
    assert time.thread_time() - start < 3
    shallow = raw.replace(b"b100", b"never")  # nothing beyond a hundred levels is looked into
    assert summary_of("1", scan([shallow])).size == len(shallow)


def test_lines_that_look_like_boundaries_by_the_million_cost_little() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n" + b"--y\n" * 1_000_000
    start = time.thread_time()
    assert scan([raw]).parts[0].size > 3_000_000
    assert time.thread_time() - start < 3


def test_an_attached_mail_is_one_attachment_and_its_own_are_its_own() -> None:
    inner = _mail({"innen.pdf": b"x"})
    raw = (
        b"Content-Type: multipart/mixed; boundary=outer\r\n\r\n"
        b"--outer\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--outer--\r\n"
    )
    row = summary_of("1", scan([raw]))
    assert [a.name for a in row.attachments] == ["(an attached mail)"]
    assert row.attachments[0].size == len(inner)


def test_a_part_whose_header_does_not_end_is_ended_by_the_boundary() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\nContent-Disposition: attachment; filename=a\r\n"
        b"--x\r\nContent-Disposition: attachment; filename=b\r\n\r\nhello\r\n--x--\r\n"
    )
    assert _sizes(summary_of("1", scan([raw]))) == {"a": 0, "b": 5}


def test_quoted_printable_is_counted_as_it_will_be_decoded() -> None:
    content = "Über alles hinaus =;\r\n".encode()
    encoded = b"=C3=9Cber alles=\r\n hinaus =3D;\r\n"
    raw = (
        b"Content-Type: text/plain; name=a.txt\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + encoded
    )
    assert _sizes(summary_of("1", scan([raw]))) == {"a.txt": len(content)}
    assert base64.b64encode(content)  # the other encoding is held above

"""Header fields of real mail, broken in the usual ways, are read as people would read them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msoauth.mail import headers
from msoauth.mail.messages import frame, summary_of
from msoauth.mail.structure import scan


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b"=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"),
        (b"=?UTF-8?B?R3LDvMOfZQ?=", "Grüße"),  # without its padding
        (b"=?UTF-8?B?R3LDvMOfZ?=", "Grüß"),  # cut in the middle
        (b"=?utf-8?q?Gr=C3?= =?utf-8?q?=BC=C3=9Fe?=", "Grüße"),  # a letter split over two words
        (b"=?utf-8?b?R3LDvA==?=\r\n =?utf-8?b?w59l?=", "Grüße"),
        (b"=?utf-8?q?eins?= zwei =?utf-8?q?drei?=", "eins zwei drei"),
        (b"Re:=?utf-8?q?_Gr=C3=BC=C3=9Fe?=", "Re: Grüße"),  # without a blank before it
        (b'"=?utf-8?q?M=C3=BCller=2C_Anna?=" <a@b.example>', '"Müller, Anna" <a@b.example>'),
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe aus Kassel?=", "Grüße aus Kassel"),  # blanks in a word
        (b"=?iso-8859-1?q?=80_100?=", "€ 100"),  # Windows' set under another name
        (b"=?us-ascii?q?Stra=DFe?=", "Straße"),
        (b"=?x-unknown?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b"=?utf-8?q?Stra=DFe?=", "Straße"),  # says UTF-8 and is not
        (b"=?utf-8*de?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),  # RFC 2231's language
        (b"=?gb2312?B?xOO6ww==?=", "你好"),
        (b"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        ("Straße".encode(), "Straße"),
        ("Straße".encode("latin-1"), "Straße"),
        (b"=?utf-8?q?", "=?utf-8?q?"),
        (b"=?punycode?q?maana-pta?=", "maana-pta"),
        (b"a\r\n\tb\x00\x1b[31mc", "a b [31mc"),
        ("rechts\u202egnp.exe".encode(), "rechts gnp.exe"),  # a name written backwards to deceive
        (b"", ""),
    ],
)
def test_a_field_is_read_as_people_would(raw: bytes, text: str) -> None:
    assert headers.decode_text(raw) == text


@given(st.binary(max_size=200))
def test_no_field_raises_and_all_are_one_printable_line(raw: bytes) -> None:
    assert headers.decode_text(b"=?utf-8?q?" + raw + b"?=").isprintable()
    assert headers.decode_text(raw).isprintable()
    headers.parse_date(raw)
    assert headers.file_name(b"attachment; filename=" + raw, raw).isprintable()


@pytest.mark.parametrize(
    ("raw", "when"),
    [
        (b" Mon, 02 Nov 2026 10:01:00 +0100", datetime(2026, 11, 2, 9, 1, tzinfo=UTC)),
        (b"Mon, 2 Nov 2026 10:01:00 +0100 (CET)", datetime(2026, 11, 2, 9, 1, tzinfo=UTC)),
        (b"2 Nov 26 10:01 GMT", datetime(2026, 11, 2, 10, 1, tzinfo=UTC)),
        (b"Mon, 02 Nov 2026 10:01:00 -0000", datetime(2026, 11, 2, 10, 1, tzinfo=UTC)),
        (b"", None),
        (b"gestern", None),
        (b"Mon, 99 Foo 2026 10:01:00 +0100", None),
        (b"Mon, 01 Jan 1601 00:00:00 +0000", None),
        (b"Fri, 31 Dec 9999 23:59:59 -1200", None),
        (b"Mon, 02 Nov 2026 10:01:00 +99999999999", None),
    ],
)
def test_dates_that_make_no_sense_are_none(raw: bytes, when: datetime | None) -> None:
    assert headers.parse_date(raw) == when


def test_without_a_date_of_its_own_the_day_of_receipt_stands() -> None:
    raw = (
        b"Received: from a by b; Tue, 03 Nov 2026 08:00:00 +0000\r\n"
        b"Received: from c by a; Mon, 02 Nov 2026 08:00:00 +0000\r\nDate: soon\r\n\r\n"
    )
    assert summary_of("1", scan([raw])).date == datetime(2026, 11, 3, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("disposition", "kind", "name"),
    [
        (b"attachment; filename=a.pdf", b"", "a.pdf"),
        (b'attachment; filename="Klage Entwurf.pdf"', b"", "Klage Entwurf.pdf"),
        (b"attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe.pdf", b"", "Grüße.pdf"),
        (b"attachment; filename*=iso-8859-1'de'Stra%DFe.pdf", b"", "Straße.pdf"),
        (b"attachment; filename*0=lang; filename*1=er.pdf", b"", "langer.pdf"),
        (b'attachment; filename="=?utf-8?q?Gr=C3=BC=C3=9Fe.pdf?="', b"", "Grüße.pdf"),
        (b'attachment; filename="Gr\xc3\xbc\xc3\x9fe.pdf"', b"", "Grüße.pdf"),
        (b'attachment; filename="Stra\xdfe.pdf"', b"", "Straße.pdf"),
        (b"attachment", b'application/pdf; name="a.pdf"', "a.pdf"),
        (b"inline", b"text/plain; charset=utf-8", ""),
        (b"attachment; filename*=nosuch''%C3%BC.pdf", b"", "ü.pdf"),
    ],
)
def test_file_names_are_found(disposition: bytes, kind: bytes, name: str) -> None:
    assert headers.file_name(disposition, kind) == name


def test_the_frame_has_types_and_takes_any_mail() -> None:
    table = frame(
        [
            summary_of("1", scan([b"\xff\x00"])),
            summary_of("2", scan([b"Date: Mon, 02 Nov 2026 10:01:00 +0100\r\n\r\n"])),
        ]
    )
    assert str(table["date"].dtype).startswith("datetime64[")
    assert "UTC" in str(table["date"].dtype)
    assert table["size"].dtype == "int64"
    assert list(table["uidl"]) == ["1", "2"]
    assert frame([]).empty


@pytest.mark.parametrize(
    ("raw", "when"),
    [
        (
            (
                b"Received: from a by b; Mon, 2 Nov 2026\r\n 10:01:00 +0100\r\n"
                b"Received: from c by a; Sun, 1 Nov 2026 10:01:00 +0100\r\nDate: 1 Oct 2026 10:01 +0000\r\n"
            ),
            datetime(2026, 11, 2, 9, 1, tzinfo=UTC),
        ),
        (
            b"Received: by b\r\nDate: 1 Oct 2026 10:01 -0000\r\n",
            datetime(2026, 10, 1, 10, 1, tzinfo=UTC),
        ),
        (b"Subject: Date: 1 Oct 2026\r\n\r\nDate: 1 Oct 2026 10:01 +0000\r\n", None),
    ],
)
def test_a_mail_arrived_when_the_last_server_wrote_so_else_at_its_own_date(
    raw: bytes, when: datetime | None
) -> None:
    assert headers.arrival_date(raw) == when

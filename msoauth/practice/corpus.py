"""Mail as law firms get it: umlauts, attachments, long lines, lines that begin with a dot, odd encodings."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache


def _mail(number: int, sender: Address, subject: str, text: str, when: datetime) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = Address("Kanzlei", "office", "contoso.example")
    message["Subject"] = subject
    message["Date"] = format_datetime(when)
    message["Message-ID"] = f"<{number}.{int(when.timestamp())}@fabrikam.example>"
    message.set_content(text)
    return message


def typical(count: int = 12) -> Sequence[bytes]:
    """*count* sample mails, oldest first, the newest of yesterday; the same bytes for every mailbox on one day."""
    return _mails_until(datetime.now(UTC).date() - timedelta(days=1), count)


@cache
def _mails_until(yesterday: date, count: int) -> Sequence[bytes]:
    newest = datetime.combine(yesterday, time(11, 15), UTC)
    start = newest - timedelta(hours=9 * (count - 1))
    court = Address("Amtsgericht Köln – Geschäftsstelle", "geschaeftsstelle", "gericht.example")
    client = Address("Jürgen Müßig", "j.muessig", "fabrikam.example")
    notary = Address("Zoë O’Brien (Notary)", "zoe", "notary.example")
    mails = [*_special(court, client, notary, start)]
    while len(mails) < count:
        number = len(mails)
        when = start + timedelta(hours=9 * number)
        text = f"Sehr geehrte Damen und Herren,\n\nin der Sache {number}/26 bitten wir um Rückmeldung bis Freitag.\n\nMit freundlichen Grüßen\n"
        mails.append(
            _mail(number, client, f"Rückfrage zur Akte {number}/26", text, when).as_bytes()
        )
    return tuple(mails[:count])


def _special(court: Address, client: Address, notary: Address, start: datetime) -> list[bytes]:
    hours = timedelta(hours=7)
    letter = _mail(
        1,
        court,
        "Ladung zum Termin am 14. Dezember – bitte bestätigen",
        "Der Termin ist verlegt auf den 14. Dezember, 10:30 Uhr, Saal 3.\n",
        start,
    )
    scan = _mail(
        2,
        client,
        "Vollmacht & Anlage K1 (Übersicht)",
        "Anbei die unterschriebene Vollmacht.\n",
        start + hours,
    )
    scan.add_attachment(
        b"%PDF-1.4\n" + bytes(range(256)) * 40,
        maintype="application",
        subtype="pdf",
        filename="Vollmacht Müßig.pdf",
    )
    scan.add_attachment(
        "Posten;Betrag\nGebühr;1.234,56 €\n", subtype="csv", filename="Übersicht.csv"
    )
    dots = _mail(
        3,
        notary,
        "Draft deed, version .7",
        ".\n..\n. This line begins with a dot.\n\n.ende\nRegards\n",
        start + 2 * hours,
    )
    page = _mail(4, notary, "Closing checklist", "The checklist as text.\n", start + 3 * hours)
    page.add_alternative(
        "<html><body><h1>Closing</h1><p>See <b>§ 433 BGB</b> – fees: 1&nbsp;200&nbsp;€</p></body></html>",
        subtype="html",
    )
    zoned = format_datetime((start + 4 * hours).astimezone(timezone(timedelta(hours=1))))
    last = format_datetime(start + 5 * hours)
    # Broken on purpose, as real mail is: raw 8-bit in a header, a charset that lies, no Date, a very long line.
    eight_bit = (
        "From: =?iso-8859-1?Q?J=FCrgen_M=FC=DFig?= <j.muessig@fabrikam.example>\r\n"
        "To: office@contoso.example\r\nSubject: Stra\udcdfe geh\udcf6rt noch in den Vertrag\r\n"
        f"Date: {zoned}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nGr\udcfc\udcdfe\r\n"
    ).encode("ascii", "surrogateescape")
    undated = (
        b"From: scanner@contoso.example\r\nTo: office@contoso.example\r\nSubject: =?utf-8?Q?Scan_vom_Kopierer?=\r\n\r\n"
        + b"A" * 6000
        + b"\r\n"
    )
    split = (
        b"From: =?utf-8?B?WsO2w6sgT+KAmUJyaWVu?= <zoe@notary.example>\r\nTo: office@contoso.example\r\n"
        b"Subject: =?utf-8?Q?Eine_sehr_lange_Betreffzeile_mit_Stra=C3=9Fe_und_?=\r\n =?utf-8?Q?Umlauten_=C3=A4_=C3=B6_=C3=BC_am_Umbruch?=\r\n"
        b"Date: %b\r\nMessage-ID: <split@notary.example>\r\n\r\nKurz.\r\n" % last.encode()
    )
    return [
        letter.as_bytes(),
        scan.as_bytes(),
        dots.as_bytes(),
        page.as_bytes(),
        eight_bit,
        undated,
        split,
    ]

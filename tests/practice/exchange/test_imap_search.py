"""IMAP's SEARCH answers every key of RFC 3501, 6.4.4, and refuses what Exchange Online refuses."""

import pytest

from tests.practice.exchange.conftest import Exchange
from tests.practice.exchange.test_imap import ANNA, answers, log_in

NOVEMBER, DECEMBER = 1793959200, 1796551200  # 6 November and 6 December 2026, 10:00 UTC
MAILS = (
    (
        b"From: Ben <ben@fabrikam.example>\r\nTo: anna@contoso.example\r\nSubject: First\r\n"
        b"Date: Mon, 02 Nov 2026 23:30:00 -0800\r\nMessage-ID: <one@fabrikam.example>\r\n\r\nHello\r\n"
    ),
    (
        b"From: clara@contoso.example\r\nCc: dora@contoso.example\r\nBcc: eva@contoso.example\r\n"
        b"Subject: =?iso-8859-1?q?Gr=FC=DFe_aus_Wien?=\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"RGllIEtsYWdlc2NocmlmdA==\r\n"
    ),
    b"From: Ben <ben@fabrikam.example>\r\nSubject: Third\r\nX-Label:\r\n\r\n" + b"x" * 900,
)


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ("ALL", "1 2 3"),
        ("ANSWERED", "2"),
        ("UNANSWERED", "1 3"),
        ("DELETED", "3"),
        ("UNDELETED", "1 2"),
        ("DRAFT", ""),
        ("UNDRAFT", "1 2 3"),
        ("FLAGGED", "1"),
        ("UNFLAGGED", "2 3"),
        ("SEEN", "1"),
        ("UNSEEN", "2 3"),
        ("RECENT", "1 2 3"),
        ("OLD", ""),
        ("NEW", "2 3"),
        ("FROM ben", "1 3"),
        ("TO anna", "1"),
        ("CC dora", "2"),
        ("BCC eva", "2"),
        ('SUBJECT "wien"', "2"),
        ('SUBJECT "iso-8859"', ""),
        ("HEADER Message-ID fabrikam", "1"),
        ('HEADER X-Label ""', "3"),
        ("BODY hello", "1"),
        ("BODY klageschrift", "2"),
        ("BODY first", ""),
        ("TEXT first", "1"),
        ("LARGER 900", "3"),
        ("SMALLER 900", "1 2"),
        ("BEFORE 6-Nov-2026", ""),
        ("ON 6-Nov-2026", "1 2"),
        ('SINCE "7-Nov-2026"', "3"),
        ("SENTON 2-Nov-2026", "1"),
        ("SENTBEFORE 3-Nov-2026", "1"),
        ("SENTSINCE 3-Nov-2026", ""),
        ("UID 2:*", "2 3"),
        ("2:3 UNDELETED", "2"),
        ("NOT FROM ben", "2"),
        ("OR SEEN ANSWERED", "1 2"),
        ("OR (SEEN FLAGGED) (DELETED FROM ben)", "1 3"),
        ("NOT (OR SEEN ANSWERED)", "3"),
        ("not not seen", "1"),
        ("CHARSET US-ASCII UNSEEN", "2 3"),
        ("UNSEEN SINCE 1-Nov-2026 LARGER 10", "2 3"),
    ],
)
def test_it_answers_every_key(exchange: Exchange, keys: str, found: str) -> None:
    inbox = exchange.mailbox(ANNA).inbox
    inbox.messages.clear()
    inbox.next_uid = 1
    inbox.announced = 0
    inbox.append(MAILS[0], NOVEMBER, seen=True, flags=frozenset({"\\Flagged"}))
    inbox.append(MAILS[1], NOVEMBER, flags=frozenset({"\\Answered"}))
    inbox.append(MAILS[2], DECEMBER, flags=frozenset({"\\Deleted"}))
    imap, _answer = log_in(exchange)
    answers(imap, "A3 SELECT INBOX")
    expected = [f"* SEARCH {found}".rstrip(), "A4 OK SEARCH completed."]
    assert answers(imap, f"A4 SEARCH {keys}") == expected
    assert answers(imap, f"A4 UID SEARCH {keys}") == expected


@pytest.mark.parametrize(
    ("keys", "refusal"),
    [
        ("KEYWORD Invoice", "BAD Command Argument Error. 11"),
        ("UNKEYWORD Invoice", "BAD Command Argument Error. 11"),
        ("NONSENSE", "BAD The specified message set is invalid."),
        ("X-GM-RAW x", "BAD The specified message set is invalid."),
        ("MODSEQ 1", "BAD The specified message set is invalid."),
        ("SINCE yesterday", "BAD Command Argument Error. 11"),
        ("LARGER big", "BAD Command Argument Error. 11"),
        ("NOT", "BAD Command Argument Error. 11"),
        ("OR SEEN", "BAD Command Argument Error. 11"),
        (
            "CHARSET UTF-8 UNSEEN",
            "NO [BADCHARSET (US-ASCII)] The specified charset is not supported.",
        ),
        ("(", "BAD Command Argument Error. 12"),
    ],
)
def test_it_refuses_with_the_words_of_exchange_online(
    exchange: Exchange, keys: str, refusal: str
) -> None:
    imap, _answer = log_in(exchange)
    answers(imap, "A3 SELECT INBOX")
    assert answers(imap, f"A4 SEARCH {keys}") == [f"A4 {refusal}"]

"""IMAP's folders, and what UIDPLUS and MOVE announce (RFC 3501, 4315, 6851), with Exchange Online's words."""

import pytest

from tests.practice.exchange.conftest import MAILS, Dialogue, Exchange
from tests.practice.exchange.test_imap import ANNA, answers, log_in

MAIL = "Subject: put\r\n\r\nx\r\n"


@pytest.fixture
def imap(exchange: Exchange) -> Dialogue:
    session, _answer = log_in(exchange)
    return session


def append(imap: Dialogue, options: str, mail: str = MAIL) -> list[str]:
    """APPEND with a literal that the server is asked for."""
    assert (
        imap.ask(f"P1 APPEND {options} {{{len(mail)}}}") == "+ Ready for additional command text."
    )
    imap.send(mail)
    lines = [imap.line()]
    while not lines[-1].startswith("P1 "):
        lines.append(imap.line())
    return lines


def test_every_mailbox_has_the_folders_of_exchange_online(imap: Dialogue) -> None:
    assert answers(imap, 'A3 LIST "" "*"') == [
        '* LIST (\\HasNoChildren) "/" Archive',
        '* LIST (\\HasNoChildren) "/" Calendar',
        '* LIST (\\HasNoChildren) "/" Contacts',
        '* LIST (\\HasNoChildren) "/" "Conversation History"',
        '* LIST (\\HasNoChildren \\Trash) "/" "Deleted Items"',
        '* LIST (\\HasNoChildren \\Drafts) "/" Drafts',
        '* LIST (\\Marked \\HasNoChildren) "/" INBOX',
        '* LIST (\\HasNoChildren) "/" Journal',
        '* LIST (\\HasNoChildren \\Junk) "/" "Junk Email"',
        '* LIST (\\HasNoChildren) "/" Notes',
        '* LIST (\\HasNoChildren) "/" Outbox',
        '* LIST (\\HasNoChildren \\Sent) "/" "Sent Items"',
        '* LIST (\\HasNoChildren) "/" Tasks',
        "A3 OK LIST completed.",
    ]
    assert answers(imap, 'A4 LIST "" inbox')[0] == '* LIST (\\Marked \\HasNoChildren) "/" INBOX'
    assert answers(imap, 'A5 LIST "" ""')[0] == '* LIST (\\Noselect \\HasChildren) "/" ""'
    assert answers(imap, 'A6 XLIST "" "*"') == ["A6 BAD Command Error. 10"]


def test_folders_are_created_renamed_and_deleted(imap: Dialogue) -> None:
    assert answers(imap, 'A3 CREATE "Akten/2026/M&APw-ller"') == ["A3 OK CREATE completed."]
    assert answers(imap, "A4 CREATE akten") == ["A4 NO Mailbox already exists."]
    assert answers(imap, 'A5 LIST "" "Akten%"') == [
        '* LIST (\\HasChildren) "/" Akten',
        "A5 OK LIST completed.",
    ]
    assert answers(imap, 'A6 LIST "" "Akten*"')[1:3] == [
        '* LIST (\\HasChildren) "/" Akten/2026',
        '* LIST (\\HasNoChildren) "/" Akten/2026/M&APw-ller',
    ]
    assert answers(imap, "A7 RENAME Akten Mandate") == ["A7 OK RENAME completed."]
    assert answers(imap, "A8 SELECT Akten") == ["A8 NO Akten doesn't exist."]
    assert answers(imap, "A9 SELECT Mandate/2026/M&APw-ller")[0] == "* 0 EXISTS"
    assert answers(imap, "B1 DELETE Mandate") == ["B1 OK DELETE completed."]
    assert answers(imap, 'B2 LIST "" "Mandate*"') == ["B2 OK LIST completed."]
    for refused in ('DELETE "Sent Items"', "DELETE inbox", "RENAME Drafts D", "CREATE a//b"):
        assert answers(imap, f"B3 {refused}") == [f"B3 NO {refused.split()[0]} failed."]


def test_a_folder_created_again_has_another_uidvalidity(imap: Dialogue) -> None:
    seen = []
    for _ in range(2):
        answers(imap, "A3 CREATE x")
        seen.append(answers(imap, "A4 STATUS x (UIDVALIDITY UIDNEXT)")[0])
        answers(imap, "A5 DELETE x")
    assert seen[0] != seen[1]
    assert all(line.endswith("UIDNEXT 1)") for line in seen)


def test_renaming_the_inbox_moves_its_mail_away(imap: Dialogue) -> None:
    assert answers(imap, "A3 RENAME INBOX Old")[-1] == "A3 OK RENAME completed."
    assert answers(imap, "A4 STATUS INBOX (MESSAGES)")[0] == "* STATUS INBOX (MESSAGES 0)"
    assert answers(imap, "A5 STATUS Old (MESSAGES)")[0] == f"* STATUS Old (MESSAGES {len(MAILS)})"


def test_lsub_lists_what_is_subscribed(imap: Dialogue) -> None:
    assert answers(imap, "A3 UNSUBSCRIBE Notes") == ["A3 OK UNSUBSCRIBE completed."]
    assert answers(imap, 'A4 LSUB "" N%') == ["A4 OK LSUB completed."]
    assert answers(imap, "A5 SUBSCRIBE Notes") == ["A5 OK SUBSCRIBE completed."]
    assert answers(imap, 'A6 LSUB "" N%')[0] == '* LSUB (\\HasNoChildren) "/" Notes'
    assert answers(imap, "A7 SUBSCRIBE Nothing") == ["A7 NO Nothing doesn't exist."]


def test_what_uidplus_and_move_announce_works(exchange: Exchange, imap: Dialogue) -> None:
    answers(imap, "A3 SELECT INBOX")
    assert answers(imap, "A4 COPY 1,3 Archive") == ["A4 OK [COPYUID 2 1,3 1:2] COPY completed."]
    assert answers(imap, "A5 UID COPY 2 Archive") == ["A5 OK [COPYUID 2 2 3] COPY completed."]
    assert answers(imap, "A6 UID MOVE 1:2 Archive") == [
        "* OK [COPYUID 2 1:2 4:5]",
        "* 2 EXPUNGE",
        "* 1 EXPUNGE",
        "A6 OK MOVE completed.",
    ]
    assert answers(imap, "A7 STATUS Archive (MESSAGES UIDNEXT UNSEEN)") == [
        "* STATUS Archive (MESSAGES 5 UIDNEXT 6 UNSEEN 5)",
        "A7 OK STATUS completed.",
    ]
    assert answers(imap, "A8 MOVE 1 Nowhere") == ["A8 NO [TRYCREATE] Nowhere doesn't exist."]
    answers(imap, "A9 SELECT Archive")
    answers(imap, "B1 STORE 1:3 +FLAGS.SILENT (\\Deleted)")
    assert answers(imap, "B2 UID EXPUNGE 2:4") == [
        "* 3 EXPUNGE",
        "* 2 EXPUNGE",
        "B2 OK EXPUNGE completed.",
    ]
    assert answers(imap, "B3 EXPUNGE") == ["* 1 EXPUNGE", "B3 OK EXPUNGE completed."]
    assert [m.uid for m in exchange.mailbox(ANNA).folders["archive"].messages] == [4, 5]


def test_an_appended_mail_keeps_its_flags_and_date(imap: Dialogue) -> None:
    date = '"17-Oct-2011 20:38:01 +0100"'
    assert append(imap, f"Drafts (\\Seen \\Draft) {date}") == [
        "P1 OK [APPENDUID 7 1] APPEND completed."
    ]
    answers(imap, "A3 SELECT Drafts")
    assert answers(imap, "A4 FETCH 1 (FLAGS INTERNALDATE)")[0] == (
        '* 1 FETCH (FLAGS (\\Draft \\Recent \\Seen) INTERNALDATE "17-Oct-2011 19:38:01 +0000")'
    )
    assert append(imap, "INBOX ($Forwarded)") == ["P1 BAD Command Argument Error. 11"]
    assert append(imap, 'INBOX "yesterday"') == ["P1 BAD Command Argument Error. 11"]
    assert append(imap, "Nowhere") == ["P1 NO [TRYCREATE] Nowhere doesn't exist."]
    assert append(imap, "Drafts")[:2] == ["* 2 EXISTS", "* 2 RECENT"]
    append(imap, "Drafts", "Subject: LF alone\n\nx\n")
    assert answers(imap, "A5 FETCH 3 (RFC822.SIZE)")[0] == "* 3 FETCH (RFC822.SIZE 24)"


def test_another_sessions_mail_and_flags_are_told(exchange: Exchange, imap: Dialogue) -> None:
    answers(imap, "A3 SELECT INBOX")
    other, _answer = log_in(exchange)
    answers(other, "A3 SELECT INBOX")
    answers(other, "A4 STORE 3 +FLAGS (\\Deleted)")
    assert answers(imap, "A4 NOOP") == [
        "* 3 FETCH (FLAGS (\\Deleted))",
        "A4 OK NOOP completed.",
    ]
    answers(other, "A5 EXPUNGE")
    exchange.mailbox(ANNA).deliver(MAIL.encode())
    # Until the EXPUNGE is told, number 3 is the message that it was.
    assert answers(imap, "A5 FETCH 3 (UID)") == [
        "* 3 FETCH (UID 3)",
        "* 4 EXISTS",
        "* 1 RECENT",
        "A5 OK FETCH completed.",
    ]
    imap.send("A6 IDLE")
    assert [imap.line(), imap.line()] == [
        "+ IDLE accepted, awaiting DONE command.",
        "* 3 EXPUNGE",
    ]
    exchange.mailbox(ANNA).deliver(MAIL.encode())
    assert [imap.line(), imap.line()] == ["* 4 EXISTS", "* 2 RECENT"]
    assert imap.ask("A7 LOGOUT") == "A7 BAD Command received in Invalid state."
    assert imap.ask("DONE") == "A6 OK IDLE completed."
    # The session that was told first has them as \Recent, nobody else.
    assert answers(other, "A8 NOOP")[:2] == ["* 4 EXISTS", "* 0 RECENT"]
    assert answers(imap, "A9 SEARCH NEW")[0] == "* SEARCH 3 4"


def test_idle_ends_when_the_token_does(exchange: Exchange, imap: Dialogue) -> None:
    imap.send("A3 IDLE")
    assert imap.line() == "+ IDLE accepted, awaiting DONE command."
    exchange.state.faults.set("imap.token-expired", aim=ANNA)
    assert imap.line() == "* BYE Session invalidated - AccessTokenExpired"
    assert imap.closed()


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("FETCH 4 (FLAGS)", "BAD The specified message set is invalid."),
        ("STORE 9 +FLAGS (\\Seen)", "BAD The specified message set is invalid."),
        ("FETCH 0 (FLAGS)", "BAD The specified message set is invalid."),
        ("UID FETCH 99 (FLAGS)", "OK FETCH completed."),
        ("FETCH 1 (X-GM-LABELS)", "BAD Command Argument Error. 11"),
        ("FETCH 1 ()", "BAD Command Argument Error. 11"),
        ("FETCH 1 (BODY[0])", "BAD Command Argument Error. 11"),
        ("STORE 1 +FLAGS ($Forwarded)", "BAD Command Argument Error. 11"),
        ("UID STORE 1 +FLAGS (Label)", "BAD Command Argument Error. 11"),
        ("STATUS INBOX (HIGHESTMODSEQ)", "BAD Command Argument Error. 11"),
        ("FETCH 1", "BAD Command Argument Error. 12"),
        ('LIST "" "a" "b"', "BAD Command Argument Error. 12"),
        ("ENABLE CONDSTORE", "BAD Command Error. 10"),
        ("SORT (DATE) UTF-8 ALL", "BAD Command Error. 10"),
        ("GETQUOTAROOT INBOX", "BAD Command Error. 10"),
    ],
)
def test_what_exchange_online_does_not_know_is_refused_with_its_words(
    imap: Dialogue, command: str, answer: str
) -> None:
    answers(imap, "A3 SELECT INBOX")
    assert answers(imap, f"A4 {command}") == [f"A4 {answer}"]


@pytest.mark.parametrize(
    "command", ["CHECK", "CLOSE", "UNSELECT", "EXPUNGE", "FETCH 1 (UID)", "UID MOVE 1 x"]
)
def test_a_folder_must_be_selected_first(imap: Dialogue, command: str) -> None:
    assert answers(imap, f"A3 {command}") == ["A3 BAD Command received in Invalid state."]


def test_an_examined_folder_is_not_changed(exchange: Exchange, imap: Dialogue) -> None:
    answers(imap, "A3 EXAMINE INBOX")
    for command in ("STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "MOVE 1 Archive", "UID EXPUNGE 1"):
        assert answers(imap, f"A4 {command}") == ["A4 NO The folder was opened read-only."]
    assert answers(imap, "A5 COPY 1 Archive")[-1].startswith("A5 OK [COPYUID ")
    assert len(exchange.mailbox(ANNA).messages) == len(MAILS)

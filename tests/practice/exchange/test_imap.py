"""IMAP as Exchange Online speaks it (facts E3)."""

import base64
import imaplib
from datetime import timedelta

import pytest

from msoauth.practice.exchange import Limits, Timing
from tests.practice.exchange.conftest import MAILS, Dialogue, Exchange, Start, sasl

ANNA = "anna@contoso.example"
SHARED = "kanzlei@contoso.example"
BEFORE = "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+"
REFUSED = "A2 NO AUTHENTICATE failed."
NOT_CONNECTED = "BAD User is authenticated but not connected."


def greeted(exchange: Exchange) -> Dialogue:
    imap = exchange.dialogue("imap")
    assert imap.line().startswith("* OK The Microsoft Exchange IMAP4 service is ready. [")
    return imap


def log_in(exchange: Exchange, user: str = ANNA, token: str | None = None) -> tuple[Dialogue, str]:
    imap = greeted(exchange)
    return imap, imap.ask(f"A2 AUTHENTICATE XOAUTH2 {sasl(user, token or exchange.token())}")


def answers(imap: Dialogue, line: str) -> list[str]:
    """The lines up to the tagged one."""
    imap.send(line)
    tag = line.partition(" ")[0]
    lines = [imap.line()]
    while not lines[-1].startswith(f"{tag} "):
        lines.append(imap.line())
    return lines


def test_it_greets_and_lists_its_capabilities_as_exchange_online_does(exchange: Exchange) -> None:
    imap = exchange.dialogue("imap")
    greeting = imap.line()
    start = "* OK The Microsoft Exchange IMAP4 service is ready. ["
    assert greeting.startswith(start)
    host = base64.b64decode(greeting.removeprefix(start).removesuffix("]")).decode("utf-16-le")
    assert host.endswith(".outlook.office365.com")
    assert answers(imap, "A1 CAPABILITY") == [
        f"* CAPABILITY {BEFORE}",
        "A1 OK CAPABILITY completed.",
    ]
    assert imap.ask(f"A2 AUTHENTICATE XOAUTH2 {sasl(ANNA, exchange.token())}") == (
        "A2 OK AUTHENTICATE completed."
    )
    assert answers(imap, "A3 CAPABILITY")[0] == (
        "* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT "
        "CLIENTACCESSRULES CLIENTNETWORKPRESENCELOCATION BACKENDAUTHENTICATE CHILDREN IDLE NAMESPACE LITERAL+"
    )


def test_two_steps_work_as_well_as_one(exchange: Exchange) -> None:
    imap = greeted(exchange)
    assert imap.ask("A2 AUTHENTICATE XOAUTH2") == "+ "
    assert imap.ask(sasl(ANNA, exchange.token())) == "A2 OK AUTHENTICATE completed."
    opened = answers(imap, "A3 EXAMINE INBOX")
    assert opened[0] == f"* {len(MAILS)} EXISTS"
    assert opened[-1] == "A3 OK [READ-ONLY] EXAMINE completed."
    assert exchange.log()[-1] == "AUTHENTICATE XOAUTH2 accepted"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://graph.microsoft.com"},
        {"scp": "POP.AccessAsUser.All SMTP.Send"},
        {"exp": 1},
        {"nbf": 9999999999},
        {"iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000000/"},
        {"tid": "11111111-1111-1111-1111-111111111111"},
    ],
    ids=["graph", "scope", "expired", "not-yet", "issuer", "tenant"],
)
def test_a_token_that_is_not_good_is_refused_and_may_be_mended(
    exchange: Exchange, changes: dict[str, object]
) -> None:
    imap, answer = log_in(exchange, token=exchange.token(**changes))  # type: ignore[arg-type]
    assert answer == REFUSED
    assert imap.ask("A3 SELECT INBOX") == "A3 BAD Command received in Invalid state."
    again = imap.ask(f"A4 AUTHENTICATE XOAUTH2 {sasl(ANNA, exchange.token())}")
    assert again == "A4 OK AUTHENTICATE completed."


def test_a_good_token_for_another_mailbox_is_authenticated_but_not_connected(
    exchange: Exchange,
) -> None:
    imap, answer = log_in(exchange, "dora@contoso.example")
    assert answer == "A2 OK AUTHENTICATE completed."
    assert imap.ask("A3 SELECT INBOX") == f"A3 {NOT_CONNECTED}"
    assert imap.line() == "* BYE Connection closed. 14"
    assert imap.closed()


@pytest.mark.parametrize("broken", ["imap-off", "no-licence", "moved", "fault"])
def test_a_mailbox_that_does_not_open_shows_after_the_login(
    exchange: Exchange, broken: str
) -> None:
    if broken == "imap-off":
        exchange.mailbox(ANNA).imap_enabled = False
    elif broken == "no-licence":
        exchange.firm.users[ANNA].licensed = False
    elif broken == "moved":
        exchange.mailbox(ANNA).moved = True
    else:
        exchange.state.faults.set("imap.not-connected", aim=ANNA)
    imap, answer = log_in(exchange)
    assert answer == "A2 OK AUTHENTICATE completed."
    assert answers(imap, "A3 CAPABILITY")[-1] == "A3 OK CAPABILITY completed."
    assert imap.ask("A4 SELECT INBOX") == f"A4 {NOT_CONNECTED}"


def test_pop_may_be_off_while_imap_is_on(exchange: Exchange) -> None:
    exchange.mailbox(ANNA).pop_enabled = False
    imap, _ = log_in(exchange)
    assert answers(imap, "A3 SELECT INBOX")[-1] == "A3 OK [READ-WRITE] SELECT completed."


def test_a_shared_mailbox_opens_with_full_access(exchange: Exchange) -> None:
    imap, _ = log_in(exchange, SHARED)
    assert imap.ask("A3 SELECT INBOX") == f"A3 {NOT_CONNECTED}"
    exchange.mailbox(SHARED).full_access.add(ANNA)
    imap, _ = log_in(exchange, SHARED)
    assert answers(imap, "A3 SELECT INBOX")[0] == "* 1 EXISTS"


def test_an_app_without_full_access_is_not_connected(exchange: Exchange) -> None:
    token = exchange.app_token("IMAP.AccessAsApp", "sp-object-id")
    assert log_in(exchange, token=token)[1] == REFUSED
    exchange.firm.principal.exchange_object_id = "sp-object-id"
    imap, answer = log_in(exchange, token=token)
    assert answer == "A2 OK AUTHENTICATE completed."
    assert imap.ask("A3 SELECT INBOX") == f"A3 {NOT_CONNECTED}"
    exchange.mailbox(ANNA).full_access.add("sp-object-id")
    imap, _ = log_in(exchange, token=token)
    assert answers(imap, "A3 SELECT INBOX")[-1].startswith("A3 OK")


def test_passwords_are_over(exchange: Exchange) -> None:
    imap = greeted(exchange)
    answer = imap.ask(f'A1 LOGIN {ANNA} "marker-password"')
    assert answer == "A1 NO Basic authentication is disabled."
    plain = base64.b64encode(f"\0{ANNA}\0marker-password".encode()).decode()
    assert imap.ask(f"A2 AUTHENTICATE PLAIN {plain}") == "A2 NO Basic authentication is disabled."
    assert "marker-password" not in repr(exchange.state.log)


def test_after_three_failures_the_connection_is_closed(exchange: Exchange) -> None:
    imap = greeted(exchange)
    for number in range(3):
        assert imap.ask(f"A{number} AUTHENTICATE XOAUTH2 eA==") == (
            f"A{number} NO AUTHENTICATE failed."
        )
    assert imap.line() == "* BYE Connection closed. 14"
    assert imap.closed()


def test_a_session_ends_when_its_token_does(exchange: Exchange) -> None:
    now = int(exchange.state.clock.time())
    imap, answer = log_in(exchange, token=exchange.token(exp=now + 600))
    assert answer.startswith("A2 OK")
    exchange.state.clock.advance(timedelta(minutes=11))
    assert imap.ask("A3 NOOP") == "* BYE Session invalidated - AccessTokenExpired"
    assert imap.closed()


@pytest.mark.parametrize(
    ("fault", "command", "reply"),
    [
        (
            "imap.throttled",
            "A3 SELECT INBOX",
            "A3 BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds",
        ),
        ("imap.token-expired", "A3 SELECT INBOX", "* BYE Session invalidated - AccessTokenExpired"),
    ],
)
def test_faults_within_a_session(exchange: Exchange, fault: str, command: str, reply: str) -> None:
    exchange.state.faults.set(fault, aim=ANNA)
    assert log_in(exchange)[0].ask(command) == reply


def test_faults_at_the_login_and_inside_an_answer(exchange: Exchange) -> None:
    exchange.state.faults.set("imap.unavailable", aim=ANNA)
    assert log_in(exchange)[1] == "A2 NO Server Unavailable. 15"
    exchange.state.faults.clear("imap.unavailable")
    exchange.state.faults.set("imap.drop", aim=ANNA)
    imap, _ = log_in(exchange)
    assert answers(imap, "A3 EXAMINE INBOX")[-1].startswith("A3 OK")
    with pytest.raises((EOFError, OSError)):
        answers(imap, "A4 FETCH 1 BODY.PEEK[]")


def test_only_so_many_sessions_share_a_mailbox(start: Start) -> None:
    exchange = start(limits=Limits(sessions=2))
    first, _ = log_in(exchange)
    log_in(exchange)
    assert log_in(exchange)[1] == "* BYE Connection closed. 14"
    assert answers(first, "A9 LOGOUT")[-1] == "A9 OK LOGOUT completed."
    assert first.closed()
    assert log_in(exchange)[1].startswith("A2 OK")


def test_mail_is_read_through_imaplib_unmodified(exchange: Exchange) -> None:
    imap = imaplib.IMAP4_SSL("localhost", exchange.port("imap"), ssl_context=exchange.client)
    exchange.sockets.append(imap.sock)
    said = f"user={ANNA}\x01auth=Bearer {exchange.token()}\x01\x01".encode()
    imap.authenticate("XOAUTH2", lambda _challenge: said)
    assert imap.select("INBOX", readonly=True) == ("OK", [b"3"])
    assert imap.search(None, "SUBJECT", "First")[1] == [b"1"]
    for number, raw in enumerate(MAILS, 1):
        found = imap.fetch(str(number), "(FLAGS RFC822.SIZE BODY.PEEK[])")[1][0]
        assert isinstance(found, tuple)
        assert found[1] == raw
        assert f"RFC822.SIZE {len(raw)}".encode() in found[0]
    assert all(not message.seen for message in exchange.mailbox(ANNA).messages)
    imap.logout()


def test_reading_marks_as_seen_only_where_the_folder_may_be_written(exchange: Exchange) -> None:
    imap, _ = log_in(exchange)
    answers(imap, "A3 EXAMINE INBOX")
    answers(imap, "A4 FETCH 1 (BODY[HEADER])")
    assert not exchange.mailbox(ANNA).messages[0].seen
    answers(imap, "A5 SELECT INBOX")
    answers(imap, "A6 FETCH 1 (BODY[HEADER])")
    assert exchange.mailbox(ANNA).messages[0].seen
    assert (
        answers(imap, "A7 STORE 1 +FLAGS (\\Flagged)")[0] == "* 1 FETCH (FLAGS (\\Flagged \\Seen))"
    )
    answers(imap, "A8 STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert answers(imap, "A9 EXPUNGE") == ["* 1 EXPUNGE", "A9 OK EXPUNGE completed."]
    assert len(exchange.mailbox(ANNA).messages) == 2


@pytest.mark.parametrize(
    "command",
    [
        "FETCH 1",
        "FETCH x FLAGS",
        "FETCH 1 NONSENSE",
        "STORE 1 NONSENSE",
        "UID NONSENSE",
        "SEARCH (",
        "STATUS INBOX",
    ],
)
def test_nonsense_is_refused_and_the_session_goes_on(exchange: Exchange, command: str) -> None:
    imap, _ = log_in(exchange)
    answers(imap, "A3 SELECT INBOX")
    assert imap.ask(f"A4 {command}").startswith("A4 BAD ")
    assert imap.ask("A5 NOOP") == "A5 OK NOOP completed."


def test_silence_and_endless_lines_end_a_session_with_a_farewell(start: Start) -> None:
    exchange = start(timing=Timing(before_login=0.2))
    assert greeted(exchange).line() == "* BYE Connection closed. 14"
    imap = greeted(start())
    imap.send("A1 AUTHENTICATE XOAUTH2 " + "A" * 20000)
    assert imap.line() == "* BYE Connection closed. 14"

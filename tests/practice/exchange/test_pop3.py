"""POP3 as Exchange Online speaks it (facts E2)."""

import base64
import poplib

import pytest

from msoauth.practice.exchange import Limits
from tests.practice.exchange.conftest import MAILS, Dialogue, Exchange, Start, sasl

ANNA = "anna@contoso.example"
SHARED = "kanzlei@contoso.example"
REFUSED = "-ERR Authentication failure: unknown user name or bad password."


def log_in(exchange: Exchange, user: str = ANNA, token: str | None = None) -> tuple[Dialogue, str]:
    pop = exchange.dialogue("pop3")
    pop.line()
    assert pop.ask("AUTH XOAUTH2") == "+ "
    return pop, pop.ask(sasl(user, token or exchange.token()))


def test_it_greets_and_lists_its_capabilities_as_exchange_online_does(exchange: Exchange) -> None:
    pop = exchange.dialogue("pop3")
    greeting = pop.line()
    start = "+OK The Microsoft Exchange POP3 service is ready. ["
    assert greeting.startswith(start)
    host = base64.b64decode(greeting.removeprefix(start).removesuffix("]")).decode("utf-16-le")
    assert host.endswith(".outlook.office365.com")
    assert pop.ask("CAPA") == "+OK"
    assert pop.until_dot() == ["TOP", "UIDL", "SASL PLAIN XOAUTH2", "USER"]
    assert pop.ask("QUIT") == "+OK Microsoft Exchange Server POP3 server signing off."
    assert pop.closed()


def test_two_step_xoauth2_opens_the_mailbox(exchange: Exchange) -> None:
    pop, answer = log_in(exchange)
    assert answer == "+OK User successfully authenticated."
    assert pop.ask("STAT") == f"+OK 3 {sum(map(len, MAILS))}"
    assert pop.ask("LIST 2") == f"+OK 2 {len(MAILS[1])}"
    pop.ask("LIST")
    assert pop.until_dot() == [f"{i} {len(raw)}" for i, raw in enumerate(MAILS, 1)]
    pop.ask("UIDL")
    assert pop.until_dot() == ["1 10001", "2 10002", "3 10003"]
    assert exchange.log()[-1] == "AUTH XOAUTH2 accepted"


@pytest.mark.parametrize("length", [10, 3000])
def test_one_line_xoauth2_is_a_protocol_error_and_ends_the_connection(
    exchange: Exchange, length: int
) -> None:
    pop = exchange.dialogue("pop3")
    pop.line()
    answer = pop.ask("AUTH XOAUTH2 " + "A" * length)
    assert answer == "-ERR Protocol error. Connection is closed. 10"
    assert pop.closed()


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://graph.microsoft.com"},
        {"scp": "IMAP.AccessAsUser.All SMTP.Send"},
        {"upn": "dora@contoso.example", "unique_name": "dora@contoso.example"},
        {"exp": 1},
        {"nbf": 9999999999},
        {"iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000000/"},
        {"tid": "11111111-1111-1111-1111-111111111111"},
    ],
    ids=["graph", "scope", "other-user", "expired", "not-yet", "issuer", "tenant"],
)
def test_a_wrong_token_gets_the_one_size_refusal_and_another_try(
    exchange: Exchange, changes: dict[str, object]
) -> None:
    pop, answer = log_in(exchange, token=exchange.token(**changes))  # type: ignore[arg-type]
    assert answer == REFUSED
    assert pop.ask("STAT") == "-ERR Command is not valid in this state."
    pop.ask("AUTH XOAUTH2")
    assert pop.ask(sasl(ANNA, exchange.token())) == "+OK User successfully authenticated."


def test_a_token_with_a_changed_signature_is_refused(exchange: Exchange) -> None:
    head, body, signature = exchange.token().split(".")
    assert log_in(exchange, token=f"{head}.{body}.{signature[::-1]}")[1] == REFUSED


def test_mailbox_settings_are_read_at_every_login(exchange: Exchange) -> None:
    mailbox = exchange.mailbox(ANNA)
    mailbox.pop_enabled = False
    assert log_in(exchange)[1] == REFUSED
    assert "POP3 is off" in exchange.log()[-1]
    mailbox.pop_enabled = True
    assert log_in(exchange)[1].startswith("+OK")
    exchange.firm.users[ANNA].licensed = False
    assert log_in(exchange)[1] == REFUSED
    exchange.firm.users[ANNA].licensed = True
    exchange.firm.users[ANNA].account_enabled = False
    assert log_in(exchange)[1] == REFUSED


def test_an_alias_is_not_the_primary_address(exchange: Exchange) -> None:
    assert log_in(exchange, "anna.maier@contoso.example")[1] == REFUSED
    assert log_in(exchange, "ANNA@Contoso.Example")[1].startswith("+OK")


def test_a_shared_mailbox_opens_with_full_access_only(exchange: Exchange) -> None:
    assert log_in(exchange, SHARED)[1] == REFUSED
    exchange.mailbox(SHARED).full_access.add(ANNA)
    pop, answer = log_in(exchange, SHARED)
    assert answer.startswith("+OK")
    assert pop.ask("STAT").startswith("+OK 1 ")


def test_an_app_needs_its_service_principal_and_full_access(exchange: Exchange) -> None:
    token = exchange.app_token("POP.AccessAsApp", "sp-object-id")
    assert log_in(exchange, token=token)[1] == REFUSED
    exchange.firm.principal.exchange_object_id = "sp-object-id"
    assert log_in(exchange, token=token)[1] == REFUSED
    exchange.mailbox(ANNA).full_access.add("sp-object-id")
    assert log_in(exchange, token=token)[1].startswith("+OK")
    wrong = exchange.app_token("IMAP.AccessAsApp", "sp-object-id")
    assert log_in(exchange, token=wrong)[1] == REFUSED


def test_passwords_are_over(exchange: Exchange) -> None:
    pop = exchange.dialogue("pop3")
    pop.line()
    assert pop.ask("PASS secret") == "-ERR Command is not valid in this state."
    assert pop.ask(f"USER {ANNA}") == "+OK"
    assert pop.ask("PASS marker-password") == "-ERR Basic authentication is disabled"
    assert "marker-password" not in repr(exchange.state.log)


def test_messages_arrive_byte_for_byte_through_poplib(exchange: Exchange) -> None:
    pop = poplib.POP3_SSL("localhost", exchange.port("pop3"), context=exchange.client, timeout=20)
    exchange.sockets.append(pop.sock)
    for line in ("AUTH XOAUTH2", sasl(ANNA, exchange.token())):  # poplib knows no AUTH
        pop.sock.sendall(line.encode() + b"\r\n")
        assert pop.file.readline().startswith(b"+")
    for number, raw in enumerate(MAILS, 1):
        lines = pop.retr(number)[1]
        assert b"\r\n".join(lines) == raw.removesuffix(b"\r\n")
    assert pop.top(1, 2)[1][-2:] == [b"Hello", b".a line with a dot"]
    assert pop.top(1, 0)[1][-1] == b""
    pop.quit()


def test_deleting_takes_effect_at_quit_only(exchange: Exchange) -> None:
    pop, _ = log_in(exchange)
    assert pop.ask("DELE 1") == "+OK"
    assert pop.ask("RETR 1").startswith("-ERR")
    assert pop.ask("DELE 1").startswith("-ERR")
    assert pop.ask("STAT") == f"+OK 2 {len(MAILS[1]) + len(MAILS[2])}"
    pop.sock.close()
    pop, _ = log_in(exchange)
    assert pop.ask("STAT").startswith("+OK 3 ")
    pop.ask("DELE 1")
    pop.ask("DELE 2")
    assert pop.ask("RSET") == "+OK"
    pop.ask("DELE 3")
    pop.ask("QUIT")
    pop, _ = log_in(exchange)
    pop.ask("UIDL")
    assert pop.until_dot() == ["1 10001", "2 10002"]


@pytest.mark.parametrize(
    "command", ["RETR 4", "RETR 0", "RETR x", "RETR", "TOP 1", "TOP 1 -1", "LIST 99", "DELE ²"]
)
def test_numbers_that_are_not_there_are_refused(exchange: Exchange, command: str) -> None:
    pop, _ = log_in(exchange)
    assert pop.ask(command).startswith("-ERR ")
    assert pop.ask("NOOP") == "+OK"


def test_a_busy_or_moved_mailbox_says_so(exchange: Exchange) -> None:
    exchange.mailbox(ANNA).busy = True
    assert "locked" in log_in(exchange)[1]
    exchange.mailbox(ANNA).busy, exchange.mailbox(ANNA).moved = False, True
    assert "being moved" in log_in(exchange)[1]


def test_only_so_many_sessions_share_a_mailbox(start: Start) -> None:
    exchange = start(limits=Limits(sessions=2))
    first, _ = log_in(exchange)
    log_in(exchange)
    assert "Maximum number of connections" in log_in(exchange)[1]
    assert first.ask("QUIT").startswith("+OK")
    assert first.closed()
    assert log_in(exchange)[1].startswith("+OK")


def test_a_fault_drops_the_connection_inside_a_message(exchange: Exchange) -> None:
    exchange.state.faults.set("pop3.drop", aim=ANNA)
    pop, _ = log_in(exchange)
    pop.send("RETR 1")
    assert pop.line() == "+OK"
    with pytest.raises((EOFError, OSError)):
        pop.until_dot()


def test_a_fault_drops_the_connection_inside_a_short_answer(exchange: Exchange) -> None:
    exchange.state.faults.set("pop3.drop", aim=ANNA)
    pop, _ = log_in(exchange)
    with pytest.raises((EOFError, OSError)):
        pop.ask("STAT")


def test_a_fault_aimed_at_another_mailbox_strikes_nobody_else(exchange: Exchange) -> None:
    exchange.state.faults.set("pop3.unavailable", aim="dora@contoso.example")
    assert log_in(exchange)[1].startswith("+OK")
    exchange.state.faults.set("pop3.unavailable", aim=exchange.firm.tenant_id)
    assert "Server Unavailable" in log_in(exchange)[1]


def test_the_log_never_holds_a_token(exchange: Exchange) -> None:
    token = exchange.token()
    log_in(exchange, token=token)
    log_in(exchange, token=token + "x")
    assert exchange.log()
    for part in token.split("."):
        assert part not in repr(exchange.state.log)


def test_response_codes_are_there_only_when_they_are_asked_for(exchange: Exchange) -> None:
    exchange.mailbox(ANNA).busy = True
    assert log_in(exchange)[1] == "-ERR The mailbox is locked by another POP3 session."
    exchange.state.faults.set("pop3.response-codes")
    pop, answer = log_in(exchange)
    assert answer == "-ERR [IN-USE] The mailbox is locked by another POP3 session."
    pop.ask("CAPA")
    assert pop.until_dot()[-2:] == ["RESP-CODES", "AUTH-RESP-CODE"]
    assert log_in(exchange, token=exchange.token(exp=1))[1] == REFUSED.replace(
        "-ERR", "-ERR [AUTH]"
    )


def test_a_fault_refuses_a_good_login_with_the_one_answer(exchange: Exchange) -> None:
    exchange.state.faults.set("pop3.refused", aim=ANNA)
    assert log_in(exchange)[1] == REFUSED
    assert log_in(exchange, "clara@contoso.example", exchange.token("clara@contoso.example"))[
        1
    ].startswith("+OK")

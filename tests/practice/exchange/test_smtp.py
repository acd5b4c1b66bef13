"""SMTP submission as Exchange Online speaks it (facts E4 to E6)."""

import re
import smtplib
import time
from datetime import timedelta
from email.message import EmailMessage

import pytest

from msoauth.practice.exchange import Limits
from tests.practice.exchange.conftest import HOST, Dialogue, Exchange, Start, sasl

ANNA = "anna@contoso.example"
CLARA = "clara@contoso.example"
SHARED = "kanzlei@contoso.example"
BRACKET = r" \[PR0P264CA\d{4}\.outlook\.office365\.com \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z 08DD[0-9A-F]{12}\]"
VISIT = "Visit https://aka.ms/smtp_auth_disabled for more information."
MAIL = f"From: {ANNA}\r\nTo: {CLARA}\r\nSubject: Test\r\nMessage-ID: <mine@contoso.example>\r\n\r\nHello\r\n"


def log_in(exchange: Exchange, user: str = ANNA, token: str | None = None) -> tuple[Dialogue, str]:
    smtp = exchange.dialogue("smtp").secure()
    assert smtp.ask("AUTH XOAUTH2") == "334 "
    return smtp, smtp.ask(sasl(user, token or exchange.token()))


def send(smtp: Dialogue, mail: str = MAIL, sender: str = ANNA, to: str = CLARA) -> str:
    assert smtp.ask(f"MAIL FROM:<{sender}>") == "250 2.1.0 Sender OK"
    assert smtp.ask(f"RCPT TO:<{to}>") == "250 2.1.5 Recipient OK"
    assert smtp.ask("DATA") == "354 Start mail input; end with <CRLF>.<CRLF>"
    smtp.sock.sendall(mail.encode())
    return smtp.ask(".")


def without_bracket(reply: str) -> str:
    found = re.search(BRACKET, reply)
    assert found is not None, reply
    return reply.replace(found[0], "")


def test_the_session_of_the_captures_word_for_word(exchange: Exchange) -> None:
    smtp = exchange.dialogue("smtp")
    greeting = smtp.line()
    shape = (
        r"220 (\S+\.outlook\.office365\.com) Microsoft ESMTP MAIL Service ready at "
        r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000 \[08DD[0-9A-F]{12}\]"
    )
    match = re.fullmatch(shape, greeting)
    assert match is not None
    first = ["SIZE 157286400", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES"]
    last = ["8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8"]
    before, *features = [line[4:] for line in smtp.ehlo()]
    assert before == f"{match[1]} Hello [{HOST}]"
    assert features == [*first, "STARTTLS", *last]
    assert smtp.ask("STARTTLS") == "220 2.0.0 SMTP server ready"
    smtp = Dialogue(exchange.wrap(smtp.sock), exchange)
    assert [line[4:] for line in smtp.ehlo()][1:] == [*first, "AUTH LOGIN XOAUTH2", *last]
    assert smtp.ask("AUTH XOAUTH2") == "334 "
    assert smtp.ask(sasl(ANNA, exchange.token())) == "235 2.7.0 Authentication successful"
    answer = send(smtp)
    assert answer == f"250 2.0.0 OK <mine@contoso.example> [Hostname={match[1]}]"
    assert smtp.ask("QUIT") == "221 2.0.0 Service closing transmission channel"
    assert smtp.closed()


def test_a_mail_reaches_the_inbox_and_the_senders_sent_items(exchange: Exchange) -> None:
    smtp, _ = log_in(exchange)
    dotted = MAIL + "..dot\r\n"
    send(smtp, dotted)
    [arrived] = exchange.mailbox(CLARA).messages
    assert arrived.raw.startswith(b"Received: from ")
    assert arrived.raw.endswith(b"\r\n\r\nHello\r\n.dot\r\n")
    assert arrived.received is not None
    sent = exchange.mailbox(ANNA).sent
    assert sent is not None
    assert sent[0].seen
    assert b"Subject: Test" in sent[0].raw
    assert len(exchange.mailbox(ANNA).messages) == 3


def test_blind_copies_stay_blind_and_missing_headers_are_made(exchange: Exchange) -> None:
    smtp, _ = log_in(exchange)
    reply = send(
        smtp, "Bcc: dora@contoso.example,\r\n secret@fabrikam.example\r\nSubject: X\r\n\r\nHi\r\n"
    )
    assert re.match(r"250 2\.0\.0 OK <[0-9a-f-]{36}@contoso\.example> ", reply)
    [arrived] = exchange.mailbox(CLARA).messages
    assert b"secret@" not in arrived.raw
    assert b"\r\nSubject: X\r\n\r\nHi" in arrived.raw
    assert b"Date: " in arrived.raw
    assert f"From: {ANNA}".encode() in arrived.raw


def test_one_line_xoauth2_works_too(exchange: Exchange) -> None:
    smtp = exchange.dialogue("smtp").secure()
    assert smtp.ask(f"AUTH XOAUTH2 {sasl(ANNA, exchange.token())}").startswith("235 ")
    assert smtp.ask(f"AUTH XOAUTH2 {sasl(ANNA, exchange.token())}").startswith("503 ")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://graph.microsoft.com"},
        {"scp": "POP.AccessAsUser.All"},
        {"upn": CLARA, "unique_name": CLARA},
        {"exp": 1},
    ],
    ids=["graph", "scope", "other-user", "expired"],
)
def test_a_refused_identity_is_5_7_3_without_a_challenge(
    exchange: Exchange, changes: dict[str, object]
) -> None:
    smtp, answer = log_in(exchange, token=exchange.token(**changes))  # type: ignore[arg-type]
    assert without_bracket(answer) == "535 5.7.3 Authentication unsuccessful"
    refused = without_bracket(smtp.ask(f"MAIL FROM:<{ANNA}>"))
    assert refused == (
        "530 5.7.57 Client not authenticated to send mail. Error: 535 5.7.3 Authentication unsuccessful"
    )


def test_the_shared_address_belongs_into_mail_from_not_into_the_login(exchange: Exchange) -> None:
    exchange.mailbox(SHARED).full_access.add(ANNA)
    assert log_in(exchange, SHARED)[1].startswith("535 5.7.3 ")
    smtp, answer = log_in(exchange)
    assert answer.startswith("235 ")
    shared = MAIL.replace(f"From: {ANNA}", f"From: {SHARED}")
    denied = send(smtp, shared, SHARED)
    assert denied.startswith(
        f"554 5.2.252 SendAsDenied; {ANNA} not allowed to send as {SHARED}; STOREDRV."
    )
    exchange.mailbox(SHARED).send_as.add(ANNA)
    assert send(smtp, shared, SHARED).startswith("250 ")


def test_the_from_header_needs_send_as_too(exchange: Exchange) -> None:
    smtp, _ = log_in(exchange)
    forged = MAIL.replace(f"From: {ANNA}", f"From: Clara <{CLARA}>")
    assert send(smtp, forged).startswith("554 5.2.252 SendAsDenied;")
    alias = MAIL.replace(f"From: {ANNA}", "From: anna.maier@contoso.example")
    assert send(smtp, alias).startswith("250 ")
    exchange.state.faults.set("smtp.send-as-early")
    early = without_bracket(smtp.ask(f"MAIL FROM:<{CLARA}>"))
    assert early == "550 5.7.60 SMTP; Client does not have permissions to send as this sender"


def test_smtp_auth_switches_with_the_mailbox_before_the_organisation(exchange: Exchange) -> None:
    start = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the"
    exchange.firm.smtp_client_authentication_disabled = True
    assert without_bracket(log_in(exchange)[1]) == f"{start} Tenant. {VISIT}"
    exchange.mailbox(ANNA).smtp_client_authentication_disabled = False
    assert log_in(exchange)[1].startswith("235 ")
    exchange.firm.smtp_client_authentication_disabled = False
    exchange.mailbox(ANNA).smtp_client_authentication_disabled = True
    assert without_bracket(log_in(exchange)[1]) == f"{start} Mailbox. {VISIT}"
    exchange.mailbox(ANNA).smtp_client_authentication_disabled = None
    assert log_in(exchange)[1].startswith("235 ")


def test_a_policy_can_hide_a_bad_token(exchange: Exchange) -> None:
    exchange.mailbox(ANNA).smtp_client_authentication_disabled = True
    token = exchange.token(aud="https://graph.microsoft.com")
    assert "disabled for the Mailbox" in log_in(exchange, token=token)[1]


def test_security_defaults_and_criteria_refuse(exchange: Exchange) -> None:
    start = "535 5.7.139 Authentication unsuccessful, "
    exchange.firm.policies.security_defaults = True
    assert without_bracket(log_in(exchange)[1]) == (
        f"{start}user is locked by your organization's security defaults policy. Contact your administrator."
    )
    exchange.firm.policies.security_defaults = False
    exchange.state.faults.set("smtp.criteria")
    assert without_bracket(log_in(exchange)[1]) == (
        f"{start}the request did not meet the criteria to be authenticated successfully. "
        "Contact your administrator."
    )


def test_passwords_are_over(exchange: Exchange) -> None:
    smtp = exchange.dialogue("smtp").secure()
    assert smtp.ask("AUTH LOGIN") == "334 VXNlcm5hbWU6"
    assert smtp.ask("YW5uYUBjb250b3NvLmV4YW1wbGU=") == "334 UGFzc3dvcmQ6"
    answer = smtp.ask("bWFya2Vy")
    assert without_bracket(answer) == (
        "535 5.7.139 Authentication unsuccessful, basic authentication is disabled."
    )
    assert "530 5.7.57 Client not authenticated to send mail. Error: 535 5.7.139" in smtp.ask(
        f"MAIL FROM:<{ANNA}>"
    )
    assert "bWFya2Vy" not in repr(exchange.state.log)
    assert "marker" not in repr(exchange.state.log)
    assert without_bracket(smtp.ask("AUTH PLAIN AGEAYg==")) == (
        "504 5.7.4 Unrecognized authentication type"
    )


@pytest.mark.parametrize(
    ("fault", "reply"),
    [
        (
            "smtp.credentials",
            "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect. [",
        ),
        (
            "smtp.basic-removed",
            "550 5.7.30 Basic authentication is not supported for Client Submission.",
        ),
    ],
)
def test_other_refusals_of_passwords(exchange: Exchange, fault: str, reply: str) -> None:
    exchange.state.faults.set(fault, aim=ANNA)
    smtp = exchange.dialogue("smtp").secure()
    smtp.ask("AUTH LOGIN")
    smtp.ask("YW5uYUBjb250b3NvLmV4YW1wbGU=")
    assert smtp.ask("bWFya2Vy").startswith(reply)


def test_a_login_can_be_lost_before_the_mail(exchange: Exchange) -> None:
    exchange.state.faults.set("smtp.login-lost", aim=ANNA)
    smtp, answer = log_in(exchange)
    assert answer.startswith("235 ")
    assert without_bracket(smtp.ask(f"MAIL FROM:<{ANNA}>")) == (
        "530 5.7.57 Client not authenticated to send mail."
    )


def test_the_order_of_things_is_kept(exchange: Exchange) -> None:
    smtp = exchange.dialogue("smtp")
    smtp.line()
    assert smtp.ask(f"MAIL FROM:<{ANNA}>").startswith("503 5.5.2 Send hello first [")
    assert smtp.ask("EHLO MacBook..").startswith("501 5.5.4 Invalid domain name [")
    smtp.ehlo()
    assert smtp.ask("AUTH XOAUTH2").startswith("451 5.7.3 STARTTLS is required to send mail [")
    assert smtp.ask(f"MAIL FROM:<{ANNA}>").startswith("451 5.7.3 STARTTLS is required to send mail")
    assert without_bracket(smtp.ask("XYZZY now")) == "500 5.3.3 Unrecognized command 'XYZZY'"
    assert smtp.ask("STARTTLS") == "220 2.0.0 SMTP server ready"
    smtp = Dialogue(exchange.wrap(smtp.sock), exchange)
    assert smtp.ask("AUTH XOAUTH2").startswith("503 5.5.2 Send hello first [")
    smtp.ehlo()
    assert without_bracket(smtp.ask(f"MAIL FROM:<{ANNA}>")) == (
        "530 5.7.57 Client not authenticated to send mail."
    )
    assert smtp.ask("AUTH XOAUTH2 garbage!") == "501 5.5.124 Invalid XOAUTH2 auth data"
    smtp.ask("AUTH XOAUTH2")
    assert smtp.ask("*").startswith("501 ")
    assert smtp.ask("NOOP") == "250 2.0.0 OK"


def test_commands_smuggled_behind_starttls_are_forgotten(exchange: Exchange) -> None:
    smtp = exchange.dialogue("smtp")
    smtp.line()
    smtp.ehlo()
    smtp.sock.sendall(b"STARTTLS\r\nEHLO injected.example\r\nNOOP\r\n")
    assert smtp.line() == "220 2.0.0 SMTP server ready"
    smtp = Dialogue(exchange.wrap(smtp.sock), exchange)
    # The injected EHLO would have made this one legal, and its answer would come first.
    assert smtp.ask("AUTH XOAUTH2").startswith("503 5.5.2 Send hello first [")


def test_pipelined_commands_are_answered_in_order(exchange: Exchange) -> None:
    smtp, _ = log_in(exchange)
    smtp.sock.sendall(
        f"MAIL FROM:<{ANNA}> SIZE=100 BODY=8BITMIME\r\nRCPT TO:<{CLARA}> NOTIFY=NEVER\r\n"
        f"RCPT TO:<nonsense>\r\nDATA\r\n".encode()
    )
    assert [smtp.line()[:9] for _ in range(4)] == [
        "250 2.1.0",
        "250 2.1.5",
        "501 5.1.7",
        "354 Start",
    ]
    assert smtp.ask(f"{MAIL}.").startswith("250 2.0.0 OK")


def test_chunks_make_a_mail(exchange: Exchange) -> None:
    smtp, _ = log_in(exchange)
    smtp.ask(f"MAIL FROM:<{ANNA}> BODY=BINARYMIME")
    smtp.ask(f"RCPT TO:<{CLARA}>")
    half = len(MAIL) // 2
    smtp.sock.sendall(f"BDAT {half}\r\n{MAIL[:half]}".encode())
    assert smtp.line().startswith("250 2.6.0 ")
    smtp.sock.sendall(f"BDAT {len(MAIL) - half} LAST\r\n{MAIL[half:]}".encode())
    assert smtp.line().startswith("250 2.0.0 OK <mine@contoso.example>")
    assert exchange.mailbox(CLARA).messages[0].raw.endswith(MAIL.encode()[-30:])
    smtp.sock.sendall(b"BDAT 5 LAST\r\nRSET\nNOOP\r\n")
    assert smtp.line().startswith("503 ")
    assert smtp.line() == "250 2.0.0 OK"


def test_a_mail_over_the_size_limit_is_refused(start: Start) -> None:
    exchange = start(limits=Limits(size=20_000))
    smtp, _ = log_in(exchange)
    assert (
        smtp.ask(f"MAIL FROM:<{ANNA}> SIZE=20001") == "552 5.3.4 Message size exceeds fixed limit"
    )
    assert send(smtp, MAIL + "x" * 70 * 1000 + "\r\n").startswith("552 5.3.4 ")
    assert send(smtp).startswith("250 ")
    smtp.ask(f"MAIL FROM:<{ANNA}>")
    smtp.ask(f"RCPT TO:<{CLARA}>")
    smtp.sock.sendall(b"BDAT 20001 LAST\r\n" + b"x" * 20001)
    assert smtp.line().startswith("552 5.3.4 ")


def test_an_unknown_local_recipient_comes_back_as_a_mail(exchange: Exchange) -> None:
    smtp, _ = log_in(exchange)
    assert send(smtp, to="nobody@contoso.example").startswith("250 ")
    bounce = exchange.mailbox(ANNA).messages[-1].raw
    assert b"Subject: Undeliverable: Test" in bounce
    assert b"nobody@contoso.example\r\n550 5.1.10 RESOLVER.ADR.RecipientNotFound" in bounce
    assert send(smtp, to="somebody@elsewhere.example").startswith("250 ")
    exchange.state.faults.set("smtp.recipient-rejected")
    smtp.ask(f"MAIL FROM:<{ANNA}>")
    assert smtp.ask("RCPT TO:<nobody@contoso.example>").startswith("550 5.1.10 RESOLVER.ADR.")


def test_the_fourth_connection_may_log_in_but_not_send(exchange: Exchange) -> None:
    sessions = [log_in(exchange)[0] for _ in range(4)]
    assert send(sessions[3]).startswith(
        "432 4.3.2 Concurrent connections limit exceeded. "
        "Visit https://aka.ms/concurrent_sending for more information. [Hostname="
    )
    assert all(send(smtp).startswith("250 ") for smtp in sessions[:3])
    sessions[0].ask("QUIT")
    assert sessions[0].closed()
    assert send(sessions[3]).startswith("250 ")


def test_more_messages_than_a_minute_allows_are_put_off(start: Start) -> None:
    exchange = start(limits=Limits(messages_per_minute=2))
    smtp, _ = log_in(exchange)
    assert [send(smtp)[:3] for _ in range(3)] == ["250", "250", "421"]
    exchange.state.clock.advance(timedelta(seconds=61))
    assert send(log_in(exchange)[0]).startswith("250 ")


def test_an_app_sends_with_service_principal_and_full_access(exchange: Exchange) -> None:
    token = exchange.app_token("SMTP.SendAsApp", "sp")
    assert log_in(exchange, token=token)[1].startswith("535 5.7.3 ")
    exchange.firm.principal.exchange_object_id = "sp"
    smtp, answer = log_in(exchange, token=token)
    assert answer.startswith("235 ")
    assert send(smtp).startswith("430 4.2.0 STOREDRV; mailbox logon failure; ")
    exchange.mailbox(ANNA).full_access.add("sp")
    assert send(log_in(exchange, token=token)[0]).startswith("250 ")


@pytest.mark.parametrize(
    ("fault", "reply"),
    [
        ("smtp.mailbox-full", "554 5.2.2 mailbox full; STOREDRV"),
        ("smtp.quota", "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException"),
        ("smtp.sender-blocked", "550 5.1.8 Access denied, bad outbound sender"),
        ("smtp.tenant-blocked", "550 5.7.705 Access denied, tenant has exceeded threshold"),
        ("smtp.external-limit", "550 5.7.233 "),
        ("smtp.throttled", "432 4.3.2 Concurrent"),
        ("smtp.timeout", "421 4.4.1 Connection timed out"),
        ("smtp.thread-limit", "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"),
        ("smtp.too-big", "552 5.3.4 Message size exceeds fixed limit"),
        ("smtp.address-blocked", "550 5.7.708 Access denied, traffic not accepted from this IP"),
    ],
)
def test_faults_after_the_mail(exchange: Exchange, fault: str, reply: str) -> None:
    exchange.state.faults.set(fault, aim=ANNA)
    assert send(log_in(exchange)[0]).startswith(reply)
    assert exchange.mailbox(CLARA).messages == []


@pytest.mark.parametrize(
    ("fault", "reply"),
    [
        ("smtp.temporary", "454 4.7.0 Temporary authentication failure. ["),
        (
            "smtp.sts-unreachable",
            "535 5.7.139 Authentication unsuccessful, federated STS service was",
        ),
        (
            "smtp.sts-no-https",
            "535 5.7.139 Authentication unsuccessful, the federated STS URL does not support HTTPS.",
        ),
        ("smtp.account-locked", "535 5.7.139 Authentication unsuccessful, account locked."),
    ],
)
def test_faults_at_the_login(exchange: Exchange, fault: str, reply: str) -> None:
    exchange.state.faults.set(fault)
    assert log_in(exchange)[1].startswith(reply)


def test_faults_at_the_greeting_and_inside_an_answer(exchange: Exchange) -> None:
    exchange.state.faults.set("smtp.drop")
    with pytest.raises((EOFError, OSError)):
        send(log_in(exchange)[0])
    exchange.state.faults.set("smtp.busy")
    smtp = exchange.dialogue("smtp")
    assert smtp.line() == "421 4.7.500 Server busy. Please try again later."
    assert smtp.closed()


def test_smtplib_sends_through_it_unmodified(exchange: Exchange) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = ANNA, CLARA, "Grüße"
    mail.set_content("Guten Tag\n.\n")
    with smtplib.SMTP("localhost", exchange.port("smtp"), timeout=20) as smtp:
        smtp.starttls(context=exchange.client)
        smtp.ehlo()
        smtp.auth(
            "XOAUTH2", lambda _=None: f"user={ANNA}\x01auth=Bearer {exchange.token()}\x01\x01"
        )
        assert smtp.send_message(mail) == {}
    assert len(exchange.mailbox(CLARA).messages) == 1


def test_latency_delays_every_answer(exchange: Exchange) -> None:
    exchange.state.latency = 0.05
    began = time.monotonic()
    log_in(exchange)  # greeting, EHLO, 220, EHLO, 334, 235
    assert time.monotonic() - began >= 0.3


def test_commands_out_of_order_are_answered_as_exchange_does(exchange: Exchange) -> None:
    smtp, _answer = log_in(exchange)
    assert without_bracket(smtp.ask(f"RCPT TO:<{CLARA}>")) == "503 5.5.2 Need mail command"
    assert without_bracket(smtp.ask("DATA")) == "503 5.5.2 Need mail command"
    assert smtp.ask(f"MAIL FROM:<{ANNA}> BODY=BINARYMIME").startswith("250 ")
    assert without_bracket(smtp.ask("DATA")) == "503 5.5.2 Need rcpt command"
    smtp.send("BDAT 3 LAST\r\nx")
    assert without_bracket(smtp.line()) == "503 5.5.2 Need rcpt command"
    assert without_bracket(smtp.ask(f"MAIL FROM:<{ANNA}>")) == "503 5.5.2 Sender already specified"
    assert smtp.ask(f"RCPT TO:<{CLARA}>").startswith("250 ")
    # What is binary comes in chunks (RFC 3030).
    assert without_bracket(smtp.ask("DATA")) == "503 5.5.1 Bad sequence of commands"
    assert smtp.ask("RSET") == "250 2.0.0 Resetting"
    smtp.send("HELP")
    assert smtp.reply() == [
        "214-This server supports the following commands:",
        "214 HELO EHLO STARTTLS RCPT DATA RSET MAIL QUIT HELP AUTH BDAT",
    ]

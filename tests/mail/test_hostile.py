"""Whatever a server does, a session ends in time, with the stage where it broke, and no message is half."""

import contextlib
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from msoauth.errors import MailError
from msoauth.mail import connection
from msoauth.mail import imap as imap_module
from msoauth.mail import pop3 as pop3_module
from msoauth.mail.round_trip import compose_test_mail
from msoauth.mail.smtp import SmtpSession
from tests.mail.fake_pop3 import fetch
from tests.mail.hostile import (
    MAILS,
    SCRIPTS,
    TOKEN,
    USER,
    Faults,
    GoneError,
    Hostile,
    Peer,
    Script,
    hostile,
)

STAGES = ("resolve", "connect", "tls", "greeting", "authenticate", "work")
PROTOCOLS = ("pop3", "imap", "smtp")

Start = Callable[..., Hostile]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    ca = trustme.CA(organization_name="Contoso Proxy")
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(file)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("localhost").configure_cert(context)
    return context, str(file)


@pytest.fixture
def start(certificates: tuple[ssl.SSLContext, str]) -> Iterator[Start]:
    with contextlib.ExitStack() as stack:

        def begin(protocol: str, script: Script | None = None) -> Hostile:
            return stack.enter_context(hostile(protocol, *certificates, script))

        yield begin


def work(server: Hostile, to: Path, timeout: float = 20.0) -> list[str]:
    """All that one does with a server of this protocol."""
    with server.open(timeout) as session:
        if isinstance(session, SmtpSession):
            mail = compose_test_mail(USER, "ben@contoso.example", "Hallo")
            return [session.send(mail, USER, ["ben@contoso.example"])]
        return [row.subject for row in fetch(session, to=to)]


def whole(to: Path) -> bool:
    """Every file is a message, and each is under its own name."""
    ids = {"aaa": MAILS[0], "bbb": MAILS[1], "7-11": MAILS[0], "7-12": MAILS[1]}
    return all(file.read_bytes() == ids[file.stem] for file in to.glob("*.eml"))


def outcome(server: Hostile, to: Path, timeout: float = 20.0) -> MailError | None:
    """What broke, if something did; what must hold in any case is held here."""
    failure = None
    try:
        work(server, to, timeout)
    except MailError as broke:
        failure = broke
    if failure is not None:
        assert failure.stage in STAGES
        assert failure.cause != "unknown"
        assert failure.summary
        assert TOKEN not in str(failure) + failure.evidence
    assert whole(to)
    return failure


def broken(server: Hostile, to: Path, timeout: float = 20.0) -> MailError:
    failure = outcome(server, to, timeout)
    assert failure is not None
    return failure


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_servers_are_good_ones_when_they_are_let_be(
    start: Start, tmp_path: Path, protocol: str
) -> None:
    server = start(protocol)
    done = work(server, tmp_path)
    assert sorted(done) == (["250 2.0.0 OK queued"] if protocol == "smtp" else ["Eins", "Zwei"])
    if protocol != "smtp":
        assert sorted(f.read_bytes() for f in tmp_path.glob("*.eml")) == sorted(MAILS)


@pytest.mark.parametrize("part", range(3))
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_connection_may_drop_at_every_byte(
    start: Start, tmp_path: Path, protocol: str, part: int
) -> None:
    server = start(protocol)
    work(server, tmp_path / "whole")
    total = server.peers[0].sent
    assert total > 150
    reached = 0
    for place in range(part, total, 3):
        server.faults = Faults(drop_at=place, reset=place % 2 == 1)
        to = tmp_path / str(place)
        failure = outcome(server, to)
        if failure is not None:
            # The further it came the later the stage; SMTP greets once more after TLS.
            now = STAGES.index(failure.stage)
            assert now >= reached or protocol == "smtp"
            reached = max(reached, now)
        else:  # only the farewell was missing
            assert place > total - 30
    assert STAGES[reached] == "work"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_may_fall_silent_at_every_reply(
    start: Start, tmp_path: Path, protocol: str
) -> None:
    server = start(protocol)
    work(server, tmp_path / "whole")
    for number in range(server.peers[0].replies - 1):
        server.faults = Faults(stall_at=number)
        failure = broken(server, tmp_path / str(number), timeout=0.3)
        assert "no answer" in str(failure)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_drips_is_left_in_time(start: Start, tmp_path: Path, protocol: str) -> None:
    server = start(protocol)
    work(server, tmp_path / "whole")
    server.faults = Faults(drip=0.05)
    assert "no answer" in str(broken(server, tmp_path, timeout=0.3))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_may_say_everything_twice(start: Start, tmp_path: Path, protocol: str) -> None:
    server = start(protocol)
    work(server, tmp_path / "whole")
    for number in range(server.peers[0].replies - 1):
        server.faults = Faults(twice_at=number)
        to = tmp_path / str(number)
        failure = outcome(server, to)
        # IMAP's untagged news may come twice, and so may what nobody waits for any more.
        assert failure or protocol != "smtp" or number >= server.peers[0].replies - 2


def _forever(chunk: bytes) -> Callable[[int, bytes], bytes]:
    return lambda _number, _reply: chunk * 3000


@pytest.mark.parametrize(
    "flood", [b"x" * 4096, b"+OK \x00\xff" * 900, b"* " * 2000, b"220-" * 1000]
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_flood_without_end_is_left(
    start: Start, tmp_path: Path, protocol: str, flood: bytes
) -> None:
    server = start(protocol)
    server.faults = Faults(change=_forever(flood))
    assert broken(server, tmp_path).cause in ("service-unavailable", "tls-failed")


def _endless(peer: Peer, prologue: bytes, line: bytes) -> None:
    peer.raw(prologue)
    while True:
        peer.raw(line * 500)


@pytest.mark.parametrize(
    ("protocol", "at", "prologue", "line"),
    [
        ("pop3", 1, b"+OK\r\n", b"X-MORE\r\n"),
        ("pop3", 5, b"+OK\r\n", b"1 10\r\n"),
        ("pop3", 6, b"+OK\r\n", b"1 aaa\r\n"),
        ("pop3", 7, b"+OK\r\n", b"a line of a message that does not end\r\n"),
        ("imap", 1, b"", b"* CAPABILITY IMAP4rev1\r\n"),
        ("imap", 3, b"", b"* 2 EXISTS\r\n"),
        ("imap", 4, b"", b"* 1 FETCH (UID 1 RFC822.SIZE 10)\r\n"),
        ("smtp", 1, b"", b"250-SIZE 10\r\n"),
    ],
)
def test_an_answer_that_does_not_end_is_left(
    start: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
    at: int,
    prologue: bytes,
    line: bytes,
) -> None:
    monkeypatch.setattr(connection, "BLOCK_LIMIT", 1 << 20)
    monkeypatch.setattr(pop3_module, "LINES", 20_000)
    monkeypatch.setattr(imap_module, "ANSWER_LIMIT", 1 << 20)

    def script(peer: Peer) -> None:
        say = peer.say

        def instead(reply: bytes) -> None:
            if peer.replies == at:
                _endless(peer, prologue, line)
            say(reply)

        peer.say = instead  # type: ignore[method-assign]
        SCRIPTS[protocol](peer)

    assert broken(start(protocol, script), tmp_path).cause == "service-unavailable"


@pytest.mark.parametrize(
    ("protocol", "at", "reply", "stage"),
    [
        ("pop3", 0, b"* OK ready\r\n", "greeting"),
        ("pop3", 0, b"220 ready\r\n", "greeting"),
        ("pop3", 2, b"+OK logged in\r\n", "authenticate"),
        ("pop3", 3, b"+ \r\n", "authenticate"),
        ("pop3", 4, b"+OK many of them\r\n", "authenticate"),
        ("pop3", 4, b"+OK 2 \xd9\xa3\r\n", "authenticate"),
        ("pop3", 5, b"1 10\r\n2 10\r\n.\r\n", "work"),
        ("pop3", 7, b"Subject: Zwei\r\n\r\n.\r\n", "work"),
        ("imap", 0, b"+OK ready\r\n", "greeting"),
        ("imap", 0, b"* PREAUTH who are you\r\n", "greeting"),
        ("imap", 1, b"M7 OK done\r\n", "greeting"),
        ("imap", 2, b"M1 OK logged in\r\n", "authenticate"),
        ("imap", 2, b"+OK logged in\r\n", "authenticate"),
        ("imap", 3, b"* BYE too much\r\n", "authenticate"),
        ("imap", 5, b"* 1 FETCH (UID 11 BODY[] 14)\r\nM5 OK done\r\n", "work"),
        ("smtp", 0, b"+OK ready\r\n", "greeting"),
        ("smtp", 0, b"250 ready\r\n", "greeting"),
        ("smtp", 1, b"250 hello\r\n", "tls"),
        ("smtp", 2, b"250 go on\r\n", "tls"),
        ("smtp", 5, b"250 logged in\r\n", "authenticate"),
        ("imap", 1, b"* CAPABILITY IMAP4rev1 {3}\r\nabc\r\nM1 OK done\r\n", "greeting"),
        ("smtp", 2, b"502 no\r\n", "tls"),
        ("smtp", 4, b"235 logged in\r\n", "authenticate"),
        ("smtp", 5, b"334 \r\n", "authenticate"),
        ("smtp", 6, b"354 go on\r\n", "work"),
        ("smtp", 8, b"250 ok\r\n", "work"),
        ("smtp", 6, b"250-ok\r\n550 no\r\n", "work"),
        ("smtp", 6, b"ok\r\n", "work"),
    ],
)
def test_replies_in_the_wrong_place_are_told(
    start: Start, tmp_path: Path, protocol: str, at: int, reply: bytes, stage: str
) -> None:
    server = start(protocol)
    server.faults = Faults(change=lambda number, good: reply if number == at else good)
    waits = (protocol, at) == (
        "smtp",
        8,
    )  # for an answer that does not come; the others end at once
    assert broken(server, tmp_path, timeout=3 if waits else 20).stage == stage


def test_sizes_that_lie_harm_no_message(start: Start, tmp_path: Path) -> None:
    server = start("pop3")
    for number, sizes in enumerate(
        (b"1 0\r\n2 9999999999\r\n", b"1 -5\r\n2 x\r\n", b"7 7\r\n", b"")
    ):
        listing = b"+OK\r\n" + sizes + b".\r\n"
        server.faults = Faults(change=lambda n, good, listing=listing: listing if n == 5 else good)  # type: ignore[misc]
        to = tmp_path / str(number)
        if sizes.startswith(
            b"7"
        ):  # a message that UIDL does not know, and the server does not have
            assert sorted(work(server, to)) == [
                "",
                "Eins",
                "Zwei",
            ]  # it is told, and nothing is known of it
        else:
            assert sorted(work(server, to)) == ["Eins", "Zwei"]
        assert len(list(to.glob("*.eml"))) == 2
        assert whole(to)


@pytest.mark.parametrize("size", [0, 5, 30, 10_000, 1 << 62])
def test_literals_that_lie_make_no_half_message(start: Start, tmp_path: Path, size: int) -> None:
    server = start("imap")
    true = len(MAILS[0])

    def lie(_number: int, reply: bytes) -> bytes:
        return reply.replace(b"{%d}" % true, b"{%d}" % size)

    server.faults = Faults(change=lie)
    with pytest.raises(MailError):
        work(server, tmp_path, timeout=1)
    # A literal that is too short ends a message early, and what follows gives the lie away.
    assert len(list(tmp_path.glob("*.eml"))) <= 1 or size == 0


def _garbage(peer: Peer) -> None:
    peer.raw(b"\x16\x03\x01\x00\x05hello" * 50)
    peer.line()


def _plain_on(peer: Peer) -> None:
    peer.raw(b"250 nobody needs TLS\r\n")
    peer.line()


def _closed(_peer: Peer) -> None:
    raise GoneError


def _stranger(peer: Peer) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA(organization_name="Stranger").issue_cert("localhost").configure_cert(context)
    try:
        peer.sock = context.wrap_socket(peer.sock, server_side=True)
    except OSError:
        raise GoneError from None


@pytest.mark.parametrize(
    ("upgrade", "cause"),
    [
        (_garbage, "tls-failed"),
        (_plain_on, "tls-failed"),
        (_closed, "tls-failed"),
        (_stranger, "tls-untrusted"),
    ],
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tls_that_goes_wrong_is_told_and_nothing_is_said_without_it(
    start: Start, tmp_path: Path, protocol: str, upgrade: Callable[[Peer], None], cause: str
) -> None:
    server = start(protocol)
    server.faults = Faults(tls=upgrade)
    failure = broken(server, tmp_path)
    assert (failure.stage, failure.cause) == ("tls", cause)
    if cause == "tls-untrusted":
        assert "Stranger" in str(failure)  # whose certificate it was
    assert not [line for line in server.received() if b"AUTH" in line.upper()]


def test_plain_text_that_was_slipped_in_before_tls_is_refused(start: Start, tmp_path: Path) -> None:
    server = start("smtp")
    server.faults = Faults(
        change=lambda n, good: good + b"250-hello\r\n250 AUTH PLAIN\r\n" if n == 2 else good
    )
    failure = broken(server, tmp_path)
    assert (failure.stage, failure.cause) == ("tls", "tls-failed")
    assert "plain text" in str(failure)
    assert not [line for line in server.received() if b"AUTH" in line.upper()]

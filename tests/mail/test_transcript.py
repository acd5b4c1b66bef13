"""What is said is recorded; no secret in it, in whatever form it comes by, and no mail."""

import base64
import textwrap
from urllib.parse import quote

import pytest

from msoauth.clouds import Endpoint
from msoauth.mail import sasl
from msoauth.mail.transcript import Transcript
from tests.mail.hostile import TOKEN, USER

HERE = Endpoint("localhost", 995, "implicit")
LONG = "ZW" + "planted-Marker_of.a~token+/" * 60


def _leaks(text: str, token: str) -> list[str]:
    """Pieces of the token, plain or in base64, that are still in *text*."""
    secrets = [token, sasl.xoauth2(USER, token)]
    found = [s[i : i + 16] for s in secrets for i in range(0, len(s) - 16, 8)]
    return [piece for piece in found if piece.casefold() in text.casefold()]


@pytest.mark.parametrize("token", [TOKEN, LONG])
@pytest.mark.parametrize("offered", [["XOAUTH2"], ["OAUTHBEARER"]])
def test_no_form_of_a_token_gets_into_the_record(token: str, offered: list[str]) -> None:
    record = Transcript()
    login = sasl.login(offered, USER, token, HERE, record)
    plain = base64.b64decode(login.line).decode()
    for said in (
        login.line,
        f"AUTH {login.mechanism} {login.line}",
        f"M1 AUTHENTICATE {login.mechanism} {login.line}",
        f"535 you said: {login.line}",
        f"-ERR {login.line[:200]}",  # cut
        f"-ERR {login.line[37:]}",
        f"-ERR {login.line.upper()}",
        f"-ERR {login.line.lower()}",
        f"* BAD {plain}",
        f"* BAD {token}",
        f"* BAD {token[5:60]}",
        f"* BAD {quote(token)}",
        f"* BAD {quote(login.line)}",
        f"* BAD {base64.b64encode(login.line.encode()).decode()}",  # encoded once more
        f"* BAD {base64.b64encode(token.encode()).decode()}",
        *(f"334 {line}" for line in textwrap.wrap(login.line, 76)),  # wrapped
    ):
        record.server(said)
        record.client(said)
        record.remark(said)
    assert not _leaks(record.text(), token)
    assert "[hidden]" in record.text()
    assert token not in repr(login) + repr(record)


def test_what_is_no_secret_stays_readable() -> None:
    record = Transcript()
    sasl.login(["XOAUTH2"], USER, TOKEN, HERE, record)
    lines = (
        "220 PN4P287CA0064.outlook.office365.com Microsoft ESMTP MAIL Service ready at Sat, 26 Apr 2025 18:08:13 +0000 [08DD84B323498C1A]",
        "+OK The Microsoft Exchange POP3 service is ready. [QgBZADUAUABSADEAMABDAEEA]",
        "* CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2 CLIENTNETWORKPRESENCELOCATION",
        "250 2.0.0 OK <b225fdda-3db5-4aeb-4d52-c74d71838980@contoso.com> [Hostname=SYBP282MB2635.AUSP282.PROD.OUTLOOK.COM]",
    )
    for line in lines:
        record.server(line)
    assert [entry.text for entry in record.entries] == list(lines)
    assert all(entry.direction == "S" for entry in record.entries)
    assert [entry.at for entry in record.entries] == sorted(entry.at for entry in record.entries)


def test_control_characters_of_a_server_do_not_reach_a_terminal() -> None:
    record = Transcript()
    record.server("+OK \x1b]0;title\x07\x1b[2J \u202e backwards \r\n+OK forged")
    assert "\x1b" not in record.text()
    assert "\u202e" not in record.text()
    assert len(record.text().splitlines()) == 1


def test_the_record_is_bounded() -> None:
    record = Transcript()
    for _number in range(5_000):
        record.server("x")
    record.server("y" * 1_000_000)
    assert len(record.entries) < 5_000
    assert len(record.text()) < 200_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", None),
        (" eyJzdGF0dXMiOiI0MDEifQ==", '{"status":"401"}'),
        ("eyJzdGF0dXMiOiI0MDEifQ", "eyJzdGF0dXMiOiI0MDEifQ"),
        ("not base64 at all", "not base64 at all"),
        ("//79/w==", "\ufffd\ufffd\ufffd\ufffd"),
    ],
)
def test_a_challenge_is_decoded_or_kept_as_it_is(text: str, said: str | None) -> None:
    assert sasl.challenge(text) == said

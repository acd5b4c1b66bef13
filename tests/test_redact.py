"""Secrets leave no text that went through the scrubber, in any encoding; what people need stays."""

import ast
import base64
import hashlib
import json
import logging
import re
import secrets
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from babel.messages.pofile import read_po

from msoauth import logs, redact
from tests.encodings import ENCODINGS, SECRETS, b64, pieces

MARKER = "Zk9~planted.marker/secret+value=7"
LONG_TOKEN = "".join(hashlib.sha512(bytes([n])).hexdigest()[n:] for n in range(16))
PHP = quote(MARKER, safe="").replace("~", "%7E")
DOTNET = re.sub("%[0-9A-F]{2}", lambda m: m[0].lower(), PHP)
XOAUTH2 = f"user=anna@contoso.example\x01auth=Bearer {MARKER}\x01\x01"


@pytest.mark.parametrize(
    "text",
    [
        MARKER,
        quote(MARKER, safe=""),
        quote(quote(MARKER, safe=""), safe=""),
        PHP,
        DOTNET,
        quote(DOTNET, safe=""),
        json.dumps({"secret": MARKER}),
        base64.b64encode(MARKER.encode()).decode(),
        base64.b64encode(XOAUTH2.encode()).decode(),
        base64.urlsafe_b64encode(XOAUTH2.encode()).decode(),
        "AUTH XOAUTH2 " + base64.b64encode(XOAUTH2.encode()).decode(),
        quote(base64.b64encode(XOAUTH2.encode()).decode(), safe=""),
        json.dumps(json.dumps(XOAUTH2)),
        quote(XOAUTH2),
    ],
)
def test_a_remembered_secret_is_hidden_in_every_encoding(text: str) -> None:
    redact.remember(MARKER)
    cleaned = redact.redact(f"before {text} after")
    assert text not in cleaned
    assert redact.MASK in cleaned
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")


def test_base64_whose_signs_were_escaped_is_hidden_to_its_end() -> None:
    token = "~~~???ab" * 40  # + and / all along the encoded string
    line = base64.b64encode(f"user=a@b.example\x01auth=Bearer {token}\x01\x01".encode()).decode()
    assert "+" in line
    assert "/" in line
    for escaped in (
        quote(line, safe=""),
        quote(quote(line, safe=""), safe=""),
        line.replace("/", "\\/"),
    ):
        assert line[-40:-4] not in redact.redact(escaped).replace("%2B", "+").replace("%2F", "/")
        assert escaped[60:90] not in redact.redact(escaped)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_kind_of_secret_is_hidden_in_every_encoding(name: str, encoding: str) -> None:
    redact.remember(SECRETS[name])
    form = ENCODINGS[encoding](SECRETS[name])
    for text in (f"before {form} after", f"before {form} twice {form} after"):
        cleaned = redact.redact(text)
        assert cleaned.startswith("before ")
        assert cleaned.endswith(" after")
        assert redact.MASK in cleaned
        for piece in pieces(form):
            assert piece not in cleaned or piece in ENCODINGS[encoding]("")


@pytest.mark.parametrize("length", [16, 23])
@pytest.mark.parametrize("secret", [SECRETS["client secret"], "0.AXk" + "abcdefghijklmnopqrstuvwxyz0123456789" * 3, LONG_TOKEN])  # fmt: skip
def test_a_long_piece_of_a_secret_is_hidden_wherever_it_was_cut(secret: str, length: int) -> None:
    redact.remember(secret)
    starts = {*range(0, len(secret) - length + 1, 7), len(secret) - length}
    for start in starts:
        piece = secret[start : start + length]
        assert redact.redact(f"«{piece}»") == f"«{redact.MASK}»"
        assert piece not in redact.redact(f"«x{piece}y»")
        for encoded in (quote(piece, safe=""), piece.encode().hex(), b64(f"..{piece}.")):
            assert encoded not in redact.redact(f"«{encoded}»")


def test_words_that_a_passphrase_has_in_common_with_a_text_stay() -> None:
    redact.remember("correct horse battery staple at the lake")
    for text in ("a horse battery", "at the lake", "correct horse is a horse"):
        assert redact.redact(text) == text
    assert redact.redact("it was ‘horse battery staple at’") == f"it was ‘{redact.MASK}’"


def test_an_address_in_a_token_stays_readable_elsewhere() -> None:
    redact.remember("token-of-anna.lindqvist@kanzlei.example")
    assert redact.redact("to peer@kanzlei.example") == "to peer@kanzlei.example"
    assert redact.redact("of anna.lindqvist@kanzlei.example") == "of anna.lindqvist@kanzlei.example"
    assert redact.redact("token-of-anna.lindqvist@kanzlei.example") == redact.MASK


def test_short_secrets_are_hidden_in_every_encoding() -> None:
    for secret in ("Zyzz-y7", "pw+zyzzyva", "hunter2/hunter", "grüßgott"):
        redact.remember(secret)
        for encoding, encode in ENCODINGS.items():
            form = encode(secret)
            if form == secret and encoding != "plain":
                continue
            assert form not in redact.redact(f"before {form} after"), (secret, encoding)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("client_secret=hunter2hunter2&scope=x", "hunter2hunter2"),
        ('{"refresh_token": "0.AXkA-somebody-elses-token"}', "0.AXkA-somebody-elses-token"),
        (r"{\"access_token\":\"abcdefghijk\"}", "abcdefghijk"),
        ("Authorization: Bearer abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz"),
        (
            "token eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL291dGxvb2sifQ.c2lnbmF0dXJl",
            "c2lnbmF0dXJl",
        ),
        (
            "http://localhost/?code=0.AXkAabcdefghijklmnopqrstuvwxyz0123456789&state=1",
            "AXkAabcdefghijklmnop",
        ),
        (
            "C: " + base64.b64encode(b"user=a@b.example\x01auth=Bearer x\x01\x01").decode(),
            "dXNlcj1",
        ),
        (f"Authorization: Basic {b64('anna:hunter2')}", b64("anna:hunter2")),
        (f"it sent Basic {b64('anna:hunter2')} to it", b64("anna:hunter2")),
        ("authorization: bearer abc123", "abc123"),
        ('{"Authorization": "Bearer abc123"}', "abc123"),
        ("Proxy-Authorization: Negotiate YIIabc", "YIIabc"),
        ("cannot connect to postgresql://msoauth:hunter2@db.example/mail", "hunter2"),
        ("postgresql+psycopg://msoauth:hun/ter@2@db.example/mail?sslmode=require", "hun/ter@2"),
        ("proxy http://anna:hunter2@proxy.example:8080", "hunter2"),
        ("https://:hunter2@proxy.example", "hunter2"),
        ("connect?user=x&password=hunter2&sslmode=require", "hunter2"),
        ("sslpassword=hunter2 host=db.example", "hunter2"),
        ("MSOAUTH_PASSPHRASE=correct-horse", "correct-horse"),
        ('{"password": "two words, [and] {more}"}', "words, [and] {more}"),
        ("{'client_secret': 'a b c'}", "a b c"),
        (r'{\"passphrase\": \"a b c\"}', "a b c"),
        ("clientSecret: hunter2hunter2", "hunter2hunter2"),
        ("client_secret%3Dhunter2hunter2%26scope", "hunter2hunter2"),
        ("client_secret%253Dhunter2hunter2", "hunter2hunter2"),
        ("refresh_token&#61;hunter2hunter2", "hunter2hunter2"),
        (f"body: {b64(json.dumps({'refresh_token': 'hunter2hunter2'}))}", "1bnRlcjJodW50ZXIy"),
        (f"body: {b64('client_secret=hunter2&x=y').encode().hex()}", "593278705a57"),
        (f"AUTH PLAIN {b64(chr(0) + 'anna' + chr(0) + 'pw1')}", b64(chr(0) + "anna" + chr(0) + "pw1")),
        ("C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: YW5uYQ==\nS: 334 UGFzc3dvcmQ6\nC: aHVudGVy\nS: 535 no", "aHVudGVy"),
        ("C: AUTH PLAIN\r\nS: + \r\nC: AGFubmEAcHc=\r\nS: -ERR no", "AGFubmEAcHc="),
        ("a1 AUTHENTICATE LOGIN\n+\nYW5uYQ==\n+ Password:\naHVudGVy\na1 NO", "aHVudGVy"),
        ("C: USER anna\nS: +OK\nC: PASS hunter2\nS: -ERR", "hunter2"),
        ("C: a1 LOGIN anna@contoso.example hunter2", "hunter2"),
        ("Set-Cookie: ESTSAUTH=abc123; path=/; secure", "abc123"),
        ("Cookie: one=abc123; ESTSAUTHPERSISTENT=def456", "def456"),
        ("-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----", "MIIabc"),
    ],
)  # fmt: skip
def test_a_credential_nobody_remembered_is_hidden_by_its_looks(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in redact.redact(text)
    assert redact.MASK in redact.redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "AADSTS7000215: Invalid client secret provided. Trace ID: 423fb8ff-6968-4354-98ff-6a9818890b00",
        "https://login.microsoftonline.com/error?code=7000215",
        '{"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges"}}',
        '{"error":{"code":"ErrorInsufficientPermissionsInAccessToken","message":"x"}}',
        "535 5.7.139 Authentication unsuccessful [MN2PR05CA0004.namprd05.prod.outlook.com 08DBB276B7E699C4]",
        "+OK The Microsoft Exchange POP3 service is ready. [QgBZADUAUABSADEAMABDADEA]",
        "the password is wrong",
        "535 5.7.3 Basic authentication is disabled: AUTH LOGIN failed, AUTH PLAIN disabled",
        "250-AUTH LOGIN XOAUTH2\n250-STARTTLS\n250 OK",
        "C: a1 CAPABILITY\nS: + OK\nS: a1 NO LOGIN failed",
        "https://host.example:8080/a?mail=anna@contoso.example",
        "see https://login.microsoftonline.com/common/oauth2/v2.0/token for anna@contoso.example",
        "Set-Cookie: fpc=; path=/; secure; expires=Tue, 01 Jan 2030 00:00:00 GMT",
        '{"status":"401","schemes":"bearer","scope":"https://outlook.office.com/"}',
        b64('{"status":"401","schemes":"bearer","scope":"https://mail.example/"}'),
        "Correlation ID: 1a2b3c4d-1a2b-3c4d-5e6f-1a2b3c4d5e6f, 00000000000000000000000000000000",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "Kanzlei Müller & Söhne: 100 % geprüft\nzweite Zeile\n\tdritte",
        "请求的范围无效，请与管理员联系。这是一个很长的句子。",
    ],
)
def test_what_a_diagnosis_needs_stays_readable(text: str) -> None:
    assert redact.redact(text) == text


HOSTILE = {
    "percent": "%2525252541", "entities": "&amp;&#38;", "backslashes": "\\", "escapes": "\\u0041\\\\u0041",
    "quoted-printable": "=41=\n", "equals": "=", "letters": "a", "base64": b64(b64(b64("x" * 300))), "blanks": " ",
    "folds": "a \n", "zeros": "\0a", "plus": "+a", "quotes": 'password="', "fields": "password=", "schemes": "://",
    "addresses": "://a:", "databases": "postgres://a:", "jwt": "eyJaaaaaaaaa.", "auth": "AUTH PLAIN\n+\n",
    "cookies": "Cookie: a=b;", "hex": "61 ", "wide": "牧", "keys": "-----BEGIN PRIVATE KEY-----", "login": 'LOGIN "',
    "mixed": "%5Cu0026amp%3B=25%26#37;+\n\0", "parts": SECRETS["client secret"][:12], "secrets": SECRETS["client secret"],
}  # fmt: skip


@pytest.mark.parametrize("size", [50_000, pytest.param(1_000_000, marks=pytest.mark.release)])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_takes_no_longer_than_its_size_calls_for(name: str, size: int) -> None:
    redact.remember(*SECRETS.values())
    text = HOSTILE[name] * (size // len(HOSTILE[name]))
    start = time.thread_time()
    redact.redact(text)
    assert time.thread_time() - start < 8e-6 * size + 0.3  # a quarter of it, on an idle computer


def test_a_text_is_cut_only_after_it_was_redacted() -> None:
    secret = secrets.token_urlsafe(900)
    redact.remember(secret)
    for before in (*range(380, 401), 30_000):
        cut = redact.redact("-" * before + f" {secret} " + "-" * 50_000, 400)
        assert len(cut) <= 400
        assert secret[:6] not in cut
    assert redact.redact("a" * 500, 400) == "a" * 400


def test_an_ordinary_line_takes_microseconds() -> None:
    line = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. [MN2PR05CA0004.namprd05.prod.outlook.com 2023-01-01T00:00:00.000Z 08DBB276B7E699C4]"
    redact.remember(*(secrets.token_urlsafe(900) for _ in range(100)))
    redact.redact(line)
    start = time.thread_time()
    for _ in range(200):
        redact.redact(line)
    assert (time.thread_time() - start) / 200 < 1e-3  # some 70 µs, on an idle computer


def test_log_records_are_scrubbed_with_their_arguments_and_tracebacks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    redact.remember(MARKER)
    caplog.handler.addFilter(logs.RedactingFilter())
    try:
        raise RuntimeError(MARKER)
    except RuntimeError:
        logging.getLogger("test").exception("failed with %s", MARKER)
    assert "failed with" in caplog.text
    assert "RuntimeError" in caplog.text
    assert MARKER not in caplog.text


def test_remembering_many_tokens_makes_neither_remembering_nor_redacting_slow() -> None:
    def seconds_for(count: int) -> float:
        start = time.thread_time()  # what other processes take is not ours
        for _ in range(count):
            redact.remember(f"0.AXk{secrets.token_urlsafe(900)}")  # tokens begin alike
        return time.thread_time() - start

    few = seconds_for(300)
    seconds_for(3000)
    assert seconds_for(300) < 10 * few + 0.5
    kept = secrets.token_urlsafe(900)
    redact.remember(kept)
    start = time.thread_time()
    assert redact.redact(f"a {kept} b {'ordinary words ' * 200}").startswith("a [hidden] b ord")
    assert time.thread_time() - start < 0.5


def test_no_text_is_cut_before_it_is_redacted() -> None:
    """No slice of a text goes into redact, and none is taken of what it returns: it is given the limit."""
    for file in Path(redact.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            calls = [node] if isinstance(node, ast.Call) else []
            inside = [*calls[0].args] if calls else []
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Call):
                calls, inside = [node.value], [node]
            for call in calls:
                name = (
                    call.func.attr
                    if isinstance(call.func, ast.Attribute)
                    else getattr(call.func, "id", "")
                )
                if name == "redact":
                    assert not any(
                        isinstance(n, ast.Slice) for part in inside for n in ast.walk(part)
                    ), f"{file.name}:{call.lineno}"


# In a process of its own, which remembers none of the secrets that other tests have used.
REDACT_ALL = """
import json, sys
from msoauth.redact import redact
print(json.dumps([text for text in json.load(sys.stdin) if redact(text) != text]))
"""


def test_no_text_of_ours_is_taken_for_a_secret() -> None:
    """Except the help that shows how a variable is set."""
    with (Path(redact.__file__).parent / "locale/de/LC_MESSAGES/msoauth.po").open("rb") as file:
        catalogue = read_po(file, locale="de")
    texts = [
        text
        for message in catalogue
        for said in (message.id, message.string)
        for text in (said if isinstance(said, (list, tuple)) else (said,))
        if text and "MSOAUTH_PASSPHRASE=..." not in text
    ]
    assert len(texts) > 2000
    done = subprocess.run(
        [sys.executable, "-c", REDACT_ALL],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize(
    "text",
    [
        "AADSTS50056: Invalid or null password: password doesn't exist in the directory for this user.",
        "NoPermissionsInAccessToken: The token contains no permissions",
        "This workspace is sealed with a passphrase: set MSOAUTH_PASSPHRASE.",
    ],
)
def test_a_sentence_that_goes_on_after_a_colon_holds_no_secret(text: str) -> None:
    assert redact.redact(text) == text


@pytest.mark.parametrize(
    "secret", ["geheim", "geheim!", "not-told", "thesis", "useful", "isabella"]
)
def test_a_password_after_a_colon_is_hidden(secret: str) -> None:
    assert secret not in redact.redact(f"password: {secret} for anna")

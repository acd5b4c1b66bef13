"""Secrets leave no text that went through the scrubber, in any encoding; what people need stays."""

import base64
import json
import logging
import re
import secrets
import time
from urllib.parse import quote

import pytest

from msoauth import redact

MARKER = "Zk9~planted.marker/secret+value=7"
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
    ],
)
def test_a_credential_nobody_remembered_is_hidden_by_its_looks(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in redact.redact(text)


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
    ],
)
def test_what_a_diagnosis_needs_stays_readable(text: str) -> None:
    assert redact.redact(text) == text


def test_log_records_are_scrubbed_with_their_arguments_and_tracebacks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    redact.remember(MARKER)
    caplog.handler.addFilter(redact.RedactingFilter())
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

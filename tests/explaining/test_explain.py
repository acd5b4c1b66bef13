"""Any error text → its cause: by code, by the server's words, through noise; and never a loud guess."""

import base64
import html
import json
import tomllib
import urllib.parse
from importlib import resources

import pytest

from msoauth.explaining import explain
from msoauth.explaining.batch import batch
from msoauth.explaining.load import causes
from msoauth.explaining.voices import foreign_server

CATALOGUE = resources.files("msoauth.explaining") / "catalogue"
SIGNATURES = [
    entry
    for file in CATALOGUE.iterdir()
    if file.name.startswith("signatures-")
    for entry in tomllib.loads(file.read_text(encoding="utf-8"))["signature"]
]
TRACE = "Trace ID: 0f1e2d3c-4b5a-6978-8796-a5b4c3d20100 Correlation ID: 11111111-2222-3333-4444-555555555555 Timestamp: 2026-11-06 09:15:00Z"
EXPIRED = (
    "AADSTS7000222: The provided client secret keys for app 'a' are expired. "
    f"Visit the Azure portal to create new keys for your app. {TRACE}"
)


@pytest.mark.parametrize(
    "entry", SIGNATURES, ids=[f"{s['cause']}-{n}" for n, s in enumerate(SIGNATURES)]
)
def test_every_signature_explains_its_own_example(entry: dict[str, str]) -> None:
    assert entry["source"]
    assert explain(entry["example"]).cause == entry["cause"]


@pytest.mark.parametrize("name", sorted(causes()))
def test_every_cause_says_what_it_means_and_how_to_mend_it(name: str) -> None:
    cause = causes()[name]
    assert cause.title
    assert cause.meaning
    assert cause.fix
    assert cause.who or name == "unknown"


@pytest.mark.parametrize(
    "wrapped",
    [
        EXPIRED,
        urllib.parse.quote_plus(
            f"http://localhost/?error=invalid_client&error_description={EXPIRED}"
        ),
        urllib.parse.quote_plus(urllib.parse.quote_plus(EXPIRED)),
        json.dumps(
            {"error": "invalid_client", "error_description": EXPIRED, "error_codes": [7000222]}
        ),
        json.dumps(json.dumps({"error_description": EXPIRED})),
        f"<html><body><p>{html.escape(EXPIRED)}</p><script>alert(1)</script></body></html>",
        f"> > Hallo,\n> > hier der Fehler:\n> > {EXPIRED}\n> Gruß\n-- \nKanzlei",
        f"System.Exception: outer ---> Microsoft.Identity.Client.MsalServiceException: {EXPIRED}\n   at X.Y()",
    ],
)
def test_noise_around_an_error_does_not_hide_it(wrapped: str) -> None:
    assert explain(wrapped).cause == "secret-expired"


def test_an_inner_code_decides_over_the_one_that_wraps_it() -> None:
    text = f"AADSTS70002: Error validating credentials. AADSTS50126: Invalid username or password. {TRACE}"
    assert explain(text).cause == "password-wrong"


REFUSED = "C: A1 AUTHENTICATE PLAIN (hidden)\nS: A1 NO AUTHENTICATE failed."


def test_a_mailbox_that_does_not_open_after_the_login_is_a_cause() -> None:
    again = "\nC: A2 LOGIN (hidden)\nS: A2 OK LOGIN completed.\nS: A3 BAD Invalid messageset"
    assert explain(REFUSED).cause == "mail-login-rejected"
    accepted = "S: A3 BAD User is authenticated but not connected."
    assert explain(accepted + again).cause == "mail-login-rejected"  # the login was not refused


def test_what_only_sounds_like_a_refusal_is_none_without_microsoft_and_with_a_number() -> None:
    assert explain("Outlook said: authentication failed").cause == "mail-login-rejected"
    for other in ("the mail server", "the printer"):
        assert explain(f"{other} said: authentication failed").cause == "unknown"
    assert explain("Outlook: authentication failed: AADSTS99999: new").cause == "unknown"


def test_a_consequence_yields_to_what_led_to_it() -> None:
    text = "AADSTS50173: The grant has expired.\n530 5.7.57 Client not authenticated to send mail."
    assert explain(text).cause == "refresh-revoked"


def test_what_is_told_of_the_past_ends_with_its_paragraph() -> None:
    told = "AADSTS50011: no such redirect address.\n\nOf late a proxy error comes too: 407."
    assert explain(f"Everything worked previously\n\n{told}").cause == "redirect-mismatch"
    assert explain(f"Since yesterday we get {told}").cause == "redirect-mismatch"


def test_a_number_inside_an_id_is_no_code() -> None:
    assert explain("request 50126a11-7000-4222-8111-700021550126 failed").cause == "unknown"


def test_the_ids_and_the_time_are_found() -> None:
    ids = explain(EXPIRED).ids
    assert ids["trace_id"] == "0f1e2d3c-4b5a-6978-8796-a5b4c3d20100"
    assert ids["correlation_id"] == "11111111-2222-3333-4444-555555555555"
    assert ids["timestamp"].startswith("2026-11-06 09:15:00")


@pytest.mark.parametrize(
    "text", ["", "   ", "\x00\xff\x00", "The printer is out of paper.", "[" * 100_000]
)
def test_what_is_not_known_stays_unknown(text: str) -> None:
    assert explain(text).cause == "unknown"


def test_an_unknown_code_is_shown() -> None:
    known = explain("AADSTS9999999: something new")
    assert known.cause == "unknown"
    assert known.codes == ("AADSTS9999999",)


def test_a_secret_in_the_text_does_not_come_out_again() -> None:
    token = base64.b64encode(
        b"user=a@contoso.example\x01auth=Bearer planted-marker-token\x01\x01"
    ).decode()
    text = f"C: AUTH XOAUTH2 {token}\nS: 535 5.7.3 Authentication unsuccessful client_secret=planted-marker-secret"
    said = json.dumps(explain(text).as_json())
    assert "planted-marker" not in said
    assert token not in said


def test_a_batch_answers_each_line_and_goes_on_after_a_bad_one() -> None:
    lines = [
        json.dumps({"id": "1", "text": EXPIRED}),
        "not json",
        json.dumps({"id": "3", "text": "?"}),
    ]
    answers = [json.loads(line) for line in batch(lines)]
    assert [a.get("cause") for a in answers if a.get("id") in ("1", "3")] == [
        "secret-expired",
        "unknown",
    ]


@pytest.mark.parametrize(
    "piece", ["a", " ", "(", "535 5.7.139 ", "user ", "scope ", "%25", "\\", "invalid_grant "]
)
def test_no_pattern_runs_away(piece: str) -> None:
    """A pattern that backtracks without bound would pass the test's time limit by far."""
    assert explain(piece * (400_000 // len(piece))).cause


def test_the_words_shown_begin_with_their_line_or_a_whole_word() -> None:
    reply = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox."
    assert explain(reply).evidence.startswith("535 5.7.139")
    assert " 535 5.7.139" in explain(f"{'x ' * 90}{reply}").evidence


@pytest.mark.parametrize(
    ("greeting", "whose"),
    [
        ("220 srv17.hoster.example ESMTP Exim 4.96 #2 Mon, 30 Nov 2026 10:00:00 +0000", "Exim"),
        ("220 mail.kanzlei.example ESMTP Postfix (Debian/GNU)", "Postfix"),
        ("220 smtp.gmail.com ESMTP 5b1f17b1804b1-gsmtp", "Gmail"),
        ("220 PN4P287CA0064.outlook.office365.com Microsoft ESMTP MAIL Service ready", ""),
        ("220 server ready", ""),
    ],
)
def test_a_greeting_shows_whose_server_answers(greeting: str, whose: str) -> None:
    assert foreign_server(greeting) == whose

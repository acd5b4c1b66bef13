"""Whose failure a text reports is judged by all its words, and by what the marks and phrases in it show."""

import pytest

from msoauth.explaining import explain
from msoauth.explaining.classifier import doubts, features, weights

EVENT = "Trace ID: 6d1b7c2e-90aa-4f0e-8b5d-3c2f1e0d9a00 Timestamp: 2026-11-06 09:15:00Z"
WRONG = "AADSTS50126: Error validating credentials due to invalid username or password."


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (f"Sign-in of the mail program fails: {WRONG} {EVENT}", "password-wrong"),
        (f"feat: handle errors in the login\n\nAdds a test that {WRONG} is caught", "unknown"),
        (
            f"## Troubleshooting\n| Code | Meaning |\n|---|---|\n| `{WRONG}` | The password is wrong |\n",
            "unknown",
        ),
    ],
)
def test_what_stands_around_the_same_code_decides(text: str, cause: str) -> None:
    assert explain(text).cause == cause


def test_each_feature_weighs_little_alone_and_is_learned() -> None:
    assert len(weights()) > 1_000
    assert max(abs(weight) for pair in weights().values() for weight in pair) < 12
    assert any(feature.startswith("=cause ") for feature in weights())


@pytest.mark.parametrize("found", [{}, {"no such word": 1.0}, dict.fromkeys(weights(), 1.0)])
def test_doubts_are_probabilities(found: dict[str, float]) -> None:
    other, none = doubts(found)
    assert 0 <= other <= 1
    assert 0 <= none <= 1
    assert other + none <= 1


def test_the_words_that_are_read_are_bounded() -> None:
    few = features("word " * 1_000, 0, ())
    many = features(" ".join(map(str, range(200_000))), 600_000, ())
    assert few.keys() == {"word", "word word"}
    assert len(many) < 2_000

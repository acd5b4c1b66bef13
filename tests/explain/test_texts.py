"""Error texts as programs and servers print them, of every cause, each told rightly."""

import json
from pathlib import Path
from typing import Any

import pytest

from msoauth.explain import explain
from msoauth.explain.load import causes

TEXTS: list[dict[str, Any]] = [
    json.loads(line)
    for line in Path(__file__).with_name("texts.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize("entry", TEXTS, ids=[f"{one['id']}-{one['cause']}" for one in TEXTS])
def test_the_cause_of_a_text_is_told(entry: dict[str, Any]) -> None:
    assert explain(entry["text"]).cause in (entry["cause"], *entry["also_ok"])


def test_the_texts_are_of_every_cause() -> None:
    assert {one["cause"] for one in TEXTS} == set(causes())


def test_what_is_no_failure_of_these_is_not_guessed_at() -> None:
    """Among the texts are healthy dialogues, letters, and failures of other kinds."""
    strange = [explain(one["text"]) for one in TEXTS if one["cause"] == "unknown"]
    unknown = [one for one in strange if one.cause == "unknown"]
    assert len(unknown) >= 30
    assert {one.confidence for one in unknown} == {"unsure"}

"""Error texts as programs and servers print them, of every cause, each told rightly."""

import html
import json
import re
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from msoauth.explaining import explain
from msoauth.explaining.load import causes

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


HEALTHY = (
    "2026-02-03 10:00:01 INFO scheduler: job 12 done\n"
    "2026-02-03 10:00:02 DEBUG imap: * OK CAPABILITY completed.\n"
    "2026-02-03 10:00:03 INFO config: timeout=300 port=587 proxy=none host=smtp.office365.com\n"
)
SETTINGS = (
    "[account]\nimap_host = outlook.office365.com\nclient_id = 7b1c2a34-0f3e-4d21-9a77-2c1d5e6f7a80\n"
    "tenant = common\nauthority = https://login.microsoftonline.com/common\nredirect_uri = http://localhost\n"
    "scope = https://outlook.office.com/IMAP.AccessAsUser.All offline_access\nclient_secret = xxx\n"
)
LETTER = "Hello support,\n\nsince yesterday our mail program says this:\n\n{}\n\nKind regards\nAnna Berg\n--\nContoso"


def between(before: str, after: str, text: str) -> str:
    return before + text + after


WRAPPINGS: dict[str, Callable[[str], str]] = {
    "quoted": lambda text: "\n".join(
        f"> {line}" for part in text.split("\n") for line in textwrap.wrap(part, 60) or [""]
    ),
    "JSON in JSON": lambda text: json.dumps({"log": json.dumps({"message": text})}),
    "page": lambda text: f"<html><body><pre>{html.escape(text)}</pre></body></html>",
    "address": lambda text: f"http://localhost/?error=x&error_description={quote_plus(text)}",
    "log": lambda text: f"{HEALTHY}{text}\n{HEALTHY}",
    "letter": LETTER.format,
    "with settings": lambda text: f"{text}\n\n{SETTINGS}",
}


# What people and programs put around an error: an issue's form, a library's debug log, a dialogue, a stack trace.
for line in Path(__file__).with_name("surroundings.jsonl").read_text(encoding="utf-8").splitlines():
    around = json.loads(line)
    WRAPPINGS[around["name"]] = partial(between, around["before"], around["after"])


@pytest.mark.parametrize("name", WRAPPINGS)
def test_what_stands_around_a_text_changes_nothing(name: str) -> None:
    wrong = [
        (one["id"], told)
        for one in TEXTS
        if (told := explain(WRAPPINGS[name](one["text"])).cause)
        not in (one["cause"], *one["also_ok"])
    ]
    assert wrong == []


NUMBERS = re.compile(
    r"AADSTS[ -]?\d+|\"?error_codes\\*\"?\s*[:=]\s*\[[^\]]*\]|error\?code=\d+|(?:error code:?|resulttype:?)\s*\d{5,}",
    re.IGNORECASE,
)


def test_the_words_tell_it_without_their_numbers() -> None:
    """Two of them say nothing beside the number."""
    wrong = [
        one["id"]
        for one in TEXTS
        if (bare := NUMBERS.sub("", one["text"])) != one["text"]
        and explain(bare).cause not in (one["cause"], *one["also_ok"])
    ]
    assert set(wrong) <= {"t021", "t127"}

"""Every number, reply and name that the facts list (facts D, E, L9, L12 and M1) is told as they say."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from msoauth.explaining import explain

FACTS: dict[str, list[dict[str, Any]]] = defaultdict(list)
for line in Path(__file__).with_name("facts.jsonl").read_text(encoding="utf-8").splitlines():
    entry = json.loads(line)
    FACTS[entry["facts"]].append(entry)


def ways(entry: dict[str, Any]) -> list[str]:
    """The server's words alone, and as they come: behind their number."""
    text = entry["text"]
    return [text, f"AADSTS{entry['number']}: {text}"] if "number" in entry else [text]


@pytest.mark.parametrize("section", sorted(FACTS))
def test_what_the_facts_list_is_told_as_they_say(section: str) -> None:
    wrong = [
        (text, told)
        for one in FACTS[section]
        for text in ways(one)
        if (told := explain(text).cause) not in (one["cause"], *one["also_ok"])
    ]
    assert wrong == []


def test_no_section_is_left_out() -> None:
    sections = {f"D{n}" for n in range(2, 12)} | {f"E{n}" for n in range(2, 7)}
    assert sections | {"L9", "L12", "M1"} == set(FACTS)

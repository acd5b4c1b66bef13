"""What servers, libraries and programs print of a failure, one line each and nothing around it."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from msoauth.explaining import explain

REPLIES: dict[str, list[dict[str, Any]]] = defaultdict(list)
for line in Path(__file__).with_name("replies.jsonl").read_text(encoding="utf-8").splitlines():
    entry = json.loads(line)
    REPLIES[entry["cause"]].append(entry)


@pytest.mark.parametrize("cause", sorted(REPLIES))
def test_a_line_alone_is_told(cause: str) -> None:
    wrong = [
        (one["text"], told)
        for one in REPLIES[cause]
        if (told := explain(one["text"]).cause) not in (cause, *one["also_ok"])
    ]
    assert wrong == []

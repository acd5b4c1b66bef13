"""Explains many error texts at once: JSON lines in, JSON lines in ASCII out."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from msoauth.explaining.explanation import explain
from msoauth.sanitize import json_text


def batch(lines: Iterable[str]) -> Iterator[str]:
    """Explain each line ``{"id": …, "text": …}``; the result of an invalid line has an ``error``."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield json_text(_answer(number, line))


def _answer(number: int, line: str) -> dict[str, Any]:
    try:
        entry = {**json.loads(line)}
    except (TypeError, ValueError, RecursionError):
        entry = {}
    if isinstance(entry.get("text"), str):
        return {"id": entry.get("id"), **explain(entry["text"]).as_json()}
    return {
        "id": entry.get("id"),
        "cause": "unknown",
        "error": f"line {number} is not a JSON object with a text",
    }

"""Explains many error texts at once: JSON lines in, JSON lines out."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from msoauth.explaining.explanation import explain


def batch(lines: Iterable[str]) -> Iterator[str]:
    """Explain each line ``{"id": …, "text": …}``; the answer to an invalid line has an ``error``."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, text = _entry(line)
        if text is None:
            wrong = f"line {number} is not a JSON object with a text"
            yield _json({"id": name, "cause": "unknown", "error": wrong})
        else:
            yield _json({"id": name, **explain(text).as_json()})


def _entry(line: str) -> tuple[Any, str | None]:
    """The id and the text of a line; None for what it lacks."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(entry, dict):
        return None, None
    text = entry.get("text")
    return entry.get("id"), text if isinstance(text, str) else None


def _json(answer: dict[str, Any]) -> str:
    line = json.dumps(answer, ensure_ascii=False)
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate: valid in JSON, not in UTF-8
        line = json.dumps(answer)
    return line

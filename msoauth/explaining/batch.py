"""Explains many error texts at once: JSON lines in, JSON lines in ASCII out."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from msoauth.explaining.explanation import explain
from msoauth.sanitize import json_text


def batch(lines: Iterable[str]) -> Iterator[str]:
    """Explain each line ``{"id": …, "text": …}``; the result of an invalid line has an ``error``."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        entry_id, text = _parse_line(line)
        if text is None:
            message = f"line {number} is not a JSON object with a text"
            yield json_text({"id": entry_id, "cause": "unknown", "error": message}, ascii_only=True)
        else:
            yield json_text({"id": entry_id, **explain(text).as_json()}, ascii_only=True)


def _parse_line(line: str) -> tuple[Any, str | None]:
    """The id and the text of a line; None for either that is missing or invalid."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(entry, dict):
        return None, None
    text = entry.get("text")
    return entry.get("id"), text if isinstance(text, str) else None

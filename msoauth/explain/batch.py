"""Many texts at once: JSON lines in, JSON lines out."""

import json
from collections.abc import Iterable, Iterator

from msoauth.explain.explanation import explain


def batch(lines: Iterable[str]) -> Iterator[str]:
    """Explain each line ``{"id": …, "text": …}``; a line that is none is answered with ``error``, in its place."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            text, name = entry["text"], entry.get("id")
            if not isinstance(text, str):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            yield json.dumps(
                {
                    "id": None,
                    "cause": "unknown",
                    "error": f"line {number} is not a JSON object with a text",
                }
            )
            continue
        yield json.dumps({"id": name, **explain(text).as_json()}, ensure_ascii=False)

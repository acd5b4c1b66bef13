"""Finds the address with a sign-in's reply (RFC 6749, 4.1.2) in whatever text a user pastes or mails back.

Mail programs quote the address, break it over lines, escape it, or hide it behind a link guard such as Safe Links.
"""

import html
import quopri
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, unquote

_TEXT_LIMIT = 200_000  # characters; a mail with its quotes
# A line that a mail program broke, perhaps behind quote marks.
_LINE_BREAK = re.compile(r"[ \t]*\r?\n[>\s]*")
_SEPARATORS = re.compile(r"[\s<>\"'|]+")
_MAX_DEPTH = 3  # link guards that wrap one another


def find_replies(text: str) -> Iterator[dict[str, str]]:
    """Every sign-in reply in *text*, even if it is broken over lines, quoted, escaped, or behind a link guard."""
    text = text[:_TEXT_LIMIT]
    seen = set()
    for version in _versions(text):
        for chunk in _SEPARATORS.split(version):
            for fields in _fields(chunk, _MAX_DEPTH):
                key = tuple(sorted(fields.items()))
                if key not in seen:
                    seen.add(key)
                    yield fields


def _versions(text: str) -> Iterator[str]:
    """The text as it is, and as it was before mail programs handled it."""
    texts = [text]
    if "=3D" in text or "=\n" in text or "=\r\n" in text:
        texts.append(quopri.decodestring(text.encode()).decode("utf-8", "replace"))
    for version in texts:
        for unescaped in dict.fromkeys((version, html.unescape(version))):
            yield unescaped
            yield _LINE_BREAK.sub("", unescaped)


def _fields(chunk: str, depth: int) -> Iterator[dict[str, str]]:
    """The sign-in replies in a piece of text without blanks."""
    if not any(name in chunk for name in ("code", "error")):
        return
    query = chunk.partition("?")[2] if "?" in chunk else chunk
    try:
        parameters = parse_qs(query.partition("#")[0], max_num_fields=50)
    except ValueError:
        return
    fields = {name: values[0] for name, values in parameters.items()}
    if ("code" in fields or "error" in fields) and "url" not in fields:
        yield {name: value.rstrip(">.,;)]") for name, value in fields.items()}
    if depth:
        # Link guards carry the address in a parameter (Safe Links: url, Barracuda: a), or between underscores
        # (URL Defense v3), or with its own escapes (URL Defense v2: u).
        wrapped = [fields[name] for name in ("url", "a") if name in fields]
        if "u" in fields:
            wrapped.append(unquote(fields["u"].replace("-", "%").replace("_", "/")))
        if "/v3/__" in chunk:
            wrapped.append(chunk.partition("/v3/__")[2].partition("__;")[0])
        for address in wrapped:
            yield from _fields(address, depth - 1)

"""Text that acts on a terminal or disguises text, and how to tell that a text holds none of it."""

import unicodedata

# What it does to a terminal or to a reader, and how.
HOSTILE = {
    "colour": "\x1b[31mred",
    "erase": "\x1b[2J\x1b[H",
    "link (OSC 8)": "\x1b]8;;https://evil.example\x1b\\text\x1b]8;;\x1b\\",
    "clipboard (OSC 52)": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "bell": "\x07",
    "8-bit control (C1)": "\x9b31m\x9d52;c;eA==\x9c\x85",
    "overwriting": "refused\raccepted",
    "backspaces": "no\b\bok",
    "delete": "a\x7fb",
    "null": "a\0b",
    "direction": "\u202egpj.exe\u202c \u200f\u200e\u061c",
    "isolates": "\u2066a\u2067b\u2068c\u2069",
    "no width": "pay\u200bpal \u200c\u200d\u2060\ufeff\xad",
    "no ink": "\u115f\u1160\u3164\uffa0\u034f",
    "tags": "\U000e0001\U000e0041\U000e007f\U000e0100",
    "lines": "a\u2028b\u2029c\x0bd\x0c",
    "annotations": "\ufff9a\ufffab\ufffb",
}
ALL = "".join(HOSTILE.values())


def is_harmless(text: str) -> bool:
    """Whether *text* has only characters that are seen as they are, by Unicode's own data."""
    return not any(
        (unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in "\n\t")
        or char in "\u034f\u115f\u1160\u3164\uffa0"
        or 0xE0000 <= ord(char) <= 0xE0FFF
        for char in text
    )  # fmt: skip

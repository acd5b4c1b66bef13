"""Makes text from outside harmless to show: what controls a terminal or disguises text is replaced by what it is called.

Servers, certificates, endpoints files, imported lists and other people's databases give us text. Shown as it is, it
could move the cursor, overwrite lines, write the clipboard (OSC 52), pose as a link (OSC 8), or show another order of
letters than the one that a program reads (Unicode Technical Report 36). Nothing is lost: each such character leaves a
visible one (``␛``) or its number (``[U+202E]``).
"""

import json
import re

# Control characters but for tab and line feed; marks and isolates of the writing direction; characters without width
# or ink; separators of lines and paragraphs; tags; variation selectors but for those of text and emoji; half pairs.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff\ud800-\udfff]"
)


def is_harmless(text: str) -> bool:
    """Whether *text* is one line that holds nothing of the kind."""
    return text.isprintable() and (text.isascii() or not _UNSAFE.search(text))


def visible(text: str) -> str:
    """*text* with characters that act on a terminal or disguise text replaced by visible ones; its lines stay.

    >>> visible("\\x1b[2J+OK\\u202e")
    '␛[2J+OK[U+202E]'
    """
    if is_harmless(text):
        return text
    return _UNSAFE.sub(lambda match: _name(match[0]), text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """*text* as :func:`visible` shows it, on one line.

    >>> one_line("first\\nsecond\\x07")
    'first second␇'
    """
    if is_harmless(text):
        return text
    return re.sub(r"\s*[\n\t]\s*", " ", visible(text))


def json_text(value: object, *, ascii_only: bool = False) -> str:
    """*value* as JSON on one line, in which those characters are escaped as JSON has it: a program reads them unchanged.

    Args:
        ascii_only: Escape all that is not ASCII. PowerShell before 7.4 reads a program's output in the console's code
            page.

    >>> json_text({"name": "ü\\u202eb"})
    '{"name": "ü\\\\u202eb"}'
    >>> json_text({"name": "ü\\u202eb"}, ascii_only=True)
    '{"name": "\\\\u00fc\\\\u202eb"}'
    """
    return _UNSAFE.sub(
        lambda match: json.dumps(match[0])[1:-1], json.dumps(value, ensure_ascii=ascii_only)
    )


def _name(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)  # Unicode's picture of the control character
    return "␡" if code == 0x7F else f"[U+{code:04X}]"

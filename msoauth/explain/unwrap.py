"""Making an error text readable: encodings undone, wrapped lines joined, size bounded."""

import html
import re
from urllib.parse import unquote_plus

LIMIT = 1 << 20  # characters that are looked at: the first and the last half of this
_ESCAPES = re.compile(r"\\{1,4}(?:u([0-9a-fA-F]{4})|([rnt\"'/]))")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,500}>")
_PERCENT = re.compile(r"%[0-9a-fA-F]{2}")


def unwrap(text: str) -> str:
    """*text* on one line, without the encodings in which errors travel."""
    if len(text) > LIMIT:
        text = text[: LIMIT // 2] + " … " + text[-LIMIT // 2 :]
    text = text.replace("=\r\n", "").replace("=\n", "")  # soft line ends of quoted-printable
    for _round in range(3):
        before = text
        if len(_PERCENT.findall(text[:5000])) >= 3:
            text = unquote_plus(text, errors="replace")
        if "&" in text:
            text = html.unescape(text)
        if "\\" in text:
            text = _ESCAPES.sub(
                lambda m: chr(int(m[1], 16)) if m[1] else " " if m[2] in "rnt" else m[2], text
            )
        if text == before:
            break
    text = re.sub(r"\n[>|\s]*", " ", _TAG.sub(" ", text))
    return re.sub(r"\s{2,}", " ", text.translate(_ODD))


_ODD = {
    0x2019: "'",
    0x2018: "'",
    0x201C: '"',
    0x201D: '"',
    0xA0: " ",
    0x200B: None,
    0xFEFF: None,
    0: None,
}

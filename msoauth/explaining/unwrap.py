"""Making an error text readable: encodings undone, wrapped lines joined, size bounded.

Every step takes time that grows with the text and no faster; nothing of what is read is ever executed.
"""

import base64
import binascii
import html
import quopri
import re
from collections import Counter
from urllib.parse import unquote, unquote_plus

LIMIT = 1 << 20  # characters that are read: the first and the last half of this
_READ = 200_000  # of these, characters that are looked at closely when repetitions are left out
# Words of failure around which the middle of a longer text is looked at all the same: so many places, so many characters.
_FAILURE = (
    "AADSTS",
    "-ERR ",
    "rror",
    "ERROR",
    "ailed",
    "ailure",
    "FAIL",
    "xception",
    "denied",
    "refused",
    "timed out",
    "ehler",
)
_PEEKS, _PEEK = 30, 600
_LOG = 20_000  # characters from which on lines that repeat are left out
_KEPT = 10  # of lines that differ in their figures only, that many first and last ones are read
_ROUNDS = 5  # encodings inside one another

_ODD = {
    "\u2018": "'",
    "\u2019": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u201e": '"',
    "\u2011": "-",
    "\u2013": "-",
    "\u00a0": " ",
    "\u202f": " ",
    "\u00ad": "",
    "\u200b": "",
    "\ufeff": "",
}
_SOFT_END = re.compile(r"=[ \t]{0,8}\r?\n")
_QUOTED = re.compile(r"=[0-9A-F]{2}")
_PERCENT = re.compile(r"%[0-9a-fA-F]{2}")
# Words that a form has joined: so many of them that it is no base64.
_PLUSES = re.compile(r"(?:[A-Za-z'.,:]{1,20}\+){6}")
_ANSWER = "error_description="  # of an authorization server's answer in an address
_ESCAPES = re.compile(r"\\{1,4}(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([rnt\"'/]))")
# Only what HTML calls a tag: programs write `<urlopen error …>` and `<anna@contoso.com>` as well.
_TAG = re.compile(
    r"</?(?:a|b|i|u|s|p|br|hr|h[1-6]|em|tt|div|pre|sub|sup|code|font|span|samp|small|strong|center|blockquote"
    r"|ul|ol|li|dl|dt|dd|table|thead|tbody|tr|td|th|html|head|body|title|meta|link|base|style|script|noscript"
    r"|img|form|input|button|label|section|article|header|footer|main|nav|iframe|svg|path|details|summary|mark|o:p"
    r"|!doctype)\b[^<>]{0,500}>",
    re.IGNORECASE,
)
_QUOTE_MARKS = re.compile(r"\n[>|\s]*")
_BLANK_LINE = re.compile(r"\n[ \t\r]{0,200}\n")
_ENCODED_WORD = re.compile(r"=\?([\w-]{3,20})\?([bBqQ])\?([^?\s]{1,400})\?=")
_BASE64_LINES = re.compile(
    r"(?:^|\n)((?:[A-Za-z0-9+/]{56,76}\r?\n){1,5000}[A-Za-z0-9+/]{0,76}={0,2})"
)
_BASE64_JSON = re.compile(r"(?<![\w.+/-])eyJ[A-Za-z0-9+/]{16,2000}={0,2}(?![\w.])")


def unwrap(text: str) -> str:
    """*text* with each paragraph on one line, without the encodings in which errors travel."""
    text = _bounded(text, LIMIT)
    if "\0" in text:
        text = text.replace("\0", "")  # UTF-16 that was read as something else
    if len(text) > _LOG:
        text = _bounded(_thinned(text), _READ)
    text = _mail(text)
    for _round in range(_ROUNDS):
        before = text
        if "%" in text and _PERCENT.search(text):
            text = " ".join(map(_unquoted, text.split(" ")))
        if "+" in text:
            text = " ".join(map(_without_pluses, text.split(" ")))
        if "&" in text:
            text = html.unescape(text)
        if "\\" in text:
            text = _ESCAPES.sub(_unescaped, text)
        if text == before:
            break
    if "eyJ" in text:
        text = _BASE64_JSON.sub(lambda m: _decoded(m[0]) or m[0], text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    if ">" in text or "|" in text:
        text = _QUOTE_MARKS.sub(lambda m: "\n\n" if m[0].count("\n") > 1 else "\n", text)
    paragraphs = (" ".join(part.split()) for part in _BLANK_LINE.split(text))
    return plain_signs("\n".join(filter(None, paragraphs)))


def plain_signs(text: str) -> str:
    """*text* with the quotes, dashes and blanks of typographers as programs write them."""
    if not text.isascii():
        for odd, plain in _ODD.items():
            text = text.replace(odd, plain)
    return text


def _bounded(text: str, limit: int) -> str:
    """The first and the last half of *limit* characters, and what lies between them around words of failure."""
    if len(text) <= limit:
        return text
    half = limit // 2
    end = len(text) - half
    places: list[int] = []
    for word in _FAILURE:
        at = text.find(word, half, end)
        for _place in range(_PEEKS):
            if at < 0:
                break
            places.append(at)
            at = text.find(word, at + _PEEK, end)
    pieces, read = [text[:half]], half
    for at in sorted(places):
        if at + _PEEK > read:
            pieces.append(text[max(read, at - 200) : at + _PEEK])
            read = at + _PEEK
    return "\n … \n".join([*pieces, text[-half:]])


def _thinned(text: str) -> str:
    """A log without its repetitions: lines that are the same but for times, numbers and hexadecimal ids."""
    lines = list(dict.fromkeys(text.split("\n")))
    raw = "\n".join(lines).encode("utf-8", "surrogatepass")
    shapes = raw.translate(None, b"0123456789abcdefABCDEF").split(b"\n")
    left = Counter(shapes)
    seen: Counter[bytes] = Counter()
    kept = []
    for line, shape in zip(lines, shapes, strict=True):
        seen[shape] += 1
        left[shape] -= 1
        if seen[shape] <= _KEPT or left[shape] < _KEPT:
            kept.append(line)
    return "\n".join(kept)


def _mail(text: str) -> str:
    """A mail's own encodings undone: quoted-printable, base64 bodies, encoded words."""
    if "=?" in text:
        text = _ENCODED_WORD.sub(_word, text)
    if "=\n" in text or "=\r\n" in text or len(_QUOTED.findall(text[:LIMIT])) >= 3:
        text = _quoted_printable(text)
    if "\n" in text and len(text) > 100:
        text = _BASE64_LINES.sub(lambda m: "\n" + (_decoded(m[1]) or m[1]), text)
    return text


def _quoted_printable(text: str) -> str:
    """Undone where it is meant: an equals sign before two capital digits, as mail programs write it."""
    text = _SOFT_END.sub("", text)
    if "=3D" not in text and not re.search(r"=C3=[89AB][0-9A-F]|=20(?:\s|$)", text):
        return text
    return quopri.decodestring(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")


def _word(match: re.Match[str]) -> str:
    charset, how, body = match.groups()
    try:
        raw = (
            base64.b64decode(body)
            if how in "bB"
            else quopri.decodestring(body.encode("ascii", "replace"), header=True)
        )
        return raw.decode(charset, "replace")
    except (LookupError, ValueError):
        return match[0]


def _decoded(run: str) -> str:
    """The text that *run* is the base64 of; nothing when that is no text."""
    compact = "".join(run.split()).rstrip("=")
    try:
        raw = base64.b64decode(compact + "=" * (-len(compact) % 4))
        plain = raw.decode("utf-8")
    except (binascii.Error, ValueError):
        return ""
    odd = sum(c < " " and c not in "\r\n\t" for c in plain[:2000])
    return "" if odd else plain


def _unquoted(token: str) -> str:
    found = len(_PERCENT.findall(token)) if "%" in token else 0
    if not found:
        return token
    return (unquote_plus if found > 1 else unquote)(token, errors="replace")


def _without_pluses(token: str) -> str:
    if "+" in token and (_ANSWER in token or _PLUSES.search(token)):
        return token.replace("+", " ")
    return token


def _unescaped(match: re.Match[str]) -> str:
    four, two, sign = match.groups()
    if four or two:
        return chr(int(four or two, 16))
    return " " if sign in "rnt" else sign

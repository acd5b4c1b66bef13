"""Normalizes an error text before it is searched: decodes it, joins wrapped lines, limits its size.

Every step takes time proportional to the text's length; nothing in the text is ever executed.
"""

import base64
import binascii
import html
import quopri
import re
from collections import Counter
from urllib.parse import unquote, unquote_plus

LIMIT = 1 << 20  # characters of a longer text that are read: half from its start, half from its end
_LOG_LIMIT = 40_000  # characters of a log that are read, after repeated lines were removed
# Around these words even the middle of a text that is too long is read.
_FAILURE_WORDS = (
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
_MAX_EXCERPTS, _EXCERPT_LENGTH = 5, 600  # for each word; characters
_LOG_SIZE = 20_000  # characters; in a longer text, repeated lines are removed
_KEPT_LINES = 10  # of lines that differ in digits only, this many first and last ones are kept
_MAX_NESTING = 5  # levels of nested encodings that are decoded

_TYPOGRAPHY = {
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
_SOFT_LINE_BREAK = re.compile(r"=[ \t]{0,8}\r?\n")
_QUOTED_BYTE = re.compile(r"=[0-9A-F]{2}")
_PERCENT = re.compile(r"%[0-9a-fA-F]{2}")
# Words joined by form encoding; base64 hardly ever has so many plus signs between letters.
_WORDS_WITH_PLUSES = re.compile(r"(?:[A-Za-z'.,:]{1,20}\+){6}")
_ERROR_PARAMETER = "error_description="  # of an authorization response in a URL
_ESCAPES = re.compile(r"\\{1,4}(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([rnt\"'/]))")
# Only names of HTML tags: programs also write `<urlopen error …>` and `<anna@contoso.com>`.
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


_WORDS = (re.compile(r"\w+"), re.compile(r"[a-z0-9]+"))  # of plain text, of encoded text
_MAX_WORDS, _MAX_PLACES = 40, 300  # that are looked for, and how often they are tried
_MAX_SEPARATOR = 14  # characters between two words of an encoded text: a line break and quote marks


def normalize(text: str) -> str:
    """*text* decoded (URL, form, HTML, JSON, base64, mail), with each paragraph on one line."""
    text = _limit_size(text, LIMIT)
    if "\0" in text:
        text = text.replace("\0", "")  # left over from UTF-16 that was decoded as something else
    if len(text) > _LOG_SIZE:
        text = _limit_size(_remove_repetition(text), _LOG_LIMIT)
    text = _decode_mail(text)
    for _round in range(_MAX_NESTING):
        before = text
        if "%" in text and _PERCENT.search(text):
            text = " ".join(map(_decode_percent, text.split(" ")))
        if "+" in text:
            text = " ".join(map(_replace_pluses, text.split(" ")))
        if "&" in text:
            text = html.unescape(text)
        if "\\" in text:
            text = _ESCAPES.sub(_unescape, text)
        if text == before:
            break
    if "eyJ" in text:
        text = _BASE64_JSON.sub(lambda m: _base64_text(m[0]) or m[0], text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    if ">" in text or "|" in text:
        text = _QUOTE_MARKS.sub(lambda m: "\n\n" if m[0].count("\n") > 1 else "\n", text)
    paragraphs = (" ".join(part.split()) for part in _BLANK_LINE.split(text))
    return plain_punctuation("\n".join(filter(None, paragraphs)))


def plain_punctuation(text: str) -> str:
    """*text* with typographic quotes, dashes and spaces replaced by ASCII ones."""
    if not text.isascii():
        for typographic, plain in _TYPOGRAPHY.items():
            text = text.replace(typographic, plain)
    return text


def lowercase(text: str) -> str:
    """*text* in lower case, with every character at the same offset."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return text.replace("İ", "I").lower()  # the one letter whose lower case is longer


def locate(original: str, words: str, before: int = 0) -> tuple[int, int] | None:
    """Where *words* of the normalized text stand in the *original*; None if their encoding hides them.

    Args:
        before: How often the same words stand in the normalized text before; 0 finds the first ones.
    """
    lowered, wanted = lowercase(original), lowercase(words)
    for pattern in _WORDS:
        tokens = pattern.findall(wanted)[:_MAX_WORDS]
        found = None
        start = -1
        for _attempt in range(_MAX_PLACES if tokens else 0):
            start = lowered.find(tokens[0], start + 1)
            if start < 0 or before < 0:
                break
            end = start
            for token in tokens:
                at = lowered.find(token, end, end + len(token) + _MAX_SEPARATOR)
                if at < 0:
                    break
                end = at + len(token)
            else:
                found, before = (start, end), before - 1
        if found:
            return found
    return None


def _limit_size(text: str, limit: int) -> str:
    """The start and the end of *text*, *limit* characters in all, with excerpts around words of failure between them."""
    if len(text) <= limit:
        return text
    half = limit // 2
    end = len(text) - half
    offsets: list[int] = []
    for word in _FAILURE_WORDS:
        offset = text.find(word, half, end)
        for _excerpt in range(_MAX_EXCERPTS):
            if offset < 0:
                break
            offsets.append(offset)
            offset = text.find(word, offset + _EXCERPT_LENGTH, end)
    pieces, read_to = [text[:half]], half
    for offset in sorted(offsets):
        if offset + _EXCERPT_LENGTH > read_to:
            pieces.append(text[max(read_to, offset - 200) : offset + _EXCERPT_LENGTH])
            read_to = offset + _EXCERPT_LENGTH
    return "\n … \n".join([*pieces, text[-half:]])


def _remove_repetition(text: str) -> str:
    """A log without most of the lines that differ only in times, numbers and hexadecimal ids."""
    lines = list(dict.fromkeys(text.split("\n")))
    raw = "\n".join(lines).encode("utf-8", "surrogatepass")
    shapes = raw.translate(None, b"0123456789abcdefABCDEF").split(b"\n")
    count_left = Counter(shapes)
    count_so_far: Counter[bytes] = Counter()
    lines_kept = []
    for line, shape in zip(lines, shapes, strict=True):
        count_so_far[shape] += 1
        count_left[shape] -= 1
        if count_so_far[shape] <= _KEPT_LINES or count_left[shape] < _KEPT_LINES:
            lines_kept.append(line)
    return "\n".join(lines_kept)


def _decode_mail(text: str) -> str:
    """*text* with a mail's encodings undone: quoted-printable, base64 bodies, encoded words (RFC 2047)."""
    if "=?" in text:
        text = _ENCODED_WORD.sub(_decode_encoded_word, text)
    if "=\n" in text or "=\r\n" in text or len(_QUOTED_BYTE.findall(text[:LIMIT])) >= 3:
        text = _quoted_printable(text)
    if "\n" in text and len(text) > 100:
        text = _BASE64_LINES.sub(lambda m: "\n" + (_base64_text(m[1]) or m[1]), text)
    return text


def _quoted_printable(text: str) -> str:
    """*text* decoded, if it is quoted-printable: an equals sign before two hexadecimal digits in upper case."""
    text = _SOFT_LINE_BREAK.sub("", text)
    if "=3D" not in text and not re.search(r"=C3=[89AB][0-9A-F]|=20(?:\s|$)", text):
        return text
    return quopri.decodestring(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")


def _decode_encoded_word(match: re.Match[str]) -> str:
    """Decode an encoded word of a mail header; unchanged if it is invalid."""
    charset, encoding, body = match.groups()
    try:
        raw = (
            base64.b64decode(body)
            if encoding in "bB"
            else quopri.decodestring(body.encode("ascii", "replace"), header=True)
        )
        return raw.decode(charset, "replace")
    except (LookupError, ValueError):
        return match[0]


def _base64_text(encoded: str) -> str:
    """The text that *encoded* contains in base64; empty if that is not text."""
    compact = "".join(encoded.split()).rstrip("=")
    try:
        raw = base64.b64decode(compact + "=" * (-len(compact) % 4))
        decoded = raw.decode("utf-8")
    except (binascii.Error, ValueError):
        return ""
    is_binary = any(c < " " and c not in "\r\n\t" for c in decoded[:2000])
    return "" if is_binary else decoded


def _decode_percent(token: str) -> str:
    count = len(_PERCENT.findall(token)) if "%" in token else 0
    if not count:
        return token
    return (unquote_plus if count > 1 else unquote)(token, errors="replace")


def _replace_pluses(token: str) -> str:
    if "+" in token and (_ERROR_PARAMETER in token or _WORDS_WITH_PLUSES.search(token)):
        return token.replace("+", " ")
    return token


def _unescape(match: re.Match[str]) -> str:
    unicode_digits, hex_digits, letter = match.groups()
    if unicode_digits or hex_digits:
        return chr(int(unicode_digits or hex_digits, 16))
    return " " if letter in "rnt" else letter

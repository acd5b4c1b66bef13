"""Normalizes an error text before it is searched: decodes it, joins wrapped lines, limits its size.

Every step takes time proportional to the text's length; nothing in the text is ever executed.
"""

import base64
import html
import quopri
import re
from collections import defaultdict
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from itertools import islice
from urllib.parse import unquote, unquote_plus

LIMIT = 1 << 20  # characters of a longer text that are read: half from its start, half from its end
_LOG_LIMIT = 40_000  # characters of a log that are read, after repeated lines were removed
# Around these words even the middle of a text that is too long is read.
_FAILURES = [
    re.compile(rf"{word}[\s\S]{{0,600}}")
    for word in (
        *("AADSTS", "-ERR ", "rror", "ERROR", "ailed", "ailure", "FAIL", "xception"),
        *("denied", "refused", "timed out", "ehler"),
    )
]
_MAX_EXCERPTS = 5  # for each word
_LOG_SIZE = 20_000  # characters; in a longer text, repeated lines are removed
_KEPT_LINES = 10  # of lines that differ in digits only, this many first and last ones are kept
_MAX_NESTING = 5  # levels of nested encodings that are decoded

_TYPOGRAPHY = str.maketrans(
    {
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
)
_SOFT_LINE_BREAK = re.compile(r"=[ \t]{0,8}\r?\n")
_QUOTED_BYTE = re.compile(r"=[0-9A-F]{2}")
# Left by the encoding of an equals sign, an umlaut or a space at the end of a line.
_QUOTED_PRINTABLE = re.compile(r"=3D|=C3=[89AB][0-9A-F]|=20(?:\s|$)")
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
_ENCODED_WORD = re.compile(r"=\?[\w-]{3,20}\?[bBqQ]\?[^?\s]{1,400}\?=")
_BASE64_LINES = re.compile(
    r"(?:^|\n)((?:[A-Za-z0-9+/]{56,76}\r?\n){1,5000}[A-Za-z0-9+/]{0,76}={0,2})"
)
_BASE64_JSON = re.compile(r"(?<![\w.+/-])eyJ[A-Za-z0-9+/]{16,2000}={0,2}(?![\w.])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f]")
_WORDS = (re.compile(r"\w+"), re.compile(r"[a-z0-9]+"))  # of plain text, of encoded text
_MAX_WORDS = 40  # that are looked for
_MAX_SEPARATOR = 14  # characters between two words of an encoded text: a line break and quote marks


def normalize(text: str) -> str:
    """*text* decoded (URL, form, HTML, JSON, base64, mail), with each paragraph on one line."""
    text = _limit_size(text, LIMIT).replace("\0", "")  # left over from UTF-16
    if len(text) > _LOG_SIZE:
        text = _limit_size(_remove_repetition(text), _LOG_LIMIT)
    text = _decode_mail(text)
    for _round in range(_MAX_NESTING):
        before = text
        if "%" in text or "+" in text:
            text = " ".join(map(_decode_address, text.split(" ")))
        text = _ESCAPES.sub(_unescape, html.unescape(text))
        if text == before:
            break
    text = _BASE64_JSON.sub(lambda match: _base64_text(match[0]) or match[0], text)
    text = _TAG.sub(" ", text)
    text = _QUOTE_MARKS.sub(lambda match: "\n\n" if match[0].count("\n") > 1 else "\n", text)
    paragraphs = (" ".join(part.split()) for part in _BLANK_LINE.split(text))
    return plain_punctuation("\n".join(filter(None, paragraphs)))


def plain_punctuation(text: str) -> str:
    """*text* with typographic quotes, dashes and spaces replaced by ASCII ones."""
    return text if text.isascii() else text.translate(_TYPOGRAPHY)


def lowercase(text: str) -> str:
    """*text* in lower case, with every character at the same offset."""
    lowered = text.lower()
    # There is one letter whose lower case is longer.
    return lowered if len(lowered) == len(text) else text.replace("İ", "I").lower()


def places(text: str, words: str, most: int) -> Iterator[int]:
    """The first *most* offsets at which *words* stand in *text*."""
    start = text.find(words)
    while start >= 0 and most > 0:
        yield start
        start, most = text.find(words, start + 1), most - 1


def locate(original: str, words: str, before: int = 0) -> tuple[int, int] | None:
    """Where *words* of the normalized text stand in the *original*; None if their encoding hides them.

    Args:
        before: How often the same words stand in the normalized text before; 0 finds the first ones.
    """
    lowered, wanted = lowercase(original), lowercase(words)
    for pattern in _WORDS:
        first, *rest = pattern.findall(wanted)[:_MAX_WORDS] or [words]
        # Each word is taken where it comes first (an atomic group), so that no search runs away.
        following = (rf"(?>[\s\S]{{0,{_MAX_SEPARATOR}}}?{re.escape(word)})" for word in rest)
        places = re.finditer(re.escape(first) + "".join(following), lowered)
        if found := list(islice(places, before + 1)):
            return found[-1].span()
    return None


def _limit_size(text: str, limit: int) -> str:
    """The start and the end of *text*, *limit* characters in all, with excerpts around words of failure between them."""
    if len(text) <= limit:
        return text
    half = limit // 2
    excerpts = sorted(
        match.span()
        for word in _FAILURES
        for match in islice(word.finditer(text, half, len(text) - half), _MAX_EXCERPTS)
    )
    pieces, read_to = [text[:half]], half
    for start, end in excerpts:
        pieces.append(text[max(read_to, start - 200) : end])
        read_to = max(read_to, end)
    return "\n … \n".join([*filter(None, pieces), text[-half:]])


def _remove_repetition(text: str) -> str:
    """A log without most of the lines that differ only in times, numbers and hexadecimal ids."""
    lines = list(dict.fromkeys(text.split("\n")))
    raw = "\n".join(lines).encode("utf-8", "surrogatepass")
    alike = defaultdict(list)
    for number, shape in enumerate(raw.translate(None, b"0123456789abcdefABCDEF").split(b"\n")):
        alike[shape].append(number)
    kept = (
        n for numbers in alike.values() for n in {*numbers[:_KEPT_LINES], *numbers[-_KEPT_LINES:]}
    )
    return "\n".join(lines[number] for number in sorted(kept))


def _decode_mail(text: str) -> str:
    """*text* with a mail's encodings undone: quoted-printable, base64 bodies, encoded words (RFC 2047)."""
    text = _ENCODED_WORD.sub(_decode_encoded_word, text)
    unbroken = _SOFT_LINE_BREAK.sub("", text)
    if _QUOTED_PRINTABLE.search(unbroken) and (
        unbroken != text or len(_QUOTED_BYTE.findall(text)) >= 3
    ):
        raw = unbroken.encode("utf-8", "surrogatepass")
        text = quopri.decodestring(raw).decode("utf-8", "replace")
    return _BASE64_LINES.sub(lambda match: "\n" + (_base64_text(match[1]) or match[1]), text)


def _decode_encoded_word(match: re.Match[str]) -> str:
    """Decode an encoded word of a mail header; unchanged if it is invalid."""
    try:
        return str(make_header(decode_header(match[0])))
    except (HeaderParseError, LookupError, ValueError):
        return match[0]


def _base64_text(encoded: str) -> str:
    """The text that *encoded* contains in base64; empty if that is not text."""
    try:
        decoded = base64.b64decode("".join(encoded.split()).rstrip("=") + "==").decode("utf-8")
    except ValueError:
        return ""
    return "" if _CONTROL.search(decoded[:2000].replace("\r", "")) else decoded


def _decode_address(token: str) -> str:
    """*token* of a text without the percent and plus signs that addresses and forms have instead of characters."""
    if count := len(_PERCENT.findall(token)) if "%" in token else 0:
        token = (unquote_plus if count > 1 else unquote)(token, errors="replace")
    if "+" in token and (_ERROR_PARAMETER in token or _WORDS_WITH_PLUSES.search(token)):
        token = token.replace("+", " ")
    return token


def _unescape(match: re.Match[str]) -> str:
    digits = match[1] or match[2]
    return chr(int(digits, 16)) if digits else " " if match[3] in "rnt" else match[3]

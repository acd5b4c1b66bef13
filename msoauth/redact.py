"""Removes secrets from logs, transcripts, exceptions, findings and exports.

It works in two ways. Secrets that this process handles are registered with :func:`remember` and removed wherever they
occur, whole or in pieces of 16 characters and more. Whatever looks like a credential (a JWT, an XOAUTH2 string, a form
field named ``client_secret``, the password in a URL) is removed too, because it may come from another program's log.

Both are searched in the text and in copies of it with encodings undone (percent, HTML entities, backslash escapes,
quoted-printable, folded lines, base64, hexadecimal, UTF-16), one inside another; hidden is the place in the text itself.
"""

import base64
import binascii
import html
import re
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator

MASK = "[hidden]"

_MIN_LENGTH = 4  # a shorter secret would match inside ordinary words
_PIECE = 16  # characters of a secret that are hidden also without the rest
# A piece of 16 characters holds a whole one of the parts of 12 that begin at every fifth character.
_GRAM, _STRIDE = 12, _PIECE - 12 + 1
_ADDRESS = re.compile(
    r"[\w.+-]*@[\w-]+(?:\.[\w-]+)+"
)  # what a token has in common with much else is no secret
_LONG = 256  # characters of a secret that is taken for a token; an audit handles tens of thousands of them
_RECENT_TOKENS, _RECENT_SECRETS = 64, 4096  # whose pieces are known

_DEPTH = 5  # encodings inside one another
_BUDGET = 12  # as many characters are looked at as the text has, times this; at least _MIN_BUDGET
_MIN_BUDGET = 4_000_000
CUT_MARGIN = 20_000  # characters beyond a limit that are looked at; no token is longer


# ── What looks like a credential: hidden is the group "value", or else all of the match. ──────────────────────────────

_FIELDS = (
    r"client[_-]?secret|client[_-]?assertion|(?<![^\W_])pass(?:wd|phrase)|(?<![^\W_])pwd|password|access_?token|"
    r"refresh_?token|id_?token|device_?code|code_?verifier|(?<![^\W_])assertion|secret_?text|"
    r"x-ms-refreshtokencredential|estsauth\w{0,20}|signinstatecookie|xoauth2_bearer"
)
# After a colon, words with which a sentence goes on, such as "Invalid password: the …", and nobody's password begins.
_PROSE = (
    r"\s{1,4}(?:an?|das|de[rmn]|die|eine?|is|it|keine?|msoauth|no|nicht|not|password|please|bitte|see|set|sie|solange|th[ei]s?|"
    r"use|was|while|with|your?) "
)
# name=value in a form or URL, "name": "value" in JSON, possibly escaped once or twice more.
_FIELD = re.compile(
    rf"""(?:{_FIELDS})\\{{0,4}}["']?\s{{0,4}}(?:=|:(?!{_PROSE})|%3[Dd])\s{{0,4}}"""
    r"""(?:\\{0,4}"(?P<double>[^"\r\n]{3,}+)|\\{0,4}'(?P<single>[^'\r\n]{3,}+)|(?P<value>[^\s"'&,;<>\\{}\[\]]{3,}+))""",
    re.IGNORECASE,
)
# An authorization code: only a long one, because `code=50011` is an error code that people need, and only one that is
# not all letters, because `Authorization_RequestDenied` is an error code too.
_CODE = re.compile(
    r"""[?&"'\s{](?:code|user_code)\\{0,4}["']?(?:=|:\s?)\\{0,4}["']?(?P<value>(?=[A-Za-z_]{0,99}[\d.~!*%-])[\w.~!*%-]{24,})"""
)
_JWT = re.compile(r"\beyJ[\w-]{8,}+(?:\.|%2[Ee])[\w-]{8,}+(?:(?:\.|%2[Ee])[\w-]*+){0,3}")
_BEARER = re.compile(
    r"Bearer(?:\s|%20|\+)(?!realm|error|authorization_uri|token\b)(?P<value>[\w.~+/=%-]{16,})",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(
    r"""Authorization\\{0,4}["']?\s{0,4}[:=]\s{0,4}\\{0,4}["']?(?:Basic|Bearer|Negotiate|NTLM|PoP|Digest)\s{1,4}"""
    r"""(?P<value>[^\s"',;\\]{2,}+)""",
    re.IGNORECASE,
)
_BASIC = re.compile(r"\bBasic\s{1,4}(?P<value>[A-Za-z0-9+/_-]{6,}={0,2})", re.IGNORECASE)
_COOKIES = re.compile(r"Cookie2?\s{0,4}[:=]\s{0,4}(?P<all>[^\r\n]*+)", re.IGNORECASE)
_COOKIE = re.compile(
    r"""(?<![^\s;,"])(?!(?:path|domain|expires|max-age|samesite|priority|version)=)[\w!#$%&'*+.^`|~-]{1,99}=(?P<value>[^;\s,"]{2,})""",
    re.IGNORECASE,
)
# The password in scheme://user:password@host; one with a slash only where nothing else would be meant.
_URL_PASSWORD = re.compile(
    r"""://[^\s/?#@:"'<>]{0,200}:(?P<value>[^\s/?#"'<>]{1,400})@(?=[^\s@]|$)"""
)
_DATABASE_PASSWORD = re.compile(
    r"""\b(?:postgres(?:ql)?|mysql|mariadb|mssql|oracle|mongodb|redis|amqps?)(?:\+\w{1,40})?://[^\s/?#@:]{0,200}:"""
    r"""(?P<value>[^\s"'<>]{1,400})@""",
    re.IGNORECASE,
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?P<value>[^-]*+)")
_ENTRA_REFRESH = re.compile(r"\b[01]\.A[\w-]{30,}+(?:\.[\w-]++)*|\bM\.[CR]\d{1,3}_[\w.!*$-]{20,}")
# Client secrets as the portal makes them: three characters, a digit, Q~, 30 to 36 more (unverified pattern).
_SECRET_VALUE = re.compile(r"(?<![\w.~-])[\w.~-]{3}\dQ~[\w.~-]{28,40}")
_OPAQUE_MSA = re.compile(r"\bEw[A-Z][\w+/]{40,}={0,2}")
# POP3's and IMAP's logins with a password.
_PASS = re.compile(r"(?:^|[\s:])PASS (?P<value>[^\s]{3,})\s*?$", re.MULTILINE)
_LOGIN = re.compile(r"\bLOGIN (?:\"[^\"\r\n]{1,200}\"|[^\s@]{1,64}@\S{1,255}) (?P<value>\S{3,})\s*?$", re.MULTILINE)  # fmt: skip
# The lines in which a client sends name and password in base64, behind the server's prompts.
_AUTH = re.compile(r"\bAUTH(?:ENTICATE)?[ \t]{1,4}(?P<mechanism>PLAIN|LOGIN|CRAM-MD5|NTLM)\b[ \t]{0,4}(?P<rest>[^\r\n]*+)", re.IGNORECASE)  # fmt: skip
_PROMPT = re.compile(r"(?:^|[\s:])(?:\+|334)(?:$|\s)")
_BASE64_TOKEN = re.compile(r"[A-Za-z0-9+/]{2,}+={0,2}(?=[ \t]*+$)")
_CONVERSATION_LINES = 8  # lines after AUTH in which an answer is expected

_SASL = re.compile(r"auth=Bearer |^user=[^\x01]{1,400}\x01|^n,a=|^[^\x00]{0,400}\x00[^\x00]{1,400}\x00[^\x00]{1,400}$")  # fmt: skip

# Each with words of which one is in every match, in lower case: to look for them takes a tenth of the time.
# Those with True are looked for in lines put together as well, where others would find words that do not belong together.
_LOOKS: tuple[tuple[re.Pattern[str], bool, tuple[str, ...]], ...] = (
    (_JWT, True, ("eyj",)),
    (_ENTRA_REFRESH, True, ("0.a", "1.a", "m.c", "m.r")),
    (_OPAQUE_MSA, True, ("ew",)),
    (_SECRET_VALUE, True, ("q~",)),
    (_FIELD, False, ("secret", "pass", "pwd", "token", "code", "assert", "estsauth", "instate", "bearer")),
    (_CODE, False, ("code",)),
    (_BEARER, False, ("bearer",)),
    (_AUTHORIZATION, False, ("authorization",)),
    (_URL_PASSWORD, False, ("://",)),
    (_DATABASE_PASSWORD, False, ("://",)),
    (_PRIVATE_KEY, False, ("private key",)),
    (_PASS, False, ("pass ",)),
    (_LOGIN, False, ("login ",)),
)  # fmt: skip

# ── Encodings ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_PERCENT = re.compile(r"(?:%[89A-Fa-f][0-9A-Fa-f])++|%u[0-9A-Fa-f]{4}|%[0-7][0-9A-Fa-f]")
_ENTITY = re.compile(r"&(?:#[xX][0-9A-Fa-f]{1,6};?|#[0-9]{1,7};?|[A-Za-z][A-Za-z0-9]{1,24};)")
_BACKSLASH = re.compile(
    r"(?:\\x[89A-Fa-f][0-9A-Fa-f])++|\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[\"'\\/bfnrt])"
)
_QUOTED_PRINTABLE = re.compile(r"(?:=[89A-Fa-f][0-9A-Fa-f])++|=[0-7][0-9A-Fa-f]|=[ \t]{0,80}\r?\n")
_FOLD = re.compile(r"(?<=[!-~])[ \t]{0,80}[\r\n]++[ \t>]{0,80}(?=[!-~])")
_NULS = re.compile(r"\x00+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}+={0,2}")
_HEX = re.compile(
    r"[0-9A-Fa-f]{2}(?:(?:[ :-]?[0-9A-Fa-f]{2}(?![g-zG-Z])){15,}+|(?:[ :][0-9A-Fa-f]{2}(?!\w)){3,}+)"
)
_WIDE = re.compile(r"[\u0100-\ud7ff\ue000-\uffff]{3,}+")  # perhaps two bytes each

_TEXT_BYTES = bytes((0, 1, 9, 10, 13, *range(32, 127)))
_BACKSLASHES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _bytes_text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _percent(unit: str) -> str:
    if unit[1] == "u":
        return chr(int(unit[-4:], 16))
    return _bytes_text(bytes.fromhex(unit.replace("%", "")))


def _backslash(unit: str) -> str:
    if unit[1] == "u":
        return chr(int(unit[-4:], 16))
    if unit[1] == "x":
        return _bytes_text(bytes.fromhex(unit.replace("\\x", "")))
    return _BACKSLASHES.get(unit[1], unit[1])


def _quoted_printable(unit: str) -> str:
    return "" if unit[-1] == "\n" else _bytes_text(bytes.fromhex(unit.replace("=", "")))


# Each encoding by the character without which it cannot be there, the pattern of its units, and how one is undone.
_ENCODINGS: tuple[tuple[str, re.Pattern[str], Callable[[str], str]], ...] = (
    ("\n", _FOLD, lambda _unit: ""),
    ("\r", _FOLD, lambda _unit: ""),
    ("%", _PERCENT, _percent),
    ("&", _ENTITY, html.unescape),
    ("\\", _BACKSLASH, _backslash),
    ("=", _QUOTED_PRINTABLE, _quoted_printable),
    ("\0", _NULS, lambda _unit: ""),
    ("+", re.compile(r"\+"), lambda _unit: " "),  # a blank, in a form
)

_Span = tuple[int, int]


class _View:
    """A text with one encoding undone, and where each place of it is in the text before."""

    def __init__(
        self, text: str, units: Iterable[re.Match[str]], undo: Callable[[str], str]
    ) -> None:
        parts: list[str] = []
        self._here, self._there = [0], [0]  # the same places in this text and in the one before
        end = length = 0
        for unit in units:
            start = unit.start()
            parts.append(text[end:start])
            length += start - end
            self._here.append(length)
            self._there.append(start)
            undone = undo(unit[0])
            end = unit.end()
            parts.append(undone)
            length += len(undone)
            self._here.append(length)
            self._there.append(end)
        parts.append(text[end:])
        self.text = "".join(parts)
        self._here.append(length + len(text) - end)
        self._there.append(len(text))

    def before(self, span: _Span) -> _Span:
        """Where *span* was in the text before."""
        first = bisect_right(self._here, span[0]) - 1
        last = bisect_left(self._here, span[1])
        return (
            self._there[first] + span[0] - self._here[first],
            self._there[last] - (self._here[last] - span[1]),
        )


# ── Remembered secrets ────────────────────────────────────────────────────────────────────────────────────────────────

_lock = threading.Lock()
_hashes: set[int] = set()
_short: set[str] = set()
_short_pattern: re.Pattern[str] | None = None
_new: list[
    str
] = []  # remembered, and not indexed yet: retrieving mail remembers tokens and redacts nothing
_recent: dict[bool, dict[str, None]] = {
    False: {},
    True: {},
}  # whose pieces are indexed, by whether they are long
# Each part of 12 characters: in which secret it is and where; of an older token only its end, with length and hash.
_grams: dict[str, set[tuple[str | int, int]]] = {}


def remember(*secrets: str | None) -> None:
    """Have these secrets removed from everything that this process redacts from now on."""
    new = [s for s in secrets if s and len(s) >= _MIN_LENGTH and hash(s) not in _hashes]
    if new:
        with _lock:
            _hashes.update(map(hash, new))
            _new.extend(new)
            if len(_new) > 16 * _RECENT_TOKENS:
                _index_new()


def _index_new() -> None:
    """Index what was remembered since; of tokens, the pieces of the last ones only."""
    global _short_pattern
    short, tokens = len(_short), 0
    for secret in reversed(_new):
        for form in _forms(secret):
            if len(form) < _PIECE:
                _short.add(form)
                continue
            _grams.setdefault(form[-_GRAM:], set()).add((hash(form), len(form)))
            is_token = len(form) > _LONG
            tokens += is_token
            if not is_token or tokens <= _RECENT_TOKENS:
                _index_pieces(
                    form, _recent[is_token], _RECENT_TOKENS if is_token else _RECENT_SECRETS
                )
    _new.clear()
    if len(_short) > short:
        _short_pattern = re.compile("|".join(map(re.escape, sorted(_short, key=len, reverse=True))))


def _index_pieces(form: str, recent: dict[str, None], most: int) -> None:
    """Index the pieces of a secret, in place of those of the oldest one when there are too many."""
    recent[form] = None
    for gram, start in _parts(form):
        _grams.setdefault(gram, set()).add((form, start))
    if len(recent) > most:
        oldest = next(iter(recent))
        del recent[oldest]
        for gram, start in _parts(oldest):
            _grams[gram].discard((oldest, start))
            if not _grams[gram]:
                del _grams[gram]


def _parts(secret: str) -> Iterator[tuple[str, int]]:
    last = len(secret) - _GRAM
    for start in (*range(0, last, _STRIDE), last):
        yield secret[start : start + _GRAM], start


def _forms(secret: str) -> set[str]:
    """The characters that stand for *secret* once encodings are undone; of a short one its encodings, too."""
    raw = secret.encode("utf-8", "surrogatepass")
    forms = {secret, raw.decode("latin-1")}
    if not secret.isascii():
        wide = secret.encode(
            "utf-16-be", "surrogatepass"
        )  # JSON escapes a character beyond U+FFFF as two
        forms.add("".join(chr(wide[n] << 8 | wide[n + 1]) for n in range(0, len(wide), 2)))
        little = secret.encode("utf-16-le", "surrogatepass")
        forms |= {half.decode("latin-1").replace("\0", "") for half in (wide, little)}
    if len(raw) <= _PIECE:  # too short to be found as a run of base64 or hexadecimal digits
        for text in (raw, secret.encode("utf-16-le", "surrogatepass")):
            forms |= {text.hex(), text.hex().upper()}
            for before in range(3):  # bytes in the group of three that the secret begins in
                whole = base64.b64encode(bytes(before) + text).decode()
                digits = whole[(0, 2, 3)[before] : (before + len(text)) * 8 // 6]
                if len(digits) >= 2 * _MIN_LENGTH:
                    forms |= {digits, digits.replace("+", "-").replace("/", "_")}
    return forms


def _remembered(text: str) -> Iterator[_Span]:
    """The places of remembered secrets in *text*, and of pieces of them."""
    if _short_pattern:
        for match in _short_pattern.finditer(text):
            yield match.span()
    if not _grams:
        return
    grams, end = _grams, -1
    for start in [n for n in range(len(text) - _GRAM + 1) if text[n : n + _GRAM] in grams]:
        for known, place in tuple(grams.get(text[start : start + _GRAM], ())):
            if isinstance(known, int):
                begin = start + _GRAM - place
                if begin >= 0 and hash(text[begin : start + _GRAM]) == known:
                    yield begin, start + _GRAM
                continue
            if start + _GRAM <= end:
                continue  # inside the piece found last
            first, last = start, start + _GRAM
            back, on = place, place + _GRAM
            while first > 0 and back > 0 and text[first - 1] == known[back - 1]:
                first, back = first - 1, back - 1
            while last < len(text) and on < len(known) and text[last] == known[on]:
                last, on = last + 1, on + 1
            is_whole = last - first == len(known)
            if is_whole or (last - first >= _PIECE and not _ADDRESS.fullmatch(text, first, last)):
                end = last
                yield first, last


# ── Redacting ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def redact(text: str, limit: int | None = None) -> str:
    """*text* with every credential in it replaced by ``[hidden]``.

    Args:
        limit: Cut the result off after so many characters, but look at :data:`CUT_MARGIN` more. A text must not be cut before it is redacted, because half
            a secret might not be recognised.
    """
    cut = limit is not None and len(text) > limit + CUT_MARGIN
    if limit is not None and cut:
        text = text[: limit + CUT_MARGIN]
    places = hidden_places(text)
    if places:
        parts, position = [], 0
        for start, end in places:
            parts += [text[position:start], MASK]
            position = end
        text = "".join([*parts, text[position:]])
        if cut:
            text = text[: -CUT_MARGIN // 2]  # at its end half a secret may be left
    return text[:limit]


def hidden_places(text: str) -> list[tuple[int, int]]:
    """Where the credentials in *text* begin and end, in order; :func:`redact` hides these places."""
    if _new:
        with _lock:
            _index_new()
    places: list[tuple[int, int]] = []
    position = 0
    for start, end in sorted(_spans(text, _Search(text))):
        if start >= position and end > start:
            places.append((start, end))
        elif places and end > position:
            places[-1] = (places[-1][0], end)
        position = max(position, end)
    return places


class _Search:
    """What the search in one text has found so far; it ends where a hostile text would make it long.

    Attributes:
        left: Characters that may still be looked at.
        found: What was found in each text; some decode to the same.
    """

    def __init__(self, text: str) -> None:
        self.left = max(_MIN_BUDGET, _BUDGET * len(text))
        self.found: dict[str, list[_Span]] = {}


def _spans(text: str, search: _Search, depth: int = 0, *, joined: bool = False) -> list[_Span]:
    """The places of credentials in *text*, also of those that are encoded.

    Args:
        joined: Whether it is made of lines put together.
    """
    search.left -= len(text)
    if text in search.found or search.left < 0:
        return search.found.get(text, [])
    spans = search.found[text] = list(_remembered(text))
    lowered = text.lower()
    for pattern, in_joined, words in _LOOKS:
        if (in_joined or not joined) and any(word in lowered for word in words):
            # The group that holds the value; in _FIELD there are three, one for each way of quoting.
            spans += [match.span(match.lastindex or 0) for match in pattern.finditer(text)]
    if not joined:
        spans += _logins(text, lowered)
    if depth == _DEPTH:
        return spans
    for pattern in (_BASE64, _HEX, _WIDE):
        spans += [
            match.span()
            for match in pattern.finditer(text)
            if _hides(match[0], pattern, search, depth)
        ]
    for sign, pattern, undo in _ENCODINGS:
        if sign in text:
            first = pattern.search(text)
            if first:
                view = _View(text, pattern.finditer(text), undo)
                inner = _spans(view.text, search, depth + 1, joined=joined or pattern is _FOLD)
                spans += map(view.before, inner)
    return spans


def _hides(run: str, pattern: re.Pattern[str], search: _Search, depth: int) -> bool:
    """Whether a run of base64, of hexadecimal digits or of wide characters is an encoded credential."""
    for raw in _decoded(run, pattern):
        text = raw.decode("latin-1")
        if any(_remembered(text)):
            return True
        # Most runs are ids and long words, which decode to anything but text.
        if len(raw.translate(None, _TEXT_BYTES)) * 8 <= len(raw) and (
            _SASL.search(text) or _spans(text, search, depth + 1)
        ):
            return True
    return False


def _decoded(run: str, pattern: re.Pattern[str]) -> Iterator[bytes]:
    """What *run* may stand for; it may have lost its beginning, or have other characters before it."""
    if pattern is _WIDE:
        yield from (run.encode("utf-16-le"), run.encode("utf-16-be"))
        return
    if pattern is _HEX:
        digits = re.sub(r"[ :-]", "", run)
        for start in range(2):
            yield bytes.fromhex(digits[start : start + (len(digits) - start) // 2 * 2])
        return
    digits = run.rstrip("=").replace("-", "+").replace("_", "/")
    for start in range(4):
        part = digits[start:]
        part = part[:-1] if len(part) % 4 == 1 else part
        with_padding = part + "=" * (-len(part) % 4)
        yield binascii.a2b_base64(with_padding)


def _logins(text: str, lowered: str) -> Iterator[_Span]:
    """The places of names and passwords of HTTP and SASL that are shorter than what is looked for elsewhere."""
    for match in _BASIC.finditer(text) if "basic" in lowered else ():
        if b":" in _base64_or_nothing(match["value"]):
            yield match.span("value")
    for match in _COOKIES.finditer(text) if "cookie" in lowered else ():
        for cookie in _COOKIE.finditer(text, *match.span("all")):
            yield cookie.span("value")
    for match in _AUTH.finditer(text) if "auth" in lowered else ():
        rest = match["rest"].strip()
        if rest:
            raw = _base64_or_nothing(rest)
            if raw and (b"\0" in raw or (raw.isascii() and raw.decode().isprintable())):
                start = match.start("rest")
                yield start, start + len(rest)
        yield from _answers(text, match.end())


def _answers(text: str, start: int) -> Iterator[_Span]:
    """The places of what a client answers to the prompts in the lines from *start* on."""
    prompted = False
    for _line in range(_CONVERSATION_LINES):
        start = text.find("\n", start) + 1
        if not start:
            return
        end = text.find("\n", start)
        line = text[start : end if end >= 0 else len(text)].rstrip("\r")[:4000]
        if _PROMPT.search(line):
            prompted = True
            continue
        answer = _BASE64_TOKEN.search(line) if prompted else None
        if answer is None:
            return
        yield start + answer.start(), start + answer.end()


def _base64_or_nothing(text: str) -> bytes:
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return b""

"""Removes secrets from logs, transcripts, exceptions, findings and exports.

It works in two ways. Secrets that this process handles are registered with :func:`remember` and removed wherever
they occur, in every encoding (plain, URL-encoded, JSON-escaped, base64). Whatever looks like a credential (a JWT, an
XOAUTH2 string, a form field named ``client_secret``) is removed too, because it may come from another program's log.
"""

import base64
import binascii
import json
import logging
import re
import threading

MASK = "[hidden]"

_MIN_LENGTH = 4  # a shorter secret would match inside ordinary words

_FIELDS = (
    "client_secret|client_assertion|password|passwd|access_token|refresh_token|id_token|device_code|"
    "code_verifier|assertion|secrettext|secret_text|x-ms-refreshtokencredential"
)
# name=value in a form or URL, "name": "value" in JSON, possibly escaped once or twice more.
_FIELD = re.compile(
    rf"""(?P<name>(?<![A-Za-z])(?:{_FIELDS})\\*["']?\s{{0,4}}(?:=|:|%3[Dd])\s{{0,4}}\\*["']?)"""
    r"""(?P<value>[^\s"'&,;<>\\{}\[\]]{3,})""",
    re.IGNORECASE,
)
# An authorization code: only a long one, because `code=50011` is an error code that people need, and only one that is
# not all letters, because `Authorization_RequestDenied` is an error code too.
_CODE = re.compile(
    r"""(?P<name>[?&"'\s{](?:code|user_code)\\*["']?(?:=|:\s?)\\*["']?)(?P<value>(?=[A-Za-z_]*[\d.~!*%-])[\w.~!*%-]{24,})"""
)
_JWT = re.compile(r"\beyJ[\w-]{8,}(?:\.|%2[Ee])[\w-]{8,}(?:(?:\.|%2[Ee])[\w-]*){1,3}")
_BEARER = re.compile(
    r"(Bearer(?:\s|%20|\+))(?!realm|error|authorization_uri|token\b)[\w.~+/=%-]{16,}",
    re.IGNORECASE,
)
_ENTRA_REFRESH = re.compile(r"\b[01]\.A[\w-]{30,}(?:\.[\w-]+)*|\bM\.[CR]\d{1,3}_[\w.!*$-]{20,}")
# Client secrets as the portal makes them: three characters, a digit, Q~, 30 to 36 more (unverified pattern).
_SECRET_VALUE = re.compile(r"(?<![\w.~-])[\w.~-]{3}\dQ~[\w.~-]{28,40}")
_OPAQUE_MSA = re.compile(r"\bEw[A-Z][\w+/]{40,}={0,2}")
# Base64, and what URLs and JSON make of its + and /.
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/_-]|%(?:25)?2[BFbf]|\\{1,3}/|\\{1,3}u002[BFbf]){20,}={0,2}")
_ESCAPED_PLUS = re.compile(r"%(?:25)?2[Bb]|\\{1,3}u002[Bb]")
_ESCAPED_SLASH = re.compile(r"%(?:25)?2[Ff]|\\{1,3}(?:/|u002[Ff])")
_SASL_STRING = re.compile(rb"auth=Bearer |\x01auth=|^user=[^\x01]+\x01|^n,a=")

_UNSAFE = re.compile(r"[^A-Za-z0-9_.~-]")  # what has to be quoted in a URL (RFC 3986)

_QUOTED = re.compile(r"%[0-9A-F]{2}")

_lock = threading.Lock()
_remembered_hashes: set[int] = set()
_short_forms: set[str] = set()
_short_pattern: re.Pattern[str] | None = None
# Length and hash of each encoded secret by its last characters: tokens begin alike, but end at random. So a search
# takes the same time however many tokens an audit handles, and no token is kept in memory here.
_TAIL = 16
_long_forms: dict[str, set[tuple[int, int]]] = {}


def remember(*secrets: str | None) -> None:
    """Have these secrets removed from everything that this process redacts from now on."""
    global _short_pattern
    new = [s for s in secrets if s and len(s) >= _MIN_LENGTH and hash(s) not in _remembered_hashes]
    if not new:
        return
    with _lock:
        short = len(_short_forms)
        for secret in new:
            _remembered_hashes.add(hash(secret))
            for form in _forms(secret):
                if len(form) < _TAIL:
                    _short_forms.add(form)
                else:
                    _long_forms.setdefault(form[-_TAIL:], set()).add((len(form), hash(form)))
        if len(_short_forms) > short:
            _short_pattern = re.compile(
                "|".join(map(re.escape, sorted(_short_forms, key=len, reverse=True)))
            )


def _forms(secret: str) -> set[str]:
    """The encodings in which *secret* may occur in a text."""
    raw = secret.encode()
    encoded = base64.b64encode(raw).decode().rstrip("=")
    urlsafe = encoded.replace("+", "-").replace("/", "_")
    forms = {secret, raw.decode("latin-1"), json.dumps(secret)[1:-1], encoded, urlsafe}
    # Not urllib's quote: it inspects each of a token's thousands of bytes, of which almost none needs quoting.
    quoted = _UNSAFE.sub(lambda m: "".join(f"%{byte:02X}" for byte in m[0].encode()), secret)
    if "%" in quoted or "~" in quoted:
        for written in (quoted, quoted.replace("~", "%7E")):  # as PHP and .NET write it
            for url in (written, _QUOTED.sub(lambda m: m[0].lower(), written)):
                forms |= {url, url.replace("%20", "+"), url.replace("%", "%25")}
                forms.add(url.replace("%2F", "/").replace("%2f", "/"))
    return forms


def _remembered_spans(text: str) -> list[tuple[int, int]]:
    """Start and end of each remembered secret in *text*."""
    spans = [m.span() for m in _short_pattern.finditer(text)] if _short_pattern else []
    if _long_forms:
        for end in range(_TAIL, len(text) + 1):
            candidates = _long_forms.get(text[end - _TAIL : end])
            for length, hashed in candidates or ():
                if end >= length and hash(text[end - length : end]) == hashed:
                    spans.append((end - length, end))
    return sorted(spans)


def _without_remembered(text: str) -> str:
    parts, position = [], 0
    for start, end in _remembered_spans(text):
        if start >= position:
            parts += [text[position:start], MASK]
        position = max(position, end)
    return "".join([*parts, text[position:]])


def redact(text: str) -> str:
    """*text* with every credential in it replaced by ``[hidden]``."""
    text = _without_remembered(text)
    text = _BASE64.sub(_hide_encoded, text)
    text = _JWT.sub(MASK, text)
    text = _FIELD.sub(lambda m: m["name"] + MASK, text)
    text = _CODE.sub(lambda m: m["name"] + MASK, text)
    text = _BEARER.sub(lambda m: m[1] + MASK, text)
    text = _ENTRA_REFRESH.sub(MASK, text)
    text = _OPAQUE_MSA.sub(MASK, text)
    return _SECRET_VALUE.sub(MASK, text)


def _hide_encoded(match: re.Match[str]) -> str:
    """Replace base64 that contains a SASL string or a remembered secret; leave any other readable."""
    encoded = _ESCAPED_SLASH.sub("/", _ESCAPED_PLUS.sub("+", match[0]))
    encoded = encoded.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decodable = encoded[:-1] if len(encoded) % 4 == 1 else encoded
        raw = base64.b64decode(decodable + "=" * (-len(decodable) % 4))
    except (binascii.Error, ValueError):
        return match[0]
    if _SASL_STRING.search(raw) or _remembered_spans(raw.decode("latin-1")):
        return MASK
    return match[0]


class RedactingFilter(logging.Filter):
    """Takes credentials out of log records, arguments and tracebacks included."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = redact(record.getMessage())
        record.args = None
        if record.exc_info:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True

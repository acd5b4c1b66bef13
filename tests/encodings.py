"""The encodings in which a server, a proxy or a program may repeat a secret, and made-up secrets to plant."""

import base64
import html
import json
import quopri
from collections.abc import Callable
from urllib.parse import quote, quote_plus

ADDRESS = "anna.lindqvist@contoso.example"

# One for every kind of secret; each ends in a word that no id, sum or time holds by chance.
SECRETS = {
    "client secret": "abc8Q~planted/marker+of=a~client.secret~zyzzyva",
    "password": "Planted-Pass/word+zyzzyva",
    "passphrase": "grüne Pferde & 7 “zyzzyva” Klammern",
    "authorization code": "1.AXkplanted+code/zyzzyvamarker~of-an-authorization-code",
    "access token": "eyJ0eXAiOiJKV1QifQ.eyJhdWQiOiJwbGFudGVkLTQ3MTEifQ.cGxhbnRlZC1zaWduYXR1cmU_zyzzyva",
    "refresh token": "1.AXkAplanted.refresh-token/zyzzyva+marker-of-it",
}


def b64(text: str, encoding: str = "utf-8") -> str:
    """*text* in base64 on one line."""
    return base64.b64encode(text.encode(encoding)).decode()


def xoauth2(token: str) -> str:
    """The SASL string with *token*, in base64."""
    return b64(f"user={ADDRESS}\x01auth=Bearer {token}\x01\x01")


def fold(text: str, line_end: str = "\r\n", width: int = 30) -> str:
    """*text* broken over lines."""
    return line_end.join(text[at : at + width] for at in range(0, len(text), width))


def _each(template: str) -> Callable[[str], str]:
    return lambda text: "".join(template.format(ord(char)) for char in text)


def _bytes(template: str) -> Callable[[str], str]:
    return lambda text: "".join(template.format(byte) for byte in text.encode())


def _utf16(order: str) -> Callable[[str], str]:
    return lambda text: text.encode(f"utf-16-{order}").decode("latin-1")


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "folded": fold,
    "base64": b64,
    "base64 URL-safe": lambda s: b64(s).replace("+", "-").replace("/", "_").rstrip("="),
    "base64 folded": lambda s: fold(b64(s)),
    "base64 folded and indented": lambda s: fold(b64(s), "\n  ", 76),
    "base64 twice": lambda s: b64(b64(s)),
    "base64 folded twice": lambda s: fold(b64(fold(b64(s)))),
    "base64 behind a word": lambda s: f"token{b64(s)}",
    "base64 URL-encoded": lambda s: quote(b64(s), safe=""),
    "base64 JSON-escaped": lambda s: b64(s).replace("/", "\\/"),
    "base64 quoted-printable": lambda s: quopri.encodestring(b64(s).encode()).decode(),
    "base64 of UTF-16LE": lambda s: b64(s, "utf-16-le"),
    "base64 of UTF-16BE": lambda s: b64(s, "utf-16-be"),
    "base64 of JSON": lambda s: b64(json.dumps({"value": s})),
    "URL-encoded": lambda s: quote(s, safe=""),
    "URL-encoded in lower case": lambda s: _lower_percent(quote(s, safe="")),
    "URL-encoded twice": lambda s: quote(quote(s, safe=""), safe=""),
    "URL-encoded byte by byte": _bytes("%{:02x}"),
    "of a form": quote_plus,
    "HTML-escaped": html.escape,
    "HTML entities": _each("&#{};"),
    "HTML entities in hexadecimal": _each("&#x{:x};"),
    "JSON-escaped": lambda s: json.dumps(s)[1:-1],
    "JSON-escaped twice": lambda s: json.dumps(json.dumps(s))[2:-2],
    "JSON escapes for each": _each("\\u{:04x}"),
    "JSON escapes for each, twice": lambda s: json.dumps(_each("\\u{:04X}")(s))[1:-1],
    "quoted-printable": lambda s: quopri.encodestring(s.encode(), quotetabs=True).decode(),
    "quoted-printable byte by byte": _bytes("={:02X}"),
    "quoted-printable with soft line ends": lambda s: fold(s, "=\r\n", 11),
    "hexadecimal": lambda s: s.encode().hex(),
    "hexadecimal in upper case": lambda s: s.encode().hex().upper(),
    "hexadecimal with colons": lambda s: s.encode().hex(":"),
    "hexadecimal of UTF-16LE": lambda s: s.encode("utf-16-le").hex(),
    "bytes as Python shows them": _bytes("\\x{:02x}"),
    "UTF-16LE": _utf16("le"),
    "UTF-16BE": _utf16("be"),
    "UTF-16LE, URL-encoded": lambda s: quote(s.encode("utf-16-le"), safe=""),
    "UTF-8 read as UTF-16": lambda s: _mojibake(s, "utf-16-le"),
    "UTF-8 read as UTF-16BE": lambda s: _mojibake(s, "utf-16-be"),
    "UTF-8 read as Latin-1": lambda s: s.encode().decode("latin-1"),
    "XOAUTH2": xoauth2,
    "XOAUTH2, URL-encoded": lambda s: quote(xoauth2(s), safe=""),
    "XOAUTH2 folded and JSON-escaped": lambda s: json.dumps(fold(xoauth2(s), "\n"))[1:-1],
    "Basic": lambda s: f"Authorization: Basic {b64(f'00001111-aaaa:{s}')}",
    "AUTH PLAIN": lambda s: b64(f"\0{ADDRESS}\0{s}"),
    "in an address": lambda s: f"postgresql://msoauth:{quote(s, safe='')}@db.example:5432/mail",
}  # fmt: skip


def _lower_percent(text: str) -> str:
    head, *rest = text.split("%")
    return "%".join([head, *(part[:2].lower() + part[2:] for part in rest)])


def _mojibake(text: str, encoding: str) -> str:
    raw = text.encode()
    return (raw + b" " * (len(raw) % 2)).decode(encoding, "replace")


def pieces(form: str) -> list[str]:
    """The whole of an encoded secret, and parts of it by which somebody would recognise it."""
    third = max(16, len(form) // 3)
    return [form, *(form[at : at + third] for at in range(0, len(form) - third + 1, third))]


def assert_hidden(text: str, secrets: dict[str, str] | None = None) -> None:
    """Check that *text* holds none of the planted secrets, whole or in parts, in any encoding."""
    for name, secret in (secrets or SECRETS).items():
        for encoding, encode in ENCODINGS.items():
            for piece in pieces(encode(secret)):
                # What an encoding writes around the secret is no secret.
                assert piece not in text or piece in encode(""), (
                    name,
                    encoding,
                    piece,
                    text[:2000],
                )
    found = text.find("zyzzyva")
    assert found < 0, text[max(0, found - 300) : found + 100]

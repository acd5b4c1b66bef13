"""The arguments of EHLO, MAIL, RCPT and BDAT (RFC 5321, RFC 1870, RFC 3030)."""

import re

HELLO = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Za-z.:]+\]")
_PATH = re.compile(r'<((?:"[^"]{0,64}"|[^<>\s"@]{1,64})@[^<>\s"@]{1,255}|)>((?: .*)?)')
_SIZE = re.compile(r"\bSIZE=(\d{1,20})\b", re.IGNORECASE)
_CHUNK = re.compile(r"(\d{1,12})( LAST)?", re.IGNORECASE | re.ASCII)


def mail_path(argument: str, keyword: str) -> tuple[str, str] | None:
    """Address and parameters of ``FROM:<…>`` or ``TO:<…>``."""
    if argument[: len(keyword)].upper() != keyword:
        return None
    found = _PATH.fullmatch(argument[len(keyword) :].strip())
    if found is None or not found[1].isprintable():
        return None
    return found[1], found[2]


def declared_size(parameters: str) -> int:
    """The ``SIZE`` that MAIL declares, in bytes; 0 when it declares none."""
    found = _SIZE.search(parameters)
    return int(found[1]) if found else 0


def chunk(argument: str) -> tuple[int, bool] | None:
    """Bytes of the chunk that BDAT announces, and whether it is the last."""
    found = _CHUNK.fullmatch(" ".join(argument.split()))
    return (int(found[1]), found[2] is not None) if found else None

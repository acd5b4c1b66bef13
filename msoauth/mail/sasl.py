"""SASL strings for OAuth (XOAUTH2, OAUTHBEARER), and the challenge with which a server refuses them."""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from msoauth import redact
from msoauth.addresses import ascii_form
from msoauth.clouds import Endpoint
from msoauth.errors import InputError
from msoauth.mail.transcript import Transcript
from msoauth.texts import _

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Login:
    """A SASL login, ready to be sent.

    Attributes:
        mechanism: Its name in upper case, as Exchange requires it.
        line: The SASL string in base64, on one line.
        placeholder: What a transcript shows in its place.
        abort_response: The answer to a refusing server's challenge (RFC 7628, 3.2.3).
    """

    mechanism: str
    line: str = field(repr=False)
    placeholder: str
    abort_response: str


def login(
    server_mechanisms: Iterable[str],
    user: str,
    token: str,
    endpoint: Endpoint,
    transcript: Transcript,
) -> Login:
    """The login with XOAUTH2, or with OAUTHBEARER where the server offers only that; the transcript masks it.

    Raises:
        InputError: the user name or the token contains characters that cannot be sent.
    """
    mechanisms, user = set(server_mechanisms), ascii_form(user)
    if "OAUTHBEARER" in mechanisms and "XOAUTH2" not in mechanisms:
        mechanism, abort_response = "OAUTHBEARER", "AQ=="
        line = oauthbearer(user, token, endpoint.host, endpoint.port)
    else:
        mechanism, abort_response = "XOAUTH2", ""
        line = xoauth2(user, token)
    transcript.hide(token, line)
    return Login(mechanism, line, f"[{mechanism} string of {user}]", abort_response)


def _require_sendable(text: str, what: str) -> str:
    """Check *text* and return it: a control character such as ``\\x01`` would end its field in the SASL string.

    Raises:
        InputError: it is empty, or holds control characters or lone surrogates.
    """
    if not text:
        raise InputError(_("{what} is empty.").format(what=what))
    if _CONTROL.search(text):
        raise InputError(_("{what} holds control characters.").format(what=what))
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(
            _("{what} holds characters that cannot be sent.").format(what=what)
        ) from None
    return text


def xoauth2(user: str, token: str) -> str:
    """The XOAUTH2 string, base64 on one line (exchange-dev: how-to-authenticate-an-imap-pop-smtp-application…).

    Raises:
        InputError: the user name or the token holds control characters.
    """
    name, bearer = (
        _require_sendable(user, _("The user name")),
        _require_sendable(token, _("The token")),
    )
    plain = f"user={name}\x01auth=Bearer {bearer}\x01\x01"
    return _encode_and_redact(plain, token)


def oauthbearer(user: str, token: str, host: str, port: int) -> str:
    """The OAUTHBEARER string (RFC 7628), base64 on one line.

    Raises:
        InputError: the user name or the token holds control characters.
    """
    name = _require_sendable(user, _("The user name")).replace("=", "=3D").replace(",", "=2C")
    bearer = _require_sendable(token, _("The token"))
    plain = f"n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {bearer}\x01\x01"
    return _encode_and_redact(plain, token)


def _encode_and_redact(plain: str, token: str) -> str:
    """*plain* in base64; from now on it and the token are redacted wherever msoauth shows text."""
    encoded = base64.b64encode(plain.encode()).decode()
    redact.remember(token, encoded)
    return encoded


def challenge(text: str) -> str | None:
    """The text of a refusing server's challenge, decoded from base64; None when it is empty.

    Example: ``eyJzdGF0dXMiOiI0MDEifQ==`` gives ``{"status":"401"}``.
    """
    stripped = text.strip()
    if not stripped:
        return None
    try:
        return redact.redact(base64.b64decode(stripped, validate=True).decode("utf-8", "replace"))
    except (binascii.Error, ValueError):
        return redact.redact(stripped)

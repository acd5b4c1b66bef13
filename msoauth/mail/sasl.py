"""SASL strings for OAuth, and the challenge with which a server refuses them."""

import base64
import binascii

from msoauth import redact
from msoauth.errors import InputError
from msoauth.texts import _


def _checked(text: str, what: str) -> str:
    """No control character may reach a SASL string: %x01 would end a field of it."""
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise InputError(_("{what} holds control characters.").format(what=what))
    return text


def xoauth2(user: str, token: str) -> str:
    """The XOAUTH2 string, base64 on one line (exchange-dev: how-to-authenticate-an-imap-pop-smtp-application…).

    Raises:
        InputError: the user name or the token holds control characters.
    """
    plain = f"user={_checked(user, _('The user name'))}\x01auth=Bearer {_checked(token, _('The token'))}\x01\x01"
    return _encoded(plain, token)


def oauthbearer(user: str, token: str, host: str, port: int) -> str:
    """The OAUTHBEARER string (RFC 7628), base64 on one line.

    Raises:
        InputError: the user name or the token holds control characters.
    """
    name = _checked(user, _("The user name")).replace("=", "=3D").replace(",", "=2C")
    plain = f"n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {_checked(token, _('The token'))}\x01\x01"
    return _encoded(plain, token)


def _encoded(plain: str, token: str) -> str:
    encoded = base64.b64encode(plain.encode()).decode()
    redact.remember(token, encoded)
    return encoded


def challenge(text: str) -> str | None:
    """What a refusing server says in its challenge, decoded; None when it said nothing."""
    stripped = text.strip()
    if not stripped:
        return None
    try:
        return redact.redact(base64.b64decode(stripped, validate=True).decode("utf-8", "replace"))
    except (binascii.Error, ValueError):
        return redact.redact(stripped)

"""SASL strings for OAuth, and the challenge with which a server refuses them."""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from msoauth import redact
from msoauth.clouds import Endpoint
from msoauth.errors import InputError
from msoauth.mail.transcript import Transcript
from msoauth.texts import _

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Login:
    """How to log in.

    Attributes:
        mechanism: Its name, in the upper case that Exchange wants.
        line: The SASL string, base64 on one line.
        shown: What stands in a transcript in its place.
        dismissal: What answers a refusing server's challenge (RFC 7628 for OAUTHBEARER).
    """

    mechanism: str
    line: str = field(repr=False)
    shown: str
    dismissal: str


def login(
    offered: Iterable[str], user: str, token: str, endpoint: Endpoint, transcript: Transcript
) -> Login:
    """XOAUTH2, or OAUTHBEARER where only that is offered; the transcript learns what to hide.

    Raises:
        InputError: the user name or the token holds what cannot be sent.
    """
    mechanisms = set(offered)
    if "OAUTHBEARER" in mechanisms and "XOAUTH2" not in mechanisms:
        mechanism, dismissal = "OAUTHBEARER", "AQ=="
        line = oauthbearer(user, token, endpoint.host, endpoint.port)
    else:
        mechanism, dismissal = "XOAUTH2", ""
        line = xoauth2(user, token)
    transcript.hide(token, line)
    return Login(mechanism, line, f"[{mechanism} string of {user}]", dismissal)


def _checked(text: str, what: str) -> str:
    """No control character may reach a SASL string: %x01 would end a field of it."""
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
    name, bearer = _checked(user, _("The user name")), _checked(token, _("The token"))
    plain = f"user={name}\x01auth=Bearer {bearer}\x01\x01"
    return _encoded(plain, token)


def oauthbearer(user: str, token: str, host: str, port: int) -> str:
    """The OAUTHBEARER string (RFC 7628), base64 on one line.

    Raises:
        InputError: the user name or the token holds control characters.
    """
    name = _checked(user, _("The user name")).replace("=", "=3D").replace(",", "=2C")
    bearer = _checked(token, _("The token"))
    plain = f"n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {bearer}\x01\x01"
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

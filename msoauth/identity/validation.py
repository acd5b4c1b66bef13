"""Cleans and validates what people type and paste: the values of an app registration, and mailbox addresses.

Each ``*_problem`` function returns one sentence that says what is wrong, or None. They use no network, so a form can
call them at every keystroke.
"""

import re
from urllib.parse import urlsplit

from msoauth.addresses import ascii_form
from msoauth.errors import InputError
from msoauth.model import Firm
from msoauth.texts import _

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_DOMAIN = re.compile(
    r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])",
    re.IGNORECASE,
)
# RFC 5321: a dot-string; RFC 6531: with letters and digits of any script. Microsoft 365 has no quoted strings.
_ATOM = r"[\w!#$%&'*+/=?^`{|}~-]+"
_ADDRESS_LOCAL = re.compile(rf"(?=.{{1,64}}\Z){_ATOM}(?:\.{_ATOM})*")
# Characters that are copied along from web pages.
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))


def clean(text: str) -> str:
    """*text* without the blanks, line breaks and invisible characters that pasting brings along."""
    return text.translate(_INVISIBLE).replace("\u00a0", " ").strip().strip("\r\n\t ")


def is_guid(text: str) -> bool:
    """Whether *text* is a GUID such as Azure shows for its ids."""
    return _GUID.fullmatch(text) is not None


def tenant_problem(text: str) -> str | None:
    """What is wrong with a directory (tenant) ID or domain."""
    text = clean(text)
    if not text:
        return _("Enter the Directory (tenant) ID from the app's Overview page.")
    if is_guid(text):
        return _("This GUID is all zeros, a placeholder.") if set(text) <= {"0", "-"} else None
    if "@" in text:
        return _(
            "This is an e-mail address; enter the Directory (tenant) ID or the part after the @."
        )
    if text.lower() in ("common", "organizations", "consumers"):
        return _(
            "“{text}” stands for any directory; enter the ID of this firm's directory."
        ).format(text=text)
    if _DOMAIN.fullmatch(text):
        return None
    return _("This is neither a GUID like 1a2b3c4d-… nor a domain like contoso.onmicrosoft.com.")


def client_id_problem(text: str) -> str | None:
    """What is wrong with an application (client) ID."""
    text = clean(text)
    if not text:
        return _("Enter the Application (client) ID from the app's Overview page.")
    if not is_guid(text):
        if "@" in text:
            return _(
                "This is an e-mail address; the Application (client) ID is a GUID like 1a2b3c4d-…."
            )
        return _("The Application (client) ID is a GUID like 1a2b3c4d-…; this is not one.")
    if set(text) <= {"0", "-"}:
        return _("This GUID is all zeros, a placeholder.")
    return None


def secret_problem(text: str) -> str | None:
    """What is wrong with a client secret value; an empty one is fine, for a public client."""
    text = clean(text)
    if not text:
        return None
    if is_guid(text):
        return _(
            "This looks like the Secret ID. Copy the column “Value” instead; if it is no longer shown, make a new client secret."
        )
    if any(character.isspace() for character in text):
        return _("A client secret value has no blanks or line breaks inside; copy it again.")
    if not text.isascii() or not text.isprintable():
        return _("A client secret value has only plain letters, digits and signs; copy it again.")
    if "…" in text or set(text) <= {"*", "•", "."}:
        return _(
            "This is the hidden form of the secret; copy the column “Value” while it is shown."
        )
    if len(text) < 16:
        return _("This is too short for a client secret value.")  # Graph: 16 to 64 characters
    return None


def redirect_problem(text: str) -> str | None:
    """What is wrong with a redirect URI (facts: entra-docs reply-url.md)."""
    text = clean(text)
    if not text:
        return _("Enter the redirect URI as registered, for example http://localhost.")
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return _("This is not an address such as http://localhost.")
    if parts.scheme not in ("http", "https") or not host:
        return _("A redirect URI begins with http://localhost, http://127.0.0.1 or https://.")
    if parts.scheme == "http" and host not in ("localhost", "127.0.0.1"):
        return _("Plain http is only allowed for localhost.")
    if parts.fragment or "*" in text or any(c in text for c in "!$'(),; "):
        return _("A redirect URI may not contain # * ! $ ' ( ) , ; or blanks.")
    return None


def address_problem(text: str) -> str | None:
    """What is wrong with a mailbox's address."""
    text = clean(text)
    if not text:
        return _("Enter the mailbox's address.")
    local, at, _domain = text.rpartition("@")
    if not at:
        return _("This address has no domain: write name@firm.example.")
    if not local or not _ADDRESS_LOCAL.fullmatch(local):
        return _("The part before the @ is not that of a mailbox.")
    if not _DOMAIN.fullmatch(ascii_form(text).rpartition("@")[2]):
        return _("The part after the @ is not a domain like firm.example.")
    return None


def check_firm(firm: Firm) -> None:
    """Check the values of a firm.

    Raises:
        InputError: a value is wrong; ``field`` names the first such.
    """
    problems = {
        "name": None if clean(firm.name) else _("The firm needs a name."),
        "tenant": tenant_problem(firm.tenant),
        "client_id": client_id_problem(firm.client_id),
        "redirect_uri": redirect_problem(firm.redirect_uri),
    }
    causes = {
        "tenant": "tenant-id-invalid",
        "client_id": "app-not-found",
        "redirect_uri": "redirect-mismatch",
    }
    if clean(firm.tenant).lower() in ("common", "organizations", "consumers"):
        causes["tenant"] = "app-not-multitenant"  # what Entra would say: AADSTS50194
    for field, problem in problems.items():
        if problem:
            raise InputError(problem, field=field, cause=causes.get(field, "unknown"))
    if firm.tenant and firm.tenant.casefold() == firm.client_id.casefold():
        raise InputError(
            _(
                "Directory (tenant) ID and Application (client) ID are the same; one of them was pasted twice."
            ),
            field="client_id",
            cause="app-not-found",
        )


def check_secret(value: str) -> None:
    """Check a client secret value.

    Raises:
        InputError: it cannot be one.
    """
    problem = secret_problem(value)
    if problem:
        raise InputError(problem, field="secret", cause="secret-invalid")

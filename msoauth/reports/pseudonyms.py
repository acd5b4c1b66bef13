"""Replaces people, firms and domains in a support bundle with pseudonyms, the same in every bundle of a workspace."""

import hashlib
import hmac
import re
import secrets
import socket
from collections.abc import Iterable
from urllib.parse import quote, unquote
from uuid import UUID

from msoauth.model import Account, Firm
from msoauth.store import Workspace

_KEY_SETTING = "pseudonyms"  # the setting that holds a random key, which is used for nothing else
_ADDRESS = re.compile(
    r"(?P<local>[\w.!#$&'*+/=?^`{|}~-]{1,64})(?P<at>@|%40|%2540)(?P<domain>[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})"
)
_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
# Domains of Microsoft's services: they identify no firm, so they are not replaced.
_MICROSOFT_DOMAINS = ("microsoft.com", "microsoftonline.com", "office.com", "office365.com", "outlook.com", "microsoftonline.us",
             "office365.us", "microsoftonline.cn", "partner.outlook.cn")  # fmt: skip
_MIN_LENGTH = (
    3  # characters; a shorter name may be an ordinary word, which would be replaced everywhere
)


class Pseudonyms:
    """Replaces addresses, domains, the firm's name and the ids of its tenant and app, each always with the same pseudonym.

    Trace and correlation ids stay: Microsoft needs them to find a request.
    """

    def __init__(self, key: bytes, firm: Firm, accounts: Iterable[Account]) -> None:
        self._key = key
        pseudonyms: dict[str, str] = {}
        for account in accounts:
            for address in (account.address, account.user):
                domain = address.rpartition("@")[2]
                if "@" in address:
                    pseudonyms[domain] = self.domain(domain)
        name = firm.name.strip()
        if len(name) >= _MIN_LENGTH:
            pseudonyms[name] = f"Firm {self._code('firm', name)}"
        for value in (firm.tenant, firm.client_id):
            if _GUID.fullmatch(value):
                pseudonyms[value] = self.guid(value)
            elif "." in value:
                pseudonyms[value] = self.domain(value)
        # Not getfqdn(), which may wait for DNS; where a whole name stands, its first label is replaced.
        host = socket.gethostname()
        if len(host) >= _MIN_LENGTH and host != "localhost":
            pseudonyms[host] = "computer"
        self._pseudonyms = {k.casefold(): v for k, v in pseudonyms.items()}
        forms = {form for name in pseudonyms for form in (name, quote(name, safe=""))}
        # Not inside another word, nor inside a label of a longer domain name.
        self._pattern = re.compile(
            r"(?<![\w@-])(?:"
            + "|".join(map(re.escape, sorted(forms, key=len, reverse=True)))
            + r")(?![\w-])",
            re.IGNORECASE,
        )

    def text(self, text: str) -> str:
        """*text* with every known name and every address replaced."""
        text = _ADDRESS.sub(self._replace_address, text)
        return self._pattern.sub(self._replace_name, text)

    def domain(self, domain: str) -> str:
        """The pseudonym of a domain; domains of Microsoft's services stay."""
        lower = domain.casefold()
        if any(lower == service or lower.endswith(f".{service}") for service in _MICROSOFT_DOMAINS):
            return domain
        return f"firm-{self._code('domain', domain)}.example"

    def guid(self, value: str) -> str:
        """The pseudonym of a tenant's or app's id, itself a GUID."""
        return str(UUID(bytes=self._digest("guid", value)[:16], version=4))

    def _replace_address(self, match: re.Match[str]) -> str:
        domain = self.domain(match["domain"])
        if domain == match["domain"]:
            return match[0]  # of a service, such as a Message-ID of Exchange
        return f"person-{self._code('local', match['local'])}{match['at']}{domain}"

    def _replace_name(self, match: re.Match[str]) -> str:
        name = match[0].casefold()
        if name in self._pseudonyms:
            return self._pseudonyms[name]
        return quote(self._pseudonyms.get(unquote(name), match[0]), safe="")

    def _code(self, kind: str, name: str) -> str:
        return self._digest(kind, name).hex()[:6]

    def _digest(self, kind: str, name: str) -> bytes:
        return hmac.digest(self._key, f"{kind}:{name.casefold()}".encode(), hashlib.sha256)


def for_workspace(workspace: Workspace, firm: Firm, accounts: Iterable[Account]) -> Pseudonyms:
    """The pseudonyms of a workspace; their random key is generated on first use and never leaves the workspace."""
    key = workspace.settings.get(_KEY_SETTING)
    if not key:
        key = secrets.token_hex(16)
        workspace.settings.set(_KEY_SETTING, key)
    return Pseudonyms(bytes.fromhex(key), firm, accounts)

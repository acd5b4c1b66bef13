"""Replaces people, firms and domains in a support bundle by pseudonyms, which stay the same in every later bundle."""

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

_KEY = "pseudonyms"  # the setting that holds a random key, used for nothing else
_ADDRESS = re.compile(
    r"(?P<local>[\w.!#$&'*+/=?^`{|}~-]{1,64})(?P<at>@|%40|%2540)(?P<domain>[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})"
)
_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
# Domains of Microsoft's services, which name no firm and stay.
_SERVICES = ("microsoft.com", "microsoftonline.com", "office.com", "office365.com", "outlook.com", "microsoftonline.us",
             "office365.us", "microsoftonline.cn", "partner.outlook.cn")  # fmt: skip
_SHORT = 3  # characters; a shorter name would also be replaced inside other words


class Pseudonyms:
    """Replaces addresses, domains, the firm's name and the ids of its tenant and app, each always by the same pseudonym.

    Trace and correlation ids stay: Microsoft needs them to find a request.
    """

    def __init__(self, key: bytes, firm: Firm, accounts: Iterable[Account]) -> None:
        self._key = key
        known: dict[str, str] = {}
        for account in accounts:
            for address in (account.address, account.user):
                domain = address.rpartition("@")[2]
                if "@" in address:
                    known[domain] = self.domain(domain)
        name = firm.name.strip()
        if len(name) >= _SHORT:
            known[name] = f"Firm {self._code('firm', name)}"
        for value in (firm.tenant, firm.client_id):
            if _GUID.fullmatch(value):
                known[value] = self.guid(value)
            elif "." in value:
                known[value] = self.domain(value)
        for host in {socket.gethostname(), socket.getfqdn()} - {"localhost"}:
            if len(host) >= _SHORT:
                known[host] = "computer"
        self._known = {k.casefold(): v for k, v in known.items()}
        forms = {form for name in known for form in (name, quote(name, safe=""))}
        # Not inside another word or a longer domain name's label.
        self._pattern = re.compile(
            r"(?<![\w@-])(?:"
            + "|".join(map(re.escape, sorted(forms, key=len, reverse=True)))
            + r")(?![\w-])",
            re.IGNORECASE,
        )

    def text(self, text: str) -> str:
        """*text* with every known name and every address replaced."""
        text = _ADDRESS.sub(self._address, text)
        return self._pattern.sub(self._name, text)

    def domain(self, domain: str) -> str:
        """The pseudonym of a domain; domains of Microsoft's services stay."""
        lower = domain.casefold()
        if any(lower == one or lower.endswith(f".{one}") for one in _SERVICES):
            return domain
        return f"firm-{self._code('domain', domain)}.example"

    def guid(self, value: str) -> str:
        """The pseudonym of a tenant's or app's id, a GUID too."""
        return str(UUID(bytes=self._digest("guid", value)[:16], version=4))

    def _address(self, match: re.Match[str]) -> str:
        domain = self.domain(match["domain"])
        if domain == match["domain"]:
            return match[0]  # a service's own, such as a Message-ID of Exchange
        return f"person-{self._code('local', match['local'])}{match['at']}{domain}"

    def _name(self, match: re.Match[str]) -> str:
        found = match[0].casefold()
        if found in self._known:
            return self._known[found]
        return quote(self._known.get(unquote(found), match[0]), safe="")

    def _code(self, kind: str, name: str) -> str:
        return self._digest(kind, name).hex()[:6]

    def _digest(self, kind: str, name: str) -> bytes:
        return hmac.digest(self._key, f"{kind}:{name.casefold()}".encode(), hashlib.sha256)


def for_workspace(workspace: Workspace, firm: Firm, accounts: Iterable[Account]) -> Pseudonyms:
    """The pseudonyms of a workspace; their key is made on first use and never leaves the workspace."""
    kept = workspace.settings.get(_KEY)
    if not kept:
        kept = secrets.token_hex(16)
        workspace.settings.set(_KEY, kept)
    return Pseudonyms(bytes.fromhex(kept), firm, accounts)

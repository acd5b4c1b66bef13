"""A pasted block of text, such as the Overview page of an app registration or a mail, taken apart into values."""

import re

from msoauth.identity import validation

_GUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
# English and German names as Azure shows them; between name and value may stand a colon, blanks, or a line end.
_NAMES = {
    "client_id": rf"(?:Application|Client|App|Anwendungs)[ -]?(?:\(client\) )?ID(?:\s*\(Client\))?\W{{0,6}}({_GUID})",
    "tenant": rf"(?:Directory|Tenant|Verzeichnis)[ -]?(?:\(tenant\) )?ID(?:\s*\(Mandant\))?\W{{0,6}}({_GUID}|[\w-]+(?:\.[\w-]+)+)",
    "secret": r"(?:client[ _-]?secret|geheimer Clientschlüssel|secret|Geheimnis)(?:[ _-]?(?:value|wert))?\s*[:=]\s*(\S{16,})",
    "redirect_uri": r"(?:Redirect|Umleitungs)[ _-]?URIs?\s*[:=]\s*(https?://\S+)",
}


def take_apart(text: str) -> dict[str, str]:
    """The values that *text* names: some of ``tenant``, ``client_id``, ``secret`` and ``redirect_uri``."""
    found = {}
    for name, pattern in _NAMES.items():
        match = re.search(pattern, text[:20_000], re.IGNORECASE)
        if match:
            found[name] = validation.clean(match[1])
    return found

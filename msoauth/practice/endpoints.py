"""The endpoints file: the servers' addresses, and the tenants with their apps, users and passwords."""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msoauth.practice.registrations import AppRegistration
from msoauth.practice.state import PracticeState, Tenant


class EndpointsFile:
    """The endpoints file of a running practice tenant, and what scenarios made wrong in it.

    Attributes:
        path: The file.
        content: Its content; after a change to it call `write`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content: dict[str, Any] = {}
        self._original = "{}"

    def begin(self, content: dict[str, Any]) -> None:
        """Write the file for the first time; later changes to *content* count as wrong entries."""
        self.content, self._original = content, json.dumps(content)
        self.write()

    def write(self) -> None:
        """Replace the file as a whole."""
        new = self.path.with_suffix(f".{secrets.token_hex(8)}")
        # It holds passwords: from its first byte on, others cannot read it.
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            json.dump(self.content, out, ensure_ascii=False)
        new.replace(self.path)

    def wrong_entries(self) -> list[tuple[str, Any, Any]]:
        """The entries that differ from the original: path (``practice/firms/0/client_id``), value, right value."""
        return list(_differences(self.content, json.loads(self._original), ()))

    def correct(self, place: str) -> bool:
        """Restore the entry at one path and write the file; False when it is not wrong."""
        if place not in [path for path, _value, _right in self.wrong_entries()]:
            return False
        entry: Any = self.content
        right = json.loads(self._original)
        *parents, last = (int(part) if part.isdecimal() else part for part in place.split("/"))
        for part in parents:
            entry, right = entry[part], right[part]
        entry[last] = right[last]
        self.write()
        return True


def _differences(now: Any, right: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(now, dict) and isinstance(right, dict):
        for name, value in right.items():
            yield from _differences(now.get(name), value, (*path, name))
    elif isinstance(now, list) and isinstance(right, list) and len(now) == len(right):
        for number, value in enumerate(right):
            yield from _differences(now[number], value, (*path, str(number)))
    elif now != right:
        yield "/".join(path), now, right


def describe(
    state: PracticeState, ports: Mapping[str, int], admin: str, ca_file: Path
) -> dict[str, Any]:
    """The endpoints file as a dict: its contents at the start, before a scenario changes them."""
    authority = f"https://localhost:{ports['authority']}/"
    return {
        "name": "practice",
        "authority": authority,
        "graph": f"{authority}graph/",
        "outlook_resource": "https://outlook.office.com",
        "pop3": {"host": "localhost", "port": ports["pop3"], "tls": "implicit"},
        "imap": {"host": "localhost", "port": ports["imap"], "tls": "implicit"},
        "smtp": {"host": "localhost", "port": ports["smtp"], "tls": "starttls"},
        "ca_file": str(ca_file),
        "practice": {
            "admin": admin,
            "firms": [_tenant(tenant) for tenant in state.tenants.values()],
        },
    }


def _tenant(tenant: Tenant) -> dict[str, Any]:
    apps = [_app(app) for app in tenant.apps]
    first = {name: value for name, value in apps[0].items() if name != "name"}
    return {
        "name": tenant.name,
        "tenant_id": tenant.tenant_id,
        "domain": tenant.domain,
        **first,
        "apps": apps,
        "accounts": [
            {"address": user.upn, "password": user.password} for user in tenant.users.values()
        ],
    }


def _app(app: AppRegistration) -> dict[str, Any]:
    secret = app.secrets[0] if app.secrets else None
    uris = [*app.web_redirect_uris, *app.public_client_redirect_uris, *app.spa_redirect_uris]
    return {
        "name": app.display_name,
        "client_id": app.app_id,
        "client_secret": secret.value if secret else "",
        "secret_expires": secret.end.date().isoformat() if secret else None,
        "redirect_uri": uris[0] if uris else None,
    }

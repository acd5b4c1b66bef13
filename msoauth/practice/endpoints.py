"""The endpoints file: all that a cloud is, and the practice tenant's tenants with their users and passwords."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msoauth.practice.registrations import AppRegistration
from msoauth.practice.state import PracticeState, Tenant


def describe(
    state: PracticeState, ports: Mapping[str, int], admin: str, ca_file: Path
) -> dict[str, Any]:
    """The endpoints file as a dict: as it is noted down at the start, before anything goes wrong."""
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

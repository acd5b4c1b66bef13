"""Adds a practice tenant's firms and users to a workspace and signs everybody in, without a browser.

The practice tenant simulates Microsoft 365 on this computer.
"""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests

from msoauth import clouds
from msoauth.addresses import key
from msoauth.errors import InputError
from msoauth.identity.client import token_cache_from_grant
from msoauth.model import Account, Firm
from msoauth.private_files import read_bounded
from msoauth.store import Workspace
from msoauth.texts import _


def enrol(workspace: Workspace, endpoints_file: Path) -> Iterator[str]:
    """Add every firm and user of a running practice tenant; yields each user's address once its tokens are stored.

    Args:
        endpoints_file: A file with the output of ``msoauth practice serve --json``.

    Raises:
        InputError: the file cannot be read, or does not belong to a running practice tenant.
    """
    try:
        content = read_bounded(endpoints_file, clouds.MAX_BYTES)
    except OSError as error:
        raise InputError(
            _("The endpoints file {file} cannot be read: {reason}.").format(
                file=endpoints_file, reason=error.strerror or type(error).__name__
            )
        ) from None
    cloud = clouds.parse(content, source=endpoints_file.name)
    try:
        if not cloud.is_practice:
            raise ValueError("these are other servers")
        practice = json.loads(content)["practice"]
        for entry in practice["firms"]:
            firm = _parse_firm(entry, cloud)
            grants = _issue_grants(practice["admin"], firm)
            yield from _store_firm(workspace, firm, entry["client_secret"], grants)
    except (KeyError, TypeError, ValueError, requests.RequestException):
        raise InputError(
            _("{file} is not the endpoints file of a running practice tenant.").format(
                file=endpoints_file.name
            )
        ) from None


def _parse_firm(entry: dict[str, Any], cloud: clouds.Cloud) -> Firm:
    """The firm of an entry in the endpoints file."""
    expires = entry.get("secret_expires")
    return Firm(
        entry["name"],
        entry["tenant_id"],
        entry["client_id"],
        cloud,
        redirect_uri=entry["redirect_uri"],
        secret_expires=date.fromisoformat(expires) if expires else None,
    )


def _issue_grants(admin: str, firm: Firm) -> list[dict[str, Any]]:
    """Have the practice tenant issue tokens for every user of *firm*: a token response each, with ``address``."""
    with requests.Session() as session:
        session.trust_env = False  # no proxy: the practice tenant runs on this computer
        place = urlsplit(admin)  # with the token that opens it
        path = f"{place.path.removesuffix('/admin')}/practice/grants"
        url = urlunsplit(place._replace(path=path))
        reply = session.post(url, json={"tenant": firm.tenant}, timeout=60)
        reply.raise_for_status()
    return list(reply.json()["grants"])


def _store_firm(
    workspace: Workspace, firm: Firm, secret: str, grants: list[dict[str, Any]]
) -> Iterator[str]:
    """Add or update a firm and its accounts, and store their tokens; yields each address."""
    firm_names = {f.name.casefold() for f in workspace.firms.list()}
    if firm.name.casefold() in firm_names:
        # Each run of the practice tenant has new ports and secrets.
        workspace.firms.replace(firm)
        workspace.firms.set_secret(firm.name, secret, expires=firm.secret_expires)
    else:
        workspace.firms.add(firm, secret=secret or None)
    addresses = {key(account.address) for account in workspace.accounts.list()}
    for grant in grants:
        address = str(grant["address"])
        if key(address) not in addresses:
            workspace.accounts.add(Account(address, firm.name))
        workspace.tokens.save(address, token_cache_from_grant(firm, grant), signed_in_as=address)
        yield address

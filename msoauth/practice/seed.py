"""The firm that the practice tenant starts with, and as many more accounts as are asked for."""

import secrets
import string
from datetime import timedelta

from msoauth.practice.clock import Clock
from msoauth.practice.corpus import typical
from msoauth.practice.state import (
    EXCHANGE_APP_ID,
    AppRegistration,
    ClientSecret,
    Firm,
    Mailbox,
    User,
    new_id,
)

_PEOPLE = (
    ("anna.lindqvist", "Anna Lindqvist", None),
    ("juergen.mueller", "Jürgen Müller", None),
    ("zoe.obrien", "Zoë O’Brien", "enrolled"),
    ("max.weiss", "Max Weiß", None),
)


def secret_value() -> str:
    """A client secret value as the portal makes them (the pattern is unverified): 40 characters with ``~``."""
    alphabet = string.ascii_letters + string.digits + "-_.~"
    random = "".join(secrets.choice(alphabet) for _ in range(34))
    return f"{random[:3]}8Q~{random[3:]}"


def _password() -> str:
    """A password that a person can type."""
    words = (
        "anchor",
        "basalt",
        "cedar",
        "dune",
        "ember",
        "fjord",
        "granite",
        "harbor",
        "island",
        "juniper",
        "kelp",
        "lagoon",
    )
    return "-".join([*(secrets.choice(words) for _ in range(3)), str(secrets.randbelow(90) + 10)])


def contoso(clock: Clock, accounts: int = 0) -> Firm:
    """Contoso Legal: an app as it should be registered, an administrator, lawyers, a shared mailbox.

    Args:
        accounts: So many further accounts, ``user00001@…`` and on, which share one password.
    """
    now = clock.now()
    app = AppRegistration(
        app_id=new_id(),
        display_name="Contoso mail retrieval",
        web_redirect_uris=["http://localhost"],
        is_fallback_public_client=True,
        secrets=[ClientSecret(secret_value(), now, now + timedelta(days=180))],
        required=[
            (EXCHANGE_APP_ID, "POP.AccessAsUser.All", "Scope"),
            (EXCHANGE_APP_ID, "IMAP.AccessAsUser.All", "Scope"),
            (EXCHANGE_APP_ID, "SMTP.Send", "Scope"),
        ],
    )
    firm = Firm(name="Contoso Legal", tenant_id=new_id(), domain="contoso.example", app=app)
    _add(firm, "admin", "Contoso Admin", _password(), admin=True)
    for name, shown, mfa in _PEOPLE:
        _add(firm, name, shown, _password(), mfa=mfa)
    office = f"office@{firm.domain}"
    lawyers = {f"{name}@{firm.domain}" for name, _shown, _mfa in _PEOPLE[:2]}
    firm.mailboxes[office] = Mailbox(
        office, shared=True, full_access=set(lawyers), send_as=set(lawyers), _load=typical
    )
    shared_password = _password()
    for number in range(1, accounts + 1):
        _add(firm, f"user{number:05d}", f"User {number}", shared_password)
    return firm


def _add(
    firm: Firm, name: str, shown: str, password: str, *, admin: bool = False, mfa: str | None = None
) -> None:
    upn = f"{name}@{firm.domain}"
    firm.users[upn] = User(upn, shown, password, admin=admin, mfa=mfa)
    firm.mailboxes[upn] = Mailbox(upn, _load=typical)

"""The tenants, apps and users that a practice tenant starts with, and further accounts on request."""

import re
import secrets
import string
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import timedelta

from msoauth.practice.clock import Clock
from msoauth.practice.conditional_access import microsoft_managed
from msoauth.practice.corpus import typical
from msoauth.practice.registrations import AppRegistration, ClientSecret, new_id
from msoauth.practice.state import EXCHANGE_APP_ID, Mailbox, Tenant, User

NAMES = ("Contoso Legal", "Fabrikam & Partners", "Tailspin Notaries", "Northwind Attorneys",
         "Adventure Tax Law", "Wingtip Patents", "Litware Chambers", "Proseware Law")  # fmt: skip

_PEOPLE = (
    ("anna.lindqvist", "Anna Lindqvist", False),
    ("juergen.mueller", "Jürgen Müller", False),
    ("zoe.obrien", "Zoë O’Brien", True),
    ("max.weiss", "Max Weiß", False),
)
_DELEGATED = ("POP.AccessAsUser.All", "IMAP.AccessAsUser.All", "SMTP.Send")
_APP_ONLY = ("POP.AccessAsApp", "IMAP.AccessAsApp", "SMTP.SendAsApp")
_WORDS = (
    "anchor", "basalt", "cedar", "dune", "ember", "fjord", "granite", "harbor", "island", "juniper", "kelp", "lagoon",
)  # fmt: skip


class FirmsError(ValueError):
    """There is no firm, a name is empty, or two names give the same domain."""


def secret_value() -> str:
    """A client secret value as the portal makes them (the pattern is unverified): 40 characters with ``~``."""
    alphabet = string.ascii_letters + string.digits + "-_.~"
    random = "".join(secrets.choice(alphabet) for _ in range(37))
    return f"{random[:3]}8Q~{random[3:]}"


def _password() -> str:
    """A password that a person can type."""
    return "-".join([*(secrets.choice(_WORDS) for _ in range(3)), str(secrets.randbelow(90) + 10)])


def tenants(clock: Clock, firms: int | Iterable[str] = 1, accounts: int = 0) -> Iterator[Tenant]:
    """Tenants, each with apps as they should be registered, an administrator, lawyers, a shared mailbox.

    Args:
        firms: Number of tenants, or their names.
        accounts: Number of further accounts, spread over the tenants.

    Raises:
        FirmsError: there is no firm, a name is empty, or two get the same domain.
    """
    names = (
        list(_default_names(firms)) if isinstance(firms, int) else [name.strip() for name in firms]
    )
    domains = [_domain(name) for name in names]
    if not names or not all(names) or len(set(domains)) < len(names):
        raise FirmsError("firms need a name each, and no two that get the same domain")
    for number, (name, domain) in enumerate(zip(names, domains, strict=True)):
        share = accounts // len(names) + (number < accounts % len(names))
        yield _tenant(clock, name, domain, share)


def _default_names(count: int) -> Iterator[str]:
    for number in range(count):
        base = NAMES[number % len(NAMES)]
        yield base if number < len(NAMES) else f"{base} {number // len(NAMES) + 1}"


def _domain(name: str) -> str:
    """A domain under .example: the name's first word, or all of it when a number tells it apart."""
    plain = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", plain) or ["firm"]
    label = words[0] if name in NAMES else "-".join(words)
    return f"{label[:50]}.example"


def _tenant(clock: Clock, name: str, domain: str, accounts: int) -> Tenant:
    tenant = Tenant(name=name, tenant_id=new_id(), domain=domain)
    tenant.policies.conditional_access = microsoft_managed()
    _register_apps(tenant, clock)
    _add_user(tenant, "admin", f"{name.split()[0]} Admin", _password(), admin=True)
    for login, display_name, mfa in _PEOPLE:
        _add_user(tenant, login, display_name, _password(), mfa=mfa)
    office = f"office@{domain}"
    lawyers = {f"{login}@{domain}" for login, _shown, _mfa in _PEOPLE[:2]}
    service = tenant.principals[-1].object_id
    tenant.mailboxes[office] = Mailbox(
        office, kind="shared", full_access={*lawyers, service}, send_as=set(lawyers), _load=typical
    )
    shared_password = _password()
    for number in range(1, accounts + 1):
        _add_user(tenant, f"user{number:05d}", f"User {number}", shared_password)
    return tenant


def _register_apps(tenant: Tenant, clock: Clock) -> None:
    """Register three apps for mail: Web with a secret, desktop without a secret, and one that works without a user.

    An administrator has consented to all of them, because users may not consent to POP and IMAP (facts L1).
    """
    now, word = clock.now(), tenant.name.split()[0]
    delegated = [(EXCHANGE_APP_ID, scope, "Scope") for scope in _DELEGATED]

    def secret() -> list[ClientSecret]:
        return [ClientSecret(secret_value(), now, now + timedelta(days=180))]

    mail = tenant.register(
        AppRegistration(
            app_id=new_id(),
            display_name=f"{word} mail retrieval",
            web_redirect_uris=["http://localhost"],
            is_fallback_public_client=True,
            secrets=secret(),
            required=list(delegated),
            created=now - timedelta(days=1),
        )
    )
    desktop = tenant.register(
        AppRegistration(
            app_id=new_id(),
            display_name=f"{word} desktop mail",
            public_client_redirect_uris=["http://localhost"],
            is_fallback_public_client=True,
            required=list(delegated),
            created=now - timedelta(days=1),
        )
    )
    service = tenant.register(
        AppRegistration(
            app_id=new_id(),
            display_name=f"{word} mail service",
            secrets=secret(),
            required=[(EXCHANGE_APP_ID, role, "Role") for role in _APP_ONLY],
            created=now - timedelta(days=1),
        )
    )
    for principal in (mail, desktop):
        principal.admin_consent[EXCHANGE_APP_ID] = set(_DELEGATED)
    service.app_roles[EXCHANGE_APP_ID] = set(_APP_ONLY)
    service.exchange_object_id = service.object_id


def _add_user(
    tenant: Tenant,
    name: str,
    display_name: str,
    password: str,
    *,
    admin: bool = False,
    mfa: bool = False,
) -> None:
    upn = f"{name}@{tenant.domain}"
    tenant.users[upn] = User(upn, display_name, password, admin=admin, mfa_required=mfa)
    tenant.mailboxes[upn] = Mailbox(upn, _load=typical)

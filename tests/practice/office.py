"""A practice tenant as programs that nobody here wrote are told of it: endpoints and CA, no more."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import requests

from msoauth.practice import PracticeTenant
from msoauth.practice.state import Mailbox, Tenant
from tests.practice.browser import Browser

ANNA = "anna.lindqvist@contoso.example"
MAX = "max.weiss@contoso.example"
MAIL_SCOPES = tuple(
    f"https://outlook.office.com/{name}"
    for name in ("IMAP.AccessAsUser.All", "POP.AccessAsUser.All", "SMTP.Send")
)


@dataclass
class Office:
    """A running practice tenant, and access tokens of its users."""

    tenant: PracticeTenant
    tokens: dict[str, str]

    @property
    def ca(self) -> str:
        return str(self.tenant.ca_file)

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca)

    @property
    def firm(self) -> Tenant:
        return next(iter(self.tenant.state.tenants.values()))

    @property
    def authority(self) -> str:
        """The authority with the tenant, without a slash at its end."""
        return f"{self.tenant.endpoints['authority']}{self.firm.tenant_id}"

    def app(self, number: int = 0) -> dict[str, str]:
        """A registered app: 0 a web app with a secret, 1 a desktop app."""
        apps = self.tenant.endpoints["practice"]["firms"][0]["apps"]
        return {name: str(value) for name, value in apps[number].items()}

    def port(self, name: str) -> int:
        return int(self.tenant.endpoints[name]["port"])

    def mailbox(self, address: str) -> Mailbox:
        found = self.firm.mailbox(address)
        assert found is not None
        return found

    def password(self, address: str) -> str:
        known = self.tenant.endpoints["practice"]["firms"][0]["accounts"]
        return str(next(a["password"] for a in known if a["address"] == address))

    def sign_in(self, url: str, address: str = ANNA, code: str = "") -> str:
        """Sign in at a page as a person does; returns where the browser is sent in the end, or the last page."""
        browser = Browser(self.tenant).open(url)
        if code:
            browser.submit(otc=code)
        browser.submit(loginfmt=address).submit(passwd=self.password(address))
        while not browser.went_to and "<form" in browser.page:
            browser.submit(press="Continue" if "Continue" in browser.says else "Accept")
        return browser.went_to or browser.says


@contextmanager
def running_office() -> Iterator[Office]:
    """Run a practice tenant in which Anna and Max have signed in."""
    with PracticeTenant() as tenant:
        tokens = {who: _access(tenant, refresh_token(tenant, who)) for who in (ANNA, MAX)}
        yield Office(tenant, tokens)


def refresh_token(tenant: PracticeTenant, address: str) -> str:
    """A refresh token of a user of the first firm, as a sign-in would give it."""
    asked = {"tenant": tenant.endpoints["practice"]["firms"][0]["tenant_id"]}
    url = tenant.admin_url.replace("/admin?", "/practice/grants?")
    given = requests.post(url, json=asked, timeout=20)
    grants = given.json()["grants"]
    return str(next(g["refresh_token"] for g in grants if g["address"] == address))


def _access(tenant: PracticeTenant, refresh_token: str) -> str:
    firm = tenant.endpoints["practice"]["firms"][0]
    form = {
        "grant_type": "refresh_token",
        "client_id": firm["client_id"],
        "client_secret": firm["client_secret"],
        "refresh_token": refresh_token,
        "scope": "https://outlook.office.com/POP.AccessAsUser.All",
    }
    url = f"{tenant.endpoints['authority']}{firm['tenant_id']}/oauth2/v2.0/token"
    answer = requests.post(url, data=form, verify=str(tenant.ca_file), timeout=20)
    return str(answer.json()["access_token"])

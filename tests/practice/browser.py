"""A browser without JavaScript at the practice tenant's pages, and the apps it signs in to."""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import requests

from msoauth.practice import PracticeTenant
from msoauth.practice.conditional_access import ConditionalAccessPolicy
from msoauth.practice.consent_policies import LEGACY
from msoauth.practice.registrations import AppRegistration
from msoauth.practice.state import Tenant, User

MAIL = "https://outlook.office.com/POP.AccessAsUser.All offline_access openid profile"
VERIFIER = "v" * 43


@dataclass
class Form:
    """A form of a page: where it goes, what its fields hold, which buttons it has."""

    action: str
    method: str
    fields: dict[str, str]
    buttons: list[tuple[str, str, str]]  # name, value, label
    options: dict[str, list[str]]

    def labels(self) -> list[str]:
        return [label for _name, _value, label in self.buttons]


def _attributes(tag: str) -> dict[str, str]:
    return {n: unescape(v) for n, v in re.findall(r'([\w-]+)="([^"]*)"', tag)}


def forms(page: str) -> list[Form]:
    """The forms of a page, as a browser sees them."""
    found = []
    for tag, body in re.findall(r"<form([^>]*)>(.*?)</form>", page, re.DOTALL):
        about = _attributes(tag)
        fields, options = {}, {}
        for attributes in re.findall(r"<input([^>]*)>", body):
            known = _attributes(attributes)
            unchecked = known.get("type") == "checkbox" and not re.search(r"\schecked", attributes)
            if "name" in known and not unchecked:
                fields[known["name"]] = known.get("value", "")
        for attributes, inside in re.findall(r"<select([^>]*)>(.*?)</select>", body, re.DOTALL):
            name = _attributes(attributes)["name"]
            values = [
                (_attributes(o).get("value", unescape(text).strip()), " selected" in o)
                for o, text in re.findall(r"<option([^>]*)>(.*?)</option>", inside, re.DOTALL)
            ]
            options[name] = [value for value, _selected in values]
            if values:
                fields[name] = next((v for v, chosen in values if chosen), values[0][0])
        buttons = [
            (_attributes(a).get("name", ""), _attributes(a).get("value", ""), text(label))
            for a, label in re.findall(r"<button([^>]*)>(.*?)</button>", body, re.DOTALL)
        ]
        found.append(
            Form(about.get("action", ""), about.get("method", "get"), fields, buttons, options)
        )
    return found


def text(page: str) -> str:
    """What a page says, in one line."""
    page = re.sub(r"<(style|script)[^>]*>.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def _session() -> requests.Session:
    """A session with cookies that keeps no connection open, so that nobody needs to close it."""
    made = requests.Session()
    made.headers["Connection"] = "close"
    return made


@dataclass
class Browser:
    """One browser with its cookies; it follows redirects only as long as they stay at the tenant's pages."""

    tenant: PracticeTenant
    http: requests.Session = field(default_factory=_session)
    page: str = ""
    status: int = 0
    url: str = ""
    went_to: str = ""  # where a redirect led away to

    def open(self, url: str) -> "Browser":
        return self._took(self.http.get(url, allow_redirects=False, timeout=20))

    def _took(self, answer: requests.Response) -> "Browser":
        self.went_to = ""
        if answer.is_redirect:
            target = urljoin(answer.url, answer.headers["Location"])
            if not target.startswith(self.tenant.people_url + "/"):
                self.went_to, self.page = target, ""
                return self
            return self.open(target)
        self.page, self.status, self.url = answer.text, answer.status_code, answer.url
        return self

    @property
    def says(self) -> str:
        return text(self.page)

    def form(self, **wanted: str) -> Form:
        """The first form whose fields have these values."""
        return next(
            f for f in forms(self.page) if all(f.fields.get(n) == v for n, v in wanted.items())
        )

    def submit(self, form: Form | None = None, press: str = "", **values: str) -> "Browser":
        """Send a form (the page's first), pressing the button with that label."""
        form = form or forms(self.page)[0]
        data = form.fields | values
        if press:
            name, value, _label = next(b for b in form.buttons if press in b[2])
            if name:
                data[name] = value
        url = urljoin(self.url, form.action)
        sent = self.http.get if form.method == "get" else self.http.post
        extra: dict[str, Any] = {"params" if form.method == "get" else "data": data}
        return self._took(sent(url, allow_redirects=False, timeout=20, **extra))

    def give_name_and_password(self, user: User, password: str | None = None) -> "Browser":
        self.submit(loginfmt=user.upn)
        return self.submit(passwd=password or user.password)

    @property
    def answer(self) -> dict[str, str]:
        """What the app gets, by redirect or by form_post."""
        if self.went_to:
            parts = urlsplit(self.went_to)
            found = parse_qs(parts.query or parts.fragment)
            return {name: values[0] for name, values in found.items()}
        return forms(self.page)[0].fields


def let_users_consent(tenant: PracticeTenant) -> None:
    """Take every administrator's consent away, and let users consent for themselves, as in older tenants."""
    for firm in tenant.state.tenants.values():
        firm.policies.user_consent = LEGACY
        for principal in firm.principals:
            principal.admin_consent.clear()


@dataclass
class Place:
    """A running tenant as a client sees it."""

    tenant: PracticeTenant

    @property
    def firm(self) -> Tenant:
        return next(iter(self.tenant.state.tenants.values()))

    def user(self, name: str = "anna.lindqvist", firm: Tenant | None = None) -> User:
        return (firm or self.firm).users[f"{name}@{(firm or self.firm).domain}"]

    def browser(self) -> Browser:
        return Browser(self.tenant)

    def require(self, *controls: str, **properties: Any) -> ConditionalAccessPolicy:
        """A new Conditional Access policy with these grant controls, for everybody and everything else untold."""
        name = " ".join(controls) or "session"
        policy = ConditionalAccessPolicy(name, built_in_controls=controls, **properties)
        self.firm.policies.conditional_access.append(policy)
        return policy

    def managed(self, name: str) -> ConditionalAccessPolicy:
        """One of Microsoft's own policies."""
        policies = self.firm.policies.conditional_access
        return next(p for p in policies if p.display_name == f"Microsoft-managed: {name}")

    def authorize_url(
        self, app: AppRegistration | None = None, /, path: str = "", **changes: str
    ) -> str:
        app = app or self.firm.app
        digest = hashlib.sha256(VERIFIER.encode()).digest()
        asked = {
            "client_id": app.app_id,
            "response_type": "code",
            "redirect_uri": "http://localhost:8400",
            "scope": MAIL,
            "state": "xyz",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        asked = {name: value for name, value in (asked | changes).items() if value}
        tenant = path or self.firm.tenant_id
        return f"{self.tenant.people_url}/{tenant}/oauth2/v2.0/authorize?{urlencode(asked)}"

    def post(
        self, end: str, form: dict[str, str], path: str = "", headers: dict[str, str] | None = None
    ) -> requests.Response:
        """POST a form to the endpoint ``token`` or ``devicecode``; empty fields are left out."""
        url = f"{self.tenant.endpoints['authority']}{path or self.firm.tenant_id}/oauth2/v2.0/{end}"
        sent = {name: value for name, value in form.items() if value}
        return requests.post(
            url, data=sent, headers=headers, verify=str(self.tenant.ca_file), timeout=20
        )

    def code(
        self, user: User | None = None, app: AppRegistration | None = None, **changes: str
    ) -> str:
        """An authorization code, after the user consented."""
        browser = self.browser().open(self.authorize_url(app, **changes))
        browser.give_name_and_password(user or self.user())
        if not browser.went_to:
            browser.submit(press="Accept")
        return browser.answer["code"]

    def redeem(
        self, code: str, app: AppRegistration | None = None, /, path: str = "", **changes: str
    ) -> requests.Response:
        app = app or self.firm.app
        form = {
            "client_id": app.app_id,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": "http://localhost:8400",
            "code_verifier": VERIFIER,
            "client_secret": app.secrets[0].value if app.secrets else "",
        }
        return self.post("token", form | changes, path)

    def refresh(
        self, token: str, app: AppRegistration | None = None, **changes: str
    ) -> requests.Response:
        app = app or self.firm.app
        form = {
            "client_id": app.app_id,
            "grant_type": "refresh_token",
            "refresh_token": token,
            "scope": MAIL,
            "client_secret": app.secrets[0].value if app.secrets else "",
        }
        return self.post("token", form | changes)

    def tokens(
        self, user: User | None = None, app: AppRegistration | None = None, **changes: str
    ) -> dict[str, Any]:
        answer = self.redeem(self.code(user, app, **changes), app)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def refused(answer: requests.Response) -> tuple[int, str, int]:
    """HTTP status, OAuth error and AADSTS number of an error answer."""
    body = answer.json()
    return answer.status_code, body["error"], body["error_codes"][0]

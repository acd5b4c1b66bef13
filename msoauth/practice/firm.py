"""One firm of a practice tenant as the tests of another program see it: endpoints, users, their mail and tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

from msoauth.practice.exchange.framing import BARE_LF
from msoauth.practice.server import PracticeTenant
from msoauth.practice.state import Mailbox

_WAIT = 20.0  # seconds for an answer of the practice tenant
_PAGES = 10  # pages that a sign-in has at most


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the firm."""

    address: str
    password: str


@dataclass(frozen=True, slots=True)
class Microsoft365:
    """The first firm of a running practice tenant.

    Attributes:
        tenant: The practice tenant, for what is not here: its state, clock and scenarios.
    """

    tenant: PracticeTenant

    @property
    def endpoints(self) -> Mapping[str, Any]:
        """The endpoints file: ``endpoints["imap"]["port"]``, ``endpoints["graph"]`` and so on."""
        return self.tenant.endpoints

    @property
    def firm(self) -> Mapping[str, Any]:
        """The firm in the endpoints file: ``tenant_id``, ``client_id``, ``client_secret``, ``apps`` and so on."""
        firm: Mapping[str, Any] = self.endpoints["practice"]["firms"][0]
        return firm

    @property
    def ca_file(self) -> Path:
        """The certificate authority that the program under test must trust."""
        return self.tenant.ca_file

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that make Python, requests, curl and Node trust the authority."""
        names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
        return dict.fromkeys(names, str(self.ca_file))

    @property
    def authority(self) -> str:
        """``https://localhost:PORT/TENANT-ID``, to be followed by ``/oauth2/v2.0/token`` and the like."""
        return f"{self.endpoints['authority']}{self.firm['tenant_id']}"

    @property
    def accounts(self) -> list[Account]:
        """The firm's users; the last one is an administrator."""
        return [Account(a["address"], a["password"]) for a in self.firm["accounts"]]

    def tokens(self, account: Account) -> dict[str, Any]:
        """The token service's answer for a user who has signed in and consented to the mail permissions.

        Raises:
            requests.HTTPError: a scenario refuses the token.
        """
        url = self.tenant.admin_url.replace("/admin?", "/practice/grants?")
        with self._http() as http:
            granted = http.post(url, json={"tenant": self.firm["tenant_id"]}, timeout=_WAIT).json()
            grants = {grant["address"]: grant["refresh_token"] for grant in granted["grants"]}
            form = {
                "grant_type": "refresh_token",
                "client_id": self.firm["client_id"],
                "client_secret": self.firm["client_secret"],
                "refresh_token": grants[account.address],
            }
            answer = http.post(f"{self.authority}/oauth2/v2.0/token", data=form, timeout=_WAIT)
        answer.raise_for_status()
        tokens: dict[str, Any] = answer.json()
        return tokens

    def sign_in(self, url: str, account: Account, code: str = "") -> str:
        """Sign in at a page as a person does, and accept what is asked.

        Args:
            url: The authorization URL of the program under test, or the page of the device code flow.
            code: The device code.

        Returns:
            Where the browser is sent in the end, with ``code=`` or ``error=``; or the last page's text.
        """
        fields = {"loginfmt": account.address, "passwd": account.password, "otc": code}
        with self._http() as browser:
            answer = browser.get(url, allow_redirects=False, timeout=_WAIT)
            for _page in range(_PAGES):
                while answer.is_redirect:
                    url = urljoin(answer.url, answer.headers["Location"])
                    if not url.startswith((self.tenant.people_url, self.endpoints["authority"])):
                        return url
                    answer = browser.get(url, allow_redirects=False, timeout=_WAIT)
                form = _Form(answer.text)
                if not form.action:
                    break
                filled = {**form.fields, **{n: v for n, v in fields.items() if n in form.fields}}
                answer = browser.post(
                    urljoin(answer.url, form.action),
                    data=filled,
                    allow_redirects=False,
                    timeout=_WAIT,
                )
        return answer.text

    def deliver(self, account: Account, mail: bytes) -> None:
        """Put a mail into a user's inbox."""
        raw = BARE_LF.sub(b"\r\n", mail)
        self._mailbox(account).deliver(raw, self.tenant.state.clock.time())

    def inbox(self, account: Account) -> list[bytes]:
        """The mails in a user's inbox."""
        return [message.raw for message in self._mailbox(account).messages]

    def _http(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # its authority and its servers, whatever the environment says
        session.verify = str(self.ca_file)
        return session

    def _mailbox(self, account: Account) -> Mailbox:
        return self.tenant.state.tenants[self.firm["tenant_id"]].mailboxes[account.address.lower()]


class _Form(HTMLParser):
    """The first form of a page, with the values of its fields and of the button that accepts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.action:
            self.action, self._inside = found.get("action", ""), True
        elif self._inside and tag == "input" and found.get("type") != "checkbox":
            if "name" in found:
                self.fields[found["name"]] = found.get("value", "")
        elif self._inside and tag == "button" and "name" in found and found.get("class") == "main":
            self.fields[found["name"]] = found.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False

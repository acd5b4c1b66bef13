"""Questions on the wire: what the practice tenant answers to raw lines and plain requests, as the facts say Microsoft does.

The questions are data: wire_mail.toml holds dialogues with POP3, IMAP and SMTP, wire_http.toml requests to Entra and Graph.
"""

import base64
import json
import re
import socket
import ssl
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from msoauth.practice import PracticeTenant
from msoauth.practice.registrations import new_id
from msoauth.practice.scenario_settings import AREAS, Change, Reach, Undo
from msoauth.practice.state import EXCHANGE_APP_ID
from tests.practice.browser import Place
from tests.practice.graph.test_graph import READ
from tests.practice.graph.test_policies import READ as POLICIES

Question = dict[str, Any]
OUTLOOK = "https://outlook.office.com/"
ALL = " ".join(
    f"{OUTLOOK}{name}" for name in ("POP.AccessAsUser.All", "IMAP.AccessAsUser.All", "SMTP.Send")
)
# The patterns that a server's line may hold, by what stands for them.
PATTERNS = {
    "any": ".*",
    "n": r"\d+",
    "end": "",  # so that an editor doesn't cut the blank before it
    "short": r"\S{1,12}",  # a UIDL of Exchange's is short (facts E2)
    "host": r"PR0P264CA\d{4}\.outlook\.office365\.com",
    "utf16 host": r"[A-Za-z0-9+/]+={0,2}",
    "date": r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000",
    "stamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "session": "08DD[0-9A-F]{12}",
    "no or bad": "(?:NO|BAD)",
    "either empty": r"(?:Bearer a|A)ccess token is empty\.",
    "guid": "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "moment": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ",
}


def _questions(name: str) -> list[Any]:
    text = Path(__file__).with_name(f"wire_{name}.toml").read_text(encoding="utf-8")
    return [
        pytest.param(question, id=question["asks"]) for question in tomllib.loads(text)["question"]
    ]


def _pattern(template: str, values: Callable[[str], str]) -> str:
    """A regular expression of a line that is literal but for ``{…}``: a pattern, or else a value."""
    parts = re.split(r"\{([^{}]+)\}", template)
    return "".join(
        re.escape(part) if not index % 2 else PATTERNS.get(part) or re.escape(values(part))
        for index, part in enumerate(parts)
        if part != "end"
    )


def _lookup(answer: Any, path: str) -> Any:
    """The member of a JSON answer at a path such as ``error.innerError.date``; the whole key where there is one."""
    if isinstance(answer, dict) and path in answer:
        return answer[path]
    for part in path.split("."):
        answer = answer[int(part)] if isinstance(answer, list) else answer[part]
    return answer


@dataclass
class Wire:
    """A running practice tenant with two firms, and what questions may mention: ids, tokens, codes, SASL strings."""

    place: Place
    tls: ssl.SSLContext
    http: requests.Session
    _made: dict[str, str] = field(default_factory=dict)

    @property
    def tenant(self) -> PracticeTenant:
        return self.place.tenant

    def value(self, name: str) -> str:
        """What ``{name}`` stands for; tokens are made once, codes and strings for each question."""
        firm, other = list(self.tenant.state.tenants.values())[:2]
        web, desktop, service = firm.apps[:3]
        fixed: dict[str, Callable[[], str]] = {
            "tenant": lambda: firm.tenant_id,
            "other tenant": lambda: other.tenant_id,
            "client": lambda: web.app_id,
            "secret": lambda: web.secrets[0].value,
            "desktop": lambda: desktop.app_id,
            "service": lambda: service.app_id,
            "service secret": lambda: service.secrets[0].value,
            "authority port": lambda: self.tenant.endpoints["authority"].split(":")[-1].strip("/"),
            "EmailHidden": lambda: "{EmailHidden}",
            "tenantid": lambda: "{tenantid}",
            "plain": lambda: _base64("\0anna.lindqvist@contoso.example\0secret"),
            "malformed": lambda: _base64("user=anna.lindqvist@contoso.example auth=Bearer x"),
            "600 x": lambda: "x" * 600,
            "refresh cut": lambda: self.value("refresh")[:-20],
        }
        if name in fixed:
            return fixed[name]()
        if name.startswith("sasl "):
            return self._sasl(name.removeprefix("sasl "))
        if name.startswith("assertion "):
            return self._assertion(name.removeprefix("assertion "))
        if name.startswith("password "):
            who = {"anna": "anna.lindqvist", "max": "max.weiss", "zoe": "zoe.obrien"}
            return self.place.user(who[name.removeprefix("password ")]).password
        if "code" in name:
            return self._code(name)
        if name not in self._made:
            self._made[name] = self._token(name)
        return self._made[name]

    def _token(self, name: str) -> str:
        firm = self.place.firm
        if name == "refresh":
            return self._tokens(firm.app, "anna.lindqvist", f"{ALL} offline_access")[
                "refresh_token"
            ]
        if name == "desktop refresh":
            return self._tokens(firm.apps[1], "anna.lindqvist", f"{ALL} offline_access")[
                "refresh_token"
            ]
        kind = name.removeprefix("token ")
        if kind == "app without smtp":
            roles = {EXCHANGE_APP_ID: ["IMAP.AccessAsApp", "POP.AccessAsApp"]}
            with self.changed({"service.app_roles": roles}):
                return self._token("token app")
        if kind.startswith("app"):
            resource = "graph.microsoft.com" if kind == "app graph" else "outlook.office365.com"
            form = {
                "grant_type": "client_credentials",
                "client_id": firm.apps[2].app_id,
                "client_secret": firm.apps[2].secrets[0].value,
                "scope": f"https://{resource}/.default",
            }
            return str(self.place.post("token", form).json()["access_token"])
        if kind == "forged":
            token = self.value("token anna")
            return token[:-8] + ("A" * 8 if not token.endswith("A" * 8) else "B" * 8)
        if kind == "policies":  # of another app: a token holds all that was ever consented to
            scope = " ".join(f"https://graph.microsoft.com/{n}" for n in POLICIES)
            return self._tokens(firm.apps[1], "admin", scope)["access_token"]
        if kind in ("graph", "admin"):
            names = READ if kind == "admin" else ("User.Read",)
            scope = " ".join(f"https://graph.microsoft.com/{n}" for n in names)
            user = "admin" if kind == "admin" else "anna.lindqvist"
            return self._tokens(firm.app, user, scope)["access_token"]
        if kind.startswith("no "):
            lacked = {"no pop": "POP.AccessAsUser.All", "no smtp": "SMTP.Send"}[kind]
            with self.changed({"fault.token.lacks": lacked}):
                return self._tokens(firm.app, "anna.lindqvist", ALL)["access_token"]
        user = {"anna": "anna.lindqvist", "max": "max.weiss"}[kind]
        return self._tokens(firm.app, user, ALL)["access_token"]

    def _tokens(self, app: Any, user: str, scope: str) -> dict[str, str]:
        return self.place.tokens(self.place.user(user), app, scope=scope)

    def _sasl(self, words: str) -> str:
        """``anna``, ``anna for office``, ``graph``, ``app for anna``: whose token, and for which mailbox."""
        kind, _for, mailbox = words.partition(" for ")
        known = {"anna": "anna.lindqvist", "max": "max.weiss", "": "anna.lindqvist"}
        name = known.get(mailbox or (kind if kind == "max" else ""), mailbox)
        token = self.value(f"token {kind}")
        return _base64(f"user={name}@contoso.example\x01auth=Bearer {token}\x01\x01")

    def _assertion(self, kind: str) -> str:
        """A client assertion of the service app, signed by a key that nobody uploaded."""
        if "key" not in self._made:
            self._made["key"] = "made"
            self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        now, client = int(time.time()), self.value("service")
        owner = new_id() if kind == "of another" else client
        claims = {"iss": owner, "sub": owner, "jti": new_id(), "nbf": now - 10, "exp": now + 600}
        if kind == "old":
            claims |= {"nbf": now - 7200, "exp": now - 3600}
        headers = None if kind == "bare" else {"x5t": "hOBcHZi846VCHSJbFAs39Q8lCqM"}
        return jwt.encode(claims, self._key, algorithm="RS256", headers=headers)

    def _code(self, name: str) -> str:
        if "device" in name:
            app = self.place.firm.apps[0 if name.startswith("client") else 1]
            form = {"client_id": app.app_id, "scope": f"{ALL} offline_access"}
            return str(self.place.post("devicecode", form).json()["device_code"])
        scope = OUTLOOK + "POP.AccessAsUser.All" if name == "plain code" else ALL
        made = partial(self.place.code, redirect_uri="http://localhost", scope=scope)
        if name == "code with challenge":
            return made()
        code = made(code_challenge="", code_challenge_method="")
        if name == "used code":
            again = {"redirect_uri": "http://localhost", "code_verifier": ""}
            assert self.place.redeem(code, **again).status_code == 200
        return code

    def fill(self, text: str) -> str:
        return re.sub(r"\{([^{}]+)\}", lambda match: self.value(match[1]), text)

    @contextmanager
    def changed(self, settings: dict[str, Any]) -> Iterator[None]:
        """The tenant with these settings, as a scenario makes them."""
        state, endpoints = self.tenant.state, self.tenant.scenarios.endpoints
        undos: list[Undo] = []
        for path, setting in settings.items():
            area, _dot, name = path.partition(".")
            firms = list(state.tenants.values())
            for firm in firms if AREAS[area].reach < Reach.EVERYBODY else firms[:1]:
                change = Change(state, endpoints, firm, None, name, setting, everybody=True)
                undos += AREAS[area].apply(change)
        try:
            yield
        finally:
            for undo in reversed(undos):
                undo.undo()

    @contextmanager
    def arranged(self, question: Question) -> Iterator[None]:
        """The tenant in the question's scenario and with its settings."""
        with ExitStack() as stack:
            if "scenario" in question:
                stack.callback(self.tenant.scenarios.start(question["scenario"]))
            stack.enter_context(self.changed(question.get("set", {})))
            yield


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Talk:
    """A dialogue with one of the mail servers, line by line."""

    def __init__(self, wire: Wire, to: str, sock: socket.socket) -> None:
        self.wire = wire
        self.sock = (
            wire.tls.wrap_socket(sock, server_hostname="localhost") if to != "smtp" else sock
        )
        self._rest = b""

    def send(self, line: str) -> None:
        self.sock.sendall(line.encode() + b"\r\n")

    def line(self) -> str:
        while b"\r\n" not in self._rest:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(self._rest)
            self._rest += data
        line, self._rest = self._rest.split(b"\r\n", 1)
        return line.decode("utf-8", "surrogateescape")

    def until(self, end: str) -> str:
        """Skip lines until one matches."""
        while not re.fullmatch(end, line := self.line()):
            pass
        return line

    def starttls(self) -> None:
        self.line()
        self.send("EHLO client.example")
        self.until("250 .*")
        self.send("STARTTLS")
        assert self.line().startswith("220 ")
        self.sock = self.wire.tls.wrap_socket(self.sock, server_hostname="localhost")

    def sign_in(self, to: str, folder: object) -> None:
        """Sign in as Anna; *folder* is one to select over IMAP, or True."""
        sasl = self.wire.value("sasl anna")
        if to == "pop3":
            self.line()
            self.send("AUTH XOAUTH2")
            self.line()
            self.send(sasl)
            assert self.line().startswith("+OK")
        elif to == "imap":
            self.line()
            self.send(f"L1 AUTHENTICATE XOAUTH2 {sasl}")
            assert self.line().startswith("L1 OK")
            if isinstance(folder, str):
                self.send(f"L2 SELECT {folder}")
                self.until("L2 OK .*")
        else:
            self.hello()
            self.send(f"AUTH XOAUTH2 {sasl}")
            assert self.line().startswith("235")

    def hello(self) -> None:
        self.send("EHLO client.example")
        self.until("250 .*")

    def send_mail(self) -> None:
        """Hand over a mail up to its last dot; the reply is unread."""
        for line in ("MAIL FROM:<anna.lindqvist@contoso.example>",
                     "RCPT TO:<max.weiss@contoso.example>", "DATA"):  # fmt: skip
            self.send(line)
            self.line()
        self.send("From: anna.lindqvist@contoso.example\r\n\r\nHello\r\n.")

    def hold(self, says: str) -> None:
        """Hold the dialogue, and check what the server says."""
        lines = [line for line in says.splitlines() if line.strip()]
        for number, line in enumerate(lines):
            kind, _blank, text = line.partition(" ")
            if kind == "C":
                self.send(self.wire.fill(text.replace("{{", "\0")).replace("\0", "{"))
            elif kind == "X":
                assert self._rest == b""
                assert self._closed()
            elif kind == "S":
                if number and lines[number - 1] == "{lines}":
                    self.until(_pattern(text, self.wire.value))
                else:
                    answer = self.line()
                    assert re.fullmatch(_pattern(text, self.wire.value), answer), (text, answer)

    def _closed(self) -> bool:
        try:
            return self.sock.recv(1) == b""
        except (ssl.SSLError, ConnectionError):
            return True


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with PracticeTenant(firms=2) as tenant, requests.Session() as http:
        http.trust_env = False  # a CA file in the environment would win over ours
        http.verify = str(tenant.ca_file)
        yield Wire(Place(tenant), ssl.create_default_context(cafile=http.verify), http)


@pytest.mark.parametrize("question", _questions("mail"))
def test_a_question_to_a_mail_server(wire: Wire, question: Question) -> None:
    to, _dash, plain = question["to"].partition("-")
    for name in re.findall(r"\{(sasl [^{}]+)\}", question["says"]):
        wire.value(name)  # made before the scenario begins
    wire.value("token anna")
    address = ("127.0.0.1", int(wire.tenant.endpoints[to]["port"]))
    with wire.arranged(question), socket.create_connection(address, timeout=20) as sock:
        talk = Talk(wire, to, sock)
        if to == "smtp" and not plain:
            talk.starttls()
        if question.get("hello"):
            talk.hello()
        if question.get("login") or question.get("mail"):
            talk.sign_in(to, question.get("login"))
        if question.get("mail"):
            talk.send_mail()
        if question.get("deliver"):
            mailbox = wire.place.firm.mailbox(wire.place.user("anna.lindqvist").upn)
            assert mailbox is not None
            mailbox.deliver(b"From: ben@fabrikam.example\r\nSubject: New\r\n\r\nNew\r\n")
        try:
            talk.hold(question["says"])
        finally:
            talk.sock.close()


@pytest.mark.parametrize("question", _questions("http"))
def test_a_question_to_entra_or_graph(wire: Wire, question: Question) -> None:
    base = wire.tenant.endpoints["authority"].rstrip("/")
    for name in question.get("prepare", ()):  # such as a sign-in with its consent
        wire.fill(name)
    url = wire.fill(question.get("post") or question["get"])
    form = {name: wire.fill(text) for name, text in question.get("form", {}).items()}
    headers = {name: wire.fill(text) for name, text in question.get("headers", {}).items()}
    basic = tuple(wire.fill(text) for text in question.get("basic", ()))
    with wire.arranged(question):
        answer = wire.http.request(
            "POST" if "post" in question else "GET",
            base + url,
            data=question.get("body", form),
            headers=headers,
            auth=basic or None,  # type: ignore[arg-type]
            timeout=20,
        )
        _check(wire, question, answer)


def _check(wire: Wire, question: Question, answer: requests.Response) -> None:
    assert answer.status_code == question["status"], answer.text
    for name, begins in question.get("headers_has", {}).items():
        assert answer.headers[name].startswith(begins)
    if not answer.headers["Content-Type"].startswith("application/json"):
        return
    body = answer.json()
    if "error" in question:
        assert body["error"] == question["error"]
    if "code" in question:
        assert body["error_codes"] == [question["code"]]
        begin = f"AADSTS{question['code']}: {wire.fill(question.get('text', ''))}"
        assert body["error_description"].startswith(begin)
    if "description" in question:
        assert re.fullmatch(
            _pattern(question["description"], wire.value), body["error_description"]
        )
    for path, wanted in question.get("json", {}).items():
        found = _lookup(body, path)
        if isinstance(wanted, str):
            assert re.fullmatch(_pattern(wanted, wire.value), found), (path, found)
        else:
            assert found == wanted, path
    for path in question.get("has", ()):
        assert _lookup(body, path) not in (None, ""), path
    for path in question.get("lacks", ()):
        assert path not in body
    if "claims" in question or "lacks_claims" in question:
        part = body["access_token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        for name, wanted in question.get("claims", {}).items():
            assert claims[name] == wire.fill(wanted), name
        assert not set(question.get("lacks_claims", ())) & set(claims)


def test_there_are_enough_questions_and_each_names_its_facts() -> None:
    questions = [p.values[0] for name in ("mail", "http") for p in _questions(name)]
    assert len(questions) >= 240
    paragraphs = re.compile(r"(?:[A-N]\d{1,2}(?:\.\d)?(?:, )?)+|unverified")
    assert all(paragraphs.fullmatch(q["facts"]) for q in questions)
    assert len({q["asks"] for q in questions}) == len(questions)

"""An authority of a few lines, over TLS, whose every answer a test can choose; no part of the practice tenant."""

import base64
import itertools
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
import trustme

from msoauth.clouds import Cloud, Endpoint
from msoauth.identity import http
from msoauth.identity.flows import SignIn
from msoauth.model import Firm

TENANT = "1a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
CLIENT = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
SECRET = "abc8Q~a-client-secret-value-of-a-test"


@dataclass
class Answer:
    """What comes back: a dict becomes JSON; a text is sent as it is."""

    body: dict[str, Any] | str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Form = dict[str, str]


class Authority:
    """Answers discovery, device code and token requests.

    Attributes:
        token: Gives the token endpoint's answer to a form; replace it to go wrong.
        device: The same for the device endpoint.
        graph: The same for anything below ``/graph/``, with the path as ``path``.
        asked: Every form that the token endpoint got.
        identity: Claims of the ID token that are other than they should be.
        endpoints: Entries of the discovery document that are other than they should be.
        clock: Seconds by which its clock is ahead of this computer's.
    """

    def __init__(self, folder: Path) -> None:
        ca = trustme.CA()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("localhost", "127.0.0.1").configure_cert(tls)
        self.ca_file = folder / "authority-ca.pem"
        ca.cert_pem.write_to_path(str(self.ca_file))
        self.asked: list[Form] = []
        self.clock = 0.0
        self.token: Callable[[Form], Answer] = self.grant
        self.device: Callable[[Form], Answer] = self.code
        self.graph: Callable[[Form], Answer] = lambda _form: Answer({"error": {}}, 403)
        self.user = "anna@contoso.example"
        self.identity: dict[str, Any] = {}
        self.endpoints: dict[str, str] = {}
        self.nonces: dict[str, str] = {}
        self.count = itertools.count(1)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.base = f"https://localhost:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
        http.forget_connections()  # the server's threads go on with those that are open

    def firm(self, name: str = "Contoso", **more: Any) -> Firm:
        closed = Endpoint("localhost", 1, "implicit")
        cloud = Cloud(
            "test",
            self.base,
            f"{self.base}graph/",
            "https://outlook.office.com",
            closed,
            closed,
            closed,
            str(self.ca_file),
        )
        return Firm(name, TENANT, CLIENT, cloud=cloud, **more)

    def grant(self, form: Form) -> Answer:
        """Tokens, numbered in the order in which they were handed out."""
        number = next(self.count)
        now = int(time.time() + self.clock)
        about = {
            "aud": CLIENT,
            "iat": now,
            "exp": now + 3600,
            "preferred_username": self.user,
            "oid": f"object id of {self.user}",
            "tid": TENANT,
            "sub": "s",
        }
        if form.get("code", "") in self.nonces:
            about["nonce"] = self.nonces[form["code"]]
        about |= self.identity
        who = {"uid": self.user.encode().hex()[:32], "utid": TENANT}
        return Answer(
            {
                "token_type": "Bearer",
                "scope": form.get("scope", ""),
                "expires_in": 4500,
                "access_token": f"access-token-{number:08}",
                "refresh_token": f"refresh-token-{number:08}",
                "id_token": f"{_part({'alg': 'none'})}.{_part(about)}.x",
                "client_info": _part(who),
            }
        )

    def code(self, _form: Form) -> Answer:
        return Answer(
            {
                "user_code": "FJC3MZ5XW",
                "device_code": "a-device-code-of-a-test",
                "verification_uri": "https://device.example/",
                "expires_in": 900,
                "interval": 1,
                "message": "Open https://device.example/ and enter FJC3MZ5XW.",
            }
        )

    def come_back(
        self, attempt: SignIn[Any], *, post: bool = True, **fields: str
    ) -> requests.Response:
        """Send the browser's answer to the listener, with a fresh code unless *fields* say otherwise."""
        home, answer = self.answer_to(attempt, **fields)
        if post:
            return requests.post(home, data=answer, timeout=10)
        return requests.get(home, params=answer, timeout=10)

    def answer_to(self, attempt: SignIn[Any], **fields: str) -> tuple[str, dict[str, str]]:
        """Where the browser ends, and with which fields."""
        asked = {k: v[0] for k, v in parse_qs(urlsplit(attempt.url).query).items()}
        answer = {"state": asked["state"], **fields}
        if "error" not in fields:
            answer.setdefault("code", f"a-code-of-a-test-{next(self.count):08}")
            self.nonces[answer["code"]] = asked["nonce"]
        return asked["redirect_uri"], {k: v for k, v in answer.items() if v}


def refused(error: str, description: str, status: int = 400, **more: Any) -> Answer:
    """A refusal in the form that Entra gives it."""
    ids = {
        "trace_id": "0000aaaa-11bb-4ccc-8d22-eeeeee333333",
        "correlation_id": "aaaa0000-bb11-4222-83cc-444444dddddd",
        "timestamp": "2026-11-25 09:00:00Z",
    }
    return Answer({"error": error, "error_description": description, **ids, **more}, status)


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _handler(authority: Authority) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_GET(self) -> None:
            if self.path.startswith("/graph/"):
                parts = urlsplit(self.path)
                self.send(authority.graph({"path": parts.path, "query": parts.query}))
                return
            # As Entra does it: the document for any directory names none.
            any_directory = self.path.startswith("/common/")
            issuer = f"{authority.base}{'{tenantid}' if any_directory else TENANT}/v2.0"
            here = f"{authority.base}{'common' if any_directory else TENANT}"
            self.send(
                Answer(
                    {
                        "issuer": issuer,
                        "authorization_endpoint": f"{here}/oauth2/v2.0/authorize",
                        "token_endpoint": f"{here}/oauth2/v2.0/token",
                        "device_authorization_endpoint": f"{here}/oauth2/v2.0/devicecode",
                        **authority.endpoints,
                    }
                )
            )

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            if self.path.endswith("/devicecode"):
                self.send(authority.device(form))
                return
            authority.asked.append(form)
            self.send(authority.token(form))

        def send(self, answer: Answer) -> None:
            text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
            self.send_response_only(answer.status)
            date = formatdate(time.time() + authority.clock, usegmt=True)
            for name, value in {"Date": date, **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_about: object) -> None:
            """Tests are silent."""

    return Handler


@contextmanager
def running(folder: Path) -> Iterator[Authority]:
    """An authority for as long as the block lasts."""
    authority = Authority(folder)
    try:
        yield authority
    finally:
        authority.close()

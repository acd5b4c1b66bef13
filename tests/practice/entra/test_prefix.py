"""People's pages behind a proxy that serves them under a prefix, as jupyter-server-proxy does."""

import http.server
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
import requests

from msoauth.practice import PracticeTenant
from tests.practice.browser import Browser, Place, forms, let_users_consent

PREFIX = "/user/someone/proxy/practice"
HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class _Proxy(http.server.BaseHTTPRequestHandler):
    """Hands on what lies under the prefix; the Host header stays the browser's."""

    port = 0

    def do_GET(self) -> None:
        path = self.path.removeprefix(PREFIX)
        assert path != self.path, f"left the prefix: {self.path}"
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        inner = HTTPConnection("127.0.0.1", self.port, timeout=20)
        inner.request(self.command, path, body, dict(self.headers))
        answer = inner.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        inner.close()

    do_POST = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, *_about: object) -> None:
        """Nothing: tests are quiet."""


@pytest.fixture
def proxied() -> Iterator[Place]:
    handler = type("Handler", (_Proxy,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    base = f"http://localhost:{server.server_address[1]}{PREFIX}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    with PracticeTenant(people_base=base) as tenant:
        handler.port = tenant.address.port  # type: ignore[attr-defined]
        thread.start()
        let_users_consent(tenant)
        yield Place(tenant)
        server.shutdown()
    server.server_close()
    thread.join(10)


def test_discovery_and_the_device_code_name_the_public_address(proxied: Place) -> None:
    base = proxied.tenant.people_url
    url = f"{proxied.tenant.endpoints['authority']}{proxied.firm.tenant_id}/v2.0/.well-known/openid-configuration"
    found = requests.get(url, verify=str(proxied.tenant.ca_file), timeout=20).json()
    assert found["authorization_endpoint"].startswith(f"{base}/{proxied.firm.tenant_id}/oauth2/")
    assert found["token_endpoint"].startswith("https://localhost:")
    answer = proxied.post(
        "devicecode", {"client_id": proxied.firm.app.app_id, "scope": "openid"}
    ).json()
    assert answer["verification_uri"] == f"{base}/devicelogin"
    assert proxied.tenant.endpoints["practice"]["admin"].startswith(f"{base}/admin?token=")


def test_a_sign_in_stays_under_the_prefix_with_its_session(proxied: Place) -> None:
    browser = proxied.browser().open(proxied.authorize_url())
    browser.give_name_and_password(proxied.user())
    assert "Permissions requested" in browser.says
    browser.submit(press="Accept")
    assert browser.went_to.startswith("http://localhost:8400/?code=")
    assert [cookie.path for cookie in browser.http.cookies] == [PREFIX]
    browser.open(proxied.authorize_url())
    assert browser.answer["code"]


def test_every_admin_form_and_link_stays_under_the_prefix(proxied: Place) -> None:
    browser = proxied.browser().open(proxied.tenant.admin_url)
    assert browser.status == 200
    assert all(not f.action.startswith("/") for f in forms(browser.page))
    form = browser.form(change="set", on="app.is_fallback_public_client")
    browser.submit(form)
    assert browser.status == 200
    assert proxied.firm.app.is_fallback_public_client is False
    assert [cookie.path for cookie in browser.http.cookies] == [PREFIX]


@pytest.mark.parametrize("base", ["/hub/proxy/{port}", "https://hub.example/proxy/{port}/"])
def test_the_port_may_stand_in_the_base(base: str) -> None:
    with PracticeTenant(people_base=base) as tenant:
        wanted = base.replace("{port}", str(tenant.address.port)).rstrip("/")
        assert tenant.people_url == wanted
        direct = f"http://localhost:{tenant.address.port}/devicelogin"
        host = urlsplit(wanted).netloc or "anything.example"
        assert requests.get(direct, headers={"Host": host}, timeout=20).status_code == 200


def test_a_host_that_is_not_ours_is_refused(browser: Browser) -> None:
    url = browser.tenant.admin_url
    for host in ("evil.example", "evil.example:80", "localhost.evil.example"):
        answer = requests.get(url, headers={"Host": host}, timeout=20)
        assert answer.status_code == 403
        assert "Contoso" not in answer.text


def test_a_request_without_any_page_is_answered_by_the_authority_itself(proxied: Place) -> None:
    """A program that is no browser cannot follow a redirect to a proxy that wants a person's cookie."""
    app = proxied.firm.app
    answer = requests.get(
        f"{proxied.tenant.endpoints['authority']}{proxied.firm.tenant_id}/oauth2/v2.0/authorize",
        params={
            "client_id": app.app_id,
            "response_type": "code",
            "redirect_uri": "http://localhost",
            "scope": "openid",
            "prompt": "none",
            "state": "s",
        },
        verify=str(proxied.tenant.ca_file),
        allow_redirects=False,
        timeout=20,
    )
    assert answer.is_redirect
    assert answer.headers["Location"].startswith("http://localhost")
    assert "error=login_required" in answer.headers["Location"]

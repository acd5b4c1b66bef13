"""The listener for the browser's answer: takes the one answer, and is harmless to everything else."""

import socket
import threading
from http.server import BaseHTTPRequestHandler

import pytest
import requests

from msoauth.errors import AuthError
from msoauth.identity.loopback import Listener
from tests.identity.authority import Authority
from tests.identity.conftest import Office
from tests.ports import reserved_port

STATE = "the-state-of-this-sign-in"
RIGHT = {"code": "a-code-that-nobody-may-see-0123456789", "state": STATE}


@pytest.fixture
def listener() -> Listener:
    return Listener("localhost", None, "/cb")


def listening(listener: Listener) -> str:
    listener.listen(STATE)
    return f"http://localhost:{listener.port}/cb"


def ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_both_loopback_addresses_answer_on_one_port(listener: Listener, address: str) -> None:
    if address == "[::1]" and not ipv6():
        pytest.skip("this computer has no IPv6")
    listening(listener)
    try:
        page = requests.get(f"http://{address}:{listener.port}/cb", params=RIGHT, timeout=10)
        assert page.status_code == 200
        assert listener.answer == RIGHT
    finally:
        listener.close()


def test_query_and_form_are_taken_alike_and_no_page_shows_the_code(listener: Listener) -> None:
    url = listening(listener)
    try:
        page = requests.post(url, data=RIGHT, timeout=10)
        assert "Verification code received" in page.text
        assert RIGHT["code"] not in page.text
        assert page.headers["Cache-Control"] == "no-store"
        again = requests.post(url, data={**RIGHT, "code": "another"}, timeout=10)
        assert (again.status_code, "Already answered" in again.text) == (409, True)
        assert listener.answer == RIGHT
    finally:
        listener.close()


@pytest.mark.parametrize(
    ("method", "path", "fields", "headers", "status"),
    [
        ("POST", "/cb", {**RIGHT, "state": "forged"}, {}, 400),
        ("POST", "/cb", {"code": RIGHT["code"]}, {}, 400),
        ("POST", "/cb", {"state": STATE}, {}, 404),
        ("POST", "/", RIGHT, {}, 404),
        ("POST", "/CB", RIGHT, {}, 404),
        ("POST", "/cb", RIGHT, {"Host": "evil.example"}, 403),
        ("POST", "/cb", RIGHT, {"Host": "localhost.evil.example"}, 403),
        ("POST", "/cb", RIGHT, {"Host": "[::1"}, 403),
        ("GET", "/favicon.ico", {}, {}, 404),
        ("PUT", "/cb", RIGHT, {}, 501),
        ("HEAD", "/cb", RIGHT, {}, 501),
        ("POST", "/cb", {"code": "x" * 70_000, "state": STATE}, {}, 413),
    ],
)
def test_anything_else_is_answered_without_harm(
    listener: Listener,
    method: str,
    path: str,
    fields: dict[str, str],
    headers: dict[str, str],
    status: int,
) -> None:
    listening(listener)
    try:
        reply = requests.request(
            method,
            f"http://127.0.0.1:{listener.port}{path}",
            data=fields,
            headers=headers,
            timeout=10,
        )
        assert reply.status_code == status
        assert listener.answer is None
        url = f"http://127.0.0.1:{listener.port}/cb"
        assert requests.post(url, data=RIGHT, timeout=10).status_code == 200
    finally:
        listener.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /cb HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /cb HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\ncode=x",
    ],
)
def test_what_is_no_request_ends_nothing(listener: Listener, raw: bytes) -> None:
    url = listening(listener)
    try:
        with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as broken:
            broken.sendall(raw)
            broken.shutdown(socket.SHUT_WR)
            broken.recv(4096)
        assert requests.post(url, data=RIGHT, timeout=10).status_code == 200
    finally:
        listener.close()


def test_of_many_answers_at_once_exactly_one_counts(listener: Listener) -> None:
    url = listening(listener)
    statuses: list[int] = []

    def answer(number: int) -> None:
        reply = requests.post(url, data={**RIGHT, "code": f"code-{number}"}, timeout=20)
        statuses.append(reply.status_code)

    threads = [threading.Thread(target=answer, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    listener.close()
    assert sorted(statuses) == [200] + [409] * 11


def test_who_waits_goes_on_only_when_the_browser_has_its_page(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He may be a command that ends at once, and the page with it."""
    went_on: list[bool] = []
    real = BaseHTTPRequestHandler.end_headers

    def end_headers(handler: BaseHTTPRequestHandler) -> None:
        went_on.append(listener.answered.wait(0.1))
        real(handler)

    monkeypatch.setattr(BaseHTTPRequestHandler, "end_headers", end_headers)
    url = listening(listener)
    try:
        assert requests.post(url, data=RIGHT, timeout=10).status_code == 200
        assert listener.answered.wait(20)
    finally:
        listener.close()
    assert went_on == [False]


def test_a_browser_that_went_away_holds_nobody_up(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_reply: object) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(BaseHTTPRequestHandler, "end_headers", gone)
    url = listening(listener)
    try:
        with pytest.raises(requests.ConnectionError):
            requests.post(url, data=RIGHT, timeout=10)
        assert listener.answered.wait(20)
        assert listener.answer == RIGHT
    finally:
        listener.close()


def test_a_refusal_is_told_in_the_servers_words_and_escaped(listener: Listener) -> None:
    url = listening(listener)
    fields = {
        "error": "access_denied",
        "error_description": "AADSTS65004: <script>alert(1)</script>",
        "state": STATE,
    }
    page = requests.get(url, params=fields, timeout=10).text
    listener.close()
    assert "did not succeed" in page
    assert "AADSTS65004" in page
    assert "<script>" not in page


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_registered_port_that_is_taken_is_named_in_one_sentence(
    office: Office, family: socket.AddressFamily
) -> None:
    if family == socket.AF_INET6 and not ipv6():
        pytest.skip("this computer has no IPv6")
    with socket.socket(family) as other:
        other.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        other.listen()
        port = other.getsockname()[1]
        office.workspace.firms.replace(
            office.authority.firm(redirect_uri=f"http://localhost:{port}/cb")
        )
        with pytest.raises(AuthError, match=f"Port {port}.*taken"):
            office.start()


def test_the_registered_port_and_path_are_used(office: Office, authority: Authority) -> None:
    with reserved_port() as port:
        uri = f"http://localhost:{port}/some/Path"
        office.workspace.firms.replace(authority.firm(redirect_uri=uri))
        attempt = office.start()
        assert authority.answer_to(attempt)[0] == uri
        assert office.finish(attempt, authority.come_back).signed_in_as == authority.user

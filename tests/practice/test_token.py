"""Whoever else works on this computer does not get into the admin center: its address carries a token, as Jupyter's."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from msoauth.enrol import enrol
from msoauth.practice import PracticeTenant
from msoauth.practice.announce import instructions
from msoauth.shells import command
from msoauth.store import Workspace

# What only the user who started it may open, and what anybody may, as at Microsoft.
CLOSED = ("/admin", "/admin/", "/admin?tenant=x", "/practice/grants", "/practice/anything")
OPEN = ("/devicelogin", "/error?code=50011", "/common/oauth2/v2.0/logout")


@pytest.fixture(scope="module")
def tenant() -> Iterator[PracticeTenant]:
    with PracticeTenant() as running:
        yield running


def token_of(tenant: PracticeTenant) -> str:
    return str(parse_qs(urlsplit(tenant.endpoints["practice"]["admin"]).query)["token"][0])


def assert_refused(answer: requests.Response, tenant: PracticeTenant) -> None:
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert token_of(tenant) not in answer.text
    for firm in tenant.endpoints["practice"]["firms"]:
        assert firm["name"] not in answer.text
        assert not [a for a in firm["accounts"] if a["password"] in answer.text]
    assert "msoauth practice serve" in answer.text  # where the address with the token is


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("given", ["", "token=", "token=wrong", "token=é", "token=%FF%00"])
def test_without_the_token_there_is_nothing_to_see(
    tenant: PracticeTenant, path: str, given: str
) -> None:
    url = f"{tenant.people_url}{path}{'&' if '?' in path else '?'}{given}"
    assert_refused(requests.get(url, timeout=20), tenant)
    assert_refused(requests.post(url, json={"tenant": "contoso.example"}, timeout=20), tenant)
    cookies = {"PRACTICE_ADMIN": "wrong", f"PRACTICE_ADMIN_{tenant.address.port}": "wrong"}
    assert_refused(requests.get(url, cookies=cookies, timeout=20), tenant)


def test_the_first_visit_leaves_a_cookie_that_opens_the_next(tenant: PracticeTenant) -> None:
    with requests.Session() as browser:
        browser.headers["Connection"] = "close"
        first = browser.get(tenant.endpoints["practice"]["admin"], timeout=20)
        assert "Contoso Legal" in first.text
        assert {"HttpOnly", "SameSite=Strict"} <= set(first.headers["Set-Cookie"].split("; "))
        assert "Contoso Legal" in browser.get(f"{tenant.people_url}/admin", timeout=20).text
        with PracticeTenant() as other:  # cookies do not know ports
            assert_refused(
                browser.get(f"{other.people_url}/admin?token={token_of(tenant)}", timeout=20), other
            )
            assert browser.get(other.admin_url, timeout=20).status_code == 200
        assert "Contoso Legal" in browser.get(f"{tenant.people_url}/admin", timeout=20).text


@pytest.mark.parametrize("path", OPEN)
def test_the_sign_in_pages_need_none(tenant: PracticeTenant, path: str) -> None:
    answer = requests.get(f"{tenant.people_url}{path}", timeout=20)
    assert answer.status_code < 403


def test_each_run_has_a_token_of_its_own_that_is_hard_to_guess(tenant: PracticeTenant) -> None:
    with PracticeTenant() as other:
        assert token_of(other) != token_of(tenant)
    assert len(token_of(tenant)) >= 32


def test_the_address_that_is_printed_opens_it(tenant: PracticeTenant) -> None:
    [printed] = [
        line for line in instructions(tenant, command).splitlines() if "Admin center" in line
    ]
    assert requests.get(printed.split()[-1], timeout=20).status_code == 200


def test_users_are_enrolled_with_the_token_of_the_endpoints_file(
    tenant: PracticeTenant, tmp_path: Path
) -> None:
    with Workspace.open(tmp_path / "workspace") as workspace:
        assert "anna.lindqvist@contoso.example" in list(enrol(workspace, tenant.endpoints_file))

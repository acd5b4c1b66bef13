"""Signing in by each way on the practice tenant, what is refused, and what must never be left behind."""

import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
import requests

from msoauth import clouds
from msoauth.errors import AuthError, InputError
from msoauth.identity import signin
from msoauth.identity.access_tokens import access_token
from msoauth.identity.entra_links import admin_consent_link
from msoauth.identity.flows import SignIn
from msoauth.model import Account, Firm
from msoauth.practice import PracticeTenant
from msoauth.practice.state import GRAPH_APP_ID
from msoauth.store import Workspace
from tests.identity.conftest import Office
from tests.people import sign_in_as_a_person


@dataclass
class Place:
    """A firm on a practice tenant with two of its users."""

    tenant: PracticeTenant
    workspace: Workspace
    anna: Account
    passwords: dict[str, str]
    secret: str

    def person(self, attempt: SignIn[signin.SignedIn], user: str | None = None) -> str:
        name = user or self.anna.address
        return sign_in_as_a_person(attempt.url, name, self.passwords[name])


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with PracticeTenant() as tenant, Workspace.open(tmp_path / "workspace") as workspace:
        known = tenant.endpoints["practice"]["firms"][0]
        cloud = clouds.load(str(tenant.endpoints_file))
        workspace.firms.add(
            Firm("Contoso", known["tenant_id"], known["client_id"], cloud=cloud),
            known["client_secret"],
        )
        anna = Account(known["accounts"][1]["address"], "Contoso")
        workspace.accounts.add(anna)
        passwords = {a["address"]: a["password"] for a in known["accounts"]}
        yield Place(tenant, workspace, anna, passwords, known["client_secret"])


def finish(
    place: Place, attempt: SignIn[signin.SignedIn], user: str | None = None
) -> tuple[str, Any]:
    """The last page, and what ``wait`` gave or raised."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(attempt.wait, 20)
        page = place.person(attempt, user)
        try:
            return page, waiting.result()
        except AuthError as refused:
            return page, refused


def test_the_browser_way_ends_with_a_page_in_words_and_stored_tokens(place: Place) -> None:
    page, result = finish(place, signin.start(place.workspace, place.anna, open_browser=False))
    assert "Verification code received" in page
    assert "code=" not in page
    assert result.signed_in_as == place.anna.address
    token = access_token(place.workspace, place.anna)
    assert token.value not in repr(token)
    assert access_token(place.workspace, place.anna, force=True).value != token.value


def test_somebody_else_signing_in_stores_nothing(place: Place) -> None:
    other = next(a for a in place.passwords if a.startswith("juergen"))
    _page, result = finish(
        place, signin.start(place.workspace, place.anna, open_browser=False), other
    )
    assert isinstance(result, AuthError)
    assert result.cause == "account-wrong"
    assert other in result.summary
    assert place.workspace.tokens.status(place.anna.address) is None


def test_a_foreign_state_a_favicon_and_another_host_are_answered_without_harm(place: Place) -> None:
    attempt = signin.start(place.workspace, place.anna, open_browser=False)
    asked = parse_qs(urlsplit(attempt.url).query)
    home = asked["redirect_uri"][0]
    wrong = {"code": "x" * 40, "state": "forged"}
    assert requests.post(home, data=wrong, timeout=10).status_code >= 400
    assert requests.get(urljoin(home, "/favicon.ico"), timeout=10).status_code == 404
    right = {"code": "x" * 40, "state": asked["state"][0]}
    assert (
        requests.post(home, data=right, headers={"Host": "evil.example"}, timeout=10).status_code
        >= 400
    )
    page, result = finish(place, attempt)  # the true answer still counts
    assert "Verification code received" in page
    assert result.signed_in_as == place.anna.address


def test_a_user_whose_alias_the_mailbox_is_is_known_by_graph(place: Place) -> None:
    firm = next(iter(place.tenant.state.tenants.values()))
    user = firm.user(place.anna.address)
    assert user is not None
    user.aliases = (*user.aliases, "legal@contoso.example")
    alias = Account("legal@contoso.example", "Contoso")
    place.workspace.accounts.add(alias)
    attempt = signin.start(place.workspace, alias, "browser", open_browser=False)
    _page, refused = finish(place, attempt, place.anna.address)
    assert isinstance(refused, AuthError)  # nobody consented to User.Read: Graph shows nothing
    assert refused.cause == "account-wrong"
    firm.principal.admin_consent.setdefault(GRAPH_APP_ID, set()).add("User.Read")
    attempt = signin.start(place.workspace, alias, "browser", open_browser=False)
    _page, result = finish(place, attempt, place.anna.address)
    assert result.signed_in_as == place.anna.address
    assert place.workspace.accounts.get(alias.address).login == place.anna.address


def test_an_administrators_consent_by_the_link_lets_everybody_sign_in(place: Place) -> None:
    firm = next(iter(place.tenant.state.tenants.values()))
    firm.principal.admin_consent.clear()
    firm.principal.user_consent.clear()
    attempt = signin.start(place.workspace, place.anna, "browser", open_browser=False)
    anna = place.anna.address
    with pytest.raises(AuthError) as told:
        Office.finish(
            attempt,
            lambda a: sign_in_as_a_person(a.url, anna, place.passwords[anna], answer="return"),
        )
    assert told.value.cause == "admin-consent-required"
    admin = next(user for user in firm.users.values() if user.admin)
    link = admin_consent_link(place.workspace.firms.get("Contoso"), [place.anna])
    with pytest.raises(requests.ConnectionError) as nobody:  # the page that does not load
        sign_in_as_a_person(link, admin.upn, admin.password)
    assert nobody.value.request is not None
    assert "admin_consent=True" in str(nobody.value.request.url)
    _page, result = finish(place, signin.start(place.workspace, place.anna, open_browser=False))
    assert result.signed_in_as == place.anna.address


def test_an_answer_is_accepted_once(place: Place) -> None:
    attempt = signin.start(place.workspace, place.anna, open_browser=False)
    asked = parse_qs(urlsplit(attempt.url).query)
    finish(place, attempt)
    with pytest.raises(requests.ConnectionError):  # the listener is gone
        requests.post(
            asked["redirect_uri"][0], data={"code": "x", "state": asked["state"][0]}, timeout=5
        )


def test_cancel_wakes_who_waits(place: Place) -> None:
    attempt = signin.start(place.workspace, place.anna, open_browser=False)
    attempt.cancel()
    attempt.cancel()
    with pytest.raises(AuthError, match=r"(?i)cancel"):
        attempt.wait(20)


def test_a_declined_consent_is_told_apart(place: Place) -> None:
    attempt = signin.start(place.workspace, place.anna, open_browser=False)
    home = parse_qs(urlsplit(attempt.url).query)
    answer = {
        "error": "access_denied",
        "error_subcode": "cancel",
        "error_description": "AADSTS65004: User declined to consent to access the app.",
        "state": home["state"][0],
    }
    page = requests.post(home["redirect_uri"][0], data=answer, timeout=10).text
    assert "Verification code received" not in page
    with pytest.raises(AuthError) as refused:
        attempt.wait(20)
    assert refused.value.cause == "consent-declined"


def test_the_paste_way_takes_the_address_out_of_a_mail(place: Place) -> None:
    attempt = signin.start(place.workspace, place.anna, "paste")
    with pytest.raises(InputError):
        attempt.paste("Guten Tag, es ging nicht.")
    target = _address_at_the_end(place, attempt.url)
    attempt.paste(f"> Hallo,\n> hier: <{target}>\n> Gruß\n")
    assert attempt.wait(20).signed_in_as == place.anna.address


def _address_at_the_end(place: Place, url: str) -> str:
    """Where the browser ends when nobody listens there."""
    with pytest.raises(requests.ConnectionError) as nobody:
        sign_in_as_a_person(url, place.anna.address, place.passwords[place.anna.address])
    assert nobody.value.request is not None
    return str(nobody.value.request.url)


def test_a_password_reset_by_the_administrator_ends_the_grant_and_says_so(place: Place) -> None:
    finish(place, signin.start(place.workspace, place.anna, open_browser=False))
    firm = next(iter(place.tenant.state.tenants.values()))
    user = firm.user(place.anna.address)
    assert user is not None
    user.tokens_valid_from = place.tenant.state.clock.time() + 1
    with pytest.raises(AuthError) as refused:
        access_token(place.workspace, place.anna, force=True)
    assert refused.value.cause == "refresh-revoked"
    assert refused.value.ids["correlation_id"]


def test_ninety_idle_days_end_the_grant(place: Place) -> None:
    finish(place, signin.start(place.workspace, place.anna, open_browser=False))
    place.tenant.state.clock.advance(timedelta(days=91))
    with pytest.raises(AuthError) as refused:
        access_token(place.workspace, place.anna, force=True)
    assert refused.value.cause == "refresh-expired"


def test_secrets_are_nowhere_but_sealed(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    attempt = signin.start(place.workspace, place.anna, open_browser=False)
    _page, result = finish(place, attempt)
    token = access_token(place.workspace, place.anna).value
    left = "".join(
        file.read_bytes().decode("latin-1")
        for file in (tmp_path / "workspace").rglob("*")
        if file.is_file()
    )
    said = caplog.text + repr(result) + repr(attempt) + repr(place.workspace)
    for text in (left, said):
        assert token not in text
        assert place.secret not in text
        assert place.passwords[place.anna.address] not in text
    assert not re.search(r"refresh_token|eyJ[\w-]{20,}\.", left)

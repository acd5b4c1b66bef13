"""MSAL Python, unmodified, told only the authority and the CA: every grant, and what it makes of refusals (facts H)."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msal
import pytest
import requests

from msoauth.practice.registrations import AppRegistration
from msoauth.practice.state import User
from tests.practice.browser import Place, forms

POP = ["https://outlook.office.com/POP.AccessAsUser.All"]
SMTP = ["https://outlook.office.com/SMTP.Send"]
Make = Callable[..., Any]


@pytest.fixture
def make(place: Place) -> Iterator[Make]:
    """An MSAL application for an app registration: public without a secret, else confidential."""
    with ExitStack() as stack:

        def build(app: AppRegistration, secret: str | None = None, tenant: str = "") -> Any:
            http = stack.enter_context(requests.Session())
            http.verify, http.trust_env = str(place.tenant.ca_file), False
            options = {
                "authority": f"{place.tenant.endpoints['authority']}{tenant or place.firm.tenant_id}",
                "instance_discovery": False,
                "http_client": http,
            }
            if secret is None:
                return msal.PublicClientApplication(app.app_id, **options)
            return msal.ConfidentialClientApplication(app.app_id, secret, **options)

        yield build


@pytest.fixture
def web(place: Place, make: Make) -> Any:
    return make(place.firm.app, place.firm.app.secrets[0].value)


@pytest.fixture
def desktop(place: Place, make: Make) -> Any:
    return make(place.firm.apps[1])


def by_code(
    place: Place, app: Any, scopes: list[str], user: User | None = None, **asked: Any
) -> Any:
    """The authorization-code flow with PKCE, a person at the pages."""
    flow = app.initiate_auth_code_flow(
        scopes, redirect_uri="http://localhost:8400", response_mode="form_post", **asked
    )
    assert flow["auth_uri"].startswith(place.tenant.people_url)
    browser = place.browser().open(flow["auth_uri"]).give_name_and_password(user or place.user())
    if "Permissions requested" in browser.says:
        browser.submit(press="Accept")
    return app.acquire_token_by_auth_code_flow(flow, browser.answer)


@pytest.mark.parametrize("kind", ["web", "desktop"])
def test_authorization_code_and_silent(
    place: Place, kind: str, request: pytest.FixtureRequest
) -> None:
    app = request.getfixturevalue(kind)
    result = by_code(place, app, POP, login_hint=place.user().upn)
    assert result["token_source"] == "identity_provider"
    assert result["id_token_claims"]["preferred_username"] == place.user().upn
    assert result["id_token_claims"]["nonce"]
    (account,) = app.get_accounts(username=place.user().upn)
    assert account["home_account_id"] == f"{place.user().id}.{place.firm.tenant_id}"
    cached = app.acquire_token_silent(POP, account)
    assert cached["access_token"] == result["access_token"]
    fresh = app.acquire_token_silent(POP, account, force_refresh=True)
    assert fresh["access_token"] != result["access_token"]
    assert fresh["token_source"] == "identity_provider"


def test_another_scope_is_got_by_the_refresh_token(place: Place, web: Any, make: Make) -> None:
    by_code(place, web, [*POP, *SMTP])
    (account,) = web.get_accounts()
    graph = web.acquire_token_silent_with_error(["https://graph.microsoft.com/User.Read"], account)
    assert graph["error_codes"] == [65001]
    assert graph["classification"] == "consent_required"
    place.firm.principal.admin_consent["00000003-0000-0000-c000-000000000000"] = {"User.Read"}
    fresh = make(place.firm.app, place.firm.app.secrets[0].value)
    fresh.token_cache = web.token_cache  # MSAL repeats a 400 for a minute within one application
    again = fresh.acquire_token_silent(["https://graph.microsoft.com/User.Read"], account)
    assert again["token_source"] == "identity_provider"


def test_a_refresh_token_of_another_program_is_taken_over(place: Place, web: Any) -> None:
    token = place.tokens()["refresh_token"]
    result = web.acquire_token_by_refresh_token(token, POP)
    assert result["access_token"]
    assert result["refresh_token"] != token


def test_what_silent_makes_of_refusals(place: Place, make: Make) -> None:
    app = make(place.firm.app, place.firm.app.secrets[0].value)
    by_code(place, app, POP)
    (account,) = app.get_accounts()

    def silent(seconds: int = 0) -> Any:
        place.tenant.state.clock.advance(timedelta(seconds=seconds))
        fresh = make(place.firm.app, place.firm.app.secrets[0].value)
        fresh.token_cache = (
            app.token_cache
        )  # MSAL repeats a 400 for a minute within one application
        return fresh.acquire_token_silent_with_error(POP, account, force_refresh=True)

    place.user().mfa_required = True
    result = silent()
    assert (result["error_codes"], result["classification"]) == ([50076], "basic_action")
    assert "capolids" in result["claims"]
    place.user().mfa_required = False
    blocked = place.require("block")
    assert silent()["classification"] == "message_only"
    place.firm.policies.conditional_access.remove(blocked)
    place.user().tokens_valid_from = place.tenant.state.clock.time() + 1
    result = silent(2)
    assert (result["error_codes"], result["classification"]) == ([50173], "")
    assert "TokensValidFrom" in result["error_description"]


def test_client_credentials(place: Place, make: Make) -> None:
    app = place.firm.apps[2]
    scope = ["https://outlook.office365.com/.default"]
    result = make(app, app.secrets[0].value).acquire_token_for_client(scope)
    assert result["token_type"] == "Bearer"
    wrong = make(app, app.secrets[0].key_id).acquire_token_for_client(scope)
    assert wrong["error"] == "invalid_client"
    assert "not the client secret ID" in wrong["error_description"]
    app.secrets[0].end = place.tenant.state.clock.now() - timedelta(seconds=1)
    late = make(app, app.secrets[0].value).acquire_token_for_client(scope)
    assert late["error_codes"] == [7000222]


# -- device code ------------------------------------------------------------------------------------


def _approve(place: Place, flow: dict[str, Any], press: str) -> None:
    browser = place.browser().open(flow["verification_uri"]).submit(otc=flow["user_code"])
    browser.give_name_and_password(place.user()).submit(press=press)
    if press == "Continue":
        browser.submit(press="Accept")


def test_device_code(place: Place, desktop: Any) -> None:
    place.tenant.state.device_interval = 1
    flow = desktop.initiate_device_flow(POP)
    assert "user_code" in flow
    once = desktop.acquire_token_by_device_flow(flow, exit_condition=lambda _flow: True)
    assert once["error"] == "authorization_pending"
    _approve(place, flow, "Continue")
    result = desktop.acquire_token_by_device_flow(flow)
    assert result["id_token_claims"]["preferred_username"] == place.user().upn
    (account,) = desktop.get_accounts()
    assert desktop.acquire_token_silent(POP, account, force_refresh=True)["access_token"]


def test_device_code_polled_too_fast_declined_and_expired(place: Place, desktop: Any) -> None:
    place.tenant.state.device_interval = (
        600  # seconds: more than a busy computer takes between two polls
    )
    flow = desktop.initiate_device_flow(POP)

    def poll() -> Any:
        return desktop.acquire_token_by_device_flow(flow, exit_condition=lambda _flow: True)

    assert poll()["error"] == "authorization_pending"
    with pytest.warns(UserWarning, match="too soon"):  # MSAL's own warning; it asks all the same
        assert poll()["error"] == "slow_down"
    _approve(place, flow, "Cancel")
    with pytest.warns(UserWarning, match="too soon"):
        assert poll()["error"] == "authorization_declined"
    flow = desktop.initiate_device_flow(POP)
    place.tenant.state.clock.advance(timedelta(minutes=16))
    assert poll()["error"] == "expired_token"


def test_a_failed_start_of_the_device_flow_says_why(place: Place, make: Make) -> None:
    app = make(place.firm.apps[1])
    flow = app.initiate_device_flow(["https://outlook.office.com/Mail.Pop"])
    assert "user_code" not in flow
    assert flow["error_codes"] == [650053]


# -- errors -----------------------------------------------------------------------------------------


def test_a_wrong_tenant_and_a_wrong_app(place: Place, make: Make) -> None:
    with pytest.raises(ValueError, match="Unable to get authority configuration"):
        make(place.firm.app, "x", tenant="33333333-2222-4333-8444-555555555555")
    stranger = AppRegistration("22222222-2222-4333-8444-555555555555", "Stranger")
    result = make(stranger, "x").acquire_token_for_client(POP)
    assert (result["error"], result["error_codes"]) == ("unauthorized_client", [700016])


def test_cancel_and_a_code_that_is_too_old(place: Place, web: Any) -> None:
    flow = web.initiate_auth_code_flow(
        POP, redirect_uri="http://localhost:8400", response_mode="form_post"
    )
    browser = place.browser().open(flow["auth_uri"]).give_name_and_password(place.user())
    browser.submit(press="Cancel")
    result = web.acquire_token_by_auth_code_flow(flow, browser.answer)
    assert result["error"] == "access_denied"
    assert result["error_description"].startswith("AADSTS65004")
    flow = web.initiate_auth_code_flow(
        POP, redirect_uri="http://localhost:8400", response_mode="form_post"
    )
    browser.open(flow["auth_uri"]).submit(press="Accept")
    place.tenant.state.clock.advance(timedelta(minutes=11))
    result = web.acquire_token_by_auth_code_flow(flow, browser.answer)
    assert result["error_codes"] == [70008]


def test_several_tenants_by_organizations(place: Place, make: Make) -> None:
    place.firm.app.sign_in_audience = "AzureADMultipleOrgs"
    app = make(place.firm.app, place.firm.app.secrets[0].value, tenant="organizations")
    _home, other = place.tenant.state.tenants.values()
    for firm in (place.firm, other):
        result = by_code(place, app, POP, place.user(firm=firm), prompt="login")
        assert result["id_token_claims"]["tid"] == firm.tenant_id
    for account in app.get_accounts():
        assert app.acquire_token_silent(POP, account)["access_token"]


def test_interactive_with_its_own_listener(
    place: Place, desktop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sign_in(url: str) -> None:
        browser = place.browser().open(url).give_name_and_password(place.user())
        browser.submit(press="Accept")
        (form,) = forms(browser.page)
        assert urlsplit(form.action).hostname == "localhost"
        browser.submit(form)

    people: list[threading.Thread] = []

    def opened(url: str) -> bool:
        people.append(threading.Thread(target=sign_in, args=(url,), daemon=True))
        people[-1].start()
        return True

    monkeypatch.setattr("webbrowser.open", opened)
    result = desktop.acquire_token_interactive(POP, timeout=20, prompt="select_account")
    people[0].join(20)
    assert result["id_token_claims"]["preferred_username"] == place.user().upn


def test_the_discovery_document_is_what_msal_goes_by(place: Place) -> None:
    url = f"{place.tenant.endpoints['authority']}contoso.example/v2.0/.well-known/openid-configuration"
    found = requests.get(url, verify=str(place.tenant.ca_file), timeout=20).json()
    # At Entra issuer and authority agree (OIDC Discovery, 4.3).
    assert found["issuer"] == f"{place.tenant.endpoints['authority']}{place.firm.tenant_id}/v2.0"
    assert parse_qs(urlsplit(found["token_endpoint"]).query) == {}
    for path, issuer in (
        ("common", "{tenantid}"),
        ("organizations", "{tenantid}"),
        ("consumers", "9188040d-6c67-4c5b-b112-36a304b66dad"),
    ):
        found = requests.get(
            url.replace("contoso.example", path), verify=str(place.tenant.ca_file), timeout=20
        ).json()
        assert found["issuer"].split("/")[3] == issuer
        assert f"/{path}/oauth2/v2.0/authorize" in found["authorization_endpoint"]

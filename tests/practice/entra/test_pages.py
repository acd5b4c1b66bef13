"""People's pages over plain HTTP: who signs in, password, second factor, consent, and what goes wrong."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import requests

from msoauth.practice.consent_policies import LEGACY
from msoauth.practice.state import EXCHANGE_APP_ID, GRAPH_APP_ID
from tests.practice.browser import MAIL, Browser, Place, forms

OWN_ID = "11111111-2222-4333-8444-555555555555"


def test_from_the_name_to_the_redirect(place: Place, browser: Browser) -> None:
    browser.open(place.authorize_url())
    assert "Contoso mail retrieval" in browser.says
    browser.submit(loginfmt=place.user().upn)
    assert "Enter password" in browser.says
    browser.submit(passwd=place.user().password)
    assert "Permissions requested" in browser.says
    for words in ("via POP", "Maintain access to data", "Sign you in", "View your basic profile"):
        assert words in browser.says
    assert "on behalf of your organization" not in browser.says
    browser.submit(press="Accept")
    assert browser.went_to.startswith("http://localhost:8400/?code=")
    assert browser.answer["state"] == "xyz"
    assert len(browser.answer["code"]) > 1000
    assert browser.answer["session_state"]


def test_every_page_says_that_this_is_the_practice_tenant(place: Place, browser: Browser) -> None:
    seen = [browser.open(place.authorize_url()).says]
    seen.append(browser.submit(loginfmt=place.user().upn).says)
    seen.append(browser.submit(passwd=place.user().password).says)
    ends = ("devicelogin", "nowhere/at/all", "common/oauth2/v2.0/logout")
    seen += [browser.open(f"{place.tenant.people_url}/{end}").says for end in ends]
    seen.append(browser.open(place.tenant.admin_url).says)
    seen.append(browser.open(place.authorize_url(client_id="x")).says)
    assert all("this is not Microsoft" in page for page in seen)


def test_consent_is_asked_once_and_again_for_more(place: Place, browser: Browser) -> None:
    browser.open(place.authorize_url()).give_name_and_password(place.user())
    browser.submit(press="Accept")
    assert browser.open(place.authorize_url()).answer["code"]
    more = "https://outlook.office.com/SMTP.Send"
    assert "SMTP AUTH" in browser.open(place.authorize_url(scope=f"{MAIL} {more}")).says
    assert "Permissions requested" in browser.open(place.authorize_url(prompt="consent")).says


def test_several_resources_may_be_consented_to_at_once(place: Place, browser: Browser) -> None:
    scope = f"{MAIL} https://graph.microsoft.com/User.Read"
    browser.open(place.authorize_url(scope=scope)).give_name_and_password(place.user())
    browser.submit(press="Accept")
    consent = place.firm.principal.user_consent[place.user().id]
    assert consent == {EXCHANGE_APP_ID: {"POP.AccessAsUser.All"}, GRAPH_APP_ID: {"User.Read"}}
    mixed = browser.open(place.authorize_url(scope=f"{MAIL} https://graph.microsoft.com/.default"))
    assert mixed.answer["error"] == "invalid_scope"
    assert "AADSTS70011" in mixed.answer["error_description"]


def test_cancel_tells_the_app(place: Place, browser: Browser) -> None:
    browser.open(place.authorize_url()).give_name_and_password(place.user())
    browser.submit(press="Cancel")
    assert browser.answer["error"] == "access_denied"
    assert browser.answer["error_subcode"] == "cancel"
    assert browser.answer["error_description"].startswith(
        "AADSTS65004: User declined to consent to access the app. Trace ID: "
    )
    assert browser.answer["state"] == "xyz"


def test_the_answer_comes_as_response_mode_says(place: Place, browser: Browser) -> None:
    browser.open(place.authorize_url(response_mode="form_post"))
    browser.give_name_and_password(place.user()).submit(press="Accept")
    (form,) = forms(browser.page)
    assert form.action == "http://localhost:8400"
    assert set(form.fields) == {"code", "state", "session_state"}
    assert form.labels() == ["Continue"]  # it works without JavaScript
    assert "#code=" in browser.open(place.authorize_url(response_mode="fragment")).went_to
    odd = browser.open(place.authorize_url(response_mode="pigeon"))
    assert "AADSTS70007" in odd.answer["error_description"]


def test_an_administrator_may_consent_for_all(place: Place, browser: Browser) -> None:
    browser.open(place.authorize_url()).give_name_and_password(place.user("admin"))
    assert "Consent on behalf of your organization" in browser.says
    browser.submit(press="Accept", for_all="yes")
    assert place.firm.principal.admin_consent[EXCHANGE_APP_ID] == {"POP.AccessAsUser.All"}
    other = place.browser().open(place.authorize_url()).give_name_and_password(place.user())
    assert other.answer["code"]


def test_only_an_administrator_may_where_user_consent_is_off(
    place: Place, browser: Browser
) -> None:
    place.firm.policies.user_consent = ""
    browser.open(place.authorize_url()).give_name_and_password(place.user())
    assert "Need admin approval" in browser.says
    assert "AADSTS90094" in browser.says
    browser.submit(press="Return to the application")
    assert browser.answer["error"] == "access_denied"
    high = place.authorize_url(scope="https://graph.microsoft.com/Directory.Read.All")
    place.firm.policies.user_consent = LEGACY
    assert "Need admin approval" in browser.open(high).says


def test_the_request_workflow_asks_the_administrator(place: Place, browser: Browser) -> None:
    policies = place.firm.policies
    policies.user_consent, policies.consent_requests = "", True
    browser.open(place.authorize_url()).give_name_and_password(place.user())
    assert "AADSTS90095" in browser.says
    browser.submit(press="Request approval", reason="To fetch mail")
    assert "Request sent" in browser.says
    (request,) = place.firm.consent_requests
    assert (request.user_id, request.reason) == (place.user().id, "To fetch mail")
    assert browser.submit(press="Back to app").answer["error"] == "access_denied"


def test_sessions_are_offered_and_another_account_can_be_used(
    place: Place, browser: Browser
) -> None:
    browser.open(place.authorize_url()).give_name_and_password(place.user()).submit(press="Accept")
    browser.open(place.authorize_url(prompt="select_account"))
    assert "Pick an account" in browser.says
    assert f"{place.user().upn} · Signed in" in browser.says
    browser.submit(press="Use another account")
    assert "Email or user name" in browser.says
    browser.give_name_and_password(place.user("max.weiss")).submit(press="Accept")
    browser.open(place.authorize_url())
    assert "Pick an account" in browser.says
    browser.submit(press="max.weiss")
    assert browser.answer["code"]
    hinted = browser.open(place.authorize_url(login_hint=place.user().upn))
    assert hinted.answer["code"]


def test_prompt_login_asks_again_with_the_hint_filled_in(place: Place, browser: Browser) -> None:
    browser.open(place.authorize_url()).give_name_and_password(place.user()).submit(press="Accept")
    browser.open(place.authorize_url(prompt="login", login_hint=place.user().upn))
    assert forms(browser.page)[0].fields["loginfmt"] == place.user().upn


def test_prompt_none_shows_no_page(place: Place, browser: Browser) -> None:
    def silent() -> dict[str, str]:
        return browser.open(place.authorize_url(prompt="none")).answer

    assert (silent()["error"], silent()["error_description"][:11]) == (
        "login_required",
        "AADSTS50058",
    )
    browser.open(place.authorize_url()).give_name_and_password(place.user())
    assert silent()["error"] == "consent_required"
    browser.open(place.authorize_url()).submit(press="Accept")
    assert silent()["code"]
    browser.open(place.authorize_url(prompt="login")).give_name_and_password(
        place.user("max.weiss")
    )
    assert silent()["error_description"].startswith("AADSTS16000")


def test_signing_out_ends_the_session_and_goes_back(place: Place, browser: Browser) -> None:
    browser.open(place.authorize_url()).give_name_and_password(place.user()).submit(press="Accept")
    logout = f"{place.tenant.people_url}/{place.firm.tenant_id}/oauth2/v2.0/logout"
    assert browser.open(f"{logout}?logout_hint=nobody@contoso.example").says.find("signed out") > 0
    assert browser.open(place.authorize_url()).answer["code"]
    browser.open(f"{logout}?post_logout_redirect_uri=http://localhost:9/")
    assert browser.went_to == ""
    browser.open(place.authorize_url()).give_name_and_password(place.user())
    assert (
        browser.open(f"{logout}?post_logout_redirect_uri=http://localhost:9").went_to
        == "http://localhost:9"
    )


def test_the_second_factor_and_its_enrolment(place: Place, browser: Browser) -> None:
    zoe = place.user("zoe.obrien")
    browser.open(place.authorize_url()).give_name_and_password(zoe)
    code = browser.says.split("the app would show ")[1][:6]
    browser.submit(otc="000000" if code != "000000" else "111111")
    assert "expected verification code" in browser.says
    browser.submit(otc=f"{code[:3]} {code[3:]}")
    assert "Permissions requested" in browser.says
    anna = place.user()
    anna.mfa_required, anna.mfa_registered = True, False
    other = place.browser().open(place.authorize_url()).give_name_and_password(anna)
    assert "More information required" in other.says
    other.submit(otc=code)
    assert anna.mfa_registered
    assert "Permissions requested" in other.says


def test_the_second_factor_cannot_be_left_out(place: Place, browser: Browser) -> None:
    browser.open(place.authorize_url()).submit(loginfmt=place.user("zoe.obrien").upn)
    form = browser.form(step="password")
    form.fields["step"] = "consent"
    browser.submit(form, answer="accept")
    assert "Email or user name" in browser.says
    form.fields["step"] = "code"
    browser.submit(form, otc="123456")
    assert not browser.went_to


def test_an_expired_password_must_be_changed(place: Place, browser: Browser) -> None:
    anna = place.user()
    old, anna.password_expired = anna.password, True
    browser.open(place.authorize_url()).give_name_and_password(anna)
    assert "Update your password" in browser.says
    assert "AADSTS50055" in browser.says
    for new, again, problem in (
        ("short", "short", "8"),
        (old, old, "before"),
        ("new-word-1", "x", "match"),
    ):
        browser.submit(oldpasswd=old, newpasswd=new, confirmnewpasswd=again)
        assert problem in browser.says
    browser.submit(oldpasswd=old, newpasswd="new-word-1", confirmnewpasswd="new-word-1")
    assert "Permissions requested" in browser.says
    assert (anna.password, anna.password_expired) == ("new-word-1", False)


def test_wrong_names_and_passwords_say_so_and_lock(place: Place, browser: Browser) -> None:
    browser.open(place.authorize_url()).submit(loginfmt="nobody@contoso.example")
    assert "This username may be incorrect" in browser.says
    browser.submit(loginfmt=place.user().upn.upper())
    for _try in range(10):
        browser.submit(passwd="wrong")
        assert "incorrect" in browser.says
    browser.submit(passwd=place.user().password)
    assert "AADSTS50053" in browser.says
    place.tenant.state.clock.advance(timedelta(minutes=2))
    browser.open(place.authorize_url()).give_name_and_password(place.user())
    assert "Permissions requested" in browser.says


@pytest.mark.parametrize(
    ("breakage", "number", "page"),
    [
        (lambda p: setattr(p.user(), "account_enabled", False), 50057, False),
        (lambda p: p.require("block"), 53003, False),
        (lambda p: p.require("compliantDevice"), 53000, False),
        (lambda p: p.require("compliantDevice", "domainJoinedDevice"), 530003, False),
        (lambda p: p.require("approvedApplication"), 53002, False),
        (lambda p: p.require("domainJoinedDevice"), 53001, False),
        (lambda p: setattr(p.firm.principal, "app_role_assignment_required", True), 50105, False),
        (lambda p: setattr(p.user(), "guest_of", "live.com"), 50020, True),
    ],
)  # fmt: skip
def test_who_may_not_sign_in_is_told_why(
    place: Place, browser: Browser, breakage: Callable[[Place], None], number: int, page: bool
) -> None:
    breakage(place)
    browser.open(place.authorize_url()).give_name_and_password(place.user())
    said = browser.says if page else browser.answer["error_description"]
    assert f"AADSTS{number}" in said
    assert bool(browser.went_to) is not page


@pytest.mark.parametrize(
    ("changes", "path", "number"),
    [
        ({"client_id": "22222222-2222-4333-8444-555555555555"}, "", 700016),
        ({"client_id": "not-a-guid"}, "", 700038),
        ({"client_id": "00000000-0000-0000-0000-000000000000"}, "", 700038),
        ({"client_id": ""}, "", 900144),
        ({"redirect_uri": "http://localhost:8400/other"}, "", 50011),
        ({}, "33333333-2222-4333-8444-555555555555", 90002),
        ({}, "nobody.example", 90002),
        ({}, "anna@contoso.example", 900023),
        ({}, "common", 50194),
        ({}, "organizations", 50194),
        ({}, "consumers", 9002332),
        ({}, "fabrikam.example", 700016),
    ],
)
def test_these_are_shown_and_never_sent_to_the_app(
    place: Place, browser: Browser, changes: dict[str, str], path: str, number: int
) -> None:
    browser.open(place.authorize_url(path=path, **changes, **{"client-request-id": OWN_ID}))
    assert not browser.went_to
    assert "having trouble signing you in" in browser.says
    assert f"AADSTS{number}: " in browser.says
    assert OWN_ID in browser.says
    assert f'"strServiceExceptionMessage": "AADSTS{number}' in browser.page
    newest = place.tenant.state.log[-1]
    assert newest.correlation_id == OWN_ID
    assert newest.trace_id in browser.page


def test_default_scopes_want_every_registered_permission_to_exist(
    place: Place, browser: Browser
) -> None:
    app, scope = place.firm.app, "https://graph.microsoft.com/.default"
    app.required.append((EXCHANGE_APP_ID, "195adc35-0000-4000-8000-000000000000", "Scope"))
    browser.open(place.authorize_url(scope=scope, prompt="consent"))
    assert browser.answer["error_description"].startswith(
        f"AADSTS65006: Resource '{EXCHANGE_APP_ID}'(Office 365 Exchange Online) had no entitlements matching required "
        f"permissions configured on the required resource access for client '{app.app_id}'"
    )
    browser.open(place.authorize_url(prompt="consent"))  # single scopes are not checked so
    assert not browser.went_to


@pytest.mark.parametrize(
    ("changes", "error", "number"),
    [
        ({"response_type": "token"}, "unsupported_response_type", 70005),
        ({"response_type": "code id_token"}, "unsupported_response_type", 700054),
        ({"scope": "https://outlook.office.com/Mail.Pop"}, "invalid_scope", 650053),
        ({"scope": "https://outlok.office.com/SMTP.Send"}, "invalid_resource", 500011),
        ({"scope": "POP.AccessAsUser"}, "invalid_scope", 650053),
        ({"prompt": "maybe"}, "invalid_request", 90023),
        ({"code_challenge": "short"}, "invalid_request", 501491),
        ({"code_challenge_method": "S512"}, "invalid_request", 90100),
    ],
)
def test_these_are_sent_to_the_app(
    place: Place, browser: Browser, changes: dict[str, str], error: str, number: int
) -> None:
    answer = browser.open(place.authorize_url(**changes)).answer
    assert answer["error"] == error
    assert answer["error_description"].startswith(f"AADSTS{number}: ")
    assert answer["state"] == "xyz"


def test_a_single_app_serves_several_tenants_once_it_may(place: Place, browser: Browser) -> None:
    app, (home, other) = place.firm.app, place.tenant.state.tenants.values()
    app.sign_in_audience = "AzureADMultipleOrgs"
    browser.open(place.authorize_url(path="organizations"))
    browser.give_name_and_password(place.user(firm=other))
    assert "Permissions requested" in browser.says
    assert other.name in browser.says
    assert other.principal_of(app.app_id) is None
    browser.submit(press="Accept")
    principal = other.principal_of(app.app_id)
    assert principal is not None
    assert principal.user_consent
    assert not home.principal.user_consent
    answer = place.redeem(browser.answer["code"], path="organizations").json()
    assert place.tenant.state.tenant(other.tenant_id) is other
    assert answer["access_token"]
    wrong = place.redeem(browser.answer["code"], path=home.tenant_id).json()
    assert wrong["error_codes"] == [700005]


def test_an_account_of_another_tenant_is_a_stranger(place: Place, browser: Browser) -> None:
    _home, other = place.tenant.state.tenants.values()
    stranger = place.user(firm=other)
    browser.open(place.authorize_url()).submit(loginfmt=stranger.upn)
    assert "AADSTS50020" in browser.says
    assert stranger.upn in browser.says
    browser.open(place.authorize_url(other.app, path=other.tenant_id))
    browser.give_name_and_password(stranger)
    browser.open(place.authorize_url())
    browser.submit(press=stranger.upn)
    assert "AADSTS50020" in browser.says
    browser.open(place.authorize_url(prompt="login")).submit(loginfmt="anna@outlook.com")
    assert "'live.com'" in browser.says


@pytest.mark.parametrize("version", ["v2.0/", ""])
def test_the_admin_consent_page(place: Place, browser: Browser, version: str) -> None:
    app = place.firm.app
    scope = "&scope=https://ps.outlook.com/.default" if version else ""
    url = (
        f"{place.tenant.people_url}/{place.firm.tenant_id}/{version}adminconsent"
        f"?client_id={app.app_id}&redirect_uri=http://localhost:8400&state=xyz{scope}"
    )
    user = place.browser().open(url).give_name_and_password(place.user())
    assert "Need admin approval" in user.says
    browser.open(url).give_name_and_password(place.user("admin"))
    assert "Review for your organization" in browser.says
    declined = place.browser().open(url).give_name_and_password(place.user("admin"))
    declined.submit(press="Cancel")
    assert declined.answer["error"] == ("access_denied" if version else "permission_denied")
    assert (
        "The resource owner or authorization server denied" in declined.answer["error_description"]
    )
    browser.submit(press="Accept")
    assert browser.answer["admin_consent"] == "True"
    assert browser.answer["tenant"] == place.firm.tenant_id
    assert ("scope" in browser.answer) is bool(version)
    wanted = {"POP.AccessAsUser.All", "IMAP.AccessAsUser.All", "SMTP.Send"}
    assert place.firm.principal.admin_consent[EXCHANGE_APP_ID] == wanted


def test_a_page_of_a_sign_in_that_ended_is_too_old(place: Place, browser: Browser) -> None:
    browser.open(place.authorize_url()).give_name_and_password(place.user())
    again = browser.form(step="consent")
    browser.submit(press="Accept")
    browser.submit(again, answer="accept")
    assert "too old" in browser.says
    assert "AADSTS50089" in browser.says


def test_what_people_type_is_never_read_as_html(place: Place, browser: Browser) -> None:
    browser.open(place.authorize_url()).submit(loginfmt="<img src=x onerror=1>@contoso.example")
    assert "<img" not in browser.page
    browser.open(place.authorize_url(client_id="</script><script>1"))
    assert "<script>1" not in browser.page
    page = requests.get(
        f"{place.tenant.people_url}/%3Cscript%3E1/oauth2/v2.0/authorize?client_id=1", timeout=20
    )
    assert "<script>1" not in page.text


def test_a_revoked_session_must_give_its_password_again(place: Place, browser: Browser) -> None:
    browser.open(place.authorize_url()).give_name_and_password(place.user()).submit(press="Accept")
    place.user().tokens_valid_from = place.tenant.state.clock.time() + 1
    assert "Email or user name" in browser.open(place.authorize_url()).says


def test_a_number_can_be_looked_up(place: Place, browser: Browser) -> None:
    browser.open(f"{place.tenant.people_url}/error?code=50011")
    assert "AADSTS50011: The redirect URI '{uri}'" in browser.says
    browser.submit(code="1")
    assert "does not know this number" in browser.says
    assert browser.open(f"{place.tenant.people_url}/error?code=9{'9' * 40}").status == 200


def test_a_session_without_second_factor_is_asked_for_it(place: Place, browser: Browser) -> None:
    browser.open(place.authorize_url()).give_name_and_password(place.user()).submit(press="Accept")
    place.user().mfa_required = True
    silent = browser.open(place.authorize_url(prompt="none")).answer
    assert silent["error"] == "interaction_required"
    assert silent["error_description"].startswith("AADSTS50076")
    browser.open(place.authorize_url())
    code = browser.says.split("the app would show ")[1][:6]
    skipped = browser.form(step="code")
    skipped.fields["step"] = "consent"
    other = place.browser()
    other.http, other.url = browser.http, browser.url
    assert not other.submit(skipped, answer="accept").went_to
    browser.open(place.authorize_url()).submit(otc=code)
    assert browser.answer["code"]


def test_what_one_person_proved_does_not_serve_another(place: Place, browser: Browser) -> None:
    browser.open(place.authorize_url()).give_name_and_password(place.user())
    consent = browser.form(step="consent")
    name = browser.form(step="consent")
    name.fields["step"] = "user"
    browser.submit(name, loginfmt=place.user("admin").upn)
    assert "Enter password" in browser.says
    browser.submit(consent, answer="accept")
    assert not browser.went_to
    assert place.user("admin").id not in place.firm.principal.user_consent


def test_personal_accounts_have_no_place_here(place: Place, browser: Browser) -> None:
    place.firm.app.sign_in_audience = "AzureADandPersonalMicrosoftAccount"
    browser.open(place.authorize_url()).give_name_and_password(place.user()).submit(press="Accept")
    browser.open(place.authorize_url(path="consumers")).submit(loginfmt=place.user().upn)
    assert "That Microsoft account doesn't exist" in browser.says
    browser.open(place.authorize_url(path="common", prompt="login")).submit(
        loginfmt="a@outlook.com"
    )
    assert "AADSTS500200" in browser.says
    place.firm.app.sign_in_audience = "PersonalMicrosoftAccount"
    assert "AADSTS9002346" in browser.open(place.authorize_url()).says

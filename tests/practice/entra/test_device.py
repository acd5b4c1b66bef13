"""The device code flow: the page where the code is entered, and what polling gets (facts B3)."""

from datetime import timedelta
from typing import Any

import pytest
import requests

from msoauth.practice.registrations import AppRegistration
from tests.practice.browser import MAIL, Browser, Place, refused

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def start(place: Place, app: AppRegistration | None = None, path: str = "") -> dict[str, Any]:
    form = {"client_id": (app or place.firm.apps[1]).app_id, "scope": MAIL}
    found: dict[str, Any] = place.post("devicecode", form, path).json()
    return found


def poll(
    place: Place, code: str, app: AppRegistration | None = None, **more: str
) -> requests.Response:
    form = {
        "client_id": (app or place.firm.apps[1]).app_id,
        "grant_type": GRANT,
        "device_code": code,
    }
    return place.post("token", form | more)


def enter(place: Place, code: str) -> Browser:
    return place.browser().open(f"{place.tenant.people_url}/devicelogin").submit(otc=code)


def test_the_answer_is_that_of_the_documentation(place: Place) -> None:
    answer = start(place)
    assert set(answer) == {
        "user_code",
        "device_code",
        "verification_uri",
        "expires_in",
        "interval",
        "message",
    }
    assert (answer["expires_in"], answer["interval"]) == (900, 5)
    assert answer["message"] == (
        f"To sign in, use a web browser to open the page {answer['verification_uri']} "
        f"and enter the code {answer['user_code']} to authenticate."
    )


def test_pending_then_approved_then_over(place: Place) -> None:
    place.tenant.state.device_interval = (
        600  # seconds: more than a busy computer takes between two polls
    )
    answer = start(place)
    code = answer["device_code"]
    assert refused(poll(place, code)) == (400, "authorization_pending", 70016)
    assert refused(poll(place, code)) == (400, "slow_down", 70016)
    place.tenant.state.clock.advance(timedelta(seconds=600))
    assert refused(poll(place, code)) == (400, "authorization_pending", 70016)
    browser = enter(place, answer["user_code"].lower()).give_name_and_password(place.user())
    assert "Are you trying to sign in to Contoso desktop mail?" in browser.says
    browser.submit(press="Continue")
    assert "Permissions requested" in browser.says
    browser.submit(press="Accept")
    assert "You have signed in to Contoso desktop mail on your device" in browser.says
    found = poll(place, code).json()
    assert found["access_token"]
    assert found["refresh_token"]
    assert refused(poll(place, code)) == (400, "bad_verification_code", 70018)


def test_cancelled(place: Place) -> None:
    answer = start(place)
    browser = enter(place, answer["user_code"]).give_name_and_password(place.user())
    browser.submit(press="Cancel")
    assert "canceled" in browser.says
    assert refused(poll(place, answer["device_code"]))[:2] == (400, "authorization_declined")
    assert "AADSTS90120" in enter(place, answer["user_code"]).says


def test_expired_and_wrong_codes(place: Place) -> None:
    answer = start(place)
    assert "didn't work" in enter(place, "WRONGCODE").says
    empty = place.browser().open(f"{place.tenant.people_url}/devicelogin").submit(otc=" ")
    assert "AADSTS90119" in empty.says
    place.tenant.state.clock.advance(timedelta(minutes=16))
    assert "expired" in enter(place, answer["user_code"]).says
    assert refused(poll(place, answer["device_code"])) == (400, "expired_token", 70020)
    assert refused(poll(place, "unknown")) == (400, "bad_verification_code", 70018)


def test_without_public_client_flows_a_secret_is_wanted(place: Place) -> None:
    app = place.firm.apps[1]
    app.is_fallback_public_client = False
    answer = start(place)
    assert refused(poll(place, answer["device_code"])) == (401, "invalid_client", 7000218)
    app.is_fallback_public_client = True
    secret = poll(place, answer["device_code"], client_secret="x")
    assert refused(secret) == (401, "invalid_client", 700025)


def test_a_policy_may_block_the_flow_and_what_came_of_it(place: Place) -> None:
    answer = start(place)
    browser = enter(place, answer["user_code"]).give_name_and_password(place.user())
    browser.submit(press="Continue").submit(press="Accept")
    token = poll(place, answer["device_code"]).json()["refresh_token"]
    app = place.firm.apps[1]
    assert place.refresh(token, app).status_code == 200
    place.managed("Block device code flow").state = "enabled"
    assert refused(place.refresh(token, app)) == (400, "invalid_grant", 530036)
    answer = start(place)
    later = enter(place, answer["user_code"]).give_name_and_password(place.user())
    assert "AADSTS53003" in later.says
    assert refused(poll(place, answer["device_code"]))[2] == 53003  # the program need not wait on
    place.tokens(place.user("max.weiss"), app)  # in the browser all is as before


def test_the_session_of_the_browser_is_offered(place: Place) -> None:
    browser = place.browser().open(place.authorize_url()).give_name_and_password(place.user())
    answer = start(place)
    browser.open(f"{place.tenant.people_url}/devicelogin").submit(otc=answer["user_code"])
    assert "Pick an account" in browser.says
    browser.submit(press=place.user().upn)
    assert "Are you trying to sign in" in browser.says


@pytest.mark.parametrize(
    ("form", "number"),
    [
        ({"scope": ""}, 900144),
        ({"client_id": "x"}, 700038),
        ({"scope": "https://x.example/a"}, 500011),
    ],
)
def test_a_bad_start_is_refused(place: Place, form: dict[str, str], number: int) -> None:
    good = {"client_id": place.firm.apps[1].app_id, "scope": MAIL}
    assert refused(place.post("devicecode", good | form))[2] == number


def test_in_common_the_persons_tenant_is_taken(place: Place) -> None:
    app = place.firm.apps[1]
    app.sign_in_audience = "AzureADMultipleOrgs"
    answer = start(place, path="organizations")
    _home, other = place.tenant.state.tenants.values()
    browser = enter(place, answer["user_code"]).give_name_and_password(place.user(firm=other))
    browser.submit(press="Continue").submit(press="Accept")
    form = {"client_id": app.app_id, "grant_type": GRANT, "device_code": answer["device_code"]}
    assert place.post("token", form, "organizations").json()["access_token"]

"""The token endpoint: every grant, client authentication, lifetimes, revocation, and refusals (facts B, C4, D)."""

import base64
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import jwt
import pytest
import requests

from msoauth.practice.registrations import ClientSecret
from msoauth.practice.state import EXCHANGE_APP_ID
from tests.practice.browser import MAIL, Place, refused

OUTLOOK = "https://outlook.office.com"
OWN_ID = "11111111-2222-4333-8444-555555555555"


def claims(token: str) -> dict[str, object]:
    found: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return found


def test_the_answer_and_the_claims_of_a_mail_token(place: Place) -> None:
    answer = place.redeem(place.code(), client_info="1").json()
    assert answer["token_type"] == "Bearer"
    assert answer["scope"] == f"{OUTLOOK}/POP.AccessAsUser.All"
    assert 3600 <= answer["expires_in"] <= 5400
    found, anna = claims(answer["access_token"]), place.user()
    expected = {
        "aud": OUTLOOK,
        "iss": f"https://sts.windows.net/{place.firm.tenant_id}/",
        "tid": place.firm.tenant_id,
        "appid": place.firm.app.app_id,
        "appidacr": "1",
        "scp": "POP.AccessAsUser.All",
        "upn": anna.upn,
        "unique_name": anna.upn,
        "oid": anna.id,
        "name": "Anna Lindqvist",
        "idtyp": "user",
        "ver": "1.0",
        "amr": ["pwd"],
        "app_displayname": "Contoso mail retrieval",
    }
    assert {name: found[name] for name in expected} == expected
    about = claims(answer["id_token"])
    assert (about["aud"], about["preferred_username"]) == (place.firm.app.app_id, anna.upn)
    assert about["ver"] == "2.0"
    info = base64.urlsafe_b64decode(answer["client_info"] + "==").decode()
    assert anna.id in info
    assert place.firm.tenant_id in info


def test_tokens_are_signed_by_the_key_that_is_published(place: Place) -> None:
    token = place.tokens()["access_token"]
    url = f"{place.tenant.endpoints['authority']}common/discovery/v2.0/keys"
    (key,) = requests.get(url, verify=str(place.tenant.ca_file), timeout=20).json()["keys"]
    assert jwt.get_unverified_header(token)["kid"] == key["kid"]
    found = jwt.decode(token, jwt.PyJWK(key, "RS256"), algorithms=["RS256"], audience=OUTLOOK)
    assert found["upn"] == place.user().upn


@pytest.mark.parametrize("path", ["", "contoso.example"])
def test_the_tenant_may_be_named_by_id_or_domain(place: Place, path: str) -> None:
    code = place.code(path=path)
    assert place.redeem(code, path=path).status_code == 200


def test_the_audience_follows_the_prefix_of_the_scope(place: Place) -> None:
    scope = "https://outlook.office365.com/POP.AccessAsUser.All"
    answer = place.tokens(scope=scope)
    assert claims(answer["access_token"])["aud"] == "https://outlook.office365.com"
    assert "refresh_token" not in answer
    assert "id_token" not in answer
    bare = place.tokens(scope="POP.AccessAsUser.All")
    assert claims(bare["access_token"])["aud"] == "https://graph.microsoft.com"
    assert bare["scope"] == "POP.AccessAsUser.All"


def test_a_token_carries_what_was_consented_to_earlier(place: Place) -> None:
    place.tokens(scope=f"{OUTLOOK}/SMTP.Send")
    assert claims(place.tokens()["access_token"])["scp"] == "POP.AccessAsUser.All SMTP.Send"


def test_a_code_is_good_once_and_for_ten_minutes(place: Place) -> None:
    clock = place.tenant.state.clock
    code = place.code()
    clock.advance(timedelta(minutes=9))
    assert place.redeem(code).status_code == 200
    assert refused(place.redeem(code)) == (400, "invalid_grant", 54005)
    code = place.code()
    clock.advance(timedelta(minutes=11))
    assert refused(place.redeem(code)) == (400, "invalid_grant", 70008)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"code": "1.AXkA-cut-off"}, (400, "invalid_request", 9002313)),
        ({"code": ""}, (400, "invalid_request", 900144)),
        ({"code_verifier": "w" * 43}, (400, "invalid_grant", 501481)),
        ({"code_verifier": ""}, (400, "invalid_grant", 501481)),
        ({"redirect_uri": "http://localhost:8401"}, (400, "invalid_request", 50011)),
        ({"grant_type": ""}, (400, "invalid_request", 900144)),
        ({"grant_type": "password"}, (400, "unsupported_grant_type", 70003)),
        ({"resource": OUTLOOK}, (400, "invalid_request", 901002)),
        (
            {"scope": f"{MAIL} https://graph.microsoft.com/User.Read"},
            (400, "invalid_request", 28000),
        ),
        ({"scope": f"{OUTLOOK}/SMTP.Send"}, (400, "invalid_grant", 65001)),
        ({"client_secret": "wrong"}, (401, "invalid_client", 7000215)),
        ({"client_secret": ""}, (401, "invalid_client", 7000218)),
        ({"client_assertion": "e30.e30.e30"}, (401, "invalid_client", 700027)),
    ],
)
def test_a_code_is_refused(
    place: Place, changes: dict[str, str], expected: tuple[int, str, int]
) -> None:
    assert refused(place.redeem(place.code(), **changes)) == expected


def test_the_code_of_another_app_is_refused(place: Place) -> None:
    desktop = place.firm.apps[1]
    assert refused(place.redeem(place.code(), desktop)) == (400, "invalid_grant", 70000)


def test_the_secret_its_id_and_its_end(place: Place) -> None:
    app, clock = place.firm.app, place.tenant.state.clock
    (secret,) = app.secrets
    code = place.code()
    assert refused(place.redeem(code, client_secret=secret.key_id))[2] == 7000215
    secret.end = clock.now() + timedelta(days=1)
    assert place.redeem(code).status_code == 200
    clock.advance(timedelta(days=2))
    assert refused(place.redeem(place.code())) == (401, "invalid_client", 7000222)
    app.secrets.append(ClientSecret("abc8Q~new", clock.now(), clock.now() + timedelta(days=9)))
    assert place.redeem(place.code(), client_secret="abc8Q~new").status_code == 200


def test_a_secret_in_the_header_is_as_good(place: Place) -> None:
    app = place.firm.app
    pair = f"{app.app_id}:{app.secrets[0].value.replace('~', '%7E')}"
    form = {
        "grant_type": "client_credentials",
        "scope": f"{OUTLOOK}/.default",
    }
    for given, status in ((pair, 200), (f"{app.app_id}:wrong", 401)):
        header = {"Authorization": f"Basic {base64.b64encode(given.encode()).decode()}"}
        assert place.post("token", form, headers=header).status_code == status


def test_a_desktop_app_has_no_secret_to_show(place: Place) -> None:
    desktop = place.firm.apps[1]
    answer = place.tokens(app=desktop)
    assert claims(answer["access_token"])["appidacr"] == "0"
    code = place.code(app=desktop)
    assert refused(place.redeem(code, desktop, client_secret="x")) == (
        401,
        "invalid_client",
        700025,
    )
    assert place.refresh(answer["refresh_token"], desktop).status_code == 200


def test_a_single_page_app_redeems_in_the_browser_and_for_a_day(place: Place) -> None:
    app = place.firm.apps[1]
    app.spa_redirect_uris, app.public_client_redirect_uris = ["http://localhost"], []
    origin = {"Origin": "http://localhost:8400"}
    code = place.code(app=app)
    assert refused(place.redeem(code, app))[2] == 9002327
    form = {
        "client_id": app.app_id,
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": "v" * 43,
        "redirect_uri": "http://localhost:8400",
    }
    answer = place.post("token", form, headers=origin)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    renew = {
        "client_id": app.app_id,
        "grant_type": "refresh_token",
        "scope": MAIL,
        "refresh_token": answer.json()["refresh_token"],
    }
    place.tenant.state.clock.advance(timedelta(hours=23))
    renewed = place.post("token", renew, headers=origin).json()
    place.tenant.state.clock.advance(timedelta(hours=2))
    renew["refresh_token"] = renewed["refresh_token"]
    assert refused(place.post("token", renew, headers=origin)) == (400, "invalid_grant", 700084)
    web = {
        "client_id": place.firm.app.app_id,
        "grant_type": "authorization_code",
        "code": place.code(),
    }
    redirect = {"redirect_uri": "http://localhost:8400", "code_verifier": "v" * 43}
    assert refused(place.post("token", web | redirect, headers=origin))[2] == 9002326


# -- refresh ----------------------------------------------------------------------------------------


def test_each_refresh_gives_a_new_token_and_the_old_stays_good(place: Place) -> None:
    first = place.tokens()["refresh_token"]
    second = place.refresh(first).json()["refresh_token"]
    assert first != second
    assert place.refresh(first).status_code == place.refresh(second).status_code == 200


def test_a_refresh_token_dies_of_90_days_without_use_and_not_of_age(place: Place) -> None:
    clock, token = place.tenant.state.clock, place.tokens()["refresh_token"]
    place.firm.app.secrets[0].end += timedelta(days=999)
    for _month in range(4):
        clock.advance(timedelta(days=60))
        assert place.refresh(token).status_code == 200
    clock.advance(timedelta(days=91))
    answer = place.refresh(token)
    assert refused(answer) == (400, "invalid_grant", 700082)
    assert "was inactive for 90.00:00:00" in answer.json()["error_description"]


def test_one_refresh_token_buys_tokens_for_every_consented_resource(place: Place) -> None:
    scope = f"{MAIL} https://graph.microsoft.com/User.Read"
    token = place.tokens(scope=scope)["refresh_token"]
    graph = place.refresh(token, scope="https://graph.microsoft.com/User.Read").json()
    assert claims(graph["access_token"])["aud"] == "https://graph.microsoft.com"
    first = place.refresh(token, scope=f"{OUTLOOK}/POP.AccessAsUser.All User.Read").json()
    assert claims(first["access_token"])["aud"] == OUTLOOK


def _revoke(place: Place) -> None:
    place.user().tokens_valid_from = place.tenant.state.clock.time() + 1


def _password(place: Place) -> None:
    place.user().passwords_tokens_valid_from = place.tenant.state.clock.time() + 1


def _unregister(place: Place) -> None:
    place.user().mfa_registered = False
    place.require("mfa")


def _disable_apps(place: Place) -> None:
    for principal in place.firm.principals:
        principal.account_enabled = False


def _delete_apps(place: Place) -> None:
    for app in place.firm.apps:
        app.deleted = True


@pytest.mark.parametrize(
    ("breakage", "web", "desktop"),
    [
        (_revoke, 50173, 50173),
        (_password, None, 50173),  # a token got with a secret outlives the password (facts B6)
        (lambda p: setattr(p.user(), "password_expired", True), None, None),
        (lambda p: setattr(p.user(), "account_enabled", False), 50057, 50057),
        (lambda p: setattr(p.user(), "mfa_required", True), 50076, 50076),
        (_unregister, 50079, 50079),
        (lambda p: p.require("mfa"), 50076, 50076),
        (lambda p: [q.user_consent.clear() for q in p.firm.principals], 65001, 65001),
        (_disable_apps, 7000112, 7000112),
        (lambda p: p.require("block"), 53003, 53003),
        (lambda p: p.require("compliantDevice"), 53000, 53000),
        (lambda p: p.require("domainJoinedDevice"), 50097, 50097),
        (lambda p: p.require("block", client_app_types={"browser"}), 53003, None),
        (lambda p: p.require("block", client_app_types={"mobileAppsAndDesktopClients"}), None, 53003),
        (lambda p: p.require(sign_in_frequency=timedelta(0)), 70043, 70043),
        (lambda p: p.firm.users.pop(p.user().upn), 50034, 50034),
        (lambda p: setattr(p.firm, "exchange_online", False), 500011, 500011),
        (lambda p: setattr(p.firm, "deprovisioned", True), 90002, 90002),
        (_delete_apps, 700016, 700016),
    ],
)  # fmt: skip
def test_what_ends_a_refresh_token(
    place: Place, breakage: Callable[[Place], object], web: int | None, desktop: int | None
) -> None:
    apps = place.firm.apps[:2]
    tokens = [place.tokens(app=app)["refresh_token"] for app in apps]
    breakage(place)
    place.tenant.state.clock.advance(timedelta(seconds=2))
    for app, token, number in zip(apps, tokens, (web, desktop), strict=True):
        answer = place.refresh(token, app)
        assert (answer.json().get("error_codes") or [None])[0] == number


def test_policies_come_with_their_claims_challenge(place: Place) -> None:
    token = place.tokens()["refresh_token"]
    policy = place.require("block")
    body = place.refresh(token).json()
    assert (body["suberror"], body["error"]) == ("message_only", "access_denied")
    assert f'"capolids":{{"essential":true,"values":["{policy.id}"]}}' in body["claims"]


@pytest.mark.parametrize(
    "mangled", [lambda t: t[:-3], lambda t: t[4:], lambda t: "1//google", lambda t: t + "x"]
)
def test_a_mangled_refresh_token_is_malformed(place: Place, mangled: Callable[[str], str]) -> None:
    token = place.tokens()["refresh_token"]
    assert refused(place.refresh(mangled(token)))[2] == 9002313


# -- client credentials -----------------------------------------------------------------------------


def _service(place: Place, **changes: str) -> requests.Response:
    app = place.firm.apps[2]
    form = {
        "client_id": app.app_id,
        "client_secret": app.secrets[0].value,
        "grant_type": "client_credentials",
        "scope": "https://outlook.office365.com/.default",
    }
    path = changes.pop("path", "")
    return place.post("token", form | changes, path)


def test_an_app_without_a_user_gets_its_roles(place: Place) -> None:
    answer = _service(place).json()
    assert set(answer) == {"token_type", "expires_in", "ext_expires_in", "access_token"}
    found, principal = claims(answer["access_token"]), place.firm.principals[2]
    assert found["roles"] == ["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"]
    assert found["oid"] == found["sub"] == principal.object_id
    assert (found["idtyp"], found["appidacr"]) == ("app", "1")
    assert not {"scp", "upn", "unique_name"} & set(found)
    principal.app_roles.clear()
    assert "roles" not in claims(_service(place).json()["access_token"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"scope": f"{OUTLOOK}/SMTP.Send"}, (400, "invalid_scope", 1002012)),
        ({"scope": "https://outlok.office.com/.default"}, (400, "invalid_resource", 500011)),
        (
            {"scope": f"{OUTLOOK}/.default https://graph.microsoft.com/.default"},
            (400, "invalid_request", 28000),
        ),
        ({"scope": ""}, (400, "invalid_request", 900144)),
        ({"client_secret": ""}, (401, "invalid_client", 7000218)),
        ({"path": "common"}, (400, "invalid_request", 9001023)),
        ({"path": "organizations"}, (400, "invalid_request", 50059)),
    ],
)
def test_an_app_without_a_user_is_refused(
    place: Place, changes: dict[str, str], expected: tuple[int, str, int]
) -> None:
    assert refused(_service(place, **changes)) == expected


def test_an_app_that_nobody_consented_to_in_the_tenant_has_no_service_principal(
    place: Place,
) -> None:
    place.firm.apps[2].sign_in_audience = "AzureADMultipleOrgs"
    assert refused(_service(place, path="fabrikam.example")) == (401, "invalid_client", 7000229)


# -- errors -----------------------------------------------------------------------------------------


def test_the_shape_of_a_refusal_and_the_clients_own_id(place: Place) -> None:
    form = {"client_id": place.firm.app.app_id, "grant_type": "refresh_token", "refresh_token": "x"}
    own = place.post("token", form, headers={"client-request-id": OWN_ID}).json()
    assert set(own) == {
        "error",
        "error_description",
        "error_codes",
        "timestamp",
        "trace_id",
        "correlation_id",
        "error_uri",
    }
    assert own["correlation_id"] == OWN_ID
    expected = (
        f" Trace ID: {own['trace_id']} Correlation ID: {OWN_ID} Timestamp: {own['timestamp']}"
    )
    assert own["error_description"].endswith(expected)
    assert own["error_uri"] == "https://login.microsoftonline.com/error?code=9002313"
    fresh = place.post("token", form, headers={"client-request-id": "<script>"}).json()
    assert str(UUID(fresh["correlation_id"])) == fresh["correlation_id"]
    assert fresh["trace_id"] != own["trace_id"]
    logged = place.tenant.state.log[-2]
    assert (logged.correlation_id, logged.trace_id) == (OWN_ID, own["trace_id"])


def test_a_get_on_the_token_endpoint(place: Place) -> None:
    url = f"{place.tenant.endpoints['authority']}{place.firm.tenant_id}/oauth2/v2.0/token"
    body = requests.get(url, verify=str(place.tenant.ca_file), timeout=20).json()
    assert body["error_description"].startswith(
        "AADSTS900561: The endpoint only accepts POST requests. Received a GET request."
    )


@pytest.mark.parametrize("status", [429, 503])
def test_a_token_endpoint_out_of_order(place: Place, status: int) -> None:
    place.tenant.state.faults.set("token.status", status)
    answer = _service(place)
    assert answer.status_code == status
    assert answer.headers["Retry-After"]
    assert "json" not in answer.headers["Content-Type"]


def test_faults_of_codes_states_and_tokens(place: Place) -> None:
    faults, anna = place.tenant.state.faults, place.user()
    good = place.code()
    faults.set("code.age", 700, anna.upn)
    assert refused(place.redeem(good))[2] == 70008
    faults.clear("code.age")
    faults.set("code.verifier")
    assert refused(place.redeem(good))[2] == 501481
    faults.clear("code.verifier")
    faults.set("token.lacks", "POP.AccessAsUser.All", place.firm.tenant_id)
    faults.set("token.graph")
    found = claims(place.redeem(good).json()["access_token"])
    assert (found["aud"], found["scp"]) == ("https://graph.microsoft.com", "openid profile")
    faults.set("state.other")
    browser = place.browser().open(place.authorize_url()).give_name_and_password(anna)
    assert browser.answer["state"] != "xyz"


def test_no_credential_comes_into_the_log(place: Place) -> None:
    answer = place.tokens()
    place.refresh(answer["refresh_token"])
    secret = place.firm.app.secrets[0].value
    place.redeem("x", client_secret=secret)
    text = repr(list(place.tenant.state.log))
    for marker in (answer["access_token"], answer["refresh_token"], secret, place.user().password):
        assert marker not in text


def test_consent_for_outlook_is_not_consent_for_graph(place: Place) -> None:
    place.firm.principal.admin_consent[EXCHANGE_APP_ID] = {"POP.AccessAsUser.All"}
    token = place.tokens()["refresh_token"]
    assert refused(place.refresh(token, scope="POP.AccessAsUser.All"))[2] == 65001


def test_a_refresh_without_a_scope_gives_those_of_the_first_consent(place: Place) -> None:
    answer = place.tokens()
    first = claims(answer["access_token"])
    for _ in range(2):  # the new refresh token remembers them as well
        answer = place.refresh(answer["refresh_token"], scope="").json()
        found = claims(answer["access_token"])
        assert (found["aud"], found["scp"]) == (first["aud"], first["scp"])
        assert answer["scope"].startswith("https://outlook.office.com/")

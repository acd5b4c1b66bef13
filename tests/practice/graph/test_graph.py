"""Graph's read side: who may read, what it looks like, how lists are asked for and paged."""

from collections.abc import Callable
from typing import Any

import jwt
import pytest
import requests

from msoauth.practice.state import EXCHANGE_APP_ID, GRAPH_APP_ID, User
from tests.practice.browser import Place

READ = (
    "Application.Read.All",
    "Directory.Read.All",
    "User.Read.All",
    "AuditLog.Read.All",
    "User.Read",
)
Get = Callable[..., requests.Response]


def _scope(*names: str) -> str:
    return " ".join(f"https://graph.microsoft.com/{name}" for name in names)


def _get(place: Place, path: str, token: str, **headers: str) -> requests.Response:
    return requests.get(
        f"{place.tenant.endpoints['graph']}v1.0/{path}",
        headers={"Authorization": f"Bearer {token}", **headers},
        verify=str(place.tenant.ca_file),
        timeout=20,
    )


@pytest.fixture
def get(place: Place) -> Get:
    """GET as the administrator, with every reading permission."""
    token = place.tokens(place.user("admin"), scope=_scope(*READ))["access_token"]
    return lambda path, **headers: _get(place, path, token, **headers)


def test_the_registration_with_its_secrets(place: Place, get: Get) -> None:
    app = place.firm.app
    found = get(f"applications(appId='{app.app_id}')").json()
    assert found["id"] == app.object_id != found["appId"]
    assert found["web"]["redirectUris"] == ["http://localhost"]
    assert found["isFallbackPublicClient"] is True
    (secret,) = found["passwordCredentials"]
    assert secret["hint"] == app.secrets[0].value[:3]
    assert secret["keyId"] == app.secrets[0].key_id
    assert secret["secretText"] is None
    assert secret["endDateTime"].endswith("Z")
    assert app.secrets[0].value not in get("applications").text
    listed = {a["id"]: a["type"] for a in found["requiredResourceAccess"][0]["resourceAccess"]}
    assert listed["fb698133-92fa-453e-a9ed-688e10f2e5ac"] == "Scope"
    assert get(f"applications/{app.object_id}").json()["appId"] == app.app_id
    assert len(get("applications").json()["value"]) == 3


def test_service_principals_of_the_app_and_of_microsoft(place: Place, get: Get) -> None:
    own = get(f"servicePrincipals(appId='{place.firm.app.app_id}')").json()
    assert own["id"] == place.firm.principal.object_id
    assert own["accountEnabled"] is True
    assert own["appOwnerOrganizationId"] == place.firm.tenant_id
    exchange = get(
        f"servicePrincipals(appId='{EXCHANGE_APP_ID}')?$select=id,appRoles,oauth2PermissionScopes"
    ).json()
    assert set(exchange) == {"@odata.context", "id", "appRoles", "oauth2PermissionScopes"}
    assert "POP.AccessAsUser.All" in [s["value"] for s in exchange["oauth2PermissionScopes"]]
    assert "SMTP.SendAsApp" in [r["value"] for r in exchange["appRoles"]]
    place.firm.exchange_online = False
    assert get(f"servicePrincipals(appId='{EXCHANGE_APP_ID}')").status_code == 404


def test_delegated_grants_by_client_and_by_whom(place: Place, get: Get) -> None:
    place.tokens(place.user())
    firm = place.firm
    firm.principal.admin_consent[EXCHANGE_APP_ID] = {"SMTP.Send"}
    found = get(f"oauth2PermissionGrants?$filter=clientId eq '{firm.principal.object_id}'").json()[
        "value"
    ]
    by_whom = {(g["consentType"], g["principalId"], g["resourceId"]): g["scope"] for g in found}
    exchange = firm.resource_ids[EXCHANGE_APP_ID]
    assert by_whom["AllPrincipals", None, exchange] == "SMTP.Send"
    assert by_whom["Principal", place.user().id, exchange] == "POP.AccessAsUser.All"
    same = get(f"servicePrincipals/{firm.principal.object_id}/oauth2PermissionGrants").json()[
        "value"
    ]
    assert sorted(g["id"] for g in same) == sorted(g["id"] for g in found)
    admin = firm.users["admin@contoso.example"].id
    graph = firm.resource_ids[GRAPH_APP_ID]
    assert "Application.Read.All" in by_whom["Principal", admin, graph]


def test_application_permissions_and_assigned_users(place: Place, get: Get) -> None:
    service = place.firm.principals[2]
    roles = get(f"servicePrincipals/{service.object_id}/appRoleAssignments").json()["value"]
    assert {r["appRoleId"] for r in roles} >= {"cb842b43-da6e-4506-86fe-bb12199c656d"}
    assert {r["resourceDisplayName"] for r in roles} == {"Office 365 Exchange Online"}
    place.firm.principal.assigned_users.add(place.user().id)
    own = f"servicePrincipals(appId='{place.firm.app.app_id}')/appRoleAssignedTo"
    assert [a["principalDisplayName"] for a in get(own).json()["value"]] == ["Anna Lindqvist"]
    exchange = place.firm.resource_ids[EXCHANGE_APP_ID]
    held = get(f"servicePrincipals/{exchange}/appRoleAssignedTo").json()["value"]
    assert {a["principalId"] for a in held} == {service.object_id}


def test_users_with_licences_and_addresses(place: Place, get: Get) -> None:
    anna = place.user()
    anna.aliases = ("anna@contoso.example",)
    found = get(
        f"users/{anna.upn}?$select=id,accountEnabled,userPrincipalName,mail,proxyAddresses,assignedPlans"
    ).json()
    assert found["mail"] == anna.upn
    assert found["proxyAddresses"] == [f"SMTP:{anna.upn}", "smtp:anna@contoso.example"]
    assert found["assignedPlans"][0]["service"] == "exchange"
    assert get(f"users/{anna.id}/licenseDetails").json()["value"][0]["servicePlans"]
    by_address = "users?$filter=proxyAddresses/any(x:x eq 'smtp:anna@contoso.example')"
    assert [u["id"] for u in get(by_address).json()["value"]] == [anna.id]
    anna.licensed = False
    found = get(f"users/{anna.upn}").json()
    assert found["assignedLicenses"] == found["assignedPlans"] == found["proxyAddresses"] == []
    assert get(f"users/{anna.id}/licenseDetails").json()["value"] == []


def test_organization_and_licences_bought(place: Place, get: Get) -> None:
    (found,) = get("organization").json()["value"]
    assert found["id"] == place.firm.tenant_id
    assert found["verifiedDomains"][0]["name"] == place.firm.domain
    (sku,) = get("subscribedSkus").json()["value"]
    assert sku["consumedUnits"] == len(place.firm.users)


def test_lists_are_paged_and_filtered(place: Place, get: Get) -> None:
    page = get("users?$top=2&$select=userPrincipalName&$count=true").json()
    assert page["@odata.count"] == len(place.firm.users)
    seen = [u["userPrincipalName"] for u in page["value"]]
    while link := page.get("@odata.nextLink"):
        page = get(link.split("/v1.0/")[1]).json()
        seen += [u["userPrincipalName"] for u in page["value"]]
    assert sorted(seen) == sorted(place.firm.users)
    some = get("users?$filter=startswith(displayName,'Zo') and accountEnabled eq true").json()
    assert [u["displayName"] for u in some["value"]] == ["Zoë O’Brien"]


@pytest.mark.parametrize(
    "bad",
    ["$filter=nonsense", "$filter=colour eq 'red'", "$top=0", "$expand=owners", "$skiptoken=x"],
)
def test_a_query_that_cannot_be_read_is_a_bad_request(get: Get, bad: str) -> None:
    answer = get(f"users?{bad}")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "Request_BadRequest"


def test_sign_ins_tell_of_refusals(place: Place, get: Get) -> None:
    browser = place.browser().open(place.authorize_url())
    browser.give_name_and_password(place.user(), "wrong")
    url = f"auditLogs/signIns?$filter=appId eq '{place.firm.app.app_id}'&$top=20"
    latest = get(url).json()["value"][0]
    assert latest["status"]["errorCode"] == 50126
    assert latest["status"]["failureReason"].startswith("Error validating credentials")
    assert latest["userPrincipalName"] == place.user().upn
    place.firm.premium = False
    answer = get(url)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "Authentication_RequestFromNonPremiumTenantOrB2CTenant"


def test_whoever_lacks_permission_or_role_is_denied(place: Place) -> None:
    path = f"applications(appId='{place.firm.app.app_id}')"
    little = place.tokens(place.user("admin"), scope=_scope("User.Read"))["access_token"]
    place.firm.principal.admin_consent[GRAPH_APP_ID] = {"Application.Read.All"}
    nobody = place.tokens(place.user(), scope=_scope("Application.Read.All"))["access_token"]
    for token in (nobody, little):
        answer = _get(place, path, token)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (403, "Authorization_RequestDenied")
        assert error["message"] == "Insufficient privileges to complete the operation."
        assert set(error["innerError"]) == {"date", "request-id", "client-request-id"}
    assert _get(place, "me", little).json()["userPrincipalName"] == "admin@contoso.example"


def test_an_app_reads_itself_without_permission_and_nothing_else(place: Place) -> None:
    app = place.firm.apps[2]
    form = {
        "client_id": app.app_id,
        "client_secret": app.secrets[0].value,
        "grant_type": "client_credentials",
    }
    token = place.post("token", form | {"scope": "https://graph.microsoft.com/.default"}).json()[
        "access_token"
    ]
    assert _get(place, f"applications(appId='{app.app_id}')", token).status_code == 200
    assert _get(place, f"servicePrincipals(appId='{app.app_id}')", token).status_code == 200
    assert _get(place, f"applications(appId='{place.firm.app.app_id}')", token).status_code == 403
    assert _get(place, "users", token).status_code == 403
    assert _get(place, "me", token).status_code == 400


def test_bad_tokens_are_told_apart(place: Place, get: Get) -> None:
    mail = place.tokens()["access_token"]
    foreign = mail[:-8] + ("a" * 8 if not mail.endswith("a" * 8) else "b" * 8)
    cases = {
        "": "Bearer access token is empty.",
        "EwBAAl3B": "CompactToken parsing failed with error code: 80049217",
        foreign: "Access token validation failure.",
        mail: "Access token validation failure. Invalid audience.",
    }
    for token, message in cases.items():
        answer = _get(place, "me", token)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"
        assert answer.json()["error"]["message"] == message
    assert get("me").status_code == 200
    from datetime import timedelta

    place.tenant.state.clock.advance(timedelta(hours=2))
    assert get("me").json()["error"]["message"] == "Access token has expired or is not yet valid."


def test_what_is_not_there_and_the_clients_own_id(get: Get) -> None:
    own = "11111111-2222-4333-8444-555555555555"
    answer = get(
        "applications(appId='22222222-2222-4333-8444-555555555555')", **{"client-request-id": own}
    )
    error: dict[str, Any] = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "Request_ResourceNotFound")
    assert error["innerError"]["client-request-id"] == own
    assert get("users/nobody@contoso.example").status_code == 404
    assert get("nonsense").status_code == 400


def test_userinfo_and_what_cannot_be_written(place: Place) -> None:
    token = place.tokens(scope=_scope("User.Read"))["access_token"]
    root, ca = place.tenant.endpoints["graph"], str(place.tenant.ca_file)
    header = {"Authorization": f"Bearer {token}"}
    about = requests.get(f"{root}oidc/userinfo", headers=header, verify=ca, timeout=20).json()
    assert about["name"] == "Anna Lindqvist"
    answer = requests.post(f"{root}v1.0/applications", headers=header, verify=ca, timeout=20)
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "Request_BadRequest"


_EVENTUAL = {"ConsistencyLevel": "eventual"}


@pytest.mark.parametrize(
    ("query", "advanced", "expected"),
    [
        ("$filter=startswith(displayName,'An') or startswith(displayName,'Zo')", False, lambda u: u.display_name[:2] in ("An", "Zo")),
        ("$filter=userPrincipalName in ('anna.lindqvist@contoso.example','x@y')", False, lambda u: u.upn.startswith("anna.")),
        ("$filter=not(startswith(displayName,'An'))", True, lambda u: not u.display_name.startswith("An")),
        ("$filter=not startswith(displayName,'An') and accountEnabled eq true", True, lambda u: u.display_name[:2] != "An"),
        ("$filter=endswith(userPrincipalName,'weiss@CONTOSO.example')", True, lambda u: u.upn.startswith("max.")),
        ("$filter=displayName ne 'Max Weiß'", True, lambda u: u.display_name != "Max Weiß"),
        ("$filter=(surname eq 'Weiß' or surname eq 'or and') and userType eq 'Member'", False, lambda u: u.upn.startswith("max.")),
        ("$filter=proxyAddresses/any(p:startswith(p,'SMTP:max'))", False, lambda u: u.upn.startswith("max.")),
        ("$filter=assignedPlans/any(a:a/service eq 'exchange' and a/capabilityStatus eq 'Enabled')", False, lambda u: u.licensed),
        ("$filter=assignedLicenses/$count eq 0", True, lambda u: not u.licensed),
        ('$search="displayName:Wei"', True, lambda u: "Weiß" in u.display_name),
        ('$search="displayName:Wei" OR "mail:anna.lind"', True, lambda u: u.upn[:3] in ("max", "ann")),
        ("$orderby=displayName", False, lambda u: True),
        ("$orderby=displayName desc&$filter=accountEnabled eq true", True, lambda u: True),
    ],
)  # fmt: skip
def test_documented_queries_answer(
    place: Place, get: Get, query: str, advanced: bool, expected: Callable[[User], bool]
) -> None:
    wanted = sorted(user.upn for user in place.firm.users.values() if expected(user))
    plain = get(f"users?{query}")
    if advanced:
        assert plain.status_code == 400
        assert plain.json()["error"]["code"] == "Request_UnsupportedQuery"
    else:
        assert sorted(u["userPrincipalName"] for u in plain.json()["value"]) == wanted
    answer = get(f"users?$count=true&{query}", **_EVENTUAL).json()
    assert sorted(u["userPrincipalName"] for u in answer["value"]) == wanted
    assert answer["@odata.count"] == len(wanted)
    if "$orderby" in query:
        names = [u["displayName"].lower() for u in answer["value"]]
        assert names == sorted(names, reverse="desc" in query)


@pytest.mark.parametrize(
    "bad", ["(" * 50, "a eq", "in (", "x in ()", "not", "startswith(displayName)", "displayName has 'x'", "a/any(b"]
)  # fmt: skip
def test_a_filter_that_cannot_be_read_is_a_bad_request(get: Get, bad: str) -> None:
    answer = get(f"users?$count=true&$filter={bad}", **_EVENTUAL)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "Request_BadRequest"


def test_userinfo_has_the_values_of_the_id_token(place: Place) -> None:
    answer = place.tokens(scope="openid profile email")
    url = f"{place.tenant.endpoints['graph']}oidc/userinfo"
    for method in ("GET", "POST"):
        found = requests.request(
            method,
            url,
            headers={"Authorization": f"Bearer {answer['access_token']}"},
            verify=str(place.tenant.ca_file),
            timeout=20,
        ).json()
        claims = jwt.decode(answer["id_token"], options={"verify_signature": False})
        assert found["sub"] == claims["sub"]
        assert (found["name"], found["email"]) == (claims["name"], claims["email"])

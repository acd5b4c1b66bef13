"""Graph shows what decides about sign-ins (policies, memberships) and the log of them, to whom it may."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests

from msoauth.practice.conditional_access import GLOBAL_ADMINISTRATOR
from msoauth.practice.state import EXCHANGE_APP_ID, Group
from tests.practice.browser import Place

READ = ("Directory.Read.All", "AuditLog.Read.All", "Policy.Read.All")
POLICIES = "v1.0/identity/conditionalAccess/policies"
DEFAULTS = "v1.0/policies/identitySecurityDefaultsEnforcementPolicy"
Get = Callable[..., requests.Response]


def _get(place: Place, path: str, token: str) -> requests.Response:
    return requests.get(
        path if path.startswith("https:") else f"{place.tenant.endpoints['graph']}{path}",
        headers={"Authorization": f"Bearer {token}"},
        verify=str(place.tenant.ca_file),
        timeout=20,
    )


def _token(place: Place, *names: str, user: str = "admin") -> str:
    """A token with these permissions and no others that were consented to before."""
    place.firm.principal.user_consent.pop(place.user(user).id, None)
    scope = " ".join(f"https://graph.microsoft.com/{name}" for name in names)
    return str(place.tokens(place.user(user), scope=scope)["access_token"])


@pytest.fixture
def get(place: Place) -> Get:
    """GET as the administrator, with every reading permission."""
    token = _token(place, *READ)
    return lambda path: _get(place, path, token)


def test_policies_have_graphs_members(place: Place, get: Get) -> None:
    answer = get(POLICIES).json()
    assert answer["@odata.context"].endswith("/v1.0/$metadata#identity/conditionalAccess/policies")
    by_name = {row["displayName"]: row for row in answer["value"]}
    found = by_name["Microsoft-managed: Block device code flow"]
    assert found == {
        "id": place.managed("Block device code flow").id,
        "templateId": None,
        "displayName": "Microsoft-managed: Block device code flow",
        "createdDateTime": "2026-03-02T09:00:00.0000000Z",
        "modifiedDateTime": None,
        "state": "enabledForReportingButNotEnforced",
        "sessionControls": None,
        "conditions": {
            "userRiskLevels": [],
            "signInRiskLevels": [],
            "clientAppTypes": ["all"],
            "platforms": None,
            "locations": None,
            "devices": None,
            "clientApplications": None,
            "authenticationFlows": {"transferMethods": "deviceCodeFlow"},
            "applications": {
                "includeApplications": ["All"],
                "excludeApplications": [],
                "includeUserActions": [],
                "includeAuthenticationContextClassReferences": [],
                "applicationFilter": None,
            },
            "users": {
                "includeUsers": ["All"],
                "excludeUsers": [],
                "includeGroups": [],
                "excludeGroups": [],
                "includeRoles": [],
                "excludeRoles": [],
            },
        },
        "grantControls": {
            "operator": "OR",
            "builtInControls": ["block"],
            "customAuthenticationFactors": [],
            "termsOfUse": [],
            "authenticationStrength": None,
        },
    }
    one = get(f"{POLICIES}/{found['id']}").json()
    assert one["@odata.context"].endswith("#identity/conditionalAccess/policies/$entity")
    assert get(f"{POLICIES}/{EXCHANGE_APP_ID}").status_code == 404


def test_every_part_of_a_policy_is_shown(place: Place, get: Get) -> None:
    group = Group("Lawyers", {place.user().id})
    place.require(
        "compliantDevice",
        "mfa",
        operator="AND",
        state="disabled",
        include_users={place.user().id},
        exclude_users={place.user("admin").id},
        include_groups={group.id},
        exclude_roles={GLOBAL_ADMINISTRATOR},
        include_applications={EXCHANGE_APP_ID, "Office365"},
        client_app_types={"other", "exchangeActiveSync"},
        transfer_methods={"authenticationTransfer", "deviceCodeFlow"},
        sign_in_frequency=timedelta(hours=12),
    )
    row = get(f"{POLICIES}?$filter=state eq 'disabled'").json()["value"][0]
    users = row["conditions"]["users"]
    assert users["includeUsers"] == [place.user().id]
    assert users["excludeUsers"] == [place.user("admin").id]
    assert users["includeGroups"] == [group.id]
    assert users["excludeRoles"] == [GLOBAL_ADMINISTRATOR]
    conditions = row["conditions"]
    assert conditions["clientAppTypes"] == ["exchangeActiveSync", "other"]
    flows = conditions["authenticationFlows"]["transferMethods"]
    assert flows == "deviceCodeFlow,authenticationTransfer"
    assert conditions["applications"]["includeApplications"] == [EXCHANGE_APP_ID, "Office365"]
    assert row["grantControls"]["builtInControls"] == ["compliantDevice", "mfa"]
    assert row["grantControls"]["operator"] == "AND"
    frequency = row["sessionControls"]["signInFrequency"]
    assert (frequency["value"], frequency["type"]) == (12, "hours")


def test_security_defaults(place: Place, get: Get) -> None:
    found = get(DEFAULTS).json()
    context = "/v1.0/$metadata#policies/identitySecurityDefaultsEnforcementPolicy"
    assert found["@odata.context"].endswith(context)
    assert (found["id"], found["isEnabled"]) == ("00000000-0000-0000-0000-000000000005", False)
    assert found["displayName"] == "Security Defaults"
    place.firm.policies.security_defaults = True
    assert get(DEFAULTS).json()["isEnabled"] is True


def test_policies_are_for_who_may_read_them(place: Place) -> None:
    without = _token(place, "Directory.Read.All", "AuditLog.Read.All")
    for path in (POLICIES, DEFAULTS):
        answer = _get(place, path, without)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (403, "AccessDenied")
        assert error["message"] == (
            "You cannot perform the requested operation, required scopes are missing in the token."
        )
    narrow = _token(place, "Policy.Read.ConditionalAccess")
    assert _get(place, POLICIES, narrow).status_code == 200
    assert _get(place, DEFAULTS, narrow).status_code == 403
    whole = _token(place, "Policy.Read.All")
    place.user("admin").admin = False
    answer = _get(place, POLICIES, whole)
    assert (answer.status_code, answer.json()["error"]["code"]) == (
        403,
        "Authorization_RequestDenied",
    )


def test_groups_and_roles_of_a_user(place: Place, get: Get) -> None:
    group = Group("Lawyers", {place.user("admin").id})
    place.firm.groups.append(group)
    rows = get("v1.0/me/transitiveMemberOf").json()["value"]
    assert [row["@odata.type"].rpartition(".")[2] for row in rows] == ["group", "directoryRole"]
    assert (rows[0]["id"], rows[0]["displayName"]) == (group.id, "Lawyers")
    assert rows[1]["roleTemplateId"] == GLOBAL_ADMINISTRATOR
    (role,) = get("v1.0/me/transitiveMemberOf/microsoft.graph.directoryRole").json()["value"]
    assert role["displayName"] == "Global Administrator"
    assert "@odata.type" not in role
    assert get(f"v1.0/users/{place.user().id}/memberOf").json()["value"] == []
    little = _token(place, "User.Read")
    (row, _role) = _get(place, "v1.0/me/transitiveMemberOf", little).json()["value"]
    assert (row["id"], row["displayName"]) == (group.id, None)


# -- the sign-in log ------------------------------------------------------------------------------------


def _fill(place: Place, count: int) -> None:
    """So many sign-ins of somebody else to the same app."""
    for number in range(count):
        place.tenant.state.log_event(
            "sign-in",
            "success",
            tenant=place.firm.name,
            user=f"user{number:05d}@{place.firm.domain}",
            app_id=place.firm.app.app_id,
        )


def _rows(get: Get, path: str) -> list[dict[str, Any]]:
    """All pages."""
    rows: list[dict[str, Any]] = []
    while path:
        answer = get(path)
        assert answer.status_code == 200, answer.text
        rows += answer.json()["value"]
        path = answer.json().get("@odata.nextLink", "")
    return rows


def test_sign_ins_of_one_user_are_found_behind_those_of_all_others(place: Place, get: Get) -> None:
    token = place.tokens()["refresh_token"]
    place.require("block")
    place.refresh(token)
    _fill(place, 1200)
    mine = f"userPrincipalName eq '{place.user().upn}' and appId eq '{place.firm.app.app_id}'"
    assert [r["isInteractive"] for r in _rows(get, f"v1.0/auditLogs/signIns?$filter={mine}")] == [
        True
    ]
    by_id = f"userId eq '{place.user().id}' and signInEventTypes/any(t:t eq 'nonInteractiveUser')"
    latest, code = _rows(get, f"beta/auditLogs/signIns?$filter={by_id}")
    assert latest["status"]["errorCode"] == 53003
    assert (code["status"]["errorCode"], code["signInEventTypes"]) == (0, ["nonInteractiveUser"])
    assert latest["conditionalAccessStatus"] == "failure"
    failed = [p for p in latest["appliedConditionalAccessPolicies"] if p["result"] == "failure"]
    assert [(p["displayName"], p["enforcedGrantControls"]) for p in failed] == [
        ("block", ["Block"])
    ]
    both = f"{mine} and signInEventTypes/any(t:t eq 'interactiveUser' or t eq 'nonInteractiveUser')"
    assert len(_rows(get, f"beta/auditLogs/signIns?$filter={both}")) == 3
    assert len(_rows(get, f"beta/auditLogs/signIns?$filter={mine}")) == 1


def test_pages_of_the_log_stay_where_they_are_while_it_grows(place: Place, get: Get) -> None:
    _fill(place, 7)
    first = get("v1.0/auditLogs/signIns?$top=3").json()
    assert first["@odata.context"].endswith("/v1.0/$metadata#auditLogs/signIns")
    _fill(place, 5)
    rest = _rows(get, first["@odata.nextLink"])
    ids = [row["id"] for row in (*first["value"], *rest)]
    assert len(ids) == len(set(ids))
    known = [e.id for e in place.tenant.state.log if e.kind == "sign-in"][:-5]
    assert ids == known[::-1]


def test_a_page_of_the_log_is_a_thousand_at_most(place: Place, get: Get) -> None:
    _fill(place, 1010)
    assert len(get("v1.0/auditLogs/signIns").json()["value"]) == 1000
    assert get("v1.0/auditLogs/signIns?$top=1000").status_code == 200
    assert get("v1.0/auditLogs/signIns?$top=1001").status_code == 400


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("v1.0/auditLogs/signIns?$filter=startswith(userPrincipalName,'anna')", 200),
        ("v1.0/auditLogs/signIns?$filter=createdDateTime ge 2026-01-01T00:00:00Z", 200),
        ("v1.0/auditLogs/signIns?$filter=status/errorCode eq 0", 200),
        ("v1.0/auditLogs/signIns?$orderby=createdDateTime desc", 200),
        ("v1.0/auditLogs/signIns?$orderby=userPrincipalName", 400),
        ("v1.0/auditLogs/signIns?$filter=isInteractive eq true", 400),
        ("v1.0/auditLogs/signIns?$filter=appId ne 'x'", 400),
        ("v1.0/auditLogs/signIns?$filter=endswith(userPrincipalName,'example')", 400),
        ("v1.0/auditLogs/signIns?$filter=signInEventTypes/any(t:t eq 'nonInteractiveUser')", 400),
        ("beta/auditLogs/signIns?$filter=signInEventTypes/any(t:t ne 'interactiveUser')", 200),
        ("beta/auditLogs/signIns?$skiptoken=../..", 400),
    ],
)
def test_the_log_is_filtered_as_microsoft_documents(get: Get, query: str, status: int) -> None:
    assert get(query).status_code == status


def test_policies_in_the_log_are_for_who_may_read_them(place: Place, get: Get) -> None:
    place.tokens()
    token = _token(place, "AuditLog.Read.All")
    url = f"v1.0/auditLogs/signIns?$filter=userId eq '{place.user().id}'"
    assert _get(place, url, token).json()["value"][0]["appliedConditionalAccessPolicies"] == []
    (row,) = get(url).json()["value"]
    applied = {p["displayName"]: p["result"] for p in row["appliedConditionalAccessPolicies"]}
    all_users = "Microsoft-managed: Multifactor authentication for all users"
    assert applied[all_users] == "reportOnlyInterrupted"
    assert row["conditionalAccessStatus"] == "notApplied"
    assert get(f"v1.0/auditLogs/signIns/{row['id']}").json()["id"] == row["id"]


def test_an_app_without_a_user_is_in_the_log_of_service_principals(place: Place, get: Get) -> None:
    app = place.firm.apps[2]
    form = {
        "client_id": app.app_id,
        "client_secret": app.secrets[0].value,
        "grant_type": "client_credentials",
        "scope": "https://outlook.office365.com/.default",
    }
    assert place.post("token", form).status_code == 200
    kinds = "signInEventTypes/any(t:t eq 'servicePrincipal')"
    (row,) = get(f"beta/auditLogs/signIns?$filter={kinds}").json()["value"]
    assert row["appId"] == app.app_id

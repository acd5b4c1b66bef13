"""Consent settings and app management policies on the practice tenant's Graph (facts K2.5, K2.7, K2.8)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests

from msoauth.practice.consent_policies import EXEMPT_APPS, LEGACY, LOW
from msoauth.practice.registrations import EXEMPTION
from msoauth.practice.state import EXCHANGE_APP_ID, GRAPH_APP_ID, MANAGED_CONSENT
from tests.practice.browser import Place

READ = ("Policy.Read.All", "Policy.Read.PermissionGrant", "Application.ReadWrite.All")
TEAM_AND_CHAT = [
    f"ManagePermissionGrantsForOwnedResource.microsoft-dynamically-managed-permissions-for-{place}"
    for place in ("team", "chat")
]
MANAGED = "policies/permissionGrantPolicies/microsoft-user-default-recommended"


class Caller:
    """An administrator's program at Graph."""

    def __init__(self, place: Place, *scopes: str) -> None:
        scope = " ".join(f"https://graph.microsoft.com/{name}" for name in scopes)
        token = place.tokens(place.user("admin"), scope=scope)["access_token"]
        self.headers = {"Authorization": f"Bearer {token}"}
        self.ca_file = str(place.tenant.ca_file)
        self.root = f"{place.tenant.endpoints['graph']}v1.0/"

    def _call(self, method: str, path: str, body: Any, status: int) -> dict[str, Any]:
        answer = requests.request(
            method,
            self.root + path,
            json=body,
            headers=self.headers,
            verify=self.ca_file,
            timeout=20,
        )
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    def get(self, path: str, status: int = 200) -> dict[str, Any]:
        return self._call("GET", path, None, status)

    def patch(self, path: str, body: Any, status: int = 204) -> dict[str, Any]:
        return self._call("PATCH", path, body, status)

    def post(self, path: str, body: Any, status: int = 200) -> dict[str, Any]:
        return self._call("POST", path, body, status)


@pytest.fixture
def graph(place: Place) -> Caller:
    return Caller(place, *READ)


@pytest.mark.parametrize(
    ("setting", "policies"),
    [
        ("", []),
        (LOW, [LOW]),
        (LEGACY, [LEGACY]),
        (MANAGED_CONSENT, [MANAGED_CONSENT, "microsoft-user-default-allow-consent-apps"]),
    ],
)
def test_the_consent_setting_is_in_the_authorization_policy(
    place: Place, graph: Caller, setting: str, policies: list[str]
) -> None:
    place.firm.policies.user_consent = setting
    found = graph.get("policies/authorizationPolicy")
    assert found["@odata.context"].endswith("$metadata#policies/authorizationPolicy/$entity")
    assert found["id"] == "authorizationPolicy"
    assert found["defaultUserRolePermissions"]["permissionGrantPoliciesAssigned"] == [
        *(f"ManagePermissionGrantsForSelf.{policy}" for policy in policies),
        *TEAM_AND_CHAT,
    ]


def test_the_beta_version_names_the_assigned_policies_otherwise(
    place: Place, graph: Caller
) -> None:
    place.firm.policies.user_consent = LOW
    graph.root = graph.root.replace("v1.0", "beta")
    for path in (
        "policies/authorizationPolicy",
        "policies/authorizationPolicy/authorizationPolicy",
    ):
        found = graph.get(path)
        assert "permissionGrantPoliciesAssigned" not in found["defaultUserRolePermissions"]
        assigned = found["permissionGrantPolicyIdsAssignedToDefaultUserRole"]
        assert assigned[0] == f"ManagePermissionGrantsForSelf.{LOW}"


def test_a_change_of_the_setting_is_discarded_where_microsoft_manages_it(place: Place) -> None:
    path, policies = "policies/authorizationPolicy", place.firm.policies
    Caller(place, "Policy.Read.All").patch(path, {}, 403)
    graph = Caller(place, "Policy.ReadWrite.Authorization")

    def wanted(*ids: str) -> dict[str, Any]:
        assigned = [f"managePermissionGrantsForSelf.{id_}" for id_ in ids]
        return {"defaultUserRolePermissions": {"permissionGrantPoliciesAssigned": assigned}}

    graph.patch(path, wanted(LOW))
    assert policies.user_consent == LOW
    graph.patch(path, {"allowedToUseSSPR": False})
    graph.patch(path, wanted("my-own"), 400)
    assert policies.user_consent == LOW
    graph.patch(path, wanted())
    assert policies.user_consent == ""
    graph.patch(path, wanted(MANAGED_CONSENT))
    graph.patch(path, wanted(LEGACY))
    assert policies.user_consent == MANAGED_CONSENT
    graph.patch("policies/defaultAppManagementPolicy", {}, 405)


def test_whether_users_may_ask_their_administrator(place: Place, graph: Caller) -> None:
    path = "policies/adminConsentRequestPolicy"
    assert graph.get(path)["isEnabled"] is False
    place.firm.policies.consent_requests = True
    assert graph.get(path)["isEnabled"] is True


def test_the_managed_policy_excludes_the_mail_protocols_but_sending(graph: Caller) -> None:
    names = {
        offer["id"]: offer["value"]
        for offer in graph.get(f"servicePrincipals(appId='{EXCHANGE_APP_ID}')")[
            "oauth2PermissionScopes"
        ]
    }
    excluded = {e["resourceApplication"]: e for e in graph.get(f"{MANAGED}/excludes")["value"]}
    assert {names[id_] for id_ in excluded[EXCHANGE_APP_ID]["permissions"]} == {
        f"{protocol}.AccessAsUser.All" for protocol in ("EAS", "EWS", "IMAP", "POP")
    }
    assert set(excluded) == {EXCHANGE_APP_ID, GRAPH_APP_ID}
    (everything,) = graph.get(f"{MANAGED}/includes")["value"]
    assert everything["permissionType"] == "delegatedUserConsentable"
    apps = graph.get(
        "policies/permissionGrantPolicies/microsoft-user-default-allow-consent-apps/includes"
    )["value"]
    assert apps[0]["clientApplicationIds"] == list(EXEMPT_APPS)
    assert graph.get(MANAGED)["id"] == "microsoft-user-default-recommended"
    assert len(graph.get("policies/permissionGrantPolicies")["value"]) == 4
    graph.get("policies/permissionGrantPolicies/my-own/excludes", 404)


def test_the_low_impact_policy_and_the_classifications(place: Place, graph: Caller) -> None:
    place.firm.policies.low_impact_permissions = {"76faac2a-0f20-42f1-928a-50de5b9dbe52"}
    sets = graph.get(f"policies/permissionGrantPolicies/{LOW}/includes")["value"]
    assert {one["permissionClassification"] for one in sets} == {"low"}
    assert [one["clientApplicationsFromVerifiedPublisherOnly"] for one in sets] == [True, False]
    assert sets[1]["clientApplicationTenantIds"] == [place.firm.tenant_id]
    path = f"servicePrincipals(appId='{EXCHANGE_APP_ID}')/delegatedPermissionClassifications"
    (found,) = graph.get(path)["value"]
    assert (found["permissionName"], found["classification"]) == ("SMTP.Send", "low")


def test_each_reading_needs_its_permission(place: Place) -> None:
    nothing = Caller(place, "Application.Read.All")
    paths = (
        "policies/authorizationPolicy",
        "policies/permissionGrantPolicies",
        f"{MANAGED}/includes",
        "policies/defaultAppManagementPolicy",
        "policies/appManagementPolicies",
        f"applications/{place.firm.app.object_id}/appManagementPolicies",
    )
    for path in paths:
        assert nothing.get(path, 403)["error"]["code"] == "Authorization_RequestDenied"
    Caller(place, "Policy.Read.All").get(f"{MANAGED}/includes", 403)
    secret = f"applications/{place.firm.app.object_id}/addPassword"
    assert nothing.post(secret, {}, 403)["error"]["code"] == "Authorization_RequestDenied"


def test_a_new_secret_is_told_once_and_can_be_removed(place: Place, graph: Caller) -> None:
    app = place.firm.app
    wanted = {"displayName": "msoauth 2026-11", "endDateTime": "2027-05-29T00:00:00Z"}
    path = f"applications(appId='{app.app_id}')/"
    made = graph.post(f"{path}addPassword", {"passwordCredential": wanted})
    assert made["@odata.context"].endswith("$metadata#microsoft.graph.passwordCredential")
    assert made["displayName"] == "msoauth 2026-11"
    assert made["endDateTime"].startswith("2027-05-29T00:00:00")
    assert made["secretText"] == app.secrets[-1].value
    assert made["hint"] == made["secretText"][:3]
    assert made["secretText"] not in str(graph.get(f"applications/{app.object_id}"))
    unlimited = graph.post(f"{path}addPassword", {})
    assert int(unlimited["endDateTime"][:4]) - int(unlimited["startDateTime"][:4]) == 2
    assert graph.post(f"{path}removePassword", {"keyId": made["keyId"]}, 204) == {}
    graph.post(f"{path}removePassword", {"keyId": made["keyId"]}, 400)
    assert len(app.secrets) == 2
    wrong: list[Any] = [
        {"passwordCredential": []},
        {"passwordCredential": {"endDateTime": "soon"}},
        [1],
    ]
    for bad in wrong:
        graph.post(f"{path}addPassword", bad, 400)
    graph.post("applications/nowhere/addPassword", {}, 404)
    graph.post(f"applications/{app.object_id}", {}, 405)


def _secret(days: int) -> dict[str, Any]:
    return {
        "passwordCredential": {
            "startDateTime": "2026-12-01T00:00:00Z",
            "endDateTime": f"2026-12-{1 + days:02}T00:00:00Z",
        }
    }


def test_the_tenants_policy_on_secrets_is_shown_and_obeyed(place: Place, graph: Caller) -> None:
    app, policies = place.firm.app, place.firm.policies
    path = f"applications/{app.object_id}/addPassword"
    assert graph.get("policies/defaultAppManagementPolicy")["isEnabled"] is False
    policies.max_password_days = 7
    found = graph.get("policies/defaultAppManagementPolicy")
    assert found["isEnabled"] is True
    by_type = {
        r["restrictionType"]: r for r in found["applicationRestrictions"]["passwordCredentials"]
    }
    assert by_type["passwordAddition"]["state"] == "disabled"
    assert (by_type["passwordLifetime"]["state"], by_type["passwordLifetime"]["maxLifetime"]) == (
        "enabled",
        "P7D",
    )
    graph.post(path, _secret(7))
    error = graph.post(path, _secret(8), 400)["error"]
    assert error["code"] == "CredentialInvalidLifetimeAsPerAppPolicy"
    assert error["message"].startswith(
        "Credential lifetime exceeds the max value allowed as per assigned policy '00000000-"
    )
    graph.post(path, {}, 400)  # the default of two years is too long as well
    policies.block_passwords = True
    error = graph.post(path, _secret(1), 400)["error"]
    assert error["code"] == "CredentialTypeNotAllowedAsPerAppPolicy"
    assert error["message"] == "Credential type not allowed as per assigned policy"
    assert len(app.secrets) == 2
    policies.restricted_since = app.created + timedelta(seconds=1)
    graph.post(path, {})  # an older app is not restricted


def test_an_apps_own_policy_takes_the_place_of_the_tenants(place: Place, graph: Caller) -> None:
    app, policies = place.firm.app, place.firm.policies
    path = f"applications/{app.object_id}"
    assert graph.get(f"{path}/appManagementPolicies")["value"] == []
    policies.block_passwords, app.management_policy = True, EXEMPTION
    graph.post(f"{path}/addPassword", {})
    (own,) = graph.get(f"{path}/appManagementPolicies")["value"]
    assert own["restrictions"]["passwordCredentials"][0]["state"] == "disabled"
    assert graph.get("policies/appManagementPolicies")["value"] == [own]
    (applied,) = graph.get(f"policies/appManagementPolicies/{own['id']}/appliesTo")["value"]
    assert applied["appId"] == app.app_id
    policies.block_passwords = False
    app.management_policy = replace(EXEMPTION, block_passwords=True)
    graph.post(f"{path}/addPassword", {}, 400)
    graph.post(f"applications/{place.firm.apps[2].object_id}/addPassword", {})


def test_a_secret_that_is_there_stays_valid(place: Place) -> None:
    place.firm.policies.block_passwords, place.firm.policies.max_password_days = True, 1
    assert place.tokens()["access_token"]

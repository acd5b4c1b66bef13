"""Every form of the admin center: what it changes, what it says, and what it does not take."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests

from msoauth.practice import PracticeTenant
from msoauth.practice.admin.conditional_access import TEMPLATES
from msoauth.practice.admin.settings import SETTINGS
from msoauth.practice.consent_policies import LEGACY
from msoauth.practice.state import EXCHANGE_APP_ID, MANAGED_CONSENT
from tests.practice.admin.admin import Admin
from tests.practice.browser import MAIL, Browser, Place, forms, refused

OWN_ID = "11111111-2222-4333-8444-555555555555"
ANNA = "anna.lindqvist@contoso.example"


@pytest.fixture
def admin(place: Place) -> Admin:
    return Admin.at(place).open()


@pytest.mark.parametrize("path", SETTINGS)
def test_every_setting_can_be_set_to_each_of_its_values(admin: Admin, path: str) -> None:
    place = admin.place
    place.firm.policies.user_consent = MANAGED_CONSENT  # as in a new tenant
    area, _dot, name = path.partition(".")
    thing: Any = {
        "app": place.firm.app,
        "principal": place.firm.principal,
        "policies": place.firm.policies,
        "organisation": place.firm,
        "user": place.user(),
        "mailbox": place.firm.mailbox(ANNA),
    }[area]
    before = getattr(thing, name)
    (healthy,) = [choice for choice in SETTINGS[path].choices if choice.value == before]
    for choice in [c for c in SETTINGS[path].choices if c is not healthy] + [healthy]:
        admin.choose(path, choice.code)
        assert getattr(thing, name) == choice.value
        assert f"{SETTINGS[path].label}: {choice.label}" in admin.says


def test_menus_have_the_portals_names(admin: Admin) -> None:
    for words in (
        "App registrations",
        "Overview",
        "Certificates & secrets",
        "Authentication",
        "API permissions",
        "Enterprise applications",
        "Enabled for users to sign-in?",
        "Assignment required?",
        "Users and groups",
        "Consent and permissions",
        "Do not allow user consent",
        "Allow user consent for apps from verified publishers, for selected permissions",
        "Let Microsoft manage your consent settings",
        "Admin consent requests",
        "Application policies",
        "Block password addition",
        "Conditional Access",
        "Manage security defaults",
        "Sign-in logs",
        "Active users",
        "Manage email apps",
        "Authenticated SMTP",
        "POP",
        "IMAP",
        "Mail flow",
        "Turn off SMTP AUTH protocol for your organization",
        "Grant admin consent for Contoso Legal",
        "Allow public client flows",
        "Add a permission",
        "Application (client) ID",
        "Directory (tenant) ID",
    ):
        assert words in admin.says


# -- app registrations ------------------------------------------------------------------------------


def test_a_new_secret_is_shown_once_beside_its_id_and_works(admin: Admin) -> None:
    place, app = admin.place, admin.place.firm.app
    admin.send("new-secret", value="toolkit", more="365")
    made = app.secrets[-1]
    assert made.value in admin.says
    assert made.key_id in admin.says
    assert "only this once" in admin.says
    assert (made.end - made.start) == timedelta(days=365)
    address = admin.browser.url
    admin.browser.open(address)
    assert made.value not in admin.browser.page
    assert made.key_id in admin.says
    assert place.redeem(place.code(), client_secret=made.value).status_code == 200
    admin.send("delete-secret", made.key_id)
    assert refused(place.redeem(place.code(), client_secret=made.value))[2] == 7000215


def test_a_secret_that_has_ended_is_marked(admin: Admin) -> None:
    admin.send("new-secret", value="old", more="-1")
    assert "Expired" in admin.says
    form = admin.forms("new-secret")[0]
    admin.browser.submit(form, value="x", more="forever")
    assert admin.browser.status == 400


def test_a_new_secret_obeys_the_app_management_policies(admin: Admin) -> None:
    app, policies = admin.place.firm.app, admin.place.firm.policies
    policies.max_password_days = 90
    admin.send("new-secret", status=400, value="too long", more="180")
    assert "Credential lifetime exceeds the max value" in admin.says
    admin.open().send("new-secret", value="short", more="90")
    assert [s.display_name for s in app.secrets][1:] == ["short"]
    policies.block_passwords = True
    assert "Client secrets are blocked by tenant-wide policy" in admin.open().says
    admin.send("new-secret", status=400, value="none", more="90")
    assert "Client secrets are blocked by tenant-wide policy" in admin.says
    assert len(app.secrets) == 2
    admin.open().choose("app.management_policy", "exempt")
    admin.send("new-secret", value="exempt", more="730")
    assert app.secrets[-1].display_name == "exempt"


def test_permissions_are_classified_as_low_impact_by_name(admin: Admin) -> None:
    policies = admin.place.firm.policies
    admin.send("add", "policies.low_impact_permissions", value="POP.AccessAsUser.All")
    assert policies.low_impact_permissions == {"fb698133-92fa-453e-a9ed-688e10f2e5ac"}
    assert "POP.AccessAsUser.All (Office 365 Exchange Online)" in admin.says
    admin.send("add", "policies.low_impact_permissions", status=400, value="POP.AccessAsApp")
    (listed,) = admin.open().forms("remove", "policies.low_impact_permissions")
    admin.browser.submit(listed)
    assert policies.low_impact_permissions == set()


def test_redirect_uris_are_checked_as_in_the_portal(admin: Admin) -> None:
    app = admin.place.firm.app
    admin.send("add", "app.public_client_redirect_uris", value="http://localhost/desktop")
    assert app.public_client_redirect_uris == ["http://localhost/desktop"]
    admin.send("add", "app.web_redirect_uris", 400, value="http://contoso.example/cb")
    assert "needs https" in admin.says
    admin.open().send("remove", "app.web_redirect_uris", value="http://localhost")
    assert app.web_redirect_uris == []
    assert (
        admin.place.redeem(
            admin.place.code(redirect_uri="http://localhost/desktop"),
            redirect_uri="http://localhost/desktop",
            client_secret="",
        ).status_code
        == 200
    )


def test_permissions_are_listed_granted_and_revoked(admin: Admin) -> None:
    place, principal = admin.place, admin.place.firm.principal
    added = f"{EXCHANGE_APP_ID}|EWS.AccessAsUser.All|Scope"
    admin.send("add-permission", value=added)
    assert "Not granted for all users" in admin.says
    admin.send("grant-admin-consent")
    assert "EWS.AccessAsUser.All" in principal.admin_consent[EXCHANGE_APP_ID]
    assert "Granted for Contoso Legal" in admin.says
    place.tokens()  # nobody is asked any more
    admin.send("remove-permission", added)
    assert (EXCHANGE_APP_ID, "EWS.AccessAsUser.All", "Scope") not in place.firm.app.required
    admin.send("revoke-consent", "admin")
    assert not principal.admin_consent
    browser = place.browser().open(place.authorize_url()).give_name_and_password(place.user())
    browser.submit(press="Accept")
    admin.open().send("revoke-consent", place.user().id)
    assert not principal.user_consent


def test_each_app_of_the_tenant_can_be_looked_at(admin: Admin) -> None:
    service = admin.place.firm.apps[2]
    admin.looks_at["app"] = service.object_id
    admin.open()
    assert service.app_id in admin.says
    principal = admin.place.firm.principals[2]
    admin.send("new-service-principal", "", value=service.object_id)
    assert principal.exchange_object_id == service.object_id
    assert "not the Object ID of the enterprise application" in admin.says
    admin.browser.submit(admin.forms("new-service-principal")[0], value=principal.object_id)
    assert principal.exchange_object_id == principal.object_id


def test_a_request_for_consent_is_approved_or_denied(admin: Admin) -> None:
    place = admin.place
    place.firm.policies.user_consent, place.firm.policies.consent_requests = "", True
    for name in ("anna.lindqvist", "max.weiss"):
        browser = (
            place.browser().open(place.authorize_url()).give_name_and_password(place.user(name))
        )
        browser.submit(press="Request approval", reason="To fetch mail")
    admin.open()
    assert "To fetch mail" in admin.says
    admin.send("decide-request", value="deny")
    assert len(place.firm.consent_requests) == 1
    assert not place.firm.principal.admin_consent
    admin.send("decide-request", value="approve")
    assert not place.firm.consent_requests
    assert place.tokens()["access_token"]


def test_assignment_by_name(admin: Admin) -> None:
    place = admin.place
    place.firm.principal.app_role_assignment_required = True
    browser = place.browser().open(place.authorize_url()).give_name_and_password(place.user())
    assert "AADSTS50105" in browser.answer["error_description"]
    admin.send("add", "principal.assigned_users", value=ANNA)
    assert "Permissions requested" in browser.open(place.authorize_url()).says
    admin.open().send("remove", "principal.assigned_users", value=place.user().id)
    assert not place.firm.principal.assigned_users
    admin.send("add", "principal.assigned_users", 400, value="nobody@contoso.example")


# -- users and mailboxes ----------------------------------------------------------------------------


def test_resetting_a_password_and_ending_sessions_revokes(admin: Admin) -> None:
    place = admin.place
    place.tenant.state.clock.advance(timedelta(seconds=-9))
    web, desktop = place.tokens(), place.tokens(app=place.firm.apps[1])
    place.tenant.state.clock.advance(timedelta(seconds=9))
    admin.looks_at["user"] = ANNA
    admin.open().send("reset-password", ANNA, value="basalt-kelp-11", more="change")
    anna = place.user()
    assert (anna.password, anna.password_expired) == ("basalt-kelp-11", True)
    assert "basalt-kelp-11" not in admin.browser.page
    assert refused(place.refresh(web["refresh_token"]))[2] == 50173
    assert refused(place.refresh(desktop["refresh_token"], place.firm.apps[1]))[2] == 50173
    admin.send("reset-password", ANNA, 400, value="short")
    anna.password_expired = False
    place.tenant.state.clock.advance(timedelta(seconds=2))
    web = place.tokens()
    place.tenant.state.clock.advance(timedelta(seconds=2))
    admin.open().send("revoke-sessions", ANNA)
    assert refused(place.refresh(web["refresh_token"]))[2] == 50173


def test_a_user_is_unlocked_deleted_and_restored(admin: Admin) -> None:
    place, anna = admin.place, admin.place.user()
    anna.locked_until = place.tenant.state.clock.time() + 99
    admin.open().send("unlock", ANNA)
    assert anna.locked_until == 0
    admin.send("delete-user", ANNA)
    assert ANNA not in place.firm.users
    admin.send("restore-user", ANNA)
    assert place.firm.users[ANNA] is anna


def test_aliases_and_delegation(admin: Admin) -> None:
    place = admin.place
    admin.send("add", "user.aliases", value="Anna@contoso.example")
    assert place.user().aliases == ("anna@contoso.example",)
    admin.send("add", "user.aliases", 400, value="anna@fabrikam.example")
    admin.looks_at["mailbox"] = "office@contoso.example"
    office = place.firm.mailboxes["office@contoso.example"]
    admin.open().send("add", "mailbox.send_as", value="MAX.weiss@contoso.example")
    admin.send("add", "mailbox.full_access", value=place.firm.principal.object_id)
    assert "max.weiss@contoso.example" in office.send_as
    assert place.firm.principal.object_id in office.full_access
    admin.send("remove", "mailbox.full_access", value=ANNA)
    assert ANNA not in office.full_access
    admin.send("add", "mailbox.full_access", 400, value="somebody")


def test_ten_thousand_users_are_searched_and_paged() -> None:
    with PracticeTenant(accounts=10_000) as tenant:
        admin = Admin.at(Place(tenant)).open()
        assert "10005 users, page 1 of 501" in admin.says
        assert len(admin.browser.page) < 200_000
        admin.open(page=500)
        assert "user10000@contoso.example" in admin.says
        admin.open(find="user 7777")
        assert "1 user" in admin.says
        assert "user07777@contoso.example" in admin.says
        admin.looks_at["user"] = "user07777@contoso.example"
        admin.open().choose("mailbox.pop_enabled", "off")
        firm = tenant.state.tenant("contoso.example")
        assert firm is not None
        assert firm.mailboxes["user07777@contoso.example"].pop_enabled is False


# -- the practice tenant itself -----------------------------------------------------------------------


def test_the_clock_is_moved_and_set_back(admin: Admin) -> None:
    clock = admin.place.tenant.state.clock
    admin.send("move-clock", value="1,5", more="hours")
    assert clock.offset == timedelta(hours=1.5)
    for bad in ("soon", "1e99", "", "nan", "-99999999"):
        admin.browser.submit(admin.forms("move-clock")[0], value=bad)
        assert admin.browser.status == 400, bad
        admin.open()
    admin.send("reset-clock")
    assert clock.offset == timedelta()
    admin.send("latency", value="40")
    assert admin.place.tenant.state.latency == 0.04
    admin.send("latency", status=400, value="-1")


def test_a_scenario_is_started_for_one_account_and_ended(admin: Admin) -> None:
    place = admin.place
    admin.send("start-scenario", value="pop-off", more=ANNA)
    assert place.firm.mailboxes[ANNA].pop_enabled is False
    assert place.firm.mailboxes["max.weiss@contoso.example"].pop_enabled is True
    assert "broken on purpose: pop-off@" in admin.says
    (running,) = place.tenant.scenarios.active
    admin.send("end-scenario", running.id)
    assert place.firm.mailboxes[ANNA].pop_enabled is True
    assert "broken on purpose" not in admin.says
    admin.send("start-scenario", status=400, value="pop-off", more="nobody@contoso.example")
    assert "no firm or account" in admin.says
    admin.open().send("start-scenario", status=400, value="clock-ahead", more=ANNA)


def test_what_was_noted_down_wrongly_is_corrected_without_showing_secrets(admin: Admin) -> None:
    tenant, secret, anna = admin.place.tenant, admin.place.firm.app.secrets[0], admin.place.user()
    for scenario in ("secret-id-noted", "password-mistyped", "smtp-name-wrong"):
        admin.open().send("start-scenario", value=scenario)
    for hidden in (secret.value, anna.password):
        assert hidden not in admin.browser.page
    assert "smtp.does-not-exist.invalid" in admin.says
    admin.send("correct", "smtp/host")
    assert tenant.endpoints["smtp"]["host"] == "localhost"
    assert '"smtp.does-not-exist' not in tenant.endpoints_file.read_text(encoding="utf-8")
    while wrong := admin.forms("correct"):
        admin.send("correct", wrong[0].fields["on"])
    firm = tenant.endpoints["practice"]["firms"][0]
    assert firm["client_secret"] == firm["apps"][0]["client_secret"] == secret.value
    assert firm["accounts"][1]["password"] == anna.password


def test_another_tenant_is_looked_at_by_itself(admin: Admin) -> None:
    _home, other = admin.place.tenant.state.tenants.values()
    form = next(f for f in forms(admin.browser.page) if "tenant" in f.options)
    admin.browser.submit(form, tenant=other.tenant_id)
    assert other.app.app_id in admin.says
    admin.choose("policies.user_consent", "off")
    assert other.policies.user_consent == ""
    assert admin.place.firm.policies.user_consent == LEGACY


# -- the logs -----------------------------------------------------------------------------------------


def test_an_id_from_an_error_finds_the_line(admin: Admin) -> None:
    place = admin.place
    body = place.redeem("x").json()
    place.post(
        "token",
        {"client_id": place.firm.app.app_id, "grant_type": "refresh_token", "refresh_token": "x"},
        headers={"client-request-id": OWN_ID},
    )
    place.browser().open(place.authorize_url()).give_name_and_password(place.user(), "wrong")
    for wanted, found in (
        (body["trace_id"], "AADSTS9002313"),
        (body["correlation_id"], "AADSTS9002313"),
        (OWN_ID, "AADSTS9002313"),
        ("50126", ANNA),
    ):
        admin.open(log=wanted)
        section = admin.browser.page.split('id="signins"')[1].split("</section>")[0]
        assert found in section
    admin.open(log="00000000-aaaa")
    assert "Nothing like that was found." in admin.says


def test_the_log_of_changes_names_them_without_values(admin: Admin) -> None:
    admin.looks_at["user"] = ANNA
    admin.open().send("reset-password", ANNA, value="planted-marker-1", more="keep")
    admin.choose("policies.security_defaults", "on")
    text = " ".join(
        entry.outcome for entry in admin.place.tenant.state.log if entry.kind == "admin"
    )
    assert "set policies.security_defaults" in text
    assert "planted-marker-1" not in text


# -- Conditional Access -------------------------------------------------------------------------------


def test_policies_are_shown_switched_and_narrowed(admin: Admin) -> None:
    place = admin.place
    token = place.tokens()["refresh_token"]
    policy = place.managed("Multifactor authentication for all users")
    assert f"{policy.display_name} Report-only" in admin.says
    assert "Authentication flows: Device code flow" in admin.says
    assert not [f for f in admin.forms("delete-policy") if f.fields["on"] == policy.id]
    admin.send("policy-state", policy.id, value="enabled")
    assert refused(place.refresh(token))[2] == 50076
    admin.send("exclude-from-policy", policy.id, value=ANNA)
    assert f"All users – except {ANNA}" in admin.says
    assert place.refresh(token).status_code == 200
    admin.send("include-in-policy", policy.id)
    assert refused(place.refresh(token))[2] == 50076
    admin.send("policy-state", policy.id, value="disabled")
    assert place.refresh(token).status_code == 200


@pytest.mark.parametrize(
    ("template", "number"),
    [
        ("Block access to mail", 53003),
        ("Require multifactor authentication", 50076),
        ("Require multifactor authentication for administrators", 50076),
        ("Require a compliant device or multifactor authentication", 50076),
        ("Require a compliant device", 53000),
        ("Require a managed device", 530003),
        ("Require a hybrid joined device", 50097),
        ("Require an approved client app", 53002),
        ("Block legacy authentication", None),
        ("Block device code flow", None),
        ("Sign-in frequency: one hour", 70043),
    ],
)
def test_a_new_policy_does_what_its_name_says(
    admin: Admin, template: str, number: int | None
) -> None:
    place = admin.place
    token = place.tokens()["refresh_token"]
    other = place.tokens(place.user("max.weiss"))["refresh_token"]
    assert set(TEMPLATES) == set(admin.forms("new-policy")[0].options["value"])
    admin.send("new-policy", value=template, more=ANNA)
    place.tenant.state.clock.advance(timedelta(hours=2))
    answer = place.refresh(token).json()
    assert (answer.get("error_codes") or [None])[0] == number
    assert place.refresh(other).status_code == 200
    made = place.firm.policies.conditional_access[-1]
    admin.send("delete-policy", made.id)
    assert place.refresh(token).status_code == 200


def test_a_policy_for_administrators_is_for_nobody_else(admin: Admin) -> None:
    place = admin.place
    mine, bosses = (place.tokens(u)["refresh_token"] for u in (place.user(), place.user("admin")))
    admin.send("new-policy", value="Require multifactor authentication for administrators")
    assert place.refresh(mine).status_code == 200
    assert refused(place.refresh(bosses))[2] == 50076


def test_what_a_policy_cannot_be_is_refused(admin: Admin) -> None:
    managed = admin.place.managed("Block device code flow")
    form = admin.forms("policy-state", managed.id)[0]
    for fields in (
        {"value": "sideways"},
        {"on": "nothing", "value": "enabled"},
        {"change": "delete-policy"},
        {"change": "exclude-from-policy", "value": "nobody@contoso.example"},
        {"change": "new-policy", "value": "Be nice"},
        {"change": "new-policy", "value": "Block device code flow", "more": "nobody"},
    ):
        admin.browser.submit(form, **fields)
        assert admin.browser.status == 400, fields
        admin.open()
    assert managed.state == "enabledForReportingButNotEnforced"


# -- who may ------------------------------------------------------------------------------------------


def _without_token(form: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in form.items() if name != "token"}


@pytest.mark.parametrize("spoil", [_without_token, lambda form: form | {"token": "x"}])
def test_a_change_without_the_pages_token_is_refused(
    admin: Admin, spoil: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    form = admin.forms("set", "policies.security_defaults")[0]
    answer = requests.post(admin.place.tenant.admin_url, data=spoil(form.fields), timeout=20)
    assert answer.status_code == 403
    assert admin.place.firm.policies.security_defaults is False


def test_other_hosts_are_refused_also_with_the_token(admin: Admin) -> None:
    form = admin.forms("set", "policies.security_defaults")[0]
    answer = requests.post(
        admin.place.tenant.admin_url, data=form.fields, headers={"Host": "evil.example"}, timeout=20
    )
    assert answer.status_code == 403
    assert admin.place.firm.policies.security_defaults is False


def test_what_a_form_names_that_is_not_there_changes_nothing(admin: Admin) -> None:
    form = admin.forms("set", "policies.security_defaults")[0]
    for fields in (
        {"on": "policies.nothing"},
        {"on": "organisation.users"},
        {"value": "sideways"},
        {"change": "drop"},
        {"change": "add", "on": "user.password"},
        {"change": "remove", "on": "x"},
        {"change": "decide-request"},
        {"change": "restore-user"},
        {"change": "end-scenario"},
        {"change": "correct"},
        {"change": "add-permission", "value": "x|y"},
    ):
        admin.browser.submit(form, **fields)
        assert admin.browser.status == 400, fields
        admin.open()
    assert admin.place.firm.policies.security_defaults is False


def test_names_from_outside_are_never_read_as_html(place: Place, browser: Browser) -> None:
    evil = "<script>alert(1)</script>"
    place.firm.app.display_name = place.user().display_name = place.firm.name = evil
    place.tenant.state.log_event("sign-in", evil, tenant=evil, user=evil)
    browser.open(f"{place.tenant.admin_url}&find={evil}&log={evil}&user={evil}")
    assert browser.status == 200
    assert "<script>" not in browser.page
    assert "&lt;script&gt;" in browser.page
    assert (
        "script-src"
        not in requests.get(place.tenant.admin_url, timeout=20).headers["Content-Security-Policy"]
    )


def test_a_firm_without_anybody_can_be_looked_at(admin: Admin) -> None:
    admin.place.firm.users.clear()
    admin.place.firm.mailboxes.clear()
    admin.place.firm.apps.clear()
    admin.place.firm.principals.clear()
    admin.open()
    assert "no enterprise application" in admin.says
    assert MAIL not in admin.says

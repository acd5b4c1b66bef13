"""Everything a scenario breaks can be mended by hand in the admin center, for every scenario there is."""

import json
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest

from msoauth.practice import PracticeTenant, scenarios
from msoauth.practice.admin.settings import LISTINGS, SETTINGS
from msoauth.practice.scenario_settings import Reach
from msoauth.practice.state import Tenant
from tests.practice.admin.admin import Admin
from tests.practice.browser import Place

ANNA, OFFICE, BOSS = (
    "anna.lindqvist@contoso.example",
    "office@contoso.example",
    "admin@contoso.example",
)
# Nothing gives a revoked session back: the user signs in again.
MENDED_BY_SIGNING_IN = {"tokens_valid_from", "passwords_tokens_valid_from"}
State = dict[tuple[str, ...], Any]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with PracticeTenant() as tenant:
        yield Place(tenant)


def _attributes(thing: Any, *key: str) -> State:
    left_out = {
        "app",
        "users",
        "mailboxes",
        "apps",
        "principals",
        "policies",
        "conditional_access",
        "groups",
        "deleted_users",
        "consent_requests",
    }
    found: State = {}
    for known in fields(thing):
        if known.name not in left_out and not known.name.startswith("_"):
            value = getattr(thing, known.name)
            found[(*key, known.name)] = (
                value.copy() if isinstance(value, (set, list, dict)) else value
            )
    return found


def state(place: Place) -> State:
    """Every value that a scenario could change, by where it is."""
    tenant, firm = place.tenant, place.firm
    found = _attributes(firm, "organisation") | _attributes(firm.policies, "policies")
    for policy in firm.policies.conditional_access:
        found["policy", policy.id] = (policy.state, policy.exclude_users.copy())
    for number, app in enumerate(firm.apps):
        found |= _attributes(app, "app", str(number)) | _attributes(
            firm.principals[number], "principal", str(number)
        )
        found["app", str(number), "secrets"] = [(s.value, s.end) for s in app.secrets]
    found["organisation", "users"] = set(firm.users)
    for upn, user in firm.users.items():
        found |= _attributes(user, "user", upn)
    for address, box in firm.mailboxes.items():
        found |= _attributes(box, "mailbox", address)
    found |= {("fault", name): (value, aims) for name, value, aims in tenant.state.faults}
    found["clock", "offset"] = tenant.state.clock.offset
    found["endpoints", ""] = json.dumps(tenant.endpoints)
    return found


def differences(before: State, now: State) -> list[tuple[str, ...]]:
    return sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))


def _looks_at(firm: Tenant, key: tuple[str, ...]) -> dict[str, str]:
    """What the page has to be opened for, to mend that value."""
    if key[0] in ("app", "principal"):
        return {"app": firm.apps[int(key[1])].object_id}
    if key[0] in ("user", "mailbox"):
        return {key[0]: key[1]}
    return {}


def mend(place: Place, key: tuple[str, ...], good: Any) -> None:
    """Mend one value by the forms of the admin center, with nothing but what they offer."""
    admin = Admin.at(place, **_looks_at(place.firm, key)).open()
    path = f"{key[0]}.{key[-1]}"
    if path in SETTINGS:
        (choice,) = [c for c in SETTINGS[path].choices if c.value == good]
        admin.choose(path, choice.code)
    elif path in LISTINGS:
        _mend_list(admin, path, good, key)
    elif key[0] == "policy" and good is None:  # one that the scenario made
        admin.send("delete-policy", key[1])
    elif key[0] == "policy":
        admin.send("policy-state", key[1], value=good[0])
    elif key[0] == "fault":
        admin.send("clear-fault", key[1])
    elif key[0] == "endpoints":
        while wrong := admin.forms("correct"):
            admin.send("correct", wrong[0].fields["on"])
    elif key[0] == "clock":
        admin.send("reset-clock")
    elif path == "organisation.users":
        renamed = sorted(set(place.firm.users) - good)
        for upn in sorted(good - set(place.firm.users)):
            if upn in place.firm.deleted_users:
                admin.send("restore-user", upn)
            else:
                old = renamed.pop()
                Admin.at(place, user=old).open().send("rename-user", old, value=upn)
    elif path == "user.locked_until":
        admin.send("unlock", key[1])
    elif path == "user.password":
        admin.send("reset-password", key[1], value=good, more="keep")
    elif path in ("principal.admin_consent", "principal.user_consent", "principal.app_roles"):
        admin.send("grant-admin-consent")
    elif path == "principal.exchange_object_id":
        admin.browser.submit(admin.forms("new-service-principal")[0], value=good or "")
    elif path == "app.required":
        for entry in good:
            admin.send("add-permission", value="|".join(entry))
    elif path == "app.secrets":
        admin.send("new-secret", value="mended", more="180")
        assert place.firm.apps[int(key[1])].secrets[-1].value in admin.says
    elif key[-1] not in MENDED_BY_SIGNING_IN:
        pytest.fail(f"the admin center has no form for {key}")


def _mend_list(admin: Admin, path: str, good: Any, key: tuple[str, ...]) -> None:
    listed = next(iter(admin.forms("remove", path)), None)
    while listed is not None and (
        bad := [f for f in admin.forms("remove", path) if f.fields["value"] not in good]
    ):
        admin.browser.submit(bad[0])
    there = {form.fields["value"] for form in admin.forms("remove", path)}
    for item in good:
        if item not in there:
            admin.send("add", path, value=item)


def mended(place: Place, before: State) -> list[tuple[str, ...]]:
    """What still differs, where that is not as it should be: new secrets and consent may be other ones."""
    left = []
    for key in differences(before, state(place)):
        name = key[-1]
        if name in MENDED_BY_SIGNING_IN:
            continue
        if name == "secrets":
            now = place.tenant.state.clock.now()
            if any(s.end > now for s in place.firm.apps[int(key[1])].secrets):
                continue
        if name in ("admin_consent", "user_consent"):
            app = place.firm.apps[int(key[1])]
            principal, user = place.firm.principals[int(key[1])], place.user()
            if all(
                n in principal.consented(user.id, r)
                for r, n, kind in app.required
                if kind == "Scope"
            ):
                continue
        left.append(key)
    return left


def _aim(scenario: scenarios.Scenario) -> str:
    if scenario.reach is Reach.ACCOUNT:
        return f"@{OFFICE if scenario.account in ('shared', 'app-only') else BOSS if scenario.shows == 'graph' else ANNA}"
    return f"@{'contoso.example'}" if scenario.reach is Reach.FIRM else ""


@pytest.mark.parametrize(
    "scenario", [s for s in scenarios.scenarios() if s.set and s.cause], ids=lambda s: s.name
)
def test_a_scenario_is_mended_by_hand(place: Place, scenario: scenarios.Scenario) -> None:
    # Consent that a user gave is what some scenarios take away.
    place.firm.principal.user_consent = {
        place.user().id: {"00000002-0000-0ff1-ce00-000000000000": {"SMTP.Send"}}
    }
    before = state(place)
    take_back = place.tenant.scenarios.start(f"{scenario.name}{_aim(scenario)}")
    try:
        broken = differences(before, state(place))
        assert broken, "the scenario changes nothing"
        for key in broken:
            if key in differences(before, state(place)):  # not mended together with an earlier one
                mend(place, key, before.get(key))
        assert mended(place, before) == []
        # Nor does the page still tell of it (a revocation is over when the user signs in again).
        page = Admin.at(place).open().says
        revoked = any(path.partition(".")[2] in MENDED_BY_SIGNING_IN for path in scenario.set)
        assert ("broken on purpose" in page) is revoked
    finally:
        take_back()
        del place.firm.app.secrets[1:]
    assert [k for k in differences(before, state(place)) if k[-1] not in MENDED_BY_SIGNING_IN] == []


def test_the_scope_of_rbac_is_listed_and_changed_by_hand() -> None:
    with PracticeTenant() as tenant:
        place = Place(tenant)
        firm = place.firm
        admin = Admin.at(place, app=firm.apps[-1].object_id).open()
        for value in ("*", "office@contoso.example"):
            admin.send("add", "principal.smtp_scope", value=value)
        assert firm.principals[-1].smtp_scope == {"*", "office@contoso.example"}
        admin.send("add", "principal.smtp_scope", status=400, value="nobody@contoso.example")
        assert "There is no mailbox" in admin.says
        for form in admin.forms("remove", "principal.smtp_scope"):
            admin.browser.submit(form)
        assert firm.principals[-1].smtp_scope == set()


def test_the_next_request_sees_what_was_mended() -> None:
    with PracticeTenant() as tenant:
        place = Place(tenant)
        token = place.tokens()["refresh_token"]
        admin = Admin.at(place, user=ANNA)
        for scenario, setting, code in (
            ("sign-in-blocked", "user.account_enabled", "on"),
            ("app-disabled", "principal.account_enabled", "on"),
            ("app-deleted", "app.deleted", "off"),
            ("tenant-gone", "organisation.deprovisioned", "off"),
            ("exchange-not-subscribed", "organisation.exchange_online", "on"),
        ):
            tenant.scenarios.start(scenario)
            assert place.refresh(token).status_code >= 400, scenario
            admin.open().choose(setting, code)
            assert place.refresh(token).status_code == 200, scenario
        tenant.scenarios.start("token-service-down")
        assert place.refresh(token).status_code == 503
        admin.open().send("clear-fault", "token.status")
        assert place.refresh(token).status_code == 200
        tenant.state.clock.advance(timedelta(days=91))
        place.firm.app.secrets[0].end += timedelta(days=99)
        assert place.refresh(token).status_code == 400
        admin.open().send("reset-clock")
        assert place.refresh(token).status_code == 200

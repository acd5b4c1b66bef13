"""Conditional Access and security defaults at the practice sign-in: whom, what and which way each policy is for."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from msoauth.practice.conditional_access import (
    GLOBAL_ADMINISTRATOR,
    ConditionalAccessPolicy,
    SignInFacts,
    evaluate,
)
from msoauth.practice.state import EXCHANGE_APP_ID, GRAPH_APP_ID, Group
from tests.practice.browser import Place, refused

FACTS = SignInFacts(
    "me",
    frozenset({"All", "me"}),
    frozenset({"lawyers"}),
    frozenset({GLOBAL_ADMINISTRATOR}),
    EXCHANGE_APP_ID,
    frozenset({"All", EXCHANGE_APP_ID, "Office365", "our-app"}),
    "browser",
)


def _result(facts: SignInFacts = FACTS, /, **properties: Any) -> str:
    properties = {"built_in_controls": ("block",)} | properties
    (said,) = evaluate([ConditionalAccessPolicy("one", **properties)], facts)
    return said.result


@pytest.mark.parametrize(
    ("properties", "result"),
    [
        ({}, "failure"),
        ({"state": "disabled"}, "notEnabled"),
        ({"state": "enabledForReportingButNotEnforced"}, "reportOnlyFailure"),
        ({"include_users": {"me"}}, "failure"),
        ({"include_users": {"you"}}, "notApplied"),
        ({"include_users": set()}, "notApplied"),
        ({"include_users": set(), "include_groups": {"lawyers"}}, "failure"),
        ({"include_users": set(), "include_roles": {GLOBAL_ADMINISTRATOR}}, "failure"),
        ({"include_users": {"GuestsOrExternalUsers"}}, "notApplied"),
        ({"exclude_users": {"me"}}, "notApplied"),
        ({"exclude_groups": {"lawyers"}}, "notApplied"),
        ({"exclude_roles": {GLOBAL_ADMINISTRATOR}}, "notApplied"),
        ({"exclude_groups": {"others"}}, "failure"),
        ({"include_applications": {"Office365"}}, "failure"),
        ({"include_applications": {EXCHANGE_APP_ID}}, "failure"),
        ({"include_applications": {"our-app"}}, "failure"),
        ({"include_applications": {GRAPH_APP_ID}}, "notApplied"),
        ({"include_applications": {"MicrosoftAdminPortals"}}, "notApplied"),
        ({"exclude_applications": {"Office365"}}, "notApplied"),
        ({"client_app_types": {"browser"}}, "failure"),
        ({"client_app_types": {"mobileAppsAndDesktopClients", "other"}}, "notApplied"),
        ({"transfer_methods": {"deviceCodeFlow"}}, "notApplied"),
        ({"built_in_controls": ("mfa",)}, "failure"),
        ({"built_in_controls": (), "sign_in_frequency": timedelta(hours=1)}, "success"),
        (
            {"state": "enabledForReportingButNotEnforced", "include_users": {"you"}},
            "reportOnlyNotApplied",
        ),
        (
            {"state": "enabledForReportingButNotEnforced", "built_in_controls": ("mfa",)},
            "reportOnlyInterrupted",
        ),
    ],
)
def test_each_condition_counts(properties: dict[str, Any], result: str) -> None:
    assert _result(**properties) == result


@pytest.mark.parametrize(
    ("operator", "controls", "unmet"),
    [
        ("OR", ("compliantDevice", "mfa"), ()),
        ("AND", ("compliantDevice", "mfa"), ("compliantDevice",)),
        ("OR", ("block",), ("block",)),
        ("OR", ("mfa",), ()),
        (
            "OR",
            ("compliantDevice", "domainJoinedDevice"),
            ("compliantDevice", "domainJoinedDevice"),
        ),
    ],
)
def test_one_control_or_each_of_them(
    operator: str, controls: tuple[str, ...], unmet: tuple[str, ...]
) -> None:
    policy = ConditionalAccessPolicy("one", operator=operator, built_in_controls=controls)
    (said,) = evaluate([policy], replace(FACTS, satisfied=frozenset({"mfa"})))
    assert said.unmet == unmet


def test_a_device_code_and_an_old_sign_in() -> None:
    by_code = replace(FACTS, transfer_method="deviceCodeFlow")
    flows = {"deviceCodeFlow", "authenticationTransfer"}
    assert _result(by_code, transfer_methods=flows) == "failure"
    old = replace(FACTS, age=3601.0)
    hourly: dict[str, Any] = {"built_in_controls": (), "sign_in_frequency": timedelta(hours=1)}
    assert _result(old, **hourly) == "failure"


def test_exclusions_do_not_cover_baseline_scopes() -> None:
    """Facts, changes 1.6: a policy for all resources, with exclusions, covers sign-ins for openid and User.Read."""
    basic = replace(
        FACTS,
        resource=GRAPH_APP_ID,
        apps=frozenset({"All", GRAPH_APP_ID}),
        baseline_scopes_only=True,
    )
    assert _result(basic, exclude_applications={GRAPH_APP_ID}) == "failure"
    assert (
        _result(replace(basic, baseline_scopes_only=False), exclude_applications={GRAPH_APP_ID})
        == "notApplied"
    )
    named: dict[str, Any] = {"include_applications": {EXCHANGE_APP_ID}}
    assert _result(basic, **named) == "notApplied"


# -- at the sign-in -------------------------------------------------------------------------------------


def test_microsofts_own_policies_are_there_and_only_report(place: Place) -> None:
    policies = place.firm.policies.conditional_access
    assert [p.microsoft_managed for p in policies] == [True] * 4
    assert {p.state for p in policies} == {"enabledForReportingButNotEnforced"}
    place.tokens()


def test_a_second_factor_is_asked_for_in_the_browser_and_then_enough(place: Place) -> None:
    place.managed("Multifactor authentication for all users").state = "enabled"
    browser = place.browser().open(place.authorize_url()).give_name_and_password(place.user())
    code = browser.says.split("the app would show ")[1][:6]
    browser.submit(otc=code).submit(press="Accept")
    tokens = place.redeem(browser.answer["code"]).json()
    assert place.refresh(tokens["refresh_token"]).status_code == 200
    silent = browser.open(place.authorize_url(prompt="none"))
    assert silent.answer["code"]  # the session has the second factor


def test_who_has_not_registered_must_do_so(place: Place) -> None:
    place.require("mfa")
    place.user().mfa_registered = False
    browser = place.browser().open(place.authorize_url()).give_name_and_password(place.user())
    assert "More information required" in browser.says
    assert "AADSTS50079" in "".join(entry.outcome for entry in place.tenant.state.log)
    code = (
        place.browser().open(place.authorize_url()).give_name_and_password(place.user("zoe.obrien"))
    )
    browser.submit(otc=code.says.split("the app would show ")[1][:6])
    assert "Permissions requested" in browser.says


def test_a_device_or_a_second_factor_leaves_the_second_factor(place: Place) -> None:
    place.require("compliantDevice", "mfa")
    browser = place.browser().open(place.authorize_url()).give_name_and_password(place.user())
    assert "the app would show" in browser.says


def test_a_device_and_a_second_factor_is_refused_for_the_device(place: Place) -> None:
    place.require("compliantDevice", "mfa", operator="AND")
    browser = place.browser().open(place.authorize_url()).give_name_and_password(place.user())
    assert "AADSTS53000" in browser.answer["error_description"]


def test_a_block_wins_over_what_could_still_be_proved(place: Place) -> None:
    place.require("mfa")
    place.require("block")
    browser = place.browser().open(place.authorize_url()).give_name_and_password(place.user())
    assert "AADSTS53003" in browser.answer["error_description"]


def test_a_policy_for_mail_leaves_graph_alone(place: Place) -> None:
    graph = "https://graph.microsoft.com/User.Read offline_access"
    token = place.tokens()["refresh_token"]
    own = place.tokens(scope=graph)["refresh_token"]
    place.require("block", include_applications={"Office365"})
    assert refused(place.refresh(token))[2] == 53003
    assert place.refresh(own, scope=graph).status_code == 200


def test_a_policy_for_a_group_and_one_for_a_role(place: Place) -> None:
    group = Group("Lawyers", {place.user().id})
    place.firm.groups.append(group)
    mine, max_, boss = (
        place.tokens(place.user(name))["refresh_token"]
        for name in ("anna.lindqvist", "max.weiss", "admin")
    )
    policy = place.require("block", include_users=set(), include_groups={group.id})
    assert [place.refresh(t).status_code for t in (mine, max_, boss)] == [400, 200, 200]
    policy.include_groups, policy.include_roles = set(), {GLOBAL_ADMINISTRATOR}
    assert [place.refresh(t).status_code for t in (mine, max_, boss)] == [200, 200, 400]
    policy.include_users, policy.include_roles, policy.exclude_groups = {"All"}, set(), {group.id}
    assert [place.refresh(t).status_code for t in (mine, max_, boss)] == [200, 400, 400]


def test_the_challenge_names_each_policy_that_failed(place: Place) -> None:
    token = place.tokens()["refresh_token"]
    failing = [place.require("mfa"), place.require("mfa", include_users={place.user().id})]
    place.require("mfa", include_users=set())
    claims = place.refresh(token).json()["claims"]
    assert all(policy.id in claims for policy in failing)
    assert place.firm.policies.conditional_access[-1].id not in claims


def test_a_session_older_than_the_frequency_wants_the_password_again(place: Place) -> None:
    browser = place.browser().open(place.authorize_url()).give_name_and_password(place.user())
    browser.submit(press="Accept")
    place.require(sign_in_frequency=timedelta(hours=1))
    assert browser.open(place.authorize_url()).answer["code"]
    place.tenant.state.clock.advance(timedelta(hours=2))
    silent = browser.open(place.authorize_url(prompt="none")).answer
    assert "AADSTS50058" in silent["error_description"]
    browser.open(place.authorize_url())
    assert "Enter password" in browser.says
    browser.submit(passwd=place.user().password)
    assert place.redeem(browser.answer["code"]).status_code == 200


def test_what_came_of_a_blocked_flow_is_told_apart_by_its_scope(place: Place) -> None:
    app = place.firm.apps[1]
    started = place.post(
        "devicecode",
        {"client_id": app.app_id, "scope": "https://outlook.office.com/SMTP.Send offline_access"},
    ).json()
    browser = place.browser().open(f"{place.tenant.people_url}/devicelogin")
    browser.submit(otc=started["user_code"]).give_name_and_password(place.user())
    browser.submit(press="Continue").submit(press="Accept")
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    form = {"client_id": app.app_id, "grant_type": grant, "device_code": started["device_code"]}
    token = place.post("token", form).json()["refresh_token"]
    policy = place.require("block", transfer_methods={"deviceCodeFlow"})
    scope = "https://outlook.office.com/SMTP.Send"
    whole = place.refresh(token, app, scope=scope).json()["error_description"]
    assert "AADSTS530036" in whole
    assert "should be deleted" in whole
    policy.include_applications = {"Office365"}
    part = place.refresh(token, app, scope=scope).json()["error_description"]
    assert "AADSTS530036" in part
    assert "should be deleted" not in part


# -- security defaults ------------------------------------------------------------------------------


def test_security_defaults_want_everybody_registered_and_ask_administrators(place: Place) -> None:
    tokens = {
        name: place.tokens(place.user(name))["refresh_token"]
        for name in ("anna.lindqvist", "max.weiss", "admin")
    }
    place.firm.policies.security_defaults = True
    place.user("max.weiss").mfa_registered = False
    assert place.refresh(tokens["anna.lindqvist"]).status_code == 200
    assert refused(place.refresh(tokens["max.weiss"]))[2] == 50079
    assert refused(place.refresh(tokens["admin"]))[2] == 50076
    browser = place.browser().open(place.authorize_url())
    browser.give_name_and_password(place.user("max.weiss"))
    assert "More information required" in browser.says


def test_a_password_at_the_token_endpoint_meets_policies(place: Place) -> None:
    app = place.firm.apps[1]
    form = {
        "client_id": app.app_id,
        "grant_type": "password",
        "username": place.user().upn,
        "password": place.user().password,
        "scope": "https://outlook.office.com/SMTP.Send",
    }
    place.firm.principals[1].admin_consent = {EXCHANGE_APP_ID: {"SMTP.Send"}}
    assert place.post("token", form).status_code == 200
    factor = place.require("mfa")
    assert refused(place.post("token", form))[2] == 50076
    place.firm.policies.conditional_access.remove(factor)
    place.firm.policies.security_defaults = True
    assert refused(place.post("token", form))[1:] == ("access_denied", 530035)

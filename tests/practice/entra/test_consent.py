"""What users may consent to themselves, by the setting of their tenant (facts L1, K2.7, K5.2)."""

from collections.abc import Iterator

import pytest

from msoauth.practice import PracticeTenant
from msoauth.practice.consent_policies import EXEMPT_APPS, LEGACY, LOW
from msoauth.practice.registrations import AppRegistration
from msoauth.practice.state import EXCHANGE_APP_ID, MANAGED_CONSENT
from tests.practice.browser import Browser, Place

OUTLOOK, GRAPH = "https://outlook.office.com", "https://graph.microsoft.com"
POP, SEND = f"{OUTLOOK}/POP.AccessAsUser.All", f"{OUTLOOK}/SMTP.Send"
POP_ID = "fb698133-92fa-453e-a9ed-688e10f2e5ac"


@pytest.fixture
def new() -> Iterator[Place]:
    """Two tenants as a customer gets them, but for the administrator's consent, which is taken away."""
    with PracticeTenant(firms=2) as tenant:
        for firm in tenant.state.tenants.values():
            for principal in firm.principals:
                principal.admin_consent.clear()
        yield Place(tenant)


def _sign_in(place: Place, scope: str, app: AppRegistration | None = None, **more: str) -> Browser:
    browser = place.browser().open(place.authorize_url(app, scope=f"{scope} openid", **more))
    return browser.give_name_and_password(place.user())


def _asked(browser: Browser) -> str:
    """What the last page wants: ``admin``, ``user``, or nothing because the app was answered."""
    if browser.went_to:
        return ""
    return "user" if "Permissions requested" in browser.says else "admin"


@pytest.mark.parametrize(
    ("scope", "asked"),
    [
        (POP, "admin"),
        (f"{OUTLOOK}/IMAP.AccessAsUser.All", "admin"),
        (f"{OUTLOOK}/EAS.AccessAsUser.All", "admin"),
        (f"{OUTLOOK}/EWS.AccessAsUser.All", "admin"),
        (SEND, "user"),
        (f"{POP} {SEND}", "admin"),
        (f"{GRAPH}/POP.AccessAsUser.All", "user"),
        (f"{GRAPH}/Mail.Read", "admin"),
        (f"{GRAPH}/User.Read", "user"),
        (f"{GRAPH}/Directory.Read.All", "admin"),
    ],
)
def test_where_microsoft_manages_consent(new: Place, scope: str, asked: str) -> None:
    assert new.firm.policies.user_consent == MANAGED_CONSENT
    assert _asked(_sign_in(new, scope)) == asked


@pytest.mark.parametrize(
    ("setting", "send", "pop"),
    [("", "admin", "admin"), (LOW, "admin", "admin"), (LEGACY, "user", "user")],
)
def test_the_other_settings(new: Place, setting: str, send: str, pop: str) -> None:
    new.firm.policies.user_consent = setting
    assert (_asked(_sign_in(new, SEND)), _asked(_sign_in(new, POP))) == (send, pop)


def test_what_is_classified_low_needs_a_verified_publisher_or_an_app_of_the_tenant(
    new: Place,
) -> None:
    policies, (_home, other) = new.firm.policies, new.tenant.state.tenants.values()
    policies.user_consent, policies.low_impact_permissions = LOW, {POP_ID}
    assert _asked(_sign_in(new, POP)) == "user"
    assert _asked(_sign_in(new, SEND)) == "admin"
    foreign = other.app
    foreign.sign_in_audience = "AzureADMultipleOrgs"
    assert _asked(_sign_in(new, POP, foreign)) == "admin"
    foreign.verified_publisher = True
    assert _asked(_sign_in(new, POP, foreign)) == "user"


@pytest.mark.parametrize("client_id", EXEMPT_APPS)
def test_the_known_mail_apps_are_exempt(new: Place, client_id: str) -> None:
    """So that it works in Thunderbird proves nothing for the firm's app."""
    _home, other = new.tenant.state.tenants.values()
    other.register(
        AppRegistration(
            client_id,
            "A mail app",
            sign_in_audience="AzureADMultipleOrgs",
            public_client_redirect_uris=["http://localhost"],
        )
    )
    assert _asked(_sign_in(new, POP, other.apps[-1])) == "user"
    assert _asked(_sign_in(new, POP)) == "admin"
    new.firm.policies.user_consent = ""
    assert _asked(_sign_in(new, POP, other.apps[-1])) == "admin"


def test_a_seeded_firm_holds_an_administrators_consent() -> None:
    with PracticeTenant() as tenant:
        place = Place(tenant)
        for app in place.firm.apps[:2]:
            assert _asked(_sign_in(place, f"{POP} {SEND}", app)) == ""
        assert _asked(_sign_in(place, POP, prompt="consent")) == "admin"


def test_consent_that_was_given_stays_and_only_what_is_new_is_judged(new: Place) -> None:
    mine = {EXCHANGE_APP_ID: {"POP.AccessAsUser.All"}}
    new.firm.principal.user_consent[new.user().id] = mine
    assert _asked(_sign_in(new, POP)) == ""
    assert _asked(_sign_in(new, f"{POP} {SEND}")) == "user"
    assert _asked(_sign_in(new, f"{POP} {OUTLOOK}/IMAP.AccessAsUser.All")) == "admin"


def test_an_administrator_consents_wherever_users_may_not(new: Place) -> None:
    browser = new.browser().open(new.authorize_url(scope=POP))
    browser.give_name_and_password(new.user("admin")).submit(press="Accept", for_all="yes")
    assert _asked(_sign_in(new, POP)) == ""


def test_a_form_that_was_kept_does_not_help(new: Place) -> None:
    """The page was shown while users could consent; the setting counts when it is sent."""
    new.firm.policies.user_consent = LEGACY
    browser = _sign_in(new, POP)
    new.firm.policies.user_consent = MANAGED_CONSENT
    browser.submit(press="Accept")
    assert "Need admin approval" in browser.says
    assert not new.firm.principal.user_consent

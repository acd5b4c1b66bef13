"""What each notebook shows when it goes wrong, as it goes wrong at customers': whose fault, in whose words, and what to do."""

import re
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from tests.journey.conftest import Practice
from tests.journey.servers import dot, shot, sign_in_on

pytestmark = [
    pytest.mark.real("chromium"),
    pytest.mark.timeout(150),
    pytest.mark.xdist_group("journey"),
]

ANNA, MAX, ZOE = (
    f"{name}@contoso.example" for name in ("anna.lindqvist", "max.weiss", "zoe.obrien")
)


def test_a_wrong_secret_is_told_with_its_remedy_and_nothing_typed_is_lost(
    practice: Practice, page: Page
) -> None:
    known = practice.store.firms.list()[0]
    practice.store.firms.add(
        replace(known, name="Fabrikam Law"), "wrong~secret~wrong~secret~wrong~secret~12"
    )
    practice.choose(firm="Fabrikam Law")
    try:
        practice.lab.notebook(page, "1 Register the firm")
        page.get_by_role("button", name="Save and check").click()
        expect(dot(page)).to_have_attribute("data-state", "failed")
        findings = page.get_by_role("region", name="Findings")
        row = findings.locator("tr", has_text="registration.secret").first
        expect(row).to_contain_text("AADSTS7000215")  # in the server's own words, opened by itself
        expect(row).to_contain_text("secret-invalid")
        expect(row.get_by_role("link").first).to_have_attribute(
            "href", re.compile(f"Credentials/appId/{known.client_id}")
        )
        expect(page.get_by_label("Name of the firm")).to_have_value("Fabrikam Law")
        shot(page, "1-failed")
        page.get_by_label("Client secret value").fill("0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")
        expect(page.locator(".mso-field", has_text="Client secret value")).to_contain_text(
            "looks like the Secret ID"
        )
        expect(dot(page)).to_have_text("changed, not checked yet")
    finally:
        practice.store.firms.remove("Fabrikam Law")


def test_somebody_else_signs_in_and_nothing_is_stored_then_it_is_cancelled(
    practice: Practice, page: Page
) -> None:
    practice.choose(MAX)
    before = practice.store.tokens.status(MAX)
    practice.lab.notebook(page, "2 Sign in the users")
    page.get_by_label("How the users sign in").select_option("browser")
    row = page.get_by_role("region", name="Mailboxes").locator("tr", has_text=MAX)
    row.get_by_role("button", name="Sign in again").click()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open the sign-in page").click()
    sign_in_on(opened.value, ANNA, practice.password(ANNA))
    told = page.locator(".mso-box:visible", has_text=f"{ANNA} signed in").first
    expect(told).to_contain_text("nothing was stored")
    expect(dot(page)).to_have_attribute("data-state", "failed")
    shot(page, "2-somebody-else")
    assert practice.store.tokens.status(MAX) == before

    row.get_by_role("button", name="Sign in again").click()
    waiting = page.locator(".mso-box:visible", has_text="Waiting for the sign-in")
    expect(waiting.locator("[data-until]")).to_have_text(re.compile(r"^[0-4]:\d\d$"))
    waiting.get_by_role("button", name="Cancel").click()
    expect(waiting).to_have_count(0)
    expect(row.get_by_role("button", name="Sign in again")).to_be_visible()


def test_authenticated_smtp_is_off_and_both_notebooks_say_so(
    practice: Practice, page: Page
) -> None:
    practice.choose(ZOE)
    take_back = practice.tenant.scenarios.start(f"smtp-auth-off-mailbox@{ZOE}")
    try:
        practice.lab.notebook(page, "3 Retrieve and send")
        page.get_by_role("button", name="Send test mail").click()
        expect(dot(page)).to_have_attribute("data-state", "failed")
        findings = page.get_by_role("region", name="Findings")
        row = findings.locator("tr", has_text="smtp.send").first
        expect(row).to_contain_text("5.7.139")
        expect(row).to_contain_text("Authenticated SMTP")
        shot(page, "3-failed")
        page.get_by_role("button", name="Retrieve mail").click()  # which still works
        expect(dot(page)).to_have_attribute("data-state", "passed")

        practice.lab.notebook(page, "4 Diagnose")
        page.get_by_role("button", name="Diagnose", exact=True).click()
        expect(dot(page)).to_have_attribute("data-state", "failed", timeout=60_000)
        expect(page.locator(".jp-OutputArea:visible").first).to_contain_text("smtp.login")
        shot(page, "4-broken")
        page.get_by_label("Any error text").fill(
            "AADSTS7000222: The provided client secret keys are expired."
        )
        page.get_by_role("button", name="Explain").click()
        expect(page.locator(".mso-view:visible", has_text="expired").last).to_be_visible()
    finally:
        take_back()


def test_no_network_is_told_as_such(practice: Practice, page: Page) -> None:
    practice.choose()
    cloud = practice.store.firms.list()[0].cloud
    away = replace(cloud, name="away", authority="https://localhost:9/")  # nobody listens there
    known = practice.store.firms.list()[0]
    practice.store.firms.add(replace(known, name="Nowhere Law", cloud=away))
    practice.choose(firm="Nowhere Law")
    try:
        practice.lab.notebook(page, "1 Register the firm")
        page.get_by_role("button", name="Save and check").click()
        expect(dot(page)).to_have_attribute(
            "data-state", re.compile("failed|error|warning"), timeout=60_000
        )
        expect(page.get_by_role("region", name="Findings")).to_contain_text("refused")
        expect(page.get_by_label("Directory (tenant) ID", exact=True)).to_have_value(known.tenant)
        shot(page, "1-no-network")
    finally:
        practice.store.firms.remove("Nowhere Law")


def test_an_audit_of_all_accounts_and_of_one_that_is_broken(practice: Practice, page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    practice.choose()
    practice.lab.notebook(page, "5 Audit")
    page.get_by_role("button", name="Audit all accounts").click()
    expect(dot(page)).to_have_attribute("data-state", re.compile("passed|warning"), timeout=60_000)
    shot(page, "5-audited")
    take_back = practice.tenant.scenarios.start(f"pop-off@{MAX}")
    try:
        page.get_by_role("button", name="Audit all accounts").click()
        expect(dot(page)).to_have_attribute("data-state", "failed", timeout=60_000)
        causes = page.get_by_role("region", name="What hangs on one cause")
        expect(causes).to_contain_text("1 account: Exchange refused the login")
        page.get_by_role("button", name=MAX).first.click()
        findings = page.get_by_role("region", name="Findings")
        expect(findings.locator("tr", has_text="pop3.login")).to_contain_text("failed")
        # The table is long: what was opened comes into sight by itself.
        expect(page.get_by_role("heading", name=MAX)).to_be_in_viewport(ratio=0.9)
        shot(page, "5-broken")
        causes.get_by_role("button", name="Request to the firm's IT").click()
        letter = page.get_by_role("heading", name=re.compile("one change for mail with OAuth"))
        expect(letter).to_be_in_viewport(ratio=0.9)
    finally:
        take_back()

"""Notebook 4 explains a pasted text: marked words, the next possibility, and what is not known."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from msoauth.model import Account
from tests.journey.conftest import Practice
from tests.journey.servers import serious_violations, shot

pytestmark = [
    pytest.mark.real("chromium", "npm"),
    pytest.mark.release,
    pytest.mark.timeout(150),
    pytest.mark.xdist_group("journey"),
]
ANNA, OFFICE = "anna.lindqvist@contoso.example", "frontdesk@contoso.example"
REFUSED = "<b>Pop3</b> log:\n-ERR Authentication failure: unknown user name or bad password.\nEnd"
STRANGE = "The flux capacitor stops. client_secret=planted~marker~of~a~secret"


def test_a_pasted_text_is_marked_and_its_possibilities_are_gone_through(
    practice: Practice, page: Page, axe: Path
) -> None:
    firm = practice.store.firms.list()[0].name
    practice.store.accounts.add(Account(OFFICE, firm, login=ANNA))
    practice.choose(OFFICE)
    try:
        practice.lab.notebook(page, "4 Diagnose")
        words = page.get_by_label("Any error text")
        words.fill(REFUSED)
        page.get_by_role("button", name="Explain").click()
        told = page.locator(".mso-box:visible", has_text="The answer rests on")
        expect(told).to_contain_text("full-access-missing")  # what is known of the mailbox decides
        expect(told).to_contain_text(f"{ANNA} signs in to open the mailbox {OFFICE}.")
        expect(told.locator("mark").first).to_contain_text("Authentication failure")
        expect(told.locator(".mso-evidence").first).to_contain_text("<b>Pop3</b> log:")
        assert serious_violations(page, axe, ".mso-box") == []
        shot(page, "4-explained")

        box = page.locator(".mso-box:visible", has_text="Who can")
        page.get_by_role("button", name="Not this?").click()
        expect(box).to_contain_text("mail-login-rejected")
        while page.get_by_role("button", name="Not this?").is_visible():
            number = page.get_by_role("button", name="Not this?").get_attribute("data-value")
            page.get_by_role("button", name="Not this?").click()
            expect(page.locator(f'[data-act="other-cause"][data-value="{number}"]')).to_have_count(
                0
            )
        expect(page.locator(".mso-box:visible", has_text="None of the known")).to_be_visible()
        page.get_by_role("button", name="Back to the first").click()
        expect(told.locator("mark").first).to_be_visible()

        words.fill(STRANGE)
        page.get_by_role("button", name="Explain").click()
        unknown = page.locator(".mso-box:visible", has_text="Unknown error")
        expect(unknown).to_contain_text("1 place looks like a secret")
        expect(unknown.locator("mark.mso-hidden")).to_have_text("[hidden]")
        assert serious_violations(page, axe, ".mso-box") == []
        shot(page, "4-unknown")
        unknown.get_by_role("button", name="Support bundle with this text").click()
        preview = page.locator(".mso-box:visible", has_text="This is all that it will hold")
        preview.get_by_text(re.compile(r"^error\.txt")).click()
        expect(preview).to_contain_text("The flux capacitor stops. client_secret=[hidden]")
        with page.expect_download() as download:
            preview.get_by_role("button", name="Save the bundle").click()
        assert download.value.suggested_filename.endswith(".zip")
    finally:
        practice.store.accounts.remove(OFFICE)

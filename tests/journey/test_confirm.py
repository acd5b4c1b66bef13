"""The button that confirms where a firm's secrets are sent, in a real notebook."""

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from tests.journey.conftest import Practice
from tests.journey.servers import dot, shot

pytestmark = [pytest.mark.real("chromium"), pytest.mark.xdist_group("journey")]


def test_a_changed_destination_is_shown_and_confirmed_by_a_button(
    practice: Practice, page: Page
) -> None:
    practice.choose()
    firm = practice.store.firms.list()[0]
    try:
        with practice.store.database.engine.begin() as connection:
            connection.execute(sa.text("UPDATE firms SET redirect_uri = 'http://localhost/evil'"))
        practice.lab.notebook(page, "1 Register the firm")
        page.get_by_role("button", name="Save and check").click()
        message = page.locator(".mso-box.mso-warning:visible", has_text="have changed since")
        expect(message.get_by_role("row", name="Redirect URI")).to_contain_text(
            f"{firm.redirect_uri}http://localhost/evil"
        )
        expect(dot(page)).to_have_attribute("data-state", "error")
        shot(page, "confirm-destination")
        message.get_by_role("button", name="Confirm the new values").click()
        expect(page.get_by_text("Confirmed. Press the same button again")).to_be_visible()
        shot(page, "confirmed-destination")
        assert practice.store.firms.unconfirmed(firm.name) is None
    finally:
        practice.store.firms.replace(firm)
    assert practice.store.firms.unconfirmed(firm.name) is None

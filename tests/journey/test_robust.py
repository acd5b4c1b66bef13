"""What notebooks do to people, and people to notebooks: all of it survived."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from msoauth.model import Account
from tests.journey.conftest import Practice
from tests.journey.servers import dot, menu, run_all, serious_violations, shot

pytestmark = [
    pytest.mark.real("chromium"),
    pytest.mark.timeout(200),
    pytest.mark.xdist_group("journey"),
]

NOTEBOOKS = [
    "0 Start here",
    "1 Register the firm",
    "2 Sign in the users",
    "3 Retrieve and send",
    "4 Diagnose",
    "5 Audit",
]
# What may be wider than the window scrolls by itself.
OVERFLOWING = """() => [...document.querySelectorAll('.mso')].filter(box => box.offsetParent).flatMap(box => {
    const scrolls = e => e !== box && (/auto|scroll/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
    return [...box.querySelectorAll('*')].filter(e => !e.closest('svg, details:not([open]) > *') && !scrolls(e))
        .filter(e => e.getBoundingClientRect().right > box.getBoundingClientRect().right + 2)
        .map(e => e.outerHTML.slice(0, 160)); })"""


@pytest.mark.real("chromium", "npm", "nodejs")
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_serious_barrier_in_light_and_dark_narrow_and_large(
    practice: Practice, page: Page, axe: Path, name: str
) -> None:
    practice.choose()
    practice.lab.notebook(page, name)
    assert serious_violations(page, axe, ".jp-NotebookPanel .mso") == []
    ids = page.evaluate("[...document.querySelectorAll('.mso [id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))  # a label may not lead to another form's field
    menu(page, "Settings", "Theme", "JupyterLab Dark")
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
    shot(page, f"dark-{name[0]}")
    assert serious_violations(page, axe, ".jp-NotebookPanel .mso") == []
    page.keyboard.press("Control+b")  # JupyterLab's own sidebar would fill a narrow window
    page.set_viewport_size({"width": 480, "height": 1000})
    shot(page, f"narrow-{name[0]}")
    assert page.evaluate(OVERFLOWING) == []
    # What a browser's zoom of 200 % does to a window of 1280 pixels.
    page.set_viewport_size({"width": 640, "height": 750})
    assert page.evaluate(OVERFLOWING) == []
    page.set_viewport_size({"width": 3000, "height": 1500})
    wide = page.locator(".mso-view:visible").first.bounding_box()
    assert wide is not None
    assert wide["width"] < 1100
    menu(page, "Settings", "Theme", "JupyterLab Light")


def test_all_cells_may_run_twice_and_in_any_order(practice: Practice, page: Page) -> None:
    practice.choose()
    practice.lab.notebook(page, "3 Retrieve and send")
    run_all(page)
    expect(page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]:visible")).to_be_visible(
        timeout=30_000
    )
    assert page.locator(".jp-OutputArea-output[data-mime-type*=error]").count() == 0
    page.get_by_role("button", name="Retrieve mail").click()
    expect(dot(page)).to_have_attribute("data-state", "passed")


def test_the_keyboard_alone_is_enough(practice: Practice, page: Page) -> None:
    practice.choose()
    practice.lab.notebook(page, "1 Register the firm")
    name = page.get_by_label("Name of the firm")
    name.focus()
    order = []
    for _turn in range(7):
        order.append(
            page.evaluate("document.activeElement.name || document.activeElement.textContent")
        )
        page.keyboard.press("Tab")
        if order[-1] == "expires":  # a date has fields of its own within
            page.get_by_label("Redirect URI").focus()
    assert order == ["name", "client_id", "tenant", "secret", "expires", "redirect_uri", "cloud"]
    page.get_by_label("Directory (tenant) ID", exact=True).focus()
    page.keyboard.press("Enter")  # submits
    expect(dot(page)).to_have_attribute("data-state", "passed")


def test_two_notebooks_at_once_show_what_the_other_did(practice: Practice, page: Page) -> None:
    practice.choose()
    practice.lab.notebook(page, "3 Retrieve and send")
    page.locator(".mso-way").get_by_role("link", name="2 Sign in the users").click()
    other = page.locator(".jp-NotebookPanel:visible")
    expect(other.get_by_role("heading", name="2 Sign in the users")).to_be_visible()
    practice.lab.run(page)
    chosen = page.locator(".jp-NotebookPanel:visible").get_by_label("Mailbox", exact=True).first
    chosen.select_option("max.weiss@contoso.example")
    # Drawn anew by the kernel, once the choice is stored; the browser alone shows it at once.
    expect(chosen.locator("option[selected]")).to_have_attribute(
        "value", "max.weiss@contoso.example"
    )
    page.locator(".lm-TabBar-tabLabel", has_text="3 Retrieve and send").click()
    expect(page.get_by_role("heading", name="3 Retrieve and send")).to_be_visible()
    expect(chosen).to_have_value("max.weiss@contoso.example")


def swap_what_is_typed(page: Page, *after: str) -> None:
    """Let the kernel hear of what was typed only after the next message of these events, as it may by itself."""

    def swap(socket: WebSocketRoute) -> None:
        kernel, held = socket.connect_to_server(), list[str | bytes]()

        def pass_on(message: str | bytes) -> None:
            text = message if isinstance(message, str) else message.decode("utf-8", "replace")
            if '"event":"input"' in text:
                held.append(message)
                return
            kernel.send(message)
            if any(f'"event":"{event}"' in text for event in after):
                for late in held:
                    kernel.send(late)
                held.clear()

        socket.on_message(pass_on)

    page.route_web_socket(re.compile("/channels"), swap)


def test_a_kernel_that_hears_a_button_before_what_was_typed_takes_what_is_on_screen(
    practice: Practice, page: Page
) -> None:
    practice.choose()
    known = practice.store.firms.list()[0]
    last_day = datetime.now(UTC).date() + timedelta(days=400)
    swap_what_is_typed(page, "act", "press")
    practice.lab.notebook(page, "1 Register the firm")
    client_id = page.get_by_label("Application (client) ID", exact=True)
    client_id.fill("not a guid")
    page.get_by_role("button", name="Fill in the practice firm").click()
    expect(client_id).to_have_value(known.client_id)
    try:
        page.get_by_label("Last day of the secret").fill(str(last_day))
        page.get_by_role("button", name="Save and check").click()
        # An earlier check passed too; this one names the new day.
        expect(page.get_by_text(f"good until {last_day}")).to_be_visible()
        expect(dot(page)).to_have_attribute("data-state", "passed")
        expect(client_id).to_have_value(known.client_id)
        expect(page.get_by_label("Last day of the secret")).to_have_value(str(last_day))
        assert practice.store.firms.get(known.name).secret_expires == last_day
    finally:
        practice.store.firms.replace(known)


def test_german_when_the_browser_speaks_it_and_english_when_asked_for(
    practice: Practice, browser: Browser
) -> None:
    practice.choose()
    practice.store.settings.set("language", "")
    with browser.new_context(locale="de-DE", viewport={"width": 1280, "height": 1500}) as german:
        page = german.new_page()
        practice.lab.notebook(page, "1 Register the firm")
        tenant = page.get_by_label("Verzeichnis-ID (Mandant)", exact=True)
        # A busy kernel fills the form in a moment after it is there, for a person to see before typing.
        expect(tenant).to_have_value(practice.store.firms.list()[0].tenant)
        tenant.fill("contoso.example")
        shot(page, "1-deutsch")
        page.get_by_label("Sprache", exact=True).select_option("en")
        expect(page.get_by_label("Directory (tenant) ID", exact=True)).to_have_value(
            "contoso.example"
        )


# Types into a field, and within the moment before that is sent lets every panel tell that it has become visible.
TYPE_AND_SHOW = """(field) => {
    field.value = 'contoso.example';
    field.dispatchEvent(new Event('input', { bubbles: true }));
    const boxes = [...document.querySelectorAll('.mso-view, .mso')];
    for (const box of boxes) box.style.display = 'none';
    return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
        for (const box of boxes) box.style.display = '';
        done();
    })));
}"""


@pytest.mark.parametrize("swapped", [False, True])
def test_what_is_being_typed_survives_what_another_notebook_changes_at_that_moment(
    practice: Practice, page: Page, swapped: bool
) -> None:
    practice.choose()
    known = practice.store.firms.list()[0]
    if swapped:
        swap_what_is_typed(page, "visible")
    practice.lab.notebook(page, "1 Register the firm")
    tenant = page.get_by_label("Directory (tenant) ID", exact=True)
    expect(tenant).to_have_value(known.tenant)
    practice.store.firms.replace(replace(known, redirect_uri="http://localhost:81"))
    try:
        tenant.evaluate(TYPE_AND_SHOW)
        # In another language the form is built anew from what the kernel has.
        page.get_by_label("Language", exact=True).select_option("de")
        german = page.get_by_label("Verzeichnis-ID (Mandant)", exact=True)
        expect(german).to_have_value("contoso.example")
    finally:
        practice.store.firms.replace(known)
        practice.store.settings.set("language", "en")


def test_500_mailboxes_stay_at_hand(practice: Practice, page: Page) -> None:
    firm = practice.store.firms.list()[0]
    many = replace(firm, name="Many Lawyers LLP")
    practice.store.firms.add(many)
    for n in range(500):
        practice.store.accounts.add(Account(f"lawyer{n:03}@many.example", many.name))
    practice.choose("lawyer499@many.example", many.name)
    try:
        practice.lab.notebook(page, "2 Sign in the users")
        listed = page.get_by_role("region", name="Mailboxes").locator("tbody tr")
        expect(listed).to_have_count(500)
        chosen = page.get_by_label("Mailbox", exact=True).first
        expect(chosen).to_have_value("lawyer499@many.example")
        chosen.select_option("lawyer007@many.example")
        expect(chosen.locator("option[selected]")).to_have_attribute(
            "value", "lawyer007@many.example"
        )
        shot(page, "2-many")
    finally:
        practice.store.firms.remove(many.name)

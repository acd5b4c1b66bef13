"""What notebooks do to people, and people to notebooks: all of it survived."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

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
]
# What may be wider than the window scrolls by itself.
OVERFLOWING = """() => [...document.querySelectorAll('.mso')].filter(box => box.offsetParent).flatMap(box =>
    [...box.querySelectorAll('*')].filter(e => !e.closest('.mso-scroll, svg, .mso-evidence'))
        .filter(e => e.getBoundingClientRect().right > box.getBoundingClientRect().right + 2)
        .map(e => e.outerHTML.slice(0, 160)))"""


@pytest.mark.real("chromium", "npm", "nodejs")
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_serious_barrier_in_light_and_dark_narrow_and_large(
    practice: Practice, page: Page, axe: Path, name: str
) -> None:
    practice.choose()
    practice.lab.notebook(page, name)
    assert serious_violations(page, axe, ".jp-NotebookPanel .mso") == []
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
    expect(dot(page)).to_have_attribute("data-state", "passed", timeout=30_000)


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
    expect(dot(page)).to_have_attribute("data-state", "passed", timeout=30_000)


def test_two_notebooks_at_once_show_what_the_other_did(practice: Practice, page: Page) -> None:
    practice.choose()
    practice.lab.notebook(page, "3 Retrieve and send")
    page.locator(".mso-way").get_by_role("link", name="2 Sign in the users").click()
    other = page.locator(".jp-NotebookPanel:visible")
    expect(other.get_by_role("heading", name="2 Sign in the users")).to_be_visible(timeout=30_000)
    practice.lab.run(page)
    chosen = page.locator(".jp-NotebookPanel:visible").get_by_label("Mailbox", exact=True).first
    chosen.select_option("max.weiss@contoso.example")
    expect(chosen).to_have_value("max.weiss@contoso.example")
    page.locator(".lm-TabBar-tabLabel", has_text="3 Retrieve and send").click()
    expect(page.get_by_role("heading", name="3 Retrieve and send")).to_be_visible()
    expect(chosen).to_have_value("max.weiss@contoso.example")

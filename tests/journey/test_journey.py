"""The journey of a consultant in real JupyterLab and Chromium, and a search for secrets in all that it leaves."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.journey.servers import Lab, answer_dialog, dot, menu, shot, sign_in_on, start_lab

pytestmark = [
    pytest.mark.real("chromium"),
    pytest.mark.timeout(280),
    pytest.mark.xdist_group("journey"),
]

ANNA = "anna.lindqvist@contoso.example"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with start_lab(tmp_path) as running:
        yield running


def sign_in(page: Page, address: str, password: str) -> None:
    """Follow the panel's link and sign in as a person does."""
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open the sign-in page").click()
    people = opened.value
    sign_in_on(people, address, password)
    expect(people.locator("body")).to_contain_text("Verification code received")
    shot(people, "2-verification")
    people.close()


def open_as_a_person_does(lab: Lab, page: Page) -> None:
    """The first notebook, from the address that opens in the browser, its cell of code with Shift+Enter."""
    page.goto(f"{lab.url}/lab/tree/0%20Start%20here.ipynb?token={lab.token}")
    panel = page.locator(".jp-NotebookPanel:visible")
    panel.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=60_000)
    # While its kernel is still being connected, JupyterLab drops the command: a person presses again.
    for _attempt in range(5):
        answer_dialog(page)
        panel.locator(".jp-CodeCell").first.click()
        page.keyboard.press("Shift+Enter")
        with suppress(PlaywrightTimeoutError):
            dot(page).wait_for(timeout=15_000)
            return


def test_from_a_fresh_workspace_to_a_mail_that_arrived(lab: Lab, page: Page) -> None:
    head = dot(page)

    open_as_a_person_does(lab, page)
    expect(head).to_have_text("0 of 5 steps done")
    shot(page, "0-start")
    page.locator(".mso-way").get_by_role("link", name="1 Register the firm").click()
    other = page.locator(".jp-NotebookPanel:visible")
    # JupyterLab follows the link of a document that it trusts without a question.
    expect(page.locator("dialog.jp-Dialog:visible")).to_have_count(0)
    expect(other.get_by_role("heading", name="1 Register the firm")).to_be_visible()

    lab.notebook(page, "1 Register the firm")
    expect(head).to_have_attribute("data-state", "not-run")
    client_id = page.get_by_label("Application (client) ID", exact=True)
    client_id.fill("not a guid")
    expect(page.locator(".mso-field", has=client_id)).to_contain_text("GUID")
    page.get_by_role("button", name="Fill in the practice firm").click()
    secret_box = page.get_by_label("Client secret value")
    expect(secret_box).to_have_value(re.compile(".+"))
    shot(page, "1-filled-in")
    page.get_by_role("button", name="Save and check").click()
    expect(head).to_have_attribute("data-state", "passed")
    expect(secret_box).to_have_value("")
    expect(page.locator(".mso-guide:visible")).to_contain_text("3 of 5 done")
    shot(page, "1-checked")

    lab.notebook(page, "2 Sign in the users")
    page.get_by_role("button", name="Add the practice users").click()
    mailboxes = page.get_by_role("region", name="Mailboxes")
    row = mailboxes.locator("tr", has_text=ANNA)
    said = row.inner_text()
    password = re.search(r"practice password: (\S+)", said)
    assert password is not None
    row.get_by_role("button", name="Authenticate").click()
    sign_in(page, ANNA, password[1])
    expect(row.locator(".mso-dot")).to_have_attribute("data-state", "passed")
    shot(page, "2-signed-in")

    lab.notebook(page, "3 Retrieve and send")
    page.get_by_label("Mailbox", exact=True).select_option(ANNA)
    page.get_by_role("button", name="Retrieve mail").click()
    expect(head).to_have_attribute("data-state", "passed")
    mail = page.get_by_role("region", name="Retrieved mail")
    expect(mail.locator("tbody tr").first).to_be_visible()
    page.get_by_role("button", name="Send test mail").click()
    findings = page.get_by_role("region", name="Findings")
    expect(findings.locator("tr", has_text="mail.round-trip")).to_contain_text(
        "passed", timeout=30_000
    )
    shot(page, "3-sent")
    page.keyboard.press("Control+s")

    # A restart of the kernel loses nothing.
    menu(page, "Kernel", "Restart Kernel and Run All Cells…")
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    expect(mail.locator("tbody tr").first).to_be_visible(timeout=60_000)
    expect(findings).to_contain_text("mail.round-trip")
    expect(head).to_have_attribute("data-state", "passed")
    page.get_by_role("button", name="Retrieve mail").click()  # with the stored token
    expect(findings).to_contain_text("mail.retrieve")
    screen = page.content()
    page.locator(".jp-NotebookPanel:visible").click(position={"x": 5, "y": 5})
    page.keyboard.press("Control+s")
    expect(page.locator(".jp-mod-dirty:visible")).to_have_count(0)
    _search_for_secrets(lab, screen, password[1])


def _search_for_secrets(lab: Lab, screen: str, password: str) -> None:
    """The practice password is on screen on purpose, until its user has signed in; nowhere else may it be."""
    endpoints = re.search(r"\S+/endpoints\.json", "\n".join(_environments(lab)))
    assert endpoints is not None
    firm = json.loads(Path(endpoints[0]).read_text(encoding="utf-8"))["practice"]["firms"][0]
    left = {
        str(file.relative_to(lab.workspace)): file.read_bytes().decode("utf-8", "replace")
        for file in lab.workspace.rglob("*")
        if file.is_file()
    } | {"log": lab.log.read_text(encoding="utf-8"), "screen": screen}
    assert any(name.endswith(".ipynb") for name in left)
    assert any("msoauth.db" in name for name in left)
    for name, text in left.items():
        assert firm["client_secret"] not in text, name
        assert password not in text, name
        assert not re.search(r"eyJ[\w-]{20,}\.[\w-]{20,}\.|auth=Bearer|refresh_token", text), name


def _environments(lab: Lab) -> Iterator[str]:
    """Where the endpoints file lies stands in the environment of the lab's children."""
    import psutil

    for process in psutil.process_iter(["name"]):
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue
        if environment.get("MSOAUTH_WORKSPACE") == str(lab.workspace):
            yield environment.get("MSOAUTH_PRACTICE_ENDPOINTS", "")

"""The journey of a consultant in real JupyterLab and Chromium, and a search for secrets in all that it leaves."""

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

pytestmark = [pytest.mark.real("chromium"), pytest.mark.timeout(280)]

TOKEN = "journey"
SHOTS = Path(os.environ.get("MSOAUTH_SCREENSHOTS", "screenshots"))


@dataclass
class Lab:
    """``msoauth lab`` as it runs."""

    url: str
    workspace: Path
    log: Path

    def notebook(self, page: Page, name: str) -> None:
        """Open a notebook and run all its cells."""
        page.goto(f"{self.url}/lab/tree/{name.replace(' ', '%20')}.ipynb?reset&token={TOKEN}")
        panel = page.locator(".jp-NotebookPanel:visible")
        expect(panel.get_by_role("heading", name=name)).to_be_visible(timeout=60_000)
        panel.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=60_000)
        form = panel.locator(".mso-head:visible").first
        for _attempt in range(
            5
        ):  # while its kernel is still being connected, JupyterLab drops the command
            run_all(page)
            with suppress(PlaywrightTimeoutError):
                form.wait_for(timeout=15_000)
                return
        expect(form).to_be_visible()


def run_all(page: Page) -> None:
    page.locator(".lm-MenuBar-item", has_text="Run").first.click()
    page.get_by_text("Run All Cells", exact=True).click()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    workspace, log, home = tmp_path / "workspace", tmp_path / "lab.log", tmp_path / "home"
    home.mkdir()
    port = free_port()
    environment = dict(
        os.environ,
        MSOAUTH_WORKSPACE=str(workspace),
        MSOAUTH_PASSPHRASE="a passphrase for the journey",
        JUPYTER_TOKEN=TOKEN,
        HOME=str(home),
        BROWSER="true",  # the system's browser is a program that does nothing
        PYTHONPATH=os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")])),
    )
    command = [sys.executable, "-m", "msoauth", "lab", "--no-browser", "--port", str(port)]
    with (
        log.open("wb") as out,
        subprocess.Popen(command, env=environment, stdout=out, stderr=out) as server,
    ):
        try:
            running = Lab(f"http://localhost:{port}", workspace, log)
            _until_it_answers(running, server)
            yield running
        finally:
            server.terminate()
            server.wait(60)


def _until_it_answers(running: Lab, server: "subprocess.Popen[bytes]") -> None:
    while server.poll() is None:
        try:
            with urllib.request.urlopen(f"{running.url}/api?token={TOKEN}", timeout=5):  # noqa: S310
                return
        except OSError:
            try:
                server.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
    raise AssertionError(running.log.read_text(encoding="utf-8"))


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield chromium
        chromium.close()


def shot(page: Page, name: str) -> None:
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")


def sign_in(page: Page, address: str, password: str) -> None:
    """Follow the panel's link and sign in as a person does."""
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open the sign-in page").click()
    people = opened.value
    people.locator("input[name=loginfmt]").fill(address)
    people.get_by_role("button", name="Next").click()
    people.locator("input[name=passwd]").fill(password)
    people.get_by_role("button", name="Sign in").click()
    people.get_by_role("button", name="Accept").click()
    expect(people.locator("body")).to_contain_text("Verification code received")
    shot(people, "4-verification")
    people.close()


def dot(page: Page) -> "str | None":
    return page.locator(".jp-NotebookPanel:visible .mso-head .mso-dot").get_attribute("data-state")


def test_from_a_fresh_workspace_to_a_mail_that_arrived(lab: Lab, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 1500})
    head = page.locator(".jp-NotebookPanel:visible .mso-head .mso-dot")

    lab.notebook(page, "0 Start here")
    shot(page, "0-start")
    page.locator(".jp-NotebookPanel:visible .mso-way").get_by_role(
        "link", name="1 Register the firm"
    ).click()
    title = page.locator(".jp-NotebookPanel:visible").get_by_role(
        "heading", name="1 Register the firm"
    )
    expect(title).to_be_visible(timeout=30_000)

    lab.notebook(page, "1 Register the firm")
    expect(head).to_have_attribute("data-state", "not-run")
    page.get_by_label("Application (client) ID").fill("not a guid")
    expect(
        page.locator(".mso-field", has=page.get_by_label("Application (client) ID"))
    ).to_contain_text("GUID")
    page.get_by_role("button", name="Fill in the practice firm").click()
    secret_box = page.get_by_label("Client secret value")
    expect(secret_box).to_have_value(re.compile(".+"))
    shot(page, "1-filled-in")
    page.get_by_role("button", name="Save and check").click()
    expect(head).to_have_attribute("data-state", "passed", timeout=30_000)
    expect(secret_box).to_have_value("")
    shot(page, "1-checked")

    lab.notebook(page, "2 Sign in the users")
    page.get_by_role("button", name="Add the practice users").click()
    mailboxes = page.get_by_role("region", name="Mailboxes")
    row = mailboxes.locator("tr", has_text="anna.lindqvist@contoso.example")
    said = row.inner_text()
    password = re.search(r"practice password: (\S+)", said)
    assert password is not None
    row.get_by_role("button", name="Authenticate").click()
    sign_in(page, "anna.lindqvist@contoso.example", password[1])
    expect(row.locator(".mso-dot")).to_have_attribute("data-state", "passed", timeout=30_000)
    shot(page, "2-signed-in")

    lab.notebook(page, "3 Retrieve and send")
    page.get_by_label("Mailbox", exact=True).select_option("anna.lindqvist@contoso.example")
    page.get_by_role("button", name="Retrieve mail").click()
    expect(head).to_have_attribute("data-state", "passed", timeout=30_000)
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
    page.locator(".lm-MenuBar-item", has_text="Kernel").first.click()
    page.get_by_text("Restart Kernel and Run All Cells…", exact=True).click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    expect(mail.locator("tbody tr").first).to_be_visible(timeout=60_000)
    expect(findings).to_contain_text("mail.round-trip")
    expect(head).to_have_attribute("data-state", "passed")
    page.get_by_role("button", name="Retrieve mail").click()  # with the stored token
    expect(findings).to_contain_text("mail.retrieve", timeout=30_000)
    screen = page.content()
    page.locator(".jp-NotebookPanel:visible").click(position={"x": 5, "y": 5})
    page.keyboard.press("Control+s")
    expect(page.locator(".jp-mod-dirty:visible")).to_have_count(0, timeout=30_000)
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

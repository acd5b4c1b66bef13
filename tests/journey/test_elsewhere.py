"""Where the notebooks run besides JupyterLab: Notebook 7, Voilà as an app, and Binder."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from msoauth.lab import PRACTICE_VARIABLE, shipped_notebooks
from tests.journey.conftest import Practice
from tests.journey.servers import (
    TOKEN,
    Lab,
    dot,
    server_of,
    shot,
    sign_in_on,
    start_lab,
    until_it_answers,
)
from tests.ports import reserved_port
from tests.processes import terminate

pytestmark = [
    pytest.mark.real("chromium"),
    pytest.mark.timeout(280),
    pytest.mark.xdist_group("journey"),
]

ANNA = "anna.lindqvist@contoso.example"
TOP = Path(__file__).parents[2]


def test_notebook_7_shows_the_panels(practice: Practice, page: Page) -> None:
    practice.choose()
    place = "notebooks/1%20Register%20the%20firm.ipynb"
    page.goto(f"{practice.lab.url}/{place}?token={TOKEN}")
    practice.lab.run(page)
    page.get_by_role("button", name="Save and check").click(timeout=60_000)
    expect(dot(page)).to_have_attribute("data-state", "passed")
    shot(page, "notebook-7")


def test_the_app_shows_panels_without_code_and_leads_on(
    practice: Practice, tmp_path: Path, page: Page
) -> None:
    long = tmp_path / ("long" * 30)  # too long for the path of a socket
    long.mkdir()
    environment = {PRACTICE_VARIABLE: str(practice.tenant.endpoints_file), "TMPDIR": str(long)}
    with start_lab(tmp_path, "--app", **environment) as lab:
        lab.app(page, "0 Start here")
        expect(page.locator(".jp-InputArea-editor, .jp-CodeMirrorEditor")).to_have_count(0)
        expect(page.locator("body")).not_to_contain_text("Shift+Enter")
        shot(page, "app-0")
        folder = Path(server_of(lab).environ()["JUPYTER_RUNTIME_DIR"])
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        [connection] = folder.glob("voila_*/kernel-*.json")
        assert json.loads(connection.read_text(encoding="utf-8"))["transport"] == "ipc"
        page.locator(".mso-way").get_by_role("link", name="1 Register the firm").click()
        page.get_by_role("button", name="Fill in the practice firm").click(timeout=60_000)
        page.get_by_role("button", name="Save and check").click()
        expect(dot(page)).to_have_attribute("data-state", "passed")
        shot(page, "app-1")
        page.context.clear_cookies()
        page.goto(f"{lab.url}/voila/render/0%20Start%20here.ipynb")
        expect(page.locator(".mso-head")).to_have_count(0)  # nobody without the token
    assert not folder.exists()


@contextmanager
def binder(folder: Path) -> Iterator[Lab]:
    """What repo2docker starts: its environment, our ``binder/start``, Jupyter behind a prefix.

    ``MSOAUTH_BINDER_BIN`` names the programs of a fresh environment that was built from ``binder/`` alone.
    """
    programs = os.environ.get("MSOAUTH_BINDER_BIN") or str(Path(sys.executable).parent)
    clone, home, log = folder / "clone", folder / "home", folder / "log"
    home.mkdir()
    copytree(shipped_notebooks(), clone / "notebooks")
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("MSOAUTH_", "PYTHONPATH"))}
    prefix = "/user/somebody/"
    environment = kept | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "TMPDIR": str(home),  # a container's own, which is gone with it
        "JUPYTERHUB_SERVICE_PREFIX": prefix,
        "BINDER_SERVICE_HOST": "10.0.0.1",
        "JUPYTER_TOKEN": TOKEN,
    }
    command = [
        *("bash", str(TOP / "binder" / "start"), "jupyter", "lab", "--no-browser", "--allow-root"),
        f"--ServerApp.base_url={prefix}",
        "--ServerApp.port_retries=0",
    ]
    with (
        reserved_port() as port,
        log.open("wb") as out,
        subprocess.Popen(
            [*command, f"--ServerApp.port={port}"],
            cwd=clone,
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        ) as server,
    ):
        try:
            lab = Lab(f"http://localhost:{port}{prefix.rstrip('/')}", folder, log)
            lab.folder = "notebooks/"
            until_it_answers(lab, server)
            yield lab
        finally:
            # The practice tenant too, as when a container ends.
            os.killpg(server.pid, signal.SIGTERM)
            terminate(server)


def test_the_whole_journey_on_binder_through_one_port(browser: Browser, tmp_path: Path) -> None:
    unreachable: list[str] = []
    with binder(tmp_path) as lab, browser.new_context(locale="en-GB") as context:
        origin = lab.url.removesuffix("/user/somebody")

        def only_that_port(route: Route) -> None:
            if route.request.url.startswith(f"{origin}/"):
                route.continue_()
            else:
                unreachable.append(route.request.url)
                route.abort()

        context.route("**/*", only_that_port)
        page = context.new_page()
        page.set_viewport_size({"width": 1280, "height": 1500})
        lab.notebook(page, "0 Start here")
        expect(page.locator(".mso-box:visible", has_text="public computer")).to_be_visible()
        shot(page, "binder-0")
        with context.expect_page() as opened:
            page.get_by_role("link", name="Its admin center").click()
        expect(opened.value.locator("body")).to_contain_text("Contoso")
        opened.value.close()

        lab.notebook(page, "1 Register the firm")
        page.get_by_role("button", name="Fill in the practice firm").click()
        page.get_by_role("button", name="Save and check").click()
        expect(dot(page)).to_have_attribute("data-state", "passed", timeout=60_000)

        lab.notebook(page, "2 Sign in the users")
        page.get_by_role("button", name="Add the practice users").click()
        row = page.get_by_role("region", name="Mailboxes").locator("tr", has_text=ANNA)
        password = row.inner_text().split("practice password:")[1].split()[0]
        row.get_by_role("button", name="Authenticate").click()
        with context.expect_page() as opened:
            page.get_by_role("link", name="Open the sign-in page").click()
        people = opened.value
        assert people.url.startswith(f"{lab.url}/proxy/")
        with people.expect_event("requestfailed") as failed:
            sign_in_on(people, ANNA, password)
        ended = failed.value.url  # what stands in the address bar of a page that does not load
        assert ended.startswith("http://localhost")
        page.get_by_label("The address at which the browser ended").fill(ended)
        page.get_by_role("button", name="Take this address").click()
        expect(row.locator(".mso-dot")).to_have_attribute("data-state", "passed", timeout=60_000)

        lab.notebook(page, "3 Retrieve and send")
        page.get_by_label("Mailbox", exact=True).select_option(ANNA)
        page.get_by_role("button", name="Retrieve mail").click()
        expect(dot(page)).to_have_attribute("data-state", "passed", timeout=60_000)
        page.get_by_role("button", name="Send test mail").click()
        findings = page.get_by_role("region", name="Findings")
        arrived = findings.locator("tr", has_text="mail.round-trip")
        expect(arrived).to_contain_text("passed", timeout=60_000)
        shot(page, "binder-3")
    assert [
        url for url in unreachable if "code=" not in url
    ] == []  # nothing else was even asked for

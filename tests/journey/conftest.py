"""One browser for all journeys; one JupyterLab for those that do not need a fresh one."""

import subprocess
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from msoauth.enrol import enrol
from msoauth.lab import PRACTICE_VARIABLE
from msoauth.practice import PracticeTenant
from msoauth.store import Workspace
from tests.journey.servers import PASSPHRASE, Lab, shot, start_lab
from tests.leaks import long_lived

# Milliseconds: the kernels of several labs share few processors, and what is waited for ends the waiting.
expect.set_options(timeout=30_000)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A journey that fails says what its pages showed: what went wrong once on a busy machine may not come again."""
    report = yield
    page = getattr(item, "funcargs", {}).get("page")
    if report.when == "call" and report.failed and page is not None:
        for number, seen in enumerate(page.context.pages):
            try:
                shot(seen, f"failed-{item.name}-{number}")
                said = seen.inner_text("body", timeout=10_000)
            except (
                PlaywrightError
            ) as problem:  # a page that hangs or crashed hides no other, nor what failed
                said = str(problem)
            report.sections.append((f"in sight at {seen.url}", said))
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with long_lived(sync_playwright()) as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1280, "height": 1500}, locale="en-GB") as context:
        yield context.new_page()


@dataclass
class Practice:
    """A lab whose practice tenant lives in the test's own process, and whose users have signed in.

    Attributes:
        store: The lab's workspace, to be looked into and prepared.
    """

    lab: Lab
    tenant: PracticeTenant
    store: Workspace

    def password(self, address: str) -> str:
        """A practice user's password."""
        accounts = self.tenant.endpoints["practice"]["firms"][0]["accounts"]
        return next(str(a["password"]) for a in accounts if a["address"] == address)

    def choose(self, account: str = "anna.lindqvist@contoso.example", firm: str = "") -> None:
        """What a person has chosen last in the header."""
        self.store.settings.set("firm", firm or str(self.store.firms.list()[0].name))
        self.store.settings.set("account", account)
        self.store.settings.set("language", "en")


@pytest.fixture(scope="session")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    folder = tmp_path_factory.mktemp("lab")
    with (
        long_lived(PracticeTenant()) as tenant,
        Workspace.open(folder / "workspace", passphrase=PASSPHRASE) as store,
    ):
        assert list(enrol(store, tenant.endpoints_file))
        running = start_lab(folder, **{PRACTICE_VARIABLE: str(tenant.endpoints_file)})
        with long_lived(running) as lab:
            yield Practice(lab, tenant, store)


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """axe-core, from npm."""
    folder = tmp_path_factory.mktemp("axe")
    command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", str(folder)]
    subprocess.run([*command, "axe-core@4"], check=True, capture_output=True, timeout=100)
    return folder / "node_modules" / "axe-core" / "axe.min.js"

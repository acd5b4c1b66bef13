"""``msoauth lab`` as it runs, and what a person does with it in a browser."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.ports import reserved_port
from tests.processes import terminate

TOKEN = "journey"
SHOTS = Path(os.environ.get("MSOAUTH_SCREENSHOTS", "screenshots"))
PASSPHRASE = "a passphrase for the journey"


@dataclass
class Lab:
    """A running ``msoauth lab``.

    Attributes:
        url: Its address, without the token and without a slash at its end.
        folder: Where the notebooks are below its root, with a slash at its end.
    """

    url: str
    workspace: Path
    log: Path
    token: str = TOKEN
    folder: str = ""

    def notebook(self, page: Page, name: str) -> None:
        """Open a notebook in JupyterLab and run all its cells."""
        place = quote(f"{self.folder}{name}.ipynb")
        page.goto(f"{self.url}/lab/tree/{place}?reset&token={self.token}")
        panel = page.locator(".jp-NotebookPanel:visible")
        expect(panel.get_by_role("heading", name=name)).to_be_visible(timeout=60_000)
        self.run(page)

    @staticmethod
    def run(page: Page) -> None:
        """Run all cells of the notebook in sight, once its kernel is there, and wait for its panel."""
        panel = page.locator(".jp-NotebookPanel:visible")
        panel.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=60_000)
        head = panel.locator(".mso-head:visible").first
        # While its kernel is still being connected, JupyterLab drops the command.
        for _attempt in range(5):
            answer_dialog(page)
            with suppress(PlaywrightTimeoutError):
                run_all(page)
                head.wait_for(timeout=15_000)
                return
            # A slow kernel has the command: given twice, it would put a second panel in the first one's place.
            if panel.locator(".jp-InputPrompt", has_text="[*]").count():
                break
        head.wait_for(timeout=60_000)

    def app(self, page: Page, name: str) -> None:
        """Open a notebook as an app without code."""
        page.goto(f"{self.url}/voila/render/{name.replace(' ', '%20')}.ipynb?token={self.token}")
        page.locator(".mso-head").wait_for(timeout=60_000)


def menu(page: Page, *path: str) -> None:
    """Choose from JupyterLab's menu bar."""
    page.locator(".lm-MenuBar-item", has_text=path[0]).first.click()
    for entry in path[1:-1]:
        page.locator(".lm-Menu-itemLabel", has_text=entry).first.hover()
    page.get_by_text(path[-1], exact=True).click()


def answer_dialog(page: Page) -> None:
    """Say yes to JupyterLab when it asks about the kernel, as it may on a slow machine; nothing else may be asked."""
    dialog = page.locator("dialog.jp-Dialog:visible")
    if dialog.count():
        expect(dialog).to_contain_text(re.compile("kernel", re.IGNORECASE))
        dialog.locator(".jp-mod-accept").click()


def run_all(page: Page) -> None:
    """Run all cells of the notebook in sight."""
    menu(page, "Run", "Run All Cells")


def dot(page: Page) -> Locator:
    """The dot of the panel in sight."""
    return page.locator(".mso-head:visible .mso-dot")


@contextmanager
def start_lab(folder: Path, *options: str, **environment: str) -> Iterator[Lab]:
    """``msoauth lab`` with a workspace and a home of its own below *folder*, until the block ends."""
    workspace, log, home = folder / "workspace", folder / "lab.log", folder / "home"
    home.mkdir()
    paths = [str(Path.cwd()), os.environ.get("PYTHONPATH")]
    inherited = os.environ | {
        "MSOAUTH_WORKSPACE": str(workspace),
        "MSOAUTH_PASSPHRASE": PASSPHRASE,
        "JUPYTER_TOKEN": TOKEN,
        "HOME": str(home),
        "BROWSER": "true",  # the system's browser is a program that does nothing
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    command = [sys.executable, "-m", "msoauth", "lab", "--no-browser", *options]
    with (
        reserved_port() as port,
        log.open("wb") as out,
        subprocess.Popen(
            [*command, "--port", str(port)], env=inherited | environment, stdout=out, stderr=out
        ) as server,
    ):
        try:
            running = Lab(f"http://localhost:{port}", workspace, log)
            until_it_answers(running, server)
            if "--app" in options:
                running.token = _voilas_token(log, server)
            yield running
        finally:
            terminate(server)


def server_of(lab: Lab) -> psutil.Process:
    """The process of JupyterLab, or of Voilà."""
    for process in psutil.Process().children(recursive=True):
        command = process.cmdline()
        if any(part in command for part in ("jupyterlab", "voila")):
            environment = process.environ()
            if environment.get("MSOAUTH_WORKSPACE", "").startswith(str(lab.workspace)):
                return process
    raise AssertionError(lab.log.read_text(encoding="utf-8"))


def _voilas_token(log: Path, server: "subprocess.Popen[bytes]") -> str:
    """Voilà makes a token of its own, and says it, unless it was given one."""
    while server.poll() is None:
        said = log.read_text(encoding="utf-8", errors="replace")
        if "token=..." in said:
            return TOKEN
        own = re.search(r"[?&]token=([0-9a-f]{32,})", said)
        if own:
            return own[1]
        with suppress(subprocess.TimeoutExpired):
            server.wait(0.1)
    raise AssertionError(log.read_text(encoding="utf-8"))


def until_it_answers(running: Lab, server: "subprocess.Popen[bytes]") -> None:
    """Wait until the server answers at all.

    Raises:
        AssertionError: it ended; its log.
    """
    while server.poll() is None:
        try:
            with urllib.request.urlopen(f"{running.url}/api?token={TOKEN}", timeout=5):  # noqa: S310
                return
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            try:
                server.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
    raise AssertionError(running.log.read_text(encoding="utf-8"))


def shot(page: Page, name: str) -> None:
    """Keep a picture of what is in sight, for people to look at."""
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")


def sign_in_on(people: Page, address: str, password: str) -> None:
    """Sign in on Microsoft's pages, as far as the consent."""
    people.locator("input[name=loginfmt]").fill(address)
    people.get_by_role("button", name="Next").click()
    people.locator("input[name=passwd]").fill(password)
    people.get_by_role("button", name="Sign in").click()


def serious_violations(page: Page, axe: Path, within: str) -> list[str]:
    """What axe-core finds serious or critical in the parts of the page that *within* selects."""
    page.evaluate(axe.read_text(encoding="utf-8"))
    found = page.evaluate(
        "within => axe.run({include: [[within]]}, {resultTypes: ['violations']})", within
    )
    return [
        f"{v['id']}: {v['help']}: {json.dumps([n['html'][:200] for n in v['nodes'][:3]])}"
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
    ]

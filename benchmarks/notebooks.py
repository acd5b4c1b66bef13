"""What waiting the notebooks ask of people: until the first form is usable, and while an audit runs.

*First form*: from ``msoauth lab`` to the form of notebook 1, beside plain ``jupyter lab`` to a notebook with one
ipywidgets text field; the same browser, the same menu, in turns. *Reaction*: from what a browser sends when somebody
types to the answer for the screen, with an idle kernel and while that kernel audits 1,000 accounts.
"""

import argparse
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel
from playwright.sync_api import Browser, expect, sync_playwright

from msoauth.enrol import enrol
from msoauth.practice import PracticeTenant
from msoauth.store import Workspace

TOKEN = "benchmark"
AIM_START, AIM_REACTION = 1.5, 0.1  # times plain JupyterLab; seconds
ACCOUNTS = 1000

PREPARE = """
import threading
from msoauth import ui
panel = ui.register()
panel
"""
AUDIT = """
from msoauth.auditing import Audit
from msoauth.store import Workspace
progress = []
def work():
    with Workspace.open() as own:
        for finding in Audit(own, workers=16):
            progress.append(finding)
worker = threading.Thread(target=work, daemon=True)
worker.start()
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def served(command: list[str], port: int, folder: Path, **more: str) -> Iterator[str]:
    """A server that runs while the block does; yields its address once it answers."""
    environment = (
        os.environ | {"JUPYTER_TOKEN": TOKEN, "HOME": str(folder), "BROWSER": "true"} | more
    )
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as server,
    ):
        try:
            address = f"http://localhost:{port}"
            while server.poll() is None:
                try:
                    with urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=5):  # noqa: S310
                        break
                except (urllib.error.URLError, OSError):
                    time.sleep(0.02)
            yield address
        finally:
            server.terminate()
            server.wait(60)


def open_and_run(browser: Browser, address: str, notebook: str, usable: str) -> None:
    """Open a notebook, run all its cells from the menu, and wait until *usable* can be typed into."""
    with browser.new_context(locale="en-GB") as context:
        page = context.new_page()
        page.goto(f"{address}/lab/tree/{notebook}.ipynb?token={TOKEN}")
        panel = page.locator(".jp-NotebookPanel:visible")
        panel.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=120_000)
        for _attempt in range(
            10
        ):  # while its kernel is still being connected, the command is dropped
            page.locator(".lm-MenuBar-item", has_text="Run").first.click()
            page.get_by_text("Run All Cells", exact=True).click()
            with contextlib.suppress(AssertionError):
                expect(panel.locator(usable).first).to_be_editable(timeout=5_000)
                return
        raise SystemExit(f"{notebook} did not become usable")


def ours(browser: Browser) -> float:
    with tempfile.TemporaryDirectory() as home:
        port = free_port()
        command = [sys.executable, "-m", "msoauth", "lab", "--no-browser", "--port", str(port)]
        begin = time.perf_counter()
        own = {"MSOAUTH_WORKSPACE": f"{home}/workspace", "MSOAUTH_PASSPHRASE": "for this benchmark"}
        with served(command, port, Path(home), **own) as address:
            open_and_run(browser, address, "1%20Register%20the%20firm", "input[name=tenant]")
            return time.perf_counter() - begin


def plain(browser: Browser) -> float:
    with tempfile.TemporaryDirectory() as home:
        cell = nbformat.v4.new_code_cell("import ipywidgets\n\nipywidgets.Text()")  # type: ignore[no-untyped-call]
        book = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
            cells=[cell], metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        )
        nbformat.write(book, f"{home}/plain.ipynb")  # type: ignore[no-untyped-call]
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--allow-root",
            f"--ServerApp.port={port}",
            f"--ServerApp.root_dir={home}",
        ]
        begin = time.perf_counter()
        with served(command, port, Path(home)) as address:
            open_and_run(browser, address, "plain", ".widget-text input")
            return time.perf_counter() - begin


def first_form(rounds: int) -> dict[str, list[float]]:
    cases: dict[str, Callable[[Browser], float]] = {"msoauth lab": ours, "plain jupyter lab": plain}
    times: dict[str, list[float]] = {case: [] for case in cases}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        for _round in range(rounds):
            for case, measure in cases.items():
                times[case].append(measure(browser))
        browser.close()
    return times


def execute(client: BlockingKernelClient, code: str, expression: str = "None") -> str:
    """Run code in the kernel; what an expression is then."""
    reply = client.execute_interactive(
        code, user_expressions={"asked": expression}, output_hook=lambda _message: None, timeout=120
    )
    if reply["content"]["status"] != "ok":
        raise SystemExit(f"the kernel said {reply['content'].get('evalue')}")
    return str(reply["content"]["user_expressions"]["asked"]["data"]["text/plain"])


def react(client: BlockingKernelClient, model: str, value: str) -> float:
    """Seconds from a message as the browser sends it to the change of the field's error."""
    data = {"method": "custom", "content": {"event": "input", "name": "client_id", "value": value}}
    message = client.session.msg("comm_msg", {"comm_id": model, "data": data})
    begin = time.perf_counter()
    client.shell_channel.send(message)
    while True:
        said: dict[str, Any] = client.get_iopub_msg(timeout=30)
        content = said["content"]
        if said["msg_type"] == "comm_msg" and content.get("comm_id") == model:
            state = content["data"].get("state", {})
            if "errors" in state:
                return time.perf_counter() - begin


def reactions(accounts: int, times: int) -> dict[str, list[float]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        PracticeTenant(accounts=accounts) as tenant,
    ):
        os.environ["MSOAUTH_WORKSPACE"] = f"{folder}/workspace"
        os.environ["MSOAUTH_PASSPHRASE"] = "for this benchmark"
        with Workspace.open(f"{folder}/workspace") as workspace:
            for _address in enrol(workspace, tenant.endpoints_file):
                pass
        manager, client = start_new_kernel()
        try:
            model = execute(client, PREPARE, "panel.form.model_id").strip("'")
            values = [f"wrong {'x' * (n % 2)}@" if n % 2 else "hello" for n in range(times)]
            idle = [react(client, model, value) for value in values]
            execute(client, AUDIT)
            while int(execute(client, "", "len(progress)")) < 5:
                time.sleep(0.1)
            busy = [react(client, model, value) for value in values]
            if execute(client, "", "worker.is_alive()") != "True":
                raise SystemExit("the audit ended before the measurement did")
            return {"idle": idle, "during an audit": busy}
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


def p95(values: list[float]) -> float:
    return sorted(values)[max(0, round(0.95 * len(values)) - 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    missing = [] if Path("/usr/bin/chromium").exists() else ["chromium (apt-get install chromium)"]
    starts = {} if missing else first_form(1 if options.quick else 5)
    answers = reactions(ACCOUNTS, 20 if options.quick else 100)
    rows = [
        {
            "case": case,
            "what": "to the first form, median",
            "value": round(statistics.median(t), 3),
            "unit": "s",
        }
        for case, t in starts.items()
    ]
    for case, t in answers.items():
        for what, value in (
            ("median", statistics.median(t)),
            ("95 of 100", p95(t)),
            ("worst", max(t)),
        ):
            rows.append(
                {"case": case, "what": f"reaction, {what}", "value": round(value, 4), "unit": "s"}
            )
    ratios = {
        "reaction during an audit / 100 ms": round(
            p95(answers["during an audit"]) / AIM_REACTION, 3
        )
    }
    if starts:
        first, other = (statistics.median(t) for t in starts.values())
        ratios["msoauth lab / plain jupyter lab"] = round(first / other, 3)
    if options.json:
        print(
            json.dumps(
                {
                    "name": "notebooks",
                    "machine": platform.platform(),
                    "rows": rows,
                    "ratios": ratios,
                    "missing": missing,
                }
            )
        )
        return
    for row in rows:
        print(f"{row['case']:20} {row['what']:28} {row['value']:9.3f} {row['unit']}")
    for name, ratio in ratios.items():
        aim = AIM_START if name.startswith("msoauth") else 1.0
        print(f"{name}: {ratio:.2f} (at most {aim} is the aim)")
    for name in missing:
        print(f"not measured, because it is missing: {name}")


if __name__ == "__main__":
    main()

"""Runs JupyterLab or Voilà on the guided notebooks; until the workspace has a real firm, with the practice tenant."""

import contextlib
import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from msoauth import clouds
from msoauth.errors import InputError
from msoauth.store import Workspace
from msoauth.texts import _

PRACTICE_VARIABLE = (
    "MSOAUTH_PRACTICE_ENDPOINTS"  # where kernels find the practice tenant's endpoints file
)

PUBLIC_VARIABLE = "MSOAUTH_PUBLIC"  # set where this runs on a public computer, such as Binder's

NOTEBOOK_ONLY = "notebook-only"  # the tag of cells that an app without code does not show

_TERMINATION_TIMEOUT = 8.0  # seconds that JupyterLab has to end its kernels

_RECORD = (
    ".msoauth-notebooks.json"  # digests of the copied notebooks, to tell which the user changed
)


def shipped_notebooks() -> Path:
    """The folder of the guided notebooks: inside the installed package, or beside it in a checkout.

    Raises:
        InputError: there are none.
    """
    package = Path(__file__).parent
    for folder in (package / "notebooks", package.parent / "notebooks"):
        if any(folder.glob("*.ipynb")):
            return folder
    raise InputError(_("This installation lacks the notebooks; install msoauth anew."))


def copy_notebooks(target: Path) -> list[Path]:
    """Copy the guided notebooks into *target*; a copy whose cells the user changed is not overwritten.

    Returns:
        The notebooks in *target*, in order.
    """
    target.mkdir(parents=True, exist_ok=True)
    record_file = target / _RECORD
    try:
        record: dict[str, str] = json.loads(record_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = {}
    copies = []
    for source in sorted(shipped_notebooks().glob("*.ipynb")):
        copy = target / source.name
        copies.append(copy)
        new = _cells_digest(source)
        current = _cells_digest(copy)
        # Kept are the same cells, perhaps with outputs, and what the user changed or replaced by something else.
        if copy.exists() and (current in (new, None) or current != record.get(source.name)):
            continue
        copy.write_bytes(source.read_bytes())
        record[source.name] = new or ""
    record_file.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return copies


def _cells_digest(notebook: Path) -> str | None:
    """A digest of the cells' sources, without outputs; None if the file is not a notebook."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        sources = [[cell["cell_type"], "".join(cell["source"])] for cell in cells]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()


def open_lab(
    workspace: Workspace,
    location: str | None,
    *,
    browser: bool,
    port: int | None,
    real: bool,
    app: bool = False,
    language: str | None = None,
    say: Callable[[str], None],
) -> int:
    """Run JupyterLab or Voilà until it ends; returns its exit status.

    Args:
        location: The workspace's path or URL as the user gave it, for the kernels; None for the default.
        browser: Whether to open the system's browser.
        real: Never start the practice tenant.
        app: Show the panels alone, as an app without code (Voilà), in place of JupyterLab.
        language: The panels' language from now on; None for the one chosen last, or else the browser's.
        say: Called with each message for the user.

    Raises:
        InputError: *app* is true and Voilà is not installed.
    """
    if app and importlib.util.find_spec("voila") is None:
        raise InputError(_("The app needs Voilà: pip install voila"))
    notebooks = copy_notebooks(workspace.folder / "notebooks")
    if language is not None:
        workspace.settings.set("language", language)
    firms = workspace.firms.list()
    only_practice = all(firm.cloud.name == "practice" for firm in firms)
    with contextlib.ExitStack() as stack:
        environment = dict(os.environ)
        running = environment.pop(PRACTICE_VARIABLE, None)
        # The kernel of this very Python must win over one that the user registered for another.
        environment["JUPYTER_PREFER_ENV_PATH"] = "1"
        # Our configuration answers JupyterLab's question about news with no: the user did not ask to contact that server.
        paths = [str(Path(__file__).parent), environment.get("JUPYTER_CONFIG_PATH", "")]
        environment["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, paths))
        if location is not None:
            environment["MSOAUTH_WORKSPACE"] = (
                location if "://" in location else str(Path(location).resolve())
            )
        if only_practice and not real:
            endpoints = (
                Path(running).resolve()  # already started, as on Binder
                if running and Path(running).is_file()
                else stack.enter_context(_practice(say))
            )
            update_practice_firms(workspace, endpoints)
            environment[PRACTICE_VARIABLE] = str(endpoints)
        say(_("The notebooks are in {folder}").format(folder=notebooks[0].parent))
        command = _app(notebooks[0]) if app else _jupyterlab(notebooks[0])
        if port is not None:
            command.append(f"--port={port}")
        if not browser:
            command.append("--no-browser")
        return _run_until_exit(command, environment)


def _jupyterlab(first: Path) -> list[str]:
    command = [
        *(sys.executable, "-m", "jupyterlab"),
        f"--ServerApp.root_dir={first.parent}",
        f"--LabApp.default_url=/lab/tree/{first.name}",
        # No server is asked for news, updates or extensions.
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # in a container there is often nobody else
    return command


def _app(first: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "voila", str(first.parent)),
        "--token",  # as JupyterLab does: the app can send mail
        "--TagRemovePreprocessor.enabled=True",
        f"--TagRemovePreprocessor.remove_cell_tags={NOTEBOOK_ONLY}",
    ]


@contextlib.contextmanager
def _practice(say: Callable[[str], None]) -> Iterator[Path]:
    from msoauth.practice import PracticeTenant  # its servers are loaded only where they are wanted

    with PracticeTenant() as tenant:
        say(
            _(
                "There is no real firm in the workspace yet: the practice tenant is running, and the notebooks use it."
            )
        )
        say(_("Its admin center: {url}").format(url=tenant.admin_url))
        yield tenant.endpoints_file


def update_practice_firms(workspace: Workspace, endpoints: Path) -> None:
    """Update the workspace's practice firms for the practice tenant that is running now.

    Every run of the practice tenant has its own ids, ports and secrets: those of an earlier run are replaced and its
    tokens removed; firms and accounts stay.
    """
    fresh = {
        f["name"]: f for f in json.loads(endpoints.read_text(encoding="utf-8"))["practice"]["firms"]
    }
    cloud = clouds.load(str(endpoints))
    for firm in workspace.firms.list():
        now = fresh.get(firm.name)
        if firm.cloud.name != cloud.name or now is None or firm.tenant == now["tenant_id"]:
            continue
        workspace.firms.replace(
            replace(firm, tenant=now["tenant_id"], client_id=now["client_id"], cloud=cloud)
        )
        workspace.firms.set_secret(firm.name, now["client_secret"], expires=firm.secret_expires)
        for account in workspace.accounts.list(firm.name):
            workspace.tokens.forget(account.address)


def _run_until_exit(command: list[str], environment: dict[str, str]) -> int:
    ending = threading.Event()
    with subprocess.Popen(command, env=environment) as process:
        # SIGTERM must also end JupyterLab and the practice tenant.
        signal.signal(signal.SIGTERM, lambda *_about: ending.set())
        try:
            return _wait(process, ending)
        except KeyboardInterrupt:
            # The terminal sent Ctrl-C to JupyterLab too, which asks for confirmation; a second Ctrl-C ends it.
            try:
                return _wait(process, ending)
            except KeyboardInterrupt:
                ending.set()
                return _wait(process, ending)


def _wait(process: "subprocess.Popen[bytes]", ending: threading.Event) -> int:
    """Wait until the process ends, and terminate it once *ending* is set.

    It waits in short steps, because Python runs signal handlers only between them.
    """
    while not ending.is_set():
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(0.5)
    process.terminate()
    try:
        return process.wait(_TERMINATION_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()  # its kernels notice that and end themselves
        return process.wait()

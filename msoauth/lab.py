"""Runs JupyterLab or Voilà on the guided notebooks, with the practice tenant until the workspace has a real firm.

The practice tenant simulates Microsoft 365 on this computer: its sign-in pages, Graph and mail servers.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from msoauth import clouds, passphrase, private_files
from msoauth.errors import InputError
from msoauth.store import Workspace
from msoauth.texts import _

# The environment variable with the path of the practice tenant's endpoints file: JSON with its addresses and firms.
PRACTICE_VARIABLE = "MSOAUTH_PRACTICE_ENDPOINTS"

PUBLIC_VARIABLE = "MSOAUTH_PUBLIC"  # set on a public computer, such as Binder's

NOTEBOOK_ONLY = "notebook-only"  # the tag of cells that the app (Voilà) does not show

_TERMINATION_TIMEOUT = 8.0  # seconds that JupyterLab has to end its kernels

# Holds digests of the copied notebooks, by which changes of the user are detected.
_DIGESTS_FILE = ".msoauth-notebooks.json"


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
    """Copy the guided notebooks into *target*, except over a copy whose cells the user changed.

    Returns:
        The notebooks in *target*, in order.
    """
    private_files.make_folder(target)
    digests_file = target / _DIGESTS_FILE
    try:
        digests: dict[str, str] = json.loads(digests_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        digests = {}
    copies = []
    for source in sorted(shipped_notebooks().glob("*.ipynb")):
        copy = target / source.name
        copies.append(copy)
        new = _cells_digest(source)
        current = _cells_digest(copy)
        # Keep a copy that is up to date (perhaps with outputs) or that the user changed or replaced by another file.
        if copy.exists() and (current in (new, None) or current != digests.get(source.name)):
            continue
        private_files.write(copy, source.read_bytes())
        digests[source.name] = new or ""
    private_files.write(digests_file, json.dumps(digests, indent=1).encode())
    _trust(c for c in copies if c.read_bytes() == (shipped_notebooks() / c.name).read_bytes())
    return copies


def _trust(notebooks: Iterable[Path]) -> None:
    """Sign notebooks as ``jupyter trust`` does; else JupyterLab asks before it follows a link in their panels."""
    import nbformat  # imported lazily: only this needs it
    from nbformat.sign import NotebookNotary

    notary = NotebookNotary()  # type: ignore[no-untyped-call]
    try:
        for notebook in notebooks:
            notary.sign(nbformat.read(notebook, as_version=4))  # type: ignore[no-untyped-call]
    finally:
        notary.store.close()


def _cells_digest(notebook: Path) -> str | None:
    """A digest of the cells' sources without their outputs; None if the file is not a notebook."""
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
    no_practice: bool,
    app: bool = False,
    language: str | None = None,
    notify: Callable[[str], None],
) -> int:
    """Run JupyterLab or Voilà until it ends; returns its exit status.

    Args:
        location: The workspace's path or URL as the user gave it, for the kernels; None for the default.
        browser: Whether to open the system's browser.
        no_practice: Never start the practice tenant.
        app: Show only the panels, as an app without code (Voilà), instead of JupyterLab.
        language: The panels' language from now on; None for the one chosen last, or else the browser's.
        notify: Called with each message for the user.

    Raises:
        InputError: *app* is true and Voilà is not installed.
    """
    if app and importlib.util.find_spec("voila") is None:
        raise InputError(_("The app needs Voilà: pip install voila"))
    notebooks = copy_notebooks(workspace.folder / "notebooks")
    if language is not None:
        workspace.settings.set("language", language)
    firms = workspace.firms.list()
    # Also true with no firm at all.
    only_practice_firms = all(firm.cloud.is_practice for firm in firms)
    with contextlib.ExitStack() as stack:
        environment = dict(os.environ)
        private = Path(stack.enter_context(_private_folder()))
        if (words := passphrase.current()) is not None:
            environment[passphrase.HANDOVER_VARIABLE] = passphrase.hand_over(words, private)
        existing_endpoints = environment.pop(PRACTICE_VARIABLE, None)
        # This Python's kernel takes precedence over one that the user registered for another Python.
        environment["JUPYTER_PREFER_ENV_PATH"] = "1"
        # Our Jupyter configuration beside this file declines JupyterLab's offer to fetch news from its server.
        config_paths = [str(Path(__file__).parent), environment.get("JUPYTER_CONFIG_PATH", "")]
        environment["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, config_paths))
        if location is not None:
            environment["MSOAUTH_WORKSPACE"] = (
                location if "://" in location else str(Path(location).resolve())
            )
        if only_practice_firms and not no_practice:
            endpoints = (
                Path(existing_endpoints).resolve()  # it is running already, as on Binder
                if existing_endpoints and Path(existing_endpoints).is_file()
                else stack.enter_context(_practice_tenant(notify))
            )
            update_practice_firms(workspace, endpoints)
            environment[PRACTICE_VARIABLE] = str(endpoints)
        notify(_("The notebooks are in {folder}").format(folder=notebooks[0].parent))
        command = _voila_command(notebooks[0]) if app else _jupyterlab_command(notebooks[0])
        # Their connection files, with the key of each kernel, and their sockets.
        environment["JUPYTER_RUNTIME_DIR"] = str(private)
        if app:
            command.append(f"--Voila.connection_dir_root={private}")
        command += transport_options(private)
        if port is not None:
            command.append(f"--port={port}")
        if not browser:
            command.append("--no-browser")
        return _run_until_exit(command, environment)


# What the name of a socket adds to its folder: Voilà's own folder in it, and the kernel's id and number.
_SOCKET_NAME = "/voila_xxxxxxxx/kernel-01234567-89ab-cdef-0123-456789abcdef-ipc-99"
_MAX_SOCKET_PATH = 103  # bytes: sun_path of macOS without its NUL (Linux: 107)


def _private_folder() -> "tempfile.TemporaryDirectory[str]":
    """A new folder for this user alone, with a path so short that a kernel's sockets can lie in it, if there is one."""
    places = (tempfile.gettempdir(), "/tmp")  # noqa: S108
    short = (p for p in places if _has_room_for_sockets(Path(p, "msoauth-xxxxxxxx")))
    place = next((p for p in short if os.access(p, os.W_OK)), None)
    return tempfile.TemporaryDirectory(prefix="msoauth-", dir=place, ignore_cleanup_errors=True)


def _has_room_for_sockets(folder: Path) -> bool:
    return len(os.fsencode(f"{folder}{_SOCKET_NAME}")) <= _MAX_SOCKET_PATH


def transport_options(private: Path) -> list[str]:
    """The options by which kernels talk to Jupyter so that no other user of this computer can listen.

    By default they use TCP on the loopback interface: commands are signed, but everyone on this computer can read the
    outputs. Sockets in a folder of this user alone are better. Windows has none; there, or where no folder has a short
    enough path, Jupyter encrypts (CurveZMQ) if both its client and the kernel are recent enough.
    """
    if hasattr(socket, "AF_UNIX") and _has_room_for_sockets(private):
        return ["--KernelManager.transport=ipc"]
    import zmq
    from jupyter_client.manager import KernelManager

    if "transport_encryption" in KernelManager.class_trait_names() and zmq.has("curve"):
        return ["--KernelManager.transport_encryption=auto"]
    return []


def _jupyterlab_command(first: Path) -> list[str]:
    """The command that runs JupyterLab and opens the notebook *first*."""
    command = [
        *(sys.executable, "-m", "jupyterlab"),
        f"--ServerApp.root_dir={first.parent}",
        f"--LabApp.default_url=/lab/tree/{first.name}",
        # Do not contact servers for news, updates or extensions.
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # containers often run as root, which JupyterLab refuses
    return command


def _voila_command(first: Path) -> list[str]:
    """The command that runs Voilà on the folder of the notebook *first*."""
    return [
        *(sys.executable, "-m", "voila", str(first.parent)),
        "--token",  # require a token as JupyterLab does, because the app can send mail
        "--TagRemovePreprocessor.enabled=True",
        f"--TagRemovePreprocessor.remove_cell_tags={NOTEBOOK_ONLY}",
    ]


@contextlib.contextmanager
def _practice_tenant(notify: Callable[[str], None]) -> Iterator[Path]:
    """Run a practice tenant, and yield its endpoints file."""
    from msoauth.practice import PracticeTenant  # imported lazily: it brings all simulated servers

    with PracticeTenant() as tenant:
        notify(
            _(
                "There is no real firm in the workspace yet: the practice tenant is running, and the notebooks use it."
            )
        )
        notify(_("Its admin center: {url}").format(url=tenant.admin_url))
        yield tenant.endpoints_file


def update_practice_firms(workspace: Workspace, endpoints: Path) -> None:
    """Adapt the workspace's practice firms to the practice tenant that is running now.

    Every run of the practice tenant has new ids, ports and secrets: those of an earlier run are replaced and its
    tokens deleted; firms and accounts stay.
    """
    running_firms = {
        f["name"]: f
        for f in private_files.read_json(endpoints, clouds.MAX_BYTES)["practice"]["firms"]
    }
    cloud = clouds.load(str(endpoints))
    for firm in workspace.firms.list():
        current = running_firms.get(firm.name)
        if not firm.cloud.is_practice or current is None or firm.tenant == current["tenant_id"]:
            continue
        workspace.firms.replace(
            replace(firm, tenant=current["tenant_id"], client_id=current["client_id"], cloud=cloud)
        )
        workspace.firms.set_secret(firm.name, current["client_secret"], expires=firm.secret_expires)
        for account in workspace.accounts.list(firm.name):
            workspace.tokens.forget(account.address)


def _run_until_exit(command: list[str], environment: dict[str, str]) -> int:
    """Run a command until it exits, and return its exit status; SIGTERM and a second Ctrl-C terminate it."""
    stop_requested = threading.Event()
    with subprocess.Popen(command, env=environment) as process:
        # SIGTERM must also end JupyterLab and the practice tenant.
        signal.signal(signal.SIGTERM, lambda *_args: stop_requested.set())
        try:
            return _wait(process, stop_requested)
        except KeyboardInterrupt:
            # The terminal sent Ctrl-C to JupyterLab too, which asks for confirmation; a second Ctrl-C ends it.
            try:
                return _wait(process, stop_requested)
            except KeyboardInterrupt:
                stop_requested.set()
                return _wait(process, stop_requested)


def _wait(process: "subprocess.Popen[bytes]", stop_requested: threading.Event) -> int:
    """Wait until the process ends, and terminate it once *stop_requested* is set.

    It waits in short steps to notice the event: on POSIX a wait goes on after a signal handler has returned, and on
    Windows handlers run only between waits.
    """
    while not stop_requested.is_set():
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(0.25)
    process.terminate()
    try:
        return process.wait(_TERMINATION_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()  # kernels exit by themselves when JupyterLab is gone
        return process.wait()

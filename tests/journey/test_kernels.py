"""What another program sees of the kernels of ``msoauth lab``: no passphrase, and sockets of this user alone."""

import json
import os
import stat
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_core.utils import ensure_event_loop

from tests.journey.conftest import Practice
from tests.journey.servers import PASSPHRASE, TOKEN, Lab, server_of

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="sockets in a folder"),
    pytest.mark.timeout(200),
    pytest.mark.xdist_group("journey"),
]

Execute = Callable[[str], str]


def ask(lab: Lab, method: str, path: str) -> Any:
    """A request to Jupyter's REST API."""
    request = urllib.request.Request(  # noqa: S310
        f"{lab.url}/api/{path}",
        b"{}" if method == "POST" else None,
        {"Authorization": f"token {TOKEN}"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.loads(answer.read() or b"null")


@contextmanager
def kernel(lab: Lab, folder: Path) -> Iterator[tuple[str, Execute]]:
    """A new kernel of that lab: its id, and a function that executes code and returns what it printed.

    Code that prints "please interrupt" is interrupted.
    """
    name = ask(lab, "POST", "kernels")["id"]
    client = BlockingKernelClient(connection_file=str(folder / f"kernel-{name}.json"))
    client.load_connection_file()
    client.start_channels()

    def execute(code: str) -> str:
        said: list[str] = []

        def hear(message: dict[str, Any]) -> None:
            said.append(message["content"].get("text") or json.dumps(message["content"]))
            if said[-1].startswith("please interrupt"):
                ask(lab, "POST", f"kernels/{name}/interrupt")

        client.wait_for_ready(timeout=60)
        client.execute_interactive(code, timeout=60, output_hook=hear)
        return "".join(said)

    # In a thread, as another test's browser may keep a loop running in this one, and to close the client's own.
    with ThreadPoolExecutor(1) as pool:
        try:
            yield name, lambda code: pool.submit(execute, code).result()
        finally:
            client.stop_channels()
            pool.submit(lambda: ensure_event_loop().close()).result()
            ask(lab, "DELETE", f"kernels/{name}")


def test_without_its_token_jupyter_shows_nothing(practice: Practice) -> None:
    for path in ("/lab", "/notebooks/0%20Start%20here.ipynb", "/tree"):
        answer = requests.get(f"{practice.lab.url}{path}", allow_redirects=False, timeout=20)
        assert answer.status_code == 302
        assert "/login" in answer.headers["Location"]
    for path in ("/api/contents", "/api/kernels", "/files/0%20Start%20here.ipynb"):
        answer = requests.get(f"{practice.lab.url}{path}", allow_redirects=False, timeout=20)
        assert answer.status_code in (302, 403)
        assert "ipynb" not in answer.text
    assert requests.post(f"{practice.lab.url}/api/kernels", timeout=20).status_code == 403


def test_a_kernel_shows_no_passphrase_and_opens_the_vault(practice: Practice) -> None:
    server = server_of(practice.lab)
    folder = Path(server.environ()["JUPYTER_RUNTIME_DIR"])
    with kernel(practice.lab, folder) as (_name, execute):
        environment = execute("!env")
        assert str(practice.lab.workspace) in environment
        assert PASSPHRASE not in environment
        firm = practice.store.firms.list()[0].name
        secret = practice.store.firms.secret(firm)
        assert secret is not None
        same = f"!{{sys.executable}} -m msoauth vault show; {{sys.executable}} -m msoauth firm check '{firm}'"
        said = execute(f"import sys\n{same}")
        assert "The key comes from a passphrase" in said
        assert "registration.secret" in said
        assert "MSOAUTH_PASSPHRASE:" not in said
        code = f"import msoauth; print(msoauth.Workspace.open().firms.secret({firm!r}).reveal() == {secret.reveal()!r})"
        assert "True" in execute(code)
        for process in (server, *server.children(recursive=True)):
            assert PASSPHRASE not in str(process.environ()), process.cmdline()
            assert PASSPHRASE not in str(process.cmdline())


def test_kernels_are_reached_by_sockets_of_this_user_alone_and_restart_and_interrupt(
    practice: Practice,
) -> None:
    folder = Path(server_of(practice.lab).environ()["JUPYTER_RUNTIME_DIR"])
    assert (
        folder.stat().st_mode & 0o777 == 0o700
    )  # Jupyter sets the sticky bit with the first kernel
    with kernel(practice.lab, folder) as (name, execute):
        connection = json.loads((folder / f"kernel-{name}.json").read_text(encoding="utf-8"))
        assert connection["transport"] == "ipc"
        assert Path(connection["ip"]).parent == folder
        assert len(os.fsencode(connection["ip"])) + len("-99") <= 103
        assert "42" in execute("print(6 * 7)")
        sockets = [file for file in folder.iterdir() if stat.S_ISSOCK(file.stat().st_mode)]
        assert len([file for file in sockets if name in file.name]) == 5
        ask(practice.lab, "POST", f"kernels/{name}/restart")
        assert "NameError" in execute("sys")
        waiting = (
            "import threading; print('please interrupt', flush=True); threading.Event().wait()"
        )
        assert "KeyboardInterrupt" in execute(waiting)
        assert "43" in execute("print(6 * 7 + 1)")
    assert not list(folder.glob(f"kernel-{name}*"))

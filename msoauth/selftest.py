"""Whether this computer can do what msoauth needs: what systems do differently is tried here, without a mailbox and a secret.

Each test stands for rows of docs/facts/windows.md, which says what was read about Windows and macOS. Nothing is contacted
but this computer itself; what is written is in a temporary folder and gone afterwards.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msoauth import private_files
from msoauth.clouds import Cloud, Endpoint
from msoauth.errors import AuthError
from msoauth.identity import http
from msoauth.identity.loopback import Listener
from msoauth.model import Signal
from msoauth.redact import redact
from msoauth.store.engine import shared_place

SLOW = 2.0  # seconds: more than this for something on this computer is waiting for a name or an address


class Problem(Exception):  # noqa: N818 - it is a result, not an error of the program
    """What this computer does not do as msoauth needs it."""


class NotHere(Exception):  # noqa: N818
    """This computer cannot show it."""


@dataclass(frozen=True)
class Result:
    """How a test ended.

    Attributes:
        rows: The rows of docs/facts/windows.md that it stands for.
        found: What was found, without a name of a person or a place of theirs.
        seconds: How long it took.
    """

    test: str
    rows: str
    signal: Signal
    found: str
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The result as a JSON object."""
        return {
            "test": self.test,
            "rows": self.rows,
            "signal": str(self.signal),
            "found": self.found,
            "seconds": round(self.seconds, 2),
        }


Test = Callable[[Path], str]
TESTS: dict[str, tuple[str, Test]] = {}


def _test(name: str, rows: str) -> Callable[[Test], Test]:
    def add(test: Test) -> Test:
        TESTS[name] = (rows, test)
        return test

    return add


def run() -> Iterator[Result]:
    """Run every test; yields each result when it is there.

    >>> [result.signal for result in run() if result.test == "names"]  # doctest: +SKIP
    [<Signal.PASSED: 'passed'>]
    """
    with tempfile.TemporaryDirectory(prefix="msoauth-", ignore_cleanup_errors=True) as folder:
        for name, (rows, test) in TESTS.items():
            place = Path(folder, name)
            private_files.make_folder(place)
            start = time.monotonic()
            try:
                state, found = Signal.PASSED, test(place)
            except NotHere as reason:
                state, found = Signal.SKIPPED, str(reason)
            except Problem as problem:
                state, found = Signal.FAILED, str(problem)
            except Exception as error:  # noqa: BLE001 - the report says so, and the next test is tried
                state, found = Signal.ERROR, f"{type(error).__name__}: {error}"
            found = found.replace(str(Path.home()), "~").replace(folder, "…")
            yield Result(name, rows, state, redact(found, 1000), time.monotonic() - start)


def report(results: list[Result]) -> str:
    """The results as JSON to be sent back: with versions, and without names, addresses and secrets."""
    from msoauth.reports.bundle import versions

    content = {
        "format": "msoauth-selftest",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "encodings": {
            "stdout": getattr(sys.stdout, "encoding", None),
            "files": sys.getfilesystemencoding(),
        },
        "results": [result.as_json() for result in results],
    }
    return json.dumps(content, indent=1) + "\n"


def _cloud(port: int, ca_file: str | None = None) -> Cloud:
    """A cloud whose servers are all at one port of this computer."""
    here = f"https://localhost:{port}/"
    end = Endpoint("localhost", port, "implicit")
    return Cloud("selftest", here, here, "https://outlook.office.com", end, end, end, ca_file)


@contextlib.contextmanager
def _listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port of this computer, whose connections *serve* gets, each in a thread of its own; yields its number."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):  # closed at the end
                while True:
                    connection, _address = server.accept()
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


@_test("certificate", "1")
def _untrusted_certificate(_place: Path) -> str:
    """A certificate that the system does not trust is told as that, in whatever language the system says it."""
    import trustme

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost", "127.0.0.1").configure_cert(context)

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True):
            pass

    with _listening(serve) as port:
        try:
            http.reach(_cloud(port), f"https://localhost:{port}/", timeout=10)
        except AuthError as error:
            words = error.evidence.splitlines()[0] if error.evidence else ""
            if error.cause != "tls-untrusted":
                raise Problem(f"told as {error.cause}: {words}") from None
            return f"told as {error.cause}: {words}"
    raise Problem("a certificate that nobody trusts was trusted")


@_test("text", "2, 8")
def _text_of_shells(place: Path) -> str:
    """What a shell writes by “>” is read, and what this program prints is read by a shell."""
    command = [sys.executable, "-c", 'print(\'{"name": "ü"}\')']
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    powershell = shutil.which("powershell") or shutil.which("pwsh")
    file = place / "out.json"
    if powershell:
        line = f"& '{sys.executable}' -c \"print(123)\" > '{file}'"
        subprocess.run([powershell, "-NoProfile", "-Command", line], check=True, env=environment, timeout=60)  # fmt: skip
        if private_files.read_json(file, 1000) != 123:
            raise Problem("what PowerShell wrote is not read")
        return f"{Path(powershell).stem}: {file.read_bytes()[:4].hex(' ')} …"
    with file.open("wb") as out:
        subprocess.run(command, check=True, stdout=out, env=environment, timeout=60)
    if private_files.read_json(file, 1000) != {"name": "ü"}:
        raise Problem("what was written is not read")
    return "no PowerShell here; the shell's file is read"


@_test("folder", "3, 14, 15")
def _data_folder(place: Path) -> str:
    """The user's data folder is where its name says, this user's alone, and on no other computer."""
    import platformdirs

    named = Path(platformdirs.user_data_dir("msoauth", appauthor=False))
    real = Path(os.path.realpath(named))
    shared = shared_place(real)
    if not private_files.is_private(place):
        raise Problem("a new folder can be read by other users")
    if shared:
        raise Problem(f"the user's data folder lies on {shared}")
    return "as named" if real == named else f"{named} is in truth {real}"


@_test("replace", "5, 7")
def _replaced_while_open(place: Path) -> str:
    """A file that another program has open for a moment is replaced all the same."""
    file = place / "held.txt"
    file.write_bytes(b"old")
    held = file.open("rb")
    threading.Timer(0.6, held.close).start()
    start = time.monotonic()
    try:
        private_files.write(file, b"new")
    except OSError as error:
        raise Problem(f"{type(error).__name__} after {time.monotonic() - start:.1f} s") from None
    finally:
        held.close()
    return f"replaced after {time.monotonic() - start:.1f} s"


@_test("handshakes", "6")
def _handshakes_side_by_side(_place: Path) -> str:
    """Four servers that do not answer a TLS handshake are given up at once, and not one after the other."""
    release = threading.Event()

    def serve(connection: socket.socket) -> None:
        release.wait(20)
        connection.close()

    def ask(port: int) -> None:
        with contextlib.suppress(AuthError):
            http.reach(_cloud(port), f"https://localhost:{port}/", timeout=1.5)

    with _listening(serve) as port:
        start = time.monotonic()
        threads = [threading.Thread(target=ask, args=(port,)) for _n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        seconds = time.monotonic() - start
        release.set()
    if seconds > 4:
        raise Problem(f"{seconds:.1f} s for four that give up after 1.5 s each")
    return f"{seconds:.1f} s for four that give up after 1.5 s each"


@_test("localhost", "9, 10")
def _this_computers_name(_place: Path) -> str:
    """The sign-in's listener is there at once, and answers on every address that “localhost” has."""
    start = time.monotonic()
    listener = Listener("localhost", None, "/")
    try:
        listener.listen("state")
        addresses = {info[4][0] for info in socket.getaddrinfo("localhost", listener.port, type=socket.SOCK_STREAM)}  # fmt: skip
        for address in sorted(map(str, addresses)):
            try:
                socket.create_connection((address, listener.port), timeout=SLOW).close()
            except OSError as error:
                raise Problem(f"{address}: {type(error).__name__}") from None
    finally:
        listener.close()
    seconds = time.monotonic() - start
    if seconds > SLOW:
        raise Problem(f"{seconds:.1f} s until the listener had answered")
    return f"{', '.join(sorted(map(str, addresses)))} in {seconds:.2f} s"


@_test("ctrl-c", "11")
def _interrupted(_place: Path) -> str:
    """Ctrl-C ends a program that waits."""
    program = (
        "import threading; from msoauth import waiting; print('waits', flush=True); "
        "waiting.wait(threading.Event(), 60)"
    )
    in_a_group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        creationflags=in_a_group,
    ) as process:
        assert process.stdout is not None  # noqa: S101
        process.stdout.readline()
        start = time.monotonic()
        process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Problem("it went on for 10 s") from None
    return f"ended after {time.monotonic() - start:.2f} s"


@_test("keyring", "12")
def _keyring(_place: Path) -> str:
    """The keyring keeps what is put into it; the entry is deleted again."""
    import keyring
    from keyring.errors import KeyringLocked, NoKeyringError

    backend = type(keyring.get_keyring())
    name = f"{backend.__module__}.{backend.__qualname__}"
    try:
        keyring.set_password("msoauth-selftest", "entry", "kept")
        kept = keyring.get_password("msoauth-selftest", "entry")
        keyring.delete_password("msoauth-selftest", "entry")
    except NoKeyringError:
        raise NotHere("no keyring; secrets need a passphrase or a key file") from None
    except KeyringLocked:
        raise Problem(f"{name} is locked, or denied access") from None
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        raise NotHere(f"{name}: {type(error).__name__}") from None
    if kept != "kept":
        raise NotHere(f"{name} keeps nothing")
    return name


_NAMES = (
    "anna@contoso.example", "con.obrien@contoso.example", "a|b@contoso.example", "../../x@contoso.example",
    "nul@contoso.example", "ü.ß@contoso.example", "A@contoso.example", "a@contoso.example", f"{'x' * 300}@contoso.example",
)  # fmt: skip


@_test("names", "13")
def _names_of_folders(place: Path) -> str:
    """Every address that mail allows has a folder of its own, below the one where it belongs."""
    for name in _NAMES:
        folder = place / private_files.safe_name(name)
        private_files.make_folder(folder)
        if folder.parent != place or not folder.is_dir():
            raise Problem(f"{name[:30]}: its folder lies elsewhere")
        (folder / "mail.eml").write_bytes(name.encode())
    lost = [
        n
        for n in _NAMES
        if (place / private_files.safe_name(n) / "mail.eml").read_bytes() != n.encode()
    ]
    differ_by_case = {"a@contoso.example", "A@contoso.example"}
    if set(lost) - differ_by_case:
        raise Problem(f"two addresses have one folder: {', '.join(lost)}")
    return f"{len(_NAMES)} names" + (", case is not told apart" if lost else "")


@_test("proxy", "16")
def _proxies(_place: Path) -> str:
    """Which proxies the environment and the system name."""
    proxy = http.proxy_for("https://login.microsoftonline.com/")
    script = http.proxy_script()
    found = ["a proxy is set" if proxy else "no proxy is set"]
    if script:
        found.append("a script chooses one, which msoauth does not run")
    return ", ".join(found)


@_test("system", "17")
def _limits(_place: Path) -> str:
    """What the system limits: open files, and connections at a time."""
    count = 0
    try:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=300))
            while count < 280:
                stack.enter_context(socket.create_connection(server.getsockname()))
                count += 1
    except OSError as error:
        raise Problem(
            f"after {count} open connections: {type(error).__name__} {error.errno}"
        ) from None
    return f"{count} connections at a time"


@_test("practice", "all")
def _practice(place: Path) -> str:
    """A firm of the practice tenant is added, a user signs in, mail is retrieved, and every check passes."""
    from msoauth import api
    from msoauth.enrol import enrol
    from msoauth.practice import PracticeTenant
    from msoauth.store import Workspace

    with (
        PracticeTenant() as tenant,
        Workspace.open(place / "workspace", passphrase="of the self-test alone") as workspace,  # noqa: S106
    ):
        address = next(enrol(workspace, tenant.endpoints_file))
        diagnosis = api.diagnose(workspace, address, progress=False)
        wrong = [
            f"{f.check}: {f.summary}"
            for f in diagnosis
            if f.signal in (Signal.FAILED, Signal.ERROR)
        ]
        if wrong:
            raise Problem("; ".join(wrong))
        mail = api.fetch(workspace, address, limit=5, to=place / "mail", progress=False)
    return f"{len(diagnosis)} checks, {len(mail)} messages"

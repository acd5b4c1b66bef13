"""What Windows and macOS do differently, as far as Linux can show it. The numbers are the rows of docs/facts/windows.md."""

import ast
import ctypes
import errno
import io
import json
import os
import re
import shlex
import socket
import sqlite3
import ssl
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from keyring.errors import KeyringLocked, NoKeyringError
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError, SSLError

from msoauth import checks, clouds, ports, private_files, selftest, tls, waiting
from msoauth.cli import files, main, prompts
from msoauth.cli.output import print_json, print_text, show_progress, utf8_streams
from msoauth.errors import InputError, MailError, VaultError
from msoauth.identity import http
from msoauth.identity.auth_errors import transport_error
from msoauth.identity.loopback import Listener
from msoauth.mail import sockets
from msoauth.mail.pop3 import Pop3Session
from msoauth.mail.stores import file_name
from msoauth.model import Firm
from msoauth.practice import PracticeTenant
from msoauth.reports.pseudonyms import Pseudonyms
from msoauth.store import Workspace
from msoauth.store.database import trouble
from msoauth.store.engine import shared_place
from msoauth.waiting import STEP
from tests.checks.test_ip_versions import needs_ipv6
from tests.ports import reserved_port
from tests.test_shells import cmd_words, powershell_words

FIRM = Firm("Contoso", "contoso.example", "11111111-2222-4333-8444-555555555555")
OWN = {
    "name": "müller",
    "authority": "https://localhost:8443/",
    "graph": "https://localhost:8443/graph/",
    "outlook_resource": "https://outlook.office.com",
    "pop3": {"host": "localhost", "port": 995, "tls": "implicit"},
    "imap": {"host": "localhost", "port": 993, "tls": "implicit"},
    "smtp": {"host": "localhost", "port": 587, "tls": "starttls"},
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_2_an_endpoints_file_is_read_in_what_each_powershell_writes(
    tmp_path: Path, encoding: str
) -> None:
    file = tmp_path / "own.json"
    file.write_bytes(json.dumps(OWN, ensure_ascii=False).encode(encoding))
    assert clouds.load(str(file)).name == "müller"
    assert private_files.read_json(file, clouds.MAX_BYTES) == OWN


def test_2_json_on_stdout_is_the_same_in_every_code_page(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_json({"firm": "Müller & Söhne", "text": "\u202e\x7f😀"})
    out = capsys.readouterr().out
    for code_page in ("cp1252", "cp850", "cp437", "utf-8"):
        assert json.loads(out.encode().decode(code_page)) == {
            "firm": "Müller & Söhne",
            "text": "\u202e\x7f😀",
        }
    assert "\x7f" not in out


def test_6_where_the_system_verifies_no_thread_waits_for_anothers_handshake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tls, "openssl_context", lambda: None)
    used: list[ssl.SSLContext] = []
    both = threading.Barrier(2, timeout=30)

    class Manager:
        """Connections that are never made."""

        def __init__(self, **options: Any) -> None:
            self.context = options["ssl_context"]

        def request(self, *_args: Any, **_options: Any) -> Any:
            both.wait()  # while the other's request is under way
            used.append(self.context)
            raise HTTPError

        def clear(self) -> None:
            pass

    monkeypatch.setattr(http, "PoolManager", Manager)

    def ask() -> None:
        with pytest.raises(HTTPError):
            http.get(clouds.GLOBAL, "https://login.example/x")

    threads = [threading.Thread(target=ask) for _n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    first, second = used
    assert first is not second
    http.forget_connections()


def _deny(
    monkeypatch: pytest.MonkeyPatch, denied: Path, *, times: int = 10**6
) -> Callable[[], int]:
    """Have the system deny that *denied* is replaced, as while Excel or a virus scanner has it open."""
    replace, tries = os.replace, [0]

    def replace_or_not(source: str | Path, target: str | Path) -> None:
        if Path(target) == denied and tries[0] < times:
            tries[0] += 1
            raise PermissionError(13, "Zugriff verweigert", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_or_not)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    return lambda: tries[0]


def test_5_a_file_that_a_virus_scanner_holds_is_replaced_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings"
    file.write_bytes(b"old")
    tries = _deny(monkeypatch, file, times=2)
    private_files.write(file, b"new")
    assert (file.read_bytes(), tries()) == (b"new", 2)
    assert list(tmp_path.iterdir()) == [file]


def test_7_a_report_that_is_open_in_excel_is_written_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "audit.xlsx"
    file.write_bytes(b"yesterday's")
    _deny(monkeypatch, file)
    files.check_writable(file, may_be_open=True)
    written = files.write_beside(file, b"today's")
    assert written.parent == tmp_path
    assert written.name.startswith("audit 20")
    assert written.suffix == ".xlsx"
    assert written.read_bytes() == b"today's"
    assert file.read_bytes() == b"yesterday's"
    assert set(tmp_path.iterdir()) == {file, written}


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("schlüssel mit ü\r\n".encode(), "schlüssel mit ü"),
        ("\ufeffschlüssel\n".encode(), "schlüssel"),
        ("schlüssel\r\n".encode("cp850"), None),
        ("schlüssel\r\n".encode("cp1252"), None),
        (b"secret \r\n", None),  # cmd: echo secret | msoauth ...
        (b" secret\n", None),
        (b"", ""),
    ],
)
def test_8_a_secret_from_stdin_is_what_was_typed_or_refused(
    monkeypatch: pytest.MonkeyPatch, given: bytes, read: str | None
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), encoding="cp1252"))
    if read is not None:
        assert prompts.read_line("--secret-stdin") == read
    else:
        with pytest.raises(InputError, match="Leave --secret-stdin out"):
            prompts.read_line("--secret-stdin")


def test_10_nobody_waits_for_the_computers_name_in_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_args: str) -> str:
        pytest.fail("this may wait for half a minute")

    monkeypatch.setattr(socket, "getfqdn", hang)
    monkeypatch.setattr(socket, "gethostname", lambda: "kanzlei-pc7")
    Listener("localhost", None, "/cb").close()
    names = Pseudonyms(b"key", FIRM, [])
    assert names.text("from kanzlei-pc7, kanzlei-pc7.contoso.example") == (
        f"from computer, computer.{names.domain('contoso.example')}"
    )


def _denied_by_macos() -> Exception:
    class KeychainDenied(Exception):  # noqa: N818 - as keyring's module for macOS calls it
        pass

    locked = KeyringLocked("Can't get password from keychain")
    locked.__cause__ = KeychainDenied(-128)
    return locked


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (NoKeyringError("No recommended backend was available"), "There is no keyring here"),
        (KeyringLocked("Failed to unlock the collection!"), "is locked"),
        (_denied_by_macos(), "denied access"),
        (OSError(1312, "Eine angegebene Anmeldesitzung ist nicht vorhanden."), "OSError"),
    ],
)
def test_12_a_keyring_that_is_missing_locked_or_denied_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception, told: str
) -> None:
    kept: dict[str, str] = {}
    monkeypatch.setenv("MSOAUTH_PASSPHRASE", "")
    with monkeypatch.context() as before:
        before.setattr("keyring.set_password", lambda _s, name, value: kept.update({name: value}))
        before.setattr("keyring.get_password", lambda _s, name: kept.get(name))
        with Workspace.open(tmp_path / "workspace") as workspace:
            workspace.firms.add(FIRM, "a-secret-value-of-a-test")

    def refuse(*_names: str) -> str:
        raise problem

    monkeypatch.setattr("keyring.get_password", refuse)
    with (
        Workspace.open(tmp_path / "workspace") as workspace,
        pytest.raises(VaultError, match=r"\(entry workspace-") as refused,
    ):
        workspace.firms.secret(FIRM)
    assert told in refused.value.summary


@pytest.mark.parametrize(
    ("file", "mounts", "shared"),
    [
        ("/home/anna/OneDrive - Contoso/msoauth/msoauth.db", "", "OneDrive - Contoso"),
        ("/Users/anna/Library/Mobile Documents/x/msoauth.db", "", "Mobile Documents"),
        ("/home/anna/OneDriver/msoauth.db", "", None),
        ("/mnt/share/a/msoauth.db", "server:/x /mnt/share nfs4 rw 0 0", "server:/x"),
        ("/mnt/my share/msoauth.db", "//server/x /mnt/my\\040share cifs rw 0 0", "//server/x"),
        ("/mnt/share2/msoauth.db", "server:/x /mnt/share nfs4 rw 0 0\n/dev/a / ext4 rw 0 0", None),
    ],
)
def test_15_a_workspace_that_other_computers_share_is_known(
    tmp_path: Path, file: str, mounts: str, shared: str | None
) -> None:
    (tmp_path / "mounts").write_text(mounts, encoding="utf-8")
    assert shared_place(Path(file), tmp_path / "mounts") == shared


def test_15_there_the_database_has_no_write_ahead_log_and_its_user_is_warned(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "OneDrive" / "msoauth"
    folder.mkdir(parents=True)
    with Workspace.open(folder) as workspace:
        assert any("OneDrive" in warning for warning in workspace.warnings)
        workspace.settings.set("language", "de")
        assert not (folder / "msoauth.db-wal").exists()
    with Workspace.open(tmp_path / "own") as workspace:
        assert not workspace.warnings or "shares" not in " ".join(workspace.warnings)


def test_3_the_folder_that_is_shown_is_the_one_that_holds_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = (
        tmp_path / "Packages" / "PythonSoftwareFoundation.Python.3.12" / "LocalCache" / "Local"
    )
    private.mkdir(parents=True)
    # What Windows does behind such a Python's back: another folder answers to the name.
    realpath = os.path.realpath
    shown = tmp_path / "AppData" / "Local" / "msoauth"
    monkeypatch.setattr(
        os.path,
        "realpath",
        lambda path, **_options: realpath(str(path).replace(str(shown.parent), str(private))),
    )
    (private / "msoauth").mkdir()
    monkeypatch.setenv("MSOAUTH_WORKSPACE", str(shown))
    with Workspace.open() as workspace:
        assert workspace.folder == private / "msoauth"
        assert any("Microsoft Store" in warning for warning in workspace.warnings)


# Where systems differ: files and their names, TLS, the desktop, the console, sockets.
PLACES = {
    "private_files.py",
    "tls.py",
    "identity/environment.py",
    "mail/sockets.py",
    "practice/network.py",
}
PACKAGE = Path(clouds.__file__).parent


def _modules() -> list[tuple[str, ast.Module]]:
    return [
        (file.relative_to(PACKAGE).as_posix(), ast.parse(file.read_text(encoding="utf-8")))
        for file in sorted(PACKAGE.rglob("*.py"))
    ]


def test_systems_are_told_apart_in_their_places_only() -> None:
    asking = {
        name
        for name, module in _modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) in ("os.name", "sys.platform", "platform.system")
        and name != "reports/bundle.py"  # which tells it and decides nothing
    }
    assert asking <= PLACES


def test_11_no_wait_of_a_main_thread_is_so_long_that_windows_would_not_hear_ctrl_c() -> None:
    """Kernels and the practice tenant wait in threads of their own; so do the workers of an audit."""
    long_ones = []
    for name, module in _modules():
        if name.startswith(("ui/", "practice/", "auditing/", "waiting", "selftest")):
            continue
        constants = {
            target.id: float(node.value.value)
            for node in module.body
            if isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, float | int)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in ast.walk(module):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
                continue
            owner = ast.unparse(call.func.value)
            is_wait = call.func.attr == "wait" and owner != "waiting"
            if not is_wait and ast.unparse(call.func) != "time.sleep":
                continue
            seconds = [ast.unparse(a) for a in call.args]
            limit = constants.get(seconds[0]) if seconds else None
            if not (
                (limit is not None and limit <= STEP)
                or any("waiting.STEP" in s for s in seconds)
                or (seconds and seconds[0].replace(".", "").isdigit() and float(seconds[0]) <= STEP)
            ):
                long_ones.append(ast.unparse(call))
    # A sign-in's own, which waits in steps; JupyterLab's end, once it was asked for; a file that is held for a moment.
    assert set(long_ones) <= {
        "attempt.wait()",
        "process.wait(_TERMINATION_TIMEOUT)",
        "process.wait()",
        "time.sleep(pause)",
    }


def test_11_a_wait_ends_with_its_event_and_with_its_time() -> None:
    event = threading.Event()
    assert waiting.wait(event, 0.3) is False
    threading.Timer(0.01, event.set).start()
    assert waiting.wait(event, 30) is True


def test_17_a_paste_that_the_window_did_not_take_is_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = iter(["\x16", "the right one"])
    monkeypatch.setattr("typer.prompt", lambda *_args, **_options: next(typed))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    assert prompts.read_hidden("Passphrase", "--passphrase-stdin") == "the right one"
    assert "right mouse button" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["auditing 12 of 300", "x" * 500])
def test_17_progress_needs_no_control_sequence(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stderr", screen)
    show_progress(text)
    show_progress("")
    shown = screen.getvalue()
    assert "\x1b" not in shown
    assert all(len(part) < 80 for part in shown.split("\r"))
    assert not shown.split("\r")[-2].strip()


# What Windows and macOS say in place of the English words, as the system's own texts.
SYSTEM_TEXTS = {
    "de": ("Es konnte keine Verbindung hergestellt werden, da der Zielcomputer die Verbindung verweigerte", "Zugriff verweigert", "Eine Zertifikatkette wurde zwar verarbeitet, endete jedoch mit einem Stammzertifikat, das beim Vertrauensanbieter nicht als vertrauenswürdig gilt.", "Der angegebene Host ist unbekannt."),
    "fr": ("Aucune connexion n’a pu être établie car l’ordinateur cible l’a expressément refusée", "Accès refusé", "Une chaîne de certificats a été traitée mais s’est terminée par un certificat racine qui n’est pas approuvé.", "Hôte inconnu."),
    "ja": ("対象のコンピューターによって拒否されたため、接続できませんでした。", "アクセスが拒否されました。", "証明書チェーンは処理されましたが、信頼されていないルート証明書で強制終了しました。", "そのようなホストは不明です。"),
}  # fmt: skip


def _over_http(problem: Exception) -> str | None:
    """What the cause of an HTTPS request is told as that failed by *problem*."""
    connection = HTTPSConnection("login.example")
    error = (
        SSLError(problem)
        if isinstance(problem, ssl.SSLError)
        else NameResolutionError("login.example", connection, problem)
        if isinstance(problem, socket.gaierror)
        else NewConnectionError(connection, "failed")
    )
    error.__cause__ = problem
    return transport_error(error, "The request").cause


@pytest.mark.parametrize("language", list(SYSTEM_TEXTS))
def test_nothing_decides_by_words_of_the_system(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, language: str
) -> None:
    refused, denied, untrusted, unknown_host = SYSTEM_TEXTS[language]
    monkeypatch.setattr(os, "strerror", lambda number: f"{denied} ({number})")
    # HTTPS
    assert _over_http(ssl.SSLCertVerificationError(-2146762487, untrusted)) == "tls-untrusted"
    assert _over_http(ssl.SSLError(1, untrusted)) == "tls-failed"
    assert _over_http(ConnectionRefusedError(10061, refused)) == "connect-refused"
    assert _over_http(socket.gaierror(11001, unknown_host)) == "dns-failed"
    # mail
    with monkeypatch.context() as without_names:

        def no_such_host(*_args: object, **_options: object) -> Any:
            raise socket.gaierror(11001, unknown_host)

        without_names.setattr(socket, "getaddrinfo", no_such_host)
        with pytest.raises(MailError) as lost:
            Pop3Session.connect(clouds.GLOBAL.pop3)
        assert lost.value.cause == "dns-failed"
    with reserved_port() as port:
        closed = clouds.parse(json.dumps(OWN | {"pop3": OWN["pop3"] | {"port": port}}))  # type: ignore[operator]
        with pytest.raises(MailError) as lost:
            Pop3Session.connect(closed.pop3)
        assert lost.value.cause == "connect-refused"
    # the workspace
    for problem, meant in (
        (PermissionError(errno.EACCES, denied), "read-only"),
        (OSError(errno.ENOSPC, denied), "disk-full"),
        (OSError(errno.EROFS, denied), "read-only"),
        (sqlite3.OperationalError(denied), "other"),
    ):
        assert trouble(problem) == meant
    # files
    report = tmp_path / "report.html"
    report.write_bytes(b"yesterday's")
    _deny(monkeypatch, report)
    assert files.write_beside(report, b"today's") != report


def test_the_self_test_stands_for_every_row_that_a_machine_can_show() -> None:
    told = {row for rows, _test in selftest.TESTS.values() for row in rows.split(", ")}
    assert told == {*(str(n) for n in range(1, 18) if n != 4), "all"}  # the fourth is a recipe


def test_the_self_test_passes_here_and_its_report_names_nobody(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    with pytest.raises(SystemExit) as ended:
        main(["selftest", "--report", str(file)])
    report = json.loads(file.read_text(encoding="utf-8"))
    assert {r["test"]: r["found"] for r in report["results"] if r["signal"] in ("failed", "error")} == {}  # fmt: skip
    assert ended.value.code == 0
    assert [r["test"] for r in report["results"]] == list(selftest.TESTS)
    text = file.read_text(encoding="utf-8")
    for name in (str(Path.home()), socket.gethostname(), tempfile.gettempdir()):
        assert len(name) < 4 or name not in text


def test_the_self_test_says_what_a_computer_cannot_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def deny(*_args: object) -> None:
        raise PermissionError(errno.EACCES, "Zugriff verweigert")

    chosen = {name: selftest.TESTS[name] for name in ("names", "replace", "proxy")}
    monkeypatch.setattr(selftest, "TESTS", chosen)
    monkeypatch.setattr(private_files, "write", deny)
    monkeypatch.setattr(private_files, "safe_name", lambda name: "one")
    with pytest.raises(SystemExit) as ended:
        main(["selftest", "--json"])
    results = {r["test"]: r for r in map(json.loads, capsys.readouterr().out.splitlines())}
    assert ended.value.code == 1
    assert results["replace"]["found"].startswith("PermissionError")
    assert results["names"]["signal"] == "failed"
    assert results["proxy"]["signal"] == "passed"


class Registry:
    """Windows' registry with one value."""

    HKEY_CURRENT_USER = object()

    def __init__(self, script: str | None) -> None:
        self.script = script

    def OpenKey(self, _key: object, name: str) -> Any:  # noqa: N802 - winreg's name
        assert name.endswith("Internet Settings")
        return nullcontext(self)

    def QueryValueEx(self, _key: object, name: str) -> tuple[str, int]:  # noqa: N802
        if name != "AutoConfigURL" or self.script is None:
            raise FileNotFoundError(2, "Das System kann die angegebene Datei nicht finden")
        return self.script, 1


@pytest.mark.parametrize("script", ["http://proxy.contoso.example/proxy.pac", "", None])
def test_16_a_script_that_chooses_the_proxy_is_seen(
    monkeypatch: pytest.MonkeyPatch, script: str | None
) -> None:
    monkeypatch.setitem(sys.modules, "winreg", Registry(script))
    assert http.proxy_script() == (script or None)


@pytest.mark.parametrize(
    ("soft", "hard", "new"), [(256, -1, 600), (256, 400, 400), (1024, -1, None)]
)
def test_17_an_audit_may_open_more_files_than_macos_allows_at_first(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, new: int | None
) -> None:
    changed = []
    system = SimpleNamespace(
        RLIMIT_NOFILE=8,
        RLIM_INFINITY=-1,
        getrlimit=lambda _which: (soft, hard),
        setrlimit=lambda _which, limits: changed.append(limits),
    )
    monkeypatch.setitem(sys.modules, "resource", system)
    sockets.allow_open_files(600)
    assert changed == ([] if new is None else [(new, hard)])


def test_17_winsocks_numbers_are_told_by_windows_own_table(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {10061: "Es konnte keine Verbindung hergestellt werden"}
    monkeypatch.setattr(ctypes, "FormatError", texts.__getitem__, raising=False)
    assert sockets.error_name(10061) == texts[10061]
    assert sockets.error_name(errno.ECONNREFUSED) == os.strerror(errno.ECONNREFUSED)


def _commands(page: str) -> list[str]:
    """The commands of msoauth and pip in a page's blocks and tables."""
    text = (PACKAGE.parent / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))  # fmt: skip
    return [
        c
        for c in (*lines, *spans)
        if re.match(r"(msoauth|pip|python -m) \S+ ?\S*", c) and "…" not in c
    ]


@pytest.mark.parametrize("page", ["README.md", "docs/windows-and-macos.md"])
def test_a_command_on_a_page_reads_alike_in_powershell_cmd_and_sh(page: str) -> None:
    commands = _commands(page)
    assert len(commands) > 5
    for command in commands:
        line = command.partition(" > ")[0]  # each shell writes a file by it
        words = shlex.split(line)
        assert powershell_words(line) == words, command
        assert cmd_words(line) == words, command


@needs_ipv6
def test_9_every_port_of_the_practice_tenant_answers_on_every_address_of_localhost() -> None:
    with PracticeTenant(ipv6=True) as tenant:
        ends = tenant.endpoints
        ports = {urlsplit(ends[name]).port for name in ("authority", "graph")} | {
            urlsplit(tenant.people_url).port,
            *(ends[name]["port"] for name in ("pop3", "imap", "smtp")),
        }
        assert len(ports) == 5
        for port in ports:
            for address in ("127.0.0.1", "::1"):
                with (
                    socket.create_connection((address, port), timeout=20) as connection,
                    suppress(ConnectionError),
                ):
                    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    connection.recv(1)  # a greeting, a page, or the end: this is no HTTPS


@pytest.mark.parametrize("code_page", ["cp437", "cp850", "cp1252"])
def test_text_for_people_is_printed_in_any_console(
    monkeypatch: pytest.MonkeyPatch, code_page: str
) -> None:
    screen = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(screen, encoding=code_page))
    utf8_streams()
    print_text("● Übungsmandant → „grün“ 日本")
    assert screen.getvalue().decode() == "● Übungsmandant → „grün“ 日本\n"


def test_13_every_path_of_stored_mail_is_short_enough_for_windows_and_no_two_are_one_without_case() -> (
    None
):
    folder = r"C:\Users\maximiliane.mustermann\AppData\Local\msoauth\mail"
    local = "m" * 64
    addresses = [f"{local}@{'d' * n}.example" for n in (1, 20, 27, 28, 40, 180)] + [
        "Anna@contoso.example",
        "ÄNNA@contoso.example",
        "con@contoso.example",
    ]
    uids = ["u" * 70, "U" * 70, "u" * 71 + "1", "AAMkAD", "aamkad", "4294967295-4294967295"]
    for address in addresses:
        for uid in uids:
            name = f"1799999999.U{file_name(uid)}.msoauth"
            path = "\\".join([folder, private_files.safe_name(address), "new", name])
            assert len(path) < 260, path
    for names in (map(file_name, uids), map(private_files.safe_name, addresses)):
        lower = [name.casefold() for name in names]
        assert len(set(lower)) == len(lower)


def test_a_port_is_taken_alone_as_each_system_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        ports.take_alone(listener)
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    set_options = []
    windows = SimpleNamespace(setsockopt=lambda *option: set_options.append(option))
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", ~socket.SO_REUSEADDR, raising=False)
    ports.take_alone(windows)  # type: ignore[arg-type]
    assert set_options == [(socket.SOL_SOCKET, ~socket.SO_REUSEADDR, 1)]


@pytest.mark.parametrize("proxies", [{}, {"https": "http://proxy.contoso.example:8080"}])
def test_16_the_network_check_tells_of_a_script_unless_a_proxy_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxies: dict[str, str]
) -> None:
    script = "http://proxy.contoso.example/proxy.pac"
    monkeypatch.setitem(sys.modules, "winreg", Registry(script))
    monkeypatch.setattr(urllib.request, "getproxies", lambda: proxies)
    (check,) = (check for check in checks.NETWORK if check.id == "network.proxy")
    with Workspace.open(tmp_path) as workspace:
        (finding,) = checks.run([check], checks.Context(workspace, FIRM))
    assert (script in finding.summary) == (not proxies)
    assert str(finding.signal) == ("warning" if not proxies else "passed")

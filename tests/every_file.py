"""Writes every kind of file that msoauth writes, under umask 0, and watches what others could read of it, and when.

It also watches whom msoauth contacts meanwhile. ``python -m tests.every_file FOLDER`` prints JSON: the complaints about
files, and the hosts that are not this computer. The umask is the whole process's, and an audit
hook cannot be taken away again; so this is a process of its own.
"""

import io
import json
import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

CONTENT, NAMED = 0o600, 0o700  # of files, of folders


class Watch:
    """An audit hook that sees files and folders below *top* being made, renamed, deleted and given permissions.

    With umask 0 a file has the permissions that it was created with, unless somebody changes them afterwards. So a
    file that is private in the end (or just before it goes) and was never changed was private from its first byte.
    """

    def __init__(self, top: Path) -> None:
        self.top = top
        self.complaints: list[str] = []
        self.contacted: set[str] = set()
        self.connections = 0
        self.seen: set[str] = set()
        sys.addaudithook(self.hear)

    def hear(self, event: str, given: tuple[Any, ...]) -> None:
        if event == "os.mkdir":
            path, mode, folder = given
            full = self.full(path, folder)
            if self.concerns(full) and mode & 0o077 and not os.path.lexists(full):
                self.complaints.append(f"folder made with {mode:o}: {path}")
        elif event == "os.chmod":
            path, mode, folder = given
            file = self.full(path, folder)
            if self.concerns(file) and self.mode(file) & 0o077:
                self.complaints.append(
                    f"made with {self.mode(file):o}, narrowed afterwards: {file}"
                )
        elif event in ("os.rename", "os.remove"):
            file = self.full(given[0], given[2] if event == "os.rename" else given[1])
            self.judge(file)
        elif event in ("socket.getaddrinfo", "socket.connect"):
            self.contact(given[0] if event == "socket.getaddrinfo" else given[1])
        elif event == "open" and isinstance(given[0], str) and given[2] & os.O_CREAT:
            self.seen.add(given[0])

    def contact(self, address: Any) -> None:
        """Note a host name that is looked up, or an address that is connected to; a socket's path is this computer's."""
        host = address[0] if isinstance(address, tuple) else address
        self.connections += 1
        if isinstance(address, tuple) or not str(host).startswith(("/", "b'/")):
            self.contacted |= {str(host)} - {"localhost", "127.0.0.1", "::1", "None"}

    @staticmethod
    def full(path: Any, folder: int = -1) -> str:
        if isinstance(path, int):
            return str(Path(f"/proc/self/fd/{path}").readlink())
        start = Path.cwd() if folder == -1 else Path(f"/proc/self/fd/{folder}").readlink()
        return str(start / os.fsdecode(path))

    def concerns(self, file: str) -> bool:
        # The lock that mail programs share is for others to see, and holds no mail.
        return file.startswith(f"{self.top}/") and "/mbox.lock" not in file

    @staticmethod
    def mode(file: str) -> int:
        try:
            return stat.S_IMODE(os.lstat(file).st_mode)
        except OSError:
            return 0

    def judge(self, file: str) -> None:
        try:
            info = os.lstat(file)
        except OSError:
            return
        wanted = NAMED if stat.S_ISDIR(info.st_mode) else CONTENT
        if self.concerns(file) and stat.S_IMODE(info.st_mode) != wanted:
            self.complaints.append(f"{stat.S_IMODE(info.st_mode):o}: {file}")

    def judge_all(self) -> None:
        for file in self.top.rglob("*"):
            self.judge(str(file))


def main(top: Path) -> dict[str, list[str]]:
    """Write all files below *top*; gives what others could have read, what was never written, and who was contacted."""
    os.umask(0)
    os.chdir(top)
    (top / "tmp").mkdir(0o700)
    tempfile.tempdir = os.environ["SQLITE_TMPDIR"] = str(top / "tmp")
    watch = Watch(top)
    write_everything(top, watch)
    watch.judge_all()
    files = [
        *watch.complaints,
        *(f"never written: {name}" for name in WRITTEN if not list(top.glob(name))),
        *([] if len(watch.seen) > 20 and watch.connections > 20 else ["the hook saw nothing"]),
    ]
    return {"files": files, "contacted": sorted(watch.contacted)}


WRITTEN = (
    "workspace/msoauth.db",
    "workspace/workspace-*.key",
    "workspace/locks/*.lock",
    "workspace/mail/anna*/*.eml",
    "workspace/mail/anna*/.msoauth-index",
    "workspace/mail/anna*/Maildir/new/*",
    "workspace/mail/anna*/mbox",
    "workspace/mail/anna*/.mbox.msoauth-index",
    "workspace/bundles/*.zip",
    "workspace/notebooks/*.ipynb",
    "elsewhere/mail/*.eml",
    "elsewhere/mbox",
    "audit.csv",
    "audit.xlsx",
    "audit.html",
    "again.csv",
    "again.xlsx",
    "again.html",
    "case.zip",
    "letter.eml",
    "record.html",
    "reminders.ics",
    "*-secret.ics",
    "whole.msoauth",
    "imported/msoauth.db",
)


def write_everything(top: Path, watch: Watch) -> None:
    """Each command that writes a file, and what panels and cells write."""
    import msoauth
    from msoauth import lab
    from msoauth.cli import main as command_line
    from msoauth.practice import PracticeTenant
    from msoauth.store import Workspace
    from msoauth.ui.registration import RegisterPanel
    from msoauth.ui.session import Session

    def run(*words: object, stdin: str = "", ends: tuple[int, ...] = (0,)) -> None:
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
        sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
        code: Any = 0
        try:
            command_line([str(word) for word in words])
        except SystemExit as end:
            code = end.code or 0
        said = f"{sys.stdout.getvalue()}{sys.stderr.getvalue()}"
        sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
        assert code in ends, (words, code, said)

    place = top / "workspace"
    os.environ["MSOAUTH_WORKSPACE"] = str(place)
    with PracticeTenant(scenarios=["smtp-auth-off-mailbox"]) as tenant:
        run("practice", "enrol", tenant.endpoints_file)
        firm = tenant.endpoints["practice"]["firms"][0]
        address = "anna.lindqvist@contoso.example"
        run("firm", "secret", firm["name"], "--secret-stdin", "--secret-expires", "2027-06-30",
            stdin=firm["client_secret"])  # fmt: skip
        for more in (
            (),
            ("--format", "maildir"),
            ("--format", "mbox"),
            ("--to", "elsewhere/mail"),
            ("--format", "mbox", "--to", "elsewhere/mbox"),
        ):
            run("fetch", address, "--limit", 3, *more)
        run(
            "audit",
            "--csv",
            "audit.csv",
            "--xlsx",
            "audit.xlsx",
            "--html",
            "audit.html",
            ends=(0, 1),
        )
        run("diagnose", address, "--bundle", "case.zip", ends=(0, 1))
        run("letter", "--firm", firm["name"], "--form", "eml", "--to", "letter.eml")
        run("record", firm["name"], "--to", "record.html")
        run("firm", "calendar", firm["name"], "--to", "reminders.ics")
        run("firm", "calendar", firm["name"])
        run(
            "workspace",
            "export",
            "whole.msoauth",
            "--passphrase-stdin",
            stdin="a passphrase of the file\n",
        )
        run("--workspace", top / "imported", "workspace", "import", "whole.msoauth",
            "--passphrase-stdin", stdin="a passphrase of the file\n")  # fmt: skip
        run("vault", "source", "file")
        with Workspace.open(place) as workspace:
            result = msoauth.audit(workspace, progress=False)
            result.to_csv("again.csv")
            result.to_excel("again.xlsx")
            result.to_html("again.html")
            panel = RegisterPanel(Session(workspace), inline=True)
            panel.jobs.start(lambda _job: (_ for _ in ()).throw(RuntimeError("planted")))
            panel.message.act("bundle")
            watch.judge_all()  # SQLite's other files are there while the database is open
            assert (place / "msoauth.db-wal").exists()
        for _twice in range(2):
            lab.copy_notebooks(place / "notebooks")


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))

"""Every way by which text leaves msoauth, as data: what is planted in a workspace, and what comes out of each way.

Who adds a command, a panel or a report adds it here; ``tests/test_ways_out.py`` says which one is missing.
"""

import contextlib
import io
import json
import logging
import os
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from unittest import mock

import ipywidgets
import msal
from markupsafe import Markup

from msoauth import checks, clouds, redact, ui
from msoauth.auditing.history import history
from msoauth.auditing.status import status
from msoauth.checks.context import Check, Context, Outcome
from msoauth.cli import main, tables
from msoauth.cli.output import Settings, print_failure, print_findings, print_json, print_on_stderr
from msoauth.errors import AuthError, InputError, MailError
from msoauth.explaining import explain
from msoauth.findings import Findings
from msoauth.mail.transcript import Transcript
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.reports.bundle import bundle
from msoauth.reports.charts import bars
from msoauth.reports.columns import accounts_frame, causes_frame
from msoauth.reports.excel import excel_report
from msoauth.reports.html_report import html_page
from msoauth.reports.latest_findings import latest_findings
from msoauth.reports.letter import letter
from msoauth.reports.monitoring import as_json
from msoauth.reports.record import record
from msoauth.reports.secret_calendar import calendar
from msoauth.reports.write import csv_text
from msoauth.store import Workspace
from msoauth.terminal import harmless_streams
from msoauth.ui import html
from msoauth.ui.widgets import View
from tests.encodings import ENCODINGS, SECRETS
from tests.hostile_text import HOSTILE

TENANT = "5b1e2f0c-1111-4222-8333-0123456789ab"
CLIENT = "7d3c9a52-4444-4555-8666-ba9876543210"
EVERYTHING_HOSTILE = "".join(HOSTILE.values()).replace("\0", "")
MARKUP = "[red]x[/red] [link=https://evil.example]y[/link] <script>alert(1)</script>"
PASSPHRASE = "of this workspace alone"


@dataclass
class Situation:
    """A workspace in which a server repeated every secret in every encoding, an account for each encoding."""

    workspace: Workspace
    folder: Path
    firm: Firm
    accounts: list[Account]
    findings: list[Finding] = field(default_factory=list)
    errors: list[MailError] = field(default_factory=list)
    transcript: Transcript = field(default_factory=Transcript)


def planted(encode: Callable[[str], str]) -> str:
    """A server's words: every secret in an encoding, and everything that could act on a terminal."""
    return "\n".join([*(encode(secret) for secret in SECRETS.values()), EVERYTHING_HOSTILE, MARKUP])


@contextlib.contextmanager
def situation(folder: Path) -> Iterator[Situation]:
    """Make the workspace, its findings and errors."""
    redact.remember(*SECRETS.values())
    port = 1  # nobody listens there
    endpoint = {"host": "localhost", "port": port, "tls": "implicit"}
    endpoints = folder / "elsewhere.json"
    endpoints.write_text(
        json.dumps(
            {
                "name": "elsewhere", "authority": f"https://localhost:{port}/", "graph": f"https://localhost:{port}/graph/",
                "outlook_resource": "https://outlook.office.com", "pop3": endpoint, "imap": endpoint,
                "smtp": {**endpoint, "tls": "starttls"},
            }
        ),
        encoding="utf-8",
    )  # fmt: skip
    firm = Firm(
        f"Evil {MARKUP}", TENANT, CLIENT, clouds.load(str(endpoints)),
        secret_expires=date(2099, 1, 1),
    )  # fmt: skip
    accounts = [Account(f"user{n}@contoso.example", firm.name) for n in range(len(ENCODINGS))]
    with Workspace.open(folder / "workspace") as workspace:
        workspace.firms.add(firm, secret=SECRETS["client secret"])
        workspace.firms.add(
            Firm("Other", TENANT, CLIENT, firm.cloud, secret_expires=firm.secret_expires)
        )
        for account in accounts:
            workspace.accounts.add(account)
        workspace.tokens.save(
            accounts[0].address, json.dumps({"refresh": SECRETS["refresh token"]}), signed_in_as=f"x{EVERYTHING_HOSTILE}",
        )  # fmt: skip
        made = Situation(workspace, folder, firm, accounts)
        for account, encode in zip(accounts, ENCODINGS.values(), strict=True):
            _plant(made, account, planted(encode))
        _write_as_somebody_else(workspace)
        yield made


def _write_as_somebody_else(workspace: Workspace) -> None:
    """What an older version, or anybody who can write the database, may have put there."""
    words = f"{EVERYTHING_HOSTILE} {MARKUP}"
    row = Finding(
        "smtp.send", Signal.FAILED, "x", run="r", firm="Other", account="user3@contoso.example"
    ).as_json()
    row |= {
        "check": words,
        "summary": words,
        "evidence": words,
        "cause": words,
        "fix": [words],
        "who": words,
    }
    row |= {
        "ids": {words: words},
        "links": [{"text": words, "url": f"https://{words}"}],
        "facts": {"newest": words},
    }
    [file] = workspace.folder.glob("*.db")
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "UPDATE firms SET name = ? WHERE key = 'other'", (f"Other {EVERYTHING_HOSTILE}",)
        )
        database.execute(
            "UPDATE accounts SET login = ? WHERE key LIKE 'user3@%'", (EVERYTHING_HOSTILE,)
        )
        database.execute("UPDATE tokens SET signed_in_as = ?", (EVERYTHING_HOSTILE,))
        database.execute(
            'INSERT INTO journal (at, run, firm, account, "check", signal, cause, body, seconds)'
            " SELECT at, 'r', 'Other', account, 'smtp.send', 'failed', ?, ?, seconds FROM journal LIMIT 1",
            (words, json.dumps(row, ensure_ascii=False)),
        )


def _plant(made: Situation, account: Account, words: str) -> None:
    # A transcript is redacted line by line, so a secret has to stand in one line.
    for line in (
        words.splitlines()
        if words.count("\n") == len(SECRETS) + 1 + EVERYTHING_HOSTILE.count("\n")
        else ()
    ):
        made.transcript.client(line)
        made.transcript.server(line)
        made.transcript.remark(line)
    error = MailError(
        f"refused: {words}", stage="authenticate", cause="smtp-auth-disabled-mailbox", evidence=words,
        ids={"correlation_id": words[:200]}, challenge=words,
    )  # fmt: skip
    made.errors.append(error)

    def refuse(context: Context) -> Outcome:
        raise error

    def burst(context: Context) -> Outcome:
        raise RuntimeError(words)

    def pass_on(context: Context) -> Outcome:
        return Outcome("fine", evidence=words, facts={"newest": "2026-01-01T00:00:00+00:00"})

    selection = [
        Check("smtp.login", lambda: "", refuse),
        Check("pop3.login", lambda: "", burst),
        Check("imap.login", lambda: "", pass_on),
    ]
    made.findings += checks.run(selection, Context(made.workspace, made.firm, account))


# ── On the terminal ───────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def shown() -> Iterator[io.StringIO]:
    """What is printed on stdout and stderr, as the command line lets it out."""
    screen = io.StringIO()
    with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen), harmless_streams():
        yield screen


def command(*arguments: str, stdin: str = "") -> str:
    """What a command prints, run in this process."""
    screen = io.StringIO()
    keyboard = io.TextIOWrapper(
        io.BytesIO(stdin.encode("utf-8", "surrogatepass")), encoding="utf-8"
    )
    with (
        contextlib.redirect_stdout(screen),
        contextlib.redirect_stderr(screen),
        mock.patch("sys.stdin", keyboard),
        contextlib.suppress(SystemExit),
    ):
        main(list(arguments))
    return screen.getvalue()


Arguments = Callable[[Situation], Sequence[str]]


def _batch(made: Situation) -> str:
    return "\n".join(json.dumps({"id": n, "text": planted(e)}) for n, e in ENCODINGS.items())


# Each command with arguments to call it with; {FIRM}, {ADDRESS} and {FOLDER} are filled in.
COMMANDS: dict[str, Sequence[str]] = {
    "sign-in": ("{ADDRESS}", "--via", "device"),
    "sign-out": ("user1@contoso.example",),
    "fetch": ("{ADDRESS}", "--patience", "0"),
    "send-test": ("{ADDRESS}", "--patience", "0"),
    "diagnose": ("{ADDRESS}", "--transcript", "--bundle", "{FOLDER}/bundle.zip", "--yes"),
    "letter": ("--firm", "{FIRM}"),
    "record": ("{FIRM}",),
    "audit": ("--no-run", "--json", "--csv", "{FOLDER}/a.csv", "--html", "{FOLDER}/a.html", "--xlsx", "{FOLDER}/a.xlsx"),
    "explain": ("--batch",),
    "journal": (),
    "practice enrol": ("{FOLDER}/elsewhere.json",),
    "practice scenarios": (),
    "firm add": ("New", "--tenant", "{SECRET}", "--client-id", "{SECRET}"),
    "firm list": (),
    "firm show": ("{FIRM}",),
    "firm check": ("{FIRM}",),
    "firm remove": ("Other", "--yes"),
    "firm secret": ("{FIRM}", "--secret-stdin", "--secret-expires", "{SECRET}"),
    "firm calendar": ("{FIRM}", "--to", "{FOLDER}/firm.ics"),
    "firm app-only": ("{FIRM}", "--on"),
    "firm consent": ("{FIRM}",),
    "firm confirm": ("{FIRM}", "--yes"),
    "account add": ("{SECRET}", "--firm", "{FIRM}"),
    "account import": ("{FOLDER}/list.csv", "--firm", "{FIRM}"),
    "account list": (),
    "account change": ("{ADDRESS}", "--login", "{SECRET}"),
    "account remove": ("user2@contoso.example",),
    "vault show": (),
    "vault passphrase": ("--passphrase-stdin",),
    "vault source": ("file",),
    "vault rotate": (),
    "workspace export": ("{FOLDER}/exported", "--passphrase-stdin"),
    "workspace import": ("{FOLDER}/elsewhere.json", "--passphrase-stdin"),
}  # fmt: skip
# Commands that are not run here, because they take long; what they print is in other ways.
LASTING = {
    "selftest": "it opens no workspace and is given nothing",
    "lab": "its messages go through print_text, as those of every command",
    "practice serve": "its instructions, and its endpoints file by print_json",
}


def run_command(made: Situation, name: str) -> str:
    """What a command prints, in words and, where it can, as JSON, and what it writes."""
    values = {
        "{FIRM}": made.firm.name,
        "{ADDRESS}": made.accounts[0].address,
        "{FOLDER}": str(made.folder),
        "{SECRET}": SECRETS["client secret"],
    }
    arguments = ["--workspace", str(made.workspace.folder), *name.split()]
    for word in COMMANDS[name]:
        for placeholder, value in values.items():
            word = word.replace(placeholder, value)
        arguments.append(word)
    (made.folder / "list.csv").write_text(
        f"address\n{SECRETS['client secret']}\nx{EVERYTHING_HOSTILE}\n", encoding="utf-8"
    )
    stdin = {"explain": _batch(made), "firm secret": "too short\n"}.get(name, f"{PASSPHRASE}\n")
    printed = command(*arguments, stdin=stdin)
    if "--json" not in arguments:
        printed += command(*arguments, "--json", stdin=stdin)
    for file in made.folder.glob("*"):
        if file.suffix in (".csv", ".html", ".ics") and file.name != "list.csv":
            printed += file.read_text(encoding="utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    return printed


def _crash(made: Situation) -> str:
    printed = ""
    for encode in ENCODINGS.values():
        with mock.patch.object(Settings, "open", side_effect=RuntimeError(planted(encode))):
            printed += command("firm", "list")
    return printed


def _terminal_errors(made: Situation) -> str:
    with shown() as screen:
        for error in made.errors:
            print_failure(error)
            print_on_stderr(error.summary)
            print_failure(AuthError(error.evidence, evidence=error.summary), on_stderr=True)
    return screen.getvalue()


def _terminal_findings(made: Situation, *, as_json: bool) -> str:
    with shown() as screen:
        print_findings(made.findings, as_json=as_json)
        if as_json:
            print_json(explain(made.findings[0].evidence).as_json())
    return screen.getvalue()


def _terminal_tables(made: Situation) -> str:
    """Subjects, senders and file names of mail, which are no secrets of ours."""
    hostile = f"{EVERYTHING_HOSTILE} {MARKUP}"
    with shown() as screen:
        tables.show_table([hostile, "b"], [(hostile, "x"), ("y", hostile)], wrap=[0])
        tables.show_values(hostile, [(hostile, hostile), ("b", "c")])
    return screen.getvalue()


def _logs(made: Situation) -> str:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    for name in ("msoauth.mail", msal.__name__, "urllib3.connectionpool", "sqlalchemy.engine"):
        log = logging.getLogger(name)
        level, log.propagate = log.level, False
        log.setLevel(logging.DEBUG)
        log.addHandler(handler)
        try:
            # All encodings for the first one; the others have the same filter.
            for encode in list(ENCODINGS.values())[: None if name == "msoauth.mail" else 2]:
                log.debug("%s", planted(encode))
                log.error("failed", exc_info=RuntimeError(planted(encode)))
        finally:
            log.removeHandler(handler)
            log.setLevel(level)
            log.propagate = True
    return written.getvalue()


_TRACEBACKS = """
import json, sys, threading, warnings
import msoauth
from msoauth import redact
words = json.load(sys.stdin)
redact.remember(*words.pop("secrets"))
def fail(text):
    raise RuntimeError(text) from ValueError(text)
for text in words.values():
    thread = threading.Thread(target=fail, args=(text,))
    thread.start()
    thread.join()
    warnings.warn(text, stacklevel=2)
fail(text)
"""


def _tracebacks(made: Situation) -> str:
    words: dict[str, Any] = {name: planted(encode) for name, encode in ENCODINGS.items()}
    words["secrets"] = list(SECRETS.values())
    done = subprocess.run(
        [sys.executable, "-c", _TRACEBACKS], input=json.dumps(words), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def _environment(made: Situation) -> str:
    program = (
        "import subprocess, sys; from msoauth import passphrase; passphrase.withdraw(for_children=False);"
        "subprocess.run([sys.executable, '-c', 'import os, sys; print(dict(os.environ), sys.argv, flush=True)'])"
    )
    environment = {**os.environ, "MSOAUTH_PASSPHRASE": SECRETS["passphrase"]}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


# ── Tables, files and pages ───────────────────────────────────────────────────────────────────────────────────────────


def _frames(made: Situation) -> str:
    stands = status(made.workspace)
    frames = [
        Findings(made.findings).frame(),
        made.workspace.journal.frame(),
        made.workspace.firms.frame(),
        made.workspace.accounts.frame(),
        accounts_frame(stands.accounts),
        causes_frame(stands.groups),
    ]
    return "\n".join(
        text for frame in frames for text in (frame.to_string(), frame.to_html(), frame.to_csv())
    )


def _reprs(made: Situation) -> str:
    things = (made.workspace, made.workspace.firms, made.workspace.accounts, Findings(made.findings), explain(made.findings[0].evidence))  # fmt: skip
    return "\n".join(
        [*map(repr, things), *(thing._repr_html_() for thing in things)]  # as a notebook calls it
    ) + "".join(f"{error!r} {error} {error.challenge}" for error in made.errors)


def _bundle(made: Situation, *, pseudonymised: bool) -> str:
    new = bundle(
        made.workspace, made.firm, made.accounts[0], made.findings, {"smtp": made.transcript}, pseudonymised=pseudonymised,
    )  # fmt: skip
    with zipfile.ZipFile(io.BytesIO(new.as_zip())) as archive:
        files = "\n".join(archive.read(name).decode() for name in archive.namelist())
    return "\n".join([new.suggested_name, files, new.index.text(), new.index.markdown()])


def _letters(made: Situation) -> str:
    out = ""
    for account in made.accounts:
        new = letter(made.workspace, made.firm, account)
        mail = new.eml(f"it{EVERYTHING_HOSTILE}@firm.example").decode()
        out += "\n".join((new.subject.replace(made.firm.name, ""), new.document.text(), new.document.markdown(), new.document.html(), mail.replace("=\n", "")))  # fmt: skip
    return out


def _records(made: Situation) -> str:
    page = record(made.workspace, made.firm)
    assert latest_findings(made.workspace, made.firm.name)
    return page.html() + page.text() + page.markdown()


def _audit(made: Situation) -> str:
    stands = status(made.workspace)
    runs = history(made.workspace)
    with zipfile.ZipFile(io.BytesIO(excel_report(stands, runs))) as book:
        sheets = "\n".join(book.read(name).decode() for name in book.namelist())
    out = [
        sheets,
        html_page(stands, runs),
        csv_text(stands.accounts).removeprefix("\ufeff").replace("\r\n", "\n"),
    ]
    return "\n".join(
        [*out, bars({"a": 1}, "b"), *(json.dumps(as_json(one)) for one in stands.accounts)]
    )


def _calendar(made: Situation) -> str:
    return calendar([made.firm]).decode().replace("\r\n ", "").replace("\r\n", "\n")


def _stored(made: Situation) -> str:
    """Every file of the workspace: the database with the journal's rows, its log, indexes."""
    files = [file for file in made.workspace.folder.rglob("*") if file.is_file()]
    return "\n".join(file.read_bytes().decode("latin-1") for file in files)


def _exported(made: Situation) -> str:
    file = made.folder / "export"
    command(
        "--workspace",
        str(made.workspace.folder),
        "workspace",
        "export",
        str(file),
        "--passphrase-stdin",
        stdin=f"{PASSPHRASE}\n",
    )
    return file.read_bytes().decode("latin-1")


def _panel(made: Situation, name: str) -> str:
    """The state of every widget of a panel, as a notebook stores it, and its DataFrame."""
    ui.use(made.workspace)
    try:
        panel = getattr(ui, name)()
        state = ipywidgets.Widget.get_manager_state()["state"]
        pages = "\n".join(str(one["state"].get("html", "")) for one in state.values())
        table = panel if name == "journal" else panel.frame()
        return f"{pages}{table.to_string()}"
    finally:
        ipywidgets.Widget.close_all()
        ui.use(None)


def _html(made: Situation) -> str:
    shown_errors = [html.failure(error, made.firm, made.accounts[0]) for error in made.errors]
    bugs = [html.failure(RuntimeError(planted(encode))) for encode in ENCODINGS.values()]
    view = View(live=False)
    text = Markup("").join([*shown_errors, *bugs, html.findings(made.findings)])
    view.show(text)
    return str(view.html)


def _input_errors(made: Situation) -> str:
    return "\n".join(
        str(InputError(planted(encode), field="tenant")) for encode in ENCODINGS.values()
    )


@dataclass(frozen=True)
class Way:
    """A way out.

    Attributes:
        leave: Sends the situation through it, and returns what came out.
        is_html: Whether it is nothing but HTML.
        is_text: Whether people see it on a terminal or a page, so that nothing in it may act there.
        covers: The command, panel or report that it stands for.
    """

    leave: Callable[[Situation], str]
    is_text: bool = True
    is_html: bool = False
    covers: tuple[str, ...] = ()


WAYS: dict[str, Way] = {
    "terminal: findings": Way(lambda s: _terminal_findings(s, as_json=False)),
    "terminal: JSON": Way(lambda s: _terminal_findings(s, as_json=True)),
    "terminal: errors on stderr": Way(_terminal_errors),
    "terminal: tables": Way(_terminal_tables),
    "crash reports": Way(_crash),
    "tracebacks and warnings": Way(_tracebacks),
    "messages of errors": Way(_input_errors),
    "logging": Way(_logs),
    "transcripts": Way(lambda s: s.transcript.text() + repr(s.transcript)),
    "environment and arguments of child processes": Way(_environment),
    "DataFrames": Way(_frames),
    "reprs at a prompt and in a notebook": Way(_reprs),
    "HTML of panels": Way(_html, is_html=True),
    "letter": Way(_letters, covers=("letter", "document", "latest_findings", "consent")),
    "record": Way(_records, covers=("record",)),
    "bundle": Way(lambda s: _bundle(s, pseudonymised=False), covers=("bundle",)),
    "bundle with pseudonyms": Way(lambda s: _bundle(s, pseudonymised=True), covers=("pseudonyms",)),
    "Excel, CSV, HTML and JSON of an audit": Way(_audit, covers=("excel", "html_report", "write", "columns", "monitoring", "charts")),
    "calendar": Way(_calendar, covers=("secret_calendar",)),
    "workspace on disk, journal rows": Way(_stored, is_text=False),
    "export": Way(_exported, is_text=False),
    **{f"panel: {name}": Way(lambda s, name=name: _panel(s, name)) for name in ui.__all__ if name != "use"},  # type: ignore[misc]
    **{f"msoauth {name}": Way(lambda s, name=name: run_command(s, name)) for name in COMMANDS},  # type: ignore[misc]
}  # fmt: skip

# Ways that take a browser or a kernel, and the tests that plant a marker there.
ELSEWHERE = {
    "widget state and notebook file": "tests/ui/test_notebooks.py::test_a_secret_is_not_in_the_widget_state_that_a_notebook_stores",
    "notebook file: pasted codes": "tests/ui/test_notebooks.py::test_a_pasted_authorization_code_is_not_in_the_notebook_file",
    "notebook file: tracebacks": "tests/test_terminal.py::test_a_traceback_in_a_notebook_holds_no_secret",
    "page after a sign-in": "tests/identity/test_loopback.py::test_query_and_form_are_taken_alike_and_no_page_shows_the_code",
    "instructions of the practice tenant": "tests/practice/test_announce.py::test_a_newcomer_finds_everything_on_one_page",
}  # fmt: skip

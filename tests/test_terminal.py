"""Text from outside controls no terminal and disguises nothing, whoever prints it; nothing of it is lost."""

import io
import json
import logging
import os
import subprocess
import sys
import threading
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from msoauth import logs, redact, terminal
from msoauth.errors import AuthError, InputError, MailError, MsoauthError
from msoauth.model import Finding, Link, Signal
from msoauth.sanitize import json_text, one_line, visible
from tests.encodings import SECRETS, assert_hidden
from tests.hostile_text import ALL, HOSTILE, is_harmless


@pytest.mark.parametrize("name", HOSTILE)
def test_each_hostile_character_leaves_a_visible_one(name: str) -> None:
    shown = visible(HOSTILE[name])
    assert is_harmless(shown)
    assert len(shown) >= len(HOSTILE[name])
    assert one_line(HOSTILE[name]) == shown


def test_every_control_and_format_character_of_unicode_is_shown_but_for_signs_that_are_seen() -> (
    None
):
    seen_as_they_are = {
        *range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x13430, 0x13456), 9, 10,
    }  # fmt: skip
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            assert (visible(chr(code)) == chr(code)) == (code in seen_as_they_are), hex(code)


def test_ordinary_text_stays_as_it_is() -> None:
    for text in (
        "Grüße – “ja”",
        "请求的范围无效",
        "שלום עולם",
        "مرحبا",
        "👍🏽 ❤️",
        "a\n\tb",
        "C:\\x1b",
        "",
    ):
        assert visible(text) == text
    assert visible("first\r\nsecond") == "first\nsecond"
    assert one_line("first\r\n\t second") == "first second"


def test_json_stays_json_and_says_the_same() -> None:
    value = {"text": ALL + "\ud800", "list": [{"key" + ALL: 1}]}
    line = json_text(value)
    assert is_harmless(line)
    assert "\n" not in line
    assert json.loads(line) == value


def test_errors_and_findings_are_harmless_from_the_moment_they_are_made() -> None:
    errors = (
        MsoauthError(ALL, evidence=f"first\n{ALL}", ids={ALL: ALL}),
        InputError(ALL, field="tenant"),
        AuthError(ALL, evidence=ALL, ids={"trace_id": ALL}),
        MailError(ALL, stage="work", evidence=ALL, challenge=ALL),
    )
    for error in errors:
        texts = [
            str(error),
            error.summary,
            error.evidence,
            repr(error),
            *error.ids,
            *error.ids.values(),
        ]
        assert all(map(is_harmless, texts))
        assert "\n" not in error.summary
    assert errors[0].evidence.startswith("first\n␛[31mred")
    assert is_harmless(errors[3].challenge or "")
    found = Finding(
        ALL, Signal.FAILED, f"{ALL}\nforged", evidence=f"first\r\n{ALL}", cause=ALL, fix=(ALL,), who=ALL,
        links=(Link(ALL, f"https://a.example/{ALL}"),), ids={ALL: ALL}, facts={"newest": ALL},
    )  # fmt: skip
    data = found.as_json()
    assert is_harmless(json.dumps(data, ensure_ascii=False).replace("\\n", ""))
    assert found.evidence.startswith("first\n␛[31mred")
    assert "\n" not in found.summary
    data["evidence"] = data["summary"] = ALL  # as an older version, or somebody else, wrote it
    old = Finding.from_json(data)
    assert is_harmless(old.evidence + old.summary)


def test_an_error_holds_no_secret_from_the_moment_it_is_made() -> None:
    redact.remember(*SECRETS.values())
    error = MailError(
        " ".join(SECRETS.values()), stage="work", evidence="\n".join(SECRETS.values()), challenge=SECRETS["access token"],
    )  # fmt: skip
    assert_hidden(f"{error} {error!r} {error.evidence} {error.challenge}")


def on_screen(show: Callable[[terminal.Screen], object]) -> str:
    buffer = io.StringIO()
    show(terminal.Screen(file=buffer, width=200, force_terminal=True, color_system="truecolor"))
    return buffer.getvalue()


def test_a_screen_shows_rich_its_own_colours_and_nothing_of_the_text() -> None:
    def show(screen: terminal.Screen) -> None:
        table = Table(ALL)
        table.add_row(ALL)
        table.add_row("[red]a[/red] [link=https://evil.example]b[/link] :smile:")
        screen.print(table)
        screen.print(ALL, style="bold")
        screen.print("[link=https://evil.example]b[/link] [bold]c")
        screen.print(Text.from_markup("[link=https://evil.example]b[/link]"))

    shown = on_screen(show)
    assert "[link=https://evil.example]b[/link] :smile:" in shown
    assert "]8;" not in shown.replace("␛]8;", "")  # no link of rich's own either
    without_colours = shown
    while "\x1b[" in without_colours:
        before, _escape, after = without_colours.partition("\x1b[")
        code, _m, rest = after.partition("m")
        assert set(code) <= set("0123456789;")
        without_colours = before + rest
    assert is_harmless(without_colours)


def test_whatever_a_library_prints_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.harmless_streams():
        print(ALL)
        print(ALL, file=sys.stderr)
        sys.stdout.writelines([ALL, ALL])
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.lastResort.handle(  # type: ignore[union-attr]
                logging.LogRecord("elsewhere", logging.ERROR, "", 0, ALL, None, None)
            )
        assert sys.stdout.isatty() is False
        assert sys.stdout.encoding
    shown = capsys.readouterr()
    assert "␛]52;c;" in shown.out
    assert is_harmless(shown.out)
    assert is_harmless(shown.err)


def test_the_command_line_is_harmless_on_a_real_terminal() -> None:
    """The bytes that a terminal gets, of a message with hostile text in a usage error and in a plain one."""
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    try:
        for arguments in (
            ["firm", "show", f"x{ALL}".replace("\0", "")],
            [f"--no{ALL}".replace("\0", "")],
            ["--lang", "\x1b[31m"],
        ):
            environment = {**os.environ, "COLUMNS": "400"}
            done = subprocess.run(
                [sys.executable, "-m", "msoauth", *arguments], stdin=slave, stdout=slave, stderr=slave, check=False, env=environment,
            )  # fmt: skip
            shown = os.read(master, 100_000).decode()
            assert done.returncode == 2
            assert is_harmless(shown.replace("\r\n", "\n")), repr(shown)
            assert "␛" in shown or "\\x1b" in shown  # some versions of typer show it as Python does
    finally:
        os.close(master)
        os.close(slave)


def test_log_records_of_ours_and_of_the_libraries_below_hold_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    redact.remember(*SECRETS.values())
    caplog.set_level(logging.DEBUG)
    for name in ("msoauth.mail", "msal.application", "urllib3.connectionpool", "sqlalchemy.engine"):
        try:
            raise RuntimeError(SECRETS["client secret"] + ALL)
        except RuntimeError:
            logging.getLogger(name).exception("%s failed", " ".join(SECRETS.values()))
        logging.getLogger(name).debug("sent %r", SECRETS)
    assert_hidden(caplog.text)
    assert "RuntimeError" in caplog.text
    assert is_harmless(caplog.text)


def test_uncaught_exceptions_and_warnings_hold_no_secret() -> None:
    """In a program of the user's own: on stderr, from the main thread and another."""
    program = f"""
import threading, warnings
import msoauth
from msoauth import redact
SECRET = {SECRETS["client secret"]!r}
redact.remember(SECRET)
def fail():
    raise ValueError(SECRET + "\\x1b[31m")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
warnings.warn(SECRET)
try:
    fail()
except ValueError as error:
    raise RuntimeError("again: " + SECRET) from error
"""
    lines = program.replace(
        f"SECRET = {SECRETS['client secret']!r}", "import os; SECRET = os.environ['PLANTED']"
    )
    done = subprocess.run(
        [sys.executable, "-c", lines], check=False, capture_output=True, text=True,
        env={**os.environ, "PLANTED": SECRETS["client secret"]},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("ValueError: [hidden]␛[31m") == 2
    assert "RuntimeError: again: [hidden]" in done.stderr
    assert "UserWarning: [hidden]" in done.stderr
    assert_hidden(done.stderr)
    assert is_harmless(done.stderr)


def test_a_traceback_in_a_notebook_holds_no_secret(tmp_path: Path) -> None:
    program = """
import os, io, contextlib
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("import os, msoauth; msoauth.__version__")
shell.run_cell("from msoauth import redact; redact.remember(os.environ['PLANTED'])")
result = shell.run_cell('''
def fail(local):
    raise ValueError("refused: " + local)
fail(os.environ["PLANTED"])
''')
shell.run_line_magic("xmode", "Verbose")
shell.run_cell('fail(os.environ["PLANTED"])')
print(str(result.error_in_exec))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True,
        env={**os.environ, "PLANTED": SECRETS["client secret"], "IPYTHONDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout.count("refused: [hidden]") >= 3, done.stderr
    assert_hidden(done.stdout + done.stderr)


def test_exceptions_within_others_are_redacted_too() -> None:
    redact.remember(SECRETS["client secret"])
    try:
        try:
            raise OSError(5, SECRETS["client secret"])
        except OSError as error:
            raise KeyError(ValueError(SECRETS["client secret"])) from error
    except KeyError as error:
        logs.redact_exception(error)
        cause = error.__cause__
        assert_hidden(f"{error} {error!r} {cause!r}")
    assert threading.excepthook is not None

"""Values in commands that people copy are data in every shell: the real sh, and PowerShell by its documented rules."""

import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from msoauth import shells
from msoauth.errors import InputError
from msoauth.explaining import causes, for_cause
from msoauth.identity import app_only, validation
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.reports.letter import of_findings

PLAIN = (
    "contoso",
    "Contoso Legal",
    "anna@contoso.example",
    "C:/mail/a.zip",
    "Müller Söhne",
    "a, b",
    "",
)
AWKWARD = (
    "Meyer & Söhne", "O'Hara", "O’Hara", "‘a’ ‚b‛", "“a” „b‟", "100 % & more", "%PATH%", "$HOME", "$(calc)", "`calc`",
    "a;calc", "a|calc", "a&calc", "a>b<c", "!calc!", "!!", "^a^", "*", "~", "#a", "(a)", "{a}", "[a]", "@(calc)", "@a",
    "-firm", "--yes", "-", "--", "a\\b", "a`nb", "$env:PATH", "${a}", "a=b", "=a", "'; calc; '", "’; calc; ’", "a'$(calc)'b",
)  # fmt: skip
DOUBLE = ('say "hi"', 'a" --yes "b', '"', 'a"b|calc', "ends in \\")
CONTROL = ("a\nb", "a\rcalc", "a\tb", "a\x1b[31m", "a\u202eb", "a\0b", "a\u200bb", "a\u2028b")
FIRM = Firm("Contoso", "contoso.example", "11111111-2222-4333-8444-555555555555")

SINGLE_QUOTES = "'\u2018\u2019\u201a\u201b"
DOUBLE_QUOTES = '"\u201c\u201d\u201e'
DASHES = "-\u2013\u2014\u2015"


def powershell_words(line: str) -> list[str]:
    """The arguments of a command in PowerShell, which is not at hand here: by about_Quoting_Rules and about_Parsing.

    A stretch in single quotes is taken as it is, and two single quotes of whatever kind in it stand for the second. In
    double quotes, and outside quotes, the characters that would expand or end the command fail the test instead.
    """
    words: list[str] = []
    word: str | None = None
    at = 0
    while at < len(line):
        char = line[at]
        if char in SINGLE_QUOTES:
            word = word or ""
            at += 1
            while True:
                assert at < len(line), f"a string without end: {line}"
                if line[at] in SINGLE_QUOTES:
                    at += 1
                    if at == len(line) or line[at] not in SINGLE_QUOTES:
                        break
                word += line[at]
                at += 1
            continue
        if char in DOUBLE_QUOTES:
            end = next(n for n in range(at + 1, len(line)) if line[n] in DOUBLE_QUOTES)
            inside = line[at + 1 : end]
            assert not set(inside) & set("$`"), f"something is expanded: {line}"
            word = (word or "") + inside
            at = end + 1
            continue
        if char in " \t":
            if word is not None:
                words.append(word)
            word = None
        else:
            assert char not in "\r\n;|&<>(){}$`,", f"{char!r} is no data: {line}"
            assert word is not None or char not in "@#", f"{char!r} is no data: {line}"
            word = (word or "") + char
        at += 1
    return [*words, word] if word is not None else words


def cmd_words(line: str) -> list[str]:
    """The arguments of a command in cmd: in double quotes all but %, !, ^ and a double quote are data."""
    words = []
    for number, part in enumerate(line.split('"')):
        assert not set(part) & set("%!^"), line
        if number % 2:
            words.append(part)
        else:
            assert not set(part) & set("&|<>()"), line
            words += part.split()
    return words


@pytest.mark.parametrize("value", [*PLAIN, *AWKWARD, *DOUBLE])
def test_the_real_sh_reads_one_argument(value: str) -> None:
    sh = shutil.which("sh")
    if sh is None:
        pytest.skip("there is no sh")
    line = shells.command("firm check {NAME}", NAME=value, target="sh")
    script = f'msoauth() {{ for word in "$@"; do printf "%s\\0" "$word"; done; }}\n{line}'
    done = subprocess.run([sh, "-c", script], capture_output=True, check=True, text=True)
    assert [word for word in done.stdout.split("\0")[:-1] if word != "--"] == (
        ["firm", "check", value] if value != "--" else ["firm", "check"]
    )


@pytest.mark.parametrize("value", [*PLAIN, *AWKWARD])
def test_powershell_reads_one_argument(value: str) -> None:
    line = shells.command("firm check {NAME}", NAME=value, target="powershell")
    words = [word for word in powershell_words(line) if word != "--" or value == "--"]
    assert words[-1] == value
    assert powershell_words(f"Get-Thing -Name {shells.powershell_string(value)}") == [
        "Get-Thing",
        "-Name",
        value,
    ]


@pytest.mark.parametrize("value", [*PLAIN, *AWKWARD])
def test_cmd_reads_one_argument_or_the_user_fills_it_in(value: str) -> None:
    line = shells.command("firm check {NAME}", NAME=value, target="cmd")
    if set(value) & set('%!^"'):
        assert line == "msoauth firm check NAME"
    else:
        assert cmd_words(line)[-1] == value


@pytest.mark.parametrize("shell", ["sh", "powershell", "cmd"])
@pytest.mark.parametrize("value", CONTROL)
def test_no_line_feed_and_no_control_character_gets_into_a_command(
    value: str, shell: shells.Shell
) -> None:
    assert shells.command("sign-in --via device {ADDRESS}", ADDRESS=value, target=shell) == (
        "msoauth sign-in --via device ADDRESS"
    )
    assert "\n" not in shells.powershell_string(value)
    assert shells.powershell_string(value).isprintable()


@pytest.mark.parametrize("shell", ["powershell", "cmd"])
@pytest.mark.parametrize("value", DOUBLE)
def test_what_a_shell_passes_on_in_different_ways_is_left_to_the_user(
    value: str, shell: shells.Shell
) -> None:
    assert (
        shells.command("firm check {NAME}", NAME=value, target=shell) == "msoauth firm check NAME"
    )


def test_a_value_that_begins_like_an_option_is_none() -> None:
    line = shells.command("firm check {NAME}", NAME="-x y", target="sh")
    assert line == 'msoauth firm check -- "-x y"'
    assert "-- " not in shells.command("letter --firm {NAME}", NAME="-x", target="sh")


@pytest.mark.parametrize(
    ("environment", "shell"),
    [
        ({"SHELL": "/bin/bash"}, "sh"),
        ({}, "sh"),
        ({"PSModulePath": "/home/a/.local/share/powershell/Modules:/opt/microsoft/powershell/7/Modules"}, "powershell"),
        ({"OS": "Windows_NT", "PROMPT": "$P$G", "PSModulePath": r"C:\Windows\system32\WindowsPowerShell\v1.0\Modules"}, "cmd"),
        ({"OS": "Windows_NT", "PSModulePath": r"C:\Users\a\Documents\WindowsPowerShell\Modules;C:\Program Files\WindowsPowerShell\Modules"}, "powershell"),
        ({"OS": "Windows_NT", "PSModulePath": r"C:\Users\a\Documents\PowerShell\Modules;c:\program files\powershell\7\Modules"}, "powershell"),
        ({"OS": "Windows_NT"}, "cmd"),
    ],
)  # fmt: skip
def test_the_shell_in_use_is_told_by_the_environment(
    environment: dict[str, str], shell: str
) -> None:
    assert shells.current(environment) == shell


def firm(name: str) -> Firm:
    return Firm(name, FIRM.tenant, FIRM.client_id, access="app-only")


@pytest.mark.parametrize("name", [*AWKWARD, *DOUBLE, *CONTROL])
def test_every_string_in_the_scripts_for_exchange_is_closed_where_it_should_be(name: str) -> None:
    steps = app_only.exchange_steps(firm(name), [Account(f"{name}@contoso.example", name)], name)
    for line in (*steps.commands, *steps.verify):
        assert "\n" not in line
        strings = _strings(line)
        rest = line
        for quoted in strings:
            rest = rest.replace(quoted, "", 1)
        assert "calc" not in rest
        assert not set(rest) & set(SINGLE_QUOTES + DOUBLE_QUOTES)


def _strings(line: str) -> list[str]:
    """The single-quoted strings in a line of PowerShell, with their quotes."""
    found, at = [], 0
    while at < len(line):
        if line[at] not in SINGLE_QUOTES:
            at += 1
            continue
        start = at
        at += 1
        while line[at] not in SINGLE_QUOTES or line[at + 1 : at + 2] in tuple(SINGLE_QUOTES):
            at += 2 if line[at] in SINGLE_QUOTES else 1
        at += 1
        found.append(line[start:at])
    return found


@pytest.mark.parametrize(
    "local", ["o'hara", "o’hara", "a’; calc; ’", "a`calc`", "$(calc)", "-x", "@x", "anna"]
)
def test_every_command_of_the_catalogue_and_the_letter_takes_an_address_as_data(local: str) -> None:
    account = Account(f"{local}@contoso.example", "Contoso")
    lines: list[str] = []
    for cause in causes():
        lines += for_cause(cause, firm=FIRM, account=account).powershell
        found = Finding(
            "pop3.login",
            Signal.FAILED,
            "no",
            cause=cause,
            who="tenant-admin",
            account=account.address,
        )
        with contextlib.suppress(InputError):  # nothing that the firm's IT does
            blocks = MarkdownIt().parse(of_findings(FIRM, [found]).document.markdown())
            scripts = [block.content for block in blocks if block.info == "powershell"]
            lines += "\n".join(scripts).splitlines()
    with_address = [line for line in lines if "contoso.example" in line]
    assert len(with_address) > 10
    for line in with_address:
        quoted = any(
            s.replace("''", "'").replace("’’", "’") == f"'{account.address}'"
            for s in _strings(line)
        )
        assert quoted or local == "anna", line


@pytest.mark.parametrize(
    "address",
    [
        "anna.lindqvist@contoso.example", "o'hara@contoso.example", "a+b=c@contoso.example", "a!#$%&*/?^_`{|}~-z@contoso.example",
        "müller@kanzlei.example", "a@müller.example", "x" * 64 + "@contoso.example",
    ],
)  # fmt: skip
def test_an_address_that_mail_allows_is_taken(address: str) -> None:
    assert validation.address_problem(address) is None


@pytest.mark.parametrize(
    "local",
    [
        ".a", "a.", "a..b", "a b", '"a b"', '"a"', "a’b", "a‘b", "a“b”", "a(b)", "a,b", "a;b", "a:b", "a<b>", "a[b]", "a\\b",
        "a\x1b[31m", "a\u202eb", "a\nb", "a\0b", "", "x" * 65, "a\u200bb\u2066",
    ],
)  # fmt: skip
def test_an_address_that_mail_does_not_allow_is_refused_in_a_sentence(local: str) -> None:
    problem = validation.address_problem(f"{local}@contoso.example")
    assert problem
    assert problem.endswith(".")


def test_no_command_is_put_together_by_hand() -> None:
    """Every hint with a value in it comes from shells.command: no text of ours has a command with a value in it."""
    package = Path(shells.__file__).parent
    for file in package.rglob("*.py"):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            command = line.partition("msoauth ")[2]
            words = (
                "firm ",
                "account ",
                "sign-in",
                "fetch",
                "diagnose",
                "letter",
                "practice ",
                "vault ",
                "workspace ",
            )
            assert not (command.startswith(words) and "{" in command), (
                f"{file.name}:{number}: {line}"
            )

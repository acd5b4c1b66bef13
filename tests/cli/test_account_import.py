"""`msoauth account import` and `account add`: what was recognized is said, and only what was guessed is asked about."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from msoauth.cli import main

ANNA, MAX = "anna@contoso.example", "max@contoso.example"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A command on a workspace with two firms, without a terminal; `text` is the list to import."""

    def run(*arguments: str, text: str = "", stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"))
        (tmp_path / "list.csv").write_text(text, encoding="utf-8")
        with pytest.raises(SystemExit) as ended:
            main(["--workspace", str(tmp_path / "workspace"), *arguments])
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MSOAUTH_PASSPHRASE", "twelve words and no more")
    for number, name in enumerate(("contoso", "fabrikam")):
        tenant = ("--tenant", f"{name}.example", "--client-id", f"{number}" * 8 + "-2222-4333-8444-555555555555")  # fmt: skip
        assert run("firm", "add", name, *tenant)[0] == 0
    return run


def add(run: Run, text: str, *options: str, stdin: str = "") -> tuple[int, str, str]:
    return run(
        "account", "import", "list.csv", "--firm", "contoso", *options, text=text, stdin=stdin
    )


def test_what_was_recognized_is_one_line_and_nothing_is_asked(run: Run) -> None:
    text = f'#TYPE User\n"UserPrincipalName","EmailAddress"\n"{ANNA}","office@contoso.example"'
    status, out, err = add(run, text)
    assert (status, err) == (0, "")
    assert out.splitlines()[:2] == [
        "Mailbox: “EmailAddress”; user who signs in: “UserPrincipalName”.",
        "line 3: added office@contoso.example",
    ]
    assert f'"login": "{ANNA}"' in run("account", "list", "--json")[1]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (f"Name,User principal name\nAnna,{ANNA}", "no column of mailboxes"),
        (f"{ANNA}\nmax@contoso.exmaple", "contoso.exmaple is nearly contoso.example"),
    ],
)
def test_without_a_terminal_a_guess_is_exit_2_and_names_the_option(
    run: Run, text: str, asked: str
) -> None:
    status, out, err = add(run, text)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert asked in err
    assert "--yes" in err
    assert run("account", "list", "--json")[1] == ""
    assert add(run, text, stdin="n\n")[0] == 130
    assert run("account", "list", "--json")[1] == ""
    assert add(run, text, "--yes")[0] == 0
    assert ANNA in run("account", "list", "--json")[1]


def test_a_single_address_of_a_near_miss_is_asked_about_too(run: Run) -> None:
    words = ("account", "add", "anna@contoso.exmaple", "--firm", "contoso")
    status, _out, err = run(*words)
    assert status == 2
    assert "contoso.exmaple is nearly contoso.example" in err
    assert run(*words, "--yes")[0] == 0


def test_a_mailbox_that_another_firm_has_is_named_with_it(run: Run) -> None:
    assert run("account", "add", ANNA, "--firm", "fabrikam")[0] == 0
    status, out, _err = add(run, f"{ANNA}\n{MAX}")
    assert status == 1
    assert "“fabrikam”" in out
    assert "“fabrikam”" in run("account", "add", ANNA, "--firm", "contoso")[2]


def test_the_address_is_taken_as_it_is_written(run: Run) -> None:
    assert add(run, "Zoë O'Brien <zoe.o'brien@contoso.example>")[0] == 0
    assert '"address": "zoe.o\'brien@contoso.example"' in run("account", "list", "--json")[1]


def test_a_pasted_address_may_have_its_display_name(run: Run) -> None:
    words = ("Lindqvist, Anna <anna@contoso.example>", "--login", "<max@contoso.example>")
    assert run("account", "add", *words, "--firm", "contoso")[0] == 0
    listed = run("account", "list", "--json")[1]
    assert '"address": "anna@contoso.example"' in listed
    assert '"login": "max@contoso.example"' in listed

"""``msoauth explain``: for people, as JSON, for a firm, and for many texts."""

import io
import json
from collections.abc import Callable

import pytest

from msoauth.cli import main
from msoauth.texts import use_language

CLIENT = "11111111-2222-4333-8444-555555555555"
DISABLED = (
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox."
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def msoauth(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process: its status, stdout and stderr."""

    def run(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
        monkeypatch.setattr("msoauth.cli.utf8_streams", lambda: None)
        try:
            with pytest.raises(SystemExit) as left:
                main(list(arguments))
        finally:
            use_language("en")
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return run


def test_people_read_the_cause_who_mends_it_the_steps_and_the_commands(msoauth: Run) -> None:
    status, out, err = msoauth("explain", DISABLED)
    assert (status, err) == (0, "")
    for part in (
        "smtp-auth-disabled-mailbox",
        "Who can fix it: an administrator of the firm's Microsoft 365",
        "  1. ",
        "PS> Set-CASMailbox",
        "Manage email apps",
    ):
        assert part in " ".join(out.split()) or part in out


def test_people_read_how_certain_it_is_and_on_which_words_it_rests(msoauth: Run) -> None:
    _, out, _ = msoauth("explain", f"Our log: {DISABLED} client_secret=planted-marker-of-a-secret")
    said = " ".join(out.split())
    assert "How certain: Certain" in said
    assert "The answer rests on: “SmtpClientAuthentication is disabled for the Mailbox" in said
    assert "(a reply of Microsoft's servers)" in said
    assert "planted-marker" not in said
    assert "Otherwise it may be" not in said


def test_people_read_what_else_it_may_be(msoauth: Run) -> None:
    msoauth("firm", "add", "Contoso Legal", "--tenant", "contoso.example", "--client-id", CLIENT)
    msoauth("account", "add", "anna@contoso.example", "--firm", "Contoso Legal")
    refused = b"-ERR Authentication failure: unknown user name or bad password."
    _, out, _ = msoauth("explain", "--account", "anna@contoso.example", stdin=refused)
    said = " ".join(out.split())
    assert "(mail-login-rejected)" in said
    assert "Otherwise it may be: POP is off for this mailbox (pop-disabled);" in said
    msoauth("account", "change", "anna@contoso.example", "--login", "ben@contoso.example")
    _, out, _ = msoauth("explain", "--account", "anna@contoso.example", stdin=refused)
    said = " ".join(out.split())
    assert "(full-access-missing)" in said
    assert "How certain: Likely" in said
    assert "Known about it: ben@contoso.example signs in to open the mailbox" in said
    assert "-Identity anna@contoso.example -User ben@contoso.example" in said


def test_of_what_is_not_known_the_way_into_the_bundle_is_told(msoauth: Run) -> None:
    _, out, _ = msoauth("explain", "The flux capacitor stops.")
    said = " ".join(out.split())
    assert "Unknown error (unknown)" in said
    assert "Notebook 4 adds the text to a support bundle" in said
    assert "How certain" not in said


def test_people_read_it_in_german(msoauth: Run) -> None:
    _, out, _ = msoauth("--lang", "de", "explain", DISABLED)
    assert "Authentifiziertes SMTP" in out


def test_programs_read_the_same_as_json(msoauth: Run) -> None:
    status, out, _ = msoauth("explain", "--json", stdin=DISABLED.encode())
    answer = json.loads(out)
    assert status == 0
    assert answer["cause"] == "smtp-auth-disabled-mailbox"
    assert {
        "title",
        "meaning",
        "who",
        "fix",
        "powershell",
        "links",
        "ids",
        "codes",
        "confidence",
        "because",
    } <= set(answer)
    assert answer["confidence"] == "certain"
    assert answer["possibilities"] == [{"cause": answer["cause"], "title": answer["title"]}]
    (span, *_more) = answer["spans"]
    assert DISABLED[span["start"] : span["end"]].startswith("SmtpClientAuthentication is disabled")
    assert (span["kind"], span["owner"]) == ("reply", "microsoft")


def test_the_firm_and_the_mailbox_are_filled_in(msoauth: Run) -> None:
    msoauth("firm", "add", "Contoso Legal", "--tenant", "contoso.example", "--client-id", CLIENT)
    msoauth("account", "add", "anna@contoso.example", "--firm", "Contoso Legal")
    _, out, _ = msoauth("explain", "AADSTS7000222: expired", "--json", "--firm", "Contoso Legal")
    assert CLIENT in json.dumps(json.loads(out)["links"])
    _, out, _ = msoauth("explain", DISABLED, "--json", "--account", "anna@contoso.example")
    assert "anna@contoso.example" in json.dumps(json.loads(out)["powershell"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("-ERR Logon failure: unknown user name or bad password.", "--json"),
        ("--json", "-ERR", "Logon", "failure:", "unknown user name or bad password."),
        ("--json", "--", "-ERR Logon failure: unknown user name or bad password."),
        ("--lang-like words", "-ERR Logon failure: unknown user name or bad password.", "--json"),
        ("--json", "-hERR -ERR Logon failure: unknown user name or bad password."),
        (
            "-----Original",
            "Message-----",
            "-ERR",
            "Logon",
            "failure: unknown user name or bad password.",
            "--json",
        ),
        (
            "---",
            "curl:",
            "--ssl-reqd=x",
            "-ERR",
            "Logon failure: unknown user name or bad password.",
            "--json",
        ),
    ],
)
def test_a_text_may_begin_with_a_dash(msoauth: Run, arguments: tuple[str, ...]) -> None:
    status, out, err = msoauth("explain", *arguments)
    assert (status, err) == (0, "")
    assert json.loads(out)["cause"] != "unknown"


@pytest.mark.parametrize("mistyped", ["--jsn", "--acount=x", "--firm"])
def test_a_mistyped_option_is_told_all_the_same(msoauth: Run, mistyped: str) -> None:
    status, out, err = msoauth("explain", "-ERR Logon failure", mistyped)
    assert (status, out) == (2, "")
    assert len(err.strip().splitlines()) == 1


def test_a_firm_that_is_none_is_one_sentence(msoauth: Run) -> None:
    status, out, err = msoauth("explain", DISABLED, "--firm", "Nobody")
    assert (status, out) == (2, "")
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("nothing", [b"", b"  \n\t ", b"\r\n"])
def test_no_text_is_one_sentence(msoauth: Run, nothing: bytes) -> None:
    status, out, err = msoauth("explain", stdin=nothing)
    assert (status, out) == (2, "")
    assert len(err.strip().splitlines()) == 1


def test_bytes_that_are_no_text_are_explained_as_unknown(msoauth: Run) -> None:
    status, out, err = msoauth("explain", stdin=bytes(range(256)) * 50)
    assert (status, err) == (0, "")
    assert "unknown" in out
    assert all(sign.isprintable() or sign == "\n" for sign in out)


def test_many_texts_are_answered_line_by_line_whatever_is_wrong_with_one(msoauth: Run) -> None:
    lines = [
        json.dumps({"id": "a", "text": DISABLED}).encode(),
        b"no json",
        b'{"id": "c", "text": 7}',
        b'["a", "list"]',
        b'{"id": {"odd": [1]}, "text": "AADSTS50126"}',
        b'{"id": "f", "text": "\\ud800 AADSTS50126"}',
        b"\xff\xfe{",
        b"[" * 5000,
        b"",
        json.dumps({"id": "last", "text": ""}).encode(),
    ]
    status, out, _ = msoauth("explain", "--batch", stdin=b"\n".join(lines))
    answers = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [(one["id"], one["cause"], "error" in one) for one in answers] == [
        ("a", "smtp-auth-disabled-mailbox", False),
        (None, "unknown", True),
        ("c", "unknown", True),
        (None, "unknown", True),
        ({"odd": [1]}, "password-wrong", False),
        ("f", "password-wrong", False),
        (None, "unknown", True),
        (None, "unknown", True),
        ("last", "unknown", False),
    ]


def test_a_hundred_megabytes_are_explained(msoauth: Run) -> None:
    line = b"2026-02-03 10:00:00 INFO mail: mailbox fetched, nothing to tell of it ........\n"
    log = line * (100_000_000 // len(line)) + b"2026-02-03 ERROR AADSTS7000222: expired\n"
    status, out, err = msoauth("explain", "-", stdin=log)
    assert (status, err) == (0, "")
    assert "secret-expired" in out


def test_a_text_beyond_what_is_read_is_one_sentence(
    msoauth: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msoauth.cli.tools.MAX_TEXT", 2 << 20)
    status, out, err = msoauth("explain", "-", stdin=b"AADSTS50126 " * 200_000)
    assert (status, out) == (2, "")
    assert len(err.strip().splitlines()) == 1
    assert "2 MB" in err


def test_of_many_texts_one_beyond_what_is_read_is_answered_in_its_place(
    msoauth: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msoauth.cli.tools.MAX_TEXT", 1_000)
    lines = [
        json.dumps({"id": name, "text": text}).encode()
        for name, text in [("a", DISABLED), ("b", "x" * 5_000), ("c", "AADSTS50126")]
    ]
    _, out, _ = msoauth("explain", "--batch", stdin=b"\n".join(lines))
    answers = [json.loads(line) for line in out.splitlines()]
    assert [(one["cause"], "error" in one) for one in answers] == [
        ("smtp-auth-disabled-mailbox", False),
        ("unknown", True),
        ("password-wrong", False),
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_a_piped_text_may_be_in_any_encoding_of_windows(msoauth: Run, encoding: str) -> None:
    text = f"Übermittlung fehlgeschlagen: {DISABLED}"
    status, out, _err = msoauth("explain", "--json", stdin=text.encode(encoding))
    assert status == 0
    assert json.loads(out)["cause"].startswith("smtp-auth-disabled")


def test_an_unknown_option_alone_is_no_text(msoauth: Run) -> None:
    status, out, err = msoauth("explain", "--foo")
    assert (status, out) == (2, "")
    assert "--foo" in err

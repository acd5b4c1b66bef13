"""The steps that fit the case (cases.toml): every entry can hold, names only what is known, and is there in German."""

import re
import tomllib
from importlib.resources import files
from typing import Any

import pytest

from msoauth.explaining import causes, for_cause, of_shared_problem
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.texts import use_language

CASES: dict[str, list[dict[str, Any]]] = tomllib.loads(
    files("msoauth.explaining").joinpath("catalogue", "cases.toml").read_text(encoding="utf-8")
)
ENTRIES = [
    pytest.param(cause, number, id=f"{cause}-{number}")
    for cause, entries in CASES.items()
    for number in range(len(entries))
]
FIRM = Firm("Contoso", "contoso.example", "00001111-aaaa-2222-bbbb-3333cccc4444")
APP = Firm("Contoso", "contoso.example", FIRM.client_id, access="app-only")
ANNA = Account("anna@contoso.example", "Contoso")
OFFICE = Account("office@contoso.example", "Contoso", login="anna@contoso.example")
# A value for whatever an entry may ask for.
DETAILS = {
    "signed_in_as": "a.berg@contoso.example",
    "token_length": "9,000",
    "primary": "first@contoso.example",
    "licence_of": "anna@contoso.example",
    "proxy": "proxy.example:3128",
    "proxy_says": "403",
    "sender": "ben@contoso.example",
}


def details_for(entry: dict[str, Any]) -> tuple[Firm, Account, dict[str, str]]:
    """A firm, an account and details under which the conditions of an entry hold."""
    firm, account, details = FIRM, ANNA, dict[str, str]()
    for condition in entry["when"]:
        name, _equals, value = condition.partition("=")
        if condition == "access=delegate":
            account = OFFICE
        elif condition == "access=app-only":
            firm = APP
        elif name == "retrieving":
            details["protocol"] = "pop3"
        elif value and not name.endswith("!"):
            details[name] = value
        elif name in DETAILS:
            details[name] = DETAILS[name]
    named = {n for step in entry["fix"] for n in re.findall(r"\{(\w+)\}", step)}
    return firm, account, {n: DETAILS[n] for n in named & DETAILS.keys()} | details


@pytest.mark.parametrize(("cause", "number"), ENTRIES)
@pytest.mark.parametrize("language", ["en", "de"])
def test_an_entry_is_what_its_case_gets_in_both_languages(
    cause: str, number: int, language: str
) -> None:
    entry = CASES[cause][number]
    firm, account, details = details_for(entry)
    use_language(language)
    try:
        found = for_cause(cause, firm=firm, account=account, details=details)
    finally:
        use_language("en")
    texts = entry["fix" if language == "en" else "de"]
    assert len(texts) == len(entry["fix"]) == len(entry["de"])
    beginning = re.split(r"\{\w+\}", texts[0])[0]
    assert found.fix[0].startswith(beginning)
    assert len(found.fix) == len(texts)
    assert not re.findall(r"\{[a-z_]+\}", " ".join((*found.fix, *found.powershell)))
    assert found.who == entry.get("who", causes()[cause].who)
    assert set(found.also) <= causes().keys()
    # The same names are in both languages, so that no role is lost in one.
    names = [sorted(re.findall(r"\{\w+\}", " ".join(entry[k]))) for k in ("fix", "de")]
    assert set(names[0]) == set(names[1])


def test_what_a_value_holds_is_no_placeholder() -> None:
    account = Account("{login}@contoso.example", "Contoso", login="{mailbox}@contoso.example")
    found = for_cause("full-access-missing", account=account, details={"protocol": "pop3"})
    assert "'{login}@contoso.example'" in found.powershell[0]
    assert "'{mailbox}@contoso.example'" in found.powershell[0]


def test_a_problem_that_several_share_names_none_of_them() -> None:
    findings = [
        Finding(
            "pop3.login",
            Signal.FAILED,
            "refused",
            cause="mail-login-rejected",
            account=f"{name}@contoso.example",
            details={
                "access": "own",
                "login": f"{name}@contoso.example",
                "protocol": "pop3",
                "other": "smtp",
            },
        )
        for name in ("anna", "ben")
    ]
    shared = of_shared_problem(findings)
    assert "POP is very likely off" in shared.fix[0]
    assert "@contoso.example" not in " ".join(shared.fix)


@pytest.mark.parametrize("cause", ["account-wrong", "user-external", "session-missing"])
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("account.microsoft.com", "“Sign out and forget account”", "“Stay signed in?”")),
        (
            "de",
            ("account.microsoft.com", "„Abmelden und Konto vergessen“", "„Angemeldet bleiben?“"),
        ),
    ],
)
def test_trouble_at_the_sign_in_has_the_remedy_for_the_browsers_accounts(
    cause: str, language: str, words: tuple[str, ...]
) -> None:
    use_language(language)
    try:
        for details in ({}, {"signed_in_as": "a.berg@contoso.example"}):
            steps = " ".join(for_cause(cause, firm=FIRM, account=ANNA, details=details).fix)
            assert all(word in steps for word in words)
    finally:
        use_language("en")

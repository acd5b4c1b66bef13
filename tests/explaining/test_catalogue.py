"""The catalogue is whole: every cause with its fix, its example and its German, and nothing harmful in it."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest

from msoauth.explaining import explain, for_cause
from msoauth.explaining.links import link
from msoauth.explaining.load import causes, codes, signatures, weak_codes
from msoauth.explaining.phrases import wordings
from msoauth.texts import use_language

CATALOGUE = resources.files("msoauth.explaining") / "catalogue"
RAW: dict[str, dict[str, Any]] = tomllib.loads(
    (CATALOGUE / "causes.toml").read_text(encoding="utf-8")
)
NAMES = sorted(RAW)
WHO = {"user", "tenant-admin", "consultant", "microsoft"}


@pytest.fixture
def german() -> Iterator[None]:
    use_language("de")
    yield
    use_language("en")


def wanting(name: str, entry: dict[str, Any], examples: Counter[str]) -> list[str]:
    """What an entry of the catalogue lacks."""
    lacks = [part for part in ("title", "meaning", "fix") if not entry.get(part)]
    if not name:
        lacks.append("cause")
    if not examples[name] and name not in ("unknown", "other-provider"):  # known by its marks
        lacks.append("example")
    return lacks


def examples() -> Counter[str]:
    return Counter(one.cause for one in signatures() if one.example and one.source)


@pytest.mark.parametrize("name", NAMES)
def test_no_entry_lacks_its_cause_its_fix_or_an_example(name: str) -> None:
    assert wanting(name, RAW[name], examples()) == []


@pytest.mark.parametrize(
    ("name", "part"),
    [("", "cause"), ("throttled", "title"), ("throttled", "fix"), ("brand-new", "example")],
)
def test_an_entry_that_lacks_one_is_refused(name: str, part: str) -> None:
    entry = {**RAW["throttled"]}
    entry.pop(part, None)
    assert part in wanting(name, entry, examples())


@pytest.mark.parametrize("name", NAMES)
def test_who_can_mend_it_is_one_of_the_known(name: str) -> None:
    assert RAW[name]["who"] in (WHO if name != "unknown" else {""})


def test_a_signature_is_of_a_known_cause_and_has_a_source() -> None:
    for one in signatures():
        assert one.cause in RAW, one
        assert one.source.strip(), one
        assert 1 <= one.weight <= 100, one
        assert all(pattern.strip("… ") for pattern in (*one.says, *one.literal)), one


def test_no_wording_stands_for_two_causes_alike() -> None:
    claimed: dict[tuple[str, int], str] = {}
    for one in signatures():
        for pattern in (*one.says, *one.literal):
            for wording in wordings(pattern):
                other = claimed.setdefault((wording.lower(), one.weight), one.cause)
                assert other == one.cause, wording


def test_every_code_is_of_one_known_cause() -> None:
    table = tomllib.loads((CATALOGUE / "codes.toml").read_text(encoding="utf-8"))["causes"]
    numbers = Counter(number for listed in table.values() for number in listed)
    assert [number for number, times in numbers.items() if times > 1] == []
    assert set(table) <= set(RAW)
    assert weak_codes() <= set(codes())


def test_a_code_alone_is_told() -> None:
    for number, cause in codes().items():
        known = explain(f"AADSTS{number}: (no text) Trace ID: 6d1b7c2e-90aa-4f0e-8b5d-3c2f1e0d9a00")
        assert (known.cause, known.codes) == (cause, (f"AADSTS{number}",))


@pytest.mark.parametrize("name", NAMES)
def test_every_cause_has_its_german(name: str) -> None:
    english, german = RAW[name], RAW[name].get("de", {})
    for part in ("title", "meaning"):
        assert german.get(part)
        assert german[part] != english[part]
    assert len(german["fix"]) == len(english["fix"])
    assert not set(german["fix"]) & set(english["fix"])
    assert set(german) == {"title", "meaning", "fix"}


@pytest.mark.parametrize("name", NAMES)
def test_the_german_fills_in_the_same_names(name: str) -> None:
    def blanks(steps: list[str]) -> set[str]:
        return {blank for step in steps for blank in re.findall(r"\{\w+\}", step)}

    assert blanks(RAW[name]["fix"]) == blanks(RAW[name]["de"]["fix"])


@pytest.mark.usefixtures("german")
def test_explanations_are_in_the_language_in_force() -> None:
    known = explain("AADSTS7000222: The provided client secret keys are expired.")
    assert known.title == RAW["secret-expired"]["de"]["title"]
    assert any("Zertifikate & Geheimnisse" in step for step in known.fix)
    use_language("en")
    assert for_cause("secret-expired").title == RAW["secret-expired"]["title"]


@pytest.mark.parametrize(
    ("term", "cause"),
    [
        ("Verzeichnis-ID (Mandant)", "tenant-not-found"),
        ("Anwendungs-ID (Client)", "app-not-found"),
        ("Authentifiziertes SMTP", "smtp-auth-disabled-mailbox"),
        ("API-Berechtigungen", "permission-not-registered"),
        ("E-Mail-Apps verwalten", "smtp-auth-disabled-mailbox"),
        ("Aktive Benutzer", "smtp-auth-disabled-mailbox"),
    ],
)
def test_the_german_steps_name_the_menus_as_microsoft_does(term: str, cause: str) -> None:
    assert any(term in step for step in RAW[cause]["de"]["fix"])


@pytest.mark.parametrize("name", NAMES)
def test_a_meaning_is_two_sentences_at_most(name: str) -> None:
    for words in (RAW[name], RAW[name]["de"]):
        assert len(re.findall(r"[.!?](?=\s+[A-ZÄÖÜ„]|$)", words["meaning"])) <= 2


@pytest.mark.parametrize("name", NAMES)
def test_no_step_switches_security_defaults_off(name: str) -> None:
    said = " ".join(
        [*RAW[name]["fix"], *RAW[name]["de"]["fix"], *RAW[name].get("powershell", ())]
    ).lower()
    for words in ("security defaults", "sicherheitsstandards"):
        for found in re.finditer(words, said):
            around = said[max(0, found.start() - 60) : found.end() + 60]
            assert not re.search(
                r"switch off|turn off|disable|deaktivier|ausschalt|abschalt", around
            ) or (re.search(r"\b(not|never|nicht|nie)\b", around)), around


@pytest.mark.parametrize("name", NAMES)
def test_every_link_of_a_cause_is_there(name: str) -> None:
    for wanted in RAW[name].get("links", ()):
        found = link(wanted, None)
        assert found.text
        assert found.url.startswith("https://")


def test_causes_and_catalogue_name_the_same() -> None:
    assert set(causes()) == set(RAW)

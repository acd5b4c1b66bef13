"""Every text that people read exists in German beside English, and says the same to the program."""

import ast
import gettext
import runpy
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message

from msoauth.texts import _, language, ngettext, use_language

TOOL = runpy.run_path(str(Path(__file__).parents[1] / ".ci" / "texts.py"))


@pytest.fixture(autouse=True)
def _english_again() -> Iterator[None]:
    yield
    use_language("en")


def source() -> Catalog:
    found: Catalog = TOOL["extracted"]()
    return found


def german() -> Catalog:
    found: Catalog = TOOL["german"]()
    return found


def texts(value: "str | tuple[str, ...] | list[str] | None") -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def fields(text: str) -> set[str]:
    """The placeholders of a text, with their formats."""
    parts = string.Formatter().parse(text)
    return {f"{name}:{spec}" for _literal, name, spec, _conversion in parts if name is not None}


def messages(catalogue: Catalog) -> list[Message]:
    return [message for message in catalogue if message.id]


def test_no_text_is_missing_in_german() -> None:
    known = {texts(m.id)[0]: m for m in messages(german())}
    missing = [
        texts(message.id)[0]
        for message in messages(source())
        if texts(message.id)[0] not in known or not all(texts(known[texts(message.id)[0]].string))
    ]
    assert missing == [], "translate these in the .po, then run: python .ci/texts.py"


def test_no_text_hides_in_an_f_string_where_the_catalogue_does_not_find_it() -> None:
    package = Path(TOOL["PACKAGE"])
    hidden = [
        f"{file.relative_to(package)}:{call.lineno}"
        for file in package.rglob("*.py")
        for whole in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(whole, ast.JoinedStr)
        for call in ast.walk(whole)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ("_", "ngettext")
    ]
    assert hidden == []


def test_no_translation_is_a_guess_or_of_a_text_that_is_gone() -> None:
    used = {texts(m.id)[0] for m in messages(source())}
    assert [m.id for m in messages(german()) if m.fuzzy] == []
    assert [texts(m.id)[0] for m in messages(german()) if texts(m.id)[0] not in used] == []


def test_translations_have_the_placeholders_of_their_texts() -> None:
    wrong = [
        (message.id, said)
        for message in messages(german())
        for said in texts(message.string)
        if fields(said) != fields(texts(message.id)[-1])
        and not fields(said) < set().union(*(fields(text) for text in texts(message.id)))
    ]
    assert wrong == []


def test_what_is_compiled_is_what_is_written() -> None:
    with TOOL["MO"].open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for message in messages(german()):
        if isinstance(message.id, str) and message.string:
            assert compiled.gettext(message.id) == message.string


def test_texts_end_as_their_originals_end() -> None:
    """A sentence stays one, and what is put together keeps its blanks."""
    for message in messages(german()):
        for said in texts(message.string)[-1:]:
            original = texts(message.id)[-1]
            assert original[:1].isspace() == said[:1].isspace(), original
            assert original[-1:].isspace() == said[-1:].isspace(), original
            assert original.endswith(".") == said.endswith("."), original


@pytest.mark.parametrize(
    ("english", "microsofts"),
    [
        ("Directory (tenant) ID", "Verzeichnis-ID (Mandant)"),
        ("Application (client) ID", "Anwendungs-ID (Client)"),
        ("Authenticated SMTP", "Authentifiziertes SMTP"),
        ("Redirect URI", "Umleitungs-URI"),
        ("Certificates & secrets", "Zertifikate & Geheimnisse"),
        ("API permissions", "API-Berechtigungen"),
        ("Active users", "Aktive Benutzer"),
    ],
)
def test_the_words_are_those_of_microsofts_german_portals(english: str, microsofts: str) -> None:
    use_language("de-DE")
    assert language() == "de"
    assert _(english) == microsofts
    assert ngettext("{n} mailbox was added.", "{n} mailboxes were added.", 2).startswith(
        "{n} Postfächer"
    )

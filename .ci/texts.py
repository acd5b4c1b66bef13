"""The catalogue of texts: `python .ci/texts.py` after a text was added or translated.

It reads every `_()` and `ngettext()` of the package, brings the German .po up to date (new texts come in empty,
what is no longer used goes), compiles it, and says what is still to be translated. The compiled .mo is kept in
the repository, so that neither an editable install nor the wheel needs a build step.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from typer.main import get_command

from msoauth.cli import app
from msoauth.cli.usage import help_texts

TOP = Path(__file__).resolve().parent.parent
PACKAGE = TOP / "msoauth"
LOCALE = PACKAGE / "locale"
PO = LOCALE / "de" / "LC_MESSAGES" / "msoauth.po"
MO = PO.with_suffix(".mo")

FIXED = datetime(2026, 11, 25, tzinfo=UTC)
METHODS = [
    ("practice/**", "ignore"),
    ("**.py", "python"),
    ("**.html", "jinja2.ext.babel_extract"),
    ("reports/templates/**.md", "jinja2.ext.babel_extract"),
]
KEYWORDS = {"_": None, "ngettext": (1, 2)}


def extracted() -> Catalog:
    """Every text of the package; the practice tenant speaks English only."""
    catalogue = Catalog(project="msoauth", charset="utf-8")
    jinja = {"silent": "false", "trimmed": "true"}
    options = {"**.html": jinja, "reports/templates/**.md": jinja}
    found = extract_from_dir(
        str(PACKAGE),
        METHODS,
        options,
        keywords=KEYWORDS,
        comment_tags=["Translators:"],
        strip_comment_tags=True,
    )
    for file, _line, message, comments, context in found:
        catalogue.add(message, None, [(file, 0)], auto_comments=comments, context=context)
    # The help of the command line is translated when it is shown: its texts stand in options and docstrings.
    for text in help_texts(get_command(app)):
        catalogue.add(text, None, [("cli", 0)])
    return catalogue


def german() -> Catalog:
    """The German catalogue as it lies in the repository."""
    if not PO.exists():
        return Catalog(locale="de", project="msoauth", charset="utf-8")
    with PO.open("rb") as file:
        return read_po(file, locale="de", domain="msoauth")


def update() -> Catalog:
    """Bring the German catalogue up to date with the source, and compile it."""
    catalogue = german()
    catalogue.update(extracted(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    for message in catalogue:
        # Set where a text is used alone and with a plural too; no translation here is a machine's guess.
        message.flags.discard("fuzzy")
    catalogue.header_comment = (
        "# German texts of msoauth. Microsoft's own words are those of its German portals."
    )
    catalogue.fuzzy = False
    catalogue.creation_date = catalogue.revision_date = FIXED  # a date would differ at every run
    catalogue.msgid_bugs_address = catalogue.last_translator = catalogue.language_team = "msoauth"
    PO.parent.mkdir(parents=True, exist_ok=True)
    with PO.open("wb") as file:
        write_po(
            file, catalogue, width=100, no_location=True, sort_output=True, ignore_obsolete=True
        )
    with PO.open("rb") as file, MO.open("wb") as compiled:
        write_mo(compiled, read_po(file, locale="de"))
    return catalogue


def main() -> None:
    catalogue = update()
    missing = [
        m
        for m in catalogue
        if m.id and not all(m.string if isinstance(m.string, tuple) else (m.string,))
    ]
    for message in missing:
        print("to be translated:", message.id)
    print(f"{len(catalogue)} texts, {len(missing)} to be translated")
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()

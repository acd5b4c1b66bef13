"""Translates everything that people read, by gettext; the texts in the source are English."""

import gettext
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "de")

_LOCALE_DIR = Path(__file__).parent / "locale"
_process_language = "en"


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    return gettext.translation("msoauth", _LOCALE_DIR, languages=[language], fallback=True)


def use_language(language: str) -> None:
    """Choose the language (``"en"`` or ``"de"``) for this process; an unknown one means English."""
    global _process_language
    code = language.lower().replace("_", "-").split("-")[0]
    _process_language = code if code in LANGUAGES else "en"


def language() -> str:
    """The current language, as a two-letter code."""
    return _process_language


def _(message: str) -> str:
    """*message* in the current language."""
    return _catalogue(_process_language).gettext(message)


def ngettext(singular: str, plural: str, n: int) -> str:
    """*singular* or *plural*, whichever *n* needs, in the current language."""
    return _catalogue(_process_language).ngettext(singular, plural, n)

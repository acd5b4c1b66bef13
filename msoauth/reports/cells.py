"""Keeps text from outside harmless in a spreadsheet: recognises formulas, and replaces what a cell cannot hold."""

# With these a formula begins in Excel, LibreOffice and Google Sheets (OWASP, "CSV Injection").
_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_LONGEST = 32_767  # characters that a cell of Excel holds


def is_formula(text: str) -> bool:
    """Whether a spreadsheet might take *text* for a formula."""
    return text.startswith(_BEGINS) or text.lstrip().startswith(_BEGINS)


def clean(text: str) -> str:
    """*text* with unprintable characters replaced, which XML cannot hold, and cut to the length of a cell."""
    kept = "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)
    return kept if len(kept) <= _LONGEST else f"{kept[: _LONGEST - 1]}…"

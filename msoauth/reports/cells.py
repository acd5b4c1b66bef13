"""What may stand in a cell: text from outside is text there, never a formula."""

# What Excel, LibreOffice and Google Sheets take for the beginning of a formula (OWASP, "CSV Injection").
_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_LONGEST = 32_767  # characters of a cell in Excel


def is_formula(text: str) -> bool:
    """Whether a spreadsheet might take *text* for a formula."""
    return text.startswith(_BEGINS) or text.lstrip().startswith(_BEGINS)


def clean(text: str) -> str:
    """*text* without what XML cannot hold, and no longer than a cell."""
    kept = "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)
    return kept if len(kept) <= _LONGEST else f"{kept[: _LONGEST - 1]}…"

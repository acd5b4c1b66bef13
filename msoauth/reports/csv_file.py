"""Writes the accounts as CSV that Excel opens correctly on a double click, in Germany too.

German Excel takes the semicolon for the separator and reads ``3.12`` as the third of December; every Excel reads
UTF-8 only behind a byte order mark. So: semicolons, a mark, Windows line ends, whole numbers, ISO dates. English
Excel opens it by Data → From Text/CSV, which finds the semicolon by itself; `account import` reads both.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from msoauth.auditing.status import AccountStatus
from msoauth.reports.cells import is_formula
from msoauth.reports.columns import ACCOUNTS, Column, shown


def csv_text(accounts: Iterable[AccountStatus], columns: Sequence[Column[Any]] = ACCOUNTS) -> str:
    """The table as text with a leading byte order mark, to be written as UTF-8 unchanged."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow([column.heading() for column in columns])
    for row in accounts:
        writer.writerow([_cell(column, column.value(row)) for column in columns])
    return "\ufeff" + out.getvalue()


def _cell(column: Column[Any], value: Any) -> str:
    if value is None:
        return ""
    if column.kind == "number":
        return str(value)
    text = " ".join(str(shown(column.kind, value)).split())
    return f"'{text}" if is_formula(text) else text

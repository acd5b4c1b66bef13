"""Writes an audit's report to a file, as CSV, Excel or HTML."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from msoauth.auditing.status import AccountStatus, Status
from msoauth.reports.columns import ACCOUNTS, Column, display_value, is_formula
from msoauth.store.audits import AuditRun

Kind = Literal["csv", "xlsx", "html"]
MEDIA: dict[Kind, str] = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "html": "text/html",
}


def write_report(kind: Kind, file: Path, status: Status, runs: Sequence[AuditRun]) -> None:
    """Write the report to *file*, replacing what is there.

    Args:
        runs: Finished audits for the charts, the newest first.

    Raises:
        OSError: the file cannot be written.
    """
    # Imported lazily: the libraries for Excel and HTML take time to load.
    if kind == "xlsx":
        from msoauth.reports.excel import write_excel

        write_excel(file, status, runs)
    elif kind == "html":
        from msoauth.reports.html_report import html_page

        file.write_text(html_page(status, runs), encoding="utf-8")
    else:
        file.write_text(csv_text(status.accounts), encoding="utf-8", newline="")


def csv_text(accounts: Iterable[AccountStatus]) -> str:
    """The table as CSV that Excel opens correctly on a double click, to be written as UTF-8 unchanged.

    German Excel takes the semicolon for the separator and reads ``3.12`` as the third of December; every Excel reads
    UTF-8 only behind a byte order mark. So: semicolons, a mark, Windows line ends, whole numbers, ISO dates. English
    Excel opens it by Data → From Text/CSV, which finds the semicolon by itself; `account import` reads both.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow([column.heading() for column in ACCOUNTS])
    for row in accounts:
        writer.writerow([_cell(column, column.value(row)) for column in ACCOUNTS])
    return "\ufeff" + out.getvalue()


def _cell(column: Column[Any], value: Any) -> str:
    if value is None:
        return ""
    if column.kind == "number":
        return str(value)
    text = " ".join(str(display_value(column.kind, value)).split())
    return f"'{text}" if is_formula(text) else text

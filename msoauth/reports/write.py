"""An audit's report as CSV, Excel or HTML."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from msoauth.auditing.status import AccountStatus, Status
from msoauth.reports.columns import ACCOUNTS, Column, display_value, is_formula
from msoauth.sanitize import one_line
from msoauth.store.audits import AuditRun

Kind = Literal["csv", "xlsx", "html"]
MEDIA: dict[Kind, str] = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "html": "text/html",
}


def report(kind: Kind, status: Status, runs: Sequence[AuditRun]) -> bytes:
    """The content of the report's file.

    Args:
        runs: Finished audits for the charts, the newest first.
    """
    # Imported lazily: the libraries for Excel and HTML take time to load.
    if kind == "xlsx":
        from msoauth.reports.excel import excel_report

        return excel_report(status, runs)
    if kind == "html":
        from msoauth.reports.html_report import html_page

        return html_page(status, runs).encode()
    return csv_text(status.accounts).encode()


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
    text = one_line(" ".join(str(display_value(column.kind, value)).split()))
    return f"'{text}" if is_formula(text) else text

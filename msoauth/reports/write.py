"""Writes an audit's report to a file, as CSV, Excel or HTML."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from msoauth.auditing.status import Status
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
    # Each writer is imported only when it is needed: Excel's and HTML's libraries take time to load.
    if kind == "xlsx":
        from msoauth.reports.excel import write_excel

        write_excel(file, status, runs)
    elif kind == "html":
        from msoauth.reports.html_report import html_page

        file.write_text(html_page(status, runs), encoding="utf-8")
    else:
        from msoauth.reports.csv_file import csv_text

        file.write_text(csv_text(status.accounts), encoding="utf-8", newline="")

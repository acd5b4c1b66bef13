"""Writes an audit as an Excel workbook: one sheet per question, with typed columns, filters and a frozen header."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from msoauth.auditing.status import Status
from msoauth.model import Signal
from msoauth.reports.columns import Column, Sheet, clean, display_value, is_formula, sheets
from msoauth.store.audits import AuditRun
from msoauth.texts import _

# Text and background colour of a signal's cell, with a contrast of at least 4.5.
_COLOURS = {
    Signal.PASSED: ("#0B5A23", "#E2F3E6"),
    Signal.WARNING: ("#6B4700", "#FDF0D0"),
    Signal.FAILED: ("#9B1420", "#FBE3E4"),
    Signal.ERROR: ("#57309A", "#EFE6FA"),
    Signal.SKIPPED: ("#555555", "#EEEEEE"),
    Signal.NOT_RUN: ("#555555", "#FFFFFF"),
}
_MOMENT = "yyyy-mm-dd hh:mm"
_HEADER_ROW = 2


def excel_report(status: Status, runs: Sequence[AuditRun]) -> bytes:
    """The workbook's bytes; no temporary file is written."""
    import xlsxwriter  # imported lazily: only a workbook needs it

    # Text that looks like a formula, a link or a number stays text.
    options = {
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "remove_timezone": True,
        "in_memory": True,
    }
    content = io.BytesIO()
    book = xlsxwriter.Workbook(content, options)
    book.set_properties({"title": _("Mail audit"), "comments": _("Made by msoauth")})
    formats = _Formats(book)
    for sheet in sheets(status, runs):
        _write_sheet(book, formats, sheet, status.at)
    book.close()
    return content.getvalue()


class _Formats:
    """The cell formats of one workbook."""

    def __init__(self, book: Any) -> None:
        top_aligned = {"valign": "top"}
        self.title = book.add_format({"bold": True, "font_size": 14})
        self.quiet = book.add_format({"font_color": "#555555"})
        self.head = book.add_format(
            {"bold": True, "bg_color": "#1F3A5F", "font_color": "#FFFFFF", "text_wrap": True,
             "valign": "vcenter", "border": 1, "border_color": "#FFFFFF"}
        )  # fmt: skip
        self.text = book.add_format(top_aligned)
        # Text that looks like a formula stays text, even after somebody has edited the cell.
        self.quoted = book.add_format({**top_aligned, "quote_prefix": True})
        self.number = book.add_format({**top_aligned, "num_format": "0"})
        self.moment = book.add_format({**top_aligned, "num_format": _MOMENT})
        self.signal = {
            signal: book.add_format(
                {**top_aligned, "font_color": foreground, "bg_color": background, "bold": True}
            )
            for signal, (foreground, background) in _COLOURS.items()
        }


def _write_sheet(book: Any, formats: _Formats, sheet: Sheet[Any], at: datetime) -> None:
    """Write one sheet: a title, a header row with filters, and the rows."""
    worksheet = book.add_worksheet(sheet.title[:31])
    worksheet.write_string(0, 0, sheet.question, formats.title)
    worksheet.write_string(
        1, 0, _("As of {moment} UTC").format(moment=display_value("moment", at)), formats.quiet
    )
    worksheet.set_row(_HEADER_ROW, 32)
    for column_number, column in enumerate(sheet.columns):
        worksheet.set_column(column_number, column_number, column.width)
        worksheet.write_string(_HEADER_ROW, column_number, column.heading(), formats.head)
    for row_number, row in enumerate(sheet.rows, _HEADER_ROW + 1):
        for column_number, column in enumerate(sheet.columns):
            _write_cell(worksheet, formats, row_number, column_number, column, column.value(row))
    last_row = max(_HEADER_ROW + len(sheet.rows), _HEADER_ROW + 1)
    worksheet.autofilter(_HEADER_ROW, 0, last_row, len(sheet.columns) - 1)
    worksheet.freeze_panes(
        _HEADER_ROW + 1, 3 if sheet.key in ("accounts", "soon", "changes") else 0
    )
    worksheet.set_landscape()
    worksheet.fit_to_pages(1, 0)
    worksheet.repeat_rows(_HEADER_ROW)


def _write_cell(
    worksheet: Any,
    formats: _Formats,
    row_number: int,
    column_number: int,
    column: Column[Any],
    value: Any,
) -> None:
    """Write one cell with the type and format of its column."""
    if value is None:
        return
    if column.kind == "signal":
        worksheet.write_string(
            row_number, column_number, display_value("signal", value), formats.signal[value]
        )
    elif column.kind == "moment":
        worksheet.write_datetime(row_number, column_number, value.astimezone(UTC), formats.moment)
    elif column.kind == "number":
        worksheet.write_number(row_number, column_number, value, formats.number)
    else:
        text = clean(str(display_value(column.kind, value)))
        if text:
            worksheet.write_string(
                row_number,
                column_number,
                text,
                formats.quoted if is_formula(text) else formats.text,
            )

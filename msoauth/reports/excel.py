"""Writes an audit as an Excel workbook: one sheet per question, with typed columns, filters and a frozen header."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msoauth.auditing.status import Status
from msoauth.model import Signal
from msoauth.reports.columns import Column, Sheet, clean, is_formula, sheets, shown
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


def write_excel(file: Path, status: Status, runs: Sequence[AuditRun]) -> None:
    """Write the workbook to *file*.

    Raises:
        OSError: the file cannot be written.
    """
    import xlsxwriter  # only for those who want a workbook
    from xlsxwriter.exceptions import FileCreateError

    # No text becomes a formula or a link because it looks like one.
    options = {
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "remove_timezone": True,
    }
    book = xlsxwriter.Workbook(str(file), options)
    book.set_properties({"title": _("Mail audit"), "comments": _("Made by msoauth")})
    formats = _Formats(book)
    for sheet in sheets(status, runs):
        _sheet(book, formats, sheet, status.at)
    try:
        book.close()
    except FileCreateError as problem:
        reason = problem.args[0] if problem.args else problem
        raise reason if isinstance(reason, OSError) else OSError(str(reason)) from None


class _Formats:
    """The cell formats of one workbook."""

    def __init__(self, book: Any) -> None:
        top = {"valign": "top"}
        self.title = book.add_format({"bold": True, "font_size": 14})
        self.quiet = book.add_format({"font_color": "#555555"})
        self.head = book.add_format(
            {"bold": True, "bg_color": "#1F3A5F", "font_color": "#FFFFFF", "text_wrap": True,
             "valign": "vcenter", "border": 1, "border_color": "#FFFFFF"}
        )  # fmt: skip
        self.text = book.add_format(top)
        # Text that looks like a formula stays text, even after somebody has edited the cell.
        self.quoted = book.add_format({**top, "quote_prefix": True})
        self.number = book.add_format({**top, "num_format": "0"})
        self.moment = book.add_format({**top, "num_format": _MOMENT})
        self.signal = {
            signal: book.add_format({**top, "font_color": ink, "bg_color": paper, "bold": True})
            for signal, (ink, paper) in _COLOURS.items()
        }


def _sheet(book: Any, formats: _Formats, sheet: Sheet[Any], at: datetime) -> None:
    page = book.add_worksheet(sheet.title[:31])
    page.write_string(0, 0, sheet.question, formats.title)
    page.write_string(
        1, 0, _("As of {moment} UTC").format(moment=shown("moment", at)), formats.quiet
    )  # fmt: skip
    page.set_row(_HEADER_ROW, 32)
    for number, column in enumerate(sheet.columns):
        page.set_column(number, number, column.width)
        page.write_string(_HEADER_ROW, number, column.heading(), formats.head)
    for place, row in enumerate(sheet.rows, _HEADER_ROW + 1):
        for number, column in enumerate(sheet.columns):
            _write(page, formats, place, number, column, column.value(row))
    last = max(_HEADER_ROW + len(sheet.rows), _HEADER_ROW + 1)
    page.autofilter(_HEADER_ROW, 0, last, len(sheet.columns) - 1)
    page.freeze_panes(_HEADER_ROW + 1, 3 if sheet.key in ("accounts", "soon", "changes") else 0)
    page.set_landscape()
    page.fit_to_pages(1, 0)
    page.repeat_rows(_HEADER_ROW)


def _write(
    page: Any, formats: _Formats, place: int, number: int, column: Column[Any], value: Any
) -> None:
    if value is None:
        return
    if column.kind == "signal":
        page.write_string(place, number, shown("signal", value), formats.signal[value])
    elif column.kind == "moment":
        page.write_datetime(place, number, value.astimezone(UTC), formats.moment)
    elif column.kind == "number":
        page.write_number(place, number, value, formats.number)
    else:
        text = clean(str(shown(column.kind, value)))
        if text:
            page.write_string(
                place, number, text, formats.quoted if is_formula(text) else formats.text
            )

"""What people open: typed cells, filters and words in Excel, a CSV for German Excel, DataFrames, and no formula anywhere."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.utils import get_column_letter

from msoauth.auditing import labels
from msoauth.auditing.status import AccountStatus, FirmStatus, Status, group
from msoauth.judgement import NEWEST_MAIL, SECRET_END, Issue
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.reports.columns import ACCOUNTS, accounts_frame, causes_frame, is_formula, sheets
from msoauth.reports.excel import excel_report
from msoauth.reports.html_report import html_page, table_data
from msoauth.reports.monitoring import as_json
from msoauth.reports.write import csv_text
from msoauth.store.audits import AuditRun
from msoauth.texts import use_language

AT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
EVIL = '=cmd|" /C calc"!A0'
FIRM = Firm("Müller & Söhne", "contoso.example", "11111111-2222-4333-8444-555555555555")
MARKUP = "<script>alert(1)</script></script>"


def account(address: str, signal: Signal, evidence: str = "", **more: Any) -> AccountStatus:
    link = None
    if signal is not Signal.PASSED:
        link = Issue("smtp.login", signal, "smtp-auth-disabled-mailbox")
    finding = Finding("smtp.login", signal, "x", evidence=evidence) if evidence else None
    return AccountStatus(
        Account(address, FIRM.name),
        signal,
        link,
        AT - timedelta(days=2) if link else None,
        finding,
        AT,
        AT,
        AT,
        None,
        address,
        3,
        61,
        AT,
        1,
        **more,
    )


@pytest.fixture
def stands() -> Status:
    accounts = (
        account("anna@contoso.example", Signal.FAILED, EVIL, change="new"),
        account("+49@contoso.example", Signal.FAILED, f"535 {MARKUP}"),
        account("max@contoso.example", Signal.PASSED),
    )
    signals = {Signal.FAILED: 2, Signal.PASSED: 1}
    groups = group(accounts)
    run = AuditRun(
        "r1",
        "all",
        AT,
        AT,
        {"accounts": 3, "signals": {"failed": 2, "passed": 1}, "seconds": {"smtp.login": 0.5}},
    )
    firm = FirmStatus(FIRM, 3, signals, 61, groups)
    return Status(AT, accounts, (firm,), groups, run, run, signals)


def runs(stands: Status) -> list[AuditRun]:
    return [stands.last] if stands.last else []


def test_a_workbook_has_a_typed_sheet_for_each_question(stands: Status, tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(excel_report(stands, runs(stands)))
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert book.sheetnames == ["Accounts", "Causes", "Soon", "Changes", "Firms", "Over time"]
    page = book["Accounts"]
    heads = {cell.value: number for number, cell in enumerate(page[3])}
    assert page.auto_filter.ref == f"A3:{get_column_letter(len(ACCOUNTS))}6"
    assert page.freeze_panes == "D4"
    row = page[4]
    assert row[heads["Signal"]].value == "✖ broken"
    assert row[heads["Signal"]].fill.start_color.rgb == "FFFBE3E4"
    assert row[heads["Since (UTC)"]].value == datetime(2026, 11, 23, 9, 30)  # noqa: DTZ001 - Excel knows no zone
    assert row[heads["Secret ends, days"]].value == 61
    assert row[heads["Could send (UTC)"]].value is None
    assert [page.cell(n, 3).value for n in (4, 5, 6)] == [
        a.account.address for a in stands.accounts
    ]
    assert book["Changes"].max_row == 4
    assert book["Causes"]["C4"].value == 2


def test_no_cell_of_a_workbook_is_a_formula_or_a_link(stands: Status, tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(excel_report(stands, runs(stands)))
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    found = set()
    for page in book.worksheets:
        for line in page.iter_rows():
            for cell in line:
                assert cell.data_type != "f", cell.coordinate
                assert cell.hyperlink is None
                if isinstance(cell.value, str) and is_formula(cell.value):
                    found.add(cell.value)
                    assert cell.quotePrefix
    assert EVIL in found
    assert "+49@contoso.example" in found


def rows_of(stands: Status) -> list[list[str]]:
    text = csv_text(stands.accounts)
    assert text.startswith("\ufeff")
    assert text.count("\r\n") == len(stands.accounts) + 1
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=";"))


def test_the_csv_is_what_german_excel_reads(stands: Status) -> None:
    head, *rows = rows_of(stands)
    row = dict(zip(head, rows[0], strict=True))
    assert row["Firm"] == "Müller & Söhne"
    assert row["Since (UTC)"] == "2026-11-23 09:30"
    assert row["Secret ends, days"] == "61"
    assert not [c for line in rows for c in line if c.replace(".", "", 1).isdigit() and "." in c]


def test_no_cell_of_the_csv_begins_a_formula(stands: Status) -> None:
    cells = [cell for row in rows_of(stands) for cell in row]
    assert not [cell for cell in cells if is_formula(cell)]
    assert f"'{EVIL}" in cells
    assert "'+49@contoso.example" in cells


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", "\r=1", "＝1"])
def test_what_a_spreadsheet_takes_for_a_formula_is_known(text: str) -> None:
    assert is_formula(text)
    assert not is_formula(f"x{text}")


def test_frames_are_typed(stands: Status) -> None:
    frame = accounts_frame(stands.accounts)
    assert list(frame.columns) == [column.key for column in ACCOUNTS]
    assert next(iter(frame.sort_values("signal")["account"])) == "max@contoso.example"
    assert str(frame["since"].dtype).endswith("UTC]")
    assert str(frame["idle_days"].dtype) == "Int64"
    assert frame["never_signed_in"].dtype == bool
    causes = causes_frame(stands.groups)
    assert causes["count"].tolist() == [2]
    assert causes["addresses"][0] == ["+49@contoso.example", "anna@contoso.example"]


def test_firms_and_runs_are_counted_by_signal(stands: Status) -> None:
    tables = {sheet.key: sheet for sheet in sheets(stands, runs(stands))}

    def values(key: str) -> dict[str, Any]:
        return {c.key: c.value(tables[key].rows[0]) for c in tables[key].columns}

    assert (values("firms")["failed"], values("firms")["passed"]) == (2, 1)
    assert (values("runs")["failed"], values("runs")["passed"]) == (2, 1)
    page = html_page(stands, runs(stands))
    assert "smtp.login</text>" in page
    assert "<td>0.50 s</td>" in page


def test_every_table_says_what_to_do(stands: Status) -> None:
    head, *lines = rows_of(stands)
    [broken, _other, works] = [dict(zip(head, line, strict=True))["What to do"] for line in lines]
    assert broken.startswith("1. Microsoft 365 admin center")
    assert " 2. " in broken
    assert works == ""
    assert causes_frame(stands.groups)["fix"][0] == broken
    silent = account("silent@contoso.example", Signal.WARNING)
    silent = replace(silent, issue=Issue(NEWEST_MAIL, Signal.WARNING, None, 40))
    assert "mail is expected" in labels.account_fix(silent)[0]


def test_a_finding_of_an_english_night_says_what_to_do_in_german_by_day(stands: Status) -> None:
    one = stands.accounts[0]
    assert one.finding is not None
    one = replace(one, finding=replace(one.finding, fix=("Tick the box.",)))
    use_language("de")
    try:
        assert "Benutzer" in labels.account_fix(one)[0]
    finally:
        use_language("en")


def test_monitoring_gets_ids_and_moments_as_json(stands: Status) -> None:
    first, _second, works = [json.loads(json.dumps(as_json(a))) for a in stands.accounts]
    assert first["cause"] == "smtp-auth-disabled-mailbox"
    assert (first["who"], first["soon"], first["change"]) == ("tenant-admin", False, "new")
    assert first["since"] == "2026-11-23T09:30:00.000Z"
    assert first["fix"]
    assert (works["signal"], works["check"], works["cause"], works["fix"]) == (
        "passed",
        None,
        None,
        [],
    )
    assert works["secret_days"] == 61


def test_empty_tables_keep_their_types(tmp_path: Path) -> None:
    frame = accounts_frame([])
    assert len(frame) == 0
    assert str(frame["since"].dtype).endswith("UTC]")
    nothing = Status(AT, (), (), ())
    (tmp_path / "a.xlsx").write_bytes(excel_report(nothing, []))
    assert "<main" in html_page(nothing, [])


def test_the_page_holds_everything_and_loads_nothing(stands: Status) -> None:
    page = html_page(stands, runs(stands))
    assert "default-src 'none'" in page
    for outside in ('http-equiv="refresh"', "<link", "<img", "src=", "@import"):
        assert outside not in page
    assert not re.search(r"url\((?!#)|href=[\"'](?!#)", page)  # within the page only
    assert MARKUP not in page
    assert "\\u003cscript>alert(1)" in page
    assert "Müller &amp; Söhne" in page
    assert "2 accounts: " in page


def test_the_page_speaks_german(stands: Status) -> None:
    use_language("de")
    try:
        assert '<html lang="de">' in html_page(stands, runs(stands))
    finally:
        use_language("en")


def test_the_filter_calls_a_cause_by_what_it_is_now(stands: Status) -> None:
    ending = account("soon@contoso.example", Signal.WARNING)
    ending = replace(ending, issue=Issue(SECRET_END, Signal.WARNING, "secret-expired", 40))
    names = table_data([ending, *stands.accounts])["causes"]
    assert names["secret-expired"] == "The client secret ends soon"
    assert names["smtp-auth-disabled-mailbox"].startswith("Authenticated SMTP is off")
    expired = replace(ending, issue=Issue("registration.secret", Signal.FAILED, "secret-expired"))
    assert "expired" in table_data([ending, expired])["causes"]["secret-expired"]


def test_the_tables_data_is_plain(stands: Status) -> None:
    data = table_data(stands.accounts)
    first = dict(zip([c["key"] for c in data["columns"]], data["rows"][0], strict=True))
    assert (first["signal"], first["since"], first["change"]) == (
        "failed",
        "2026-11-23 09:30",
        "new",
    )

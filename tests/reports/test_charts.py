"""Charts of audits: drawn by matplotlib, readable as text."""

import re
from datetime import UTC, datetime, timedelta

from msoauth.reports import charts
from msoauth.store.audits import AuditRun


def runs(count: int) -> list[AuditRun]:
    """Audits fourteen hours apart."""
    first = datetime(2026, 11, 1, 2, 0, tzinfo=UTC)
    return [
        AuditRun(
            f"r{n}",
            "",
            first + timedelta(hours=14 * n),
            None,
            {
                "signals": {"passed": 40 + n, "failed": 5},
                "seconds": {"pop3.login": 1.25, "smtp.login": None if n else 0.5},
            },
        )
        for n in range(count)
    ]


def table(chart: str) -> list[list[str]]:
    """The rows of the chart's table."""
    rows = re.findall(r"<tr>(.*?)</tr>", chart)
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in rows]


def test_a_charts_text_is_text_and_its_numbers_stand_beside_it() -> None:
    chart = str(charts.signals_over_time(runs(2)))
    assert "works</text>" in chart
    assert "11-01</text>" in chart
    assert table(chart) == [
        ["", "works", "watch", "could not be checked", "broken"],
        ["2026-11-01 02:00", "40", "0", "0", "5"],
        ["2026-11-01 16:00", "41", "0", "0", "5"],
    ]
    seconds = str(charts.seconds_over_time(runs(2), ["network.dns", "pop3.login", "smtp.login"]))
    assert table(seconds) == [
        ["", "pop3.login", "smtp.login"],
        ["2026-11-01 02:00", "1.25 s", "0.50 s"],
        ["2026-11-01 16:00", "1.25 s", ""],
    ]


def test_charts_on_one_page_share_no_id_and_style_nothing_else() -> None:
    drawn = [
        str(charts.signals_over_time(runs(3))),
        str(charts.seconds_over_time(runs(3), ["pop3.login"])),
        str(charts.bars({"a": 1}, "Causes")),
    ]
    ids = [name for chart in drawn for name in set(re.findall(r'\bid="([^"]+)"', chart))]
    assert ids
    assert len(ids) == len(set(ids))
    assert not any("<style" in chart or "<metadata" in chart for chart in drawn)


def test_what_is_drawn_is_escaped_and_no_formula() -> None:
    chart = str(charts.bars({"<script>alert(1)</script>": 2, "100 $ or $ 200": 1}, "<b>"))
    assert "<script" not in chart
    assert "<b>" not in chart
    assert "100 $ or $ 200</text>" in chart


def test_a_year_of_audits_has_few_labels_and_no_audit_no_chart() -> None:
    chart = str(charts.signals_over_time(runs(600)))
    dates = re.findall(r">(\d\d-\d\d|\d\d:\d\d)</text>", chart)
    assert 4 <= len(dates) <= 8
    assert charts.signals_over_time([]) == charts.seconds_over_time([], ["pop3.login"]) == ""
    assert charts.bars({}, "Causes") == ""

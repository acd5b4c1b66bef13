"""Renders an audit as one HTML file that loads no other file; its tables can be sorted and filtered."""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from msoauth.auditing import labels
from msoauth.auditing.status import AccountStatus, Status
from msoauth.judgement import WORST_FIRST
from msoauth.model import Signal
from msoauth.reports import charts
from msoauth.reports.columns import ACCOUNTS, Column, Sheet, display_value, sheets
from msoauth.reports.document import templates
from msoauth.sanitize import visible
from msoauth.store.audits import AuditRun
from msoauth.texts import _, language

# Checks whose duration a chart shows audit by audit; the others take next to no time.
STAGES = ("sign-in.token", "pop3.login", "imap.login", "smtp.login")
_OMITTED_COLUMNS = frozenset(
    {"soon", "check", "cause"}
)  # not in the tables by cause and firm; the table of accounts has them
_START_SCRIPT = """
const data = JSON.parse(document.getElementById("data").textContent);
table(document.getElementById("accounts"), data, null);
"""


@cache
def static(name: str) -> str:
    """The text of a script or style sheet that the page shares with the notebook's table."""
    return files("msoauth.reports").joinpath("static", name).read_text(encoding="utf-8")


def html_page(status: Status, runs: Sequence[AuditRun]) -> str:
    """Render the page.

    Args:
        runs: Finished audits for the charts, the newest first.
    """
    by_key = {sheet.key: sheet for sheet in sheets(status, runs)}
    script = static("table.js").replace("export function", "function") + _START_SCRIPT
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    oldest_first = list(reversed(runs))
    all_charts = [
        charts.signals_over_time(oldest_first),
        charts.seconds_over_time(oldest_first, STAGES),
        charts.bars(_causes(status), _("Accounts by what they hang on")),
    ]
    return visible(
        templates()
        .get_template("audit.html")
        .render(
            lang=language(),
            title=_("Mail audit"),
            as_of=_("As of {moment} UTC. Every account's newest answers count.").format(
                moment=display_value("moment", status.at)
            ),
            cards=[
                (str(s), s.shape, labels.signal_label(s), status.signals.get(s, 0))
                for s in (
                    Signal.FAILED,
                    Signal.ERROR,
                    Signal.WARNING,
                    Signal.PASSED,
                    Signal.NOT_RUN,
                )
                if status.signals.get(s) or s in (Signal.FAILED, Signal.WARNING, Signal.PASSED)
            ],
            changes=changes_line(status),
            plain=[_static_table(by_key["causes"]), _static_table(by_key["firms"])],
            nothing=_("Nothing."),
            charts=[chart for chart in all_charts if chart],
            over_time=_("Charts"),
            accounts_question=by_key["accounts"].question,
            needs_script=_("This table needs JavaScript, which this browser has switched off."),
            # A script element is not escaped, but a literal "</script>" in the data would end it.
            data=_trusted(
                json.dumps(
                    table_data(status.accounts), ensure_ascii=False, separators=(",", ":")
                ).replace("<", "\\u003c")
            ),
            script=_trusted(script),
            script_hash=digest,
            style=_trusted(static("table.css")),
        )
    )


def _trusted(text: str) -> Markup:
    """Mark text as safe to insert unescaped: our own files, and JSON that cannot end its script element."""
    return Markup(text)  # noqa: S704


def changes_line(status: Status) -> str:
    """How many accounts changed since the audit before, in a sentence; empty where there was none."""
    if status.before is None:
        return ""
    counts = Counter(account.change for account in status.accounts if account.change)
    counts_text = ", ".join(
        f"{labels.change_label(change)}: {counts[change]:,}"
        for change in ("new", "worse", "better", "mended")
        if counts[change]
    )
    return _("Against the audit of {moment} UTC: {said}.").format(
        moment=display_value("moment", status.before.started), said=counts_text or _("no change")
    )


def table_data(accounts: Sequence[AccountStatus]) -> dict[str, Any]:
    """The accounts as ``table.js`` reads them: columns, rows, and the labels of signals, causes and changes."""
    return {
        "columns": [{"key": c.key, "heading": c.heading(), "kind": c.kind} for c in ACCOUNTS],
        "rows": [[_sortable(c, c.value(account)) for c in ACCOUNTS] for account in accounts],
        "signals": {
            str(s): [s.shape, labels.signal_label(s)]
            for s in WORST_FIRST if s is not Signal.SKIPPED
        },
        "causes": labels.cause_labels(a.issue for a in accounts if a.issue),
        "changes": {c: labels.change_label(c) for c in ("new", "worse", "better", "mended")},
        "words": {
            "find": _("Find"), "every": _("all"), "all": _("Show all"), "yes": _("yes"),
            "count": _("{shown} of {all} accounts"), "table": _("Accounts"),
        },
    }  # fmt: skip


def _sortable(column: Column[Any], value: Any) -> Any:
    if column.kind == "moment" and value is not None:
        return display_value("moment", value)
    return str(value) if column.kind in ("signal", "change") else value


def _static_table(sheet: Sheet[Any]) -> dict[str, Any]:
    """A sheet as the page's template needs it: headings and cells with their CSS classes."""
    columns = [column for column in sheet.columns if column.key not in _OMITTED_COLUMNS]

    def cell(column: Column[Any], row: Any) -> tuple[str, str]:
        value = column.value(row)
        if value is None:
            return "", ""
        text = str(display_value(column.kind, value))
        if column.kind == "signal":
            return text, f"s mt-is-{value}"
        last = "which" if column is columns[-1] else column.key
        return text, {"number": "n", "moment": "d"}.get(column.kind, last)

    return {
        "question": sheet.question,
        "heads": [(c.heading(), "n" if c.kind == "number" else "") for c in columns],
        "rows": [[cell(c, row) for c in columns] for row in sheet.rows],
    }


def _causes(status: Status) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for group in status.groups:
        counts[labels.group_label(group)] += len(group.accounts)
    return dict(counts.most_common(12))

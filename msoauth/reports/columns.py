"""Defines each table of an audit once, column by column, for Excel, CSV, HTML and the notebook, and makes DataFrames of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from msoauth.auditing import labels
from msoauth.auditing.status import AccountStatus, CauseGroup, FirmStatus, Status
from msoauth.model import Signal
from msoauth.sanitize import visible
from msoauth.store.audits import AuditRun
from msoauth.texts import _

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["text", "signal", "change", "number", "moment", "flag"]
_Row = TypeVar("_Row")

# Excel, LibreOffice and Google Sheets take a cell that starts with one of these for a formula (OWASP, "CSV Injection").
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_MAX_CELL_LENGTH = 32_767  # characters that an Excel cell can hold


@dataclass(frozen=True)
class Column(Generic[_Row]):
    """A column of a table.

    Attributes:
        key: Its name in a DataFrame.
        heading: Its name for people; a function because the language may change.
        kind: What its values are; ``moment`` is UTC, ``flag`` true or false.
        value: Reads the value from a row; None where there is none.
        width: Characters, for a spreadsheet.
    """

    key: str
    heading: Callable[[], str]
    kind: Kind
    value: Callable[[_Row], Any]
    width: int = 14


@dataclass(frozen=True)
class Sheet(Generic[_Row]):
    """A table that answers one question.

    Attributes:
        key: Its name for programs.
        title: Its name for people, short enough for a tab (31 characters).
        question: The question that it answers, for people.
    """

    key: str
    title: str
    question: str
    columns: Sequence[Column[_Row]]
    rows: Sequence[_Row]


def display_value(kind: Kind, value: Any) -> Any:
    """Format a value as people read it in a table: signals, changes and flags in words, times in UTC to the minute."""
    if kind == "signal":
        return f"{value.shape} {labels.signal_label(value)}"
    if kind == "change":
        return labels.change_label(value)
    if kind == "flag":
        return _("yes") if value else ""
    if kind == "moment":
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
    return value


def is_formula(text: str) -> bool:
    """Whether a spreadsheet might take *text* for a formula."""
    return text.startswith(_FORMULA_STARTS) or text.lstrip().startswith(_FORMULA_STARTS)


def clean(text: str) -> str:
    """*text* with characters shown that XML cannot hold or that disguise text, and cut to the length of a cell."""
    printable = "".join(c if c.isprintable() or c in "\n\t" else "�" for c in visible(text))
    return (
        printable if len(printable) <= _MAX_CELL_LENGTH else f"{printable[: _MAX_CELL_LENGTH - 1]}…"
    )


ACCOUNTS: tuple[Column[AccountStatus], ...] = (
    Column("signal", lambda: _("Signal"), "signal", lambda a: a.signal, 16),
    Column("firm", lambda: _("Firm"), "text", lambda a: a.account.firm, 24),
    Column("account", lambda: _("Account"), "text", lambda a: a.account.address, 34),
    Column("what", lambda: _("What is wrong"), "text", lambda a: labels.issue_label(a.issue), 46),
    Column("since", lambda: _("Since (UTC)"), "moment", lambda a: a.since, 17),
    Column("who", lambda: _("Who can mend it"), "text",
           lambda a: labels.who_label(labels.account_who(a)), 26),
    Column("fix", lambda: _("What to do"), "text",
           lambda a: labels.steps_line(labels.account_fix(a)), 60),
    Column("change", lambda: _("Since last time"), "change", lambda a: a.change, 14),
    Column("last_sign_in", lambda: _("Signed in (UTC)"), "moment", lambda a: a.last_sign_in, 17),
    Column("last_retrieval", lambda: _("Retrieved (UTC)"), "moment", lambda a: a.last_retrieval, 17),
    Column("last_sending", lambda: _("Could send (UTC)"), "moment", lambda a: a.last_sending, 17),
    Column("newest_mail", lambda: _("Newest mail (UTC)"), "moment", lambda a: a.newest_mail, 17),
    Column("idle_days", lambda: _("Sign-in idle, days"), "number", lambda a: a.idle_days, 12),
    Column("secret_days", lambda: _("Secret ends, days"), "number", lambda a: a.secret_days, 12),
    Column("silent_days", lambda: _("Silent, days"), "number", lambda a: a.silent_days, 12),
    Column("never_signed_in", lambda: _("Never signed in"), "flag", lambda a: a.never_signed_in, 12),
    Column("check", lambda: _("Name of the check"), "text", lambda a: a.issue.check if a.issue else None, 20),
    Column("cause", lambda: _("Cause"), "text", lambda a: a.issue.cause if a.issue else None, 26),
    Column("evidence", lambda: _("The server's own words"), "text",
           lambda a: a.finding.evidence if a.finding else None, 60),
    Column("retrieve", lambda: _("Protocol"), "text", lambda a: a.account.protocol, 10),
    Column("signed_in_as", lambda: _("Signed in as"), "text", lambda a: a.signed_in_as or None, 30),
    Column("checked_at", lambda: _("Checked (UTC)"), "moment", lambda a: a.checked_at, 17),
)  # fmt: skip

CAUSES: tuple[Column[CauseGroup], ...] = (
    Column("signal", lambda: _("Signal"), "signal", lambda g: g.signal, 16),
    Column("firm", lambda: _("Firm"), "text", lambda g: g.firm, 24),
    Column("count", lambda: _("Accounts"), "number", lambda g: len(g.accounts), 10),
    Column("what", lambda: _("What they hang on"), "text", labels.group_label, 50),
    Column("who", lambda: _("Who can mend it"), "text",
           lambda g: labels.who_label(labels.group_who(g)), 26),
    Column("fix", lambda: _("What to do"), "text",
           lambda g: labels.steps_line(labels.group_fix(g)), 60),
    Column("since", lambda: _("Since (UTC)"), "moment", lambda g: g.since, 17),
    Column("soon", lambda: _("Works as yet"), "flag", lambda g: g.expiring, 12),
    Column("cause", lambda: _("Cause"), "text", lambda g: g.cause, 26),
    Column("check", lambda: _("Name of the check"), "text", lambda g: g.check, 20),
    Column("accounts", lambda: _("Which"), "text", lambda g: _address_list(g.accounts), 80),
)  # fmt: skip


def _count_in_firm(signal: Signal) -> Callable[[FirmStatus], int]:
    return lambda firm: firm.signals.get(signal, 0)


FIRMS: tuple[Column[FirmStatus], ...] = (
    Column("signal", lambda: _("Signal"), "signal", lambda f: f.signal, 16),
    Column("firm", lambda: _("Firm"), "text", lambda f: f.firm.name, 30),
    Column("accounts", lambda: _("Accounts"), "number", lambda f: f.accounts, 10),
    Column("failed", lambda: _("Broken"), "number", _count_in_firm(Signal.FAILED), 10),
    Column("error", lambda: _("Could not be checked"), "number", _count_in_firm(Signal.ERROR), 12),
    Column("warning", lambda: _("To watch"), "number", _count_in_firm(Signal.WARNING), 10),
    Column("passed", lambda: _("Working"), "number", _count_in_firm(Signal.PASSED), 10),
    Column("not_run", lambda: _("Never checked"), "number", _count_in_firm(Signal.NOT_RUN), 12),
    Column("secret_days", lambda: _("Secret ends, days"), "number", lambda f: f.secret_days, 12),
    Column("causes", lambda: _("What its accounts hang on"), "text",
           lambda f: "; ".join(labels.group_line(g) for g in f.groups) or None, 80),
)  # fmt: skip


def _count_in_run(signal: Signal) -> Callable[[AuditRun], int]:
    return lambda run: int(run.summary.get("signals", {}).get(str(signal), 0))


RUNS: tuple[Column[AuditRun], ...] = (
    Column("started", lambda: _("Begun (UTC)"), "moment", lambda r: r.started, 17),
    Column("finished", lambda: _("Finished (UTC)"), "moment", lambda r: r.finished, 17),
    Column("accounts", lambda: _("Accounts"), "number", lambda r: r.summary.get("accounts"), 10),
    Column("failed", lambda: _("Broken"), "number", _count_in_run(Signal.FAILED), 10),
    Column("error", lambda: _("Could not be checked"), "number", _count_in_run(Signal.ERROR), 12),
    Column("warning", lambda: _("To watch"), "number", _count_in_run(Signal.WARNING), 10),
    Column("passed", lambda: _("Working"), "number", _count_in_run(Signal.PASSED), 10),
    Column("run", lambda: _("Run"), "text", lambda r: r.run, 24),
)  # fmt: skip

_MAX_ADDRESSES = 200  # addresses that a cell lists; the others are only counted


def _address_list(addresses: Sequence[str]) -> str:
    more = len(addresses) - _MAX_ADDRESSES
    listing = ", ".join(addresses[:_MAX_ADDRESSES])
    return listing if more <= 0 else _("{some} and {more} more").format(some=listing, more=more)


def sheets(status: Status, runs: Sequence[AuditRun]) -> list[Sheet[Any]]:
    """The tables of a report, one for each question."""
    expiring = [a for a in status.accounts if a.issue is not None and a.issue.expiring]
    changed = [a for a in status.accounts if a.change]
    return [
        Sheet("accounts", _("Accounts"), _("How does every account stand?"), ACCOUNTS,
              status.accounts),
        Sheet("causes", _("Causes"), _("What hangs on one cause?"), CAUSES, status.groups),
        Sheet("soon", _("Soon"), _("What works as yet and will stop?"), ACCOUNTS, expiring),
        Sheet("changes", _("Changes"), _("What changed since the audit before?"), ACCOUNTS, changed),
        Sheet("firms", _("Firms"), _("How does every firm stand?"), FIRMS, status.firms),
        Sheet("runs", _("Over time"), _("How did the audits end?"), RUNS, runs),
    ]  # fmt: skip


def accounts_frame(accounts: Iterable[AccountStatus]) -> "pd.DataFrame":
    """The accounts as a DataFrame, a row each: English column names, ordered signals, UTC times, whole numbers."""
    return _frame(ACCOUNTS, list(accounts))


def causes_frame(groups: Iterable[CauseGroup]) -> "pd.DataFrame":
    """The problems that accounts share, a row each; ``addresses`` lists every account of it."""
    rows = list(groups)
    frame = _frame(CAUSES, rows).drop(columns="accounts")
    frame["addresses"] = [list(group.accounts) for group in rows]
    return frame


def _frame(columns: Sequence[Column[Any]], rows: Sequence[Any]) -> "pd.DataFrame":
    """Make a DataFrame with the column types that the table defines."""
    import pandas as pd  # imported lazily: takes half a second

    series: dict[str, Any] = {}
    for column in columns:
        values = [column.value(row) for row in rows]
        if column.kind == "signal":
            series[column.key] = pd.Categorical(
                [str(value) for value in values], categories=[str(s) for s in Signal], ordered=True
            )
        elif column.kind == "moment":
            series[column.key] = pd.to_datetime(pd.Series(values, dtype="object"), utc=True)
        elif column.kind == "number":
            series[column.key] = pd.array(values, dtype="Int64")
        elif column.kind == "flag":
            series[column.key] = pd.array([bool(value) for value in values], dtype="bool")
        else:
            texts = [visible(value) if isinstance(value, str) else value for value in values]
            series[column.key] = pd.Series(texts, dtype="object")
    return pd.DataFrame(series, columns=[column.key for column in columns])

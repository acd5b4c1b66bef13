"""The tables of an audit as typed DataFrames: English column names, ordered signals, moments in UTC, whole numbers."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from msoauth.model import Signal
from msoauth.reports.columns import ACCOUNTS, CAUSES, FIRMS, RUNS, Column

if TYPE_CHECKING:
    import pandas as pd

    from msoauth.auditing.status import AccountStatus, CauseGroup, FirmStatus
    from msoauth.store.audits import AuditRun


def accounts_frame(accounts: Iterable["AccountStatus"]) -> "pd.DataFrame":
    """How every account stands, a row each."""
    return _frame(ACCOUNTS, list(accounts))


def causes_frame(groups: Iterable["CauseGroup"]) -> "pd.DataFrame":
    """What hangs on one cause, a row each; ``addresses`` holds all of them."""
    rows = list(groups)
    frame = _frame(CAUSES, rows).drop(columns="accounts")
    frame["addresses"] = [list(group.accounts) for group in rows]
    return frame


def firms_frame(firms: Iterable["FirmStatus"]) -> "pd.DataFrame":
    """How every firm stands, a row each."""
    return _frame(FIRMS, list(firms))


def runs_frame(runs: Iterable["AuditRun"]) -> "pd.DataFrame":
    """How the audits ended, a row each."""
    return _frame(RUNS, list(runs))


def stages_frame(runs: Iterable["AuditRun"]) -> "pd.DataFrame":
    """Seconds that each check took on average, by audit."""
    import pandas as pd

    rows = [
        {"started": run.started, "run": run.run, "check": check, "seconds": float(seconds)}
        for run in runs
        for check, seconds in run.summary.get("seconds", {}).items()
    ]
    frame = pd.DataFrame(rows, columns=["started", "run", "check", "seconds"])
    frame["started"] = pd.to_datetime(frame["started"], utc=True)
    frame["seconds"] = frame["seconds"].astype("float64")
    return frame


def _frame(columns: Sequence[Column[Any]], rows: Sequence[Any]) -> "pd.DataFrame":
    import pandas as pd  # half a second to load: only for those who want a table

    made: dict[str, Any] = {}
    for column in columns:
        values = [column.value(row) for row in rows]
        if column.kind == "signal":
            made[column.key] = pd.Categorical(
                [str(value) for value in values], categories=[str(s) for s in Signal], ordered=True
            )
        elif column.kind == "moment":
            made[column.key] = pd.to_datetime(pd.Series(values, dtype="object"), utc=True)
        elif column.kind == "number":
            made[column.key] = pd.array(values, dtype="Int64")
        elif column.kind == "flag":
            made[column.key] = pd.array([bool(value) for value in values], dtype="bool")
        else:
            made[column.key] = pd.Series(values, dtype="object")
    return pd.DataFrame(made, columns=[column.key for column in columns])

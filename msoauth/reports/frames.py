"""An audit's accounts and problems as typed DataFrames: English column names, ordered signals, UTC times, whole numbers."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from msoauth.model import Signal
from msoauth.reports.columns import ACCOUNTS, CAUSES, Column

if TYPE_CHECKING:
    import pandas as pd

    from msoauth.auditing.status import AccountStatus, CauseGroup


def accounts_frame(accounts: Iterable["AccountStatus"]) -> "pd.DataFrame":
    """The accounts, a row each."""
    return _frame(ACCOUNTS, list(accounts))


def causes_frame(groups: Iterable["CauseGroup"]) -> "pd.DataFrame":
    """The problems that accounts share, a row each; ``addresses`` lists every account of it."""
    rows = list(groups)
    frame = _frame(CAUSES, rows).drop(columns="accounts")
    frame["addresses"] = [list(group.accounts) for group in rows]
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

"""The latest result of each check: its signal, since when it has been the same, and when the check last passed.

The table is kept up to date with the journal, so that a status of 10,000 accounts need not read years of findings.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from msoauth.model import Signal
from msoauth.store import schema
from msoauth.store.database import BulkInsert

_t = schema.latest_results
_KEY = ("firm", "account", "check")
_NO_VERDICT = (str(Signal.SKIPPED), str(Signal.NOT_RUN))


@dataclass(frozen=True, slots=True)
class LatestResult:
    """The latest result of one check of an account or a firm.

    Attributes:
        account: The address in lower case; empty for a check of the firm.
        finding: The id of its finding in the journal.
        at: When the check ran, UTC.
        verdict: Its signal; where the check was skipped, the signal of the last run that was not.
        since: Since when the verdict has been the same without a break, UTC.
        passed_at: When the check last passed, UTC.
    """

    firm: str
    account: str
    check: str
    finding: int
    at: datetime
    signal: Signal
    cause: str | None
    verdict: Signal | None
    since: datetime | None
    passed_at: datetime | None


def record(connection: sa.Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Update the latest results from new journal rows (with their ``id``), in the same transaction."""
    values = [_values(row) for row in rows]
    # Always in the same order, so that two transactions on the same rows cannot deadlock.
    values.sort(key=lambda v: (v["firm"], v["account"], v["check"], v["finding"]))
    _record.execute(connection, values)


def _values(row: dict[str, Any]) -> dict[str, Any]:
    signal = row["signal"]
    has_verdict = signal not in _NO_VERDICT
    return {
        "firm": row["firm"],
        "account": row["account"],
        "check": row["check"],
        "finding": row["id"],
        "at": row["at"],
        "signal": signal,
        "cause": row["cause"],
        "verdict": signal if has_verdict else None,
        "since": row["at"] if has_verdict else None,
        "passed_at": row["at"] if signal == Signal.PASSED else None,
    }


def _upsert(dialect: str) -> Any:
    insert: Any = (postgresql if dialect == "postgresql" else sqlite).insert(_t)
    new, old = insert.excluded, _t.c
    verdict_changed = sa.and_(new.verdict.is_not(None), old.verdict.is_distinct_from(new.verdict))
    return insert.on_conflict_do_update(
        index_elements=list(_KEY),
        set_={
            "finding": new.finding,
            "at": new.at,
            "signal": new.signal,
            "cause": new.cause,
            "verdict": sa.func.coalesce(new.verdict, old.verdict),
            "since": sa.case((verdict_changed, new.since), else_=old.since),
            "passed_at": sa.func.coalesce(new.passed_at, old.passed_at),
        },
        where=old.finding < new.finding,
    )


_record = BulkInsert(_upsert)


def read(connection: sa.Connection, firms: Sequence[str] | None = None) -> Iterator[LatestResult]:
    """All latest results, or those of some firms (by name)."""
    query = sa.select(*(_t.c[name] for name in LatestResult.__slots__))
    if firms is not None:
        query = query.where(_t.c.firm.in_(list(firms)))
    signals = {str(signal): signal for signal in Signal}
    for row in connection.execute(query):
        firm, account, check, finding, at, signal, cause, verdict, since, passed_at = row
        yield LatestResult(
            firm,
            account,
            check,
            finding,
            at,
            signals[signal],
            cause,
            signals[verdict] if verdict else None,
            since,
            passed_at,
        )

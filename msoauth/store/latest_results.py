"""The latest result of each check: its signal, since when it has been the same, and when the check last passed.

The table is kept up to date with the journal, so that a status of 10,000 accounts need not read years of findings.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from msoauth.model import Signal
from msoauth.store import schema

_t = schema.latest_results
CHUNK = 500  # ids in one statement; any SQLite accepts that many
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
    """Update the latest results from rows that are in the journal (with their ``id``), in the same transaction."""
    # Always in the same order, so that two transactions on the same rows cannot deadlock.
    ordered = sorted(rows, key=lambda row: (row["firm"], row["account"], row["check"], row["id"]))
    # One statement updates a result once, so that the findings of a check go into one statement each, in their order.
    turns: dict[int, list[int]] = {}
    counts: Counter[tuple[str, str, str]] = Counter()
    for row in ordered:
        key = (row["firm"], row["account"], row["check"])
        turns.setdefault(counts[key], []).append(row["id"])
        counts[key] += 1
    for ids in turns.values():
        for start in range(0, len(ids), CHUNK):
            connection.execute(
                _upserts[connection.dialect.name], {"ids": ids[start : start + CHUNK]}
            )


def _upsert(insert: Any) -> Any:
    """The statement that updates the latest results from some findings of the journal."""
    j, old = schema.journal.c, _t.c
    has_verdict = j.signal.not_in(_NO_VERDICT)
    values = {
        "firm": j.firm,
        "account": j.account,
        "check": j.check,
        "finding": j.id,
        "at": j.at,
        "signal": j.signal,
        "cause": j.cause,
        "verdict": sa.case((has_verdict, j.signal)),
        "since": sa.case((has_verdict, j.at)),
        "passed_at": sa.case((j.signal == str(Signal.PASSED), j.at)),
    }
    ids = j.id.in_(sa.bindparam("ids", expanding=True))
    findings = sa.select(*values.values()).where(ids).order_by(j.firm, j.account, j.check)
    statement = insert.from_select(list(values), findings)
    new = statement.excluded
    verdict_changed = sa.and_(new.verdict.is_not(None), old.verdict.is_distinct_from(new.verdict))
    return statement.on_conflict_do_update(
        index_elements=list(_t.primary_key),
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


_upserts = {
    "sqlite": _upsert(sqlite.insert(_t)),
    "postgresql": _upsert(postgresql.insert(_t)),
}


def read(
    connection: sa.Connection,
    firms: Sequence[str] | None = None,
    checks: Sequence[str] | None = None,
) -> Iterator[LatestResult]:
    """All latest results, or those of some firms (by name) or checks."""
    query = sa.select(*(_t.c[name] for name in LatestResult.__slots__))
    if firms is not None:
        query = query.where(_t.c.firm.in_(list(firms)))
    if checks is not None:
        query = query.where(_t.c.check.in_(list(checks)))
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

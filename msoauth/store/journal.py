"""The journal: every finding recorded in a workspace, append-only."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from msoauth.addresses import key
from msoauth.findings import to_frame
from msoauth.model import Finding
from msoauth.store import latest_results, schema
from msoauth.store.database import Database, GroupCommit
from msoauth.store.latest_results import LatestResult

if TYPE_CHECKING:
    import pandas as pd

_t = schema.journal
_insert = _t.insert()
_last_id = sa.select(sa.func.coalesce(sa.func.max(_t.c.id), 0))
# json.dumps() would create an encoder for each finding.
_to_json = json.JSONEncoder(ensure_ascii=False).encode
PAGE_ROWS = 5000  # findings read in one query


@dataclass(slots=True)
class _Item:
    """Rows to be stored together, unless *guard* returns false."""

    rows: list[dict[str, Any]]
    guard: Callable[[sa.Connection], bool] | None = None
    was_stored: bool = True


class Journal:
    """The findings of a workspace, oldest first.

    >>> found = ws.journal.frame(firm="Contoso Legal", account="anna.lindqvist@contoso.example", limit=3)
    >>> list(found.columns)[:5], len(found) <= 3
    (['at', 'firm', 'account', 'check', 'signal'], True)
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._group_commit = GroupCommit[_Item](self._write)

    def append(self, *findings: Finding) -> None:
        """Add findings; when this returns, they survive any crash.

        Raises:
            StoreError: they could not be stored; then none of them was.
        """
        if findings:
            self._group_commit.submit(_Item([_row(finding) for finding in findings]))

    def append_if(
        self, findings: Sequence[Finding], guard: Callable[[sa.Connection], bool]
    ) -> bool:
        """Add findings in one transaction with what *guard* does; only if it returns true.

        Returns:
            Whether they were added.

        Raises:
            StoreError: they could not be stored.
        """
        item = _Item([_row(finding) for finding in findings], guard)
        self._group_commit.submit(item)
        return item.was_stored

    def _write(self, items: Sequence[_Item]) -> None:
        with self._database.write() as connection:
            for item in items:
                item.was_stored = item.guard is None or item.guard(connection)
            rows = [row for item in items if item.was_stored for row in item.rows]
            if rows:
                for number, row in zip(self._reserve_ids(connection, len(rows)), rows, strict=True):
                    row["id"] = number
                connection.execute(_insert, rows)
                latest_results.record(connection, rows)

    def _reserve_ids(self, connection: sa.Connection, count: int) -> Sequence[int]:
        """Reserve ids for the next rows, because a bulk insert does not return the ones it assigns."""
        if self._database.is_sqlite:  # the only writer at this moment
            first = connection.execute(_last_id).scalar_one() + 1
            return range(first, first + count)
        ids = sa.text(
            "SELECT nextval(pg_get_serial_sequence('journal', 'id')) FROM generate_series(1, :n)"
        )
        return sorted(connection.scalars(ids, {"n": count}))

    def latest_results(
        self, firms: Sequence[str] | None = None, checks: Sequence[str] | None = None
    ) -> list[LatestResult]:
        """The latest result of each check, of all firms or some (by name), and of all checks or some."""
        with self._database.read() as connection:
            return list(latest_results.read(connection, firms, checks))

    def by_id(self, numbers: Iterable[int]) -> dict[int, Finding]:
        """Findings by their ids in the journal; ids that are not there are left out."""
        ids = sorted(set(numbers))
        findings: dict[int, Finding] = {}
        for start in range(0, len(ids), latest_results.CHUNK):
            chunk = ids[start : start + latest_results.CHUNK]
            query = sa.select(_t.c.id, _t.c.body).where(_t.c.id.in_(chunk))
            for number, body in self._database.rows(query):
                findings[number] = Finding.from_json(json.loads(body))
        return findings

    def findings(
        self,
        *,
        firm: str | None = None,
        account: str | None = None,
        since: date | None = None,
        run: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Finding]:
        """Findings, the oldest first; with *limit*, only the latest *limit* of them.

        Args:
            firm: A firm's name, exactly as it is stored.
            account: An address, or an empty text for findings about a firm itself.
            since: A date, from 0:00 UTC on, or a datetime, in local time unless it has a time zone.
            run: The id that the findings of one run share.

        Raises:
            StoreError: the workspace cannot be read.
        """
        for body in self._bodies(firm, account, since, run, limit):
            yield Finding.from_json(json.loads(body))

    def frame(
        self,
        *,
        firm: str | None = None,
        account: str | None = None,
        since: date | None = None,
        run: str | None = None,
        limit: int | None = None,
    ) -> "pd.DataFrame":
        """Findings as a DataFrame: ``at`` in UTC, ``signal`` an ordered category, ``seconds`` a number.

        Args:
            firm, account, since, run, limit: As for :meth:`findings`.

        Raises:
            StoreError: the workspace cannot be read.
        """
        bodies = (json.loads(body) for body in self._bodies(firm, account, since, run, limit))
        return to_frame(bodies)

    def _bodies(
        self,
        firm: str | None,
        account: str | None,
        since: date | None,
        run: str | None,
        limit: int | None,
    ) -> Iterator[str]:
        """The findings as stored JSON, read page by page so that a million of them need little memory."""
        query = sa.select(_t.c.id, _t.c.body)
        if firm is not None:
            query = query.where(_t.c.firm == firm)
        if account is not None:
            query = query.where(_t.c.account == key(account))
        if since is not None:
            moment = since if isinstance(since, datetime) else datetime.combine(since, time(), UTC)
            query = query.where(_t.c.at >= moment.astimezone(UTC))
        if run is not None:
            query = query.where(_t.c.run == run)
        if limit is not None:
            rows = self._database.rows(query.order_by(_t.c.id.desc()).limit(limit))
            yield from (body for _number, body in reversed(rows))
            return
        query = query.order_by(_t.c.id).limit(PAGE_ROWS)
        last = 0
        while True:
            rows = self._database.rows(query.where(_t.c.id > last))
            yield from (body for _number, body in rows)
            if len(rows) < PAGE_ROWS:
                return
            last = rows[-1][0]


def _row(finding: Finding) -> dict[str, Any]:
    return {
        "at": finding.at,
        "run": finding.run,
        "firm": finding.firm,
        "account": key(finding.account),
        "check": finding.check,
        "signal": str(finding.signal),
        "cause": finding.cause,
        "body": _to_json(finding.as_json()),
        "seconds": finding.seconds,
    }

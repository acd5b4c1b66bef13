"""The journal: every finding ever made, append-only."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from msoauth.model import Finding, Signal
from msoauth.store import schema
from msoauth.store.database import Database

if TYPE_CHECKING:
    import pandas as pd

_t = schema.journal


class Journal:
    """The findings of a workspace, oldest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, *findings: Finding) -> None:
        """Add findings; when this returns, they survive any crash.

        Raises:
            StoreError: they could not be stored.
        """
        if not findings:
            return
        rows = [
            {
                "at": finding.at.astimezone(UTC),
                "run": finding.run,
                "firm": finding.firm,
                "account": finding.account.casefold(),
                "check": finding.check,
                "signal": str(finding.signal),
                "cause": finding.cause,
                "body": json.dumps(finding.as_json(), ensure_ascii=False),
            }
            for finding in findings
        ]
        with self._database.write() as connection:
            connection.execute(_t.insert(), rows)

    def findings(
        self,
        *,
        firm: str | None = None,
        account: str | None = None,
        since: datetime | None = None,
        run: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Finding]:
        """Findings in the order they were made; with *limit*, only the newest so many."""
        for body in self._bodies(firm, account, since, run, limit):
            yield Finding.from_json(json.loads(body))

    def frame(
        self,
        *,
        firm: str | None = None,
        account: str | None = None,
        since: datetime | None = None,
        run: str | None = None,
        limit: int | None = None,
    ) -> "pd.DataFrame":
        """The same as a DataFrame: ``at`` in UTC, ``signal`` an ordered category, ``seconds`` a number."""
        bodies = (json.loads(body) for body in self._bodies(firm, account, since, run, limit))
        return to_frame(bodies)

    def _bodies(
        self,
        firm: str | None,
        account: str | None,
        since: datetime | None,
        run: str | None,
        limit: int | None,
    ) -> list[str]:
        query = sa.select(_t.c.body).order_by(_t.c.id)
        if firm is not None:
            query = query.where(_t.c.firm == firm)
        if account is not None:
            query = query.where(_t.c.account == account.strip().casefold())
        if since is not None:
            query = query.where(_t.c.at >= since.astimezone(UTC))
        if run is not None:
            query = query.where(_t.c.run == run)
        if limit is not None:
            query = query.order_by(None).order_by(_t.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            bodies = list(connection.scalars(query))
        return bodies[::-1] if limit is not None else bodies


COLUMNS = (
    "at",
    "firm",
    "account",
    "check",
    "signal",
    "summary",
    "cause",
    "who",
    "evidence",
    "seconds",
    "run",
    "ids",
)


def to_frame(findings: Iterator[dict[str, Any]]) -> "pd.DataFrame":
    """Findings in their JSON form as a typed DataFrame."""
    import pandas as pd  # half a second to load: only for those who want a table

    frame = pd.DataFrame(list(findings), columns=[*COLUMNS])
    frame["at"] = pd.to_datetime(frame["at"], utc=True, format="ISO8601")
    frame["signal"] = pd.Categorical(
        frame["signal"], categories=[str(s) for s in Signal], ordered=True
    )
    frame["seconds"] = frame["seconds"].astype("float64")
    for column in ("firm", "check", "cause", "who"):
        frame[column] = frame[column].astype("category")
    return frame

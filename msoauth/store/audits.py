"""Audits in the database: the accounts of each, which are done, who is checking them, and their results."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from msoauth.addresses import key
from msoauth.model import Account, Finding, Signal
from msoauth.store import schema
from msoauth.store.database import Database
from msoauth.store.journal import Journal

_audits = schema.audits
_audit_accounts = schema.audit_accounts


class AccountState(StrEnum):
    """How far an account of an audit is."""

    OPEN = "open"
    CLAIMED = "claimed"
    DONE = "done"


KEPT = 30  # audits whose accounts are kept; of older ones only the summary is


@dataclass(frozen=True, slots=True)
class AuditRun:
    """An audit, finished or not.

    Attributes:
        run: Its id, which its findings share.
        scope: Which accounts it checks, and how; audits of the same scope can be compared.
        summary: ``accounts`` (how many), ``signals`` and ``causes`` (how many of each) and ``seconds`` (the mean
            of each check); empty until it is finished.
    """

    run: str
    scope: str
    started: datetime
    finished: datetime | None
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Mark:
    """The result of one account in an audit (or of a firm, with an empty account).

    Attributes:
        account: The address in lower case.
        check: The check of the first problem, or empty.
    """

    firm: str
    account: str
    signal: Signal
    check: str = ""
    cause: str | None = None
    seconds: float = 0.0


class Audits:
    """The audits of a workspace."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self._database = database
        self._journal = journal

    @property
    def is_single_computer(self) -> bool:
        """Whether only one computer can work on an audit, because the workspace is a SQLite file."""
        return self._database.is_sqlite

    # -- runs --------------------------------------------------------------------------------

    def unfinished(self, scope: str, *, since: datetime) -> AuditRun | None:
        """The latest unfinished audit of that scope that started after *since*, or None."""
        query = (
            sa.select(_audits)
            .where(_audits.c.scope == scope, _audits.c.finished.is_(None))
            .where(_audits.c.started >= since)
            .order_by(_audits.c.started.desc())
            .limit(1)
        )
        rows = self._database.rows(query)
        return _run(rows[0]) if rows else None

    def finished(self, limit: int, *, scope: str | None = None) -> list[AuditRun]:
        """Finished audits, the latest first."""
        query = sa.select(_audits).where(_audits.c.finished.is_not(None))
        if scope is not None:
            query = query.where(_audits.c.scope == scope)
        query = query.order_by(_audits.c.started.desc(), _audits.c.run).limit(limit)
        return [_run(row) for row in self._database.rows(query)]

    def begin(self, run: str, scope: str, accounts: Sequence[Account]) -> AuditRun:
        """Begin an audit of these accounts and their firms."""
        now = datetime.now(UTC)
        pairs = {(a.firm, key(a.address)) for a in accounts}
        pairs |= {(a.firm, "") for a in accounts}
        rows = [
            {"run": run, "firm": firm, "account": account, "state": AccountState.OPEN}
            for firm, account in sorted(pairs)
        ]
        with self._database.write() as connection:
            connection.execute(
                _audits.insert().values(run=run, scope=scope, started=now, finished=None)
            )
            if rows:
                connection.execute(_audit_accounts.insert(), rows)
        return AuditRun(run, scope, now, None, {})

    def finish(self, run: str) -> None:
        """Finish an audit: store its summary, and delete the accounts of all but the latest audits."""
        with self._database.write() as connection:
            connection.execute(
                _audits.update()
                .where(_audits.c.run == run, _audits.c.finished.is_(None))
                .values(finished=datetime.now(UTC), summary=json.dumps(_summary(connection, run)))
            )
            older = (
                sa.select(_audits.c.run).order_by(_audits.c.started.desc()).offset(KEPT).limit(1000)
            )
            runs = list(connection.scalars(older))
            if runs:
                connection.execute(_audit_accounts.delete().where(_audit_accounts.c.run.in_(runs)))

    # -- accounts of a run ---------------------------------------------------------------------

    def remaining(self, run: str) -> list[tuple[str, str]]:
        """Firm and address of each account that is not done; for an audit that no other process works on."""
        query = sa.select(_audit_accounts.c.firm, _audit_accounts.c.account).where(
            _audit_accounts.c.run == run,
            _audit_accounts.c.state != AccountState.DONE,
            _audit_accounts.c.account != "",
        )
        return [(firm, account) for firm, account in self._database.rows(query)]

    def marks(self, run: str) -> list[Mark]:
        """The results so far, one for each account; those of firms are left out."""
        c = _audit_accounts.c
        query = sa.select(c.firm, c.account, c.signal, c.check, c.cause, c.seconds).where(
            c.run == run, c.state == AccountState.DONE, c.account != ""
        )
        return [
            Mark(firm, account, Signal(signal), check or "", cause, seconds or 0.0)
            for firm, account, signal, check, cause, seconds in self._database.rows(query)
        ]

    def signals(self, runs: Iterable[str], firms: Iterable[str]) -> dict[str, dict[str, int]]:
        """How many accounts of these firms had each signal, by audit."""
        c = _audit_accounts.c
        query = (
            sa.select(c.run, c.signal, sa.func.count())
            .where(c.run.in_(list(runs)), c.firm.in_(list(firms)))
            .where(c.state == AccountState.DONE, c.account != "")
            .group_by(c.run, c.signal)
        )
        counts: dict[str, dict[str, int]] = {}
        for run, signal, count in self._database.rows(query):
            counts.setdefault(run, {})[signal] = count
        return counts

    def counts(self, run: str) -> dict[str, int]:
        """How many accounts are ``open``, ``claimed`` and ``done``."""
        query = (
            sa.select(_audit_accounts.c.state, sa.func.count())
            .where(_audit_accounts.c.run == run, _audit_accounts.c.account != "")
            .group_by(_audit_accounts.c.state)
        )
        return _dict(self._database.rows(query))

    def complete(
        self, run: str, mark: Mark, findings: Sequence[Finding], *, by: str | None = None
    ) -> bool:
        """Store an account's findings and that it is done, in one transaction.

        Args:
            by: The process that claimed it; None where no other process works on this audit.

        Returns:
            False when another process has claimed or completed it; then nothing was stored.
        """
        values: dict[str, Any] = {
            "in_run": run,
            "of_firm": mark.firm,
            "of_account": mark.account,
            "signal": str(mark.signal),
            "check": mark.check or None,
            "cause": mark.cause,
            "seconds": mark.seconds,
            "done_at": datetime.now(UTC),
        }
        update = _complete_unshared if by is None else _complete_claimed
        if by is not None:
            values["by"] = by
        return self._journal.append_if(
            findings, lambda connection: connection.execute(update, values).rowcount == 1
        )

    def drop(self, run: str, pairs: Iterable[tuple[str, str]]) -> None:
        """Remove accounts from an audit."""
        c = _audit_accounts.c
        with self._database.write() as connection:
            for firm, account in pairs:
                connection.execute(
                    _audit_accounts.delete().where(
                        c.run == run, c.firm == firm, c.account == account
                    )
                )

    # -- several computers (PostgreSQL) --------------------------------------------------------

    def claim(
        self, run: str, by: str, count: int, lease: float, *, firm: str | None = None
    ) -> list[tuple[str, str]]:
        """Claim accounts that are open or whose lease has expired; returns firm and account of each.

        Args:
            by: The claiming process, by a unique name.
            lease: Seconds until the claim expires, unless it is renewed.
            firm: Claim the firm's own row instead of accounts.
        """
        c = _audit_accounts.c
        free = sa.or_(
            c.state == AccountState.OPEN,
            sa.and_(c.state == AccountState.CLAIMED, c.claimed_until < sa.func.now()),
        )
        kind = c.account != "" if firm is None else sa.and_(c.account == "", c.firm == firm)
        to_claim = (
            sa.select(c.firm, c.account)
            .where(c.run == run, free, kind)
            .order_by(c.account)
            .limit(count)
            .with_for_update(skip_locked=True)
            .cte("picked")
        )
        update = (
            _audit_accounts.update()
            .where(c.run == run, c.firm == to_claim.c.firm, c.account == to_claim.c.account)
            .values(
                state=AccountState.CLAIMED,
                claimed_by=by,
                claimed_until=sa.func.now() + timedelta(seconds=lease),
            )
            .returning(c.firm, c.account)
        )
        with self._database.write() as connection:
            return [(firm, account) for firm, account in connection.execute(update)]

    def renew_lease(self, run: str, by: str, lease: float) -> None:
        """Renew the lease of all claims of a process."""
        self._database.change(
            _claims(run, by).values(claimed_until=sa.func.now() + timedelta(seconds=lease))
        )

    def release(self, run: str, by: str) -> None:
        """Release the accounts that a process has claimed and not completed."""
        self._database.change(
            _claims(run, by).values(state=AccountState.OPEN, claimed_by=None, claimed_until=None)
        )

    def firm_is_done(self, run: str, firm: str) -> bool:
        """Whether the checks of the firm itself are done."""
        c = _audit_accounts.c
        query = sa.select(c.state).where(c.run == run, c.firm == firm, c.account == "")
        return bool(self._database.scalar(query) == AccountState.DONE)


# Built once: an audit runs them for 10,000 accounts.
_complete_unshared = (
    _audit_accounts.update()
    .where(
        _audit_accounts.c.run == sa.bindparam("in_run"),
        _audit_accounts.c.firm == sa.bindparam("of_firm"),
        _audit_accounts.c.account == sa.bindparam("of_account"),
        _audit_accounts.c.state != AccountState.DONE,
    )
    .values({_audit_accounts.c.state: AccountState.DONE})
    .values(
        {name: sa.bindparam(name) for name in ("signal", "check", "cause", "seconds", "done_at")}
    )
)
_complete_claimed = _complete_unshared.where(_audit_accounts.c.claimed_by == sa.bindparam("by"))


def _claims(run: str, by: str) -> sa.Update:
    """An update of all accounts that a process has claimed and not completed."""
    return _audit_accounts.update().where(
        _audit_accounts.c.run == run,
        _audit_accounts.c.claimed_by == by,
        _audit_accounts.c.state == AccountState.CLAIMED,
    )


def _run(row: sa.Row[Any]) -> AuditRun:
    summary: dict[str, Any] = json.loads(row.summary) if row.summary else {}
    return AuditRun(row.run, row.scope, row.started, row.finished, summary)


def _summary(connection: sa.Connection, run: str) -> dict[str, Any]:
    c, j = _audit_accounts.c, schema.journal.c

    def count_by(column: Any) -> dict[str, int]:
        query = (
            sa.select(column, sa.func.count())
            .where(c.run == run, c.account != "", column.is_not(None))
            .group_by(column)
        )
        return _dict(connection.execute(query))

    seconds = (
        sa.select(j.check, sa.func.avg(j.seconds))
        .where(j.run == run, j.signal != str(Signal.SKIPPED), j.seconds.is_not(None))
        .group_by(j.check)
    )
    signals = count_by(c.signal)
    return {
        "accounts": sum(signals.values()),
        "signals": signals,
        "causes": count_by(c.cause),
        "seconds": {k: round(v, 4) for k, v in _dict(connection.execute(seconds)).items()},
    }


def _dict(rows: Iterable[Any]) -> dict[str, Any]:
    return {key: value for key, value in rows}  # noqa: C416 - rows are not pairs to a type checker

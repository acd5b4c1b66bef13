"""Compares audits: which are finished, which two can be compared, and how each account changed between them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from msoauth.auditing.scope import Scope
from msoauth.model import Signal
from msoauth.store import Workspace
from msoauth.store.audits import KEPT, AuditRun, Mark

Change = Literal["", "new", "worse", "better", "mended"]

_RANK = {Signal.PASSED: 0, Signal.WARNING: 1, Signal.FAILED: 2, Signal.ERROR: 2}


def history(workspace: Workspace, firms: Iterable[str] | None = None) -> list[AuditRun]:
    """The finished audits of these firms (None: of all firms), the newest first, as charts show them.

    An audit of more firms is reduced to these: how many of their accounts ended with which signal.

    Raises:
        InputError: there is no such firm.
    """
    if firms is None:
        return [run for run, scope in _finished(workspace) if scope.firms is None]
    names = [workspace.firms.get(name).name for name in firms]
    firm_keys = Scope.of(names).firms
    covering = [(run, scope) for run, scope in _finished(workspace) if scope.covers(firm_keys)]
    larger_runs = [run.run for run, scope in covering if scope.firms != firm_keys]
    signals_by_run = workspace.audits.signals(larger_runs, names) if larger_runs else {}
    runs = []
    for run, scope in covering:
        if scope.firms == firm_keys:
            runs.append(run)
        elif signals := signals_by_run.get(run.run):
            runs.append(
                replace(run, summary={"accounts": sum(signals.values()), "signals": signals})
            )
    return runs


def last_two(
    workspace: Workspace, names: Sequence[str] | None
) -> tuple[AuditRun | None, AuditRun | None]:
    """The newest finished audit of these firms, and the newest before it that can be compared with it."""
    runs = _finished(workspace)
    firm_keys = None if names is None else Scope.of(names).firms
    if firm_keys is not None:
        runs = [(run, scope) for run, scope in runs if scope.covers(firm_keys)]
    if not runs:
        return None, None
    last, last_scope = runs[0]
    required = last_scope.firms if firm_keys is None else firm_keys
    before = (
        run for run, scope in runs[1:] if scope.send == last_scope.send and scope.covers(required)
    )
    return last, next(before, None)


def changes(
    workspace: Workspace, last: AuditRun | None, before: AuditRun | None
) -> dict[str, Change]:
    """How each account changed from *before* to *last*, by address."""
    if last is None or before is None:
        return {}
    old = {mark.account: mark for mark in workspace.audits.marks(before.run)}
    return {
        mark.account: change(old.get(mark.account), mark)
        for mark in workspace.audits.marks(last.run)
    }


def change(before: Mark | None, after: Mark) -> Change:
    """How an account changed from one audit to the next; empty where it did not.

    Failed and error count alike: what could not be checked is no better and no worse than what does not work.
    """
    rank_before = None if before is None else _RANK.get(before.signal)
    rank_after = _RANK.get(after.signal)
    if rank_after is None or rank_before == rank_after:
        return ""
    if rank_after == 0:
        return "" if rank_before is None else "mended"
    if not rank_before:
        return "new"
    return "worse" if rank_after > rank_before else "better"


def _finished(workspace: Workspace) -> list[tuple[AuditRun, Scope]]:
    return [(run, Scope.read(run.scope)) for run in workspace.audits.finished(KEPT)]

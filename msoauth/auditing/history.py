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
    wanted = Scope.of(names).firms
    covering = [(run, scope) for run, scope in _finished(workspace) if scope.covers(wanted)]
    larger = [run.run for run, scope in covering if scope.firms != wanted]
    theirs = workspace.audits.signals(larger, names) if larger else {}
    told = []
    for run, scope in covering:
        if scope.firms == wanted:
            told.append(run)
        elif signals := theirs.get(run.run):
            told.append(
                replace(run, summary={"accounts": sum(signals.values()), "signals": signals})
            )
    return told


def last_two(
    workspace: Workspace, names: Sequence[str] | None
) -> tuple[AuditRun | None, AuditRun | None]:
    """The newest finished audit of these firms, and the newest before it that can be compared with it."""
    runs = _finished(workspace)
    wanted = None if names is None else Scope.of(names).firms
    if wanted is not None:
        runs = [(run, scope) for run, scope in runs if scope.covers(wanted)]
    if not runs:
        return None, None
    last, of = runs[0]
    need = of.firms if wanted is None else wanted
    before = (run for run, scope in runs[1:] if scope.send == of.send and scope.covers(need))
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
    was = None if before is None else _RANK.get(before.signal)
    is_ = _RANK.get(after.signal)
    if is_ is None or was == is_:
        return ""
    if is_ == 0:
        return "" if was is None else "mended"
    if not was:
        return "new"
    return "worse" if is_ > was else "better"


def _finished(workspace: Workspace) -> list[tuple[AuditRun, Scope]]:
    return [(run, Scope.read(run.scope)) for run in workspace.audits.finished(KEPT)]

"""Checks one firm, whose findings hold for all its accounts, and checks one account."""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

from msoauth import checks
from msoauth.addresses import key
from msoauth.judgement import (
    SILENT_DAYS,
    Dates,
    Issue,
    account_issue,
    account_signal,
    root_cause,
)
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.redact import redact
from msoauth.store import Workspace
from msoauth.store.audits import Mark
from msoauth.texts import _


@dataclass(frozen=True, slots=True)
class AccountResult:
    """What the checks of one account (or, with ``account`` None, of one firm) found.

    Attributes:
        signal: The account's status: that of its issue, or passed.
        issue: What to fix first, or what will stop working soon; None when there is nothing.
        seconds: How long the checks took.
    """

    firm: Firm
    account: Account | None
    findings: tuple[Finding, ...]
    signal: Signal
    issue: Issue | None
    seconds: float

    @property
    def throttled(self) -> bool:
        """Whether a server answered that there were too many requests."""
        return any(f.cause == "throttled" for f in self.findings)

    def mark(self) -> Mark:
        """This result as the store keeps it in the audit's list of accounts."""
        issue = self.issue
        return Mark(
            self.firm.name,
            key(self.account.address) if self.account else "",
            self.signal,
            issue.check if issue else "",
            issue.cause if issue and not issue.expiring else None,
            self.seconds,
        )


def check_firm(
    workspace: Workspace,
    firm: Firm,
    run: str,
    threads: checks.Threads,
    *,
    protocols: Iterable[str],
    options: checks.RunOptions,
    cancelled: threading.Event,
) -> AccountResult:
    """Run the checks whose findings hold for all accounts of a firm: network and app registration.

    Args:
        threads: Shared threads that run checks beside the caller's thread.
        protocols: The protocols that its accounts use; servers of other protocols are not checked.
    """
    unused = {"network.pop3", "network.imap"} - {f"network.{protocol}" for protocol in protocols}
    selection = [
        check for check in (*checks.NETWORK, *checks.REGISTRATION) if check.id not in unused
    ]
    context = checks.Context(workspace, firm, options=options, run=run, cancelled=cancelled)
    return _run_checks(selection, context, threads, {})


def check_account(
    workspace: Workspace,
    firm: Firm,
    account: Account,
    run: str,
    firm_findings: Mapping[str, Finding],
    threads: checks.Threads,
    *,
    send: bool,
    options: checks.RunOptions,
    cancelled: threading.Event,
) -> AccountResult:
    """Run the checks of one account.

    Args:
        firm_findings: The firm's findings, by check id.
        threads: Shared threads that run checks beside the caller's thread.
        send: Also send a test mail to the mailbox itself.
    """
    selection = (
        *checks.SIGN_IN,
        *checks.LOGIN_TO_RETRIEVE,
        *checks.CONNECT,
        *checks.LOGIN_TO_SEND,
        *checks.LATEST_MESSAGE,
        *(checks.SEND if send else ()),
    )
    context = checks.Context(
        workspace, firm, account, options=options, run=run, cancelled=cancelled
    )
    return _run_checks(selection, context, threads, firm_findings)


def _run_checks(
    selection: Sequence[checks.Check],
    context: checks.Context,
    threads: checks.Threads,
    firm_findings: Mapping[str, Finding],
) -> AccountResult:
    """Run checks, and judge their findings."""
    start = time.perf_counter()
    findings: list[Finding] = []
    try:
        # Not recorded one by one: the audit stores them together with the account's mark.
        new_findings = checks.run(
            selection, context, workers=threads, known=firm_findings.values(), record=False
        )
        by_check = {finding.check: finding for finding in new_findings}
        connection = by_check.pop("smtp.connect", None)
        if connection is not None and (login := by_check.get("smtp.login")) is not None:
            # To users, connecting is part of the login.
            by_check[login.check] = replace(login, seconds=login.seconds + connection.seconds)
        findings.extend(by_check.values())
        issue = _find_issue(context, findings, firm_findings)
    except Exception as bug:  # noqa: BLE001 - a bug in the checks of one account must not end the audit
        finding = _bug_finding(context, bug)
        findings.append(finding)
        issue = Issue(finding.check, finding.signal, finding.cause)
    return AccountResult(
        context.firm,
        context.account,
        tuple(findings),
        account_signal(issue, findings),
        issue,
        time.perf_counter() - start,
    )


def _find_issue(
    context: checks.Context, findings: Sequence[Finding], firm_findings: Mapping[str, Finding]
) -> Issue | None:
    """The issue that decides the status of an account, or of a firm; None if there is none."""
    if context.account is None:
        problem = root_cause(findings)
        return Issue(problem.check, problem.signal, problem.cause) if problem else None
    # The token's idle days do not matter here: it was used just now, or its own check says why not.
    dates = Dates(context.firm.secret_expires, None, context.state.latest_message)
    silent_days = context.options.silent_days or SILENT_DAYS
    return account_issue(
        findings, checks.in_order(firm_findings.values()), dates, datetime.now(UTC), silent_days
    )


def _bug_finding(context: checks.Context, bug: Exception) -> Finding:
    """A finding that reports a bug in the checks."""
    return Finding(
        check="audit.account",
        signal=Signal.ERROR,
        summary=_("the check could not be carried out: {kind}").format(kind=type(bug).__name__),
        evidence=redact(str(bug), 2000),
        cause="unknown",
        firm=context.firm.name,
        account=context.account.address if context.account else "",
        run=context.run,
    )


def new_run_id() -> str:
    """A new id for an audit; ids of later audits sort after it."""
    return f"a{datetime.now(UTC):%y%m%d%H%M}-{uuid4().hex[:8]}"

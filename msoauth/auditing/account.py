"""Check one firm, whose findings hold for all its accounts, and check one account."""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

from msoauth import checks
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
        """Whether a server said "too many"."""
        return any(f.cause == "throttled" for f in self.findings)

    def mark(self) -> Mark:
        """What the store keeps of this result in the list of the audit."""
        issue = self.issue
        return Mark(
            self.firm.name,
            self.account.address.strip().casefold() if self.account else "",
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
    """Carry out the checks whose findings hold for all accounts of a firm: network and app registration.

    Args:
        threads: Shared threads that carry out checks beside the caller's.
        protocols: Those that its accounts use; servers of other protocols are not asked.
    """
    unused = {"network.pop3", "network.imap"} - {f"network.{protocol}" for protocol in protocols}
    wanted = [c for c in (*checks.NETWORK, *checks.REGISTRATION) if c.id not in unused]
    context = checks.Context(workspace, firm, options=options, run=run, cancelled=cancelled)
    return _result_of(wanted, context, threads, {})


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
    """Carry out the checks of one account.

    Args:
        firm_findings: The firm's findings, by check id.
        threads: Shared threads that carry out checks beside the caller's.
        send: Also send a test mail to the mailbox itself.
    """
    wanted = (
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
    return _result_of(wanted, context, threads, firm_findings)


def _result_of(
    wanted: Sequence[checks.Check],
    context: checks.Context,
    threads: checks.Threads,
    firm_findings: Mapping[str, Finding],
) -> AccountResult:
    start = time.perf_counter()
    findings: list[Finding] = []
    try:
        # The journal gets them together, with the account's mark.
        made = checks.run(
            wanted, context, workers=threads, known=firm_findings.values(), record=False
        )
        found = {finding.check: finding for finding in made}
        connected = found.pop("smtp.connect", None)
        if connected is not None and (login := found.get("smtp.login")) is not None:
            # Connecting is part of what people call the login.
            found[login.check] = replace(login, seconds=login.seconds + connected.seconds)
        findings.extend(found.values())
        issue = _issue_of(context, findings, firm_findings)
    except Exception as bug:  # noqa: BLE001 - a bug met in one account does not end the audit
        finding = _fault(context, bug)
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


def _issue_of(
    context: checks.Context, findings: Sequence[Finding], firm_findings: Mapping[str, Finding]
) -> Issue | None:
    if context.account is None:
        broken = root_cause(findings)
        return Issue(broken.check, broken.signal, broken.cause) if broken else None
    # The token's idle days are not asked here: it was used just now, or its own check says why not.
    dates = Dates(context.firm.secret_expires, None, context.state.latest_message)
    silent_days = context.options.silent_days or SILENT_DAYS
    return account_issue(
        findings, checks.in_order(firm_findings.values()), dates, datetime.now(UTC), silent_days
    )


def _fault(context: checks.Context, bug: Exception) -> Finding:
    return Finding(
        check="audit.account",
        signal=Signal.ERROR,
        summary=_("the check could not be carried out: {kind}").format(kind=type(bug).__name__),
        evidence=redact(str(bug))[:2000],
        cause="unknown",
        firm=context.firm.name,
        account=context.account.address if context.account else "",
        run=context.run,
    )


def new_run_id() -> str:
    """A new id for an audit; ids of later audits sort after it."""
    return f"a{datetime.now(UTC):%y%m%d%H%M}-{uuid4().hex[:8]}"

"""One firm's checks, once for all its accounts; and one account's."""

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
class Looked:
    """What a look at one account (or, with ``account`` None, at one firm) found.

    Attributes:
        signal: How the account stands: its worst link, or passed.
        link: The first broken link, or what will break soon; None when all holds.
        seconds: How long the look took.
    """

    firm: Firm
    account: Account | None
    findings: tuple[Finding, ...]
    signal: Signal
    link: Issue | None
    seconds: float

    @property
    def throttled(self) -> bool:
        """Whether a server said "too many"."""
        return any(f.cause == "throttled" for f in self.findings)

    def mark(self) -> Mark:
        """What the audit's list keeps of it."""
        link = self.link
        return Mark(
            self.firm.name,
            self.account.address.strip().casefold() if self.account else "",
            self.signal,
            link.check if link else "",
            link.cause if link and not link.expiring else None,
            self.seconds,
        )


def look_at_firm(
    workspace: Workspace,
    firm: Firm,
    run: str,
    threads: checks.Threads,
    *,
    retrieve: Iterable[str],
    options: checks.RunOptions,
    cancelled: threading.Event,
) -> Looked:
    """The checks that have one answer for all accounts of a firm: the network, and the app registration.

    Args:
        threads: Carry out checks beside the caller's thread.
        retrieve: The protocols that its accounts use; the others are not asked.
    """
    idle = {"network.pop3", "network.imap"} - {f"network.{protocol}" for protocol in retrieve}
    wanted = [c for c in (*checks.NETWORK, *checks.REGISTRATION) if c.id not in idle]
    context = checks.Context(workspace, firm, options=options, run=run, cancelled=cancelled)
    return _looked(wanted, context, threads, {})


def look_at(
    workspace: Workspace,
    firm: Firm,
    account: Account,
    run: str,
    given: Mapping[str, Finding],
    threads: checks.Threads,
    *,
    send: bool,
    options: checks.RunOptions,
    cancelled: threading.Event,
) -> Looked:
    """The checks of one account.

    Args:
        given: The firm's findings, by check id.
        threads: Carry out checks beside the caller's thread.
        send: Also send a test mail to the mailbox itself.
    """
    wanted = (
        *checks.SIGN_IN, *checks.LOGIN_TO_RETRIEVE, *checks.CONNECT, *checks.LOGIN_TO_SEND, *checks.NEWEST,
        *(checks.SEND if send else ()),
    )  # fmt: skip
    context = checks.Context(
        workspace, firm, account, options=options, run=run, cancelled=cancelled
    )
    return _looked(wanted, context, threads, given)


def _looked(
    wanted: Sequence[checks.Check],
    context: checks.Context,
    threads: checks.Threads,
    given: Mapping[str, Finding],
) -> Looked:
    start = time.perf_counter()
    findings: list[Finding] = []
    try:
        # The journal gets them together, with the account's mark.
        made = checks.run(wanted, context, workers=threads, known=given.values(), record=False)
        found = {finding.check: finding for finding in made}
        connected = found.pop("smtp.connect", None)
        if connected is not None and (login := found.get("smtp.login")) is not None:
            # For people these two are one login.
            found[login.check] = replace(login, seconds=login.seconds + connected.seconds)
        findings.extend(found.values())
        link = _link(context, findings, given)
    except Exception as bug:  # noqa: BLE001 - one account's trouble never stops the others
        finding = _fault(context, bug)
        findings.append(finding)
        link = Issue(finding.check, finding.signal, finding.cause)
    return Looked(
        context.firm,
        context.account,
        tuple(findings),
        account_signal(link, findings),
        link,
        time.perf_counter() - start,
    )


def _link(
    context: checks.Context, findings: Sequence[Finding], given: Mapping[str, Finding]
) -> Issue | None:
    if context.account is None:
        broken = root_cause(findings)
        return Issue(broken.check, broken.signal, broken.cause) if broken else None
    # The token's idle days are not asked here: it was used just now, or its own check says why not.
    dates = Dates(context.firm.secret_expires, None, context.state.latest_message)
    firms = checks.in_order(given.values())
    days = context.options.silent_days
    silent_days = SILENT_DAYS if days is None else days
    return account_issue(findings, firms, dates, datetime.now(UTC), silent_days)


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


def new_run() -> str:
    """The id of a new audit."""
    return f"a{datetime.now(UTC):%y%m%d%H%M}-{uuid4().hex[:8]}"

"""One firm's checks, once for all its accounts; and one account's."""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from msoauth import checks
from msoauth.checks.in_turn import in_turn
from msoauth.judgement import Dates, Issue, account_issue, blocks, root_cause, standing
from msoauth.mail.transcript import Transcript
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.redact import redact
from msoauth.store import Workspace
from msoauth.store.audits import Mark
from msoauth.texts import _

_MAIL_SERVERS = ("network.pop3", "network.imap", "network.smtp")  # they hang on no other check


class _Unwritten(Transcript):
    """A record that nobody reads is not written; a diagnosis of the account writes its own."""

    def _add(self, direction: object, line: str) -> None:
        pass

    def own(self, direction: object, text: str) -> None:
        """Not written either."""


class _Quiet(checks.Context):
    """The context of one account among thousands."""

    def transcript(self, check: str) -> Transcript:  # noqa: ARG002 - there are none to tell apart
        """The record of a conversation."""
        return _Unwritten()


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
    pool: Executor,
    *,
    retrieve: Iterable[str],
    cancelled: threading.Event,
    timeout: float,
) -> Looked:
    """The checks that have one answer for all accounts of a firm: the network, and the app registration.

    Args:
        pool: Threads that greet the mail servers meanwhile.
        retrieve: The protocols that its accounts use; the others are not asked.
    """
    idle = {"network.pop3", "network.imap"} - {f"network.{protocol}" for protocol in retrieve}
    wanted = [c for c in (*checks.NETWORK, *checks.REGISTRATION) if c.id not in idle]
    context = checks.Context(workspace, firm, None, timeout=timeout, run=run, cancelled=cancelled)
    return _looked(context, _side_by_side(wanted, context, pool), {})


def _side_by_side(
    wanted: Sequence[checks.Check], context: checks.Context, pool: Executor
) -> Iterator[Finding]:
    """A firm's checks in their order. What cannot be cancelled stays in this thread, which nobody waits for at the end."""
    greeted = {
        c.id: pool.submit(checks.answer, c, context, None) for c in wanted if c.id in _MAIL_SERVERS
    }
    made = list(in_turn([c for c in wanted if c.id not in greeted], context))
    made += [future.result() for future in greeted.values()]
    yield from checks.in_order(made)


def look_at(
    workspace: Workspace,
    firm: Firm,
    account: Account,
    run: str,
    given: dict[str, Finding],
    pop3_capabilities: dict[str, dict[str, list[str]]],
    pool: Executor,
    *,
    send: bool,
    cancelled: threading.Event,
    timeout: float,
    silent_days: int,
) -> Looked:
    """The checks of one account.

    Args:
        given: The firm's findings, by check id.
        pop3_capabilities: What each firm's POP3 server offers, by the firm's name, as far as it is known; added to.
        pool: Threads that begin the SMTP session while the token is renewed and mail is looked for.
        send: Also send a test mail to the mailbox itself.
    """
    wanted = (
        *checks.SIGN_IN, *checks.MAILBOX, *checks.NEWEST, *(checks.SEND if send else ()),
    )  # fmt: skip
    context = _Quiet(
        workspace, firm, account, timeout=timeout, run=run, cancelled=cancelled, hurried=True,
        pop3_capabilities=pop3_capabilities.get(firm.name),
    )  # fmt: skip
    context.known["silent_days"] = silent_days
    with contextlib.suppress(Exception):  # it is a head start only; the checks tell what is wrong
        if _will_log_in(context, given):
            checks.greet_ahead(context, pool)
    looked = _looked(context, in_turn(wanted, context, given), given)
    if context.pop3_capabilities is not None:
        pop3_capabilities[firm.name] = context.pop3_capabilities
    return looked


def _will_log_in(context: checks.Context, given: dict[str, Finding]) -> bool:
    """Whether nothing is known that would keep the account from its login."""
    bars = (given[check] for check in ("network.smtp", "registration.secret") if check in given)
    if any(blocks(known) for known in bars):
        return False
    signed_in = context.firm.access == "app-only" or context.workspace.tokens.status(
        context.mailbox.address
    )
    return bool(signed_in)


def _looked(
    context: checks.Context, answers: Iterable[Finding], given: dict[str, Finding]
) -> Looked:
    start = time.perf_counter()
    findings: list[Finding] = []
    try:
        findings.extend(answers)
        link = _link(context, findings, given)
    except Exception as bug:  # noqa: BLE001 - one account's trouble never stops the others
        finding = _fault(context, bug)
        findings.append(finding)
        link = Issue(finding.check, finding.signal, finding.cause)
    finally:
        context.hang_up()
    return Looked(
        context.firm,
        context.account,
        tuple(findings),
        standing(link, findings),
        link,
        time.perf_counter() - start,
    )


def _link(
    context: checks.Context, findings: Sequence[Finding], given: dict[str, Finding]
) -> Issue | None:
    if context.account is None:
        broken = root_cause(findings)
        return Issue(broken.check, broken.signal, broken.cause) if broken else None
    # The token's idle days are not asked here: it was used just now, or its own check says why not.
    dates = Dates(context.firm.secret_expires, None, context.known.get("newest"))
    firms = checks.in_order(given.values())
    return account_issue(findings, firms, dates, datetime.now(UTC), context.known["silent_days"])


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

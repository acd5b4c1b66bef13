"""Retrieves an account's mail and sends its test mail, and writes the results to the journal as findings."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from msoauth.checks.context import Context, RunOptions
from msoauth.checks.mailbox import ROUND_TRIP, SEND, open_mailbox, readable_recipient
from msoauth.checks.run import finding_of, run
from msoauth.errors import MailError, MsoauthError
from msoauth.mail.fetch import fetch
from msoauth.mail.imap import ImapSession
from msoauth.mail.messages import UNDELIVERED, MessageSummary, Status, outcome
from msoauth.mail.pop3 import Pop3Session
from msoauth.mail.retry import LIMIT, Retry, RetryPolicy
from msoauth.mail.round_trip import ARRIVAL_TIMEOUT
from msoauth.mail.smtp import envelope
from msoauth.mail.stores import Format, explaining
from msoauth.model import Account, Finding, Signal
from msoauth.private_files import resolve_below, safe_name
from msoauth.store import Workspace
from msoauth.texts import _, ngettext

_MAX_LISTED = 50  # messages that were not retrieved, in a finding


def mail_folder(workspace: Workspace, account: Account) -> Path:
    """The folder for an account's retrieved mail, unless the user names another place."""
    return workspace.folder / "mail" / safe_name(account.address.lower())


def _log_in(context: Context) -> Pop3Session | ImapSession:
    context.state.token = None  # a long retrieval may outlive its first token
    return open_mailbox(context, "fetch")


def fetch_mail(
    workspace: Workspace,
    account: Account,
    *,
    limit: int | None = None,
    headers_only: bool = False,
    to: Path | None = None,
    format: Format = "eml",  # noqa: A002 - the option's name
    on_finding: Callable[[Finding], None] = lambda _finding: None,
    on_retry: Callable[[Retry], None] = lambda _retry: None,
    retry_seconds: float = LIMIT,
    cancelled: threading.Event | None = None,
) -> Iterator[MessageSummary]:
    """Retrieve mail and yield each message as soon as it has arrived. Nothing is deleted or marked on the server.

    When a server throttles, a mailbox is in use or the connection breaks, it waits, logs in again and continues.
    Each message that the server lists has a ``status``; one that it lists and does not hand over is yielded, too. The
    journal gets a ``mail.retrieve`` finding at the end, or when retrieving is given up.

    Args:
        limit: At most this many of the newest messages; None for all.
        headers_only: Look at headers only; nothing is stored.
        to: Where to store the mail; messages that are already there are not retrieved again.
        format: ``eml`` and ``maildir`` for a folder, ``mbox`` for one file.
        on_finding: Gets that finding too.
        on_retry: Called when a pause before a retry begins.
        retry_seconds: Seconds that may be waited altogether.
        cancelled: Set it to end the retrieval, and any wait in it.

    Raises:
        AuthError: there is no good token.
        MailError: the conversation broke for good; what was yielded is complete.
        InputError: another retrieval is writing to that place.
        LocalError: the disk is full, or the place cannot be written any more.
    """
    if to is not None:
        with explaining(to):
            to = resolve_below(workspace.folder, to)
    context = Context(
        workspace,
        workspace.firms.get(account.firm),
        account,
        cancelled=cancelled or threading.Event(),
    )
    context.require_confirmed()
    start = time.perf_counter()
    counts: Counter[Status] = Counter()
    undelivered: list[str] = []

    def record(finding: Finding) -> None:
        finding = replace(
            finding,
            seconds=time.perf_counter() - start,
            firm=context.firm.name,
            account=account.address,
            run=context.run,
        )
        workspace.journal.append(finding)
        on_finding(finding)

    try:
        for message in fetch(
            lambda: _log_in(context),
            RetryPolicy(retry_seconds, on_retry, context.cancelled),
            limit=limit,
            headers_only=headers_only,
            to=to,
            format=format,
        ):
            counts[message.status] += 1
            if message.status in UNDELIVERED:
                undelivered.append(message.line())
            yield message
    except MsoauthError as error:
        if context.cancelled.is_set():
            count = counts["retrieved"] + counts["already"]
            summary = ngettext(
                "cancelled; {n} message is there, and the next retrieval goes on from here",
                "cancelled; {n} messages are there, and the next retrieval goes on from here",
                count,
            )
            record(Finding("mail.retrieve", Signal.SKIPPED, summary.format(n=count)))
        else:
            record(finding_of(error, "mail.retrieve", context.firm, account))
        raise
    summary = _("{outcome}; nothing was deleted on the server").format(outcome=outcome(counts))
    if to is not None and not headers_only:
        summary += _("; they are in {folder}").format(folder=to)
    if not undelivered:
        record(Finding("mail.retrieve", Signal.PASSED, summary))
        return
    is_notice_only = counts["placeholder"] == len(undelivered)
    problem = MailError(
        summary,
        stage="work",
        cause="message-placeholder" if is_notice_only else "message-missing",
        evidence="\n".join(undelivered[:_MAX_LISTED]),
        retriable=is_notice_only,
    )
    record(finding_of(problem, "mail.retrieve", context.firm, account))


def send_test(
    workspace: Workspace,
    account: Account,
    *,
    to: str | None = None,
    subject: str | None = None,
    round_trip: bool = False,
    sender: str | None = None,
    retry_seconds: float = LIMIT,
    arrival_seconds: float = ARRIVAL_TIMEOUT,
    on_retry: Callable[[Retry], None] = lambda _retry: None,
    on_progress: Callable[[float], None] = lambda _seconds: None,
    cancelled: threading.Event | None = None,
) -> Iterator[Finding]:
    """Send a test mail and, if asked, wait until it arrives; a finding for each.

    Args:
        to: The recipient; None for the mailbox itself.
        subject: The subject; None for a default one.
        round_trip: Wait for the mail in the recipient's mailbox, which must be one of the workspace.
        sender: The From address (Send As); None for the mailbox itself.
        retry_seconds: Seconds that may be waited altogether while the server is busy.
        arrival_seconds: How long the mail is waited for.
        on_retry: Called when such a pause begins.
        on_progress: Called twice a second with the seconds of the round trip so far.
        cancelled: Set it to end any wait.

    Raises:
        InputError: the recipient or the sender is not an address, or nobody could see the mail arrive; nothing was sent.
    """
    for address in (to, sender):
        if address is not None:
            envelope(address)
    if round_trip:
        readable_recipient(workspace, account, to)
    context = Context(
        workspace,
        workspace.firms.get(account.firm),
        account,
        cancelled=cancelled or threading.Event(),
    )
    context.options = RunOptions(
        recipient=to,
        sender=sender,
        subject=subject,
        retry=RetryPolicy(retry_seconds, on_retry, context.cancelled),
        arrival_seconds=arrival_seconds,
        on_progress=on_progress,
    )
    yield from run((*SEND, *ROUND_TRIP) if round_trip else SEND, context)

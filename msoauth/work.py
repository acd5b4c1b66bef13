"""What one does with an account: retrieve mail and send a test mail, from any face."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from msoauth import checks
from msoauth.checks.run import finding_of
from msoauth.checks.signin import token_of
from msoauth.errors import MsoauthError
from msoauth.mail.fetch import fetch
from msoauth.mail.imap import ImapSession, open_imap
from msoauth.mail.messages import MessageSummary
from msoauth.mail.pop3 import Pop3Session, open_pop3
from msoauth.model import Account, Finding, Signal
from msoauth.store import Workspace
from msoauth.texts import _


def mail_folder(workspace: Workspace, account: Account) -> Path:
    """Where an account's retrieved mail goes unless the user names another place."""
    return workspace.folder / "mail" / account.address.lower()


def _open_box(context: checks.Context) -> Pop3Session | ImapSession:
    account, cloud = context.mailbox, context.firm.cloud
    opener = open_imap if account.retrieve == "imap" else open_pop3
    return opener(
        cloud.endpoint(account.retrieve),
        account.address,
        token_of(context),
        transcript=context.transcript("fetch"),
        timeout=context.timeout,
        ca_file=cloud.ca_file,
    )


def fetch_mail(
    workspace: Workspace,
    account: Account,
    *,
    limit: int | None = None,
    headers_only: bool = False,
    to: Path | None = None,
    told: Callable[[Finding], None] = lambda _finding: None,
) -> Iterator[MessageSummary]:
    """Retrieve mail, yielding each message when it is there. Nothing is deleted or marked.

    The journal gets a ``mail.retrieve`` finding when all is there, or when the conversation broke.

    Args:
        limit: At most this many of the newest messages; None for all.
        headers_only: Look at headers only; nothing is stored.
        to: The folder for .eml files; messages that are there already are not retrieved again.
        told: Gets that finding too.

    Raises:
        AuthError: there is no good token.
        MailError: the conversation broke; what was yielded is complete.
    """
    context = checks.Context(workspace, workspace.firms.get(account.firm), account)
    start = time.perf_counter()
    count = 0

    def conclude(finding: Finding) -> None:
        finding = replace(
            finding,
            seconds=time.perf_counter() - start,
            firm=context.firm.name,
            account=account.address,
            run=context.run,
        )
        workspace.journal.append(finding)
        told(finding)

    try:
        with _open_box(context) as session:
            for message in fetch(session, limit=limit, headers_only=headers_only, to=to):
                count += 1
                yield message
    except MsoauthError as failure:
        conclude(finding_of(failure, "mail.retrieve", context.firm, account))
        raise
    said = _("{n} messages retrieved; nothing was deleted on the server").format(n=count)
    if to is not None and not headers_only:
        said += _("; they are in {folder}").format(folder=to)
    conclude(Finding("mail.retrieve", Signal.PASSED, said))


def send_test(
    workspace: Workspace,
    account: Account,
    *,
    to: str | None = None,
    subject: str | None = None,
    round_trip: bool = False,
    context: checks.Context | None = None,
) -> Iterator[Finding]:
    """Send a test mail and, if asked, wait until it arrives; a finding for each.

    Args:
        to: The recipient; None for the mailbox itself.
        subject: In the user's words; None for ours.
        round_trip: Wait for the mail in the account's own mailbox.
        context: The run to belong to, where the caller wants to cancel it.
    """
    if context is None:
        context = checks.Context(workspace, workspace.firms.get(account.firm), account)
    context.known["recipient"] = to
    context.known["subject"] = subject
    wanted = (*checks.SEND, *checks.ROUND_TRIP) if round_trip else checks.SEND
    yield from checks.run(wanted, context)

"""What one does with an account: retrieve mail and send a test mail, from any face."""

from collections.abc import Iterator
from pathlib import Path

from msoauth import checks
from msoauth.checks.mailbox import token_of
from msoauth.mail.fetch import fetch
from msoauth.mail.imap import ImapSession, open_imap
from msoauth.mail.messages import MessageSummary
from msoauth.mail.pop3 import Pop3Session, open_pop3
from msoauth.model import Account, Finding
from msoauth.store import Workspace


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
) -> Iterator[MessageSummary]:
    """Retrieve mail, yielding each message when it is there. Nothing is deleted or marked.

    Args:
        limit: At most this many of the newest messages; None for all.
        headers_only: Look at headers only; nothing is stored.
        to: The folder for .eml files; messages that are there already are not retrieved again.

    Raises:
        AuthError: there is no good token.
        MailError: the conversation broke; what was yielded is complete.
    """
    context = checks.Context(workspace, workspace.firms.get(account.firm), account)
    with _open_box(context) as session:
        yield from fetch(session, limit=limit, headers_only=headers_only, to=to)


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

"""The public functions of ``import msoauth``: checks, sign-in, mail and audits, for notebook cells and scripts.

Each takes an open workspace as its first argument and does what the command of the same name does: findings are stored in
the workspace's journal, mail is never deleted, and nothing is sent unless an argument says so. A firm is one customer's
tenant with its app registration. In the examples ``ws`` is a workspace with a firm of the practice tenant (a simulation
of Microsoft 365 on this computer) in which all users have signed in.
"""

import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, TypeVar, Unpack, overload

from msoauth import checks, explaining, private_files
from msoauth.auditing import AccountResult, Audit, labels
from msoauth.auditing.history import history
from msoauth.auditing.status import CauseGroup, Status, status
from msoauth.checks import Check, Context
from msoauth.checks import mail as account_mail
from msoauth.display import Listing
from msoauth.explaining import Explanation
from msoauth.findings import Findings
from msoauth.identity.known_facts import known_facts
from msoauth.mail.messages import MessageSummary
from msoauth.mail.messages import frame as messages_frame
from msoauth.model import Account, Firm
from msoauth.store import Workspace
from msoauth.texts import _, ngettext

if TYPE_CHECKING:
    import pandas as pd

    from msoauth.identity.environment import Flow
    from msoauth.identity.flows import SignIn
    from msoauth.identity.signin import SignedIn
    from msoauth.reports.write import Kind

Item = TypeVar("Item")


def explain(
    text: str,
    *,
    firm: Firm | None = None,
    account: Account | None = None,
    workspace: Workspace | None = None,
) -> Explanation:
    """Explain the error in any text that contains one: a server's reply, a log, a mail, a web page.

    Args:
        firm: Fills the links with its tenant and client ids; its access decides where the text leaves more than one cause.
        account: Fills the commands with its mailbox; its protocol and who signs in decide likewise.
        workspace: Whose token and findings of that account decide, too. Nothing is contacted.

    >>> msoauth.explain("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.").cause
    'smtp-auth-disabled-mailbox'
    """
    known = known_facts(workspace, firm=firm, account=account) if workspace is not None else None
    return explaining.explain(text, firm=firm, account=account, known=known)


def check_firm(workspace: Workspace, name: str, *, progress: bool = True) -> Findings:
    """Check a firm's app registration: directory, application, client secret, redirect URI, end date.

    Args:
        name: The firm's name.
        progress: Show progress in a notebook or on a terminal.

    Raises:
        NotFoundError: there is no such firm.
        StoreError: the findings cannot be stored.

    >>> msoauth.check_firm(ws, "Contoso Legal", progress=False).passed
    True
    """
    context = Context(workspace, workspace.firms.get(name))
    return _run_checks(checks.REGISTRATION, context, progress=progress)


def diagnose(
    workspace: Workspace, address: str, *, send: bool = False, progress: bool = True
) -> Findings:
    """Run every check for one account, in order: network, registration, sign-in, mailbox.

    Args:
        address: The account's address.
        send: Also send a test mail to the mailbox itself and wait until it arrives.
        progress: Show progress in a notebook or on a terminal.

    Raises:
        NotFoundError: there is no such account.
        StoreError: the findings cannot be stored.

    >>> findings = msoauth.diagnose(ws, "anna.lindqvist@contoso.example", progress=False)
    >>> findings.root_cause is None
    True
    """
    account = workspace.accounts.get(address)
    context = Context(workspace, workspace.firms.get(account.firm), account)
    selection = (*checks.DIAGNOSE, *checks.SEND, *checks.ROUND_TRIP) if send else checks.DIAGNOSE
    return _run_checks(selection, context, progress=progress)


def iter_messages(
    workspace: Workspace,
    address: str,
    *,
    limit: int | None = None,
    headers_only: bool = False,
    to: str | Path | None = None,
) -> Iterator[MessageSummary]:
    """Retrieve an account's mail, yielding each message once it is complete. Nothing on the server is deleted or marked.

    Every message that the server lists is yielded. Its ``status`` says whether it was ``retrieved`` or is there
    ``already``, or else was not: ``missing`` (the server says nothing), ``refused``, or a ``placeholder``, Exchange's
    notice in its place. These three are asked for again by the next call.

    Args:
        address: The account's address.
        limit: At most this many of the newest messages; None for all.
        headers_only: Retrieve headers only; nothing is stored.
        to: The folder for the .eml files; None for the workspace's own. Messages already stored there
            are not retrieved again.

    Raises:
        NotFoundError: there is no such account.
        AuthError: there is no valid token.
        MailError: the connection failed; the messages yielded before are complete.
        InputError: another retrieval is writing to that folder.
        LocalError: the disk is full, or the folder cannot be written any more.

    >>> for message in msoauth.iter_messages(ws, "anna.lindqvist@contoso.example", limit=2):
    ...     print(message.size > 0)
    True
    True
    """
    account = workspace.accounts.get(address)
    folder = (
        None if headers_only else Path(to) if to else account_mail.mail_folder(workspace, account)
    )
    return account_mail.fetch_mail(
        workspace, account, limit=limit, headers_only=headers_only, to=folder
    )


def fetch(
    workspace: Workspace,
    address: str,
    *,
    limit: int | None = None,
    headers_only: bool = False,
    to: str | Path | None = None,
    progress: bool = True,
) -> "pd.DataFrame":
    """Retrieve an account's mail as a DataFrame of messages. Nothing on the server is deleted or marked.

    Args:
        address, limit, headers_only, to: As for :func:`iter_messages`.
        progress: Show progress in a notebook or on a terminal.

    Returns:
        A row for each message: ``date`` (UTC), ``from``, ``to``, ``subject``, ``size`` (bytes), ``attachments``,
        ``uidl``, ``status`` (as for :func:`iter_messages`).

    Raises:
        As :func:`iter_messages`.

    >>> len(msoauth.fetch(ws, "anna.lindqvist@contoso.example", limit=3, progress=False))
    3
    """
    messages = iter_messages(workspace, address, limit=limit, headers_only=headers_only, to=to)
    return messages_frame(_with_progress_bar(messages, _("Retrieving mail"), limit, show=progress))


def send_test(
    workspace: Workspace,
    address: str,
    *,
    to: str | None = None,
    round_trip: bool = False,
    progress: bool = True,
) -> Findings:
    """Send a test mail from an account.

    Args:
        address: The account's address.
        to: The recipient; None for the mailbox itself.
        round_trip: Also wait until the mail arrives in the account's own mailbox.
        progress: Show progress in a notebook or on a terminal.

    Raises:
        NotFoundError: there is no such account.
        InputError: the recipient is not an address.

    >>> msoauth.send_test(ws, "anna.lindqvist@contoso.example", progress=False).passed
    True
    """
    account = workspace.accounts.get(address)
    findings = account_mail.send_test(workspace, account, to=to, round_trip=round_trip)
    return Findings(_with_progress_bar(findings, _("Sending a test mail"), None, show=progress))


def sign_in(workspace: Workspace, address: str, via: "Flow | None" = None) -> "SignIn[SignedIn]":
    """Start the sign-in of an account's user.

    Args:
        address: The account's address.
        via: The flow: ``browser``, ``device`` or ``paste``; None for one that works on this computer.

    Returns:
        The attempt: ``url``, ``code`` and ``message`` are to be shown to the user; ``wait()`` returns who signed in once
        the tokens are stored; ``cancel()`` ends it. With *via* ``paste``, ``paste(text)`` takes the redirect URL at which
        the browser ended.

    Raises:
        NotFoundError: there is no such account.
        AuthError: Microsoft's sign-in service refused, or cannot be reached.
        InputError: the firm's app registration does not allow *via*.

    >>> attempt = msoauth.sign_in(ws, "anna.lindqvist@contoso.example", via="paste")
    >>> attempt.url.startswith("http://localhost:")
    True
    >>> attempt.cancel()
    """
    from msoauth.identity import signin

    return signin.start(workspace, workspace.accounts.get(address), via, open_browser=False)


class Problems(Listing[CauseGroup]):
    """The problems of an audit by cause, those of the most accounts first.

    >>> msoauth.audit(ws, progress=False).problems
    0 problems
    """

    headers = ("signal", "firm", "accounts", "what", "who")

    def __init__(self, groups: Sequence[CauseGroup]) -> None:
        self._items = tuple(groups)

    def frame(self) -> "pd.DataFrame":
        """A row for each problem; ``addresses`` holds the affected accounts."""
        from msoauth.reports.columns import causes_frame

        return causes_frame(self)

    def _caption(self) -> str:
        count = len(self)
        return ngettext("{count} problem", "{count} problems", count).format(count=f"{count:,}")

    def _cells(self, group: CauseGroup) -> tuple[object, ...]:
        return (
            f"{group.signal.shape} {group.signal}",
            group.firm,
            len(group.accounts),
            labels.group_label(group),
            labels.who_label(labels.group_who(group)),
        )


class AuditResult(Listing[AccountResult]):
    """A finished audit: iterate over it for the result of each account.

    Attributes:
        run: The id that its findings share.
        status: The status of every account of these firms after the audit.

    >>> result = msoauth.audit(ws, progress=False)
    >>> len(result), list(result.frame()["signal"].unique())
    (5, ['passed'])
    """

    headers = ("signal", "firm", "account", "cause")

    def __init__(
        self, workspace: Workspace, audit: Audit, results: Iterable[AccountResult]
    ) -> None:
        all_results = list(results)
        self._items = [result for result in all_results if result.account is not None]
        self._findings = [finding for result in all_results for finding in result.findings]
        self.run = audit.run
        names = audit.firms
        self.status: Status = status(workspace, firm=names, silent_days=audit.silent_days)
        self._history = history(workspace, names)

    @property
    def problems(self) -> Problems:
        """The problems by cause, including what works now but is about to stop."""
        return Problems(self.status.groups)

    @property
    def findings(self) -> Findings:
        """Every finding of this audit, those about the firms included."""
        return Findings(self._findings)

    def frame(self) -> "pd.DataFrame":
        """A row for each account: its signal, what is wrong, who can fix it, when it last worked (UTC)."""
        from msoauth.reports.columns import accounts_frame

        return accounts_frame(self.status.accounts)

    def to_html(self, path: str | Path) -> None:
        """Write the report as one HTML page that opens offline.

        Raises:
            OSError: the file cannot be written.
        """
        self._write("html", path)

    def to_excel(self, path: str | Path) -> None:
        """Write the report as an Excel workbook.

        Raises:
            OSError: the file cannot be written.
        """
        self._write("xlsx", path)

    def to_csv(self, path: str | Path) -> None:
        """Write the accounts as CSV with semicolons and a byte order mark, as Excel opens it.

        Raises:
            OSError: the file cannot be written.
        """
        self._write("csv", path)

    def _write(self, kind: "Kind", path: str | Path) -> None:
        from msoauth.reports.write import report

        private_files.write(
            private_files.resolve(Path(path)), report(kind, self.status, self._history)
        )

    def _caption(self) -> str:
        count = len(self.status.accounts)
        heading = ngettext("{count} account: ", "{count} accounts: ", count).format(
            count=f"{count:,}"
        )
        return heading + labels.counts_line(self.status.signals)

    def _cells(self, result: AccountResult) -> tuple[object, ...]:
        cause = result.issue.cause or result.issue.check if result.issue else ""
        address = result.account.address if result.account else ""
        return (f"{result.signal.shape} {result.signal}", result.firm.name, address, cause)


class AuditOptions(TypedDict, total=False):
    """The options that :func:`audit` hands on to the audit; see there."""

    workers: int
    per_firm: int
    per_mailbox: int
    send: bool
    silent_days: int
    fresh: bool
    share: bool
    timeout: float
    cancelled: threading.Event


@overload
def audit(
    workspace: Workspace,
    firm: str | Sequence[str] | None = ...,
    *,
    stream: Literal[True],
    **options: Unpack[AuditOptions],
) -> Audit: ...
@overload
def audit(
    workspace: Workspace,
    firm: str | Sequence[str] | None = ...,
    *,
    stream: Literal[False] = ...,
    progress: bool = ...,
    **options: Unpack[AuditOptions],
) -> AuditResult: ...
def audit(
    workspace: Workspace,
    firm: str | Sequence[str] | None = None,
    *,
    stream: bool = False,
    progress: bool = True,
    **options: Unpack[AuditOptions],
) -> "Audit | AuditResult":
    """Check all accounts of a workspace, or of some firms, many at once.

    Args:
        firm: A firm's name or several; None for all.
        stream: Return the audit itself, not yet started: iterating over it runs it and yields the result of each account
            as it finishes, and one result for each firm, with ``account`` None.
        progress: Show progress in a notebook or on a terminal.
        options: ``workers``, ``per_firm`` and ``per_mailbox`` (how many accounts are checked at once: in all, of one
            tenant, and of one user), ``send`` (also send a test mail to each mailbox itself), ``silent_days`` (days
            without new mail after which a mailbox is called silent), ``fresh`` (start over instead of resuming),
            ``timeout`` (seconds of each step of a conversation with a server), ``cancelled`` (an event that ends it).

    Raises:
        NotFoundError: there is no such firm.
        InputError: an option cannot be used, or another audit of this workspace is running.
        VaultError: the key that seals the secrets is missing or wrong; nothing was checked.
        StoreError: the workspace can no longer be written.

    >>> result = msoauth.audit(ws, progress=False)
    >>> result.problems
    0 problems
    >>> for result in msoauth.audit(ws, "Contoso Legal", stream=True):
    ...     assert result.signal == "passed", result.account
    """
    if "share" in options:
        warnings.warn("share= goes with the next release", DeprecationWarning, stacklevel=2)
    running = Audit(workspace, firm=firm, **options)
    if stream:
        return running
    results = _with_progress_bar(
        running,
        _("Auditing"),
        running.progress.total,
        done=lambda: running.progress.done,
        show=progress,
    )
    return AuditResult(workspace, running, results)


def _run_checks(selection: Sequence[Check], context: Context, *, progress: bool) -> Findings:
    applicable = [check for check in selection if check.applies(context)]
    findings = checks.run(applicable, context)
    return Findings(_with_progress_bar(findings, _("Checking"), len(applicable), show=progress))


def _with_progress_bar(
    items: Iterable[Item],
    what: str,
    total: int | None,
    *,
    show: bool,
    done: Callable[[], int] | None = None,
) -> Iterator[Item]:
    """Yield *items* as they come, and count them on a progress bar in a notebook or on a terminal.

    Args:
        done: Returns how many of *total* are done, if that is not the number of items so far.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from msoauth.terminal import Screen

    screen = Screen(stderr=True)
    visible = show and (screen.is_terminal or screen.is_jupyter)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=screen, transient=True, disable=not visible) as bar:
        task = bar.add_task(what, total=total)
        for count, item in enumerate(items, 1):
            bar.update(task, completed=done() if done else count)
            yield item

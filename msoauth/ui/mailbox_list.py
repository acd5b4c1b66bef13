"""Shows the table of mailboxes in step 2: the sign-in status of each, and its buttons."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from msoauth.addresses import key
from msoauth.explaining import for_cause
from msoauth.identity import sign_in_history
from msoauth.identity.signin import fixed_by_signing_in
from msoauth.judgement import root_cause, worst
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.store import TokenStatus, Workspace
from msoauth.texts import _
from msoauth.ui import html
from msoauth.ui.session import Session
from msoauth.ui.widgets import View

_Row = Sequence[Markup | str]


@dataclass(frozen=True, slots=True)
class SignInStatus:
    """The sign-in status of a mailbox.

    Attributes:
        state: The state of its dot.
        cause: Why it has not passed: an id of the catalogue of causes, or empty.
    """

    state: html.State
    cause: str = ""

    @property
    def title(self) -> str:
        """The cause in a few words, or empty."""
        return for_cause(self.cause).title if self.cause and self.cause != "unknown" else ""

    @property
    def needs_sign_in(self) -> bool:
        """Whether signing in again fixes it."""
        return self.state is Signal.FAILED and fixed_by_signing_in(self.cause)


class MailboxList(View):
    """The mailboxes of the chosen firm, one a row.

    Attributes:
        statuses: Sign-in statuses by address; without an entry, a mailbox with tokens counts as passed.
    """

    def __init__(self, session: Session, on_action: Callable[[str, str], None]) -> None:
        super().__init__(on_action=on_action)
        self._session = session
        self.statuses: dict[str, SignInStatus] = {}

    def recall(self) -> None:
        """Take the statuses from the journal, unless some are known already."""
        self.statuses = self.statuses or self._recorded()

    def end_running(self) -> None:
        """Replace every running status with the one from the journal, because nothing is under way any more."""
        recorded = self._recorded()
        self.statuses = {
            address: recorded[address] if status.state == "running" else status
            for address, status in self.statuses.items()
            if status.state != "running" or address in recorded
        }

    def draw(self) -> None:
        """Draw the table."""
        firm, accounts = self._session.firm(), self._session.accounts()
        if firm is None or not accounts:
            text = _("No mailbox yet. Add the first one below.")
            self.show(html.paragraph(text) if firm else Markup(""))
            return
        app_only = firm.access == "app-only"
        rows = [self._app_only_row(a) if app_only else self._row(a) for a in accounts]
        head = [_("Sign-in"), _("Mailbox"), _("Retrieved by"), _("Token last used"), _("Actions")]
        self.show(html.table(head, rows, times=[3, 4], label=_("Mailboxes")))

    def summary(self) -> tuple[Signal, str | None]:
        """The signal and word for the whole list: passed only when every mailbox is ready."""
        firm, accounts = self._session.firm(), self._session.accounts()
        states = [self.statuses[a.address].state for a in accounts if a.address in self.statuses]
        if firm is not None and firm.access == "app-only":
            ready = bool(accounts) and states == [Signal.PASSED] * len(accounts)
            word = _("nobody signs in")
        else:
            tokens = self._session.workspace.tokens
            signed_in = sum(tokens.status(a.address) is not None for a in accounts)
            ready = bool(accounts) and signed_in == len(accounts)
            word = _("{n} of {all} signed in").format(n=signed_in, all=len(accounts))
        signals = [state for state in states if isinstance(state, Signal)]
        signals.append(Signal.PASSED if ready else Signal.NOT_RUN)
        return worst(signals), word if accounts else None

    def _recorded(self) -> dict[str, SignInStatus]:
        firm = self._session.firm()
        return (
            last_statuses(self._session.workspace, firm, self._session.accounts()) if firm else {}
        )

    def _row(self, account: Account) -> _Row:
        """The row of a mailbox whose user signs in."""
        tokens = self._session.workspace.tokens.status(account.address)
        status = self.statuses.get(account.address)
        status = status or SignInStatus(Signal.PASSED if tokens else Signal.NOT_RUN)
        labels: dict[html.State, str] = {
            Signal.PASSED: _("signed in"),
            Signal.NOT_RUN: _("not signed in"),
        }
        notes = []
        if account.login:
            notes.append(_("signs in as {user}").format(user=account.login))
        if status.title and status.state is not Signal.PASSED:
            notes.append(status.title)
        practice = self._session.practice
        if tokens is None and practice and (password := practice.password(account.user)):
            notes.append(_("practice password: {password}").format(password=password))
        return (
            html.dot(status.state, labels.get(status.state)),
            _with_note(account.address, "; ".join(notes)),
            account.protocol.upper(),
            f"{tokens.refreshed_at.astimezone():%Y-%m-%d %H:%M}" if tokens else "",
            Markup(" ").join(_buttons(account.address, tokens, status)),
        )

    def _app_only_row(self, account: Account) -> _Row:
        """The row of a mailbox with app-only access, to which nobody signs in."""
        status = self.statuses.get(account.address, SignInStatus(Signal.NOT_RUN))
        check = html.button(_("Check"), "check", account.address, primary=True, small=True)
        remove = html.button(_("Remove"), "remove", account.address, small=True)
        return (
            html.dot(status.state),
            _with_note(account.address, status.title),
            account.protocol.upper(),
            "",
            check + " " + remove,
        )


def _with_note(address: str, note: str) -> Markup:
    quiet = Markup('<br><span class="mso-quiet">{}</span>').format(note)
    return Markup("{}{}").format(address, quiet if note else "")


def _buttons(address: str, tokens: TokenStatus | None, status: SignInStatus) -> list[Markup]:
    if tokens is None:
        return [
            html.button(_("Authenticate"), "sign-in", address, primary=True, small=True),
            html.button(_("Remove"), "remove", address, small=True),
        ]
    sign_in_again = html.button(
        _("Sign in again"), "sign-in", address, primary=status.needs_sign_in, small=True
    )
    if status.needs_sign_in:
        return [sign_in_again]
    has_problem = status.state in (Signal.FAILED, Signal.WARNING)
    check = html.button(
        _("Check again") if has_problem else _("Check"),
        "check",
        address,
        primary=has_problem,
        small=True,
    )
    return [sign_in_again, check, html.button(_("Sign out"), "sign-out", address, small=True)]


def status_of(findings: Iterable[Finding]) -> SignInStatus:
    """The sign-in status that follows from the findings of one run."""
    rows = list(findings)
    problem = root_cause(rows)
    return SignInStatus(worst(f.signal for f in rows), (problem and problem.cause) or "")


def is_about_sign_in(finding: Finding) -> bool:
    """Whether a finding tells the state of a sign-in; one about a cancelled sign-in does not."""
    cancelled = finding.check == sign_in_history.CHECK and finding.signal is Signal.SKIPPED
    return finding.check.startswith("sign-in.") and not cancelled


def last_statuses(
    workspace: Workspace, firm: Firm, accounts: Iterable[Account]
) -> dict[str, SignInStatus]:
    """The sign-in status from each mailbox's last check, by address; none where somebody has signed in since."""
    runs: dict[str, list[Finding]] = {}
    for finding in workspace.journal.findings(firm=firm.name, limit=2000):
        if is_about_sign_in(finding) and finding.account:
            latest_run = runs.setdefault(key(finding.account), [])
            if latest_run and latest_run[0].run != finding.run:
                latest_run.clear()
            latest_run.append(finding)
    statuses = {}
    for account in accounts:
        findings = runs.get(key(account.address), [])
        if findings and _still_holds(workspace, firm, account, findings):
            statuses[account.address] = status_of(findings)
    return statuses


def _still_holds(
    workspace: Workspace, firm: Firm, account: Account, findings: list[Finding]
) -> bool:
    needed_sign_in = any(finding.check == "sign-in.present" for finding in findings)
    if firm.access == "app-only":
        return not needed_sign_in
    status = workspace.tokens.status(account.address)
    return status is not None and findings[-1].at >= status.signed_in_at

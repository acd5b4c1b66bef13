"""Shows step 0: what msoauth is for, whether this is practice, the state of the workspace, and the next step."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import ipywidgets
from markupsafe import Markup

from msoauth.judgement import succeeded, worst
from msoauth.microsoft_changes import complete
from msoauth.model import Finding, Link, Signal
from msoauth.texts import _, ngettext
from msoauth.ui import header, html
from msoauth.ui.panel import Panel
from msoauth.ui.widgets import View

if TYPE_CHECKING:
    import pandas as pd

_RECENT = 200  # latest findings of the chosen firm or mailbox that are read
_COUNT_LIMIT = 2000  # mailboxes whose sign-in is looked up at most


class _Step(NamedTuple):
    """How far a step of the onboarding has got.

    Attributes:
        details: What its checks covered and when, for people.
    """

    state: Signal = Signal.NOT_RUN
    details: str = ""
    done: bool = False


class StartPanel(Panel):
    """The panel that shows which steps are done for the chosen firm."""

    step = 0

    def name(self) -> str:
        return _("Start here")

    def content(self) -> Sequence[ipywidgets.Widget]:
        self.about = View()
        self.steps = View(live=True)
        self.place = View()
        return [self.about, self.steps, self.place]

    def refresh(self) -> None:
        super().refresh()
        self.about.show(self._about())
        steps = self._steps()
        self.steps.show(self._table(steps))
        self.place.show(self._place())
        done = sum(step.done for step in steps)
        if done == len(steps):
            self.set_state(Signal.PASSED, _("everything works"))
        else:
            word = _("{done} of {all} steps done").format(done=done, all=len(steps))
            self.set_state(Signal.NOT_RUN, word)

    def frame(self) -> "pd.DataFrame":
        """The firms of the workspace, one a row, as a DataFrame."""
        import pandas as pd

        rows = []
        for firm in self.session.firms():
            accounts = self.workspace.accounts.list(firm.name)
            latest = next(iter(self.workspace.journal.findings(firm=firm.name, limit=1)), None)
            rows.append(
                {
                    "firm": firm.name,
                    "place": firm.cloud.label,
                    "tenant": firm.tenant,
                    "client_id": firm.client_id,
                    "secret_expires": firm.secret_expires,
                    "mailboxes": len(accounts),
                    "signed_in": self._signed_in([a.address for a in accounts]),
                    "last_finding": latest.at if latest else None,
                }
            )
        names = [
            "firm",
            "place",
            "tenant",
            "client_id",
            "secret_expires",
            "mailboxes",
            "signed_in",
            "last_finding",
        ]
        frame = pd.DataFrame(rows, columns=names)
        frame["last_finding"] = pd.to_datetime(frame["last_finding"], utc=True)
        return frame

    # Display

    def _about(self) -> Markup:
        parts = [
            html.paragraph(
                _(
                    "{passwords} A firm needs an app registration in its directory, and every user signs in once in a "
                    "browser; then mail software can retrieve and send. These notebooks lead through it, check every "
                    "step against the real servers, and say what is wrong, who can fix it and how."
                ).format(
                    passwords=complete(
                        "{change:pop-imap-passwords-off} {change:smtp-passwords-off}"
                    )
                )
            )
        ]
        practice = self.session.practice
        firm = self.session.firm()
        if practice is not None:
            parts.append(
                html.box(
                    "note",
                    html.paragraph(
                        _(
                            "The practice tenant is running: a whole Microsoft 365 tenant that is not Microsoft's, to try "
                            "everything without harm. {} Its users and passwords are shown where they are needed."
                        ),
                        html.link(Link(_("Its admin center"), practice.admin)),
                    ),
                )
            )
        elif firm is not None and firm.cloud.is_practice:
            parts.append(
                html.box(
                    "warning",
                    _(
                        "{firm} is a firm of the practice tenant, and that is not running: start “msoauth lab” again."
                    ).format(firm=firm.name),
                )
            )
        if self.session.public:
            parts.append(
                html.box(
                    "warning",
                    _(
                        "This is a public computer of somebody else: use the practice tenant only. Real client "
                        "secrets, passwords and tokens do not belong here."
                    ),
                )
            )
        return Markup("").join(parts)

    def _steps(self) -> list[_Step]:
        """How far steps 1 to 5 have got for the chosen firm and mailbox."""
        firm, account = self.session.firm(), self.session.account()
        if firm is None:
            return [_Step(details=_("not registered yet")), *[_Step()] * 4]
        firm_findings = list(
            self.workspace.journal.findings(firm=firm.name, account="", limit=_RECENT)
        )
        accounts = [a.address for a in self.session.accounts()]
        signed_in = self._signed_in(accounts)
        account_findings = (
            list(self.workspace.journal.findings(account=account.address, limit=_RECENT))
            if account
            else []
        )
        all_signed_in = bool(accounts) and signed_in == len(accounts)
        mail = _newest(account_findings, "mail.retrieve", "smtp.send", "mail.round-trip")
        diagnosis = _newest(account_findings, "network.", "pop3.", "imap.", "smtp.login")
        all_findings = list(self.workspace.journal.findings(firm=firm.name, limit=_RECENT))
        return [
            self._step_from(_newest(firm_findings, "registration."), firm.name),
            _Step(
                Signal.PASSED if all_signed_in else Signal.NOT_RUN,
                _("{n} of {all} signed in").format(n=signed_in, all=len(accounts))
                if accounts
                else _("no mailbox yet"),
                all_signed_in,
            ),
            self._step_from(mail, account.address if account else ""),
            self._step_from(diagnosis, account.address if account else ""),
            self._step_from(_last_run_of_many(all_findings), firm.name),
        ]

    @staticmethod
    def _step_from(rows: Sequence[Finding], subject: str) -> _Step:
        if not rows:
            return _Step()
        when = max(f.at for f in rows).astimezone()
        text = _("{whose}, {when}").format(whose=subject, when=f"{when:%Y-%m-%d %H:%M}")
        return _Step(worst(f.signal for f in rows), text, succeeded(rows))

    def _table(self, steps: Sequence[_Step]) -> Markup:
        undone = next((number for number, step in enumerate(steps, 1) if not step.done), None)
        rows = []
        for number, step in enumerate(steps, 1):
            link = header.notebook_link(number)
            if number == undone:
                link = Markup('<strong>{}</strong> <span class="mso-next">{}</span>').format(
                    link, _("go on here")
                )
            rows.append((link, html.dot(step.state), step.details))
        return html.table([_("Step"), _("State"), _("What is known")], rows, label=_("Steps"))

    def _place(self) -> Markup:
        firms = len(self.session.firms())
        return html.facts(
            [
                (_("Workspace"), str(self.workspace.folder)),
                (_("Firms"), str(firms)),
                (
                    _("Stored there"),
                    ngettext(
                        "the firm, its mailboxes, sealed secrets and tokens, every finding, retrieved mail, and your copies of these notebooks",
                        "the firms, their mailboxes, sealed secrets and tokens, every finding, retrieved mail, and your copies of these notebooks",
                        firms,
                    ),
                ),
            ]
        )

    def _signed_in(self, addresses: Sequence[str]) -> int:
        return sum(self.workspace.tokens.status(a) is not None for a in addresses[:_COUNT_LIMIT])


def _newest(rows: Sequence[Finding], *checks: str) -> list[Finding]:
    """The latest finding of each check whose id starts with one of *checks*."""
    return list({f.check: f for f in rows if f.check.startswith(checks)}.values())


def _last_run_of_many(rows: Sequence[Finding]) -> list[Finding]:
    """The findings of the latest run that covered more than one mailbox, and so was an audit."""
    accounts: dict[str, set[str]] = {}
    for finding in rows:
        if finding.account:
            accounts.setdefault(finding.run, set()).add(finding.account)
    runs = [run for run, addresses in accounts.items() if len(addresses) > 1]
    return [f for f in rows if runs and f.run == runs[-1]]

"""Shows step 5: audits all accounts of all firms, and shows the latest status, cause and findings of each."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import ipywidgets
from markupsafe import Markup

from msoauth.addresses import key
from msoauth.auditing import Audit, labels
from msoauth.auditing.history import history
from msoauth.auditing.progress import Progress
from msoauth.auditing.status import CauseGroup, Status
from msoauth.auditing.status import status as current_status
from msoauth.checks import DIAGNOSE, Context
from msoauth.errors import InputError
from msoauth.judgement import root_cause, verdict
from msoauth.model import Finding
from msoauth.reports import charts
from msoauth.reports.columns import accounts_frame, causes_frame
from msoauth.reports.html_report import STAGES, changes_line, table_data
from msoauth.reports.latest_findings import latest_findings
from msoauth.reports.letter import fixable_by_it_department, letter
from msoauth.reports.write import MEDIA, Kind, report
from msoauth.texts import _, ngettext
from msoauth.ui import html
from msoauth.ui.audit_table import AccountTable
from msoauth.ui.jobs import Job
from msoauth.ui.letter_view import LetterView
from msoauth.ui.panel import Panel, clear
from msoauth.ui.widgets import Form, View

if TYPE_CHECKING:
    import pandas as pd

_DEFAULT_WORKERS = 32
_PROGRESS_INTERVAL = 0.4  # seconds between two updates of the progress
_TABLE_INTERVAL = 4.0  # seconds between two updates of the table during an audit
_LIVE_TABLE_LIMIT = 2000  # with more accounts the table is only updated at the end
_MAX_CAUSES = 12


class AuditPanel(Panel):
    """The panel that runs the audit and shows the status of every account."""

    step = 5
    _auditing = False  # whether the job under way is an audit, and not the diagnosis of one account

    def name(self) -> str:
        return _("Audit")

    def content(self) -> Sequence[ipywidgets.Widget]:
        self.status: Status | None = None
        self.options = Form(
            [
                {
                    "name": "workers",
                    "label": _("Accounts at once"),
                    "kind": "number",
                    "hint": _(
                        "More is faster; a tenant that says “too many” is asked less by itself"
                    ),
                },
                {
                    "name": "send",
                    "label": _("Also send a test mail to each mailbox itself"),
                    "kind": "checkbox",
                    "hint": _("Otherwise nothing is sent"),
                },
                {
                    "name": "fresh",
                    "label": _("Begin anew"),
                    "kind": "checkbox",
                    "hint": _("Otherwise an audit that was broken off goes on where it stopped"),
                },
            ],
            [
                {"name": "audit", "label": _("Audit all accounts"), "primary": True},
                {"name": "cancel", "label": _("Cancel"), "disabled": True},
                {"name": "xlsx", "label": _("Save as Excel")},
                {"name": "html", "label": _("Save as HTML page")},
                {"name": "csv", "label": _("Save as CSV")},
            ],
            {"workers": str(_DEFAULT_WORKERS), "send": False, "fresh": False},
            on_press=self._pressed,
        )
        self.progress = View(live=True)
        self.causes = View(on_action=self.on_action)
        self.table = AccountTable(on_open=self.open)
        self.charts = View()
        self.letter = LetterView(self)
        return [self.options, self.progress, self.causes, self.charts, self.table]

    # Display

    def refresh(self) -> None:
        super().refresh()
        self.show_status()
        self.set_busy(self.jobs.busy)

    def set_busy(self, working: bool) -> None:
        some = bool(self.status and self.status.accounts)
        self.options.enable(
            audit=some and not working, cancel=working, xlsx=some, html=some, csv=some
        )

    def on_choice(self, *, firm: bool) -> None:
        """Filter the table by the chosen firm; an audit under way goes on, because it covers all firms."""
        self.draw_bar()
        chosen = self.session.firm()
        if firm and chosen is not None:
            self.table.choose("firm", chosen.name)

    def show_status(self) -> None:
        """Show the latest status of all accounts."""
        status = self.status = current_status(self.workspace)
        self.table.show(table_data(status.accounts))
        runs = list(reversed(history(self.workspace)))
        drawings = [charts.signals_over_time(runs), charts.seconds_over_time(runs, STAGES)]
        self.charts.show(
            Markup('<div class="mso-charts">{}</div>').format(Markup("").join(drawings))
            if runs
            else Markup("")
        )
        self.causes.show(self._causes(status))
        if not self.jobs.busy:
            self.set_state(status.signal, labels.counts_words(status.signals) or None)

    def _causes(self, status: Status) -> Markup:
        if not status.accounts:
            return html.box("note", _("There is no account yet: add some in step 2."))
        parts = [html.paragraph(line)] if (line := changes_line(status)) else []
        if status.groups:
            rows = [self._cause(group) for group in status.groups[:_MAX_CAUSES]]
            heads = [_("Signal"), _("What they hang on"), _("Firm"), _("Who can mend it"), ""]
            parts.append(html.table(heads, rows, label=_("What hangs on one cause")))
            more = len(status.groups) - _MAX_CAUSES
            if more > 0:
                parts.append(html.paragraph(_("… and {count} more causes.").format(count=more)))
        return Markup("").join(parts)

    def _cause(self, group: CauseGroup) -> list[Markup | str]:
        who = labels.group_who(group)
        value = f"{group.cause or group.check}\n{group.firm}"
        buttons = [
            html.button(_("Show these"), "filter" if group.cause else "find", value, small=True)
        ]
        if group.cause and not group.expiring and fixable_by_it_department(group.cause, who):
            buttons.append(html.button(_("Request to the firm's IT"), "letter", value, small=True))
        return [
            html.dot(group.signal, labels.signal_label(group.signal)),
            labels.group_line(group),
            group.firm,
            labels.who_label(who),
            Markup(" ").join(buttons),
        ]

    # Actions

    def on_action(self, name: str, value: str) -> None:
        if name in ("filter", "find"):
            what, _line, firm = value.partition("\n")
            self.table.choose("cause" if name == "filter" else "find", what)
            self.table.choose("firm", firm)
        elif name == "letter":
            cause, _line, firm = value.partition("\n")
            request = letter(self.workspace, self.workspace.firms.get(firm), cause=cause)
            self.results.show(self.letter.show(request))
            self.results.reveal()
        elif name == "letter-save":
            self.letter.save(value)
        elif name == "diagnose":
            self._diagnose(value)
        else:
            super().on_action(name, value)

    def cancel(self) -> None:
        """Cancel the audit or diagnosis; findings made so far are kept."""
        if not self.jobs.busy:
            return
        super().cancel()
        if self._auditing:
            clear(self.message)
            text = _(
                "Cancelled. What was found out is kept; the next audit goes on where this one stopped."
            )
            self.progress.show(html.box("note", text))
        self.show_status()

    def _pressed(self, name: str) -> None:
        if name == "cancel":
            self.cancel()
        elif name == "audit":
            self._audit()
        elif name in MEDIA:
            self._save(name)

    def _audit(self) -> None:
        if self.jobs.busy:
            return
        workers = self.options.text("workers").strip()
        if not workers.isdigit() or not 1 <= int(workers) <= 512:
            self.options.errors = {"workers": _("A number from 1 to 512.")}
            return
        self.options.errors = {}
        audit = Audit(
            self.workspace,
            workers=int(workers),
            send=bool(self.options.values.get("send")),
            fresh=bool(self.options.values.get("fresh")),
        )

        def work(job: Job) -> None:
            job.on_cancel(audit.cancel)
            progress_shown_at = table_drawn_at = time.monotonic()
            for _result in audit:
                now = time.monotonic()
                if now - progress_shown_at >= _PROGRESS_INTERVAL:
                    progress_shown_at = now
                    self.jobs.show(job, lambda: self._show_progress(audit.progress))
                if (
                    now - table_drawn_at >= _TABLE_INTERVAL
                    and audit.progress.total <= _LIVE_TABLE_LIMIT
                ):
                    table_drawn_at = now
                    self.jobs.show(job, self.show_status)
            if not audit.cancelled:
                self.jobs.show(job, lambda: self._done(audit))

        clear(self.message, self.results)
        self._auditing = True
        self.set_state("running")
        self._show_progress(audit.progress)
        self.set_busy(True)
        self.jobs.start(work)

    def _show_progress(self, progress: Progress) -> None:
        bar = Markup(
            '<progress class="mso-progress" max="{}" value="{}" aria-label="{}"></progress>'
        )
        self.progress.show(
            Markup("<p>{}<br>{}<br>{}</p>").format(
                bar.format(max(1, progress.total), progress.done, _("Accounts done")),
                progress.text(),
                labels.counts_line(progress.signals),
            )
        )

    def _done(self, audit: Audit) -> None:
        self.jobs.finish()
        self.show_status()
        self.set_busy(False)
        progress = audit.progress
        count, seconds = progress.done - audit.skipped, round(progress.elapsed)
        text = _("Audited: {accounts} in {duration}.").format(
            accounts=ngettext("{n:,} account", "{n:,} accounts", count).format(n=count),
            duration=ngettext("{n:,} second", "{n:,} seconds", seconds).format(n=seconds),
        )
        self.progress.show(html.box("note", text))

    def open(self, address: str) -> None:
        """Show the latest findings of an account, with a button to diagnose it."""
        account = self.workspace.accounts.get(address)
        by_address = latest_findings(self.workspace, account.firm, account)
        rows = [*by_address.get("", []), *by_address.get(key(account.address), [])]
        self.show_account(address, rows)

    def show_account(self, address: str, rows: Sequence[Finding]) -> None:
        """Show an account's findings, with the root cause unfolded."""
        self.rows = list(rows)
        problem = root_cause(self.rows)
        head = Markup("<h3>{}</h3>").format(address)
        line = html.paragraph(verdict(self.rows) if self.rows else _("It was never checked."))
        button = html.button(_("Diagnose now"), "diagnose", address, primary=True)
        table = html.findings(self.rows, opened=problem.check if problem else None)
        self.results.show(Markup("").join([head, line, button, table]))
        self.results.reveal()

    def _diagnose(self, address: str) -> None:
        if self.jobs.busy:
            text = _("An audit is under way; diagnose when it is done, or cancel it.")
            self.message.show(html.box("note", text))
            return
        account = self.workspace.accounts.get(address)
        firm = self.workspace.firms.get(account.firm)

        def work(job: Job) -> None:
            findings = self.run_checks(job, DIAGNOSE, Context(self.workspace, firm, account))

            def done() -> None:
                self.jobs.finish()
                clear(self.message)
                self.show_status()
                self.set_busy(False)
                self.show_account(address, findings)

            self.jobs.show(job, done)

        self._auditing = False
        self.start(_("Checking {address} …").format(address=address), work)

    def _save(self, kind: Kind) -> None:
        """Have the browser save a report."""
        if self.status is None or not self.status.accounts:
            raise InputError(_("There is nothing to report yet."))
        content = report(kind, self.status, history(self.workspace))
        self.download(f"audit-{self.status.at:%Y-%m-%d}.{kind}", content, MEDIA[kind])

    # DataFrames

    def frame(self) -> "pd.DataFrame":
        """The latest status of every account, one a row."""
        return accounts_frame(self.status.accounts if self.status else ())

    def causes_frame(self) -> "pd.DataFrame":
        """The problems by cause, one a row."""
        return causes_frame(self.status.groups if self.status else ())

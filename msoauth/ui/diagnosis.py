"""Shows step 4: runs every check for one account, shows the root cause with its fix, and explains any error text."""

from collections.abc import Sequence

import ipywidgets
from markupsafe import Markup

from msoauth.checks import DIAGNOSE, ROUND_TRIP, SEND, Check, Context
from msoauth.graph import Graph
from msoauth.judgement import root_cause, succeeded, verdict, worst
from msoauth.model import Finding, Signal
from msoauth.texts import _
from msoauth.ui import html
from msoauth.ui.administrator import AdministratorSection
from msoauth.ui.diagnosis_actions import DiagnosisActions
from msoauth.ui.explanation_view import ExplanationView
from msoauth.ui.jobs import Job
from msoauth.ui.panel import Panel, clear
from msoauth.ui.session import Session
from msoauth.ui.widgets import Form, View

_RECENT = 200  # newest findings of the account in which to look for its last diagnosis


class DiagnosePanel(Panel):
    """The panel that diagnoses an account, or explains an error text."""

    step = 4

    def __init__(self, session: Session | None = None, *, inline: bool = False) -> None:
        self._graph: dict[str, Graph] = {}
        self.actions = DiagnosisActions(self)
        super().__init__(session, inline=inline)

    def name(self) -> str:
        return _("Diagnose")

    def content(self) -> Sequence[ipywidgets.Widget]:
        self._checks: list[Check] = []
        self.choice = Form(
            [
                {
                    "name": "send",
                    "label": _("Also send a test mail to the mailbox itself, and wait for it"),
                    "kind": "checkbox",
                }
            ],
            [
                {"name": "diagnose", "label": _("Diagnose"), "primary": True},
                {"name": "cancel", "label": _("Cancel"), "disabled": True},
            ],
            {"send": False},
            on_press=self._pressed,
        )
        self.check_row = View(live=True)
        self.administrator = AdministratorSection(self, self._graph)
        self.transcripts = View()
        self.error_form = Form(
            [
                {
                    "name": "text",
                    "label": _("Any error text"),
                    "kind": "textarea",
                    "hint": _(
                        "A reply, a log, a mail, the words of a sign-in page; it stays on this computer"
                    ),
                }
            ],
            [{"name": "explain", "label": _("Explain"), "primary": True}],
            {"text": ""},
            on_press=self._explain,
        )
        self.explanation = ExplanationView(self.session, self.actions.preview_with_text)
        return [
            *(self.choice, *self.administrator.widgets, self.check_row),
            *(self.error_form, self.explanation),
        ]

    def after_results(self) -> Sequence[ipywidgets.Widget]:
        return [self.transcripts, self.actions.view]

    def refresh(self) -> None:
        super().refresh()
        self.administrator.draw()
        self.transcripts.show(self.actions.transcripts())
        self.set_busy(False)
        self._recall()

    def _recall(self) -> None:
        """Show the account's last diagnosis from the journal, for instance after the kernel was restarted."""
        account = self.session.account()
        if account is None or self._checks:
            return
        findings = list(self.workspace.journal.findings(account=account.address, limit=_RECENT))
        runs = [finding.run for finding in findings if finding.check.startswith("network.")]
        latest = {
            finding.check: finding for finding in findings if runs and finding.run == runs[-1]
        }
        self._checks = [c for c in (*DIAGNOSE, *SEND, *ROUND_TRIP) if c.id in latest]
        self.recall(list(latest.values()))

    def set_busy(self, working: bool) -> None:
        self.choice.enable(
            diagnose=self.session.account() is not None and not working, cancel=working
        )

    def cancel(self) -> None:
        if self.jobs.busy:
            super().cancel()
            self.administrator.draw()

    def on_choice(self, *, firm: bool) -> None:
        clear(self.check_row, self.transcripts)
        self._checks = []
        self.actions.clear()
        super().on_choice(firm=firm)

    def on_action(self, name: str, value: str) -> None:
        super().on_action(name, value)
        self.actions.on_action(name, value)

    def _pressed(self, name: str) -> None:
        if name == "cancel":
            self.cancel()
            return
        account = self.session.account()
        if account is None or self.jobs.busy:
            return
        firm = self.workspace.firms.get(account.firm)
        checks = (*DIAGNOSE, *SEND, *ROUND_TRIP) if self.choice.values.get("send") else DIAGNOSE
        context = Context(
            self.workspace, firm, account, graph=self.administrator.graph.get(firm.name)
        )

        def work(job: Job) -> None:
            findings = self.run_checks(job, checks, context)
            self.jobs.show(job, lambda: self._done(context, findings))

        self._checks = [check for check in checks if check.applies(context)]
        self.actions.clear()
        clear(self.transcripts)
        self.set_state("running")  # before the checks are drawn, which are then drawn as running
        self.show_findings([])
        self.start(_("Checking {address} …").format(address=account.address), work)

    def show_findings(self, rows: Sequence[Finding]) -> None:
        super().show_findings(rows)
        problem = root_cause(rows)
        if problem is not None and self.state != "running":
            # Unfold none: the message above already shows the root cause.
            self.results.show(html.findings(self.rows, opened="-"))
        signals = {finding.check: finding.signal for finding in rows}
        items = []
        for check in self._checks:
            state: html.State = signals.get(
                check.id, "running" if self.state == "running" else Signal.NOT_RUN
            )
            is_cause = problem is not None and check.id == problem.check
            items.append(
                Markup('<li class="mso-link{}" title="{}">{}</li>').format(
                    " mso-broken" if is_cause else "", check.asks(), html.dot(state, check.title())
                )
            )
        self.check_row.show(Markup('<ol class="mso-chain">{}</ol>').format(Markup("").join(items)))

    def _done(self, context: Context, findings: Sequence[Finding]) -> None:
        problem = root_cause(findings)
        signal = worst(finding.signal for finding in findings)
        self.end(signal)
        self.show_findings(findings)
        self.actions.use(
            context.firm, context.mailbox, findings, context.state.ordered_transcripts()
        )
        self.transcripts.show(self.actions.transcripts())
        line = html.paragraph("{}", html.dot(signal, verdict(findings)))
        remedy = html.remedy(problem) if problem else Markup("")
        parts = (line, remedy, self.actions.buttons())
        failed = signal in (Signal.FAILED, Signal.ERROR)
        message = html.box(
            "passed" if succeeded(findings) else "failed" if failed else "warning", *parts
        )
        self.message.show(message)

    def _explain(self, _name: str) -> None:
        text = self.error_form.text("text")
        if not text.strip():
            self.error_form.errors = {"text": _("Paste the error text first.")}
            return
        self.error_form.errors = {}
        self.explanation.explain(text)

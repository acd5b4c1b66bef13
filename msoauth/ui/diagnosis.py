"""Step 4: every check for one account as a chain of dots, the broken link opened; and any error text explained."""

from collections.abc import Sequence

import ipywidgets
from markupsafe import Markup

from msoauth.checks import DIAGNOSE, Context, first_broken, verdict
from msoauth.explain import explain
from msoauth.model import Finding, Signal
from msoauth.texts import _
from msoauth.ui import html
from msoauth.ui.jobs import Job
from msoauth.ui.panel import Panel, clear
from msoauth.ui.widgets import Form, View


class DiagnosePanel(Panel):
    """Diagnose an account, or explain an error text."""

    step = 4

    def name(self) -> str:
        return _("Diagnose")

    def content(self) -> Sequence[ipywidgets.Widget]:
        self._asked: list[str] = []
        self.choice = Form(
            [],
            [
                {"name": "diagnose", "label": _("Diagnose"), "primary": True},
                {"name": "cancel", "label": _("Cancel"), "disabled": True},
            ],
            pressed=self._pressed,
        )
        self.chain = View(live=True)
        self.box = Form(
            [{"name": "text", "label": _("Any error text"), "kind": "textarea",
              "hint": _("A reply, a log, a mail, a screenshot's words; it stays on this computer")}],
            [{"name": "explain", "label": _("Explain"), "primary": True}],
            {"text": ""},
            pressed=self._explain,
        )  # fmt: skip
        self.answer = View(live=True)
        return [self.choice, self.chain, self.box, self.answer]

    def refresh(self) -> None:
        super().refresh()
        self.busy(False)

    def busy(self, working: bool) -> None:
        self.choice.enable(
            diagnose=self.session.account() is not None and not working, cancel=working
        )

    def chosen(self, *, firm: bool) -> None:
        clear(self.chain)
        super().chosen(firm=firm)

    def _pressed(self, name: str) -> None:
        if name == "cancel":
            self.cancel()
            return
        account = self.session.account()
        if account is None or self.jobs.busy:
            return
        firm = self.workspace.firms.get(account.firm)
        context = Context(self.workspace, firm, account)
        asked = [check.id for check in DIAGNOSE if check.applies(context)]

        def work(job: Job) -> None:
            made = self.run_checks(job, DIAGNOSE, firm, account)
            self.jobs.show(job, lambda: self._done(made))

        self._asked = asked
        self.set_state("running")
        self.show_findings([])
        self.message.show(self.wait_for(_("Checking {address} …").format(address=account.address)))
        self.busy(True)
        self.jobs.start(work)

    def show_findings(self, rows: Sequence[Finding]) -> None:
        super().show_findings(rows)
        known = {finding.check: finding.signal for finding in rows}
        dots = []
        for check in self._asked:
            state: html.State = known.get(
                check, "running" if self.state == "running" else Signal.NOT_RUN
            )
            dots.append(html.dot(state, check))
        self.chain.show(Markup('<div class="mso-chain">{}</div>').format(Markup("").join(dots)))

    def _done(self, made: Sequence[Finding]) -> None:
        broken = first_broken(made)
        self.busy(False)
        self.set_state(broken.signal if broken else Signal.PASSED)
        self.show_findings(made)
        if broken is None:
            self.message.show(html.box("passed", html.paragraph(verdict(made))))
            return
        line = html.paragraph("{}", html.dot(broken.signal, verdict(made)))
        amber = broken.signal is Signal.WARNING
        self.message.show(html.box("warning" if amber else "failed", line))

    def _explain(self, _name: str) -> None:
        text = self.box.text("text")
        if not text.strip():
            self.box.errors = {"text": _("Paste the error text first.")}
            return
        self.box.errors = {}
        known = explain(text, firm=self.session.firm(), account=self.session.account())
        finding = Finding(
            "", Signal.FAILED, known.title, evidence=known.evidence, cause=known.cause, fix=known.fix,
            who=known.who, links=known.links, ids=known.ids,
        )  # fmt: skip
        sure = {"sure": _("This is sure."), "likely": _("This is likely.")}.get(
            known.confidence, _("This is not sure.")
        )
        self.answer.show(
            html.box(
                "note",
                Markup("<h3>{}</h3>").format(known.title),
                html.paragraph(known.meaning),
                html.paragraph(sure),
                html.remedy(finding),
            )
        )

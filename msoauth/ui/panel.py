"""What every panel has: a header with a dot, a body, a place for messages, and a worker."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets
from markupsafe import Markup

from msoauth.checks import Check, Context, run
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.store.journal import to_frame
from msoauth.texts import _
from msoauth.ui import html
from msoauth.ui.jobs import Job, Jobs
from msoauth.ui.session import Session, shared
from msoauth.ui.widgets import View

if TYPE_CHECKING:
    import pandas as pd


class Panel:
    """A form with its results; shown by a notebook when it is the last thing in a cell.

    Args:
        session: The workspace to work on; None for the one that all panels of this kernel share.
        inline: Work in the caller's thread (scripts and tests).
    """

    title = ""

    def __init__(self, session: Session | None = None, *, inline: bool = False) -> None:
        self.session = session or shared()
        self.workspace = self.session.workspace
        self.jobs = Jobs(self._failed, inline=inline)
        self.state: html.State = Signal.NOT_RUN
        self.state_word: str | None = None
        self.rows: list[Finding] = []
        self.head = View(live=True)
        self.message = View(live=True, acted=self.acted)
        self.results = View(acted=self.acted)
        self.body = ipywidgets.VBox(
            [self.head, *self.content(), self.message, self.results],
            layout=ipywidgets.Layout(width="100%", overflow="visible"),
        )
        self.refresh()

    # What a panel gives its own

    def content(self) -> Sequence[ipywidgets.Widget]:
        """The widgets between header and messages."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Show what the workspace knows now."""
        self._draw_head()

    def acted(self, name: str, value: str) -> None:  # noqa: ARG002 - for the panels that have rows
        """A ``data-act`` button was pressed."""
        if name == "cancel":
            self.cancel()

    def busy(self, working: bool) -> None:
        """Enable and disable what must not be pressed meanwhile."""

    # What they share

    def frame(self) -> "pd.DataFrame":
        """The findings shown, as a DataFrame."""
        return to_frame(finding.as_json() for finding in self.rows)

    def cancel(self) -> None:
        """Stop what is under way."""
        if self.jobs.busy:
            self.jobs.cancel()
            self.message.show(html.box("note", html.paragraph(_("Cancelled."))))
            self.set_state(Signal.NOT_RUN)
            self.busy(False)

    def set_state(self, state: html.State, word: str | None = None) -> None:
        """Set the panel's dot."""
        self.state, self.state_word = state, word
        self._draw_head()

    def _draw_head(self) -> None:
        parts = [html.header(self.title, self.state, self.session.place(), self.state_word)]
        parts += [html.box("warning", html.paragraph(w)) for w in self.workspace.warnings]
        self.head.show(Markup("").join(parts))

    def wait_for(self, what: str) -> Markup:
        """A line for work under way, with its seconds and Cancel."""
        return html.running(what) + html.button(_("Cancel"), "cancel")

    def run_checks(
        self, job: Job, checks: Sequence[Check], firm: Firm, account: Account | None = None
    ) -> list[Finding]:
        """Carry out checks in the worker, drawing each finding as it comes."""
        context = Context(self.workspace, firm, account, cancelled=job.cancelled)
        made: list[Finding] = []
        for finding in run(checks, context):
            made.append(finding)
            self.jobs.show(job, lambda: self.show_findings(made))
        return made

    def show_findings(self, rows: Sequence[Finding]) -> None:
        """Show findings below the form."""
        self.rows = list(rows)
        self.results.show(html.findings(self.rows))

    def _failed(self, problem: Exception) -> None:
        firm, account = self.session.firm(), self.session.account()
        self.message.show(html.failure(problem, firm, account))
        self.set_state(Signal.FAILED)
        self.busy(False)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.body)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.state})"


def clear(*views: View) -> None:
    """Empty these."""
    for view in views:
        view.show(Markup(""))


def firm_options(session: Session) -> list[tuple[str, Any]]:
    """The firms as a select's options."""
    return [(firm.name, firm.name) for firm in session.firms()]

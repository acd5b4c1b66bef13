"""Defines the base of all panels: a bar, a heading with a dot, a form, messages, results, and a worker for long tasks."""

import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets
from markupsafe import Markup

from msoauth import private_files
from msoauth.checks import Check, Context, run
from msoauth.errors import DestinationError
from msoauth.findings import to_frame
from msoauth.identity.signed_in_user import with_login
from msoauth.judgement import worst
from msoauth.model import Account, Finding, Firm, Signal
from msoauth.redact import redact
from msoauth.store.destinations import Unconfirmed
from msoauth.texts import _
from msoauth.ui import header, html
from msoauth.ui.jobs import Job, Jobs
from msoauth.ui.message_order import ui_lock
from msoauth.ui.session import Session, current_session
from msoauth.ui.widgets import Form, Part, View

if TYPE_CHECKING:
    import pandas as pd

_BUNDLED = 200  # findings of the mailbox that go into a support bundle


class Panel:
    """A form with its results; a notebook shows it when it is the last expression of a cell.

    A subclass defines ``step``, ``name()`` and ``content()`` (its widgets), ``refresh()`` to show the workspace as it
    is now, and where needed ``on_choice()``, ``on_action()`` and ``set_busy()``.

    Args:
        session: The workspace to work on; None for the one that all panels of this kernel share.
        inline: Run jobs in the caller's thread (scripts and tests).
    """

    step: int | None = None  # the number of its notebook

    def __init__(self, session: Session | None = None, *, inline: bool = False) -> None:
        self.session = session or current_session()
        self.workspace = self.session.workspace
        self.jobs = Jobs(self._failed, on_end=self._job_ended, inline=inline)
        self.state: html.State = Signal.NOT_RUN
        self.state_word: str | None = None
        self.rows: list[Finding] = []
        self.bar = View(on_action=self._on_bar_action, on_visible=self._on_visible)
        self.head = View(live=True)
        self.guide = View(on_action=self.on_action)
        self.message = View(live=True, on_action=self._on_message_action)
        self.results = View(on_action=self.on_action)
        self.body = ipywidgets.VBox(layout=ipywidgets.Layout(width="100%", overflow="visible"))
        self._since = 0.0
        self._error: Exception | None = None
        self._unconfirmed: Unconfirmed | None = None  # what the panel asks the user to confirm
        self._drawn = ""  # the session's fingerprint when the panel was drawn
        self._stale_language = False
        with ui_lock:
            self._build()
            self.refresh()
            self.session.join(self)

    # For subclasses

    def name(self) -> str:
        """The panel's title."""
        raise NotImplementedError

    def content(self) -> Sequence[ipywidgets.Widget]:
        """Create the widgets between heading and messages; called again when the language changes."""
        raise NotImplementedError

    def after_results(self) -> Sequence[ipywidgets.Widget]:
        """The widgets below the results."""
        return ()

    def draw_guide(self) -> None:
        """Show the checklist of this step in ``self.guide``."""

    def refresh(self) -> None:
        """Show the workspace as it is now."""
        self.draw_bar()
        self.draw_guide()
        self._draw_head()

    def on_choice(self, *, firm: bool) -> None:  # noqa: ARG002 - for panels of a firm with all its mailboxes
        """Show another mailbox or, if *firm* is true, another firm, after it was chosen in the bar."""
        self.cancel()
        clear(self.message, self.results)
        self.rows = []
        self.set_state(Signal.NOT_RUN)
        self.refresh()

    def on_action(self, name: str, value: str) -> None:
        """Handle a button or choice of one of the views; see :class:`msoauth.ui.widgets.View`."""
        if name == "cancel":
            self.cancel()
        elif name == "note-user-name":
            account = self.note_user_name(value)
            signed_in = self.workspace.tokens.status(account.address) is not None
            text = (
                _("{user} is noted for {mailbox} now. Nobody has to sign in again; check again.")
                if signed_in
                else _("{user} is noted for {mailbox} now. Let that user sign in.")
            )
            self.message.show(
                html.box("note", text.format(user=account.user, mailbox=account.address))
            )

    def note_user_name(self, value: str) -> Account:
        """Note who signs in for a mailbox; its tokens stay.

        Args:
            value: The mailbox's address and the user name, with a blank between them.
        """
        address, _blank, user = value.partition(" ")
        account = with_login(self.workspace.accounts.get(address), user)
        self.workspace.accounts.replace(account)
        return account

    def set_busy(self, working: bool) -> None:
        """Enable or disable buttons, depending on whether work is under way."""

    def is_busy(self) -> bool:
        """Whether work is under way."""
        return self.jobs.busy

    def has_unsaved_work(self) -> bool:
        """Whether showing something else would interrupt work, or lose what is being typed."""
        return self.is_busy()

    # For users and subclasses

    def frame(self) -> "pd.DataFrame":
        """The findings shown, as a DataFrame."""
        return to_frame(finding.as_json() for finding in self.rows)

    def cancel(self) -> None:
        """Cancel the work that is under way, if any."""
        if self.jobs.busy:
            self.jobs.cancel()
            self.message.show(html.box("note", _("Cancelled.")))
            self.set_state(Signal.SKIPPED, _("cancelled"))
            self.set_busy(False)
            self._job_ended()

    def set_state(self, state: html.State, word: str | None = None) -> None:
        """Set the panel's dot and word; a running one shows the elapsed time."""
        if state == "running" and self.state != "running":
            self._since = time.time()
        self.state, self.state_word = state, word
        self._draw_head()

    def unconfirm(self) -> None:
        """Reset the dot after an input has changed, because the result no longer applies to it."""
        if self.state is not Signal.NOT_RUN and not self.jobs.busy:
            self.set_state(Signal.NOT_RUN, _("changed, not checked yet"))

    def download(self, name: str, content: bytes, kind: str = "application/octet-stream") -> None:
        """Have the browser save a file, because it may run on another computer than the kernel.

        Args:
            name: What the file is called.
            kind: Its media type.
        """
        self.bar.download(name, content, kind)

    def draw_bar(self) -> None:
        """Draw the bar, after firms, mailboxes or the choice among them have changed."""
        self._drawn = self.session.fingerprint()
        self.bar.show(header.bar(self.session, self.step))

    def _draw_head(self) -> None:
        parts = [html.header(self.name(), self.state, self.state_word, self._since)]
        parts += [html.box("warning", w) for w in self.workspace.warnings]
        self.head.show(Markup("").join(parts))

    def progress_line(self, what: str) -> Markup:
        """A line for work under way: its description *what*, the elapsed time, and Cancel."""
        return html.running(what) + html.button(_("Cancel"), "cancel")

    def start(self, what: str, work: Callable[[Job], None]) -> None:
        """Start *work* in the worker and show *what* it does, with Cancel; drawing its last result calls :meth:`end`."""
        self.set_state("running")
        self.message.show(self.progress_line(what))
        self.set_busy(True)
        self.jobs.start(work)

    def end(self, state: Signal) -> None:
        """Finish the work, and set the panel's dot."""
        self.jobs.finish()
        self.set_state(state)
        self.set_busy(False)

    def run_checks(self, job: Job, checks: Sequence[Check], context: Context) -> list[Finding]:
        """Run checks in the worker, showing each finding as it comes; cancelling *job* ends the run."""
        context.cancelled = job.cancelled
        return self.collect(job, run(checks, context))

    def collect(
        self, job: Job, findings: Iterable[Finding], earlier: Sequence[Finding] = ()
    ) -> list[Finding]:
        """Collect *findings* in the worker, showing each as it comes below the *earlier* ones."""
        collected: list[Finding] = []
        for finding in findings:
            collected.append(finding)
            self.jobs.show(job, lambda: self.show_findings([*earlier, *collected]))
        return collected

    def recall(self, rows: Sequence[Finding]) -> None:
        """Show the findings of an earlier run, if any, for instance after the kernel was restarted."""
        if rows:
            self.show_findings(rows)
            self.set_state(worst(finding.signal for finding in rows))

    def show_findings(self, rows: Sequence[Finding]) -> None:
        """Show findings below the form."""
        self.rows = list(rows)
        self.results.show(html.findings(self.rows))
        self.draw_guide()

    # Events

    def _build(self) -> None:
        parts = [
            *(self.bar, self.head, self.guide),
            *self.content(),
            *(self.message, self.results),
            *self.after_results(),
        ]
        for part in _parts(parts):
            part.on_failure = self._failed
        self.body.children = parts

    def _on_bar_action(self, name: str, value: str) -> None:
        choices: dict[str, Callable[[str], None]] = {
            "choose-firm": self.session.choose_firm,
            "choose-account": self.session.choose_account,
            "choose-language": self.session.choose_language,
        }
        choices[name](value)

    def _on_message_action(self, name: str, value: str) -> None:
        if name == "confirm" and self._unconfirmed is not None:
            self._confirm(self._unconfirmed)
        elif name == "bundle" and self._error is not None:
            path, content = _failure_bundle(self.session, self._error, type(self).__name__)
            self.download(path.name, content, "application/zip")
            text = _("The support bundle is saved, without secrets: {path}").format(path=path)
            self.message.show(html.box("note", text))
        else:
            self.on_action(name, value)

    def _on_visible(self, browser_language: str) -> None:
        """Catch up with other notebooks; called whenever the panel becomes visible."""
        self.session.use_browser_language(browser_language)
        if not self.has_unsaved_work():
            self.session.catch_up()
        if self._drawn != self.session.fingerprint():
            self.reload()

    def reload(self) -> None:
        """Show what another notebook or program has changed in the workspace."""
        if not self.jobs.busy:
            self.refresh()
        self.draw_bar()

    def translate(self) -> None:
        """Rebuild the panel in the current language; nothing typed is lost."""
        self._stale_language = self.is_busy()  # then it is rebuilt when the job has ended
        if self._stale_language:
            return
        forms = _forms(self.body.children)
        state, word, rows = self.state, self.state_word, self.rows
        self._build()
        self.refresh()
        for old_form, form in zip(forms, _forms(self.body.children), strict=True):
            form.take_over(old_form)
        self.show_findings(rows)
        self.set_state(state, None if state is Signal.NOT_RUN else word)

    def _job_ended(self) -> None:
        if self._stale_language:
            self.translate()

    def _failed(self, error: Exception) -> None:
        firm, account = self.session.firm(), self.session.account()
        self._error = error
        self._unconfirmed = (
            self.workspace.firms.unconfirmed(error.firm)
            if isinstance(error, DestinationError)
            else None
        )
        if self._unconfirmed is not None:
            self.message.show(html.unconfirmed(self._unconfirmed))
            self.message.reveal()
            self.set_state(Signal.ERROR)
            self.set_busy(self.jobs.busy)
            return
        save = html.button(_("Save a support bundle"), "bundle", small=True)
        self.message.show(html.failure(error, firm, account) + Markup("<p>{}</p>").format(save))
        self.message.reveal()
        self.set_state(Signal.FAILED)
        self.set_busy(self.jobs.busy)  # another button may have failed while a job is running

    def _confirm(self, shown: Unconfirmed) -> None:
        """Accept what was shown, unless something was changed again meanwhile."""
        try:
            self.workspace.firms.confirm(shown)
        except DestinationError as error:
            self._failed(error)
            return
        self._unconfirmed = None
        if not self.has_unsaved_work():
            self.refresh()
        text = _("Confirmed. Press the same button again to continue.")
        self.message.show(html.box("note", text))
        self.set_state(Signal.NOT_RUN)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.body)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.state})"


def _parts(widgets: Sequence[ipywidgets.Widget]) -> list[Part]:
    """The forms and views among *widgets*, also inside boxes."""
    found: list[Part] = []
    for widget in widgets:
        if isinstance(widget, Part):
            found.append(widget)
        found += _parts(getattr(widget, "children", ()))
    return found


def _forms(widgets: Sequence[ipywidgets.Widget]) -> list[Form]:
    return [part for part in _parts(widgets) if isinstance(part, Form)]


def last_run(findings: Iterable[Finding]) -> list[Finding]:
    """Those of *findings*, oldest first, that belong to the same run as the last of them."""
    rows = list(findings)
    return [finding for finding in rows if finding.run == rows[-1].run]


def clear(*views: View) -> None:
    """Show nothing in these views."""
    for view in views:
        view.show(Markup(""))


def _failure_bundle(session: Session, error: Exception, panel_name: str) -> tuple[Path, bytes]:
    """Write a support bundle about *error* into the workspace.

    Args:
        panel_name: The class of the panel that failed.

    Returns:
        The file, and its content.

    Raises:
        InputError: it cannot be written.
    """
    from msoauth.reports.bundle import bundle  # loads the templates, which are rarely needed

    # The panel may have failed before there was any firm or mailbox.
    firm = session.firm() or Firm("-", "-", "-")
    account = session.account() or Account("nobody@nowhere.invalid", firm.name)
    last = last_run(session.workspace.journal.findings(account=account.address, limit=_BUNDLED))
    failure = Finding(
        f"panel.{panel_name}",
        Signal.ERROR,
        redact(f"{type(error).__name__}: {error}"),
        evidence=redact("".join(traceback.format_exception(error))),
        cause="unknown",
        firm=firm.name,
        account=account.address,
    )
    support_bundle = bundle(session.workspace, firm, account, [*last, failure], {})
    folder = session.workspace.folder / "bundles"
    private_files.make_folder(folder)
    support_bundle.write(folder / support_bundle.suggested_name)
    return folder / support_bundle.suggested_name, support_bundle.as_zip()

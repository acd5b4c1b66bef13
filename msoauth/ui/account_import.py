"""Adds many mailboxes from a pasted list or an uploaded CSV or Excel file, and reports the lines that could not be added."""

from collections.abc import Callable, Sequence

from markupsafe import Markup

from msoauth.account_list import Line, Outcome, add_all, read_file, read_text
from msoauth.errors import InputError
from msoauth.model import Signal
from msoauth.texts import _, ngettext
from msoauth.ui import html
from msoauth.ui.jobs import Job, Jobs
from msoauth.ui.session import Session
from msoauth.ui.widgets import Form, View

_COUNT_INTERVAL = 25  # lines between two updates of the count
_MAX_LISTED = 100  # rejected lines that are listed; further ones are only counted


class AccountImport:
    """The form for a list of mailboxes, and the result below it.

    Args:
        on_failure: Called with an exception that ended the import.
        on_added: Called when accounts were added to the workspace.
        on_end: Called, in the worker, when an import has ended.
        inline: Work in the caller's thread (scripts and tests).
    """

    def __init__(
        self,
        session: Session,
        *,
        on_failure: Callable[[Exception], None],
        on_added: Callable[[], None],
        on_end: Callable[[], None] = lambda: None,
        inline: bool = False,
    ) -> None:
        self._session, self._on_added = session, on_added
        self.jobs = Jobs(on_failure, on_end=on_end, inline=inline)
        self.form = Form(
            [
                {
                    "name": "list",
                    "label": _("A list of mailboxes"),
                    "kind": "textarea",
                    "placeholder": "anna@contoso.example\nmax@contoso.example",
                    "hint": _(
                        "One a line, or columns from Excel: address, user who signs in (if different), pop3 or imap"
                    ),
                },
                {
                    "name": "file",
                    "label": _("Or a file"),
                    "kind": "file",
                    "accept": ".csv,.txt,.tsv,.xlsx,.xlsm",
                    "hint": _(
                        "CSV or Excel, such as “Export users” of the Microsoft 365 admin center"
                    ),
                },
            ],
            [
                {"name": "add", "label": _("Add these mailboxes"), "primary": True},
                {"name": "cancel", "label": _("Cancel"), "disabled": True},
            ],
            {"list": ""},
            fold=_("Add many mailboxes from a list"),
            on_press=self._pressed,
            on_upload=self._uploaded,
        )
        self.outcome = View(live=True)
        self.widgets = (self.form, self.outcome)

    def _pressed(self, name: str) -> None:
        if name == "cancel":
            self.jobs.cancel()
            self._end(html.box("note", _("Cancelled.")))
            return
        text = self.form.text("list")
        if not text.strip():
            self.form.errors = {"list": _("Paste the list first, or choose a file.")}
            return
        self._import(lambda: read_text(text), "list")

    def _uploaded(self, _name: str, file: str, content: bytes) -> None:
        self._import(lambda: read_file(file, content), "file")

    def _import(self, read: Callable[[], list[Line]], field: str) -> None:
        firm = self._session.firm()
        if firm is None:
            self.form.errors = {
                field: _("There is no firm yet. Begin with step 1, Register the firm.")
            }
            return
        try:
            lines = read()
        except InputError as error:
            self.form.errors = {field: error.summary}
            return
        self.form.errors = {}

        def work(job: Job) -> None:
            outcomes: list[Outcome] = []
            for outcome in add_all(self._session.workspace, firm.name, lines):
                outcomes.append(outcome)
                if job.cancelled.is_set():
                    break
                if len(outcomes) % _COUNT_INTERVAL == 0:
                    self.jobs.show(job, lambda: self._progress(len(outcomes), len(lines)))
            self.jobs.show(job, lambda: self._done(outcomes, from_text=field == "list"))

        self.form.enable(add=False, cancel=True)
        self._progress(0, len(lines))
        self.jobs.start(work)

    def _progress(self, n: int, of: int) -> None:
        self.outcome.show(html.running(_("{n} of {of} lines").format(n=n, of=of)))

    def _done(self, outcomes: Sequence[Outcome], *, from_text: bool) -> None:
        rejected = [outcome for outcome in outcomes if outcome.account is None]
        added = len(outcomes) - len(rejected)
        text = ngettext("{n} mailbox was added.", "{n} mailboxes were added.", added)
        line = html.paragraph(text.format(n=added))
        if rejected:
            self._end(html.box("warning", line, self._problems(rejected)))
            return
        self._end(html.box("passed", line))
        if from_text:
            self.form.fill({"list": ""})

    def _end(self, message: Markup) -> None:
        self.form.enable(add=True, cancel=False)
        self.outcome.show(message)
        self._on_added()

    @staticmethod
    def _problems(rejected: Sequence[Outcome]) -> Markup:
        rows = [
            (html.dot(Signal.FAILED, _("not added")), str(o.line.number), o.line.address, o.problem)
            for o in rejected[:_MAX_LISTED]
        ]
        head = [_("Result"), _("Line"), _("What stands there"), _("Why not")]
        table = html.table(head, rows, numbers=[1], label=_("Lines that were not taken"))
        if len(rejected) > _MAX_LISTED:
            table += html.paragraph(
                _("{n} more lines were not taken.").format(n=len(rejected) - _MAX_LISTED)
            )
        return table

"""Adds many mailboxes from a pasted list or an uploaded CSV or Excel file.

Shows which columns were recognized, asks only where one had to be guessed, and lists the lines that could not be added.
"""

from collections.abc import Callable, Sequence
from itertools import islice

from markupsafe import Markup

from msoauth.account_list import Outcome, add_all, read_file, read_text, unlike_domains
from msoauth.addresses import same
from msoauth.errors import InputError
from msoauth.mailbox_table import Line, MailboxList
from msoauth.model import Firm, Signal
from msoauth.texts import _, ngettext
from msoauth.ui import html
from msoauth.ui.jobs import Job, Jobs
from msoauth.ui.session import Session
from msoauth.ui.widgets import Form, View

_COUNT_INTERVAL = 25  # lines between two updates of the count
_MAX_LISTED = 100  # rejected lines that are listed; further ones are only counted
_PREVIEW = 5  # lines in the preview


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
        self.outcome = View(live=True, on_action=self._answered)
        self._pending: Callable[[], None] = lambda: (
            None
        )  # what to do when the question is answered with yes
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

    def _answered(self, name: str, _value: str) -> None:
        if self.jobs.busy:
            return
        work, self._pending = self._pending, lambda: None
        if name == "confirm":
            work()
        else:
            self.outcome.show(html.box("note", _("Nothing was changed.")))

    def _import(self, read: Callable[[], MailboxList], field: str) -> None:
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
        near = unlike_domains(self._session.workspace, firm, (line.address for line in lines))
        if doubts := [*lines.doubts, *near]:
            self._pending = lambda: self._add(firm, lines, field)
            self._ask(lines, doubts)
        else:
            self._add(firm, lines, field)

    def _ask(self, lines: MailboxList, doubts: Sequence[str]) -> None:
        count = sum(1 for line in lines if not line.problem)
        add = ngettext("Add {n} mailbox", "Add {n} mailboxes", count).format(n=count)
        self.outcome.show(
            html.box(
                "warning",
                *(html.paragraph(doubt) for doubt in doubts),
                _preview(lines),
                html.paragraph(
                    html.button(add, "confirm") + html.button(_("Cancel"), "cancel", small=True)
                ),
            )
        )

    def _add(self, firm: Firm, lines: MailboxList, field: str) -> None:
        def work(job: Job) -> None:
            outcomes: list[Outcome] = []
            for outcome in add_all(self._session.workspace, firm.name, lines):
                outcomes.append(outcome)
                if job.cancelled.is_set():
                    break
                if len(outcomes) % _COUNT_INTERVAL == 0:
                    self.jobs.show(job, lambda: self._progress(len(outcomes), len(lines)))
            self.jobs.show(job, lambda: self._done(lines, outcomes, from_text=field == "list"))

        self.form.enable(add=False, cancel=True)
        self._progress(0, len(lines))
        self.jobs.start(work)

    def _progress(self, n: int, of: int) -> None:
        self.outcome.show(html.running(_("{n} of {of} lines").format(n=n, of=of)))

    def _done(self, lines: MailboxList, outcomes: Sequence[Outcome], *, from_text: bool) -> None:
        rejected = [outcome for outcome in outcomes if outcome.account is None]
        added = len(outcomes) - len(rejected)
        text = ngettext("{n} mailbox was added.", "{n} mailboxes were added.", added)
        line = html.paragraph(text.format(n=added))
        if rejected:
            self._end(html.box("warning", line, self._problems(rejected), _preview(lines)))
            return
        self._end(html.box("passed", line, _preview(lines)))
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


def _preview(lines: MailboxList) -> Markup:
    """How the list was read: which columns were recognized, and the first lines."""

    def cells(line: Line) -> tuple[str, str, str, str]:
        login = "" if same(line.login, line.address) else line.login
        return str(line.number), line.address, login, line.retrieve

    head = [_("Line"), _("Mailbox"), _("Signs in as (only if different)"), _("Protocol")]
    rows = [cells(line) for line in islice((ln for ln in lines if not ln.problem), _PREVIEW)]
    text = _("How the list was read: {columns}").format(columns=lines.recognized)
    table = html.table(head, rows, numbers=[0], label=_("The first lines of the list"))
    return html.paragraph(text) + table

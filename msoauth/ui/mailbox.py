"""Shows step 3: retrieves mail into a table and files, and sends a test mail."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import ipywidgets
from markupsafe import Markup

from msoauth.checks.mail import fetch_mail, mail_folder, send_test
from msoauth.checks.mailbox import readable_recipient
from msoauth.errors import DestinationError, InputError, MsoauthError
from msoauth.identity import validation
from msoauth.judgement import worst
from msoauth.mail.messages import MessageSummary, frame, status_label
from msoauth.mail.stores import stored_mail
from msoauth.model import Account, Finding
from msoauth.texts import _
from msoauth.ui import guide, html
from msoauth.ui.jobs import Job
from msoauth.ui.panel import Panel, clear
from msoauth.ui.widgets import Form, View

if TYPE_CHECKING:
    import pandas as pd

_MAX_ROWS = 200  # rows shown; the DataFrame has all of them
_TABLE_INTERVAL = 25  # messages between two updates of the table


class MailPanel(Panel):
    """The panel that retrieves mail of the chosen account, and sends a test mail from it."""

    step = 3
    messages: Sequence[MessageSummary] = ()

    def name(self) -> str:
        return _("Retrieve and send")

    def content(self) -> Sequence[ipywidgets.Widget]:
        self.retrieve = Form(
            [
                {"name": "limit", "label": _("How many of the newest mails"), "kind": "number"},
                {
                    "name": "headers_only",
                    "label": _("Look at headers only, store no files"),
                    "kind": "checkbox",
                },
            ],
            [{"name": "retrieve", "label": _("Retrieve mail"), "primary": True}],
            {"limit": "25", "headers_only": False},
            on_change=lambda _name: self.unconfirm(),
            on_press=self._retrieve,
        )
        self.table = View()
        self.send = Form(
            [
                {
                    "name": "to",
                    "label": _("Send a test mail to"),
                    "hint": _("Empty: to the mailbox itself"),
                },
                {"name": "subject", "label": _("Subject"), "hint": _("Empty: a subject of ours")},
                {
                    "name": "sender",
                    "label": _("Send as"),
                    "hint": _("Empty: as the mailbox itself; another address needs Send As"),
                },
                {
                    "name": "wait",
                    "label": _("Wait until it has arrived"),
                    "kind": "checkbox",
                },
            ],
            [{"name": "send", "label": _("Send test mail"), "primary": True}],
            {"to": "", "subject": "", "sender": "", "wait": True},
            on_change=self._validate,
            on_press=self._send,
        )
        self.note = View(on_action=self.on_action)
        return [self.retrieve, self.table, self.send, self.note]

    def draw_guide(self) -> None:
        self.guide.show(guide.mail(guide.newest_by_check(self.rows)))

    def refresh(self) -> None:
        super().refresh()
        account = self.session.account()
        if account is None:
            self.note.show(
                html.box(
                    "note",
                    _(
                        "There is no mailbox yet. Begin with step 1, then add the mailbox in step 2."
                    ),
                )
            )
        elif self.workspace.tokens.status(account.address) is None:
            self.note.show(
                html.box(
                    "note",
                    _("{user} has not signed in yet; that is step 2.").format(user=account.user),
                )
            )
        else:
            clear(self.note)
        self.set_busy(False)
        self._draw_table()
        if account is not None and not self.rows:
            self._recall(account)

    def _recall(self, account: Account) -> None:
        """Show the latest findings and the stored mail, for instance after the kernel was restarted."""
        findings = [
            f
            for f in self.workspace.journal.findings(account=account.address, limit=200)
            if f.check in ("mail.retrieve", "smtp.send", "mail.round-trip")
        ]
        latest = list({finding.check: finding for finding in findings}.values())
        self.recall(latest)
        self.messages = stored_mail(mail_folder(self.workspace, account), _MAX_ROWS)
        self._draw_table()

    def frame(self) -> "pd.DataFrame":
        """The retrieved messages as a DataFrame."""
        return frame(self.messages)

    # Actions

    def on_choice(self, *, firm: bool) -> None:
        self.messages = []
        super().on_choice(firm=firm)

    def _validate(self, _name: str) -> None:
        typed = {name: self.send.text(name) for name in ("to", "sender")}
        problems = {
            n: validation.address_problem(text) for n, text in typed.items() if text.strip()
        }
        self.send.errors = {name: problem for name, problem in problems.items() if problem}
        self.unconfirm()

    def set_busy(self, working: bool) -> None:
        ready = self.session.account() is not None and not working
        self.retrieve.enable(retrieve=ready)
        self.send.enable(send=ready)

    def _retrieve(self, _name: str) -> None:
        account = self.session.account()
        if account is None:
            return
        text = self.retrieve.text("limit").strip()
        if text and not (text.isascii() and text.isdigit() and int(text) > 0):
            self.retrieve.errors = {"limit": _("Enter a number such as 25, or nothing for all.")}
            return
        self.retrieve.errors = {}
        limit = int(text) if text else None
        headers_only = self.retrieve.values.get("headers_only") is True
        self.messages = []
        self.start(
            _("Retrieving the mail of {address} …").format(address=account.address),
            lambda job: self._fetch(job, account, limit, headers_only=headers_only),
        )

    def _fetch(self, job: Job, account: Account, limit: int | None, *, headers_only: bool) -> None:
        messages: list[MessageSummary] = []
        findings: list[Finding] = []
        try:
            for message in fetch_mail(
                self.workspace,
                account,
                limit=limit,
                headers_only=headers_only,
                to=None if headers_only else mail_folder(self.workspace, account),
                on_finding=findings.append,
                on_retry=lambda retry: self.jobs.show(job, lambda: self._show_retry(str(retry))),
                cancelled=job.cancelled,
            ):
                if job.cancelled.is_set():
                    return
                messages.append(message)
                if len(messages) % _TABLE_INTERVAL == 0:
                    self.jobs.show(job, lambda: self._show_mail(messages))
        except DestinationError:
            raise  # for the user to confirm
        except MsoauthError:
            pass  # the finding says what went wrong
        self.jobs.show(job, lambda: self._done(findings, messages))

    def _show_retry(self, text: str) -> None:
        self.message.show(self.progress_line(text))

    def _send(self, _name: str) -> None:
        account = self.session.account()
        self._validate("to")
        if account is None or self.send.errors:
            return
        to = validation.clean(self.send.text("to")) or None
        round_trip = self.send.values.get("wait") is True
        if round_trip:
            try:
                readable_recipient(self.workspace, account, to)
            except InputError as error:
                self.send.errors = {"to": error.summary}
                return
        subject = self.send.text("subject").strip() or None
        sender = validation.clean(self.send.text("sender")) or None

        def work(job: Job) -> None:
            earlier = [f for f in self.rows if f.check == "mail.retrieve"]
            test = send_test(
                self.workspace,
                account,
                to=to,
                subject=subject,
                sender=sender,
                round_trip=round_trip,
                on_retry=lambda retry: self.jobs.show(job, lambda: self._show_retry(str(retry))),
                cancelled=job.cancelled,
            )
            findings = self.collect(job, test, earlier)
            self.jobs.show(job, lambda: self._done(findings))

        self.start(_("Sending a test mail from {address} …").format(address=account.address), work)

    # Results

    def _show_mail(self, messages: Sequence[MessageSummary]) -> None:
        self.messages = list(messages)
        self._draw_table()

    def _draw_table(self) -> None:
        rows = [
            (
                _local_time(m),
                m.from_,
                m.subject,
                f"{m.size:,}",
                m.attachments_text(),
                status_label(m.status),
            )
            for m in self.messages[:_MAX_ROWS]
        ]
        if not rows:
            clear(self.table)
            return
        more = len(self.messages) - len(rows)
        note = (
            html.paragraph(_("{n} more are in the DataFrame.").format(n=more))
            if more > 0
            else Markup("")
        )
        head = [_("Date"), _("From"), _("Subject"), _("Bytes"), _("Attachments"), _("Status")]
        self.table.show(
            html.table(head, rows, numbers=[3], times=[0, 5], label=_("Retrieved mail")) + note
        )

    def _done(
        self, findings: Sequence[Finding], messages: Sequence[MessageSummary] | None = None
    ) -> None:
        other_findings = [f for f in self.rows if f.check not in {g.check for g in findings}]
        self.show_findings([*other_findings, *findings])
        if messages is not None:
            self._show_mail(messages)
        clear(self.message)
        self.end(worst(f.signal for f in findings))


def _local_time(message: MessageSummary) -> str:
    """A message's date in local time; empty when it has none."""
    return f"{message.date.astimezone():%Y-%m-%d %H:%M}" if message.date else ""

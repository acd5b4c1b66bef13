"""Shows step 1: a firm's app registration, validated as it is typed, stored, and checked against Microsoft Entra ID."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import ipywidgets
from markupsafe import Markup

from msoauth.checks import REGISTRATION, Context
from msoauth.errors import AuthError, DestinationError, InputError
from msoauth.identity import app_only, validation
from msoauth.identity.secret_rotation import replace_secret
from msoauth.judgement import succeeded, worst
from msoauth.model import Finding, Firm, Link, Signal
from msoauth.reports import secret_calendar
from msoauth.reports.consent import known_consent
from msoauth.store import Secret, Workspace
from msoauth.texts import _
from msoauth.ui import guide, html, registration_form
from msoauth.ui.jobs import Job
from msoauth.ui.panel import Panel, clear, last_run
from msoauth.ui.widgets import Form, View


class RegisterPanel(Panel):
    """The panel that stores and checks one firm's app registration."""

    step = 1

    def name(self) -> str:
        return _("Register the firm")

    def content(self) -> Sequence[ipywidgets.Widget]:
        self._touched: set[str] = set()
        self._shown: Firm | None = None
        self.practice_box = View(on_action=self.on_action)
        self.form = Form(
            registration_form.fields(self.session),
            [
                {"name": "check", "label": _("Save and check"), "primary": True},
                {"name": "cancel", "label": _("Cancel"), "disabled": True},
                {"name": "new", "label": _("Add another firm"), "disabled": True},
                {"name": "calendar", "label": _("Save reminders (.ics)"), "disabled": True},
            ],
            on_change=self._changed,
            on_press=self._pressed,
            on_paste=self._pasted,
        )
        return [self.practice_box, self.form]

    def refresh(self) -> None:
        super().refresh()
        self._draw_practice()
        firm = self.session.firm()
        self.form.fields = registration_form.fields(self.session)
        self._load(firm)
        findings = self.workspace.journal.findings(firm=firm.name, account="") if firm else ()
        self.recall(last_run([f for f in findings if f.check.startswith("registration.")]))

    def draw_guide(self) -> None:
        firm = self._shown
        findings = self.workspace.journal.findings(firm=firm.name, limit=200) if firm else ()
        self.guide.show(
            guide.registration(self.session, firm, guide.newest_by_check(list(findings)))
        )

    def on_choice(self, *, firm: bool) -> None:
        if firm:
            super().on_choice(firm=firm)
        else:
            self.draw_bar()

    def has_unsaved_work(self) -> bool:
        return super().has_unsaved_work() or bool(self._touched)

    def reload(self) -> None:
        if self._touched:  # what is being typed wins over another notebook's change
            self.draw_bar()
        else:
            super().reload()

    def translate(self) -> None:
        touched, new = set(self._touched), self._shown is None
        super().translate()
        self._touched |= touched
        if new and self._shown is not None:  # a new firm is being typed
            self._shown = None
            self.form.change_field("secret", placeholder="")
            self.draw_guide()
            self.set_busy(False)
        if touched:
            self._show_problems()

    def _draw_practice(self) -> None:
        practice = self.session.practice
        if practice is None:
            return
        self.practice_box.show(
            html.box(
                "note",
                html.paragraph(
                    _(
                        "The practice tenant is running: a whole Microsoft 365 tenant on this computer, to try everything. {} {}"
                    ),
                    html.button(_("Fill in the practice firm"), "practice"),
                    html.link(Link(_("Its admin center"), practice.admin)),
                ),
            )
        )

    def _load(self, firm: Firm | None) -> None:
        """Show a firm's values in the form, or empty it."""
        self._shown = firm
        self._touched.clear()
        self.form.errors = {}
        self.set_busy(False)
        self.draw_guide()
        self.form.clear_secret("secret")
        stored = firm is not None and self.workspace.firms.has_secret(firm.name)
        self.form.change_field("secret", placeholder=_("stored; not shown again") if stored else "")
        self.form.fill(registration_form.values_of(self.session, firm))

    # Actions

    def on_action(self, name: str, value: str) -> None:
        super().on_action(name, value)
        if name == "practice":
            self._fill_practice()

    def _fill_practice(self) -> None:
        practice = self.session.practice
        if practice is None:
            return
        practice_firm = practice.firms[0]
        stored = next((f for f in self.session.firms() if f.name == practice_firm["name"]), None)
        self._load(stored)
        self.form.fill(registration_form.values_of_practice(practice))
        self.form.keep_secret("secret", practice_firm["client_secret"])
        self._show_problems()

    def _pasted(self, name: str, text: str) -> None:
        values = registration_form.values_in_text(text)
        if not values:
            cleaned = validation.clean(text) if name == "secret" else " ".join(text.split())
            values = {name: cleaned}
        secret = values.pop("secret", None)
        self.form.fill(values)
        if secret is not None:
            self.form.keep_secret("secret", secret)
        self._touched |= {name, *values}
        self._show_problems()

    def _changed(self, name: str) -> None:
        self._touched.add(name)
        self._show_problems()
        self.unconfirm()

    def _pressed(self, name: str) -> None:
        if name == "cancel":
            self.cancel()
            return
        if self.jobs.busy:
            return
        if name == "calendar":
            self._save_calendar()
            return
        if name == "new":
            clear(self.message, self.results)
            self.rows = []
            self._load(None)
            self.set_state(Signal.NOT_RUN)
            return
        self._touched |= {"name", "tenant", "client_id", "secret", "redirect_uri", "expires"}
        if self._show_problems():
            self.message.show(
                html.box(
                    "failed",
                    _("Please mend the marked fields first; nothing was lost."),
                )
            )
            return
        try:
            firm, new_secret = self._save()
        except InputError as error:
            field = error.field if error.field in {f["name"] for f in self.form.fields} else "name"
            self.form.errors = {**self.form.errors, field: error.summary}
            return
        except DestinationError as error:
            self._failed(error)
            return
        self._check(firm, new_secret)

    # Results

    def _show_problems(self) -> dict[str, str]:
        """Show the problem of each field that was edited, and return them by field."""
        all_problems = registration_form.problems(self.session, self.form, self._shown)
        shown = {
            field: problem for field, problem in all_problems.items() if field in self._touched
        }
        self.form.errors = shown
        return shown

    def _save(self) -> tuple[Firm, Secret | None]:
        """Store the firm.

        Returns:
            The firm, and the new secret if it must first prove to work before it replaces a stored one.
        """
        stored = self._shown
        firm = registration_form.firm_of(self.form, stored)
        secret = registration_form.secret_of(self.form)
        if stored is not None and stored.name == firm.name:
            if secret is not None and self.workspace.firms.has_secret(firm.name):
                # The end date belongs to the new secret, which has not worked yet.
                self.workspace.firms.replace(replace(firm, secret_expires=stored.secret_expires))
                return firm, secret
            self.workspace.firms.replace(firm)
            if secret is not None:
                self.workspace.firms.set_secret(firm.name, secret, expires=firm.secret_expires)
        else:
            self.workspace.firms.add(firm, secret)
        self.session.choose_firm(firm.name, by=self)
        self.draw_bar()
        self.form.fields = registration_form.fields(self.session)
        self._load(self.workspace.firms.get(firm.name))
        return firm, None

    def _check(self, firm: Firm, new_secret: Secret | None) -> None:
        values = dict(self.form.values)

        def work(job: Job) -> None:
            if new_secret is not None and not self._replace_secret(job, firm, new_secret, values):
                return
            findings = self.run_checks(job, REGISTRATION, Context(self.workspace, firm))
            steps = _exchange_steps(self.workspace, firm, findings)
            self.jobs.show(job, lambda: self._done(findings, steps))

        clear(self.results)
        self.start(_("Asking the directory …"), work)

    def _replace_secret(
        self, job: Job, firm: Firm, new_secret: Secret, values: dict[str, Any]
    ) -> bool:
        """Replace the stored secret once the new one has worked, and return whether it has.

        Args:
            values: The fields at the start, by which to tell and keep what is typed meanwhile.
        """

        def wait(seconds: float) -> bool:
            text = _("Refused so far; a new secret takes some seconds to be known. Trying again …")
            self.jobs.show(job, lambda: self.message.show(self.progress_line(text)))
            return job.cancelled.wait(seconds)

        try:
            replace_secret(
                self.workspace, firm, new_secret.reveal(), expires=firm.secret_expires, wait=wait
            )
        except AuthError as error:
            note = _("The new secret was not stored; the old one stays in use.")
            message = html.failure(error, firm) + html.box("note", note)
            self.jobs.show(job, lambda: self._refused(message))
            return False

        def stored() -> None:
            self._shown = self.workspace.firms.get(firm.name)
            self._touched = {n for n, value in self.form.values.items() if value != values.get(n)}
            if validation.clean(self.form.typed("secret")) == new_secret.reveal():
                self.form.clear_secret("secret")
            else:
                self._touched.add("secret")
            self.set_busy(True)

        self.jobs.show(job, stored)
        return True

    def _refused(self, message: Markup) -> None:
        self.message.show(message)
        self.end(Signal.FAILED)

    def _done(self, findings: Sequence[Finding], steps: Markup) -> None:
        self.end(worst(f.signal for f in findings))
        if succeeded(findings):
            self.message.show(
                html.box(
                    "passed",
                    _(
                        "The registration works and is stored. Go on with step 2, Sign in the users."
                    ),
                )
                + self._consent_first()
                + steps
            )
        else:
            clear(self.message)

    def _consent_first(self) -> Markup:
        """What an administrator does before any user signs in; empty where it is done or nobody signs in."""
        firm = self._shown
        if firm is None or firm.access == "app-only":
            return Markup("")
        if known_consent(self.workspace, firm) in ("all", "each"):
            return Markup("")
        text = _("Before any user signs in, an administrator consents for all of them: {}")
        return html.box("note", html.paragraph(text, guide.consent_link(firm)))

    def _save_calendar(self) -> None:
        firm = self._shown
        if firm is not None and firm.secret_expires is not None:
            self.download(
                secret_calendar.file_name([firm]), secret_calendar.calendar([firm]), "text/calendar"
            )

    def set_busy(self, working: bool) -> None:
        self.form.enable(
            check=not working,
            cancel=working,
            new=self._shown is not None and not working,
            calendar=self._shown is not None and self._shown.secret_expires is not None,
        )


def _exchange_steps(workspace: Workspace, firm: Firm, findings: Sequence[Finding]) -> Markup:
    """The steps in Exchange for app-only access, once the app gets tokens; empty for other firms."""
    if firm.access != "app-only" or not succeeded(findings):
        return Markup("")
    try:
        object_id = app_only.service_principal(workspace, firm)
    except AuthError:
        object_id = ""  # not fatal: the steps then have a placeholder
    steps = app_only.exchange_steps(firm, workspace.accounts.list(firm.name), object_id)
    items = Markup("").join(Markup("<li>{}</li>").format(step) for step in steps.steps)
    return html.box(
        "note",
        _("App-only access: what an administrator of the firm does once"),
        Markup('<ol class="mso-steps">{}</ol>').format(items),
        Markup('<div class="mso-evidence">{}</div>').format(steps.script()),
        Markup("<p>{} {}</p>").format(
            html.copy("\n".join(steps.commands), _("Copy the PowerShell")),
            html.copy(steps.text(), _("Copy all of it")),
        ),
        _("Then add the mailboxes in step 2 and check each: nobody signs in."),
    )

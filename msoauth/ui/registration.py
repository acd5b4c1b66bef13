"""Step 1: the values of a firm's app registration, checked as they are typed and then against the directory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import ipywidgets
from markupsafe import Markup

from msoauth import clouds
from msoauth.checks import REGISTRATION
from msoauth.errors import AuthError, InputError
from msoauth.identity import reminders, values
from msoauth.identity.rotation import replace_secret
from msoauth.model import Finding, Firm, Signal
from msoauth.store import Secret
from msoauth.texts import _
from msoauth.ui import guide, html
from msoauth.ui.block import take_apart
from msoauth.ui.header import place_name
from msoauth.ui.jobs import Job
from msoauth.ui.panel import Panel, clear
from msoauth.ui.registration_view import exchange_steps_of, old_secret_stays
from msoauth.ui.widgets import Form, View


class RegisterPanel(Panel):
    """The form of one firm's app registration."""

    step = 1

    def name(self) -> str:
        return _("Register the firm")

    def content(self) -> Sequence[ipywidgets.Widget]:
        self._touched: set[str] = set()
        self._shown: Firm | None = None
        self.practice_box = View(acted=self.acted)
        self.form = Form(
            self._fields(),
            [
                {"name": "check", "label": _("Save and check"), "primary": True},
                {"name": "cancel", "label": _("Cancel"), "disabled": True},
                {"name": "new", "label": _("Add another firm"), "disabled": True},
                {"name": "calendar", "label": _("Save reminders (.ics)"), "disabled": True},
            ],
            changed=self._changed,
            pressed=self._pressed,
            pasted=self._pasted,
        )
        return [self.practice_box, self.form]

    def _fields(self) -> list[dict[str, Any]]:
        practice = self.session.practice
        places = [("global", _("Microsoft 365")), ("usgov", _("Microsoft 365 US Government")),
                  ("china", _("Microsoft 365 China (21Vianet)"))]  # fmt: skip
        if practice is not None:
            places.append((str(practice.file), _("The practice tenant")))
        firm = self.session.firm()
        if firm is not None and self._place(firm) not in dict(places):
            places.append((firm.cloud.name, place_name(firm.cloud)))  # of an endpoints file
        return [
            {"name": "name", "label": _("Name of the firm"), "placeholder": "Contoso Legal"},
            {"name": "client_id", "label": _("Application (client) ID"),
             "hint": _("Azure portal → App registrations → your app → Overview")},
            {"name": "tenant", "label": _("Directory (tenant) ID"),
             "hint": _("On the same page, just below; a domain of the firm works too")},
            {"name": "secret", "label": _("Client secret value"), "kind": "secret",
             "hint": _("Certificates & secrets → column “Value”, shown only once; leave empty to keep the stored one")},
            {"name": "expires", "label": _("Last day of the secret"), "kind": "date",
             "hint": _("Certificates & secrets → column “Expires”")},
            {"name": "redirect_uri", "label": _("Redirect URI"), "hint": _("Authentication → as registered there")},
            {"name": "cloud", "label": _("Cloud"), "kind": "select", "options": places},
            {"name": "app_only", "label": _("App-only access: mailboxes that nobody signs in to"), "kind": "checkbox",
             "hint": _("Needs application permissions and steps in Exchange, which are shown after the check")},
        ]  # fmt: skip

    def refresh(self) -> None:
        super().refresh()
        self._draw_practice()
        firm = self.session.firm()
        self.form.fields = self._fields()
        self._load(firm)
        if firm is None:
            return
        past = _latest(
            [f for f in self.workspace.journal.findings(firm=firm.name, account="")
             if f.check.startswith("registration.")]
        )  # fmt: skip
        if past:
            self.show_findings(past)
            self.set_state(html.worst(past))

    def draw_guide(self) -> None:
        firm = self._shown
        known = self.workspace.journal.findings(firm=firm.name, limit=200) if firm else ()
        self.guide.show(guide.registration(self.session, firm, guide.known_of(list(known))))

    def chosen(self, *, firm: bool) -> None:
        if firm:
            super().chosen(firm=firm)
        else:
            self.draw_bar()

    def look_again(self) -> None:
        if self._touched:  # what is being typed is worth more than what another notebook did
            self.draw_bar()
        else:
            super().look_again()

    def translate(self) -> None:
        touched = set(self._touched)
        super().translate()
        self._touched |= touched

    def _draw_practice(self) -> None:
        practice = self.session.practice
        if practice is None:
            return
        self.practice_box.show(
            html.box(
                "note",
                html.paragraph(
                    _("The practice tenant is running: a whole Microsoft 365 tenant on this computer, to try everything. {} {}"),
                    html.button(_("Fill in the practice firm"), "practice"),
                    html.outside(practice.admin, _("Its admin center")),
                ),
            )
        )  # fmt: skip

    def _load(self, firm: Firm | None) -> None:
        """Put a firm's values into the form."""
        self._shown = firm
        self._touched.clear()
        self.form.errors = {}
        self.busy(False)
        self.draw_guide()
        self.form.clear_secret("secret")
        stored = firm is not None and self.workspace.firms.has_secret(firm.name)
        self.form.change_field("secret", placeholder=_("stored; not shown again") if stored else "")
        self.form.fill({
            "name": firm.name if firm else "",
            "tenant": firm.tenant if firm else "",
            "client_id": firm.client_id if firm else "",
            "redirect_uri": firm.redirect_uri if firm else "http://localhost",
            "expires": firm.secret_expires.isoformat() if firm and firm.secret_expires else "",
            "cloud": self._place(firm),
            "app_only": firm is not None and firm.access == "app-only",
        })  # fmt: skip

    def _place(self, firm: Firm | None) -> str:
        practice = self.session.practice
        if firm is None or firm.cloud.name in ("global", "usgov", "china"):
            return firm.cloud.name if firm else "global"
        if practice is not None and firm.cloud.name == "practice":
            return str(practice.file)
        return firm.cloud.name

    # What the user does

    def acted(self, name: str, value: str) -> None:
        super().acted(name, value)
        if name == "practice":
            self._fill_practice()

    def _fill_practice(self) -> None:
        practice = self.session.practice
        if practice is None:
            return
        firm = practice.firms[0]
        known = next((f for f in self.session.firms() if f.name == firm["name"]), None)
        self._load(known)
        self.form.fill({
            "name": firm["name"],
            "tenant": firm["tenant_id"],
            "client_id": firm["client_id"],
            "redirect_uri": firm["redirect_uri"],
            "expires": firm.get("secret_expires") or "",
            "cloud": str(practice.file),
        })  # fmt: skip
        self.form.keep_secret("secret", firm["client_secret"])
        self._judge()

    def _pasted(self, name: str, text: str) -> None:
        found = take_apart(text)
        secret = found.pop("secret", None)
        if not found and secret is None:
            self.form.fill(
                {name: " ".join(text.split())}
            ) if name != "secret" else self.form.keep_secret(name, values.clean(text))
        else:
            self.form.fill(found)
            if secret is not None:
                self.form.keep_secret("secret", secret)
        self._touched |= {name, *found}
        self._judge()

    def _changed(self, name: str) -> None:
        self._touched.add(name)
        self._judge()
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
        if self._judge():
            self.message.show(
                html.box("failed", html.paragraph(_("Please mend the marked fields first; nothing was lost.")))
            )  # fmt: skip
            return
        try:
            firm, new_secret = self._save()
        except InputError as wrong:
            field = wrong.field if wrong.field in {f["name"] for f in self.form.fields} else "name"
            self.form.errors = {**self.form.errors, field: wrong.summary}
            return
        self._check(firm, new_secret)

    # What comes of it

    def _judge(self) -> dict[str, str]:
        """Say at each field that was touched what is wrong with it."""
        text = self.form.text
        secret = self.form.typed("secret")
        name = values.clean(text("name"))
        shown = self._shown.name if self._shown else ""
        taken = {f.name.casefold() for f in self.session.firms()}
        problems = {
            "name": self._name_problem(name, shown, taken),
            "tenant": values.tenant_problem(text("tenant")),
            "client_id": values.client_id_problem(text("client_id")),
            "secret": values.secret_problem(secret) if secret.strip() else None,
            "redirect_uri": values.redirect_problem(text("redirect_uri")),
            "expires": None if not text("expires") or _day(text("expires")) else _("This is not a date."),
        }  # fmt: skip
        if (
            not problems["client_id"]
            and values.clean(text("client_id")).lower() == values.clean(text("tenant")).lower()
        ):
            problems["client_id"] = _(
                "This is the same as the Directory (tenant) ID; one of them was pasted twice."
            )
        if self._app_only and not self._will_have_secret():
            problems["secret"] = _("App-only access needs a client secret.")
        said = {n: p for n, p in problems.items() if p and n in self._touched}
        self.form.errors = said
        return said

    @staticmethod
    def _name_problem(name: str, shown: str, taken: set[str]) -> str | None:
        if not name:
            return _("The firm needs a name.")
        if shown and name != shown:
            return _(
                "A stored firm keeps its name ({name}); press “Add another firm” to add one."
            ).format(name=shown)
        if not shown and name.casefold() in taken:
            return _("There is a firm of this name already; choose it above to change it.")
        return None

    @property
    def _app_only(self) -> bool:
        return bool(self.form.values.get("app_only"))

    def _will_have_secret(self) -> bool:
        known = self._shown
        return bool(self.form.typed("secret").strip()) or (
            known is not None and self.workspace.firms.has_secret(known.name)
        )

    def _save(self) -> tuple[Firm, Secret | None]:
        """Store the form; the firm, and the secret that is to be checked before it replaces a stored one."""
        text = self.form.text
        place = text("cloud")
        known = self._shown
        cloud = (
            known.cloud if known is not None and place == known.cloud.name else clouds.load(place)
        )
        firm = Firm(
            name=values.clean(text("name")),
            tenant=values.clean(text("tenant")),
            client_id=values.clean(text("client_id")),
            cloud=cloud,
            redirect_uri=values.clean(text("redirect_uri")),
            secret_expires=_day(text("expires")),
            access="app-only" if self._app_only else "delegated",
        )
        values.check_firm(firm)
        secret = self._clean_secret()
        if known is not None and known.name == firm.name:
            if secret is not None and self.workspace.firms.has_secret(firm.name):
                # The end date belongs to the new secret, which has yet to work.
                self.workspace.firms.replace(replace(firm, secret_expires=known.secret_expires))
                return replace(firm), secret
            self.workspace.firms.replace(firm)
            if secret is not None:
                self.workspace.firms.set_secret(firm.name, secret, expires=firm.secret_expires)
        else:
            self.workspace.firms.add(firm, secret)
        self.session.choose_firm(firm.name, by=self)
        self.draw_bar()
        self.form.fields = self._fields()
        self._load(self.workspace.firms.get(firm.name))
        return firm, None

    def _clean_secret(self) -> Secret | None:
        typed = values.clean(self.form.typed("secret"))
        if not typed:
            return None
        values.check_secret(typed)
        return Secret(typed)

    def _check(self, firm: Firm, new_secret: Secret | None) -> None:
        def work(job: Job) -> None:
            if new_secret is not None and not self._replaced(job, firm, new_secret):
                return
            made = self.run_checks(job, REGISTRATION, firm)
            steps = exchange_steps_of(self.workspace, firm, made)
            self.jobs.show(job, lambda: self._done(made, steps))

        self.set_state("running")
        clear(self.results)
        self.message.show(self.wait_for(_("Asking the directory …")))
        self.busy(True)
        self.jobs.start(work)

    def _replaced(self, job: Job, firm: Firm, new_secret: Secret) -> bool:
        """Whether the new secret worked and has taken the old one's place."""

        def wait(seconds: float) -> bool:
            told = _("Refused so far; a new secret takes some seconds to be known. Trying again …")
            self.jobs.show(job, lambda: self.message.show(self.wait_for(told)))
            return job.cancelled.wait(seconds)

        try:
            replace_secret(
                self.workspace, firm, new_secret.reveal(), expires=firm.secret_expires, wait=wait
            )
        except AuthError as refused:
            shown = old_secret_stays(refused, firm)
            self.jobs.show(job, lambda: self._refused(shown))
            return False

        def stored() -> None:
            self._load(self.workspace.firms.get(firm.name))
            self.busy(True)

        self.jobs.show(job, stored)
        return True

    def _refused(self, shown: Markup) -> None:
        self.message.show(shown)
        self.set_state(Signal.FAILED)
        self.busy(False)

    def _done(self, made: Sequence[Finding], steps: Markup) -> None:
        state = html.worst(made)
        self.set_state(state)
        self.busy(False)
        if state in (Signal.PASSED, Signal.WARNING):
            self.message.show(
                html.box("passed", html.paragraph(
                    _("The registration works and is stored. Go on with step 2, Sign in the users."))) + steps)  # fmt: skip
        else:
            clear(self.message)

    def _save_calendar(self) -> None:
        firm = self._shown
        if firm is not None and firm.secret_expires is not None:
            self.download(reminders.file_name([firm]), reminders.calendar([firm]), "text/calendar")

    def busy(self, working: bool) -> None:
        self.form.enable(
            check=not working,
            cancel=working,
            new=self._shown is not None and not working,
            calendar=self._shown is not None and self._shown.secret_expires is not None,
        )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def _latest(rows: Sequence[Finding]) -> list[Finding]:
    """The findings of the last run among *rows*."""
    return [f for f in rows if f.run == rows[-1].run] if rows else []

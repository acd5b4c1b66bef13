"""Step 2: the users of a firm, and the one sign-in of each."""

from collections.abc import Sequence

import ipywidgets
from markupsafe import Markup

from msoauth.checks import SIGN_IN
from msoauth.errors import AuthError, InputError
from msoauth.identity import signin, values
from msoauth.model import Account, Finding, Signal
from msoauth.texts import _
from msoauth.ui import guide, html
from msoauth.ui.jobs import Job
from msoauth.ui.many import ManyMailboxes
from msoauth.ui.panel import Panel, clear
from msoauth.ui.users_view import mailbox_row, mailboxes, waiting
from msoauth.ui.widgets import Form, View


class UsersPanel(Panel):
    """The accounts of a firm: add them, sign each in once, see which are."""

    step = 2

    def name(self) -> str:
        return _("Sign in the users")

    def content(self) -> Sequence[ipywidgets.Widget]:
        self._sign_in: signin.SignIn | None = None
        self._signals: dict[str, html.State] = {}
        self.choice = Form([], [], changed=self._chosen)
        self.list = View(acted=self.acted)
        self.practice_box = View(acted=self.acted)
        self.add_form = Form(
            [
                {"name": "address", "label": _("Mailbox"), "placeholder": "anna@contoso.example",
                 "hint": _("The address whose mail is retrieved and sent")},
                {"name": "login", "label": _("Signs in as (only if different)"),
                 "hint": _("For a shared mailbox, or when the user name is not the address")},
                {"name": "retrieve", "label": _("Mail is retrieved by"), "kind": "select",
                 "options": [("pop3", "POP3"), ("imap", "IMAP")]},
            ],
            [{"name": "add", "label": _("Add mailbox"), "primary": True}],
            {"address": "", "login": "", "retrieve": "pop3"},
            changed=self._typed,
            pressed=self._add,
        )  # fmt: skip
        self.many = ManyMailboxes(
            self.session, failed=self._failed, added=self._list_grew, inline=self.jobs.inline
        )
        self.many_form = self.many.form
        self.waiting = View(live=True, acted=self.acted)
        self.paste_form = Form(
            [{"name": "answer", "label": _("The address at which the browser ended"), "kind": "textarea",
              "hint": _("Paste the whole of it, or the whole mail that holds it")}],
            [{"name": "paste", "label": _("Take this address"), "primary": True}],
            {"answer": ""},
            pressed=self._paste,
        )  # fmt: skip
        self.paste_form.layout = ipywidgets.Layout(display="none")
        return [
            self.choice,
            self.practice_box,
            self.list,
            self.waiting,
            self.paste_form,
            self.add_form,
            *self.many.widgets,
        ]

    def draw_guide(self) -> None:
        account = self.session.account()
        known = (
            self.workspace.journal.findings(account=account.address, limit=200) if account else ()
        )
        self.guide.show(guide.users(self.session, account, guide.known_of(list(known))))

    def refresh(self) -> None:
        self.draw_bar()
        self.draw_guide()
        firm = self.session.firm()
        self.choice.fields = [
            {"name": "via", "label": _("How the users sign in"), "kind": "select", "options": [
                ("browser", _("In the browser of this computer")),
                ("device", _("With a code, on any computer (by telephone)")),
                ("paste", _("With a link that is sent to them")),
            ]},
        ]  # fmt: skip
        self.choice.fill({"via": self.workspace.settings.get("via", "browser")})
        if firm is None:
            self.message.show(
                html.box("note", html.paragraph(_("There is no firm yet. Begin with step 1, Register the firm.")))
            )  # fmt: skip
        self._draw_practice()
        self._draw_list()
        account = self.session.account()
        if account is not None and not self.rows:
            past = [
                f for f in self.workspace.journal.findings(account=account.address, limit=100)
                if f.check.startswith("sign-in.")
            ]  # fmt: skip
            self.show_findings([f for f in past if f.run == past[-1].run])

    def _practice_users(self) -> list[str]:
        """Addresses of the practice tenant's users that are not in the list yet, when its firm is chosen."""
        firm, practice = self.session.firm(), self.session.practice
        if firm is None or practice is None:
            return []
        there = {account.address.casefold() for account in self.session.accounts()}
        return [
            str(account["address"])
            for known in practice.firms
            if known["tenant_id"] == firm.tenant
            for account in known["accounts"][:8]
            if account["address"].casefold() not in there
        ]

    def _draw_practice(self) -> None:
        users = self._practice_users()
        if not users:
            clear(self.practice_box)
            return
        self.practice_box.show(
            html.box(
                "note",
                html.paragraph(
                    _("The practice tenant has these users: {}. {}"),
                    ", ".join(users),
                    html.button(_("Add the practice users"), "practice", small=True),
                ),
            )
        )

    # The list

    def _draw_list(self) -> None:
        accounts = self.session.accounts()
        practice = self.session.practice
        rows = []
        for account in accounts:
            status = self.workspace.tokens.status(account.address)
            password = practice.password(account.user) if practice and status is None else None
            rows.append(mailbox_row(account, status, self._signals.get(account.address), password))
        if rows:
            self.list.show(mailboxes(rows))
        else:
            text = _("No mailbox yet. Add the first one below.")
            self.list.show(html.paragraph(text) if self.session.firm() else Markup(""))
        if not self.jobs.busy:
            signed_in = sum(self.workspace.tokens.status(a.address) is not None for a in accounts)
            word = _("{n} of {all} signed in").format(n=signed_in, all=len(rows)) if rows else None
            every = bool(rows) and signed_in == len(rows)
            self.set_state(Signal.PASSED if every else Signal.NOT_RUN, word)

    # What the user does

    def _chosen(self, name: str) -> None:
        if name == "via":
            self.workspace.settings.set("via", self.choice.text("via"))

    def chosen(self, *, firm: bool) -> None:
        if not firm:
            self.draw_bar()
            return
        self._stop()
        self._signals.clear()
        super().chosen(firm=firm)

    def _typed(self, name: str) -> None:
        text = self.add_form.text
        problems = dict(self.add_form.errors)
        if name in ("address", "login"):
            needed = name == "address" or bool(text(name).strip())
            problems[name] = (values.address_problem(text(name)) if needed else None) or ""
        self.add_form.errors = {n: p for n, p in problems.items() if p}

    def _add(self, _name: str) -> None:
        firm = self.session.firm()
        text = self.add_form.text
        self._typed("address")
        self._typed("login")
        if firm is None or self.add_form.errors:
            return
        account = Account(
            values.clean(text("address")),
            firm.name,
            login=values.clean(text("login")) or None,
            retrieve="imap" if text("retrieve") == "imap" else "pop3",
        )
        try:
            self.workspace.accounts.add(account)
        except InputError as wrong:
            self.add_form.errors = {"address": wrong.summary}
            return
        self.session.choose_account(account.address, by=self)
        self.add_form.fill({"address": "", "login": ""})
        self._draw_practice()
        self._draw_list()

    def acted(self, name: str, value: str) -> None:
        if name == "cancel":
            self._stop()
            return
        if name == "practice":
            self._add_practice_users()
            return
        account = next((a for a in self.session.accounts() if a.address == value), None)
        if account is None:
            return
        self.session.choose_account(account.address, by=self)
        if name == "sign-in":
            self._start(account)
        elif name == "check":
            self._check(account)
        elif name == "sign-out":
            self._stop()
            self.workspace.tokens.forget(account.address)
            self._signals.pop(account.address, None)
            self.message.show(
                html.box("note", html.paragraph(_("{user} is signed out; the tokens are forgotten.").format(user=account.user)))
            )  # fmt: skip
            clear(self.results)
            self._draw_list()
        elif name == "remove":
            self.workspace.accounts.remove(account.address)
            self.draw_bar()
            self._draw_practice()
            self._draw_list()

    def _list_grew(self) -> None:
        self.draw_bar()
        self._draw_practice()
        self._draw_list()

    def _add_practice_users(self) -> None:
        firm = self.session.firm()
        for address in self._practice_users() if firm is not None else ():
            self.workspace.accounts.add(Account(address, firm.name if firm else ""))
        self._list_grew()

    def _stop(self) -> None:
        self.cancel()
        self._signals = {a: s for a, s in self._signals.items() if s != "running"}
        self._end_waiting()
        self._draw_list()

    def _end_waiting(self) -> None:
        self._sign_in = None
        clear(self.waiting)
        self.paste_form.layout.display = "none"
        self.paste_form.errors = {}
        self.paste_form.fill({"answer": ""})

    # The sign-in

    def _start(self, account: Account) -> None:
        via = self.choice.text("via")
        wanted: signin.Via = (
            "device" if via == "device" else "paste" if via == "paste" else "browser"
        )

        def work(job: Job) -> None:
            attempt = signin.start(self.workspace, account, wanted)
            job.on_cancel = attempt.cancel
            if job.cancelled.is_set():
                attempt.cancel()
                return
            self.jobs.show(job, lambda: self._wait_for(account, attempt))
            try:
                result = attempt.wait()
            except AuthError as refused:
                problem = refused
                self.jobs.show(job, lambda: self._refused(account, problem))
                return
            made = self.run_checks(job, SIGN_IN, self.workspace.firms.get(account.firm), account)
            self.jobs.show(job, lambda: self._signed_in(account, result, made))

        self._end_waiting()
        clear(self.message, self.results)
        self._signals[account.address] = "running"
        self.waiting.show(
            self.wait_for(_("Starting the sign-in of {user} …").format(user=account.user))
        )
        self.jobs.start(work)
        if self.jobs.busy:
            self.set_state("running")
            self._draw_list()

    def _wait_for(self, account: Account, attempt: signin.SignIn) -> None:
        self._sign_in = attempt
        self.waiting.show(waiting(account, attempt))
        if attempt.via == "paste":
            self.paste_form.layout.display = ""

    def _paste(self, _name: str) -> None:
        if self._sign_in is None:
            return
        try:
            self._sign_in.paste(self.paste_form.text("answer"))
        except InputError as wrong:
            self.paste_form.errors = {"answer": wrong.summary}

    def _refused(self, account: Account, problem: AuthError) -> None:
        self._end_waiting()
        self._signals[account.address] = Signal.FAILED
        retry = html.button(_("Try again"), "sign-in", account.address)
        self.message.show(
            html.failure(problem, self.session.firm(), account) + Markup("<p>{}</p>").format(retry)
        )
        self.set_state(Signal.FAILED)
        self._draw_list_keeping_state()

    def _signed_in(
        self, account: Account, result: signin.SignedIn, made: Sequence[Finding]
    ) -> None:
        self._end_waiting()
        state = html.worst(made)
        self._signals[account.address] = state
        parts = [html.paragraph(_("{user} is signed in. The tokens are stored; from now on mail can be retrieved and "
                                  "sent without a browser.").format(user=result.signed_in_as))]  # fmt: skip
        if result.warning:
            parts.append(html.paragraph(result.warning))
        self.message.show(html.box("warning" if result.warning else "passed", *parts))
        self.jobs.finish()
        self._draw_list()

    def _check(self, account: Account) -> None:
        def work(job: Job) -> None:
            made = self.run_checks(job, SIGN_IN, self.workspace.firms.get(account.firm), account)

            def done() -> None:
                self._signals[account.address] = html.worst(made)
                clear(self.waiting)
                self.jobs.finish()
                self._draw_list()

            self.jobs.show(job, done)

        self._end_waiting()
        clear(self.message)
        self._signals[account.address] = "running"
        self.waiting.show(self.wait_for(_("Checking {user} …").format(user=account.user)))
        self.jobs.start(work)
        if self.jobs.busy:
            self._draw_list()

    def _draw_list_keeping_state(self) -> None:
        state, word = self.state, self.state_word
        self.jobs.finish()
        self._draw_list()
        self.set_state(state, word)

    def _failed(self, problem: Exception) -> None:
        self._end_waiting()
        account = self.session.account()
        if account is not None:
            self._signals[account.address] = Signal.FAILED
        super()._failed(problem)
        self._draw_list_keeping_state()

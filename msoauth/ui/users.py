"""Step 2: the users of a firm, and the one sign-in of each."""

from collections.abc import Sequence
from typing import cast

import ipywidgets
from markupsafe import Markup

from msoauth.errors import InputError
from msoauth.identity import validation
from msoauth.identity.environment import Flow, choose_flow
from msoauth.model import Account, Signal
from msoauth.texts import _
from msoauth.ui import guide, html
from msoauth.ui.account_import import AccountImport
from msoauth.ui.panel import Panel, clear
from msoauth.ui.signing import Signing
from msoauth.ui.users_state import Seen, last_seen
from msoauth.ui.users_view import app_row, mailbox_row, mailboxes
from msoauth.ui.widgets import Form, View


class UsersPanel(Panel):
    """The accounts of a firm: add them, sign each in once, see which are."""

    step = 2

    def name(self) -> str:
        return _("Sign in the users")

    def content(self) -> Sequence[ipywidgets.Widget]:
        self.seen: dict[str, Seen] = {}
        self.choice = Form([], [], on_change=self._chosen)
        self.list = View(on_action=self.on_action)
        self.practice_box = View(on_action=self.on_action)
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
            on_change=self._typed,
            on_press=self._add,
        )  # fmt: skip
        self.account_import = AccountImport(
            self.session, on_failure=self._failed, on_added=self._list_grew, on_end=self._job_ended,
            inline=self.jobs.inline,
        )  # fmt: skip
        self.signing = Signing(self)
        self.paste_form = self.signing.paste_form
        return [
            self.choice,
            self.practice_box,
            self.list,
            *self.signing.widgets,
        ]

    def at_work(self) -> bool:
        return super().at_work() or self.account_import.busy

    def translate(self) -> None:
        became = self.account_import.outcome.html
        super().translate()
        self.account_import.outcome.html = became

    def after_results(self) -> Sequence[ipywidgets.Widget]:
        return [self.add_form, *self.account_import.widgets]

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
                ("auto", _("As it works here: {way}").format(way=self._proposed())),
                ("browser", _("In the browser of this computer")),
                ("device", _("With a code, on any computer (by telephone)")),
                ("paste", _("With a link that is sent to them")),
            ]},
        ]  # fmt: skip
        self.choice.fill({"via": self.workspace.settings.get("via", "auto")})
        if firm is not None and firm.access == "app-only":
            self.choice.fields = []  # nobody signs in
        if firm is not None and not self.seen:
            self.seen = last_seen(self.workspace, firm, self.session.accounts())
        if firm is None:
            self.message.show(
                html.box("note", html.paragraph(_("There is no firm yet. Begin with step 1, Register the firm.")))
            )  # fmt: skip
        self._draw_practice()
        self.draw_list()
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

    def _proposed(self) -> str:
        firm = self.session.firm()
        if firm is None:
            return _("chosen when there is a firm")
        has_secret = self.workspace.firms.has_secret(firm.name)
        return {
            "browser": _("in the browser"),
            "device": _("with a code"),
            "paste": _("with a link"),
        }[choose_flow(firm, has_secret=has_secret).flow]

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

    def draw_list(self) -> None:
        """Draw the mailboxes with their dots."""
        accounts = self.session.accounts()
        practice = self.session.practice
        firm = self.session.firm()
        app_only = firm is not None and firm.access == "app-only"
        rows = []
        for account in accounts:
            seen = self.seen.get(account.address)
            if app_only:
                rows.append(app_row(account, seen))
                continue
            status = self.workspace.tokens.status(account.address)
            password = practice.password(account.user) if practice and status is None else None
            rows.append(mailbox_row(account, status, seen, password))
        if rows:
            self.list.show(mailboxes(rows))
        else:
            text = _("No mailbox yet. Add the first one below.")
            self.list.show(html.paragraph(text) if self.session.firm() else Markup(""))
        if not self.jobs.busy:
            self._sum_up(accounts, app_only=app_only)

    def _sum_up(self, accounts: Sequence[Account], *, app_only: bool) -> None:
        """The panel's own dot: the worst of its mailboxes', green when every one is."""
        shown = [self.seen[a.address].state for a in accounts if a.address in self.seen]
        bad = next((s for s in (Signal.FAILED, Signal.ERROR, Signal.WARNING) if s in shown), None)
        if app_only:
            every = bool(accounts) and shown == [Signal.PASSED] * len(accounts)
            word = _("nobody signs in")
        else:
            signed_in = sum(self.workspace.tokens.status(a.address) is not None for a in accounts)
            every = bool(accounts) and signed_in == len(accounts)
            word = _("{n} of {all} signed in").format(n=signed_in, all=len(accounts))
        state = bad or (Signal.PASSED if every else Signal.NOT_RUN)
        self.set_state(state, word if accounts else None)

    # What the user does

    def _chosen(self, name: str) -> None:
        if name == "via":
            self.workspace.settings.set("via", self.choice.text("via"))

    def chosen(self, *, firm: bool) -> None:
        if not firm:
            self.draw_bar()
            self.draw_guide()
            return
        self._stop()
        self.seen.clear()
        super().chosen(firm=firm)

    def _typed(self, name: str) -> None:
        text = self.add_form.text
        problems = dict(self.add_form.errors)
        if name in ("address", "login"):
            needed = name == "address" or bool(text(name).strip())
            problems[name] = (validation.address_problem(text(name)) if needed else None) or ""
        self.add_form.errors = {n: p for n, p in problems.items() if p}

    def _add(self, _name: str) -> None:
        firm = self.session.firm()
        text = self.add_form.text
        self._typed("address")
        self._typed("login")
        if firm is None or self.add_form.errors:
            return
        account = Account(
            validation.clean(text("address")),
            firm.name,
            login=validation.clean(text("login")) or None,
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
        self.draw_list()

    def on_action(self, name: str, value: str) -> None:
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
            self.signing.start(account)
        elif name == "another":
            self.signing.start(account, another=True)
        elif name in ("browser", "device", "paste"):
            self.signing.start(account, cast(Flow, name))
        elif name == "check":
            self.signing.check(account)
        elif name == "sign-out":
            self._stop()
            self.workspace.tokens.forget(account.address)
            self.seen.pop(account.address, None)
            self.message.show(
                html.box("note", html.paragraph(_("{user} is signed out; the tokens are forgotten.").format(user=account.user)))
            )  # fmt: skip
            clear(self.results)
            self.draw_list()
        elif name == "remove":
            self.workspace.accounts.remove(account.address)
            self.draw_bar()
            self._draw_practice()
            self.draw_list()

    def _list_grew(self) -> None:
        self.draw_bar()
        self._draw_practice()
        self.draw_list()

    def _add_practice_users(self) -> None:
        firm = self.session.firm()
        for address in self._practice_users() if firm is not None else ():
            self.workspace.accounts.add(Account(address, firm.name if firm else ""))
        self._list_grew()

    def _stop(self) -> None:
        self.cancel()
        self.settle()
        self.signing.clear()
        self.draw_list()

    def settle(self) -> None:
        """Nothing is under way any more: what was running is again as the journal knows it."""
        firm = self.session.firm()
        known = last_seen(self.workspace, firm, self.session.accounts()) if firm else {}
        ended = {a for a, seen in self.seen.items() if seen.state == "running"}
        self.seen = {a: seen for a, seen in self.seen.items() if a not in ended}
        self.seen |= {a: known[a] for a in ended if a in known}

    def draw_list_keeping_state(self) -> None:
        """Draw the list after something failed, whose dot the header keeps."""
        state, word = self.state, self.state_word
        self.jobs.finish()
        self.draw_list()
        self.set_state(state, word)

    def _failed(self, problem: Exception) -> None:
        self.signing.clear()
        account = self.session.account()
        if account is not None:
            self.seen[account.address] = Seen(Signal.FAILED)
        super()._failed(problem)
        self.draw_list_keeping_state()

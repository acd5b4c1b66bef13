"""Shows step 2: adds the mailboxes of a firm, lets each user sign in once, and checks the tokens."""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import ipywidgets
from markupsafe import Markup

from msoauth.account_list import unlike_domains
from msoauth.addresses import key
from msoauth.checks import MAILBOX, SIGN_IN, Context
from msoauth.errors import AuthError, CancelledError, InputError
from msoauth.identity import entra_links, signin, validation
from msoauth.identity.environment import Flow, choose_flow
from msoauth.model import Account, Finding, Firm, Link, Signal
from msoauth.reports.consent import known_consent
from msoauth.texts import _
from msoauth.ui import guide, html
from msoauth.ui.account_import import AccountImport
from msoauth.ui.jobs import Job
from msoauth.ui.mailbox_list import MailboxList, SignInStatus, is_about_sign_in, status_of
from msoauth.ui.panel import Panel, clear, last_run
from msoauth.ui.sign_in_view import SignInView
from msoauth.ui.widgets import Form, View

PAUSES = (5.0, 20.0, 60.0)  # seconds before the second, third and fourth check of a token
LONGEST_PAUSE = 300.0


class UsersPanel(Panel):
    """The panel of the chosen firm's mailboxes and their sign-ins."""

    step = 2

    def name(self) -> str:
        return _("Sign in the users")

    def content(self) -> Sequence[ipywidgets.Widget]:
        self.choice = Form([], [], on_change=self._save_flow)
        self.list = MailboxList(self.session, self.on_action)
        self._doubted_address = ""  # whose domain looks mistyped; the same again is taken as right
        self.practice_box = View(on_action=self.on_action)
        self.consent_box = View()
        self.add_form = Form(
            [
                {
                    "name": "address",
                    "label": _("Mailbox"),
                    "placeholder": "anna@contoso.example",
                    "hint": _("The address whose mail is retrieved and sent"),
                },
                {
                    "name": "login",
                    "label": _("Signs in as (only if different)"),
                    "hint": _("For a shared mailbox, or when the user name is not the address"),
                },
                {
                    "name": "retrieve",
                    "label": _("Mail is retrieved by"),
                    "kind": "select",
                    "options": [("pop3", "POP3"), ("imap", "IMAP")],
                },
            ],
            [{"name": "add", "label": _("Add mailbox"), "primary": True}],
            {"address": "", "login": "", "retrieve": "pop3"},
            on_change=self._validate,
            on_press=self._add,
        )
        self.account_import = AccountImport(
            self.session,
            on_failure=self._failed,
            on_added=self._list_changed,
            on_end=self._job_ended,
            inline=self.jobs.inline,
        )
        self.sign_in_view = SignInView(self.jobs, self.on_action)
        return [
            self.choice,
            self.consent_box,
            self.practice_box,
            self.list,
            *self.sign_in_view.widgets,
        ]

    def is_busy(self) -> bool:
        return super().is_busy() or self.account_import.jobs.busy

    def translate(self) -> None:
        outcome = self.account_import.outcome.html
        super().translate()
        self.account_import.outcome.html = outcome

    def after_results(self) -> Sequence[ipywidgets.Widget]:
        return [self.add_form, *self.account_import.widgets]

    def draw_guide(self) -> None:
        account = self.session.account()
        findings = (
            self.workspace.journal.findings(account=account.address, limit=200) if account else ()
        )
        self.guide.show(guide.users(self.session, account, guide.newest_by_check(list(findings))))

    def refresh(self) -> None:
        super().refresh()
        firm = self.session.firm()
        self.choice.fields = [
            {"name": "via", "label": _("How the users sign in"), "kind": "select", "options": [
                ("auto", _("As it works here: {way}").format(way=self._flow_that_works())),
                ("browser", _("In the browser of this computer")),
                ("device", _("With a code, on any computer (by telephone)")),
                ("paste", _("With a link that is sent to them")),
            ]},
        ]  # fmt: skip
        self.choice.fill({"via": self.workspace.settings.get("via", "auto")})
        if firm is not None and firm.access == "app-only":
            self.choice.fields = []  # nobody signs in
        self.list.recall()
        if firm is None:
            self.message.show(
                html.box(
                    "note",
                    _("There is no firm yet. Begin with step 1, Register the firm."),
                )
            )
        self._draw_practice()
        self._draw_consent()
        self.draw_list()
        account = self.session.account()
        if account is not None and not self.rows:
            findings = [
                f
                for f in self.workspace.journal.findings(account=account.address, limit=100)
                if is_about_sign_in(f)
            ]
            self.show_findings(last_run(findings))

    def _practice_users(self) -> list[str]:
        """The users of the practice tenant who are not listed yet; none unless its firm is chosen."""
        firm, practice = self.session.firm(), self.session.practice
        if firm is None or practice is None:
            return []
        listed = {key(account.address) for account in self.session.accounts()}
        return [
            str(account["address"])
            for practice_firm in practice.firms
            if practice_firm["tenant_id"] == firm.tenant
            for account in practice_firm["accounts"][:8]
            if key(account["address"]) not in listed
        ]

    def _flow_that_works(self) -> str:
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

    def _draw_consent(self) -> None:
        """Say that an administrator consents first, unless that is done or every mailbox has been signed in."""
        firm = self.session.firm()
        known = known_consent(self.workspace, firm) if firm is not None else "all"
        if firm is None or firm.access == "app-only" or known in ("all", "each"):
            clear(self.consent_box)
            return
        certain = known == "required"
        text = (
            _(
                "First an administrator of {firm} must consent: until then every sign-in ends with “Need admin approval”."
            )
            if certain
            else _(
                "First ask an administrator of {firm} to consent for all users, before you call anybody. By Microsoft's default since November 2025, users can't allow POP and IMAP themselves. Skip this if it is done."
            )
        )
        self.consent_box.show(
            html.box(
                "warning" if certain else "note",
                html.paragraph(text.format(firm=firm.name)),
                html.paragraph(
                    "{} {}",
                    guide.consent_link(firm),
                    _("After accepting, the page that follows does not load: that is right."),
                ),
            )
        )

    def draw_list(self) -> None:
        """Draw the mailboxes and, unless work is under way, the panel's own dot."""
        self.list.draw()
        if not self.jobs.busy:
            self.set_state(*self.list.summary())

    # Actions

    def _save_flow(self, name: str) -> None:
        if name == "via":
            self.workspace.settings.set("via", self.choice.text("via"))

    def on_choice(self, *, firm: bool) -> None:
        if not firm:
            self.draw_bar()
            self.draw_guide()
            return
        self.cancel()
        self.list.statuses.clear()
        super().on_choice(firm=firm)

    def _validate(self, name: str) -> None:
        text = self.add_form.text
        problems = dict(self.add_form.errors)
        if name in ("address", "login"):
            needed = name == "address" or bool(text(name).strip())
            problems[name] = (validation.address_problem(text(name)) if needed else None) or ""
        self.add_form.errors = {n: p for n, p in problems.items() if p}

    def _add(self, _name: str) -> None:
        firm = self.session.firm()
        text = self.add_form.text
        self._validate("address")
        self._validate("login")
        if firm is None or self.add_form.errors:
            return
        account = Account(
            validation.clean(text("address")),
            firm.name,
            login=validation.clean(text("login")) or None,
            protocol="imap" if text("retrieve") == "imap" else "pop3",
        )
        near = unlike_domains(self.workspace, firm, (account.address,))
        if near and account.address != self._doubted_address:
            self._doubted_address = account.address
            again = _("If it is right, press “Add mailbox” again.")
            self.add_form.errors = {"address": f"{near[0]} {again}"}
            return
        try:
            self.workspace.accounts.add(account)
        except InputError as error:
            self.add_form.errors = {"address": error.summary}
            return
        self.session.choose_account(account.address, by=self)
        self.add_form.fill({"address": "", "login": ""})
        self._list_changed()

    def on_action(self, name: str, value: str) -> None:
        if name == "cancel":
            self.cancel()
            return
        if name == "practice":
            self._add_practice_users()
            return
        if name == "note-user-name":
            noted = self.note_user_name(value)
            if self.workspace.tokens.status(noted.address) is None:
                self.sign_in(noted)
            else:
                self.check(noted)
            return
        account = next((a for a in self.session.accounts() if a.address == value), None)
        if account is None:
            return
        self.session.choose_account(account.address, by=self)
        if name == "sign-in":
            self.sign_in(account)
        elif name == "another":
            self.sign_in(account, force_prompt=True)
        elif name in ("browser", "device", "paste"):
            self.sign_in(account, cast(Flow, name))
        elif name == "check":
            self.check(account)
        elif name == "sign-out":
            self.cancel()
            self.workspace.tokens.forget(account.address)
            self.list.statuses.pop(account.address, None)
            self.message.show(
                html.box(
                    "note",
                    _("{user} is signed out; the tokens are forgotten.").format(user=account.user),
                )
            )
            clear(self.results)
            self.draw_list()
        elif name == "remove":
            self.workspace.accounts.remove(account.address)
            self._list_changed()

    def _list_changed(self) -> None:
        self.draw_bar()
        self._draw_practice()
        self.draw_list()

    def _add_practice_users(self) -> None:
        if (firm := self.session.firm()) is not None:
            for address in self._practice_users():
                self.workspace.accounts.add(Account(address, firm.name))
        self._list_changed()

    # Sign-in and check

    def sign_in(
        self, account: Account, flow: Flow | None = None, *, force_prompt: bool = False
    ) -> None:
        """Start a sign-in and wait for it in the worker; cancel any other.

        Args:
            flow: None for the one chosen in the panel or, if none was, the one that works here.
            force_prompt: Ask for name and password, because another account signed in before.
        """
        chosen = self.choice.text("via")
        if flow is None and chosen in ("browser", "device", "paste"):
            flow = cast(Flow, chosen)

        def work(job: Job) -> None:
            attempt = signin.start(self.workspace, account, flow, force_prompt=force_prompt)
            try:
                result = self.sign_in_view.wait(job, attempt, account.address)
            except CancelledError:
                self.jobs.show(job, self.cancel)
                return
            except AuthError as error:
                message, cause = self._refusal(account, attempt.flow, error), error.cause
                self.jobs.show(job, lambda: self._refused(account, message, cause))
                return
            stored = self.workspace.accounts.get(account.address)
            context = Context(self.workspace, self.workspace.firms.get(stored.firm), stored)
            findings = self.run_checks(job, SIGN_IN, context)
            self.jobs.show(job, lambda: self._signed_in(stored, result, findings))

        what = _("Starting the sign-in of {user} …").format(user=account.user)
        clear(self.results)
        self._begin(account, what, work)
        if self.jobs.busy:
            self.set_state("running")

    def _begin(self, account: Account, what: str, work: Callable[[Job], None]) -> None:
        """Start work for one mailbox; cancel any other."""
        self.sign_in_view.clear()
        self.list.end_running()
        clear(self.message)
        self.list.statuses[account.address] = SignInStatus("running")
        self.sign_in_view.view.show(self.progress_line(what))
        self.jobs.start(work)
        if self.jobs.busy:
            self.draw_list()

    def _refused(self, account: Account, message: Markup, cause: str) -> None:
        self.sign_in_view.clear()
        self.list.end_running()
        # Tokens that are already stored stay valid: perhaps the wrong user has just signed in.
        if self.workspace.tokens.status(account.address) is None:
            self.list.statuses[account.address] = SignInStatus(Signal.FAILED, cause)
        self.message.show(message)
        self.end(Signal.FAILED)
        self._draw_consent()
        self.list.draw()

    def _signed_in(
        self, account: Account, result: signin.SignedIn, findings: Sequence[Finding]
    ) -> None:
        text = _(
            "{user} is signed in. The tokens are stored; from now on mail can be retrieved and sent without a browser."
        )
        paragraphs = [html.paragraph(text.format(user=result.signed_in_as))]
        if result.warning:
            paragraphs.append(html.paragraph(result.warning))
        self.message.show(html.box("warning" if result.warning else "passed", *paragraphs))
        self._checked(account, status_of(findings))

    def _checked(self, account: Account, status: SignInStatus) -> None:
        self.sign_in_view.clear()
        self.list.statuses[account.address] = status
        self.jobs.finish()
        self._draw_consent()
        self.draw_list()

    def check(self, account: Account) -> None:
        """Check the account's tokens; a temporary failure is shown and checked again, up to three times."""
        firm = self.workspace.firms.get(account.firm)
        checks = SIGN_IN if firm.access == "delegated" else (*SIGN_IN, *MAILBOX)

        def work(job: Job) -> None:
            for pause in (*PAUSES, None):
                context = Context(self.workspace, firm, account)
                status = status_of(self.run_checks(job, checks, context))
                if status.state is not Signal.WARNING or not status.cause or pause is None:
                    break
                # A temporary failure: wait as long as the server asks for.
                seconds = min(context.state.retry_after or pause, LONGEST_PAUSE)
                self.jobs.show(job, partial(self._show_retry, account, status, seconds))
                if job.cancelled.wait(seconds):
                    return
            self.jobs.show(job, lambda: self._checked(account, status))

        self._begin(account, _("Checking {user} …").format(user=account.user), work)

    def _show_retry(self, account: Account, status: SignInStatus, pause: float) -> None:
        self.list.statuses[account.address] = status
        text = _("{user}: {cause}. This passes by itself; nothing is lost.")
        self.sign_in_view.view.show(
            html.box(
                "warning",
                html.paragraph(
                    text.format(user=account.user, cause=status.title or html.word(status.state))
                ),
                Markup("<p>{} {}</p>").format(_("Tried again in"), html.countdown(pause)),
                html.button(_("Cancel"), "cancel"),
            )
        )
        self.draw_list()

    def cancel(self) -> None:
        super().cancel()
        self.list.end_running()
        self.sign_in_view.clear()
        self.draw_list()

    def _failed(self, error: Exception) -> None:
        self.sign_in_view.clear()
        account = self.session.account()
        if account is not None:
            self.list.statuses[account.address] = SignInStatus(Signal.FAILED)
        super()._failed(error)
        self.jobs.finish()
        self.list.draw()

    def _refusal(self, account: Account, flow: Flow, error: AuthError) -> Markup:
        """Why the sign-in failed and what to do now. Called in the worker, because a link may need a request."""
        firm = self.workspace.firms.get(account.firm)
        parts = [html.failure(error, firm, account)]
        if error.cause == "account-wrong":
            sign_out = Markup("")
            with contextlib.suppress(AuthError):
                sign_out = html.link(
                    Link(_("Sign out at Microsoft"), entra_links.sign_out_link(firm))
                )
            other_account = html.button(
                _("Use another account"), "another", account.address, primary=True
            )
            parts.append(Markup("<p>{} {}</p>").format(other_account, sign_out))
            return Markup("").join(parts)
        if error.cause in entra_links.CONSENT_CAUSES:
            with contextlib.suppress(AuthError):
                link = entra_links.admin_consent_link(firm, self.session.accounts())
                parts.append(_consent_box(firm, link))
        other_flow = signin.alternative_flow(flow, error)
        actions = [
            html.button(_("Try again"), "sign-in", account.address, primary=other_flow is None)
        ]
        if other_flow == "paste":
            button = html.button(_("Send a link instead"), "paste", account.address, primary=True)
            actions.insert(0, button)
        return Markup("").join([*parts, Markup("<p>{}</p>").format(Markup(" ").join(actions))])


def _consent_box(firm: Firm, link: str) -> Markup:
    """A box with the link by which an administrator of the firm grants consent for everybody."""
    text = _(
        "An administrator of {firm} opens this link, signs in and presses Accept. The page that follows does not load: that is right."
    )
    return html.box(
        "note",
        html.paragraph(text.format(firm=firm.name)),
        Markup("<p>{} {}</p>").format(
            html.copy(link, _("Copy the admin-consent link")),
            html.link(Link(_("Open it here"), link)),
        ),
    )

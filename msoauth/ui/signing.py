"""The sign-in of one user, and the check of its tokens, as the users' panel shows them."""

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import ipywidgets
from markupsafe import Markup

from msoauth.checks import MAILBOX, SIGN_IN
from msoauth.errors import AuthError, InputError
from msoauth.identity import entra_links, signin
from msoauth.identity.environment import Flow
from msoauth.identity.flows import SignIn
from msoauth.model import Account, Finding, Signal
from msoauth.texts import _
from msoauth.ui import html
from msoauth.ui.jobs import Job
from msoauth.ui.panel import clear
from msoauth.ui.users_state import Seen, seen_of
from msoauth.ui.users_view import again_in, refused, waiting
from msoauth.ui.widgets import Form, View

if TYPE_CHECKING:
    from msoauth.ui.users import UsersPanel

_PAUSES = (5.0, 20.0, 60.0)  # seconds before the second, third and fourth try
LONGEST_PAUSE = 300.0


class Signing:
    """What stands between the list of mailboxes and the form that adds one, while somebody is waited for.

    Attributes:
        attempt: The sign-in that is waited for, or None.
        widgets: To be shown, from top to bottom.
    """

    def __init__(self, panel: "UsersPanel") -> None:
        self._panel = panel
        self.attempt: SignIn[signin.SignedIn] | None = None
        self.waiting = View(live=True, on_action=panel.on_action)
        self.paste_form = Form(
            [{"name": "answer", "label": _("The address at which the browser ended"), "kind": "secret-area",
              "hint": _("Paste the whole of it, or the whole mail that holds it")}],
            [{"name": "paste", "label": _("Take this address"), "primary": True}],
            on_press=self._paste,
        )  # fmt: skip
        self.paste_form.layout = ipywidgets.Layout(display="none")
        self.widgets = (self.waiting, self.paste_form)

    def clear(self) -> None:
        """Show nothing: nobody is waited for."""
        self.attempt = None
        clear(self.waiting)
        self.paste_form.layout.display = "none"
        self.paste_form.errors = {}
        self.paste_form.clear_secret("answer")

    def start(self, account: Account, via: Flow | None = None, *, another: bool = False) -> None:
        """Begin a sign-in and wait for it in the panel's worker.

        Args:
            via: The way; None for the one chosen in the panel, which may be the one that works here.
            another: Another account signed in before; see :func:`msoauth.identity.signin.start`.
        """
        panel = self._panel
        chosen = panel.choice.text("via")
        if via is None and chosen in ("browser", "device", "paste"):
            via = cast(Flow, chosen)

        def work(job: Job) -> None:
            proposed = signin.propose_flow(panel.workspace, account)
            attempt = signin.start(panel.workspace, account, via or proposed.flow, another=another)
            job.on_cancel(attempt.cancel)
            if job.cancelled.is_set():
                return
            why = "" if via else proposed.reason
            panel.jobs.show(job, lambda: self._wait_for(account, attempt, why))
            try:
                result = attempt.wait()
            except AuthError as refusal:
                shown = self._told(account, attempt.flow, refusal)
                cause = refusal.cause
                panel.jobs.show(job, lambda: self._refused(account, shown, cause))
                return
            kept = panel.workspace.accounts.get(account.address)
            made = panel.run_checks(job, SIGN_IN, panel.workspace.firms.get(kept.firm), kept)
            panel.jobs.show(job, lambda: self._signed_in(kept, result, made))

        self.clear()
        panel.settle()  # another's that was under way ends with this
        clear(panel.message, panel.results)
        panel.seen[account.address] = Seen("running")
        self.waiting.show(
            panel.wait_for(_("Starting the sign-in of {user} …").format(user=account.user))
        )
        panel.jobs.start(work)
        if panel.jobs.busy:
            panel.set_state("running")
            panel.draw_list()

    def _wait_for(self, account: Account, attempt: SignIn[signin.SignedIn], why: str) -> None:
        self.attempt = attempt
        self.waiting.show(waiting(account, attempt, why))
        if attempt.flow == "paste":
            self.paste_form.layout.display = ""

    def _told(self, account: Account, via: Flow, refusal: AuthError) -> Markup:
        """The refusal with what helps; in the worker, because the links may need a look at the authority."""
        panel = self._panel
        firm = panel.workspace.firms.get(account.firm)
        sign_out = consent_link = ""
        with contextlib.suppress(AuthError):
            if refusal.cause == "account-wrong":
                sign_out = entra_links.sign_out_link(firm)
            elif refusal.cause in entra_links.CONSENT_CAUSES:
                consent_link = entra_links.admin_consent_link(firm, panel.session.accounts())
        return refused(
            refusal,
            firm,
            account,
            other=signin.alternative_flow(via, refusal),
            sign_out=sign_out,
            consent=consent_link,
        )

    def _paste(self, _name: str) -> None:
        if self.attempt is None:
            return
        try:
            self.attempt.paste(self.paste_form.typed("answer"))
        except InputError as wrong:
            self.paste_form.errors = {"answer": wrong.summary}

    def _refused(self, account: Account, shown: Markup, cause: str) -> None:
        panel = self._panel
        self.clear()
        panel.settle()
        # Somebody else's or a cancelled sign-in takes nothing from tokens that are there.
        if panel.workspace.tokens.status(account.address) is None:
            panel.seen[account.address] = Seen(Signal.FAILED, cause)
        panel.message.show(shown)
        panel.set_state(Signal.FAILED)
        panel.draw_list_keeping_state()

    def _signed_in(
        self, account: Account, result: signin.SignedIn, made: Sequence[Finding]
    ) -> None:
        panel = self._panel
        self.clear()
        panel.seen[account.address] = seen_of(made)
        parts = [html.paragraph(_("{user} is signed in. The tokens are stored; from now on mail can be retrieved and "
                                  "sent without a browser.").format(user=result.signed_in_as))]  # fmt: skip
        if result.warning:
            parts.append(html.paragraph(result.warning))
        panel.message.show(html.box("warning" if result.warning else "passed", *parts))
        panel.jobs.finish()
        panel.draw_list()

    def check(self, account: Account) -> None:
        """Check the account's tokens; what fails only for now is tried again, visibly and not for ever."""
        panel = self._panel
        firm = panel.workspace.firms.get(account.firm)
        what = _("Checking {user} …").format(user=account.user)
        wanted = SIGN_IN if firm.access == "delegated" else (*SIGN_IN, *MAILBOX)

        def work(job: Job) -> None:
            for pause in (*_PAUSES, None):
                known: dict[str, Any] = {}
                made = panel.run_checks(job, wanted, firm, account, known)
                seen = seen_of(made)
                if seen.state is not Signal.WARNING or not seen.cause or pause is None:
                    break
                # It fails only for now: it stays amber and is tried again, as late as the server wants it.
                seconds = min(known.get("retry_after") or pause, LONGEST_PAUSE)
                panel.jobs.show(job, partial(self._try_again_in, account, seen, seconds))
                if job.cancelled.wait(seconds):
                    return

            def done() -> None:
                panel.seen[account.address] = seen
                clear(self.waiting)
                panel.jobs.finish()
                panel.draw_list()

            panel.jobs.show(job, done)

        self.clear()
        panel.settle()
        clear(panel.message)
        panel.seen[account.address] = Seen("running")
        self.waiting.show(panel.wait_for(what))
        panel.jobs.start(work)
        if panel.jobs.busy:
            panel.draw_list()

    def _try_again_in(self, account: Account, seen: Seen, pause: float) -> None:
        panel = self._panel
        panel.seen[account.address] = seen
        self.waiting.show(again_in(account, seen, pause))
        panel.draw_list()

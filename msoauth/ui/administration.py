"""The sign-in of an administrator, for what only Graph shows. Its token stays in this kernel's memory."""

import ipywidgets
from markupsafe import Markup

from msoauth.errors import AuthError, InputError
from msoauth.graph import Graph
from msoauth.identity import administrator
from msoauth.identity.flows import SignIn
from msoauth.model import Link, Signal
from msoauth.texts import _
from msoauth.ui import html
from msoauth.ui.jobs import Job
from msoauth.ui.panel import Panel, clear
from msoauth.ui.widgets import Form, View


class Administration:
    """Lets an administrator sign in, and forgets again.

    Attributes:
        graph: The reader, by the firm's name; nothing of it is stored.
    """

    def __init__(self, panel: Panel, graph: dict[str, Graph]) -> None:
        self._panel = panel
        self._attempt: SignIn[administrator.AdministratorToken] | None = None
        self.graph = graph
        self.view = View(live=True, on_action=self.on_action)
        self.paste_form = Form(
            [{"name": "answer", "label": _("The address at which the browser ended"), "kind": "secret-area"}],
            [{"name": "paste", "label": _("Take this address"), "primary": True}],
            on_press=self._paste,
        )  # fmt: skip
        self.paste_form.layout = ipywidgets.Layout(display="none")

    def draw(self) -> None:
        """Show whether an administrator of the chosen firm has signed in."""
        firm = self._panel.session.firm()
        graph = self.graph.get(firm.name) if firm else None
        self.paste_form.layout.display = "none"
        if firm is None or firm.access == "app-only":
            self.view.show(Markup(""))
        elif graph is None:
            said = _(
                "With an administrator's sign-in the diagnosis also reads the app's registration, consent, assignment and licence from Microsoft Graph. The token stays in memory and is never stored."
            )
            self.view.show(
                Markup('<details data-key="admin"><summary>{}</summary><p>{}</p>{}</details>').format(
                    _("For administrators"), said, html.button(_("Let an administrator sign in"), "admin", small=True)
                )
            )  # fmt: skip
        else:
            said = _("{admin} is signed in as administrator; the token is in memory only.").format(
                admin=graph.signed_in_as or "?"
            )
            self.view.show(
                html.paragraph("{} {}", said, html.button(_("Forget it"), "forget", small=True))
            )

    def on_action(self, name: str, _value: str) -> None:
        """One of the buttons here was pressed."""
        firm = self._panel.session.firm()
        if name == "forget" and firm is not None:
            self.graph.pop(firm.name, None)
            self.draw()
        elif name == "admin":
            self._start()
        elif name == "cancel":
            self._panel.cancel()
            self.draw()

    def _start(self) -> None:
        panel = self._panel
        firm = panel.session.firm()
        if firm is None or panel.jobs.busy:
            return

        def work(job: Job) -> None:
            attempt = administrator.start(panel.workspace, firm)
            job.on_cancel(attempt.cancel)
            if job.cancelled.is_set():
                return
            panel.jobs.show(job, lambda: self._wait_for(attempt))
            try:
                token = attempt.wait()
            except AuthError as refused:
                shown = html.failure(refused, firm)
                panel.jobs.show(job, lambda: self._ended(shown))
                return
            graph = Graph(firm.cloud, token.value, signed_in_as=token.signed_in_as)
            panel.jobs.show(job, lambda: self._signed_in(firm.name, graph))

        clear(panel.message)
        self.view.show(panel.wait_for(_("Starting the administrator's sign-in …")))
        panel.set_state("running")
        panel.busy(True)
        panel.jobs.start(work)

    def _wait_for(self, attempt: SignIn[administrator.AdministratorToken]) -> None:
        self._attempt = attempt
        parts = [html.paragraph(attempt.message)] if attempt.message else []
        opened = html.link(Link(_("Open the sign-in page"), attempt.url))
        parts.append(html.paragraph("{} {}", opened, html.copy(attempt.url, _("Copy the address"))))
        if attempt.code:
            code = Markup('<span class="mso-code">{}</span>').format(attempt.code)
            parts.append(html.paragraph("{} {}", code, html.copy(attempt.code)))
        parts.append(html.button(_("Cancel"), "cancel", small=True))
        self.view.show(html.box("note", *parts))
        if attempt.flow == "paste":
            self.paste_form.layout.display = ""

    def _paste(self, _name: str) -> None:
        if self._attempt is None:
            return
        try:
            self._attempt.paste(self.paste_form.typed("answer"))
            self.paste_form.errors = {}
        except InputError as wrong:
            self.paste_form.errors = {"answer": wrong.summary}

    def _ended(self, shown: Markup) -> None:
        self._panel.message.show(shown)
        self._settle(Signal.FAILED)

    def _signed_in(self, firm: str, graph: Graph) -> None:
        self.graph[firm] = graph
        self._settle(Signal.NOT_RUN)

    def _settle(self, state: Signal) -> None:
        self._attempt = None
        self.paste_form.clear_secret("answer")
        self._panel.jobs.finish()
        self._panel.set_state(state)
        self._panel.busy(False)
        self.draw()

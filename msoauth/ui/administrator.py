"""Shows the section of the diagnosis in which an administrator signs in, so that it can also read Microsoft Graph.

The administrator's token stays in this kernel's memory until it is discarded or the kernel ends.
"""

from typing import cast

from markupsafe import Markup

from msoauth.errors import AuthError, CancelledError
from msoauth.graph import Graph
from msoauth.identity import administrator
from msoauth.identity.environment import Flow
from msoauth.model import Firm, Signal
from msoauth.texts import _
from msoauth.ui import html
from msoauth.ui.jobs import Job
from msoauth.ui.panel import Panel, clear
from msoauth.ui.sign_in_view import SignInView
from msoauth.ui.widgets import View


class AdministratorSection:
    """Lets an administrator of the chosen firm sign in, and discards the token again.

    Args:
        graph: Graph clients by the firm's name; the section adds and removes them.

    Attributes:
        widgets: To be shown, from top to bottom.
    """

    def __init__(self, panel: Panel, graph: dict[str, Graph]) -> None:
        self._panel = panel
        self.graph = graph
        self.view = View(live=True, on_action=self.on_action)
        self.sign_in_view = SignInView(panel.jobs, self.on_action)
        self.widgets = (self.view, *self.sign_in_view.widgets)

    def draw(self) -> None:
        """Show whether an administrator of the chosen firm has signed in."""
        self.sign_in_view.clear()
        firm = self._panel.session.firm()
        graph = self.graph.get(firm.name) if firm else None
        if firm is None or firm.access == "app-only":
            clear(self.view)
        elif graph is None:
            text = _(
                "With an administrator's sign-in the diagnosis also reads the app's registration, consent, assignment, licence and the directory's policies from Microsoft Graph. The token stays in memory and is never stored."
            )
            self.view.show(
                Markup(
                    '<details data-key="admin"><summary>{}</summary><p>{}</p>{}</details>'
                ).format(
                    _("For administrators"),
                    text,
                    html.button(_("Let an administrator sign in"), "admin", small=True),
                )
            )
        else:
            text = _("{admin} is signed in as administrator; the token is in memory only.").format(
                admin=graph.signed_in_as or "?"
            )
            self.view.show(
                html.paragraph("{} {}", text, html.button(_("Forget it"), "forget", small=True))
            )

    def on_action(self, name: str, _value: str) -> None:
        """Handle a button of the section."""
        firm = self._panel.session.firm()
        if name == "cancel":
            self._panel.cancel()
        elif firm is None:
            return
        elif name == "forget":
            self.graph.pop(firm.name, None)
            self.draw()
        elif name == "admin" and not self._panel.jobs.busy:
            self._start(firm, None)
        elif name in ("browser", "device", "paste"):
            self._start(firm, cast(Flow, name))

    def _start(self, firm: Firm, flow: Flow | None) -> None:
        panel = self._panel

        def work(job: Job) -> None:
            attempt = administrator.start(panel.workspace, firm, flow)
            try:
                token = self.sign_in_view.wait(job, attempt, firm.name)
            except CancelledError:
                panel.jobs.show(job, panel.cancel)
                return
            except AuthError as error:
                message = html.failure(error, firm)
                panel.jobs.show(job, lambda: self._refused(message))
                return
            graph = Graph(firm.cloud, token.value, signed_in_as=token.signed_in_as)
            panel.jobs.show(job, lambda: self._signed_in(firm, graph))

        clear(panel.message, self.view)
        self.sign_in_view.clear()
        self.sign_in_view.view.show(
            panel.progress_line(_("Starting the administrator's sign-in …"))
        )
        panel.set_state("running")
        panel.set_busy(True)
        panel.jobs.start(work)

    def _refused(self, message: Markup) -> None:
        self._panel.message.show(message)
        self._panel.end(Signal.FAILED)
        self.draw()

    def _signed_in(self, firm: Firm, graph: Graph) -> None:
        self.graph[firm.name] = graph
        self._panel.end(Signal.NOT_RUN)
        self.draw()

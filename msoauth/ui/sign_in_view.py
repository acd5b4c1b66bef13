"""Shows a sign-in under way: what to do, the time left, the other flows, Cancel, and a field for a pasted address.

It serves both a user's and an administrator's sign-in. A pasted address contains an authorization code, so its field is a
secret one: its value is in no widget state and in no notebook file.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import ipywidgets
from markupsafe import Markup

from msoauth.errors import InputError
from msoauth.identity.flows import SignIn
from msoauth.model import Link
from msoauth.texts import _
from msoauth.ui import html
from msoauth.ui.jobs import Job, Jobs
from msoauth.ui.panel import clear
from msoauth.ui.widgets import Form, View

Result = TypeVar("Result")


class SignInView:
    """The view, and below it the form for a pasted address.

    Args:
        jobs: The worker that waits for the sign-in.
        on_action: Called with ``cancel``, or with the flow to use instead (``browser``, ``device`` or ``paste``) and
            the *value* given to :meth:`wait`.

    Attributes:
        attempt: The sign-in under way, or None.
        widgets: Both, from top to bottom.
    """

    def __init__(self, jobs: Jobs, on_action: Callable[[str, str], None]) -> None:
        self._jobs = jobs
        self.attempt: SignIn[Any] | None = None
        self.view = View(live=True, on_action=on_action)
        self.paste_form = Form(
            [
                {
                    "name": "answer",
                    "label": _("The address at which the browser ended"),
                    "kind": "secret-area",
                    "hint": _("Paste the whole of it, or the whole mail that holds it"),
                }
            ],
            [{"name": "paste", "label": _("Take this address"), "primary": True}],
            on_press=self._paste,
        )
        self.paste_form.layout = ipywidgets.Layout(display="none")
        self.widgets = (self.view, self.paste_form)

    def clear(self) -> None:
        """Show nothing, and discard what was pasted."""
        self.attempt = None
        clear(self.view)
        self.paste_form.layout.display = "none"
        self.paste_form.errors = {}
        self.paste_form.clear_secret("answer")

    def wait(self, job: Job, attempt: SignIn[Result], value: str) -> Result:
        """Show *attempt* and wait for its end; called in the worker.

        Args:
            job: Cancelling it cancels the sign-in.
            value: Passed to *on_action* with the button for another flow.

        Raises:
            CancelledError, AuthError: as :meth:`msoauth.identity.flows.SignIn.wait` does.
        """
        job.on_cancel(attempt.cancel)
        self._jobs.show(job, lambda: self._show(attempt, value))
        return attempt.wait()

    def _show(self, attempt: SignIn[Any], value: str) -> None:
        self.attempt = attempt
        self.view.show(_box(attempt, value))
        if attempt.flow == "paste":
            self.paste_form.layout.display = ""

    def _paste(self, _name: str) -> None:
        if self.attempt is None:
            return
        try:
            self.attempt.paste(self.paste_form.typed("answer"))
            self.paste_form.errors = {}
        except InputError as error:
            self.paste_form.errors = {"answer": error.summary}


def _box(attempt: SignIn[Any], value: str) -> Markup:
    line = Markup("<p>{} {}</p>")
    sign_in_page = html.link(Link(_("Open the sign-in page"), attempt.url))
    if attempt.flow == "device":
        address = html.link(Link(attempt.url, attempt.url))
        text = _("{user} opens this address on any computer and enters the code:")
        instructions = [
            html.paragraph(text.format(user=attempt.user)),
            line.format(
                Markup('<span class="mso-address">{}</span>').format(address),
                html.copy(attempt.url),
            ),
            line.format(
                Markup('<span class="mso-code">{}</span>').format(attempt.code),
                html.copy(attempt.code),
            ),
        ]
    elif attempt.flow == "paste":
        text = _(
            "Send this link to {user}. After signing in, their browser ends on a page that does not load: "
            "that is right. They send back the address of that page; paste it below."
        )
        instructions = [
            html.paragraph(text.format(user=attempt.user)),
            line.format(sign_in_page, html.copy(attempt.url, _("Copy the link"))),
        ]
    else:
        instructions = [
            html.paragraph(attempt.message),
            line.format(sign_in_page, html.copy(attempt.url, _("Copy the address"))),
        ]
    other_flows = {
        "browser": _("In this browser"),
        "device": _("With a code"),
        "paste": _("With a link"),
    }
    del other_flows[attempt.flow]
    return html.box(
        "note",
        html.paragraph(
            "{}",
            html.dot("running", _("Waiting for the sign-in of {user}").format(user=attempt.user)),
        ),
        *([Markup('<p class="mso-quiet">{}</p>').format(attempt.reason)] if attempt.reason else []),
        *instructions,
        line.format(_("Time left:"), html.countdown(attempt.seconds_left)),
        Markup('<p>{} <span class="mso-quiet">{}</span> {}</p>').format(
            html.button(_("Cancel"), "cancel"),
            _("Another way:"),
            Markup(" ").join(
                html.button(label, flow, value, small=True) for flow, label in other_flows.items()
            ),
        ),
    )

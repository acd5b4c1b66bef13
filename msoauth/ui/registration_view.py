"""What the registration form shows beside its findings: the steps in Exchange, and a secret that was refused."""

from collections.abc import Sequence

from markupsafe import Markup

from msoauth.errors import AuthError
from msoauth.identity import app_only
from msoauth.model import Finding, Firm, Signal
from msoauth.store import Workspace
from msoauth.texts import _
from msoauth.ui import html


def exchange_steps_of(workspace: Workspace, firm: Firm, made: Sequence[Finding]) -> Markup:
    """The steps in Exchange for app-only access, once the app gets tokens; empty for other firms."""
    if firm.access != "app-only" or html.worst(made) not in (Signal.PASSED, Signal.WARNING):
        return Markup("")
    try:
        object_id = app_only.service_principal(workspace, firm)
    except AuthError:
        object_id = ""  # the checks have just said what is wrong, or it passes
    steps = app_only.exchange_steps(firm, workspace.accounts.list(firm.name), object_id)
    items = Markup("").join(Markup("<li>{}</li>").format(step) for step in steps.steps)
    shown = "\n".join([*steps.commands, "", _("# What was done shows:"), *steps.verify])
    return html.box(
        "note",
        html.paragraph(_("App-only access: what an administrator of the firm does once")),
        Markup('<ol class="mso-steps">{}</ol>').format(items),
        Markup('<div class="mso-evidence">{}</div>').format(shown),
        Markup("<p>{} {}</p>").format(
            html.copy("\n".join(steps.commands), _("Copy the PowerShell")),
            html.copy(steps.text(), _("Copy all of it")),
        ),
        html.paragraph(_("Then add the mailboxes in step 2 and check each: nobody signs in.")),
    )


def old_secret_stays(refused: AuthError, firm: Firm) -> Markup:
    """A new secret that was refused, or could not be checked."""
    return html.failure(refused, firm) + html.box(
        "note", html.paragraph(_("The new secret was not stored; the old one stays in use."))
    )

"""Checks of the user through Microsoft Graph; they run only when an administrator has signed in."""

from msoauth.checks.context import Context, Outcome
from msoauth.checks.directory_app import define_check, graph_client, has_graph, service_principal
from msoauth.errors import AuthError
from msoauth.explaining import explain
from msoauth.graph import DirectoryUser
from msoauth.model import Signal
from msoauth.texts import _


def _user(context: Context) -> DirectoryUser:
    upn = context.mailbox.user
    user = graph_client(context).user(upn)
    if user is None:
        raise AuthError(
            _("the directory knows no user {user}").format(user=upn), cause="user-not-found"
        )
    return user


def _assignment(context: Context) -> Outcome:
    principal = service_principal(context)
    if not principal.assignment_required:
        return Outcome(_("no assignment is required"))
    if context.account is None:  # a run for the firm alone
        return Outcome(
            _("assignment is required: each user must be assigned to the app"), Signal.WARNING
        )
    user = _user(context)
    assignments = graph_client(context).assignments(principal.object_id)
    if any(assignment.principal_id == user.id for assignment in assignments):
        return Outcome(_("assignment is required, and the user is assigned"))
    groups = sorted(assignment.name for assignment in assignments if assignment.kind == "Group")
    if groups:
        return Outcome(
            _(
                "assignment is required; the user is not assigned directly, perhaps by a group: {groups}"
            ).format(groups=", ".join(groups)),
            Signal.WARNING,
        )
    return Outcome(
        _("assignment is required, and the user is not assigned"),
        Signal.FAILED,
        "user-not-assigned",
        "appRoleAssignmentRequired: true",
    )


def _enabled_and_licensed(context: Context) -> Outcome:
    """Whether the user may sign in, has an Exchange Online licence, and owns the mailbox's address."""
    user, address = _user(context), context.mailbox.address
    if not user.enabled:
        return Outcome(
            _("sign-in of {user} is blocked").format(user=user.upn),
            Signal.FAILED,
            "user-disabled",
            "accountEnabled: false",
        )
    if user.exchange is False:  # None: Graph did not say
        return Outcome(
            _("{user} has no Exchange Online licence").format(user=user.upn),
            Signal.FAILED,
            "mailbox-missing",  # a user without the licence has no mailbox of their own
            "assignedPlans: –",  # Graph lists the plans there
        )
    # Not with a separate login: a shared mailbox's address is not one of the user who signs in.
    if context.mailbox.login is None and user.addresses and address.lower() not in user.addresses:
        return Outcome(
            _("{user} is there, but {address} is none of the user's addresses").format(
                user=user.upn, address=address
            ),
            Signal.WARNING,
            evidence=", ".join(sorted(user.addresses)),
        )
    return Outcome(_("{user} is there, enabled and licensed").format(user=user.upn))


def _last_sign_in(context: Context) -> Outcome:
    """How the user's last sign-in ended, from the log: most refusals are otherwise shown to the user only (facts B4)."""
    try:
        entries = graph_client(context).sign_ins(context.firm.client_id, context.mailbox.user)
    except AuthError as error:
        if error.cause != "graph-forbidden":
            raise
        return Outcome(
            _("the sign-in log cannot be read (it needs Entra ID P1 and a reader's role)"),
            Signal.WARNING,
            evidence=error.evidence,
        )
    if not entries:
        return Outcome(_("the sign-in log has no sign-in of this user to the app"))
    latest = entries[0]
    when = f"{latest.at:%Y-%m-%d %H:%M} UTC" if latest.at else "?"
    if not latest.code:
        return Outcome(_("the last sign-in of this user succeeded ({when})").format(when=when))
    error_text = f"AADSTS{latest.code}: {latest.reason}"
    summary = _("the last sign-in of this user was refused ({when})").format(when=when)
    # With tokens stored, mail may work all the same; without any, this refusal is the reason.
    if context.workspace.tokens.status(context.mailbox.address) is not None:
        return Outcome(summary, Signal.WARNING, evidence=error_text)
    raise AuthError(
        summary,
        cause=explain(error_text).cause,
        evidence=error_text,
        ids={"correlation_id": latest.correlation_id} if latest.correlation_id else {},
    )


def _has_graph_and_user(context: Context) -> bool:
    return has_graph(context) and context.account is not None and context.firm.access == "delegated"


USER_CHECKS = (
    define_check(
        "assignment",
        lambda: _("The user may use the app"),
        _assignment,
        lambda: _("Does the app require assignment, and is the user assigned?"),
        applies=lambda context: has_graph(context) and context.firm.access == "delegated",
    ),
    define_check(
        "user",
        lambda: _("The user is enabled and licensed"),
        _enabled_and_licensed,
        lambda: _("Is the user there and enabled, and has an Exchange Online licence?"),
        applies=_has_graph_and_user,
        needs=("network.graph", "registration.directory"),
    ),
    define_check(
        "sign-ins",
        lambda: _("The sign-in log"),
        _last_sign_in,
        lambda: _("How did the user's last sign-in to this app end, as Microsoft's log has it?"),
        applies=_has_graph_and_user,
        needs=("network.graph", "registration.directory"),
    ),
)

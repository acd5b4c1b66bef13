"""What an administrator's sign-in lets us see of the user. Without one these checks are not run at all."""

from msoauth.checks.context import Context, Outcome
from msoauth.checks.directory_app import check_of, graph_of, principal_of, with_graph
from msoauth.errors import AuthError
from msoauth.explaining import explain
from msoauth.graph import DirectoryUser
from msoauth.model import Signal
from msoauth.texts import _


def _user(context: Context) -> DirectoryUser:
    name = context.mailbox.user
    found = graph_of(context).user(name)
    if found is None:
        raise AuthError(
            _("the directory knows no user {user}").format(user=name), cause="user-not-found"
        )
    return found


def _assignment(context: Context) -> Outcome:
    principal = principal_of(context)
    if not principal.assignment_required:
        return Outcome(_("no assignment is required"))
    if context.account is None:
        return Outcome(
            _("assignment is required: each user must be assigned to the app"), Signal.WARNING
        )
    user = _user(context)
    assigned = graph_of(context).assigned_to(principal.object_id)
    if any(one.principal_id == user.id for one in assigned):
        return Outcome(_("assignment is required, and the user is assigned"))
    groups = sorted(one.name for one in assigned if one.kind == "Group")
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


def _licence(context: Context) -> Outcome:
    user, address = _user(context), context.mailbox.address
    if not user.enabled:
        return Outcome(
            _("sign-in of {user} is blocked").format(user=user.upn),
            Signal.FAILED,
            "user-disabled",
            "accountEnabled: false",
        )
    if user.exchange is False:
        return Outcome(
            _("{user} has no Exchange Online licence").format(user=user.upn),
            Signal.FAILED,
            "mailbox-missing",
            "assignedPlans: –",
        )
    if context.mailbox.login is None and user.addresses and address.lower() not in user.addresses:
        return Outcome(
            _("{user} is there, but {address} is none of the user's addresses").format(
                user=user.upn, address=address
            ),
            Signal.WARNING,
            evidence=", ".join(sorted(user.addresses)),
        )
    return Outcome(_("{user} is there, enabled and licensed").format(user=user.upn))


def _sign_ins(context: Context) -> Outcome:
    """Most refusals of a sign-in are shown to the user only (facts B4); the administrator's log has them."""
    try:
        entries = graph_of(context).sign_ins(context.firm.client_id, context.mailbox.user)
    except AuthError as refused:
        if refused.cause != "graph-forbidden":
            raise
        return Outcome(
            _("the sign-in log cannot be read (it needs Entra ID P1 and a reader's role)"),
            Signal.WARNING,
            evidence=refused.evidence,
        )
    if not entries:
        return Outcome(_("the sign-in log has no sign-in of this user to the app"))
    last = entries[0]
    when = f"{last.at:%Y-%m-%d %H:%M} UTC" if last.at else "?"
    if not last.code:
        return Outcome(_("the last sign-in of this user succeeded ({when})").format(when=when))
    words = f"AADSTS{last.code}: {last.reason}"
    said = _("the last sign-in of this user was refused ({when})").format(when=when)
    if context.workspace.tokens.status(context.mailbox.address) is not None:
        return Outcome(said, Signal.WARNING, evidence=words)
    raise AuthError(
        said,
        cause=explain(words).cause,
        evidence=words,
        ids={"correlation_id": last.correlation_id} if last.correlation_id else {},
    )


def _with_user(context: Context) -> bool:
    return (
        with_graph(context) and context.account is not None and context.firm.access == "delegated"
    )


USERS = (
    check_of(
        "assignment",
        lambda: _("The user may use the app"),
        _assignment,
        lambda: _("Does the app require assignment, and is the user assigned?"),
        applies=lambda context: with_graph(context) and context.firm.access == "delegated",
    ),
    check_of(
        "user",
        lambda: _("The user is enabled and licensed"),
        _licence,
        lambda: _("Is the user there and enabled, and has an Exchange Online licence?"),
        applies=_with_user,
        needs=("network.graph", "registration.directory"),
    ),
    check_of(
        "sign-ins",
        lambda: _("The sign-in log"),
        _sign_ins,
        lambda: _("How did the user's last sign-in to this app end, as Microsoft's log has it?"),
        applies=_with_user,
        needs=("network.graph", "registration.directory"),
    ),
)

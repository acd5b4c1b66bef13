"""Checks of the user through Microsoft Graph; they run only when an administrator has signed in."""

from msoauth.addresses import key, same
from msoauth.checks.context import Context, Outcome
from msoauth.checks.directory_app import (
    define_check,
    graph_client,
    has_graph,
    quoted,
    service_principal,
)
from msoauth.errors import AuthError
from msoauth.explaining import explain
from msoauth.graph import DirectoryUser, Recipient, SignInEntry
from msoauth.model import Signal
from msoauth.texts import _


def _user(context: Context) -> DirectoryUser:
    """The user who signs in for the account, found by object id, user name or else the mailbox's address.

    Raises:
        AuthError: there is none (``user-not-found``), or the address is no mailbox (``not-a-mailbox``).
    """
    graph, account = graph_client(context), context.mailbox
    person = _known_person(context)
    user = (graph.user(person) if person else None) or graph.find_user(account.user)
    if user is None:
        if account.login is None:
            _require_mailbox(context)
        raise AuthError(
            _("the directory knows no user {user}").format(user=account.user),
            cause="user-not-found",
        )
    return user


def _known_person(context: Context) -> str:
    """The object id of the account's user, if that user has signed in; empty where it is not known."""
    account = context.mailbox
    status = context.workspace.tokens.status(account.address)
    # Somebody may have noted another user since that sign-in.
    if status is None or not same(status.signed_in_as, account.user):
        return ""
    return status.object_id or ""


def _require_mailbox(context: Context) -> None:
    """Make sure that the account's address is not that of a group, a list or a contact.

    Where these may not be read, nothing is known.

    Raises:
        AuthError: it is (``not-a-mailbox``).
    """
    address = context.mailbox.address
    try:
        found = graph_client(context).recipient(address)
    except AuthError as error:
        if error.cause != "graph-forbidden":
            raise
        return
    if found is None:
        if not graph_client(context).is_room(address):
            return
        found = Recipient("room", address.partition("@")[0], address)
    sentence = {
        "group": _("{address} is the group {name}, not a mailbox"),
        "list": _("{address} is the distribution list {name}, not a mailbox"),
        "contact": _("{address} is the contact {name}, not a mailbox"),
        "room": _("{address} is the room {name}, not a person's mailbox"),
    }[found.kind]
    context.state.known["kind"] = found.kind
    raise AuthError(
        sentence.format(address=address, name=found.name),
        cause="not-a-mailbox",
        details={"kind": found.kind},
    )


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
    of_groups = {a.principal_id: a.name for a in assignments if a.kind == "Group"}
    groups = sorted(of_groups.values())
    member_of = _groups_of(context, user) if groups else set()
    if member_of is None:
        return Outcome(
            _(
                "assignment is required; the user is not assigned directly, perhaps by a group: {groups}"
            ).format(groups=", ".join(groups)),
            Signal.WARNING,
        )
    if through := sorted(of_groups[id_] for id_ in of_groups.keys() & member_of):
        return Outcome(
            _("assignment is required, and the user is assigned by the group {group}").format(
                group=through[0]
            )
        )
    return Outcome(
        _("assignment is required, and the user is not assigned"),
        Signal.FAILED,
        "user-not-assigned",
        "appRoleAssignmentRequired: true",
    )


def _groups_of(context: Context, user: DirectoryUser) -> set[str] | None:
    """The ids of the user's groups; None where they may not be read."""
    try:
        return graph_client(context).groups_of(user.id)
    except AuthError as error:
        if error.cause != "graph-forbidden":
            raise
        return None


def _enabled_and_licensed(context: Context) -> Outcome:
    """Whether the user may sign in, and the mailbox is one that the user can open."""
    account, graph = context.mailbox, graph_client(context)
    user, address = _user(context), context.mailbox.address
    known = context.state.known
    if account.login is not None:
        owner = graph.user_with_address(address)
        if owner is None:
            _require_mailbox(context)
        elif owner.id == user.id:
            known["kind"] = "own"
        elif not owner.enabled and owner.exchange is False:
            known["kind"] = "room" if graph.is_room(address) else "shared"
        if owner is not None and (wrong := _is_no_primary(context, owner)):
            return wrong
    elif not user.enabled and user.exchange is False and user.addresses:
        known["kind"] = "room" if graph.is_room(address) else "shared"
    if known.get("kind") == "room":
        return _no_mailbox(_("{address} is a room, not a person's mailbox"), context, "room")
    if not user.enabled:
        sentence = _("sign-in of {user} is blocked")
        if known.get("kind") == "shared" and account.login is None:
            sentence = _("{user} is the own user of a shared mailbox, whose sign-in is blocked")
        return Outcome(
            sentence.format(user=user.upn), Signal.FAILED, "user-disabled", "accountEnabled: false"
        )
    if user.id == _known_person(context) and not same(user.upn, account.user):
        return Outcome(
            _("{old} has a new user name: {new}").format(old=account.user, new=user.upn),
            Signal.FAILED,
            "user-renamed",
            f"userPrincipalName: {user.upn}",
            details={"signed_in_as": user.upn},
        )
    if account.login is None and not same(user.upn, address):
        return Outcome(
            _("{address} is the mailbox of the user {user}, who signs in under that name").format(
                address=address, user=user.upn
            ),
            Signal.FAILED,
            "account-wrong",
            f"userPrincipalName: {user.upn}",
            details={"signed_in_as": user.upn},
        )
    if user.exchange is False and known.get("kind") != "shared":  # None: Graph did not say
        details = {"licence_of": user.upn}
        if user.synchronized and user.primary:
            details["kind"] = "on-premises"
        return Outcome(
            _("{user} has no Exchange Online licence").format(user=user.upn),
            Signal.FAILED,
            "mailbox-missing",  # a user without the licence has no mailbox of their own
            "assignedPlans: –",  # Graph lists the plans there
            details=details,
        )
    if account.login is None and user.addresses and key(address) not in user.addresses:
        return Outcome(
            _("{user} is there, but {address} is none of the user's addresses").format(
                user=user.upn, address=address
            ),
            Signal.WARNING,
            evidence=", ".join(sorted(user.addresses)),
        )
    if account.login is None and (wrong := _is_no_primary(context, user)):
        return wrong
    return Outcome(_("{user} is there, enabled and licensed").format(user=user.upn))


def _is_no_primary(context: Context, owner: DirectoryUser) -> Outcome | None:
    """The outcome where the account's address is only a second one of the owner's mailbox; None where it is not."""
    if not owner.primary or same(owner.primary, context.mailbox.address):
        return None
    sentence = _("{address} is a second address of the mailbox {primary}")
    context.state.known["primary"] = owner.primary
    return _no_mailbox(sentence, context, "alias")


def _no_mailbox(sentence: str, context: Context, kind: str) -> Outcome:
    context.state.known["kind"] = kind
    known = context.state.known
    return Outcome(
        sentence.format(address=context.mailbox.address, primary=known.get("primary", "")),
        Signal.FAILED,
        "not-a-mailbox",
    )


def _last_sign_in(context: Context) -> Outcome:
    """How the user's last sign-in ended, from the log: most refusals are otherwise shown to the user only (facts B4)."""
    try:
        entries = _sign_ins(context)
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
        if latest.interactive:
            return Outcome(_("the last sign-in of this user succeeded ({when})").format(when=when))
        return Outcome(
            _("the last sign-in that the app made for this user succeeded ({when})").format(
                when=when
            )
        )
    error_text = f"AADSTS{latest.code}: {latest.reason}"
    summary = (
        _("the last sign-in of this user was refused ({when})")
        if latest.interactive
        else _("the last sign-in that the app made for this user was refused ({when})")
    ).format(when=when)
    if latest.policies:
        summary = _("{summary} by the policy {policies}").format(
            summary=summary, policies=quoted(latest.policies)
        )
    # With tokens stored, mail may work all the same; without any, this refusal is the reason.
    if context.workspace.tokens.status(context.mailbox.address) is not None:
        return Outcome(summary, Signal.WARNING, evidence=error_text)
    raise AuthError(
        summary,
        cause=explain(error_text).cause,
        evidence=error_text,
        ids={"correlation_id": latest.correlation_id} if latest.correlation_id else {},
    )


def _sign_ins(context: Context) -> list[SignInEntry]:
    """The user's latest sign-ins: by object id, or by name when the directory does not know the user any more."""
    graph, name = graph_client(context), context.mailbox.user
    try:
        user_id = _user(context).id
    except AuthError as error:
        if error.cause != "user-not-found":
            raise
        user_id = ""
    return graph.sign_ins(context.firm.client_id, name, user_id)


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

"""The changes that the admin center's buttons make, by their names (`ACTIONS`)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from msoauth.practice import permissions
from msoauth.practice.admin.settings import LISTINGS, SETTINGS
from msoauth.practice.admin.view import View
from msoauth.practice.entra import redirects
from msoauth.practice.registrations import ClientSecret
from msoauth.practice.scenarios import ScenarioError
from msoauth.practice.seed import secret_value
from msoauth.practice.state import EXCHANGE_APP_ID, GRAPH_APP_ID

LIFETIMES = {"90": "90 days (3 months)", "180": "Recommended: 180 days (6 months)", "365": "365 days (12 months)",
             "545": "545 days (18 months)", "730": "730 days (24 months)", "1": "1 day", "-1": "Ended yesterday"}  # fmt: skip


class ChangeError(Exception):
    """The change cannot be made; the text is one sentence for people."""


@dataclass(slots=True)
class Form:
    """What a form of the page sends: its target (a setting, a secret, a user …), a value, and a second value."""

    target: str = ""
    value: str = ""
    extra: str = ""


@dataclass(slots=True)
class Notice:
    """The message after a change; a new secret's value is shown in it once."""

    text: str = ""
    secret: ClientSecret | None = None
    steps: list[str] = field(default_factory=list)


Action = Callable[[View, Form], Notice]


def set_setting(view: View, form: Form) -> Notice:
    """Set a setting of SETTINGS to one of its choices."""
    setting = SETTINGS.get(form.target)
    choice = setting.choice(form.value) if setting else None
    if setting is None or choice is None or not view.knows(form.target):
        raise ChangeError("There is no such setting, or it has no such value.")
    area, _dot, name = form.target.partition(".")
    setattr(view.object_of(area), name, choice.value)
    return Notice(f"{setting.label}: {choice.label}")


def add(view: View, form: Form) -> Notice:
    """Add to a list of LISTINGS."""
    label, items = _listing(view, form)
    value = _check_item(view, form.target, form.value.strip())
    _replace_listing(view, form, [*items, value])
    return Notice(f"{label}: added {form.value.strip()}")


def remove(view: View, form: Form) -> Notice:
    """Remove from a list of LISTINGS."""
    label, items = _listing(view, form)
    _replace_listing(view, form, [item for item in items if item != form.value])
    return Notice(f"{label}: removed {view.named(form.value)}")


def _listing(view: View, form: Form) -> tuple[str, list[str]]:
    if form.target not in LISTINGS or not view.knows(form.target):
        raise ChangeError("There is no such list.")
    return LISTINGS[form.target].label, list(view.value(form.target))


def _replace_listing(view: View, form: Form, items: list[str]) -> None:
    area, _dot, name = form.target.partition(".")
    holder = view.object_of(area)
    setattr(holder, name, type(getattr(holder, name))(items))


def _check_item(view: View, path: str, value: str) -> str:
    """Check a value and return it in the form in which a list stores it.

    Raises:
        ChangeError: it cannot be in that list.
    """
    if not value:
        raise ChangeError("Nothing was filled in.")
    if path.endswith("_redirect_uris") and view.app is not None:
        if problem := redirects.problem(view.app, value):
            raise ChangeError(problem)
        return value
    if path == "policies.low_impact_permissions":
        found = [
            p for p in permissions.PERMISSIONS if value in (p.value, p.id) and p.kind == "Scope"
        ]
        if not found:
            raise ChangeError(f"There is no delegated permission “{value}”.")
        return found[0].id
    if path == "principal.smtp_scope":
        if value != "*" and view.tenant.mailbox(value) is None:
            raise ChangeError(f"There is no mailbox “{value}” in {view.tenant.name}.")
        return value.lower()
    user = view.tenant.user(value)
    if path == "principal.assigned_users":
        if user is None:
            raise ChangeError(f"There is no user “{value}” in {view.tenant.name}.")
        return user.id
    if path == "user.aliases":
        taken = view.tenant.user(value) or view.tenant.mailbox(value)
        if value.rpartition("@")[2].lower() != view.tenant.domain or taken:
            raise ChangeError(f"An alias is a free address under {view.tenant.domain}.")
        return value.lower()
    if user is not None:
        return user.upn.lower()
    if any(p.object_id == value for p in view.tenant.principals):
        return value
    raise ChangeError(
        f"“{value}” is neither a user nor the Object ID of an enterprise application."
    )


# -- app registrations ------------------------------------------------------------------------------


def _new_secret(view: View, form: Form) -> Notice:
    if view.app is None or form.extra not in LIFETIMES:
        raise ChangeError("Choose when the secret expires.")
    now, lifetime = view.state.clock.now(), timedelta(days=int(form.extra))
    end = now + lifetime
    if problem := view.secret_problem(lifetime):
        raise ChangeError(problem)
    name = form.value.strip()[:60] or "Password uploaded"
    new_secret = ClientSecret(
        secret_value(), min(now, end - timedelta(days=1)), end, display_name=name
    )
    view.app.secrets.append(new_secret)
    return Notice("The new client secret was added.", secret=new_secret)


def _delete_secret(view: View, form: Form) -> Notice:
    if view.app is not None:
        view.app.secrets[:] = [s for s in view.app.secrets if s.key_id != form.target]
    return Notice("The client secret was deleted.")


def _add_permission(view: View, form: Form) -> Notice:
    resource, name, kind = (*form.value.split("|"), "", "")[:3]
    if view.app is None or permissions.permission(resource, name, kind) is None:
        raise ChangeError("There is no such permission.")
    if (resource, name, kind) not in view.app.required:
        view.app.required.append((resource, name, kind))
    return Notice(f"{name} was added; it is not granted yet.")


def _remove_permission(view: View, form: Form) -> Notice:
    if view.app is not None:
        view.app.required[:] = [
            entry for entry in view.app.required if "|".join(entry) != form.target
        ]
    return Notice(
        "The permission was removed from the registration; what was granted stays granted."
    )


def _grant(view: View, _form: Form) -> Notice:
    if view.app is None or view.principal is None:
        raise ChangeError("There is no enterprise application.")
    for resource, name, kind in view.app.required:
        granted = view.principal.admin_consent if kind == "Scope" else view.principal.app_roles
        granted.setdefault(resource, set()).add(name)
    return Notice(f"Admin consent was granted for {view.tenant.name}.")


def _revoke(view: View, form: Form) -> Notice:
    principal = view.principal
    if principal is not None and form.target == "admin":
        principal.admin_consent.clear()
        principal.app_roles.clear()
    elif principal is not None:
        principal.user_consent.pop(form.target, None)
    return Notice("The consent was revoked.")


def _new_service_principal(view: View, form: Form) -> Notice:
    """New-ServicePrincipal takes any Object ID, also the wrong one (facts A5)."""
    if view.principal is None:
        raise ChangeError("There is no enterprise application.")
    view.principal.exchange_object_id = form.value.strip() or None
    return Notice(
        "Exchange knows the app under this Object ID." if form.value.strip() else "Removed."
    )


# -- consent requests -------------------------------------------------------------------------------


def _decide(view: View, form: Form) -> Notice:
    request = next((r for r in view.tenant.consent_requests if r.id == form.target), None)
    if request is None:
        raise ChangeError("The request is no longer there.")
    view.tenant.consent_requests.remove(request)
    if form.value != "approve":
        return Notice("The request was denied.")
    principal = view.tenant.principal_of(request.app.app_id) or view.tenant.enroll(request.app)
    for resource, name in request.wanted:
        principal.admin_consent.setdefault(resource, set()).add(name)
    return Notice(f"{request.app.display_name} was approved for {view.tenant.name}.")


# -- users ------------------------------------------------------------------------------------------


def _reset_password(view: View, form: Form) -> Notice:
    """As in the Entra admin center, where it revokes what every kind of client holds (facts B6)."""
    user = view.user
    if user is None or len(form.value.strip()) < 8:
        raise ChangeError("A password has at least 8 characters.")
    user.password, user.password_expired = form.value.strip(), form.extra == "change"
    _revoke_tokens(view)
    return Notice(f"The password of {user.upn} was reset, and all sessions are revoked.")


def _revoke_sessions(view: View, _form: Form) -> Notice:
    _revoke_tokens(view)
    return Notice("All sessions are revoked: the user must sign in again.")


def _revoke_tokens(view: View) -> None:
    if view.user is not None:
        now = view.state.clock.time()
        view.user.tokens_valid_from = view.user.passwords_tokens_valid_from = now


def _unlock(view: View, _form: Form) -> Notice:
    if view.user is not None:
        view.user.locked_until, view.user.failed_tries = 0.0, 0
    return Notice("The lockout was lifted.")


def _rename_user(view: View, form: Form) -> Notice:
    user, name = view.tenant.users.get(form.target.lower()), form.value.strip()
    domain = name.rpartition("@")[2].lower()
    if user is None or domain not in (view.tenant.domain, *view.tenant.other_domains):
        raise ChangeError(f"A username ends with @{view.tenant.domain}.")
    if name.lower() in view.tenant.users and view.tenant.users[name.lower()] is not user:
        raise ChangeError(f"There is a user {name} already.")
    view.tenant.rename(user, name)
    return Notice(f"The username is {name} now.")


def _delete_user(view: View, form: Form) -> Notice:
    tenant, key = view.tenant, form.target.lower()
    if key in tenant.users:
        tenant.users = dict(tenant.users)
        tenant.deleted_users[key] = tenant.users.pop(key)
    return Notice(f"{form.target} was deleted; it can be restored.")


def _restore_user(view: View, form: Form) -> Notice:
    tenant, key = view.tenant, form.target.lower()
    if key not in tenant.deleted_users:
        raise ChangeError("There is no such deleted user.")
    tenant.users = tenant.users | {key: tenant.deleted_users.pop(key)}
    return Notice(f"{form.target} was restored.")


# -- the practice tenant itself ---------------------------------------------------------------------


def _start_scenario(view: View, form: Form) -> Notice:
    aim = form.extra.strip()
    try:
        view.scenarios.start(f"{form.value}@{aim}" if aim else form.value)
    except ScenarioError as problem:
        raise ChangeError(_explain(problem)) from None
    return Notice(f"The scenario “{form.value}” is on.")


def _explain(problem: ScenarioError) -> str:
    if problem.problem == "name":
        return f"There is no scenario “{problem.name}”."
    if problem.problem == "aim":
        return f"There is no firm or account “{problem.aim}”."
    return f"The scenario “{problem.name}” cannot be aimed as narrowly as “{problem.aim}”."


def _end_scenario(view: View, form: Form) -> Notice:
    running = next((a for a in view.scenarios.active if a.id == form.target), None)
    if running is None:
        raise ChangeError("The scenario is no longer on.")
    running.take_back()
    return Notice(f"The scenario “{running.text}” has ended.")


def _clear_fault(view: View, form: Form) -> Notice:
    view.state.faults.clear(form.target)
    return Notice("The fault was mended.")


def _correct(view: View, form: Form) -> Notice:
    if not view.endpoints.correct(form.target):
        raise ChangeError("This is noted down correctly already.")
    return Notice("Put right in the endpoints file: who copied it before must copy it again.")


def _move_clock(view: View, form: Form) -> Notice:
    try:
        amount = float(form.value.replace(",", "."))
        by = timedelta(
            **{form.extra if form.extra in ("minutes", "hours", "days") else "days": amount}
        )
        view.state.clock.now() + view.state.clock.offset + by
    except (ValueError, OverflowError):
        raise ChangeError("The clock moves by a number of minutes, hours or days.") from None
    if abs(view.state.clock.offset + by) > timedelta(days=36500):
        raise ChangeError("The clock moves by a hundred years at most.")
    view.state.clock.advance(by)
    return Notice("The clock was moved.")


def _reset_clock(view: View, _form: Form) -> Notice:
    view.state.clock.offset = timedelta()
    return Notice("The clock shows this computer's time again.")


def _set_latency(view: View, form: Form) -> Notice:
    if not form.value.strip().isdecimal() or int(form.value) > 60_000:
        raise ChangeError("The delay is a number of milliseconds, at most 60000.")
    view.state.latency = int(form.value) / 1000
    return Notice("The delay was set.")


ACTIONS: dict[str, Action] = {
    "set": set_setting,
    "add": add,
    "remove": remove,
    "new-secret": _new_secret,
    "delete-secret": _delete_secret,
    "add-permission": _add_permission,
    "remove-permission": _remove_permission,
    "grant-admin-consent": _grant,
    "revoke-consent": _revoke,
    "new-service-principal": _new_service_principal,
    "decide-request": _decide,
    "reset-password": _reset_password,
    "revoke-sessions": _revoke_sessions,
    "unlock": _unlock,
    "rename-user": _rename_user,
    "delete-user": _delete_user,
    "restore-user": _restore_user,
    "start-scenario": _start_scenario,
    "end-scenario": _end_scenario,
    "clear-fault": _clear_fault,
    "correct": _correct,
    "move-clock": _move_clock,
    "reset-clock": _reset_clock,
    "latency": _set_latency,
}

RESOURCES = (EXCHANGE_APP_ID, GRAPH_APP_ID)

"""The admin center's Conditional Access: how a policy reads there, and the changes that its buttons make."""

from dataclasses import replace
from datetime import timedelta

from msoauth.practice.admin.actions import Action, ChangeError, Form, Notice
from msoauth.practice.admin.view import View
from msoauth.practice.conditional_access import (
    BLOCK,
    DEVICE_CODE,
    DISABLED,
    ENABLED,
    GUESTS,
    LEGACY,
    MFA,
    PRIVILEGED_ROLES,
    REPORT_ONLY,
    ConditionalAccessPolicy,
)
from msoauth.practice.permissions import RESOURCE_NAMES
from msoauth.practice.registrations import new_id
from msoauth.practice.state import User

STATE_LABELS = {REPORT_ONLY: "Report-only", ENABLED: "On", DISABLED: "Off"}
_LABELS = {
    "All": "All resources", "Office365": "Office 365", "MicrosoftAdminPortals": "Microsoft Admin Portals",
    **RESOURCE_NAMES,
    "browser": "Browser", "mobileAppsAndDesktopClients": "Mobile apps and desktop clients",
    "exchangeActiveSync": "Exchange ActiveSync clients", "other": "Other clients",
    DEVICE_CODE: "Device code flow", "authenticationTransfer": "Authentication transfer",
    BLOCK: "Block access", MFA: "Require multifactor authentication",
    "compliantDevice": "Require device to be marked as compliant",
    "domainJoinedDevice": "Require Microsoft Entra hybrid joined device",
    "approvedApplication": "Require approved client app", "compliantApplication": "Require app protection policy",
}  # fmt: skip

# New policy: what the form offers, beside for whom.
TEMPLATES = {
    template.display_name: template
    for template in (
        ConditionalAccessPolicy(
            "Block access to mail", include_applications={"Office365"}, built_in_controls=(BLOCK,)
        ),
        ConditionalAccessPolicy("Require multifactor authentication", built_in_controls=(MFA,)),
        ConditionalAccessPolicy(
            "Require multifactor authentication for administrators",
            include_users=set(),
            include_roles=set(PRIVILEGED_ROLES),
            built_in_controls=(MFA,),
        ),
        ConditionalAccessPolicy(
            "Require a compliant device or multifactor authentication",
            built_in_controls=("compliantDevice", MFA),
        ),
        ConditionalAccessPolicy(
            "Require a compliant device", built_in_controls=("compliantDevice",)
        ),
        ConditionalAccessPolicy(
            "Require a managed device", built_in_controls=("compliantDevice", "domainJoinedDevice")
        ),
        ConditionalAccessPolicy(
            "Require a hybrid joined device", built_in_controls=("domainJoinedDevice",)
        ),
        ConditionalAccessPolicy(
            "Require an approved client app", built_in_controls=("approvedApplication",)
        ),
        ConditionalAccessPolicy(
            "Block legacy authentication",
            client_app_types={"exchangeActiveSync", LEGACY},
            built_in_controls=(BLOCK,),
        ),
        ConditionalAccessPolicy(
            "Block device code flow", transfer_methods={DEVICE_CODE}, built_in_controls=(BLOCK,)
        ),
        ConditionalAccessPolicy(
            "Sign-in frequency: one hour", sign_in_frequency=timedelta(hours=1)
        ),
    )
}


def described(view: View, policy: ConditionalAccessPolicy) -> dict[str, str]:
    """A policy's parts in words, by the headings of its page."""
    groups = {group.id: group.display_name for group in view.tenant.groups}

    def people(users: set[str], in_groups: set[str], roles: set[str]) -> str:
        names = {"All": "All users", GUESTS: "Guest or external users"}
        listed = [names.get(user) or view.named(user) for user in sorted(users)]
        listed += [f"group {groups.get(group, group)}" for group in sorted(in_groups)]
        if roles:
            listed.append(f"{len(roles)} directory role{'s' if len(roles) > 1 else ''}")
        return ", ".join(listed)

    def words(items: tuple[str, ...], between: str = ", ") -> str:
        return between.join(_LABELS.get(item, item) for item in items)

    excluded = people(policy.exclude_users, policy.exclude_groups, policy.exclude_roles)
    apart = words(tuple(sorted(policy.exclude_applications)))
    conditions = []
    if policy.client_app_types != {"all"}:
        conditions.append(f"Client apps: {words(tuple(sorted(policy.client_app_types)))}")
    if policy.transfer_methods:
        conditions.append(f"Authentication flows: {words(tuple(sorted(policy.transfer_methods)))}")
    grant = words(policy.built_in_controls, f" {policy.operator} ")
    session = f"Sign-in frequency: {policy.sign_in_frequency}" if policy.sign_in_frequency else ""
    if policy.sign_in_frequency == timedelta():
        session = "Sign-in frequency: every time"
    return {
        "Users": people(policy.include_users, policy.include_groups, policy.include_roles)
        + (f" – except {excluded}" if excluded else ""),
        "Target resources": words(tuple(sorted(policy.include_applications)))
        + (f" – except {apart}" if apart else ""),
        "Conditions": "; ".join(conditions) or "–",
        "Access controls": "; ".join(filter(None, (grant, session))) or "–",
    }


def _policy(view: View, form: Form) -> ConditionalAccessPolicy:
    policies = view.tenant.policies.conditional_access
    policy = next((p for p in policies if p.id == form.target), None)
    if policy is None:
        raise ChangeError("The policy is no longer there.")
    policy.modified = view.state.clock.now()
    return policy


def _user(view: View, name: str) -> User:
    user = view.tenant.user(name)
    if user is None:
        raise ChangeError(f"There is no user “{name}” in {view.tenant.name}.")
    return user


def _set_state(view: View, form: Form) -> Notice:
    if form.value not in STATE_LABELS:
        raise ChangeError("There is no such state of a policy.")
    policy = _policy(view, form)
    policy.state = form.value
    return Notice(f"{policy.display_name}: {STATE_LABELS[form.value]}")


def _exclude(view: View, form: Form) -> Notice:
    user = _user(view, form.value.strip())
    _policy(view, form).exclude_users.add(user.id)
    return Notice(f"{user.upn} is excluded from the policy.")


def _include_again(view: View, form: Form) -> Notice:
    _policy(view, form).exclude_users.discard(form.value)
    return Notice(f"{view.named(form.value)} is no longer excluded.")


def _new(view: View, form: Form) -> Notice:
    template = TEMPLATES.get(form.value)
    if template is None:
        raise ChangeError("Choose what the policy is to do.")
    name = form.extra.strip()
    users = {_user(view, name).id} if name else set(template.include_users)
    roles = set() if name else set(template.include_roles)
    policy = replace(
        template,
        include_users=users,
        include_roles=roles,
        exclude_users=set(),
        created=view.state.clock.now(),
        id=new_id(),
    )
    view.tenant.policies.conditional_access.append(policy)
    return Notice(f"The policy “{policy.display_name}” is on.")


def _delete(view: View, form: Form) -> Notice:
    policy = _policy(view, form)
    if policy.microsoft_managed:
        raise ChangeError("A policy that Microsoft manages can be switched off, but not deleted.")
    view.tenant.policies.conditional_access.remove(policy)
    return Notice(f"The policy “{policy.display_name}” was deleted.")


POLICY_ACTIONS: dict[str, Action] = {
    "policy-state": _set_state,
    "exclude-from-policy": _exclude,
    "include-in-policy": _include_again,
    "new-policy": _new,
    "delete-policy": _delete,
}

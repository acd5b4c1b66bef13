"""Apply and undo the settings of scenarios: one function for each area of settings."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import IntEnum
from typing import Any, NamedTuple

from msoauth.practice.conditional_access import ENABLED, MANAGED, ConditionalAccessPolicy
from msoauth.practice.corpus import typical
from msoauth.practice.endpoints import EndpointsFile
from msoauth.practice.registrations import AppManagementPolicy, new_id
from msoauth.practice.state import Group, Mailbox, PracticeState, Tenant, User, in_ascii


@dataclass(frozen=True, slots=True)
class Undo:
    """Undoes one change: a function that restores the value, and one that says whether the scenario's is still set."""

    undo: Callable[[], None]
    still_set: Callable[[], bool]


_SECONDS_FROM_NOW = ("locked_until", "tokens_valid_from", "passwords_tokens_valid_from")


class Reach(IntEnum):
    """The narrowest target of a setting: one account, one tenant, or everybody."""

    ACCOUNT = 1
    FIRM = 2
    EVERYBODY = 3


@dataclass(frozen=True, slots=True)
class Change:
    """A value to be set for a tenant, or for one account of it.

    Attributes:
        everybody: Every tenant gets the same value.
    """

    state: PracticeState
    endpoints: EndpointsFile
    tenant: Tenant
    account: str | None
    name: str
    value: Any
    everybody: bool = False

    @property
    def users(self) -> list[User]:
        """The users whom the change is for."""
        if self.account is not None:
            user = self.tenant.user(self.account)
            return [user] if user else []
        return list(self.tenant.users.values())

    @property
    def mailboxes(self) -> list[Mailbox]:
        """The mailboxes that the change is for."""
        if self.account is not None:
            mailbox = self.tenant.mailbox(self.account)
            return [mailbox] if mailbox else []
        return list(self.tenant.mailboxes.values())

    @property
    def endpoints_entry(self) -> dict[str, Any]:
        """The tenant's entry in the endpoints file."""
        entries: list[dict[str, Any]] = self.endpoints.content["practice"]["firms"]
        return next(entry for entry in entries if entry["name"] == self.tenant.name)

    def resolved_value(self) -> Any:
        """The value, with ``{tenant_id}``, ``{client_id}`` and the like replaced by this tenant's ids."""
        if not isinstance(self.value, str):
            return copy.deepcopy(self.value)
        app = self.tenant.app
        ids = {
            "app_object_id": app.object_id,
            "principal_object_id": self.tenant.principal.object_id,
            "secret_id": app.secrets[0].key_id if app.secrets else "",
            "tenant_id": self.tenant.tenant_id,
            "client_id": app.app_id,
        }
        return self.value.format(**ids)


def _set_attribute(target: Any, name: str, value: Any) -> Undo:
    """Set an attribute; a list becomes a set where the attribute is one (TOML has no sets)."""
    before = getattr(target, name)
    if isinstance(before, set):
        value = set(value)
    elif isinstance(before, dict):
        value = {key: set(items) for key, items in value.items()}
    setattr(target, name, value)
    new = copy.deepcopy(value)  # a fix by hand may change the value in place
    return Undo(lambda: setattr(target, name, before), lambda: bool(getattr(target, name) == new))


def _app(change: Change) -> Iterable[Undo]:
    yield _set_attribute(change.tenant.app, change.name, change.resolved_value())


def _service(change: Change) -> Iterable[Undo]:
    """The enterprise application of the app that works without a user."""
    principal = change.tenant.principals[-1]
    value = change.resolved_value()
    if isinstance(value, str):
        value = value.replace("[service_app_object_id]", principal.app.object_id)
    yield _set_attribute(principal, change.name, value)


def _principal(change: Change) -> Iterable[Undo]:
    principal = change.tenant.principal
    undo = _set_attribute(principal, change.name, change.resolved_value())
    if change.name in ("user_consent", "admin_consent"):  # either is consent
        undo = replace(
            undo, still_set=lambda: not (principal.user_consent or principal.admin_consent)
        )
    yield undo


def _policies(change: Change) -> Iterable[Undo]:
    yield _set_attribute(change.tenant.policies, change.name, change.resolved_value())


def _own_app_management(change: Change) -> Iterable[Undo]:
    """A rule for the secrets of the firm's app alone, which takes the place of the tenant's."""
    rule = {change.name: change.resolved_value()}
    policy = AppManagementPolicy(**rule, display_name="Policy for one app", id=new_id())
    yield _set_attribute(change.tenant.app, "management_policy", policy)


def _policy(change: Change) -> Iterable[Undo]:
    """A new Conditional Access policy: its name, and its properties besides those that have their usual values.

    It is for all users, for the one at whom the scenario is aimed, or (``to_group``) for a group of them.
    """
    tenant, fields = change.tenant, change.resolved_value()
    seconds, to_group = fields.pop("sign_in_frequency", None), fields.pop("to_group", None)
    controls = tuple(fields.pop("built_in_controls", ()))
    policy = ConditionalAccessPolicy(
        change.name, built_in_controls=controls, created=change.state.clock.now()
    )
    for name, value in fields.items():
        _set_attribute(policy, name, value)
    if seconds is not None:
        policy.sign_in_frequency = timedelta(seconds=seconds)
    if change.account is not None or to_group:
        policy.include_users = {user.id for user in change.users}
    if to_group:
        group = Group(to_group, policy.include_users)
        policy.include_users, policy.include_groups = set(), {group.id}
        tenant.groups.append(group)
        yield Undo(lambda: _discard(tenant.groups, group), lambda: False)  # the policy decides
    tenant.policies.conditional_access.append(policy)
    excluded = set(policy.exclude_users)

    def in_force() -> bool:
        is_there = any(policy is other for other in tenant.policies.conditional_access)
        return is_there and policy.state == ENABLED and policy.exclude_users == excluded

    yield Undo(lambda: _discard(tenant.policies.conditional_access, policy), in_force)


def _discard(items: list[Any], item: object) -> None:
    """Remove that object, if it is still there."""
    items[:] = [other for other in items if other is not item]


def _managed(change: Change) -> Iterable[Undo]:
    """The state of one of Microsoft's own policies; of a tenant that lost it, nothing."""
    for policy in change.tenant.policies.conditional_access:
        if policy.display_name == f"{MANAGED}{change.name}":
            yield _set_attribute(policy, "state", change.resolved_value())


def _organisation(change: Change) -> Iterable[Undo]:
    yield _set_attribute(change.tenant, change.name, change.resolved_value())


def _user(change: Change) -> Iterable[Undo]:
    value = change.resolved_value()
    if change.name in _SECONDS_FROM_NOW:
        value += change.state.clock.time()
    if change.name == "renamed":
        for user in change.users:
            yield _rename(change.tenant, user, value)
        return
    if change.name == "deleted":
        yield _delete_users(change.tenant, change.users)
        return
    for user in change.users:
        yield _set_attribute(user, change.name, value)


def _rename(tenant: Tenant, user: User, ending: str) -> Undo:
    """Give a user another user name: the old one with *ending* before the @."""
    before = user.upn
    local, _at, domain = before.partition("@")
    new, users, mail = f"{local}{ending}@{domain}", tenant.users, user.mail
    rights = [(box, box.full_access, box.send_as) for box in tenant.mailboxes.values()]
    tenant.rename(user, new)

    def restore() -> None:
        user.upn, user.mail, tenant.users = before, mail, users
        for box, full_access, send_as in rights:
            box.full_access, box.send_as = full_access, send_as

    return Undo(restore, lambda: user.upn == new)


def _further_user(change: Change) -> Iterable[Undo]:
    """A user more, with a mailbox, at a domain that is verified for the tenant beside its first one."""
    tenant, accounts = change.tenant, change.endpoints_entry["accounts"]
    local, _at, label = str(change.value).partition("@")
    written = f"{local}@{label.format(domain=tenant.domain, label=tenant.domain.partition('.')[0])}"
    address = in_ascii(written)
    domain, before = (
        address.rpartition("@")[2],
        (tenant.users, tenant.mailboxes, tenant.other_domains),
    )
    password = next(iter(tenant.users.values())).password
    tenant.users = {**tenant.users, address: User(address, local.title(), password)}
    tenant.mailboxes = {**tenant.mailboxes, address: Mailbox(address, _load=typical)}
    tenant.other_domains = (*tenant.other_domains, domain)
    entry = {"address": written, "password": password}
    accounts.append(entry)

    def restore() -> None:
        tenant.users, tenant.mailboxes, tenant.other_domains = before
        accounts.remove(entry)

    yield Undo(restore, lambda: address in tenant.users)


def _assigned_group(change: Change) -> Iterable[Undo]:
    """A group of all users of the tenant, to which the enterprise application is assigned."""
    tenant, principal = change.tenant, change.tenant.principal
    group = Group(str(change.value), {user.id for user in tenant.users.values()})
    before, assigned = tenant.groups, set(principal.assigned_groups)
    tenant.groups = [*before, group]
    principal.assigned_groups = {*assigned, group.id}

    def restore() -> None:
        tenant.groups, principal.assigned_groups = before, assigned

    yield Undo(restore, lambda: group.id in principal.assigned_groups)


def _delete_users(tenant: Tenant, users: Iterable[User]) -> Undo:
    before, deleted = tenant.users, {user.upn.lower() for user in users}
    tenant.users = {upn: user for upn, user in before.items() if upn not in deleted}
    tenant.deleted_users |= {upn: before[upn] for upn in deleted}

    def restore() -> None:
        tenant.users = before
        for upn in deleted:
            tenant.deleted_users.pop(upn, None)

    return Undo(restore, lambda: not deleted <= tenant.users.keys())


def _mailbox(change: Change) -> Iterable[Undo]:
    for mailbox in change.mailboxes:
        yield _set_attribute(mailbox, change.name, change.resolved_value())


def _secret(change: Change) -> Iterable[Undo]:
    app, old_secrets = change.tenant.app, list(change.tenant.app.secrets)

    def no_new_secret() -> bool:  # an expired or wrong secret is fixed by a new one
        return all(any(secret is old for old in old_secrets) for secret in app.secrets)

    for secret in old_secrets:
        if change.name == "ended_days_ago":
            end = change.state.clock.now() - timedelta(days=change.value)
            yield replace(_set_attribute(secret, "end", end), still_set=no_new_secret)
        else:
            yield replace(
                _set_attribute(secret, "value", secret.value[::-1]), still_set=no_new_secret
            )


def _endpoints_entry(change: Change) -> Iterable[Undo]:
    """A value in the tenant's or an account's entry in the endpoints file, as if it had been copied wrongly."""
    # The first app's values are in the tenant's own entry and again among its apps.
    entries = [
        e for e in (change.endpoints_entry, change.endpoints_entry["apps"][0]) if change.name in e
    ]
    if change.name == "password":
        addresses = {user.upn.lower() for user in change.users}
        entries = [
            e for e in change.endpoints_entry["accounts"] if e["address"].lower() in addresses
        ]
    for entry in entries:
        yield _set_entry(entry, change.name, change.resolved_value())


def _set_entry(entry: dict[str, Any], name: str, value: Any) -> Undo:
    before = entry[name]
    entry[name] = value
    new = copy.copy(value)
    return Undo(lambda: entry.__setitem__(name, before), lambda: bool(entry[name] == new))


def _endpoint(change: Change) -> Iterable[Undo]:
    value = change.resolved_value()
    if isinstance(value, dict):
        value = {**change.endpoints.content[change.name], **value}
    yield _set_entry(change.endpoints.content, change.name, value)


def _fault(change: Change) -> Iterable[Undo]:
    aim = change.account or (None if change.everybody else change.tenant.tenant_id)
    faults = change.state.faults
    faults.set(change.name, change.resolved_value(), aim)
    yield Undo(lambda: faults.clear(change.name), lambda: faults.value(change.name) is not None)


def _port(change: Change) -> Iterable[Undo]:
    faults, name = change.state.faults, f"port.{change.name}"
    faults.set(name, change.resolved_value())
    yield Undo(lambda: faults.clear(name), lambda: faults.value(name) is not None)


def _clock(change: Change) -> Iterable[Undo]:
    clock = change.state.clock
    yield _set_attribute(clock, "offset", clock.offset + timedelta(days=change.value))


class Area(NamedTuple):
    """An area of settings: the function that applies one, and its narrowest target."""

    apply: Callable[[Change], Iterable[Undo]]
    reach: Reach


AREAS = {
    "app": Area(_app, Reach.FIRM),
    "principal": Area(_principal, Reach.FIRM),
    "service": Area(_service, Reach.FIRM),
    "policies": Area(_policies, Reach.FIRM),
    "own_app_management": Area(_own_app_management, Reach.FIRM),
    "policy": Area(_policy, Reach.ACCOUNT),
    "managed": Area(_managed, Reach.FIRM),
    "organisation": Area(_organisation, Reach.FIRM),
    "user": Area(_user, Reach.ACCOUNT),
    "mailbox": Area(_mailbox, Reach.ACCOUNT),
    "further": Area(_further_user, Reach.FIRM),
    "group": Area(_assigned_group, Reach.FIRM),
    "secret": Area(_secret, Reach.FIRM),
    "noted": Area(_endpoints_entry, Reach.FIRM),
    "account": Area(_endpoints_entry, Reach.ACCOUNT),
    "endpoint": Area(_endpoint, Reach.EVERYBODY),
    "fault": Area(_fault, Reach.ACCOUNT),
    "port": Area(_port, Reach.EVERYBODY),
    "clock": Area(_clock, Reach.EVERYBODY),
}

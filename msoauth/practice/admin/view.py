"""What one request of the admin center shows: a tenant, an app, a user, a mailbox, and the lists beside them."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from msoauth.practice import permissions
from msoauth.practice.admin.settings import LISTINGS, SETTINGS
from msoauth.practice.endpoints import EndpointsFile
from msoauth.practice.registrations import AppRegistration, ServicePrincipal
from msoauth.practice.scenarios import RunningScenario, RunningScenarios
from msoauth.practice.state import LogEntry, Mailbox, PracticeState, Tenant, User

PEOPLE = 20  # rows of a page of Active users
LOG = 40
SIGN_INS, PROTOCOLS, CHANGES = ("sign-in", "token"), ("POP3", "IMAP", "SMTP", "graph"), ("admin",)

# The portal's own words where secrets are forbidden; those for a lifetime that is too long are not known.
_SECRETS_BLOCKED = "Client secrets are blocked by tenant-wide policy. Contact your tenant administrator for more information."


@dataclass(slots=True)
class View:
    """The objects that a request shows; everything but the tenant may be missing."""

    scenarios: RunningScenarios
    tenant: Tenant
    app: AppRegistration | None
    principal: ServicePrincipal | None
    user: User | None
    mailbox: Mailbox | None
    find: str = ""
    page: int = 0
    log_find: str = ""
    _names: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def state(self) -> PracticeState:
        """The state of the practice tenant."""
        return self.scenarios.state

    @property
    def endpoints(self) -> EndpointsFile:
        """The endpoints file."""
        return self.scenarios.endpoints

    @property
    def tenants(self) -> list[Tenant]:
        """All tenants."""
        return list(self.state.tenants.values())

    def object_of(self, area: str) -> Any:
        """The object that holds a setting's area (``app``, ``user`` …); None when it is missing."""
        return {
            "app": self.app, "principal": self.principal, "policies": self.tenant.policies,
            "organisation": self.tenant, "user": self.user, "mailbox": self.mailbox,
        }.get(area)  # fmt: skip

    def value(self, path: str) -> Any:
        """The value of a setting."""
        area, _dot, name = path.partition(".")
        return getattr(self.object_of(area), name)

    def knows(self, path: str) -> bool:
        """Whether that setting exists and its object is shown."""
        exists = path in SETTINGS or path in LISTINGS
        return exists and self.object_of(path.partition(".")[0]) is not None

    def secret_problem(self, lifetime: timedelta = timedelta()) -> str:
        """Why a client secret of that lifetime cannot be added to the app, in the portal's words; empty if it can."""
        refusal = self.app and self.app.secret_refusal(
            self.tenant.policies.app_management, lifetime
        )
        if not refusal:
            return ""
        return _SECRETS_BLOCKED if refusal[0].startswith("CredentialType") else refusal[1]

    def query(self, **changes: Any) -> str:
        """The query of a link to this view, or to another one."""
        current = {
            "tenant": self.tenant.tenant_id,
            "app": self.app.object_id if self.app else "",
            "user": self.user.upn if self.user else "",
            "mailbox": self.mailbox.address if self.mailbox else "",
            "find": self.find,
            "page": self.page,
            "log": self.log_find,
        }
        return urlencode({name: value for name, value in (current | changes).items() if value})

    def running(self) -> list[RunningScenario]:
        """The running scenarios, without those that were fixed by hand, which end here."""
        active = self.scenarios.active
        active[:] = [scenario for scenario in active if scenario.still_broken()]
        return list(active)

    # -- lists ---------------------------------------------------------------------------------

    def people(self) -> tuple[list[User], int]:
        """The users of this page of the list, and how many there are in all."""
        text = self.find.strip().lower()
        matches = [
            u
            for u in self.tenant.users.values()
            if not text or text in u.upn.lower() or text in u.display_name.lower() or text == u.id
        ]
        start = self.page * PEOPLE
        return matches[start : start + PEOPLE], len(matches)

    def recipients(self) -> list[Mailbox]:
        """Shared mailboxes, rooms, groups, lists and contacts."""
        return [box for box in self.tenant.mailboxes.values() if box.kind != "user"]

    def log(self, kinds: tuple[str, ...]) -> list[LogEntry]:
        """The latest lines of a log; those of other tenants are left out."""
        search, lines = self.log_find.strip().lower(), []
        for entry in reversed(self.state.log):
            text = f"{entry.correlation_id} {entry.trace_id} {entry.id} {entry.user} {entry.outcome} {entry.app_id}"
            in_tenant = entry.tenant in ("", self.tenant.name)
            if entry.kind in kinds and in_tenant and (not search or search in text.lower()):
                lines.append(entry)
                if len(lines) == LOG:
                    break
        return lines

    def named(self, who: str) -> str:
        """The name of a user, service principal or permission by its id; the id itself when it is unknown."""
        if not self._names:
            self._names = {
                p.id: f"{p.value} ({permissions.RESOURCE_NAMES[p.resource]})"
                for p in permissions.PERMISSIONS
            }
            self._names |= {user.id: user.upn for user in self.tenant.users.values()}
            for principal in self.tenant.principals:
                name = f"{principal.app.display_name} ({principal.object_id})"
                self._names[principal.object_id] = name
        return self._names.get(who, who)


def view_for(
    scenarios: RunningScenarios, *, tenant: str, app: str, user: str, mailbox: str
) -> View:
    """The view that a request's parameters name; a default where they name nothing."""
    state = scenarios.state
    selected = state.tenant(tenant) or next(iter(state.tenants.values()))
    apps = selected.apps
    registration = next((a for a in apps if a.object_id == app), apps[0] if apps else None)
    principal = next((p for p in selected.principals if p.app is registration), None)
    people = selected.users.values()
    default_user = next((u for u in people if not u.admin), next(iter(people), None))
    person = (selected.users.get(user.lower()) if user else None) or default_user
    box = selected.mailbox(mailbox) if mailbox else None
    if box is None and person is not None:
        box = selected.own_mailbox(person)
    return View(scenarios, selected, registration, principal, person, box)

"""The state of a practice tenant: its directories (tenants) with apps, users, mailboxes and policies, and the log.

Settings have Microsoft's names, in Python's spelling. The servers read them at every request, so a
change in the admin center or by a scenario is seen by the next one.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import idna

from msoauth.practice.clock import Clock
from msoauth.practice.conditional_access import (
    ALL,
    GLOBAL_ADMINISTRATOR,
    GUESTS,
    AppliedPolicy,
    ConditionalAccessPolicy,
    SignInFacts,
)
from msoauth.practice.faults import Faults
from msoauth.practice.registrations import (
    AppManagementPolicy,
    AppRegistration,
    ConsentRequest,
    ServicePrincipal,
    new_id,
)

EXCHANGE_APP_ID = "00000002-0000-0ff1-ce00-000000000000"
GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
MANAGED_CONSENT = "microsoft-user-default-recommended"  # a new tenant's consent policy (facts L1)

LOG_LENGTH = 2000  # entries that the log keeps
_OUTCOME_LIMIT = 600  # characters of an outcome


def in_ascii(address: str) -> str:
    """An address, or a domain, in the form in which Entra and Exchange keep it: lower case, its domain in ASCII."""
    local, at, domain = address.strip().lower().rpartition("@")
    if not domain.isascii():
        with suppress(idna.IDNAError):
            domain = idna.encode(domain, uts46=True).decode()
    return f"{local}{at}{domain}"


@dataclass(slots=True)
class User:
    """Active users → the user.

    Attributes:
        mfa_required: *Per-user multifactor authentication*: the second factor is asked for, whatever policies say.
        mfa_registered: The user has registered a second factor; one who has not must do so when it is asked for.
        tokens_valid_from: Refresh tokens issued before are revoked (password change, revoke sessions).
        passwords_tokens_valid_from: The same, only for password-based tokens of public clients.
        mail: The primary address of the user's mailbox, in lower case, where that is not the user name.
        synchronized: The user comes from the firm's own Active Directory.
        admin: The user has a directory role that may consent for all users and read Graph.
        guest_of: Identity provider of an external account (``live.com`` …), or None.
    """

    upn: str
    display_name: str
    password: str = field(repr=False)
    id: str = field(default_factory=new_id)
    account_enabled: bool = True
    password_expired: bool = False
    failed_tries: int = 0
    locked_until: float = 0.0
    mfa_required: bool = False
    mfa_registered: bool = True
    licensed: bool = True
    aliases: tuple[str, ...] = ()
    mail: str = ""
    synchronized: bool = False
    admin: bool = False
    guest_of: str | None = None
    tokens_valid_from: float = 0.0
    passwords_tokens_valid_from: float = 0.0

    @property
    def roles(self) -> frozenset[str]:
        """The template ids of the user's directory roles."""
        return frozenset({GLOBAL_ADMINISTRATOR}) if self.admin else frozenset()


@dataclass(slots=True)
class Group:
    """A group of users; ``members`` are their object ids."""

    display_name: str
    members: set[str] = field(default_factory=set)
    id: str = field(default_factory=new_id)


@dataclass(slots=True)
class Message:
    """A mail in a mailbox; ``raw`` has CRLF line ends and no dot-stuffing.

    Attributes:
        received: When it arrived, in seconds since the Unix epoch; None when its Date header says so.
        flags: IMAP flags besides ``\\Seen``.
    """

    uid: int
    raw: bytes
    seen: bool = False
    received: float | None = None
    flags: frozenset[str] = frozenset()


@dataclass(slots=True)
class Folder:
    """A mail folder, whose messages have ascending UIDs.

    Attributes:
        name: Its path, with ``/`` between levels, in IMAP's modified UTF-7.
        announced: The highest UID that an IMAP session which may write was told of: newer mail is ``\\Recent``.
    """

    name: str
    uid_validity: int
    next_uid: int = 1
    announced: int = 0
    subscribed: bool = True
    messages: list[Message] = field(default_factory=list)

    def append(
        self,
        raw: bytes,
        received: float | None = None,
        *,
        seen: bool = False,
        flags: frozenset[str] = frozenset(),
    ) -> Message:
        """Add a mail at the end."""
        message = Message(self.next_uid, raw, seen, received, flags)
        self.next_uid += 1
        self.messages.append(message)
        return message


INBOX, SENT, JUNK = "INBOX", "Sent Items", "Junk Email"
# The folders that every mailbox has, and the special use of each (RFC 6154).
SPECIAL_USES = {
    "Archive": "", "Calendar": "", "Contacts": "", "Conversation History": "", "Deleted Items": "\\Trash",
    "Drafts": "\\Drafts", INBOX: "", "Journal": "", JUNK: "\\Junk", "Notes": "", "Outbox": "",
    SENT: "\\Sent", "Tasks": "",
}  # fmt: skip


@dataclass(slots=True)
class Mailbox:
    """A recipient: a mailbox with its *Manage email apps* settings and mail, or what looks like one from outside.

    Attributes:
        kind: ``user``, ``shared`` or ``room`` for a mailbox; ``group``, ``list`` (distribution) or ``contact`` for what
            only passes mail on; ``on-premises`` for a user's mailbox that is still on the firm's own server.
        smtp_client_authentication_disabled: True off, False on, None inherits the organisation's setting.
        full_access: UPNs (lower case) or service-principal object ids with FullAccess.
        send_as: UPNs (lower case) with Send As on this mailbox.
        busy: Locked by another POP session: every login is refused.
        trusted_lists_only: Junk email: mail from others than safe senders goes to *Junk Email*.
        inbox_rule: The folder to which an inbox rule moves all new mail, or empty.
        forwarding_smtp_address: The address to which all new mail is forwarded without a copy here, or empty.
    """

    address: str
    pop_enabled: bool = True
    imap_enabled: bool = True
    smtp_client_authentication_disabled: bool | None = None
    full_access: set[str] = field(default_factory=set)
    send_as: set[str] = field(default_factory=set)
    busy: bool = False
    moved: bool = False
    kind: str = "user"
    trusted_lists_only: bool = False
    inbox_rule: str = ""
    forwarding_smtp_address: str = ""
    _load: Callable[[], Sequence[bytes]] | None = field(default=None, repr=False)
    _folders: dict[str, Folder] = field(default_factory=dict, repr=False)
    _created: int = 0  # folders so far: a folder that is created again has another UIDVALIDITY

    @property
    def shared(self) -> bool:
        """Whether it is opened by other users than its own."""
        return self.kind in ("shared", "room")

    @property
    def is_mailbox(self) -> bool:
        """Whether Exchange Online keeps mail for it."""
        return self.kind in ("user", "shared", "room")

    @property
    def folders(self) -> dict[str, Folder]:
        """The folders by their names in lower case, made when first read, so that 10,000 mailboxes cost nothing."""
        if not self._folders:
            for name in sorted(SPECIAL_USES, key=lambda name: name != INBOX):
                self.create(name)
            inbox = self._folders[INBOX.lower()]
            for raw in self._load() if self._load else ():
                inbox.append(raw)
            inbox.announced = inbox.next_uid - 1
        return self._folders

    def create(self, name: str) -> Folder:
        """Add an empty folder."""
        self._created += 1
        folder = Folder(name, self._created)
        self._folders[name.lower()] = folder
        return folder

    @property
    def inbox(self) -> Folder:
        """The inbox."""
        return self.folders[INBOX.lower()]

    @property
    def messages(self) -> list[Message]:
        """The mail of the inbox."""
        return self.inbox.messages

    @property
    def sent(self) -> list[Message]:
        """The mail of *Sent Items*."""
        return self.folders[SENT.lower()].messages

    def size(self) -> int:
        """Bytes of received and sent mail, without the sample mail that the mailbox began with."""
        messages = (m for folder in self._folders.values() for m in folder.messages)
        return sum(len(message.raw) for message in messages if message.received is not None)

    def deliver(self, raw: bytes, received: float | None = None) -> Message:
        """Add a mail at the end of the inbox."""
        return self.inbox.append(raw, received)

    def keep_sent(self, raw: bytes, received: float | None = None) -> Message:
        """Add a mail to *Sent Items*."""
        return self.folders[SENT.lower()].append(raw, received, seen=True)


@dataclass(slots=True)
class Policies:
    """Conditional Access, security defaults and consent settings of a tenant.

    Attributes:
        user_consent: The id of the policy that says what users may consent to for themselves, empty for nothing; else
            *Need admin approval* (90094).
        low_impact_permissions: Ids of the permissions that are classified as low impact.
        consent_requests: The admin-consent request workflow is on (90095).
        block_passwords, max_password_days, max_certificate_days, restricted_since: The tenant's
            :class:`~msoauth.practice.registrations.AppManagementPolicy`.
    """

    conditional_access: list[ConditionalAccessPolicy] = field(default_factory=list)
    security_defaults: bool = False
    user_consent: str = MANAGED_CONSENT
    low_impact_permissions: set[str] = field(default_factory=set)
    consent_requests: bool = False
    block_passwords: bool = False
    max_password_days: int | None = None
    max_certificate_days: int | None = None
    restricted_since: datetime | None = None

    @property
    def app_management(self) -> AppManagementPolicy:
        """The rules for the credentials of all apps that have none of their own."""
        return AppManagementPolicy(
            self.block_passwords,
            self.max_password_days,
            self.max_certificate_days,
            self.restricted_since,
        )


@dataclass(slots=True)
class Tenant:
    """One tenant (directory): app registrations, enterprise applications, users, mailboxes, settings.

    Attributes:
        apps: App registrations whose home this tenant is.
        principals: Enterprise applications: of its own apps, and of other tenants' apps that users consented to.
        resource_ids: Object ids of Microsoft's own service principals here, by their app ids.
        other_domains: Verified domains beside *domain*, in their ASCII form.
        groups: Security groups, to which an enterprise application can be assigned.
        premium: The tenant has Entra ID P1, without which Graph shows no sign-in log.
    """

    name: str
    tenant_id: str
    domain: str
    apps: list[AppRegistration] = field(default_factory=list)
    principals: list[ServicePrincipal] = field(default_factory=list)
    resource_ids: dict[str, str] = field(
        default_factory=lambda: {EXCHANGE_APP_ID: new_id(), GRAPH_APP_ID: new_id()}
    )
    premium: bool = True
    consent_requests: list[ConsentRequest] = field(default_factory=list)
    users: dict[str, User] = field(default_factory=dict)  # by UPN in lower case
    deleted_users: dict[str, User] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    mailboxes: dict[str, Mailbox] = field(default_factory=dict)  # by address in lower case
    policies: Policies = field(default_factory=Policies)
    smtp_client_authentication_disabled: bool = False
    exchange_online: bool = True
    deprovisioned: bool = False
    other_domains: tuple[str, ...] = ()

    @property
    def app(self) -> AppRegistration:
        """The first app registration: the one that mail is retrieved with."""
        return self.apps[0]

    @property
    def principal(self) -> ServicePrincipal:
        """The enterprise application of the first app registration."""
        return next(p for p in self.principals if p.app is self.apps[0])

    def register(self, app: AppRegistration) -> ServicePrincipal:
        """App registrations → New registration; it makes the enterprise application as well."""
        self.apps.append(app)
        return self.enroll(app)

    def enroll(self, app: AppRegistration) -> ServicePrincipal:
        """A new enterprise application for an app of this tenant or of another one."""
        principal = ServicePrincipal(app)
        self.principals.append(principal)
        return principal

    def principal_of(self, app_id: str) -> ServicePrincipal | None:
        """The enterprise application of that client id, without regard to case."""
        key = app_id.lower()
        return next((p for p in self.principals if p.app.app_id.lower() == key), None)

    def principal_in_exchange(self, object_id: str) -> ServicePrincipal | None:
        """The app that was made known to Exchange (New-ServicePrincipal) under that ObjectId."""
        return next((p for p in self.principals if p.exchange_object_id == object_id), None)

    def user(self, upn: str) -> User | None:
        """The user with that user name or mail address, ignoring case."""
        key = in_ascii(upn)
        user = self.users.get(key)
        return user or next(
            (u for u in self.users.values() if key == u.mail or (u.aliases and key in u.aliases)),
            None,
        )

    def sign_in_facts(
        self, user: User, resource: str, apps: Iterable[str], client_app_type: str, **more: Any
    ) -> SignInFacts:
        """What policies look at when *user* signs in; the arguments are as in `SignInFacts`."""
        return SignInFacts(
            user.id,
            frozenset({ALL, user.id, GUESTS} if user.guest_of else {ALL, user.id}),
            frozenset(group.id for group in self.groups if user.id in group.members),
            user.roles,
            resource,
            frozenset({ALL, resource, *apps}),
            client_app_type,
            **more,
        )

    def own_mailbox(self, user: User) -> Mailbox | None:
        """The user's own mailbox."""
        return self.mailboxes.get(user.mail or user.upn.lower())

    def rename(self, user: User, upn: str) -> None:
        """Active users → the user → Manage username and email: a new user name; rights and mailbox stay."""
        old, new = user.upn.lower(), upn.lower()
        mailbox = self.own_mailbox(user)
        user.upn, user.mail = (
            upn,
            "" if mailbox is None or mailbox.address == new else mailbox.address,
        )
        self.users = {new if u is user else key: u for key, u in self.users.items()}
        for box in self.mailboxes.values():
            if old in box.full_access:
                box.full_access = box.full_access - {old} | {new}
            if old in box.send_as:
                box.send_as = box.send_as - {old} | {new}

    def assigned_ids(self, principal: ServicePrincipal) -> set[str]:
        """Users who are assigned to an enterprise application, themselves or as direct members of a group."""
        groups = (g for g in self.groups if g.id in principal.assigned_groups)
        return principal.assigned_users.union(*(group.members for group in groups))

    def user_by_id(self, object_id: str, likely: str) -> User | None:
        """The user with that object id; *likely* is the user name under which it probably is."""
        user = self.users.get(likely.lower())
        if user is None or user.id != object_id:
            user = next((u for u in self.users.values() if u.id == object_id), None)
        return user

    def mailbox(self, address: str) -> Mailbox | None:
        """The mailbox at that primary address, without regard to case."""
        return self.mailboxes.get(in_ascii(address))

    def smtp_auth_disabled(self, mailbox: Mailbox) -> str | None:
        """``"Mailbox"`` or ``"Tenant"`` when Authenticated SMTP is off there; the mailbox's setting wins."""
        if mailbox.smtp_client_authentication_disabled is not None:
            return "Mailbox" if mailbox.smtp_client_authentication_disabled else None
        return "Tenant" if self.smtp_client_authentication_disabled else None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line of the sign-in log or the protocol log; never holds a credential.

    Attributes:
        kind: ``sign-in`` (interactive), ``token`` (of a program), ``graph``, ``POP3``, ``IMAP``, ``SMTP`` or ``admin``.
        sign_in: What policies looked at; None when the sign-in did not come so far.
        applied: What each policy said about it.
    """

    at: datetime
    kind: str
    tenant: str
    user: str
    outcome: str
    correlation_id: str = ""
    trace_id: str = ""
    app_id: str = ""
    sign_in: SignInFacts | None = None
    applied: tuple[AppliedPolicy, ...] = ()
    id: str = field(default_factory=new_id)


@dataclass(slots=True)
class PracticeState:
    """The state of one running practice tenant; the servers read it at every request.

    Attributes:
        latency: Seconds by which every answer of the token and mail servers is delayed.
        device_interval: Seconds that a client has to wait between two polls for a device code.
        faults: Misbehaviour of the servers that scenarios have set.
    """

    clock: Clock = field(default_factory=Clock)
    tenants: dict[str, Tenant] = field(default_factory=dict)  # by tenant id
    latency: float = 0.0
    device_interval: int = 5
    faults: Faults = field(default_factory=Faults)
    log: deque[LogEntry] = field(default_factory=lambda: deque(maxlen=LOG_LENGTH))

    def add(self, tenant: Tenant) -> None:
        """Add a tenant."""
        self.tenants[tenant.tenant_id.lower()] = tenant

    def tenant(self, name: str) -> Tenant | None:
        """The tenant of that id or domain."""
        key = in_ascii(name)
        return self.tenants.get(key) or next(
            (f for f in self.tenants.values() if key == f.domain or key in f.other_domains), None
        )

    def tenant_of_address(self, address: str) -> Tenant | None:
        """The tenant that owns the domain of *address*."""
        return self.tenant(address.rpartition("@")[2])

    def users(self) -> Iterator[tuple[Tenant, User]]:
        """Every user of every tenant."""
        for tenant in self.tenants.values():
            for user in tenant.users.values():
                yield tenant, user

    def log_event(
        self,
        kind: str,
        outcome: str,
        *,
        tenant: str = "",
        user: str = "",
        correlation_id: str = "",
        trace_id: str = "",
        app_id: str = "",
        sign_in: SignInFacts | None = None,
        applied: tuple[AppliedPolicy, ...] = (),
    ) -> None:
        """Add an entry to the log; long values are cut, so that a client cannot fill the memory."""
        self.log.append(
            LogEntry(
                self.clock.now(),
                kind,
                tenant,
                user[:320],
                outcome[:_OUTCOME_LIMIT],
                correlation_id[:36],
                trace_id[:36],
                app_id[:36],
                sign_in,
                applied,
            )
        )

"""Apps in Entra ID: the registration, its secrets, and what each tenant decided about it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4


def guid(text: str) -> str:
    """*text* in the usual form of a GUID; empty when it is none."""
    try:
        return str(UUID(text))
    except ValueError:
        return ""


def new_id() -> str:
    """A new random GUID."""
    return str(uuid4())


@dataclass(slots=True)
class ClientSecret:
    """An entry of Certificates & secrets: the *Secret ID* (``key_id``) is not the *Value*."""

    value: str = field(repr=False)
    start: datetime
    end: datetime
    display_name: str = "msoauth"
    key_id: str = field(default_factory=new_id)

    @property
    def hint(self) -> str:
        """The first three characters of the value, as Graph shows them."""
        return self.value[:3]


@dataclass(frozen=True, slots=True)
class AppManagementPolicy:
    """Rules for the credentials of apps (facts K2.5): a tenant's for all of them, or one in its place for single apps.

    They count when a credential is added; an older one stays valid. An app with a policy of its own inherits nothing
    from the tenant's; that this holds for a rule that it does not name is unverified.

    Attributes:
        block_passwords: No client secret may be added.
        max_password_days: How long a new client secret may be valid, or None.
        max_certificate_days: The same for certificates.
        restricted_since: Only apps that were created then or later are restricted; None for all.
    """

    block_passwords: bool = False
    max_password_days: int | None = None
    max_certificate_days: int | None = None
    restricted_since: datetime | None = None
    display_name: str = "Default app management tenant policy"
    id: str = "00000000-0000-0000-0000-000000000000"

    def __str__(self) -> str:
        rules = [
            "no new client secrets" if self.block_passwords else "",
            f"client secrets for {self.max_password_days} days" if self.max_password_days else "",
            f"certificates for {self.max_certificate_days} days"
            if self.max_certificate_days
            else "",
        ]
        return f"{self.display_name} ({', '.join(filter(None, rules)) or 'no restriction'})"


# The policy that excludes an app from the tenant's rules.
EXEMPTION = AppManagementPolicy(
    display_name="Exemption policy", id="5e2c9a57-3d0e-4f5c-9f57-1f2a64c1e0aa"
)


@dataclass(slots=True)
class AppRegistration:
    """App registrations → the app. ``required`` is what *API permissions* lists: (resource app id, name, kind).

    ``kind`` is ``Scope`` for delegated and ``Role`` for application permissions, as in Graph.

    Attributes:
        verified_publisher: Microsoft has verified who published it.
        management_policy: The app's own app management policy; None for the tenant's.
    """

    app_id: str
    display_name: str
    object_id: str = field(default_factory=new_id)
    sign_in_audience: str = "AzureADMyOrg"
    web_redirect_uris: list[str] = field(default_factory=list)
    public_client_redirect_uris: list[str] = field(default_factory=list)
    spa_redirect_uris: list[str] = field(default_factory=list)
    is_fallback_public_client: bool = False
    secrets: list[ClientSecret] = field(default_factory=list)
    required: list[tuple[str, str, str]] = field(default_factory=list)
    created: datetime = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    deleted: bool = False
    groups_claim: bool = False  # Token configuration → Add groups claim
    verified_publisher: bool = False
    management_policy: AppManagementPolicy | None = None

    def secret_refusal(
        self, tenant_policy: AppManagementPolicy, lifetime: timedelta
    ) -> tuple[str, str] | None:
        """Why a new secret of that lifetime may not be added: Graph's code and text (facts K2.8); None if it may."""
        policy = self.management_policy or tenant_policy
        if policy.restricted_since is not None and self.created < policy.restricted_since:
            return None
        if policy.block_passwords:
            return (
                "CredentialTypeNotAllowedAsPerAppPolicy",
                "Credential type not allowed as per assigned policy",
            )
        days = policy.max_password_days
        if days is not None and lifetime > timedelta(days=days):
            return (
                "CredentialInvalidLifetimeAsPerAppPolicy",
                f"Credential lifetime exceeds the max value allowed as per assigned policy '{policy.id}'.",
            )
        return None


@dataclass(slots=True)
class ServicePrincipal:
    """Enterprise applications → the app: what a tenant decided about an app of its own or of another tenant.

    Attributes:
        admin_consent: ``{resource app id: {short scope names}}`` granted for all users.
        user_consent: ``{user id: {resource app id: {short scope names}}}``.
        app_roles: ``{resource app id: {role names}}`` granted (application permissions).
        exchange_object_id: The ObjectId given to New-ServicePrincipal in Exchange, or None.
        smtp_scope: Addresses in the scope of its Exchange role *Application SMTP.SendAsApp* (RBAC for Applications);
            ``*`` for all.
    """

    app: AppRegistration
    object_id: str = field(default_factory=new_id)
    account_enabled: bool = True
    app_role_assignment_required: bool = False
    assigned_users: set[str] = field(default_factory=set)
    assigned_groups: set[str] = field(default_factory=set)
    admin_consent: dict[str, set[str]] = field(default_factory=dict)
    user_consent: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    app_roles: dict[str, set[str]] = field(default_factory=dict)
    exchange_object_id: str | None = None
    smtp_scope: set[str] = field(default_factory=set)

    def sends_as(self, address: str) -> bool:
        """Whether the scope of its Exchange role covers that address."""
        return bool({"*", address.strip().lower()} & self.smtp_scope)

    def consented(self, user_id: str, resource: str) -> set[str]:
        """Short names of the scopes of *resource* that the user, or the admin for all, consented to."""
        own = self.user_consent.get(user_id, {}).get(resource, set())
        return own | self.admin_consent.get(resource, set())


@dataclass(slots=True)
class ConsentRequest:
    """An entry of Enterprise applications → Admin consent requests; ``wanted`` as (resource app id, name)."""

    app: AppRegistration
    user_id: str
    wanted: list[tuple[str, str]]
    reason: str
    at: datetime
    id: str = field(default_factory=new_id)

"""What the admin center's buttons do to the tenant."""

from datetime import datetime, timedelta

from msoauth.practice.clock import Clock
from msoauth.practice.seed import secret_value
from msoauth.practice.state import ClientSecret, Firm, Mailbox, User

PLATFORMS = {
    "Web": "web_redirect_uris",
    "Mobile and desktop applications": "public_client_redirect_uris",
    "Single-page application": "spa_redirect_uris",
}


def new_secret(firm: Firm, now: datetime, name: str) -> ClientSecret:
    """Certificates & secrets → New client secret, good for 180 days."""
    made = ClientSecret(
        secret_value(), now, now + timedelta(days=180), display_name=name.strip()[:60] or "msoauth"
    )
    firm.app.secrets.append(made)
    return made


def change_app(firm: Firm, change: str, on: str, value: str) -> None:
    """App registrations and Enterprise applications."""
    yes = value == "on"
    match change:
        case "remove-secret":
            firm.app.secrets[:] = [s for s in firm.app.secrets if s.key_id != on]
        case "add-uri" if on in PLATFORMS and value.strip():
            getattr(firm.app, PLATFORMS[on]).append(value.strip())
        case "remove-uri":
            for name in PLATFORMS.values():
                uris = getattr(firm.app, name)
                uris[:] = [uri for uri in uris if uri != value]
        case "public-client":
            firm.app.is_fallback_public_client = yes
        case "admin-consent":
            for resource, name, kind in firm.app.required:
                granted = (
                    firm.principal.admin_consent if kind == "Scope" else firm.principal.app_roles
                )
                granted.setdefault(resource, set()).add(name)
        case "revoke-consent":
            firm.principal.admin_consent.clear()
            firm.principal.user_consent.clear()
        case "enabled":
            firm.principal.account_enabled = yes
        case "assignment":
            firm.principal.app_role_assignment_required = yes


def change_tenant(firm: Firm, clock: Clock, change: str, value: str) -> None:
    """Policies, the organisation's mail settings, and the practice tenant's clock."""
    yes = value == "on"
    match change:
        case "user-consent":
            firm.policies.user_consent = yes
        case "security-defaults":
            firm.policies.security_defaults = yes
        case "conditional-access":
            firm.policies.blocked = yes
        case "device-code":
            firm.policies.device_code_blocked = yes
        case "organisation-smtp":
            firm.smtp_client_authentication_disabled = yes
        case "clock":
            days = int(value) if value.lstrip("-").isdigit() and len(value) < 6 else 0
            clock.offset = timedelta(days=days)


def change_user(firm: Firm, user: User, now: datetime, change: str, value: str) -> None:
    """Active users → the user."""
    yes = value == "on"
    match change:
        case "assign":
            (firm.principal.assigned_users.add if yes else firm.principal.assigned_users.discard)(
                user.id
            )
        case "block":
            user.account_enabled = not yes
        case "licence":
            user.licensed = yes
        case "mfa":
            user.mfa = "enrolled" if yes else None
        case "revoke-sessions":
            user.tokens_valid_from = now.timestamp()
        case "reset-password" if value.strip():
            user.password = value.strip()
            user.password_expired = False
            user.passwords_tokens_valid_from = now.timestamp()


def change_mailbox(mailbox: Mailbox, change: str, value: str) -> None:
    """Active users → the user → Manage email apps."""
    match change:
        case "smtp":
            states = {"on": False, "off": True}
            mailbox.smtp_client_authentication_disabled = states.get(value)
        case "pop":
            mailbox.pop_enabled = value == "on"
        case "imap":
            mailbox.imap_enabled = value == "on"

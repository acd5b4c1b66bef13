"""Check a login by XOAUTH2: whose token it is, for which protocol, and for which mailbox.

The order of the checks is that of a diagnostic tool by a Microsoft support engineer (facts E1, B5):
form, signature, issuer, audience, expiry, permission, user; then the mailbox's settings.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from msoauth.practice.conditional_access import LEGACY, evaluate
from msoauth.practice.state import EXCHANGE_APP_ID, Mailbox, PracticeState, Tenant, User
from msoauth.practice.tokens import Signer, TokenRefusedError

# facts B5: the audiences that Exchange accepts; "as URI or app GUID"
AUDIENCES = frozenset(
    {
        "https://outlook.office.com",
        "https://outlook.office365.com",
        "https://outlook.office365.us",
        "https://partner.outlook.cn",
        "00000002-0000-0ff1-ce00-000000000000",
    }
)
# Seconds by which a token's nbf may be in the future; Microsoft's libraries allow five minutes.
CLOCK_SKEW = 300
# Longer ones do not fit into a command of IMAP (10,240 bytes; facts E3); what POP and SMTP do with them is unverified.
LONGEST_TOKEN = 7_600


class Protocol(Enum):
    """A mail protocol, with the permission of a user's token and that of an app's (facts A4, A5)."""

    POP3 = ("POP.AccessAsUser.All", "POP.AccessAsApp")
    IMAP = ("IMAP.AccessAsUser.All", "IMAP.AccessAsApp")
    SMTP = ("SMTP.Send", "SMTP.SendAsApp")

    @property
    def scope(self) -> str:
        """Short name of the delegated permission."""
        return self.value[0]

    @property
    def role(self) -> str:
        """Name of the application permission."""
        return self.value[1]


class Verdict(Enum):
    """Why a login is accepted or refused; each server has its own reply for it."""

    ACCEPTED = auto()
    # the token itself is refused
    MALFORMED = auto()
    SIGNATURE = auto()
    ISSUER = auto()
    AUDIENCE = auto()
    EXPIRED = auto()
    NOT_YET = auto()
    PERMISSION = auto()
    USER = auto()
    USER_DISABLED = auto()
    NO_SERVICE_PRINCIPAL = auto()
    # the token is good, but the mailbox or a policy refuses
    NO_MAILBOX = auto()
    NO_RIGHTS = auto()
    PROTOCOL_OFF = auto()
    BUSY = auto()
    MOVED = auto()
    SMTP_OFF_MAILBOX = auto()
    SMTP_OFF_TENANT = auto()
    SECURITY_DEFAULTS = auto()
    CRITERIA = auto()

    @property
    def token_refused(self) -> bool:
        """The token itself was not accepted."""
        return Verdict.MALFORMED.value <= self.value <= Verdict.NO_SERVICE_PRINCIPAL.value


@dataclass(frozen=True, slots=True)
class LoginResult:
    """The outcome of a login: the verdict and what the checks found out by then; never the token.

    Attributes:
        user: The value of ``user=``.
        why: One line for the protocol log.
        identity: UPN in lower case of the token's user, or the object id of the app.
        expires: End of the token, seconds since the epoch.
        open_mailbox: False for an app that may send but has no FullAccess (facts E6: 430 4.2.0).
    """

    verdict: Verdict
    why: str
    user: str = ""
    tenant: Tenant | None = None
    mailbox: Mailbox | None = None
    identity: str = ""
    expires: float = 0.0
    open_mailbox: bool = True


def parse(line: bytes) -> tuple[str, str] | None:
    """User and token of a base64 XOAUTH2 line, or None when it is not one (facts E1)."""
    try:
        text = base64.b64decode(line, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    parts = text.split("\x01")
    if len(parts) != 4 or parts[2:] != ["", ""]:
        return None
    user, auth = parts[:2]
    if not user.startswith("user=") or not auth.startswith("auth=Bearer "):
        return None
    user = user.removeprefix("user=").strip()
    token = auth.removeprefix("auth=Bearer ")
    if not user or not user.isprintable() or len(token) > LONGEST_TOKEN:
        return None
    return user, token


def check_login(
    state: PracticeState, signer: Signer, protocol: Protocol, line: bytes
) -> LoginResult:
    """Check a base64 XOAUTH2 line."""
    parsed = parse(line)
    if parsed is None:
        return LoginResult(Verdict.MALFORMED, "no XOAUTH2 string")
    user, token = parsed
    try:
        claims = signer.verify(token)
    except TokenRefusedError:
        return LoginResult(
            Verdict.SIGNATURE, "the token was not issued by this practice tenant", user
        )
    tenant = _issuer(state, claims)
    if tenant is None:
        return LoginResult(Verdict.ISSUER, "no such tenant issued the token", user)
    who = str(claims.get("upn") or claims.get("unique_name") or "").lower()
    app = not claims.get("scp") and not who
    identity = str(claims.get("oid", "")) if app else who
    expires = float(claims.get("exp", 0))

    def verdict(
        verdict: Verdict, why: str, mailbox: Mailbox | None = None, open_mailbox: bool = True
    ) -> LoginResult:
        return LoginResult(verdict, why, user, tenant, mailbox, identity, expires, open_mailbox)

    mailbox = None if app else _own_mailbox(tenant, who)
    if protocol is Protocol.SMTP:
        # Policy may be checked before the token: a 5.7.139 can hide a bad token (facts E5).
        policy = smtp_policy(tenant, tenant.mailbox(user) or mailbox)
        if policy is not None:
            return verdict(policy, f"policy: {policy.name.lower().replace('_', ' ')}")
    by_rbac = protocol is Protocol.SMTP and app and _sends_by_rbac(tenant, identity, user, claims)
    if (refusal := _check_claims(state, protocol, claims, app, by_rbac)) is not None:
        return verdict(*refusal)
    account = None if app else tenant.user(who)
    if not app and (account is None or not account.account_enabled):
        return verdict(Verdict.USER_DISABLED, "the token's user is blocked or gone")
    if app and tenant.principal_in_exchange(identity) is None:
        why = "no service principal in Exchange with the token's object id"
        return verdict(Verdict.NO_SERVICE_PRINCIPAL, why)
    target = tenant.mailbox(user)
    if protocol is Protocol.SMTP and not app:
        # Over SMTP user= must be the one who signed in, also for shared mailboxes (facts E1, M1).
        if user.lower() != who:
            return verdict(Verdict.USER, "user= is not the token's user")
        target = mailbox
    return verdict(*_check_mailbox(protocol, tenant, target, account, identity, by_rbac))


def smtp_policy(tenant: Tenant, mailbox: Mailbox | None) -> Verdict | None:
    """The policy that refuses SMTP AUTH for this mailbox, whatever the credentials (facts E5); None if none does."""
    if tenant.policies.security_defaults:
        return Verdict.SECURITY_DEFAULTS
    if mailbox is None:
        return None
    off = tenant.smtp_auth_disabled(mailbox)
    if off == "Mailbox":
        return Verdict.SMTP_OFF_MAILBOX
    return Verdict.SMTP_OFF_TENANT if off else None


def password_policy(tenant: Tenant, user: User) -> Verdict | None:
    """The verdict of Conditional Access on a login with a password, which no second factor can follow (facts E5)."""
    facts = tenant.sign_in_facts(user, EXCHANGE_APP_ID, ("Office365",), LEGACY)
    applied = evaluate(tenant.policies.conditional_access, facts)
    refused = any(said.result == "failure" for said in applied)
    return Verdict.CRITERIA if refused else None


def _issuer(state: PracticeState, claims: Mapping[str, Any]) -> Tenant | None:
    tenant = state.tenant(str(claims.get("tid", "")))
    if tenant is None or claims.get("iss") != f"https://sts.windows.net/{tenant.tenant_id}/":
        return None
    return None if tenant.deprovisioned else tenant


def _sends_by_rbac(tenant: Tenant, identity: str, user: str, claims: Mapping[str, Any]) -> bool:
    """Whether RBAC for Applications lets the app send as that mailbox; never beside SMTP.SendAsApp (facts A5)."""
    principal = tenant.principal_in_exchange(identity)
    return (
        principal is not None
        and Protocol.SMTP.role not in claims.get("roles", ())
        and principal.sends_as(user)
    )


def _check_claims(
    state: PracticeState, protocol: Protocol, claims: Mapping[str, Any], app: bool, by_rbac: bool
) -> tuple[Verdict, str] | None:
    if str(claims.get("aud", "")).rstrip("/") not in AUDIENCES:
        return Verdict.AUDIENCE, f"the token is for {claims.get('aud')!s:.80}"
    now = state.clock.time()
    if float(claims.get("exp", 0)) <= now:
        return Verdict.EXPIRED, "the token has expired"
    if float(claims.get("nbf", 0)) > now + CLOCK_SKEW:
        return Verdict.NOT_YET, "the token is not valid yet"
    if app:
        if protocol.role not in claims.get("roles", ()) and not by_rbac:
            return Verdict.PERMISSION, f"the token lacks the role {protocol.role}"
    elif protocol.scope not in str(claims.get("scp", "")).split():
        return Verdict.PERMISSION, f"the token lacks the scope {protocol.scope}"
    return None


def _own_mailbox(tenant: Tenant, upn: str) -> Mailbox | None:
    user = tenant.user(upn)
    mailbox = tenant.own_mailbox(user) if user else tenant.mailbox(upn)
    if mailbox is not None:
        return mailbox
    aliases = user.aliases if user else ()
    return next((m for alias in aliases if (m := tenant.mailbox(alias)) is not None), None)


def _check_mailbox(
    protocol: Protocol,
    tenant: Tenant,
    target: Mailbox | None,
    account: User | None,
    identity: str,
    by_rbac: bool,
) -> tuple[Verdict, str, Mailbox | None, bool]:
    if target is None or not target.is_mailbox or not tenant.exchange_online:
        return Verdict.NO_MAILBOX, "no mailbox with that primary address", None, False
    owner = tenant.user(target.address)
    if not target.shared and (owner is None or not owner.licensed):
        return Verdict.NO_MAILBOX, "the mailbox's user has no licence", None, False
    own = account is not None and account is owner
    rights = own or by_rbac or identity in target.full_access
    if not rights and (protocol is not Protocol.SMTP or account is not None):
        return Verdict.NO_RIGHTS, "no FullAccess on the mailbox", target, False
    if (protocol is Protocol.POP3 and not target.pop_enabled) or (
        protocol is Protocol.IMAP and not target.imap_enabled
    ):
        return Verdict.PROTOCOL_OFF, f"{protocol.name} is off for the mailbox", target, False
    if target.moved:
        return Verdict.MOVED, "the mailbox is being moved", target, False
    if target.busy and protocol is Protocol.POP3:
        return Verdict.BUSY, "the mailbox is locked by another session", target, False
    return Verdict.ACCEPTED, "accepted", target, rights


def may_send_as(tenant: Tenant, login: LoginResult, sender: str) -> bool:
    """Whether that login may use *sender* as MAIL FROM or From."""
    own = login.mailbox
    if own is None:
        return False
    address = sender.strip().lower()
    if address == own.address.lower():
        return True
    owner = tenant.user(own.address)
    if owner is not None and address in {owner.upn.lower(), *owner.aliases}:
        return True
    other = tenant.mailbox(address)
    if other is None:
        return False
    who = {login.identity, own.address.lower()} if login.identity else {own.address.lower()}
    if owner is not None:
        who.add(owner.upn.lower())
    if (principal := tenant.principal_in_exchange(login.identity)) is not None:
        if principal.sends_as(own.address) and principal.sends_as(address):
            return True
        who = {login.identity}
    return bool(who & other.send_as)

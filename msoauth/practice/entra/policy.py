"""Check whether a user may get tokens for an app: blocked users, Conditional Access, assignment (facts D6 to D9)."""

import json

from msoauth.practice.entra.clients import Client
from msoauth.practice.entra.refusals import RefusalError
from msoauth.practice.state import EXCHANGE_APP_ID, Tenant, User

HIDDEN = "{EmailHidden}"  # what Entra writes instead of addresses in texts that reach the app
_DEVICE = {"compliant": 53000, "joined": 53001, "managed": 530003, "known": 50097}


def not_in_tenant(client: Client, tenant: Tenant, name: str, idp: str) -> RefusalError:
    """The refusal of an account that another tenant or provider (*idp*) manages."""
    app = client.app
    return RefusalError(
        50020, user=name, idp=idp, tenant=tenant.name, app=app.app_id, name=app.display_name
    )


def check_access(client: Client, tenant: Tenant, user: User, *, device_flow: bool = False) -> None:
    """Check that the user may get tokens for this app.

    Args:
        device_flow: The sign-in is one by device code, which a policy may block altogether.

    Raises:
        RefusalError: the account is disabled or external, a policy blocks it, or it is not assigned to the app.
    """
    app = client.app
    client.check_enabled()
    if not user.account_enabled:
        raise RefusalError(50057)
    if user.guest_of is not None:
        raise not_in_tenant(client, tenant, user.upn, user.guest_of)
    policies = tenant.policies
    blocked = policies.blocked or user.upn.lower() in policies.blocked_users
    if blocked or (device_flow and policies.device_code_blocked):
        raise RefusalError(53003, claims=challenge(tenant))
    if policies.device_required is not None:
        raise RefusalError(_DEVICE[policies.device_required], claims=challenge(tenant))
    principal = client.principal
    if (
        principal is not None
        and principal.app_role_assignment_required
        and user.id not in principal.assigned_users
    ):
        raise RefusalError(50105, name=app.display_name, app=app.app_id, user=HIDDEN)


def check_second_factor(tenant: Tenant, user: User, amr: list[str], resource: str) -> None:
    """Check that a grant with these authentication methods (*amr*) satisfies what the user must prove now.

    Raises:
        RefusalError: multi-factor authentication, or its enrolment, must be done in the browser.
    """
    if user.mfa is None or "mfa" in amr:
        return
    number = 50079 if user.mfa == "enrol" else 50076
    raise RefusalError(number, resource=resource or EXCHANGE_APP_ID, claims=challenge(tenant))


def challenge(tenant: Tenant) -> str:
    """The claims challenge that names the policy (facts B2); the policy's id is the tenant's own here."""
    claims = {"access_token": {"capolids": {"essential": True, "values": [tenant.tenant_id]}}}
    return json.dumps(claims, separators=(",", ":"))

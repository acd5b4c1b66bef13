"""Find the tenant and the app of a request, and authenticate the client (facts A2, C2, C4)."""

import hmac
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NoReturn

import jwt

from msoauth.practice.entra.refusals import RefusalError
from msoauth.practice.registrations import AppRegistration, ServicePrincipal
from msoauth.practice.state import EXCHANGE_APP_ID, PracticeState, Tenant

CONSUMERS_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"  # personal accounts (facts A2)

# Apps of Microsoft's own, whose client IDs other programs borrow (facts D2, L1): Office.
_FIRST_PARTY = frozenset({"d3590ed6-52b3-4102-aeff-aad2292ab01c"})
# The domains that Microsoft gives to the tenants of its other clouds (facts A1).
_OTHER_CLOUDS = {
    ".onmicrosoft.us": "MicrosoftOnline.US",
    ".partner.onmschina.cn": "MicrosoftOnline.CN",
}
_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_DOMAIN = re.compile(r"(?:[a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}", re.IGNORECASE)


def is_consumers(path: str) -> bool:
    """Whether the path's tenant is that of personal accounts."""
    return path.lower() in ("consumers", CONSUMERS_TENANT)


def tenant_of_path(state: PracticeState, path: str) -> Tenant | None:
    """The tenant that a path names; None for /common, /organizations and /consumers.

    Raises:
        RefusalError: there is no such tenant, or it cannot be one.
    """
    if path.lower() in ("common", "organizations") or is_consumers(path):
        return None
    tenant = state.tenant(path)
    if tenant is not None and not tenant.deprovisioned:
        return tenant
    for domain, cloud in _OTHER_CLOUDS.items():
        if path.lower().endswith(domain):
            raise RefusalError(90038, tenant=path, cloud=cloud)
    raise RefusalError(
        90002 if _GUID.fullmatch(path) or _DOMAIN.fullmatch(path) else 900023, tenant=path
    )


@dataclass(frozen=True, slots=True)
class Client:
    """An app, and the tenant in which a request uses it.

    Attributes:
        tenant: The tenant it is used in; None until a user has signed in under ``/common`` or ``/organizations``.
        path: The tenant as the request's path names it.
    """

    app: AppRegistration
    tenant: Tenant | None
    path: str

    def in_tenant(self, tenant: Tenant) -> "Client":
        """The same app, called in the tenant of the user who signs in."""
        return replace(self, tenant=tenant)

    @property
    def principal(self) -> ServicePrincipal | None:
        """Its enterprise application in the tenant; None before anybody consented to it there."""
        return self.tenant.principal_of(self.app.app_id) if self.tenant else None

    @property
    def tenant_label(self) -> str:
        """The tenant's name, or what the path says, for messages."""
        return self.tenant.name if self.tenant else self.path

    def consented(self, user_id: str, resource: str) -> set[str]:
        """Short names of the resource's scopes that the user, or the admin for all, consented to."""
        principal = self.principal
        return principal.consented(user_id, resource) if principal else set()

    def check_enabled(self) -> None:
        """Check that the enterprise application lets users sign in.

        Raises:
            RefusalError: it does not.
        """
        principal = self.principal
        if principal is not None and not principal.account_enabled:
            raise RefusalError(7000112, app=self.app.app_id, name=self.app.display_name)


def client(state: PracticeState, path: str, client_id: str) -> Client:
    """Find the app *client_id* for a request under ``/{path}``.

    Raises:
        RefusalError: no such tenant or app, it is disabled, or not meant for that kind of path.
    """
    if not client_id:
        raise RefusalError(900144, parameter="client_id")
    tenant = tenant_of_path(state, path)
    if not _GUID.fullmatch(client_id) or not client_id.strip("0-"):
        raise RefusalError(700038, app=client_id[:100])
    if client_id.lower() in _FIRST_PARTY:
        raise RefusalError(65002, app=client_id, resource=EXCHANGE_APP_ID)
    home, app = _registration(state, client_id)
    if app is None or (
        tenant is not None and tenant is not home and app.sign_in_audience == "AzureADMyOrg"
    ):
        where = tenant.name if tenant else "Microsoft Accounts" if is_consumers(path) else path
        raise RefusalError(700016, app=client_id, tenant=where)
    _check_audience(app, tenant, path)
    result = Client(app, tenant, path)
    result.check_enabled()
    return result


def _registration(
    state: PracticeState, client_id: str
) -> tuple[Tenant, AppRegistration] | tuple[None, None]:
    client_id_lower = client_id.lower()
    for tenant in state.tenants.values():
        for app in tenant.apps:
            if app.app_id.lower() == client_id_lower and not app.deleted:
                return tenant, app
    return None, None


def _check_audience(app: AppRegistration, tenant: Tenant | None, path: str) -> None:
    """Check the app's supported account types against the authority in the path (facts C2)."""
    audience = app.sign_in_audience
    details = {"app": app.app_id, "name": app.display_name}
    if audience == "PersonalMicrosoftAccount" and not is_consumers(path):
        raise RefusalError(9002346, **details)
    if tenant is not None:
        return
    if is_consumers(path):
        if audience in ("AzureADMyOrg", "AzureADMultipleOrgs"):
            raise RefusalError(9002332, **details)
    elif audience == "AzureADMyOrg":
        raise RefusalError(50194, **details)


def authenticate(app: AppRegistration, form: dict[str, str], kind: str, now: float) -> str:
    """Authenticate a client (facts C4); returns ``appidacr``: ``0`` public, ``1`` secret.

    Args:
        kind: ``web``, ``public`` or ``spa``, the platform that the grant came through.
        form: What the client sent; ``Origin`` in it is that header, which only browsers send.

    Raises:
        RefusalError: a secret is missing, forbidden, wrong or expired; or a browser sent the code of
            another platform's redirect URI, or another client a browser's.
    """
    origin = form.get("Origin", "")
    if kind == "spa":
        if not origin:
            raise RefusalError(9002327)
        return "0"
    if origin:
        raise RefusalError(9002326, origin=origin[:200])
    client_secret = form.get("client_secret", "")
    if kind == "public":
        if client_secret or form.get("client_assertion"):
            raise RefusalError(700025)
        return "0"
    if form.get("client_assertion"):
        _refuse_assertion(app, form["client_assertion"], now)
    if not client_secret:
        raise RefusalError(7000218)
    matching = [
        s for s in app.secrets if hmac.compare_digest(s.value.encode(), client_secret.encode())
    ]
    if not matching:
        raise RefusalError(7000215, app=app.app_id)
    if all(secret.end.timestamp() <= now for secret in matching):
        raise RefusalError(7000222, app=app.app_id)
    return "1"


def _refuse_assertion(app: AppRegistration, assertion: str, now: float) -> NoReturn:
    """Refuse a client assertion, in the order of Entra's checks; its key is unknown, as nobody uploads a certificate."""
    try:
        header = jwt.get_unverified_header(assertion)
        claims = jwt.decode(assertion, options={"verify_signature": False})
        begins, ends = float(claims.get("nbf", 0)), float(claims.get("exp", 0))
    except (jwt.PyJWTError, TypeError, ValueError):
        raise RefusalError(50027) from None
    if "alg" not in header:  # nothing by which a signature could be validated
        raise RefusalError(700027)
    if not {"x5t", "x5t#S256", "kid"} & header.keys():
        raise RefusalError(5002723)
    if {claims.get("iss"), claims.get("sub")} != {app.app_id}:
        raise RefusalError(700021)
    if not begins <= now + 300 or not now < ends:
        stamps = [
            datetime.fromtimestamp(min(max(moment, 0), 2**33), UTC).strftime(
                "%Y-%m-%dT%H:%M:%S.0000000Z"
            )
            for moment in (now, begins, ends)
        ]
        raise RefusalError(700024, now=stamps[0], begins=stamps[1], ends=stamps[2])
    raise RefusalError(700027)

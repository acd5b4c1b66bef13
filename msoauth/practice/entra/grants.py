"""The token service: redeems codes, refresh tokens, device codes and client credentials (facts A3, B1 to B3)."""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field, replace
from typing import Any

from msoauth.practice import permissions
from msoauth.practice.entra import clients, redirects, scopes
from msoauth.practice.entra.clients import Client
from msoauth.practice.entra.issue import Grant, Issuer
from msoauth.practice.entra.policy import HIDDEN, SignIn, check_access, check_password
from msoauth.practice.entra.refusals import RefusalError, stamp
from msoauth.practice.state import GRAPH_APP_ID, PracticeState, Tenant, User
from msoauth.practice.tokens import Signer

CODE_SECONDS = 600  # about ten minutes (facts B6)
DEVICE_SECONDS = 900
DEVICES_KEPT = 2000
REFRESH_IDLE_SECONDS = 90 * 86400
SPA_SECONDS = 86400
_NOT_FOR_ALL = ("client_credentials", "password")  # grants that /common and /consumers refuse
_PASSWORD_FIELDS = ("username", "password", "scope")
_DEVICE_GRANTS = ("urn:ietf:params:oauth:grant-type:device_code", "device_code")


@dataclass(slots=True)
class Code:
    """An authorization code that was issued, and what it was issued for."""

    client: Client
    tenant: Tenant
    user: User
    redirect_uri: str
    platform: str
    scope: str
    challenge: str
    challenge_method: str
    nonce: str
    issued: float
    signed_in: float
    amr: list[str]
    redeemed: bool = False


@dataclass(slots=True)
class Device:
    """A device code that was issued; ``tenant`` and ``user`` are set when a user has approved it.

    Attributes:
        refused: What a policy said on the page, once a user gave name and password there.
    """

    client: Client
    scope: str
    user_code: str
    issued: float
    tenant: Tenant | None = None
    user: User | None = None
    declined: bool = False
    refused: RefusalError | None = None
    polled: float = 0.0
    amr: list[str] = field(default_factory=list)


class Authority:
    """Issues codes and tokens, and checks those that come back."""

    def __init__(self, state: PracticeState, signer: Signer) -> None:
        self.state = state
        self.signer = signer
        self.issuer = Issuer(signer)
        self.codes: dict[str, Code] = {}
        self.devices: dict[str, Device] = {}

    # -- codes -------------------------------------------------------------------------------

    def new_code(self, code: Code) -> str:
        """A code for the redirect; over a kilobyte long, as the real ones are."""
        now = self.state.clock.time()
        for old in [t for t, code in self.codes.items() if now - code.issued > 4 * CODE_SECONDS]:
            del self.codes[old]
        text = "1.AXk" + secrets.token_urlsafe(800)
        self.codes[text] = code
        return text

    def device(self, user_code: str) -> tuple[str, Device] | None:
        """The device code and its `Device` for a user code as a person typed it."""
        code = user_code.strip().upper().replace("-", "").replace(" ", "")
        return next((item for item in self.devices.items() if item[1].user_code == code), None)

    def start_device(self, path: str, form: dict[str, str]) -> tuple[str, Device]:
        """Start a sign-in by device code; returns the code and its `Device`.

        Raises:
            RefusalError: the app is unknown or the scope wrong.
        """
        client = clients.client(self.state, path, form.get("client_id", ""))
        if not form.get("scope", "").strip():
            raise RefusalError(900144, parameter="scope")
        scopes.read(form["scope"], client.tenant, client.app)
        now = self.state.clock.time()
        for old in [t for t, d in self.devices.items() if now - d.issued > 4 * DEVICE_SECONDS]:
            del self.devices[old]
        while len(self.devices) >= DEVICES_KEPT:  # a flood of requests must not fill the memory
            del self.devices[next(iter(self.devices))]
        alphabet = "BCDFGHJKLMNPQRSTVWXZ23456789"
        user_code = "".join(secrets.choice(alphabet) for _ in range(9))
        device = Device(client, form["scope"], user_code, now)
        text = "GAQABIQEAAAD" + secrets.token_urlsafe(60)
        self.devices[text] = device
        return text, device

    def device_expired(self, device: Device) -> bool:
        """Whether the 15 minutes of a device code are over."""
        return self.state.clock.time() - device.issued > DEVICE_SECONDS

    def new_refresh(
        self, client: Client, tenant: Tenant, user: User, platform: str, amr: list[str], scope: str
    ) -> str:
        """A refresh token as a sign-in at this moment would give it."""
        now = self.state.clock.time()
        grant = Grant(
            client.app.app_id,
            tenant.tenant_id,
            user.upn,
            user.id,
            platform,
            amr,
            signed_in=now,
            issued=now,
            scope=scope,
        )
        return self.issuer.refresh_token(grant)

    # -- the token endpoint ------------------------------------------------------------------

    def token(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        """The answer to a POST of *form* to ``/{path}/oauth2/v2.0/token``.

        Raises:
            RefusalError: Entra would refuse it.
        """
        grant = form.get("grant_type", "")
        if not grant:
            raise RefusalError(900144, parameter="grant_type")
        if form.get("resource"):
            raise RefusalError(901002)
        if grant in _NOT_FOR_ALL and clients.tenant_of_path(self.state, path) is None:
            if path.lower() != "organizations":
                raise RefusalError(9001023)
            if grant == "client_credentials":
                raise RefusalError(50059)
        client = clients.client(self.state, path, form.get("client_id", ""))
        try:
            if grant == "authorization_code":
                return self._by_code(client, form)
            if grant == "refresh_token":
                return self._by_refresh(client, form)
            if grant == "client_credentials":
                return self._for_client(client, form)
            if grant in _DEVICE_GRANTS:
                return self._by_device(client, form)
            if grant == "password" and form.get("username"):
                return self._by_password(client, form)
        except RefusalError as refusal:
            refusal.user = self._user_of(form)
            raise
        raise RefusalError(70003)

    def _user_of(self, form: dict[str, str]) -> str:
        """The user name behind a code or token that was issued here, or beside a password, for the sign-in log."""
        code, device = self.codes.get(form.get("code", "")), self.devices.get(_device_code(form))
        if code is not None:
            return code.user.upn
        if device is not None:
            return device.user.upn if device.user else ""
        try:
            return self.issuer.read_refresh(form.get("refresh_token", "")).upn
        except RefusalError:
            return form.get("username", "")

    def _by_code(self, client: Client, form: dict[str, str]) -> dict[str, Any]:
        text = _required(form, "code")
        code = self.codes.get(text)
        if code is None:
            raise RefusalError(9002313)
        if code.client.app is not client.app:
            raise RefusalError(70000)
        if code.client.path.lower() != client.path.lower():
            raise RefusalError(700005)
        now = self.state.clock.time()
        acr = clients.authenticate(client.app, form, code.platform, now)
        if form.get("redirect_uri", "") != code.redirect_uri:
            # It must be the same string as in the authorize request, not only a matching one (facts C1).
            redirects.platform(client.app, form.get("redirect_uri", ""))
            raise RefusalError(50011, uri=form.get("redirect_uri", ""), app=client.app.app_id)
        who = (code.tenant.tenant_id, code.user.upn)
        faults = self.state.faults
        if code.redeemed or faults.value("code.redeemed", *who):
            raise RefusalError(54005)
        if now - code.issued + (faults.value("code.age", *who) or 0) > CODE_SECONDS:
            raise RefusalError(70008)
        if code.platform == "spa" and not code.challenge:
            raise RefusalError(9002325)
        if faults.value("code.verifier", *who):
            raise RefusalError(501481)
        _check_verifier(code, form.get("code_verifier", ""))
        client = client.in_tenant(code.tenant)
        requested = scopes.read(form.get("scope", ""), code.tenant, client.app)
        first = scopes.read(code.scope, code.tenant, client.app)
        single = requested.single() if form.get("scope", "").strip() else first.first
        code.redeemed = True
        grant = Grant(
            client.app.app_id,
            code.tenant.tenant_id,
            code.user.upn,
            code.user.id,
            code.platform,
            code.amr,
            code.signed_in,
            now,
            code.scope,
        )
        return self._answer(
            client,
            code.tenant,
            code.user,
            single,
            requested.oidc | first.oidc,
            grant,
            acr,
            form,
            code.nonce,
        )

    def _by_refresh(self, client: Client, form: dict[str, str]) -> dict[str, Any]:
        text = _required(form, "refresh_token")
        grant = self.issuer.read_refresh(text)
        if self.state.faults.value("refresh.cut", grant.home, grant.upn):
            raise RefusalError(9002313)
        if grant.app_id != client.app.app_id:
            raise RefusalError(70000)
        now = self.state.clock.time()
        tenant = clients.tenant_of_path(self.state, grant.home)
        acr = clients.authenticate(client.app, form, grant.platform, now)
        user = tenant.user_by_id(grant.oid, grant.upn) if tenant else None
        if client.tenant not in (None, tenant):
            raise RefusalError(7000012)
        if tenant is None or user is None:
            raise RefusalError(50034, user=HIDDEN, tenant=client.tenant_label)
        client = client.in_tenant(tenant)
        # Without a scope, that of the first request counts (RFC 6749, 6).
        requested = scopes.read(form.get("scope", "").strip() or grant.scope, tenant, client.app)
        self._check_lifetime(text, grant, tenant, user, now)
        self.issuer.note_use(text, now)
        new_grant = Grant(
            grant.app_id,
            grant.home,
            user.upn,
            grant.oid,
            grant.platform,
            grant.amr,
            grant.signed_in,
            # A browser app's token has a fixed life: a new one does not extend it (facts C2).
            grant.issued if grant.platform == "spa" else now,
            grant.scope,
            grant.device,
        )
        oidc = requested.oidc | {"offline_access"}
        return self._answer(client, tenant, user, requested.first, oidc, new_grant, acr, form)

    def _check_lifetime(
        self, text: str, grant: Grant, tenant: Tenant, user: User, now: float
    ) -> None:
        """Check age and revocation of a refresh token (facts B6, D9)."""
        if grant.platform == "spa" and now - grant.issued > SPA_SECONDS:
            raise RefusalError(700084, issued=stamp(grant.issued), lifetime="1.00:00:00")
        extra_idle = self.state.faults.value("refresh.age", tenant.tenant_id, user.upn) or 0
        if now - self.issuer.last_used(text, grant) + extra_idle > REFRESH_IDLE_SECONDS:
            raise RefusalError(700082, issued=stamp(grant.issued))
        valid_from = user.tokens_valid_from
        if grant.platform == "public":
            valid_from = max(valid_from, user.passwords_tokens_valid_from)
        if grant.issued < valid_from:
            raise RefusalError(50173, issued=stamp(grant.issued), valid_from=stamp(valid_from))

    def _by_device(self, client: Client, form: dict[str, str]) -> dict[str, Any]:
        text = _device_code(form) or _required(form, "code")
        device = self.devices.get(text)
        if device is None or device.client.app is not client.app:
            raise RefusalError(70018)
        now = self.state.clock.time()
        # No redirect URI in the request: "Allow public client flows" decides what the app is (facts C2).
        kind = "public" if client.app.is_fallback_public_client else "web"
        acr = clients.authenticate(client.app, form, kind, now)
        if self.device_expired(device):
            raise RefusalError(70020)
        if device.declined:
            # Number and text of this refusal are not known (facts J2); other emulators use this number.
            raise RefusalError(65004, error="authorization_declined")
        if device.refused is not None:
            # Which ``error`` such an answer has is unverified (facts B3): the number tells.
            raise device.refused
        if device.user is None or device.tenant is None:
            early = now - device.polled < self.state.device_interval - 1
            device.polled = now
            # Whether Entra ever sends slow_down is unverified (facts J2); RFC 8628 requires it, MSAL supports it.
            raise RefusalError(70016, error="slow_down" if early else "")
        client = client.in_tenant(device.tenant)
        requested = scopes.read(device.scope, device.tenant, client.app)
        del self.devices[text]
        user = device.user
        grant = Grant(
            client.app.app_id,
            device.tenant.tenant_id,
            user.upn,
            user.id,
            kind,
            device.amr,
            now,
            now,
            device.scope,
            device=True,
        )
        return self._answer(
            client, device.tenant, user, requested.first, requested.oidc, grant, acr, form
        )

    def _by_password(self, client: Client, form: dict[str, str]) -> dict[str, Any]:
        """Tokens for a user name and a password (ROPC), which cannot satisfy a second factor."""
        name, password, scope = (_required(form, field) for field in _PASSWORD_FIELDS)
        now = self.state.clock.time()
        kind = "public" if client.app.is_fallback_public_client else "web"
        acr = clients.authenticate(client.app, form, kind, now)
        tenant = client.tenant or self.state.tenant_of_address(name)
        if tenant is None:
            raise RefusalError(50128)
        user = tenant.user(name)
        if user is None:
            raise RefusalError(50034, user=HIDDEN, tenant=tenant.name)
        check_password(user, password, now)
        if user.password_expired:
            raise RefusalError(50055)
        client = client.in_tenant(tenant)
        requested = scopes.read(scope, tenant, client.app)
        grant = Grant(
            client.app.app_id, tenant.tenant_id, user.upn, user.id, kind, ["pwd"], now, now, scope
        )
        return self._answer(
            client, tenant, user, requested.single(), requested.oidc, grant, acr, form
        )

    def _for_client(self, client: Client, form: dict[str, str]) -> dict[str, Any]:
        scope = form.get("scope", "").strip()
        acr = clients.authenticate(client.app, form, "web", self.state.clock.time())
        if not scope:
            raise RefusalError(900144, parameter="scope")
        if not scope.endswith("/.default"):
            raise RefusalError(1002012, scope=scope)
        tenant, principal = client.tenant, client.principal
        if tenant is None or principal is None:
            raise RefusalError(7000229, app=client.app.app_id, tenant=client.tenant_label)
        requested = scopes.read(scope, tenant, client.app).single()
        now = int(self.state.clock.time())
        token, seconds = self.issuer.app_token(client, tenant, principal, requested, acr, now)
        self.state.log_event("token", "success", tenant=tenant.name, app_id=client.app.app_id)
        return {
            "token_type": "Bearer",
            "expires_in": seconds,
            "ext_expires_in": seconds,
            "access_token": token,
        }

    def _answer(
        self,
        client: Client,
        tenant: Tenant,
        user: User,
        requested: scopes.RequestedScopes,
        oidc: frozenset[str],
        grant: Grant,
        acr: str,
        form: dict[str, str],
        nonce: str = "",
    ) -> dict[str, Any]:
        """The answer with a user's tokens (facts B1)."""
        now = int(self.state.clock.time())
        renewal = form.get("grant_type") == "refresh_token"
        at = self.state.clock.time() if renewal else grant.signed_in
        sign_in = SignIn(
            grant.platform,
            grant.amr,
            grant.device,
            grant.signed_in,
            at,
            renewal=renewal,
            password=form.get("grant_type") == "password",
        )
        evaluation = check_access(client, tenant, user, requested, sign_in)
        requested = scopes.delegated(requested, client.app)
        consented = client.consented(user.id, requested.resource)
        if not requested.names <= consented:
            raise RefusalError(65001, app=client.app.app_id, name=client.app.display_name)
        # The token has all scopes that were ever consented to, not only the requested ones (facts B1).
        omitted = {self.state.faults.value("token.lacks", tenant.tenant_id, user.upn)}
        names = sorted(
            (consented & permissions.names(requested.resource) | requested.names) - omitted
        )
        if self.state.faults.value("token.graph", tenant.tenant_id, user.upn):
            requested = replace(requested, uri=scopes.GRAPH, resource=GRAPH_APP_ID)
        if requested.resource == GRAPH_APP_ID:  # where userinfo is
            names = sorted({*names, *(oidc - {"offline_access"})})
        token, seconds = self.issuer.access_token(
            client, tenant, user, requested, names, grant.amr, acr, now
        )
        prefix = "" if requested.resource == GRAPH_APP_ID else f"{requested.uri}/"
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": " ".join(f"{prefix}{name}" for name in names) or " ".join(sorted(oidc)),
            "expires_in": seconds,
            "ext_expires_in": seconds,
            "access_token": token,
        }
        withheld = self.state.faults.value("token.no-refresh", tenant.tenant_id, user.upn)
        if "offline_access" in oidc and not withheld:
            answer["refresh_token"] = self.issuer.refresh_token(grant)
        if "openid" in oidc:
            answer["id_token"] = self.issuer.id_token(
                client, tenant, user, oidc, form.get("host", ""), nonce, now
            )
        if form.get("client_info") == "1":
            client_info = json.dumps({"uid": user.id, "utid": tenant.tenant_id}).encode()
            answer["client_info"] = base64.urlsafe_b64encode(client_info).rstrip(b"=").decode()
        self.state.log_event(
            "token",
            "success",
            tenant=tenant.name,
            user=user.upn,
            app_id=client.app.app_id,
            correlation_id=form.get("client-request-id", ""),
            sign_in=evaluation.facts,
            applied=evaluation.applied,
        )
        return answer


def _check_verifier(code: Code, verifier: str) -> None:
    if not code.challenge:
        return
    computed = verifier
    if code.challenge_method == "S256":
        digest = hashlib.sha256(verifier.encode()).digest()
        computed = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if not hmac.compare_digest(computed.encode(), code.challenge.encode()):
        raise RefusalError(501481)


def _device_code(form: dict[str, str]) -> str:
    return form.get("device_code") or form.get("code", "")


def _required(form: dict[str, str], name: str) -> str:
    if not form.get(name):
        raise RefusalError(900144, parameter=name)
    return form[name]
